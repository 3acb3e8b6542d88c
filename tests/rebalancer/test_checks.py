"""The drift analysis from the database: tiles, statuses, source and needed since over several analyses."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from accounts.models import Account, Price, Restriction, TaxStatus, Transaction
from accounts.services import portfolios
from accounts.services.accounts import assign_portfolio, switch_rebalancing
from rebalancer import flows, selectors
from rebalancer.models import Check
from rebalancer.services import batches, checks
from rebalancer.states import Source, Status
from tests import factories as make
from trading import sessions

from .conftest import pending

pytestmark = pytest.mark.django_db
KIND = Restriction.Kind
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
LONG_AGO = NOON - timedelta(days=100)


@pytest.fixture
def balanced():
    """60 % VTI at $100 (threshold 48–72 %), 38 % AGG at $50 (30.4–45.6 %), 2 % cash (1.6–2.4 %)."""
    make.price("VTI", 100)
    make.price("AGG", 50)
    return make.portfolio("Balanced", VTI=60, AGG=38)


def holding(portfolio, vti=600, agg=760, cash=2000, *, rebalanced=True, **fields):
    """An account of these shares and cash, delivered in time; rebalanced to its present target long ago, or never."""
    if rebalanced:
        version = portfolio.versions.order_by("-number").first() if portfolio else None
        done = {"last_rebalanced": LONG_AGO.date(), "last_rebalanced_at": LONG_AGO, "rebalanced_to": version}
        fields = done | {"rebalancing_since": LONG_AGO - timedelta(days=1)} | fields
    fields.setdefault("rebalancing_since", LONG_AGO)
    fields.setdefault("delivered_for", sessions.last_completed_session())
    account = make.account(portfolio=portfolio, cash=Decimal(cash), **fields)
    for symbol, shares in (("VTI", vti), ("AGG", agg)):
        if shares:
            make.lot(account, symbol, shares, cost=1000)
    return account


def check_of(account, as_of=None):
    checks.analyse([account.pk], as_of=as_of)
    return Check.objects.get(pk=account.pk)


def tiles(check):
    return {tile for tile in selectors.TILES if getattr(check, tile)}


# --- conditions and figures ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("vti", "agg", "cash", "expected", "symbols"), [
    (600, 760, 2000, set(), ""),
    (480, 760, 14_000, {"high_cash"}, "Cash"),
    (620, 760, 0, {"low_cash"}, "Cash"),
    (730, 500, 2000, {"position_drift"}, "AGG, VTI"),
    (730, 540, 0, {"low_cash"}, "Cash, AGG, VTI"),
])  # fmt: skip
def test_tiles_and_securities_triggering(balanced, vti, agg, cash, expected, symbols):
    check = check_of(holding(balanced, vti, agg, cash))
    assert (tiles(check), check.triggering) == (expected, symbols)
    assert check.triggers == len(symbols.split(", ")) * bool(symbols)
    never = check_of(holding(balanced, vti, agg, cash, rebalanced=False))
    assert tiles(never) == {"first_rebalance"} | expected - {"position_drift"}


def test_figures(balanced):
    """$73,000 VTI, $25,000 AGG, $2,000 cash besides $1,000 set aside; $5,000 more are protected."""
    account = holding(balanced, 730, 500, 3000, set_aside_cash=1000)
    make.lot(account, "VTI", 50, cost=1, sleeve_of="protected")
    check = check_of(account)
    assert (check.market_value, check.managed_value, check.cash, check.available_cash) == (106_000, 100_000, 3000, 2000)
    assert (check.cash_weight, check.target_cash) == (2, 2)
    assert (check.drift_of, check.drift, check.drift_weight) == ("AGG", -13, 25)    # 13 of 7.6 points
    assert (check.drift_lower, check.drift_upper) == (Decimal("30.4"), Decimal("45.6"))
    assert float(check.drift_percent) == pytest.approx(-34.210526)
    assert check.status == Status.NEED_EXTRA_ATTENTION


def test_sweeps_are_cash(balanced):
    make.security("SPAXX", kind="sweep")
    make.price("SPAXX", 1)
    account = holding(balanced, cash=500)
    make.lot(account, "SPAXX", 1500, cost=1500)
    assert check_of(account).cash == 2000
    assert tiles(check_of(account)) == set()


def test_without_a_portfolio_the_target_is_all_cash(balanced):
    check = check_of(holding(None))
    assert tiles(check) == {"low_cash"}
    assert (check.status, check.target_cash) == (Status.LIQUIDATION, 100)
    empty = check_of(holding(None, 0, 0, 100))
    assert (tiles(empty), empty.status) == (set(), Status.NO_PORTFOLIO)


def test_a_component_that_is_switched_off_flags_nothing(balanced):
    parts = [make.component("VTI", 60, triggers=False), make.component("AGG", 38, triggers=False)]
    quiet = make.portfolio("Quiet", parts)
    make.firm(attention_points=Decimal(50))
    check = check_of(holding(quiet, 730, 500))
    assert (tiles(check), check.status) == (set(), Status.INSIDE_OF_TOLERANCE)


def test_closed_accounts_are_not_checked(balanced):
    account = holding(balanced)
    check_of(account)
    Account.objects.update(is_open=False)
    assert checks.analyse() == 0
    assert not Check.objects.exists()


# --- unable to check ----------------------------------------------------------------------------------------------


def test_a_stale_price_of_a_holding_or_a_target(balanced):
    Price.objects.filter(security__symbol="AGG").delete()
    make.price("AGG", 50, as_of=date(2026, 11, 2))
    for account in (holding(balanced), holding(balanced, agg=0)):
        check = check_of(account)
        assert (check.status, check.reason) == (Status.UNABLE_TO_CHECK, "No price for AGG since 2026-11-02")
        assert check.managed_value is None


def test_what_is_outside_and_does_not_trigger_is_said(balanced):
    cash = make.component("cash", 40, triggers=False)
    still = make.portfolio("Still", [make.component("VTI", 20, triggers=False), make.component("AGG", 40), cash])
    check = check_of(holding(still, 120, 800, 48000))
    assert (check.status, check.reason) == (
        Status.INSIDE_OF_TOLERANCE, "Nothing triggers: VTI is outside its threshold and does not trigger",
    )  # fmt: skip
    check = check_of(holding(still, 120, 780, 49000))  # cash 49 % of 32–48 %
    assert check.reason == "Nothing triggers: Cash and 1 more are outside their thresholds and do not trigger"
    make.firm(minimum_trade_dollars=Decimal(20_000))
    check = check_of(holding(make.portfolio("Small", VTI=20, AGG=40), 120, 800, 48000))  # $8,000 to its target
    assert check.reason == "Nothing triggers: VTI is outside its threshold and does not trigger"


def test_a_missing_price_of_what_is_protected_does_not_matter(balanced):
    account = holding(balanced)
    make.lot(account, "ODD", 5, cost=1, sleeve_of="protected")
    assert check_of(account).status == Status.INSIDE_OF_TOLERANCE


@pytest.mark.parametrize("cash", [0, -10])
def test_nothing_to_weigh(balanced, cash):
    assert check_of(holding(balanced, 0, 0, cash)).status == Status.UNABLE_TO_CHECK


@pytest.mark.parametrize(("shares", "fields", "sleeve"), [
    (50_000_000, {}, "managed"),  # × $900,000 = $45 trillion, which int64 would show as another sum
    (11_000_000, {}, "managed"),
    (11_000_000, {}, "protected"),
    (1, {"cash": 9_100_000_000_000}, "managed"),
])  # fmt: skip
def test_more_than_can_be_reckoned_exactly(balanced, desk, shares, fields, sleeve):
    make.price("VAST", 900_000)
    account = holding(balanced, **{"cash": 2000} | fields)
    make.lot(account, "VAST", shares, cost=1, sleeve_of=sleeve)
    check = check_of(account)
    words = "It is worth more than 9 trillion dollars, and its figures would not be exact"
    assert (check.status, check.reason, check.market_value) == (Status.UNABLE_TO_CHECK, words, None)
    assert pending(desk, account).entries.get().reason == f"{words}."


def test_just_below_that_it_is_exact(balanced):
    make.price("VAST", 900_000)
    account = holding(balanced)
    make.lot(account, "VAST", 9_900_000, cost=1)
    assert check_of(account).market_value == Decimal(9_900_000) * 900_000 + 100_000


@pytest.mark.parametrize(("fields", "words"), [
    ({"delivered_for": None}, "The custodian has delivered nothing for it yet"),
    ({"delivered_for": date(2026, 1, 5)}, "Its last delivery is of 2026-01-05"),
    ({"delivery_problem": "lots.csv refused in the delivery of 2026-11-20"},
     "Its delivery of 2026-11-20 is broken: lots.csv refused"),
])  # fmt: skip
def test_a_late_or_broken_delivery(balanced, fields, words):
    check = check_of(holding(balanced, **fields))
    assert (check.status, check.reason) == (Status.UNABLE_TO_CHECK, words)


def test_half_a_delivery_flags_nothing_and_ends_nothing(balanced):
    """The cash of a delivery was taken, its lots were refused."""
    flat, drifted = holding(balanced), holding(balanced, 750, 400, 5000)
    before = [check_of(flat), check_of(drifted)]
    assert [(one.wanted, tiles(one)) for one in before] == [(False, set()), (True, {"high_cash"})]
    half = "lots.csv refused in the delivery of 2026-11-20"
    Account.objects.filter(pk=flat.pk).update(cash=20000, delivery_problem=half)
    Account.objects.filter(pk=drifted.pk).update(cash=2000, delivery_problem=half)
    for account, was in zip((flat, drifted), before, strict=True):
        now = check_of(account)
        assert (tiles(now), now.wanted, now.source, now.needed_since) == (
            tiles(was), was.wanted, was.source, was.needed_since,
        )  # fmt: skip
        assert (now.status, now.triggering) == (Status.UNABLE_TO_CHECK, "")
    Account.objects.filter(pk=flat.pk).update(delivery_problem="")
    assert tiles(check_of(flat)) == {"high_cash"}


# --- attention ----------------------------------------------------------------------------------------------------


def keys(check):
    return [one["key"] for one in check.attention]


@pytest.mark.parametrize(("kind", "vti", "agg", "held"), [
    (KIND.NO_BUY, 680, 600, True), (KIND.DO_NOT_TRADE, 680, 600, True), (KIND.NO_SELL, 680, 600, False),
])  # fmt: skip
def test_a_component_that_a_restriction_keeps_outside(balanced, kind, vti, agg, held):
    """AGG at 30 % of a floor of 30.4 %."""
    account = holding(balanced, vti, agg)
    make.restriction(account, "AGG", kind)
    check = check_of(account)
    assert (check.status == Status.NEED_EXTRA_ATTENTION) is held
    assert ("AGG" in check.triggering) is not held
    assert not held or check.reason.startswith("AGG 0.4 % below its 30.4 % floor, kept there by a restriction")


def test_unknown_cost_that_would_be_sold(balanced):
    taxable, deferred = (holding(balanced, 730, 500, tax_status=status) for status in TaxStatus.values[:2])
    for account in (taxable, deferred):
        make.lot(account, "OLD", 1, cost=None)
    make.price("OLD", 10)
    make.firm(attention_points=Decimal(50))
    assert keys(check_of(taxable)) == ["unknown cost OLD"]
    assert keys(check_of(deferred)) == []


def test_far_from_its_target_unless_it_is_the_first_rebalance(balanced):
    """AGG at 25 % is 13 points below its 38 %, VTI at 73 % is 13 above its 60 %."""
    assert keys(check_of(holding(balanced, 730, 500))) == ["far AGG below 1", "far VTI above 1"]
    assert keys(check_of(holding(balanced, 730, 500, rebalanced=False))) == []
    assert keys(check_of(holding(balanced, 690, 580))) == []     # 9 points


def test_an_acknowledged_reason_counts_again_when_it_changes(balanced):
    account = holding(balanced, 730, 500)
    assert check_of(account).status == Status.NEED_EXTRA_ATTENTION
    Check.objects.update(acknowledged=["far AGG below 1", "far VTI above 1"])
    assert check_of(account).status == Status.OUT_OF_TOLERANCE
    make.lot(account, "AGG", 1800, cost=1)
    assert keys(check_of(account)) == ["far AGG above 2", "far VTI below 2"]
    assert check_of(account).status == Status.NEED_EXTRA_ATTENTION


def test_failed_in_its_last_batch(balanced, desk):
    account = holding(balanced, 730, 500)
    Price.objects.filter(security__symbol="AGG").delete()
    pending(desk, account)
    make.price("AGG", 50)
    check = check_of(account)
    assert keys(check)[0].startswith("failed ")
    assert "failed in its last request: no price for AGG" in check.reason


# --- flows --------------------------------------------------------------------------------------------------------


def flow(account, kind, amount, on, recorded=None, **fields):
    number = Transaction.objects.count()
    recorded = {"recorded_at": recorded} if recorded else {}
    Transaction.objects.create(
        account=account, kind=kind, amount=Decimal(amount), date=on, external_id=f"T{number}", **recorded, **fields
    )


@pytest.mark.parametrize(("amounts", "status"), [
    ([-1001], Status.NEW_WITHDRAWAL),
    ([1001], Status.NEW_DEPOSIT),
    ([1000], Status.INSIDE_OF_TOLERANCE),               # the greater of $1,000 and 1 % of $100,000: not above it
    ([5000, -4500], Status.INSIDE_OF_TOLERANCE),
    ([600, 600], Status.NEW_DEPOSIT),
])  # fmt: skip
def test_flows_since_the_last_rebalance(balanced, amounts, status):
    account = holding(balanced)
    for amount in amounts:
        flow(account, "deposit" if amount > 0 else "withdrawal", amount, LONG_AGO.date() + timedelta(days=1))
    assert check_of(account, as_of=NOON.date()).status == status


def test_what_the_approval_had_in_the_book_does_not_count_again(balanced):
    account = holding(balanced)
    flow(account, "deposit", 5000, LONG_AGO.date(), recorded=LONG_AGO - timedelta(hours=1))
    flow(account, "deposit", 7000, LONG_AGO.date() - timedelta(days=1))
    assert check_of(account).status == Status.INSIDE_OF_TOLERANCE
    flow(account, "deposit", 5000, LONG_AGO.date(), recorded=LONG_AGO + timedelta(hours=1))
    assert check_of(account).status == Status.NEW_DEPOSIT


def test_without_a_rebalance_the_last_thirty_days_count(balanced):
    account, day = holding(balanced, rebalanced=False), NOON.date()
    flow(account, "deposit", 5000, day - timedelta(days=31))
    assert check_of(account, as_of=day).status != Status.NEW_DEPOSIT
    flow(account, "deposit", 5000, day - timedelta(days=30))
    assert check_of(account, as_of=day).status == Status.NEW_DEPOSIT


def test_one_percent_of_a_large_account(balanced):
    account = holding(balanced, 6000, 7600, 20_000)
    flow(account, "withdrawal", -9000, NOON.date() - timedelta(days=1))
    assert check_of(account).status == Status.INSIDE_OF_TOLERANCE
    flow(account, "withdrawal", -1500, NOON.date() - timedelta(days=1))
    assert check_of(account).status == Status.NEW_WITHDRAWAL


def test_in_kind_counts_at_its_value(balanced):
    account = holding(balanced)
    flow(account, "deposit", 0, NOON.date(), security=make.security("VTI"), quantity=Decimal(11))
    assert check_of(account, as_of=NOON.date()).status == Status.NEW_DEPOSIT
    flow(account, "withdrawal", 0, NOON.date(), security=make.security("VTI"), quantity=Decimal(-11))
    assert check_of(account, as_of=NOON.date()).status == Status.INSIDE_OF_TOLERANCE


@pytest.mark.parametrize(("kind", "dollars"), [("deposit", "1000.01"), ("withdrawal", "-1000.01")])
def test_in_kind_counts_to_the_cent_half_up(kind, dollars):
    moved = Transaction(kind=kind, amount=Decimal(0), quantity=Decimal("0.5"))
    assert str(flows.dollars(moved, Decimal("2000.01"))) == dollars


def test_buys_and_dividends_are_no_flows(balanced):
    account = holding(balanced)
    for kind in ("buy", "sell", "dividend", "interest", "fee", "journal"):
        flow(account, kind, 9000, NOON.date())
    assert check_of(account, as_of=NOON.date()).status == Status.INSIDE_OF_TOLERANCE


# --- source and needed since --------------------------------------------------------------------------------------

MONDAY, TUESDAY = date(2026, 11, 16), date(2026, 11, 17)


def why(check):
    return check.wanted, check.source, check.needed_since


def test_drift_stays_what_put_it_there_until_no_reason_is_left(balanced):
    account = holding(balanced, 730, 500)
    assert why(check_of(account, MONDAY)) == (True, Source.DRIFT_ANALYSIS, MONDAY)
    assert why(check_of(account, TUESDAY)) == (True, Source.DRIFT_ANALYSIS, MONDAY)
    make.lot(account, "AGG", 400, cost=1)
    assert tiles(check_of(account, TUESDAY)) == set()
    assert why(check_of(account, TUESDAY)) == (False, "", None)
    make.lot(account, "AGG", 2000, cost=1)
    assert why(check_of(account, TUESDAY)) == (True, Source.DRIFT_ANALYSIS, TUESDAY)


def test_drift_that_becomes_high_cash_is_the_same_need(balanced):
    account = holding(balanced, 730, 500)
    check_of(account, MONDAY)
    Account.objects.update(cash=50_000)
    check = check_of(account, TUESDAY)
    assert "high_cash" in tiles(check)
    assert why(check) == (True, Source.DRIFT_ANALYSIS, MONDAY)


def test_rebalancing_switched_on(balanced):
    account = holding(balanced, rebalancing_on=False)
    assert why(check_of(account)) == (False, "", None)
    switch_rebalancing(Account.objects.filter(pk=account.pk), True, by=None)
    assert why(check_of(account)) == (True, Source.REBALANCER_ON, sessions.today())


def test_another_portfolio_is_a_target_update(balanced):
    account = holding(balanced)
    assert why(check_of(account)) == (False, "", None)
    assign_portfolio(account, make.portfolio("Twin", VTI=60, AGG=38), by=None)
    assert why(check_of(account)) == (False, "", None)      # the same weights
    assign_portfolio(account, make.portfolio("Other", VTI=58, AGG=40), by=None)
    assert why(check_of(account)) == (True, Source.TARGET_UPDATE, sessions.today())


def test_a_models_change_is_a_target_update_of_every_portfolio_that_uses_it(balanced):
    model = make.model("Core", VTI=60, AGG=40)
    mixed = make.portfolio("Mixed", [make.component(model, 98)])
    account = holding(mixed, 0, 0, 100_000)
    assert check_of(account).source == Source.DRIFT_ANALYSIS
    Check.objects.all().delete()
    make.model("Core", VTI=61, AGG=39)
    assert check_of(account).source == Source.TARGET_UPDATE


def test_a_band_is_no_target_update(balanced):
    account = holding(balanced)
    parts = [make.component("VTI", 60, threshold_lower=1, precision_lower=1), make.component("AGG", 38)]
    portfolios.save_portfolio(balanced, [*parts, make.component("cash", 2)], by=None)
    assert why(check_of(account)) == (False, "", None)


def test_what_cannot_be_checked_keeps_source_and_needed_since(balanced):
    account = holding(balanced, 730, 500)
    check_of(account, MONDAY)
    Price.objects.filter(security__symbol="AGG").delete()
    check = check_of(account, TUESDAY)
    assert check.status == Status.UNABLE_TO_CHECK
    assert why(check) == (True, Source.DRIFT_ANALYSIS, MONDAY)
    assert tiles(check) == {"position_drift"}


def test_a_rebalance_ends_both(balanced, desk):
    account = holding(balanced, 730, 500)
    check_of(account, MONDAY)
    batch = pending(desk, account)
    seen = selectors.stake(batch)
    batches.approve(
        batch, by=desk, version=batch.proposal_version, accounts=seen.accounts, net_dollars=seen.net_dollars
    )
    batches.finish_approval(batch.pk)
    check = check_of(account, TUESDAY)     # not yet booked: it drifts as before, and that is a new need
    assert why(check) == (True, Source.DRIFT_ANALYSIS, TUESDAY)
    assert "open orders" in keys(check)
    assert not selectors.in_queue(Account.objects.filter(pk=account.pk)).exists()


def test_being_in_a_batch_does_not_end_them(balanced, desk):
    account = holding(balanced, 730, 500)
    check_of(account, MONDAY)
    pending(desk, account)
    assert why(check_of(account, TUESDAY)) == (True, Source.DRIFT_ANALYSIS, MONDAY)


# --- restrictions in force ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("day", "counts"), [
    (date(2026, 11, 15), False), (MONDAY, True), (TUESDAY, True), (date(2026, 11, 18), False),
])  # fmt: skip
def test_both_days_of_a_restriction_are_included(balanced, day, counts):
    account = holding(balanced, 680, 600)
    make.restriction(account, "AGG", KIND.NO_BUY, start=MONDAY, end=TUESDAY)
    assert ("AGG" not in check_of(account, day).triggering) is counts


# --- many at once -------------------------------------------------------------------------------------------------


def what_is_stored():
    names = [field.name for field in Check._meta.fields if field.name != "checked_at"]
    return list(Check.objects.order_by("pk").values(*names))


def test_chunks_and_company_change_nothing(balanced, monkeypatch):
    for number in range(7):
        holding(balanced, 600 + 20 * number, 760 - 30 * number, 1000 * number)
    checks.analyse(as_of=MONDAY)
    together = what_is_stored()
    monkeypatch.setattr(checks, "ACCOUNTS_AT_ONCE", 2)
    told = []
    assert checks.analyse(as_of=MONDAY, progress=lambda done, total: told.append((done, total))) == 7
    assert what_is_stored() == together
    assert told == [(2, 7), (4, 7), (6, 7), (7, 7)]


def test_an_older_check_does_not_overwrite_a_newer_one(balanced):
    account = holding(balanced)
    check_of(account)
    later = timezone.now() + timedelta(minutes=5)
    Check.objects.update(checked_at=later, reason="newer")
    assert check_of(account).reason == "newer"
