"""One account for each status and reason, and for each pair of rules that could both apply: where it lands, and why."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from accounts.models import Restriction
from rebalancer import center, selectors
from rebalancer.models import Batch, Check, Entry
from rebalancer.services import batches, checks
from rebalancer.states import BatchState, EntryState, Logic, Status
from tests import factories as make
from trading import sessions

from .conftest import as_seen, pending
from .test_checks import LONG_AGO, flow, holding

pytestmark = pytest.mark.django_db

OFF = {"rebalancing_on": False}
LATE = {"delivered_for": date(2026, 1, 5)}
OUT = {"vti": 680, "agg": 600}  # AGG at 30 % of a floor of 30.4 %, 8 points below its 38 %
FAR = {"vti": 730, "agg": 500}  # AGG at 25 %, 13 points below


class Book:
    """The accounts of the table, each by what is the matter with it."""

    def __init__(self, balanced):
        self.balanced, self.all_cash = balanced, make.portfolio("All cash")
        make.price("OLD", 10, as_of=date(2026, 1, 5))
        make.price("BIG", 10)
        make.price("BIG", 100, state="questioned")

    def holding(self, name, portfolio="balanced", **fields):
        return holding(portfolio and getattr(self, portfolio), account_number=name, **fields)

    def bought(self, name, symbol, **fields):
        account = self.holding(name, **fields)
        make.lot(account, symbol, 1, cost=10)
        return account

    def restricted(self, name, **fields):
        account = self.holding(name, **OUT, **fields)
        make.restriction(account, "AGG", Restriction.Kind.NO_BUY)
        return account

    def moved(self, name, dollars, security=None, quantity=None, **fields):
        account, kind = self.holding(name, **fields), "deposit" if (quantity or dollars) > 0 else "withdrawal"
        shares = {"security": make.security(security), "quantity": Decimal(quantity)} if security else {}
        flow(account, kind, dollars, LONG_AGO.date() + timedelta(days=1), **shares)
        return account

    def of_unknown_cost(self, name, **fields):
        account = self.holding(name, **fields)
        make.lot(account, "NEW", 10, cost=None)
        return account

    def failed(self, name, by, **fields):
        account = self.holding(name, **fields)
        batch = Batch.objects.create(opened_by=by, logic=Logic.BEST_FIT, state=BatchState.FAILED,
                                     trade_date=sessions.today())  # fmt: skip
        known = {"account_number": account.number, "account_name": account.name, "portfolio": self.balanced}
        Entry.objects.create(batch=batch, account=account, state=EntryState.FAILED, reason="No price for VTI", **known)
        return account

    def ordered(self, name, by, **fields):
        account = self.holding(name, **FAR, **fields)
        batch = pending(by, account)
        batches.approve(batch, by=by, **as_seen(batch))
        assert batches.finish_approval(batch.pk)
        return account


def filled(book, by):
    """Build every account of TABLE."""
    make.price("NEW", 10)
    nobodys, cash = {"portfolio": None}, {"portfolio": "all_cash"}
    book.holding("none off", **nobodys, **OFF)
    book.holding("none empty", vti=0, agg=0, **nobodys)
    book.bought("none off stale", "OLD", **nobodys, **OFF)
    make.lot(book.holding("none protected", vti=0, agg=0, **nobodys), "VTI", 5, cost=1, sleeve_of="protected")
    book.holding("none held", **nobodys)
    book.holding("none late", **nobodys, **LATE)
    book.holding("cash held", **cash)
    book.holding("cash off", **cash, **OFF)
    book.moved("cash out", -5000, **cash)
    book.holding("cash empty", vti=0, agg=0, **cash)
    book.holding("no value", vti=0, agg=0, cash=0)
    book.bought("stale", "OLD")
    book.bought("priceless", "NIL")
    book.bought("questioned", "BIG")
    book.holding("late", **LATE)
    book.holding("broken", delivery_problem="lots.csv refused in the delivery of 2026-11-20")
    book.holding("late far", **LATE, **FAR)
    book.bought("stale far", "OLD", **FAR)
    book.moved("late in", 5000, **LATE)
    book.ordered("ordered", by)
    book.restricted("restricted")
    book.of_unknown_cost("unknown")
    book.of_unknown_cost("deferred", tax_status="tax_deferred")
    book.failed("failed", by)
    book.holding("far", **FAR)
    book.holding("far first", **FAR, rebalanced=False)
    book.moved("far out", -5000, **FAR)
    book.moved("in again", 5000)
    book.failed("failed drifted", by, **OUT)
    book.moved("out", -5000)
    book.moved("out drifted", -5000, **OUT)
    book.moved("out kind", 0, "VTI", -60)
    book.moved("in", 5000)
    book.moved("in drifted", 5000, **OUT)
    book.moved("in kind", 0, "VTI", 60)
    book.moved("in little", 900)
    book.holding("drifted", **OUT)
    book.holding("drifted off", **OUT, **OFF)
    book.holding("rich", vti=540, cash=8000)
    book.holding("fine")


ATTENTION, OUTSIDE = Status.NEED_EXTRA_ATTENTION, Status.OUT_OF_TOLERANCE
FAR_WORDS = "AGG 13 points below its target; VTI 13 points above its target"
FLOOR = "AGG 0.4 % below its 30.4 % floor"
TABLE = {
    "none off": (Status.NO_PORTFOLIO, "No portfolio is assigned, and rebalancing is off"),
    "none empty": (Status.NO_PORTFOLIO, "No portfolio is assigned, and no securities are held"),
    "none off stale": (Status.NO_PORTFOLIO, "No portfolio is assigned, and rebalancing is off"),  # unable as well
    "none protected": (Status.NO_PORTFOLIO, "No portfolio is assigned, and no securities are held"),
    "none held": (Status.LIQUIDATION, "No portfolio is assigned, and securities are held"),
    "none late": (Status.LIQUIDATION, "No portfolio is assigned, and securities are held"),  # unable as well
    "cash held": (Status.LIQUIDATION, "The portfolio is 100 % cash, and securities are held"),
    "cash off": (Status.LIQUIDATION, "The portfolio is 100 % cash, and securities are held"),
    "cash out": (Status.LIQUIDATION, "The portfolio is 100 % cash, and securities are held"),  # a withdrawal as well
    "cash empty": (Status.INSIDE_OF_TOLERANCE, "Every component is inside its threshold"),
    "no value": (Status.UNABLE_TO_CHECK, "Its managed value is 0.00: there is nothing to weigh"),
    "stale": (Status.UNABLE_TO_CHECK, "No price for OLD since 2026-01-05"),
    "priceless": (Status.UNABLE_TO_CHECK, "No price for NIL"),
    "questioned": (Status.UNABLE_TO_CHECK, "No price for BIG until somebody confirms 100 of"),
    "late": (Status.UNABLE_TO_CHECK, "Its last delivery is of 2026-01-05"),
    "broken": (Status.UNABLE_TO_CHECK, "Its delivery of 2026-11-20 is broken: lots.csv refused"),
    "late far": (Status.UNABLE_TO_CHECK, "Its last delivery is of 2026-01-05"),  # attention as well
    "stale far": (Status.UNABLE_TO_CHECK, "No price for OLD since 2026-01-05"),  # attention as well
    "late in": (Status.UNABLE_TO_CHECK, "Its last delivery is of 2026-01-05"),  # a deposit as well
    "ordered": (ATTENTION, "It has open orders"),
    "restricted": (ATTENTION, f"{FLOOR}, kept there by a restriction: no buy"),  # outside as well
    "unknown": (ATTENTION, "NEW would be sold and its cost is unknown"),
    "deferred": (OUTSIDE, "NEW 0.0999 % above its 0 % ceiling"),  # cost matters to the taxable only
    "failed": (ATTENTION, "It failed in its last request: no price for VTI"),
    "far": (ATTENTION, FAR_WORDS),  # out of tolerance as well
    "far first": (OUTSIDE, "AGG 5.4 % below its 30.4 % floor; VTI 1 % above its 72 % ceiling"),
    "far out": (ATTENTION, FAR_WORDS),  # a withdrawal as well
    "in again": (Status.NEW_DEPOSIT, "$5,000.00 deposited, net of withdrawals"),
    "failed drifted": (ATTENTION, "It failed in its last request: no price for VTI"),  # out of tolerance as well
    "out": (Status.NEW_WITHDRAWAL, "$5,000.00 withdrawn, net of deposits"),
    "out drifted": (Status.NEW_WITHDRAWAL, "$5,000.00 withdrawn, net of deposits"),  # out of tolerance as well
    "out kind": (Status.NEW_WITHDRAWAL, "$6,000.00 withdrawn, net of deposits"),
    "in": (Status.NEW_DEPOSIT, "$5,000.00 deposited, net of withdrawals"),
    "in drifted": (Status.NEW_DEPOSIT, "$5,000.00 deposited, net of withdrawals"),  # out of tolerance as well
    "in kind": (Status.NEW_DEPOSIT, "$6,000.00 deposited, net of withdrawals"),
    "in little": (Status.INSIDE_OF_TOLERANCE, "Every component is inside its threshold"),
    "drifted": (OUTSIDE, FLOOR),
    "drifted off": (OUTSIDE, FLOOR),
    "rich": (OUTSIDE, "Cash 5.6 % above its 2.4 % ceiling"),
    "fine": (Status.INSIDE_OF_TOLERANCE, "Every component is inside its threshold"),
}  # fmt: skip


def test_every_account_lands_where_the_first_rule_says_and_the_center_counts_it_once(balanced, desk):
    filled(Book(balanced), desk)
    checks.analyse()
    found = {check.account.number: check for check in Check.objects.select_related("account")}
    landed = {name: Status(check.status).label for name, check in found.items()}
    assert landed == {name: status.label for name, (status, _) in TABLE.items()}
    odd = {name: found[name].reason for name, (_, why) in TABLE.items() if not found[name].reason.startswith(why)}
    assert odd == {}

    standings = center.standings(desk)
    expected = dict.fromkeys(Status, 0)
    for status, _ in TABLE.values():
        expected[status] += 1
    assert {status: one.accounts for status, one in standings.items()} == expected
    shown = [{status: (one.accounts, one.portfolios, one.without) for status, one in found.items()}
             for found in (standings, center.counted(desk))]  # fmt: skip
    assert shown[0] == shown[1]
    assert set(expected.values()).isdisjoint({0})
    assert selectors.status_counts(selectors.accounts(desk)) == expected
    assert standings[Status.LIQUIDATION].portfolios == 1
    of = {held.name: held.of for one in standings.values() for held in one.held}
    assert sum(of.values()) == len(TABLE)
