"""Confirm checks again what Approve checked: that accounts are what their approved trades rest on."""

from datetime import datetime

from accounts.listing.figures import plural
from rebalancer.models import Batch
from trading.models import Ticket
from trading.services import confirming as trading
from trading.services.confirming import VERB, MayNotConfirm, NoLongerSo, TooLate, what_happened, why_not

from . import changes
from .refusals import LeftOut, Refused, command, listed

__all__ = [
    "AccountsChanged", "MayNotConfirm", "NoLongerSo", "Refused", "TooLate", "changed_accounts", "confirm",
    "what_happened", "why_not",
]  # fmt: skip


class AccountsChanged(Refused):
    """Accounts are no longer what their approved trades rest on."""

    def __init__(self, accounts: list[LeftOut]):
        self.accounts = accounts
        self.summary = f"{plural(len(accounts), 'account')} changed since approval."
        super().__init__(f"{self.summary} Leave these out. Nothing was sent. {listed(accounts)}")


def changed_accounts(batch: Batch) -> list[LeftOut]:
    """The accounts with something to trade that changed since approval, by number, each with what has changed.

    Positions, cash, set-aside, restrictions, portfolio, rebalancing switch, advisor, or an open order of another
    request. All accounts are loaded, some thousands at a time.
    """
    return changes.since_approving(batch)


def confirm(
    ticket: Ticket, *, by, version: int, digest: str, still: dict[str, str] | None = None, now: datetime | None = None
) -> Ticket:
    """Let all staged orders of a ticket go, as the preview showed them; a worker sends them.

    Raises AccountsChanged naming accounts that are no longer what their approved trades rest on, and what
    `trading.services.confirming.confirm` raises. Then nothing is done.
    """
    with command(by, VERB, ticket):
        ticket = trading.lock(ticket, by=by)
        if changed := changed_accounts(_batch(ticket)):
            raise AccountsChanged(changed)
        return trading.confirm(ticket, by=by, version=version, digest=digest, still=still, now=now)


def _batch(ticket):
    batch = Batch.objects.filter(ticket=ticket).first()
    if batch is None:
        raise Refused(f"{ticket} belongs to no request, so its accounts cannot be compared. Nothing was sent.")
    return batch
