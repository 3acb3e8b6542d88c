"""Worked examples of proposals. Each can be checked by hand: V is $100,000 throughout unless it says otherwise."""

from decimal import Decimal

import pytest

from rebalancer.engine import Reason, in_words

from .building import Band, Lot, Row, account
from .rules import outcome

NO_MINIMUM = {"minimum": 0, "minimum_percent": 0}


def of_ten_percent(shares, **fields):
    """A 10 % component at $10 (threshold 8–12 %, precision 9.6–10.4 %) beside cash of 90 %."""
    return account(Row("VTI", shares, 10, 10), cash=100_000 - 10 * shares, cash_band=Band(90, 90, 90, 90), **fields)


@pytest.mark.parametrize(("shares", "best_fit", "min_transaction"), [
    (1000, 0, 0),       # on target
    (960, 0, 0),        # exactly on the lower bound of the precision: inside
    (959, 41, 0),       # a step below it: to the target
    (1040, 0, 0),
    (1041, -41, 0),
    (800, 200, 0),      # exactly on the lower bound of the threshold: inside
    (799, 201, 10),     # a step below it: to the target; Min Transaction wants 1 step, the minimum of $100 is 10
    (1200, -200, 0),
    (1201, -201, -10),
    (0, 1000, 800),     # nothing held: to the target, or to the first step inside the nearest bound
    (5000, -4000, -3800),
])  # fmt: skip
def test_ten_percent(shares, best_fit, min_transaction):
    one = of_ten_percent(shares)
    assert outcome(one, "best_fit").trade("VTI") == best_fit
    assert outcome(one, "min_transaction").trade("VTI") == min_transaction


def test_without_a_minimum_a_single_step_will_do():
    assert outcome(of_ten_percent(799, **NO_MINIMUM), "min_transaction").trade("VTI") == 1


# --- whole steps --------------------------------------------------------------------------------------------------


def test_the_step_nearest_the_target_where_none_is_inside():
    """10 % of $10,000 at $666 a share: $666 is 6.66 %, $1,332 is 13.32 %; none inside 8–12 %, one share is nearer."""
    one = account(Row("VTI", 0, 666, 10), cash=10_000, cash_band=Band(90, 90, 90, 90))
    for logic in ("best_fit", "min_transaction"):
        found = outcome(one, logic)
        assert found.trade("VTI") == 2 - 1 + (1332 - 1000 < 1000 - 666)
        assert found.end("VTI").note == Reason.NEAREST_STEP


def test_funds_trade_in_thousandths():
    one = account(Row("VTSAX", 0, "150.25", 10, step="0.001"), cash=100_000, cash_band=Band(90, 90, 90, 90))
    assert outcome(one, "best_fit").trade("VTSAX") * 1000 == 66556  # 10,000 / 150.25 = 66.5557...
    assert outcome(one, "min_transaction").trade("VTSAX") * 1000 == 53245  # 8,000 / 150.25 = 53.2446...


def test_a_fraction_that_cannot_be_sold_stays_and_is_reported():
    one = account(Row("OLD", "10.5", 100), Row("VTI", 989, 100, 99), cash=50, cash_target=1)
    end = outcome(one, "best_fit").end("OLD")
    assert (end.trade, float(end.after), end.reason, end.note) == (-10, 0.5, Reason.NO_TARGET, Reason.FRACTION)


# --- holdings without target, exits -------------------------------------------------------------------------------


@pytest.mark.parametrize("logic", ["best_fit", "min_transaction"])
def test_what_has_no_target_is_sold_however_small(logic):
    """One share of $3: below the minimum trade, but a complete exit."""
    one = account(Row("OLD", 1, 3), Row("VTI", 98, 1000, 98), cash=1997)
    end = outcome(one, logic).end("OLD")
    assert (end.trade, end.reason) == (-1, Reason.NO_TARGET)


def test_liquidate_sells_all_that_may_be_sold():
    one = account(
        Row("AGG", 100, 50, 50),
        Row("KEEP", 10, 100, 0, rule=Reason.NO_SELL),
        Row("LOCK", 10, 100, 0, rule=Reason.DO_NOT_TRADE),
        Row("GONE", 10, 100, 50, rule=Reason.INACTIVE),
        cash=0,
    )
    found = outcome(one, "liquidate")
    assert [found.trade(symbol) for symbol in ("AGG", "GONE", "KEEP", "LOCK")] == [-100, -10, 0, 0]
    assert {end.reason for end in found.trades} == {Reason.LIQUIDATE}
    assert [found.end(symbol).note for symbol in ("KEEP", "LOCK")] == [Reason.NO_SELL, Reason.DO_NOT_TRADE]
    assert found.cash == 6000


# --- cash ---------------------------------------------------------------------------------------------------------


def test_best_fit_moves_what_is_inside_only_when_cash_needs_it():
    """VTI and AGG are inside their precision; cash of 4 % instead of 2 % is not. $2,000 go where most room is."""
    one = account(Row("VTI", 590, 100, 60), Row("AGG", 740, 50, 38), cash=4000)
    found = outcome(one, "best_fit")
    assert [end.reason for end in found.trades] == [Reason.INVESTS_CASH]
    assert found.cash == 2000


def test_cash_in_its_precision_is_left():
    one = account(Row("VTI", 600, 100, 60), Row("AGG", 760, 50, 38), cash=2000)
    assert not outcome(one, "best_fit").trades


def test_min_transaction_extends_the_trade_that_is_there_anyway():
    """VTI at 67 % of a threshold of 54–66 % has to fall by ten shares; an eleventh brings cash from 1.5 to 1.6 %."""
    one = account(Row("VTI", 670, 100, 60, Band(10, 10, 4, 4)), Row("AGG", 650, 50, 38), cash=500)
    found = outcome(one, "min_transaction")
    assert [(end.row.symbol, end.trade) for end in found.trades] == [("VTI", -11)]
    assert found.cash == 1600


def test_min_transaction_opens_one_trade_when_only_cash_is_outside():
    one = account(Row("VTI", 560, 100, 60), Row("AGG", 680, 50, 38), cash=10_000)
    found = outcome(one, "min_transaction")
    assert len(found.trades) == 1
    assert 1600 <= found.cash <= 2400


def test_negative_cash_is_raised_and_the_reason_says_so():
    one = account(Row("VTI", 610, 100, 60), Row("AGG", 780, 50, 38), cash=-500, cash_target=2)
    found = outcome(one, "min_transaction")
    assert found.cash >= 0
    assert {end.reason for end in found.trades} == {Reason.RAISES_CASH}


def test_set_aside_cash_is_not_invested():
    """$30,000 of cash, $20,000 of it set aside: V is $80,000 and $1,600 stay besides."""
    one = account(Row("VTI", 700, 100, 98), cash=30_000, set_aside=20_000)
    assert outcome(one, "best_fit").trade("VTI") == 84
    assert outcome(one, "best_fit").cash == 1600


def test_a_shortfall_is_named_and_nothing_is_traded():
    """$3,000 short, and only $2,000 may be sold."""
    one = account(
        Row("LOCK", 80, 100, 78, rule=Reason.DO_NOT_TRADE), Row("VTI", 20, 100, 20), cash=-3000, cash_target=2
    )
    for logic in ("best_fit", "min_transaction", "liquidate"):
        found = outcome(one, logic)
        assert found.shortfall == pytest.approx(1000)
        assert not found.trades


def test_no_buy_takes_cash_below_its_lower_bound():
    """99 % of $3,000 at $333: nine shares would leave $3 of the $24 that cash wants at least, so eight it is."""
    one = account(Row("VTI", 0, 333, 99), cash=3000)
    for logic in ("best_fit", "min_transaction"):
        assert outcome(one, logic).trade("VTI") == 8


def test_a_shortfall_of_weight_is_shared_in_proportion_to_target():
    """LOCK keeps 40 % of V and may not be sold; VTI 60 % and AGG 30 % have to make do with 58 % instead of 90 %."""
    one = account(
        Row("LOCK", 400, 100, 8, rule=Reason.DO_NOT_TRADE),
        Row("VTI", 0, 10, 60),
        Row("AGG", 0, 10, 30),
        cash=60_000,
        cash_target=2,
    )
    found = outcome(one, "best_fit")
    vti, agg = found.end("VTI").value, found.end("AGG").value
    assert 57_600 <= vti + agg <= 58_400
    assert float(vti / agg) == pytest.approx(2, rel=0.01)
    assert {found.end(symbol).note for symbol in ("VTI", "AGG")} == {Reason.KEEPS_CASH}
    assert found.end("LOCK").note == Reason.DO_NOT_TRADE


# --- restrictions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rule", "shares", "trades"), [
    (Reason.NO_BUY, 500, False), (Reason.NO_BUY, 1500, True),
    (Reason.NO_SELL, 500, True), (Reason.NO_SELL, 1500, False),
    (Reason.DO_NOT_TRADE, 500, False), (Reason.DO_NOT_TRADE, 1500, False),
    (Reason.INACTIVE, 500, False), (Reason.INACTIVE, 1500, True),
])  # fmt: skip
def test_a_restriction_forbids_its_direction_and_is_the_reason(rule, shares, trades):
    one = account(Row("VTI", shares, 10, 10, rule=rule), cash=100_000 - 10 * shares, cash_band=Band(90, 90, 90, 90))
    end = outcome(one, "best_fit").end("VTI")
    assert bool(end.trade) == trades
    assert trades or end.note == rule


def test_excluded_is_sold_and_says_so():
    one = account(Row("OUT", 100, 100, rule=Reason.EXCLUDED), Row("VTI", 880, 100, 98), cash=2000)
    assert outcome(one, "best_fit").end("OUT").reason == Reason.EXCLUDED
    assert outcome(one, "best_fit").trade("OUT") == -100


def test_a_substitute_is_bought_as_such_and_the_replaced_one_goes():
    one = account(
        Row("VTI", 600, 100, rule=Reason.REPLACED_BY), Row("SCHB", 0, 50, 60, rule=Reason.SUBSTITUTE_FOR),
        Row("AGG", 760, 50, 38), cash=2000,
    )  # fmt: skip
    found = outcome(one, "best_fit")
    assert (found.trade("VTI"), found.end("VTI").reason) == (-600, Reason.REPLACED_BY)
    assert (found.trade("SCHB"), found.end("SCHB").reason) == (1200, Reason.SUBSTITUTE_FOR)


# --- the minimum trade --------------------------------------------------------------------------------------------


def test_the_greater_of_dollars_and_percent_counts():
    """0.1 % of $1,000,000 is $1,000: more than $100."""
    one = account(Row("VTI", 9_500, 10, 10), cash=905_000, cash_band=Band(90, 90, 90, 90))
    assert outcome(one, "best_fit").trade("VTI") == 500
    tight = Band(20, 20, 0, 0)
    near = account(Row("VTI", 9_950, 10, 10, tight), cash=900_500, cash_band=Band(90, 90, 90, 90))
    found = outcome(near, "best_fit")
    assert (found.trade("VTI"), found.end("VTI").note) == (0, Reason.BELOW_MINIMUM)


def test_a_small_trade_is_enlarged_where_that_stays_inside_the_band():
    """$50 are missing to the target of $10,000; $100 more is $10,050, inside 9.9–10.1 %."""
    one = account(Row("VTI", 989, 10, 10, Band(20, 20, 1, 1)), cash=90_110, cash_band=Band(90, 90, 90, 90), minimum=150)
    assert outcome(one, "best_fit").trade("VTI") == 15


# --- words --------------------------------------------------------------------------------------------------------


def test_reasons_in_words():
    bands = {"weight": 13.1, "threshold": (8, 12), "precision": (9.6, 10.4)}
    assert in_words(Reason.OUTSIDE_THRESHOLD, **bands) == "outside threshold 8–12 %: 13.1 %"
    assert in_words(Reason.OUTSIDE_PRECISION, **bands) == "outside precision 9.6–10.4 %: 13.1 %"
    assert in_words(Reason.SUBSTITUTE_FOR, other="VTI") == "substitute for VTI"
    assert in_words(Reason.NO_TARGET) == "no target"
    assert in_words(Reason.RAISES_CASH) == "raises cash to target"
    assert in_words(Reason.EXCLUDED) == "excluded"
    assert in_words(Reason.DO_NOT_TRADE) == "do not trade"
    assert in_words(Reason.BELOW_MINIMUM) == "below minimum trade"
    assert in_words(Reason.NONE) == ""


@pytest.mark.parametrize(("weight", "bounds", "words"), [
    ("12.004", ("8", "12"), "8–12 %: 12.004 %"),
    ("7.996", ("8", "12"), "8–12 %: 7.996 %"),
    ("2.20545", ("2.21445", "2.4"), "2.2145–2.4 %: 2.2055 %"),
    ("12.0000004", ("8", "12"), "8–12 %: 12.0000004 %"),
    ("13.1", ("7.995", "12"), "8–12 %: 13.1 %"),
])  # fmt: skip
def test_a_weight_just_outside_does_not_read_like_its_bound(weight, bounds, words):
    bounds = tuple(map(Decimal, bounds))
    said = in_words(Reason.OUTSIDE_THRESHOLD, weight=Decimal(weight), threshold=bounds)
    assert said == f"outside threshold {words}"


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason])
def test_every_reason_has_words(reason):
    assert in_words(reason, other="VTI", weight=1, threshold=(0, 2), precision=(0, 1))


def test_unknown_lots_are_held_like_any_other():
    one = account(Row("OLD", 0, 10, lots=(Lot(5, None), Lot(5, 20, "2021-01-02"))), Row("VTI", 98, 100, 98), cash=100)
    assert outcome(one, "best_fit").trade("OLD") == -10
