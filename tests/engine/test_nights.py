"""Night after night at unchanged prices: what trades do not better stays, so that proposals come to an end."""

from dataclasses import replace

import pytest

from rebalancer.engine import Reason, check

from .building import Row, account, book, exact
from .rules import outcome

NIGHTS = 6
LOCKED = Reason.DO_NOT_TRADE  # with a target and nothing held: every other row has to take its part

HELD_OUTSIDE = {
    "two that take turns": account(
        Row("A", 73, 500, 30), Row("B", 63, 400, 21), Row("C", 720, 50, 30), Row("LOCK", 0, 100, 17, rule=LOCKED),
        cash=2_300,
    ),
    "a leftover sale": account(
        Row("X", 119, 500, 80), Row("LOCK", 0, 100, 20, rule=LOCKED), cash=500, cash_target=0
    ),
    "two shares a night": account(
        Row("A", 90, 600, 38), Row("B", 872, 50, 30), Row("LOCK", 0, 200, 30, rule=LOCKED), cash=2_400
    ),
    "the same by Best Fit": account(
        Row("A", 24, 600, 22), Row("B", 442, 100, 65), Row("LOCK", 0, 400, 11, rule=LOCKED), cash=1_400
    ),
}  # fmt: skip


def the_night_after(one, found):
    """The account with its trades booked at their prices."""
    rows = tuple(replace(end.row, shares=end.after) for end in found.ends)
    return replace(one, rows=rows, cash=exact(one.cash) - one.available + found.cash)


@pytest.mark.parametrize("logic", ["best_fit", "min_transaction"])
@pytest.mark.parametrize("name", HELD_OUTSIDE)
def test_nothing_is_traded_to_and_fro(name, logic):
    one, seen = HELD_OUTSIDE[name], []
    for _ in range(NIGHTS):
        found = outcome(one, logic)
        holdings = tuple(end.row.held for end in found.ends)
        assert holdings not in seen, found
        if not found.trades:
            return
        seen.append(holdings)
        one = the_night_after(one, found)
    pytest.fail(f"still trading after {NIGHTS} nights: {found}")


@pytest.mark.parametrize("logic", ["best_fit", "min_transaction"])
@pytest.mark.parametrize(("shares", "rule", "cash"), [(840, Reason.NO_SELL, 1_550), (920, Reason.NO_BUY, 2_450)])
def test_the_minimum_is_traded_where_cash_needs_less(logic, shares, rule, cash):
    """$50 bring cash inside 1.6–2.4 %; the smallest trade is $100, and it too ends inside."""
    locked = Row("LOCK", "144.5" if rule is Reason.NO_SELL else "55.5", 100, 10, rule=rule)
    one = account(Row("BND", shares, 100, 88), locked, cash=cash)
    flagged = check(book(one))
    assert flagged.low_cash[0] if rule is Reason.NO_SELL else flagged.high_cash[0]
    found = outcome(one, logic)
    assert found.trade("BND") == (-1 if rule is Reason.NO_SELL else 1), found
    assert 1_600 <= found.cash <= 2_400


@pytest.mark.parametrize("logic", ["best_fit", "min_transaction"])
def test_cash_below_zero_is_raised_whatever_it_takes(logic):
    """The only sale takes cash from $25 below zero to $975, further from its 1 % than before; it is made."""
    one = account(
        Row("BRK", 10, 1_000, 99), Row("LOCK", 25, 1, 0, rule=LOCKED), cash=-25, cash_target=1, minimum=0,
        minimum_percent=0,
    )  # fmt: skip
    found = outcome(one, logic)
    assert (found.trade("BRK"), found.cash, found.shortfall) == (-1, 975, 0), found
