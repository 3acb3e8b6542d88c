"""Answers of a command that is not carried out. Their words are for the person who asked."""

from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from accounts.listing import figures, selection
from accounts.models import Firm
from accounts.services import audit
from accounts.services.refusals import Refused
from rebalancer.models import Batch
from rebalancer.states import BatchState

__all__ = [
    "BookChanged", "LeftOut", "NotAllowed", "NothingLeft", "ProposalChanged", "Refused", "SelectionChanged", "TooLate",
    "command", "listed", "what_happened",
]  # fmt: skip

NAMED_AT_MOST = 5


class NotAllowed(Refused, PermissionDenied):
    """This person may not do it (403)."""


class TooLate(Refused):
    """Somebody or something else came first."""


class SelectionChanged(Refused, selection.SelectionChanged):
    """Another number of rows matches now than the person was shown."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An account that a command left out, and why."""

    account_number: str
    account_name: str
    why: str

    def __str__(self):
        return f"{self.account_number} {self.account_name}: {self.why}"


class NothingLeft(Refused):
    """Every account chosen was left out."""

    def __init__(self, left_out: list[LeftOut]):
        self.left_out = left_out
        super().__init__(f"None of the accounts chosen can be proposed. {listed(left_out)}")


class ProposalChanged(Refused):
    """What the person saw is not what would be approved."""

    def __init__(self, *, version: bool, shown: tuple[int, Decimal], now: tuple[int, Decimal]):
        self.shown, self.now = shown, now
        if shown == now:
            super().__init__(
                f"The proposal you saw was computed anew meanwhile. It is again {_stake(now)}, but its trades may be "
                "others. Nothing was approved; look at it and approve again."
            )
            return
        what = "The request was proposed anew or accounts were removed. " if version else ""
        super().__init__(f"{what}You saw {_stake(shown)}; now it is {_stake(now)}. Nothing was approved.")


def _stake(of):
    accounts, net = of
    return f"{figures.plural(accounts, 'account')}, net {figures.dollars_text(net)}"


class BookChanged(Refused):
    """Accounts are no longer what their proposals rest on."""

    def __init__(self, accounts: list[LeftOut]):
        self.accounts = accounts
        self.summary = f"{figures.plural(len(accounts), 'account')} changed since proposing."
        super().__init__(f"{self.summary} Propose these anew or remove them. {listed(accounts)}")


def listed(accounts: list[LeftOut]) -> str:
    """Name the first few accounts with their reasons, and say how many more there are."""
    named = "; ".join(str(account) for account in accounts[:NAMED_AT_MOST])
    more = len(accounts) - NAMED_AT_MOST
    return f"{named}; and {more:,} more." if more > 0 else f"{named}."


@contextmanager
def command(by, verb: str, obj=None):
    """One transaction; a refusal undoes it and leaves an audit line of its own."""
    try:
        with transaction.atomic():
            yield
    except (Refused, PermissionDenied) as refusal:
        audit.record(by, "refused", obj, command=verb, why=str(refusal))
        raise


def what_happened(batch: Batch) -> str:
    """Why the batch is not where the person thought it was."""
    state = BatchState(batch.state)
    if state in (BatchState.NEW, BatchState.PROPOSING):
        return f"{batch} is being proposed."
    if state in (BatchState.APPROVING, BatchState.COMPLETE):
        return f"{batch} was approved{_by_whom(batch.approved_by, batch.approved_at)}."
    if state == BatchState.FAILED:
        return f"Every account of {str(batch).lower()} failed."
    if state == BatchState.CANCELLED:
        return f"{batch} was cancelled{_how_cancelled(batch)}."
    return f"{batch} is pending approval."


def _how_cancelled(batch):
    if batch.ended_how == Batch.EndedBy.PERSON:
        return _by_whom(batch.ended_by, batch.ended_at)
    how = Batch.EndedBy(batch.ended_how).label
    return f"{_by_whom(batch.ended_by, batch.ended_at)} ({how})"


def _by_whom(person, at):
    return (f" by {person}" if person else "") + (f", {_when(at)}" if at else "")


def _when(at):
    """In the firm's zone, also where no request has set it."""
    with timezone.override(ZoneInfo(Firm.current().time_zone)):
        return figures.clock_text(at)
