"""What people ask of one account on its own page: rebalance it, or give it another portfolio and what goes with it."""

from dataclasses import dataclass

from accounts.models import Account, Portfolio
from accounts.services.accounts import assign_portfolio, switch_rebalancing

from .opening import Opened, open_batch
from .refusals import NothingLeft, Refused, command

CENTER = "Liquidations are opened from the Rebalance Center, by Operations."


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is to be done with another portfolio; each is a question of its own."""

    portfolio: Portfolio
    seen: str  # id of the account's portfolio as the person saw it, "" for none
    assign: bool = False
    switch_on: bool = False
    logic: str = ""  # of a request opened at once; empty for none
    although_off: bool = False  # rebalancing is off, and the person confirmed it


@dataclass(frozen=True, slots=True)
class Granted:
    """What came of it: whether the portfolio was assigned and rebalancing went on, and the request."""

    assigned: bool
    switched: bool
    opened: Opened | None


def rebalance(
    account: Account, *, by, portfolio: Portfolio, logic: str, seen: str, although_off: bool = False
) -> Opened:
    """Open a request of this one account, held to that portfolio, which is assigned when the request is approved.

    `seen` is the id of its own portfolio as the person saw it, "" for none. Raises Refused: when that is another one
    by now, when the portfolio is neither its own nor linked, when rebalancing is off and that was not confirmed, when
    it is under way already, or when only a liquidation could be proposed.
    """
    with command(by, "batch.opened", account):
        _require_seen(account, seen)
        return _open(account, by, portfolio, logic, although_off)


def _open(account, by, portfolio, logic, although_off):
    chosen = Account.objects.filter(pk=account.pk)
    try:
        return open_batch(
            by=by, accounts=chosen, shown=1, logic=logic, portfolio=portfolio, although_off=although_off
        )
    except NothingLeft as nothing:
        raise Refused(_why(nothing))


def grant(account: Account, wishes: Wishes, *, by) -> Granted:
    """Do what is wished, all of it or nothing. Raises Refused or PermissionDenied."""
    if not (wishes.assign or wishes.switch_on or wishes.logic):
        raise Refused("Nothing was chosen, so nothing was done.")
    with command(by, "portfolio.changed", account):
        _require_seen(account, wishes.seen)
        assigned = wishes.assign and assign_portfolio(account, wishes.portfolio, by)
        chosen = Account.objects.filter(pk=account.pk)
        switched = bool(wishes.switch_on and switch_rebalancing(chosen, on=True, by=by))
        opened = None
        if wishes.logic:
            opened = _open(account, by, wishes.portfolio, wishes.logic, wishes.although_off)
        return Granted(assigned, switched, opened)


def _require_seen(account, seen):
    """The account's portfolio is still what the person saw; nobody changes it until this is done."""
    now = Account.objects.select_for_update(no_key=True, of=("self",)).select_related("portfolio").get(pk=account.pk)
    if seen != str(now.portfolio_id or ""):
        name = now.portfolio or "none"
        raise Refused(f"The account's portfolio has changed since you looked; it is {name} now. Nothing was done.")


def _why(nothing: NothingLeft) -> str:
    """Why this one account was left out, with the way out where there is one."""
    why = nothing.left_out[0].why
    way = f" {CENTER}" if "liquidation" in why else ""
    return f"The account can't be proposed: {why}.{way}"
