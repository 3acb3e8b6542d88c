"""The rules of PRODUCT 4, on accounts that hypothesis makes up. `rules.py` says each of them in plain words."""

import pytest
from hypothesis import event, given

from rebalancer.engine import LOGICS, Reason, check

from . import rules
from .building import book
from .rules import outcome
from .strategies import accounts


@pytest.mark.parametrize("logic", LOGICS)
@given(accounts())
def test_every_rule_holds_for_any_account(logic, account):
    found = outcome(account, logic)
    for rule in rules.rules_of(account, logic):
        rule(found)


@pytest.mark.parametrize("logic", ["best_fit", "min_transaction"])
@given(accounts(fine=True))
def test_components_and_cash_end_where_they_belong(logic, account):
    event("fine" if rules.is_free(account) else "coarse")
    found = outcome(account, logic)
    for rule in rules.rules_of(account, logic):
        rule(found)


@given(accounts())
def test_min_transaction_has_no_more_trades_and_turnover_than_best_fit(account):
    fewest, best = outcome(account, "min_transaction"), outcome(account, "best_fit")
    rules.no_more_trades(fewest, best)
    rules.no_more_turnover(fewest, best)


@given(accounts(fine=True))
def test_the_same_of_accounts_without_obstacles(account):
    fewest, best = outcome(account, "min_transaction"), outcome(account, "best_fit")
    rules.no_more_trades(fewest, best)
    rules.no_more_turnover(fewest, best)


@given(accounts(sleeves=True))
def test_every_rule_holds_sleeve_by_sleeve(account):
    for logic in LOGICS:
        found = outcome(account, logic)
        for rule in rules.ALWAYS:
            rule(found)


@given(accounts())
def test_liquidate_leaves_nothing_that_may_be_sold(account):
    found = outcome(account, "liquidate")
    assert not found.buys
    for end in found.ends:
        if end.row.may_sell and not found.shortfall:
            assert end.after < end.row.step
            assert end.after == 0 or end.note == Reason.FRACTION or end.trade


@given(accounts())
def test_what_is_inside_every_band_is_left_alone(account):
    """No trade is proposed for an account of which every component and cash are inside their precision."""
    value = account.value
    bands = [(row.value, row.bounds) for row in account.rows] + [(account.available, account.cash_bounds)]
    if all(bounds[2] * value <= held * 100 <= bounds[3] * value for held, bounds in bands):
        assert not outcome(account, "best_fit").trades


@given(accounts())
def test_what_is_flagged_is_traded_or_says_why_not(account):
    found = outcome(account, "min_transaction")
    for symbol, sleeve in rules.flagged(account):
        end = found.end(symbol, sleeve)
        assert end.trade or end.note not in (Reason.NONE, Reason.INSIDE_THRESHOLD) or found.shortfall


@given(accounts(fine=True))
def test_nothing_is_flagged_that_no_proposal_would_trade(account):
    drift = check(book(account))
    flags = [drift.triggers, drift.high_cash, drift.low_cash]
    if rules.is_free(account) and any(flag.any() for flag in flags):
        assert outcome(account, "min_transaction").trades
