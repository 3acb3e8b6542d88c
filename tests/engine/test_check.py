"""The drift check: what is outside, what triggers, and why something outside does not."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given

from rebalancer.engine import CASH, Reason, check

from .building import Band, Row, account, book
from .rules import outcome
from .strategies import accounts

WIDE_CASH = Band(90, 90, 90, 90)


def of_ten_percent(shares, price=10, total=100_000, **fields):
    """One component of 10 %; cash of 90 % is never outside."""
    row = Row("VTI", shares, price, 10, **fields)
    return account(row, cash=total - price * shares, cash_band=WIDE_CASH)


def found(one):
    return check(book(one))


@pytest.mark.parametrize(("shares", "outside"), [
    (800, False), (799, True), (1200, False), (1201, True), (1000, False), (0, True),
])  # fmt: skip
def test_a_weight_on_a_bound_is_inside(shares, outside):
    """10 % with the default threshold: 8–12 %."""
    one = account(Row("VTI", shares, 10, 10), cash=100_000 - 10 * shares, cash_band=WIDE_CASH, minimum=0,
                  minimum_percent=0)  # fmt: skip
    assert found(one).outside.tolist() == [outside]
    assert found(one).triggers.tolist() == [outside]


@pytest.mark.parametrize(("percent", "shares"), [(3, 9), (30, 27), (35, 49), (60, 93), (70, 21)])
def test_a_bound_is_inside_in_floats_too(percent, shares):
    """At 10 cents a share the weight is exactly on its upper bound, but in floats a hair above it."""
    value = shares * Fraction("0.1")
    one = account(Row("VTI", shares, "0.1", percent, Band(0, 0, 0, 0)), cash=value * 100 / percent - value,
                  cash_band=WIDE_CASH, minimum=0, minimum_percent=0)  # fmt: skip
    assert not found(one).outside.any()
    assert not any(outcome(one, logic).trades for logic in ("best_fit", "min_transaction"))


@pytest.mark.parametrize(("one", "why"), [
    (of_ten_percent(500, rule=Reason.NO_BUY), Reason.NO_BUY),
    (of_ten_percent(500, rule=Reason.DO_NOT_TRADE), Reason.DO_NOT_TRADE),
    (of_ten_percent(500, rule=Reason.INACTIVE), Reason.INACTIVE),
    (of_ten_percent(1500, rule=Reason.NO_SELL), Reason.NO_SELL),
    (of_ten_percent(7, total=950), Reason.BELOW_MINIMUM),               # $25 to its target; a trade is $100 at least
])  # fmt: skip
def test_outside_without_a_trigger(one, why):
    drift = found(one)
    assert drift.outside.tolist() == [True]
    assert drift.triggers.tolist() == [False]
    assert drift.held_back.tolist() == [why]


@pytest.mark.parametrize("rule", [Reason.NO_SELL, Reason.SUBSTITUTE_FOR])
def test_a_restriction_on_the_other_direction_does_not_hold_it_back(rule):
    assert found(of_ten_percent(500, rule=rule)).triggers.tolist() == [True]


def test_a_component_that_is_switched_off_is_outside_and_flags_nothing():
    drift = found(of_ten_percent(500, triggers=False))
    assert (drift.outside.tolist(), drift.triggers.tolist()) == ([True], [False])
    assert drift.held_back.tolist() == [Reason.NONE]


def test_the_step_nearest_the_target_is_not_outside():
    """$900 a share, target $1,000 of $10,000, threshold $800–1,200 → one share is inside; at $700 one is nearest."""
    assert not found(of_ten_percent(1, price=700, total=10_000)).outside.any()
    assert found(of_ten_percent(2, price=700, total=10_000)).outside.all()
    assert found(of_ten_percent(0, price=700, total=10_000)).outside.all()


def test_half_way_between_two_steps_is_as_near_as_it_gets():
    """$500 of $2,000 at $1,000 a share: $0 and $1,000 are as near, so nothing is outside and nothing is bought."""
    one = account(Row("VTI", 0, 1000, 25), cash=2000)
    assert not found(one).outside.any()
    assert not outcome(one, "best_fit").trades


def test_a_fraction_without_target_is_at_its_nearest_step():
    assert not found(account(Row("OLD", "0.5", 10), cash=1000, cash_target=100)).outside.any()


def test_a_small_holding_without_target_triggers_for_its_exit_needs_no_minimum():
    one = account(Row("OLD", 1, 3), cash=997)
    assert found(one).triggers.tolist() == [True]


# --- cash ---------------------------------------------------------------------------------------------------------


def with_cash(cash, target=2, **fields):
    return account(Row("VTI", 98_000 - cash + 2000, 1, 100 - target, Band(90, 90, 90, 90)), cash=cash, **fields)


@pytest.mark.parametrize(("cash", "high", "low"), [
    (2000, False, False), (2400, False, False), (2500, True, False), (1600, False, False), (1500, False, True),
    (0, False, True), (-500, False, True), (50_000, True, False),
])  # fmt: skip
def test_cash_of_two_percent(cash, high, low):
    """Threshold 1.6–2.4 % of $100,000."""
    drift = found(with_cash(cash))
    assert (drift.high_cash.tolist(), drift.low_cash.tolist()) == ([high], [low])


@pytest.mark.parametrize(("cash", "high", "low"), [
    (0, False, False), (1000, False, False), (1200, True, False), (-1, False, True), (-200, False, True),
])  # fmt: skip
def test_a_cash_target_of_nothing(cash, high, low):
    """Bounds 0 and 1 % of V; a trade of at least $100 has to bring it nearer, but negative cash always triggers."""
    drift = found(with_cash(cash, target=0))
    assert (drift.high_cash.tolist(), drift.low_cash.tolist()) == ([high], [low])


def test_cash_that_is_switched_off():
    drift = found(with_cash(50_000, cash_triggers=False))
    assert not drift.high_cash.any()


def test_cash_that_no_trade_may_bring_nearer():
    locked = account(Row("VTI", 500, 100, 98, rule=Reason.DO_NOT_TRADE), cash=50_000)
    assert not found(locked).high_cash.any()
    assert found(account(Row("VTI", 500, 100, 98), cash=50_000)).high_cash.all()


def test_a_step_too_large_for_cash():
    """V is $99,450, 2 % of it $1,989: $1,450 after a purchase of $1,000 is further away than $2,450."""
    assert not found(account(Row("VTI", 97, 1000, 98), cash=2_450)).high_cash.any()


def test_a_step_that_would_take_cash_below_its_lower_bound():
    """V is $99,500: $1,500 is nearer to $1,990 than $2,500 is, but below 1.6 %, which no buy may leave."""
    one = account(Row("VTI", 97, 1000, 98), cash=2_500)
    assert not found(one).high_cash.any()
    assert not any(outcome(one, logic).trades for logic in ("best_fit", "min_transaction"))


def test_an_account_without_portfolio_is_all_cash():
    """Its target is 100 % cash: with securities it is Low Cash, without any it is where it belongs."""
    assert found(account(Row("OLD", 500, 100), cash=50_000, cash_target=100)).low_cash.all()
    assert not found(account(cash=50_000, cash_target=100)).low_cash.any()


@given(accounts())
def test_high_and_low_cash_exclude_each_other(one):
    drift = found(one)
    assert not (drift.high_cash & drift.low_cash).any()
    assert not (drift.triggers & ~drift.outside).any()
    assert (drift.held_back[~drift.outside] == Reason.NONE).all()


# --- the account's drift ------------------------------------------------------------------------------------------


def furthest(one):
    drift = found(one)
    row = int(drift.furthest[0])
    return "Cash" if row == CASH else one.sorted_rows[row].symbol


@pytest.mark.parametrize(("one", "symbol"), [
    # VTI 4 points of 12 (20 % of 60), AGG 4 points of 7.6 (20 % of 38): AGG
    (account(Row("AGG", 340, 100, 38), Row("VTI", 640, 100, 60), cash=2000), "AGG"),
    # the same 4 points, but a threshold of 2 points on VTI
    (account(Row("AGG", 340, 100, 38), Row("VTI", 640, 100, 60, Band(2, 2, 1, 1, True)), cash=2000), "VTI"),
    # the side counts: 4 points of 30 above, 4 points of 2 below
    (account(Row("AGG", 340, 100, 38, Band(2, 30, 1, 1, True)), Row("VTI", 640, 100, 60, Band(2, 30, 1, 1, True)),
             cash=2000), "AGG"),
    # cash: 2 points of 0.4
    (account(Row("AGG", 370, 100, 38), Row("VTI", 590, 100, 60), cash=4000), "Cash"),
    # no target: widths of 0 count as one point; 0.5 points of 1 against 0.5 of 7.6
    (account(Row("AGG", 375, 100, 38), Row("OLD", 5, 100), Row("VTI", 600, 100, 60), cash=2000), "OLD"),
    (account(cash=1000, cash_target=100), "Cash"),
])  # fmt: skip
def test_the_largest_drift_for_its_band(one, symbol):
    assert furthest(one) == symbol


def test_counts_of_triggering_rows():
    one = account(Row("AGG", 0, 100, 38), Row("VTI", 980, 100, 60), cash=2000)
    two = account(Row("VTI", 600, 100, 60), cash=40_000, key=2)
    assert check(book(one, two)).position_triggers.tolist() == [2, 0]
    assert np.issubdtype(check(book(one, two)).position_triggers.dtype, np.int64)


def test_beside_a_one_sided_band_the_nearest_step_is_the_nearest():
    """10 shares are 50 % of $10,000, above 49.8 %; 9 would be 45 %, further from 49.5 %."""
    band = Band(5, Fraction(3, 10), 1, Fraction(3, 10), absolute=True)
    one = account(Row("X", 10, 500, "49.5", band), Row("Y", 48, 100, "48.5"), cash=200)
    drift = check(book(one))
    assert drift.held_back[0] == Reason.NEAREST_STEP
    assert not drift.triggers[0]
    assert outcome(one, "best_fit").trade("X") == 0
