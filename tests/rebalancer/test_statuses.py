"""Conditions, source and the eight statuses: facts in, verdict out."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebalancer.engine import Reason
from rebalancer.states import Source, Status
from rebalancer.statuses import Facts, Known, Outside, decide, list_in_words, restriction_words

TODAY = date(2026, 11, 20)
JUNE = datetime(2026, 6, 1, 15, tzinfo=UTC)
JULY = datetime(2026, 7, 1, 15, tzinfo=UTC)
AGG = Outside("AGG", 4.9, 8.0, 12.0)

QUIET = Facts(
    rebalancing_on=True, rebalancing_since=JUNE, last_rebalanced=JULY.date(), last_rebalanced_at=JULY,
    has_portfolio=True, all_cash=False, holds_securities=True, target_changed_on=None, business_day=TODAY,
    switched_on=JUNE.date(), flow_limit=Decimal(1000),
)  # fmt: skip
NEVER = {"last_rebalanced": None, "last_rebalanced_at": None}


def verdict(known=None, **changes):
    return decide(replace(QUIET, **changes), known or Known())


def tiles(one):
    names = ("first_rebalance", "high_cash", "low_cash", "position_drift")
    return {name for name in names if getattr(one, name)}


# --- conditions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("changes", "expected"), [
    ({}, set()),
    (NEVER, {"first_rebalance"}),
    ({"rebalancing_since": JULY + timedelta(days=1)}, {"first_rebalance"}),         # not since it was switched on
    ({"rebalancing_since": None, "last_rebalanced_at": None}, set()),               # imported: on before its last one
    ({"rebalancing_since": JUNE, "last_rebalanced_at": None}, {"first_rebalance"}),  # imported, switched on since
    ({"triggering": [AGG]}, {"position_drift"}),
    ({"high_cash": True, "triggering": [AGG]}, {"high_cash"}),
    ({"low_cash": True, "triggering": [AGG]}, {"low_cash"}),
    (NEVER | {"triggering": [AGG]}, {"first_rebalance"}),
    (NEVER | {"high_cash": True, "triggering": [AGG]}, {"first_rebalance", "high_cash"}),
    (NEVER | {"low_cash": True}, {"first_rebalance", "low_cash"}),
])  # fmt: skip
def test_conditions(changes, expected):
    assert tiles(verdict(**changes)) == expected


facts = st.builds(
    lambda **changes: replace(QUIET, **changes),
    last_rebalanced_at=st.sampled_from([None, JUNE, JULY]),
    rebalancing_since=st.sampled_from([None, JUNE, JULY]),
    last_rebalanced=st.sampled_from([None, JUNE.date()]),
    triggering=st.sampled_from([[], [AGG]]),
    unable=st.sampled_from(["", "no price for VTI"]),
    has_portfolio=st.booleans(),
    all_cash=st.booleans(),
    holds_securities=st.booleans(),
    rebalancing_on=st.booleans(),
    target_changed_on=st.sampled_from([None, TODAY]),
    attention=st.sampled_from([[], [("open orders", "it has open orders")]]),
    net_flow=st.sampled_from([Decimal(0), Decimal(5000), Decimal(-5000)]),
)
cash_sides = st.sampled_from([(False, False), (True, False), (False, True)])
pasts = st.builds(
    lambda sides, drift, **rest: Known(
        high_cash=sides[0], low_cash=sides[1], position_drift=drift and not any(sides), **rest
    ),
    cash_sides,
    st.booleans(),
    wanted=st.booleans(),
    source=st.sampled_from(["", Source.TARGET_UPDATE]),
    needed_since=st.sampled_from([None, TODAY]),
)


@given(facts, cash_sides, pasts)
def test_first_rebalance_may_coincide_with_high_or_low_cash_and_no_other_two(one, cash, known):
    found = decide(replace(one, high_cash=cash[0], low_cash=cash[1]), known)
    for two in combinations(sorted(tiles(found)), 2):
        assert two in {("first_rebalance", "high_cash"), ("first_rebalance", "low_cash")}


# --- statuses -----------------------------------------------------------------------------------------------------

NOBODY = {"has_portfolio": False}
ATTENTION = {"attention": [("open orders", "it has open orders")]}
UNABLE = {"unable": "no price for VXUS since 2026-11-17"}
LATE = {"late": "its last delivery is of 2026-11-10"}
INSIDE = "Every component is inside its threshold"
ALL_CASH = "The portfolio is 100 % cash, and securities are held"
WITHDRAWN, DEPOSITED = {"net_flow": Decimal("-1000.01")}, {"net_flow": Decimal("1000.01")}
DRIFTED = {"triggering": [AGG]}


@pytest.mark.parametrize(("changes", "status", "reason"), [
    (NOBODY | {"rebalancing_on": False}, Status.NO_PORTFOLIO, "No portfolio is assigned, and rebalancing is off"),
    (NOBODY | {"holds_securities": False}, Status.NO_PORTFOLIO, "No portfolio is assigned, and no securities are held"),
    (NOBODY, Status.LIQUIDATION, "No portfolio is assigned, and securities are held"),
    ({"all_cash": True}, Status.LIQUIDATION, ALL_CASH),
    ({"all_cash": True, "rebalancing_on": False}, Status.LIQUIDATION, ALL_CASH),
    ({"all_cash": True, "holds_securities": False}, Status.INSIDE_OF_TOLERANCE, INSIDE),
    (UNABLE, Status.UNABLE_TO_CHECK, "No price for VXUS since 2026-11-17"),
    (LATE, Status.UNABLE_TO_CHECK, "Its last delivery is of 2026-11-10"),
    (ATTENTION, Status.NEED_EXTRA_ATTENTION, "It has open orders"),
    (WITHDRAWN, Status.NEW_WITHDRAWAL, "$1,000.01 withdrawn, net of deposits"),
    (DEPOSITED, Status.NEW_DEPOSIT, "$1,000.01 deposited, net of withdrawals"),
    ({"net_flow": Decimal(1000)}, Status.INSIDE_OF_TOLERANCE, INSIDE),
    ({"net_flow": Decimal(-1000)}, Status.INSIDE_OF_TOLERANCE, INSIDE),
    (DRIFTED, Status.OUT_OF_TOLERANCE, "AGG 3.1 % below its 8 % floor"),
    (NEVER, Status.INSIDE_OF_TOLERANCE, INSIDE),
    ({"quiet": ["XA"]}, Status.INSIDE_OF_TOLERANCE,
     "Nothing triggers: XA is outside its threshold and does not trigger"),
    ({"quiet": ["Cash", "XA", "XB"]}, Status.INSIDE_OF_TOLERANCE,
     "Nothing triggers: Cash and 2 more are outside their thresholds and do not trigger"),
])  # fmt: skip
def test_the_status_and_its_reason(changes, status, reason):
    found = verdict(**changes)
    assert (found.status, found.reason) == (status, reason)


@pytest.mark.parametrize(("changes", "status"), [
    (NOBODY | UNABLE | {"rebalancing_on": False}, Status.NO_PORTFOLIO),
    (NOBODY | ATTENTION | {"holds_securities": False}, Status.NO_PORTFOLIO),
    (NOBODY | UNABLE, Status.LIQUIDATION),
    ({"all_cash": True} | ATTENTION | WITHDRAWN, Status.LIQUIDATION),
    (UNABLE | ATTENTION, Status.UNABLE_TO_CHECK),
    (UNABLE | DEPOSITED, Status.UNABLE_TO_CHECK),
    (LATE | ATTENTION | DRIFTED, Status.UNABLE_TO_CHECK),
    (ATTENTION | WITHDRAWN, Status.NEED_EXTRA_ATTENTION),
    (ATTENTION | DRIFTED, Status.NEED_EXTRA_ATTENTION),
    (WITHDRAWN | DRIFTED, Status.NEW_WITHDRAWAL),
    (DEPOSITED | DRIFTED, Status.NEW_DEPOSIT),
])  # fmt: skip
def test_where_two_rules_apply_the_first_counts(changes, status):
    assert verdict(**changes).status == status


@given(facts, cash_sides, pasts)
def test_every_account_has_one_status_and_a_reason(one, cash, known):
    found = decide(replace(one, high_cash=cash[0], low_cash=cash[1]), known)
    assert found.status in Status
    assert found.reason


# --- attention ----------------------------------------------------------------------------------------------------

TWO = [("open orders", "it has open orders"), ("failed 7", "it failed in its last request: no price")]


@pytest.mark.parametrize(("acknowledged", "reason"), [
    ((), "It has open orders; it failed in its last request: no price"),
    (("open orders",), "It failed in its last request: no price"),
    (("failed 6",), "It has open orders; it failed in its last request: no price"),     # another reason than that one
    (("open orders", "failed 7"), INSIDE),
])  # fmt: skip
def test_a_standing_reason_can_be_acknowledged(acknowledged, reason):
    assert verdict(Known(acknowledged=acknowledged), attention=TWO).reason == reason


def test_words():
    assert Outside("VTI", 13.13, 8, 12).words() == "VTI 1.13 % above its 12 % ceiling"
    held = Outside("VTI", 13.1, 8, 12, triggers=False, held_back=Reason.NO_SELL)
    assert restriction_words(held) == "VTI 1.1 % above its 12 % ceiling, kept there by a restriction: no sell"
    assert list_in_words(["a", "b", "c", "d", "e"]) == "a; b; c; and 2 more"
    assert list_in_words(["a", "b", "c"]) == "a; b; c"


# --- source and needed since --------------------------------------------------------------------------------------

SINCE = date(2026, 11, 2)
BY_DRIFT = Known(wanted=True, source=Source.DRIFT_ANALYSIS, needed_since=SINCE, position_drift=True)


@pytest.mark.parametrize(("changes", "source", "since"), [
    (NEVER, Source.REBALANCER_ON, JUNE.date()),
    (DRIFTED, Source.DRIFT_ANALYSIS, TODAY),
    ({"high_cash": True}, Source.DRIFT_ANALYSIS, TODAY),
    ({"target_changed_on": SINCE}, Source.TARGET_UPDATE, SINCE),
    ({"target_changed_on": SINCE} | DRIFTED, Source.TARGET_UPDATE, SINCE),
    (NEVER | {"target_changed_on": SINCE} | DRIFTED, Source.REBALANCER_ON, JUNE.date()),
    ({}, "", None),
])  # fmt: skip
def test_what_first_put_it_there(changes, source, since):
    found = verdict(**changes)
    assert (found.source, found.needed_since, found.wanted) == (source, since, bool(source))


@pytest.mark.parametrize("changes", [DRIFTED, {"low_cash": True}, {"target_changed_on": TODAY}, NEVER, UNABLE])
def test_both_stay_while_there_is_any_reason(changes):
    found = verdict(BY_DRIFT, **changes)
    assert (found.wanted, found.source, found.needed_since) == (True, Source.DRIFT_ANALYSIS, SINCE)


def test_an_analysis_that_finds_no_reason_ends_them():
    found = verdict(BY_DRIFT)
    assert (found.wanted, found.source, found.needed_since) == (False, "", None)


def test_what_cannot_be_checked_keeps_what_is_known_of_its_weights():
    found = verdict(replace(BY_DRIFT, high_cash=True, position_drift=False), **UNABLE)
    assert tiles(found) == {"high_cash"}
    assert tiles(verdict(BY_DRIFT, **UNABLE)) == {"position_drift"}
    assert tiles(verdict(BY_DRIFT, **UNABLE, **NEVER)) == {"first_rebalance"}


def test_nothing_is_found_by_a_delivery_that_does_not_count_and_nothing_ended():
    assert not tiles(verdict(**LATE, **DRIFTED))
    assert not verdict(**LATE, high_cash=True).wanted
    found = verdict(BY_DRIFT, **LATE, high_cash=True)
    assert (tiles(found), found.source, found.needed_since) == ({"position_drift"}, Source.DRIFT_ANALYSIS, SINCE)


def test_what_cannot_be_checked_and_was_not_wanted_does_not_come_in():
    assert not verdict(**UNABLE).wanted
