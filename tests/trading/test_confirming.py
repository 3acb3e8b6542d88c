"""Preview and Confirm of a ticket: what stands in the way, what a person should know, and that it is let go once."""

import threading
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import AuditLine, Price, Security
from accounts.services.refusals import Refused
from tests import factories as make
from trading.models import Allocation, FlatMove, MarketDay, MarketSettings, Order, OrderEvent, Route, Ticket
from trading.preview import preview
from trading.services import confirming, staging
from trading.states import Algorithm, OrderState

from .confirming import BEFORE_CLOSE, DAY_AFTER, OPEN, SATURDAY, THANKSGIVING, block, market_days, order, ticket

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(db):
    return make.operations("olive")


@pytest.fixture
def ann(db):
    return make.advisor("ann")


@pytest.fixture
def staged(desk, ann):
    """A1 sells 10 VTI and buys 15 AGG, A2 sells 5 VTI; approved at 100 and 50, which is what they cost now."""
    market_days()
    for symbol, price in (("VTI", 100), ("AGG", 50)):
        make.price(symbol, price, OPEN - timedelta(seconds=6))
    for number, advisor in (("A1", ann), ("A2", None)):
        make.lot(make.account(number, cash=Decimal(1000), advisor=advisor), "VTI", 20, cost=1500)
    return ticket(block("VTI", "sell", 100, A1=10, A2=5), block("AGG", "buy", 50, A1=15), by=desk)


def again(row):
    return type(row)._default_manager.get(pk=row.pk)


def shown(user, ticket, now=OPEN):
    return preview(user, again(ticket), now)


def keys(lines):
    return {line.key.partition(":")[0] for line in lines}


def refused(user, ticket, now=OPEN):
    return keys(shown(user, ticket, now).refusals)


def warned(user, ticket, now=OPEN):
    return keys(shown(user, ticket, now).warnings)


def seen(found):
    return {"version": found.ticket.version, "digest": found.digest, "still": found.shown}


def confirm(ticket, by, now=OPEN, **other):
    return confirming.confirm(ticket, by=by, now=now, **(seen(shown(by, ticket, now)) | other))


class TestPreview:
    def test_orders_with_their_live_prices_and_sums(self, staged, desk):
        make.price("VTI", 101, OPEN)
        found = shown(desk, staged)
        agg, vti = found.rows
        assert (vti.name, vti.quantity, vti.accounts, vti.execution) == ("Sell VTI", 15, 2, "Market")
        assert (vti.live.price, vti.value, vti.moved) == (101, 1515, 1)
        assert (agg.value, agg.moved, agg.edited) == (750, 0, "")
        assert found.totals["buys"] == 750
        assert found.totals["sells"] == 1515
        assert found.totals["net_cash"] == 765
        assert (found.totals["orders"], found.totals["accounts"]) == (2, 2)
        assert (found.totals["lowest"].number, found.totals["lowest_cash"]) == ("A1", 1260)
        assert (found.refusals, found.warnings) == ([], [])

    def test_an_advisor_sees_their_accounts_alone(self, staged, ann):
        found = shown(ann, staged)
        assert [row.quantity for row in found.rows] == [15, 10]
        assert found.totals["accounts"] == 1

    def test_who_changed_what_since_approval(self, staged, desk):
        Allocation.objects.filter(order__security__symbol="VTI", account__number="A2").update(
            quantity=0, edited_by=desk, edited_at=OPEN
        )
        order("VTI", quantity=10)
        staged.edited_by.add(desk)
        row = next(row for row in shown(desk, staged).rows if row.order.security.symbol == "VTI")
        assert (row.quantity, row.approved, row.left_out, row.accounts) == (10, 15, 1, 1)
        assert row.edited.startswith("olive, ")

    @pytest.mark.parametrize("more", [0, 30])
    def test_its_cost_does_not_grow(self, staged, desk, more, django_assert_max_num_queries):
        numbers = {f"M{number}": 1 for number in range(more)}
        for number in numbers:
            make.lot(make.account(number, cash=Decimal(100)), "QQQ", 9, cost=1)
        make.price("QQQ", 10, OPEN)
        if more:
            staged = ticket(block("QQQ", "sell", 10, **numbers), block("VTI", "sell", 100, A1=1))
        assert desk.has_perm("trading.change_order")
        staged = again(staged)
        assert desk.sees_every_account
        with django_assert_max_num_queries(6):
            preview(desk, staged, OPEN)


class TestWhatStandsInTheWay:
    def test_no_price_at_transmit(self, staged, desk):
        Price.objects.filter(security__symbol="AGG").delete()
        found = shown(desk, staged)
        assert [line.words for line in found.refusals] == ["Buy AGG: there is no price for it."]
        with pytest.raises(confirming.NoLongerSo, match="there is no price for it"):
            confirm(staged, desk)
        assert again(staged).confirmed_at is None

    def test_a_stale_price(self, staged, desk):
        Price.objects.filter(security__symbol="AGG").update(as_of=datetime(2026, 11, 18, 20, tzinfo=UTC))
        assert refused(desk, staged) == {"price"}
        make.firm(price_age_sessions=1)
        assert refused(desk, staged) == set()

    def test_a_price_of_the_last_completed_session_will_do(self, staged, desk):
        Price.objects.update(as_of=datetime(2026, 11, 19, 20, tzinfo=UTC))
        assert refused(desk, staged) == set()
        assert refused(desk, staged, datetime(2026, 11, 20, 21, 1, tzinfo=UTC)) == {"price"}

    def test_a_price_that_somebody_has_to_confirm(self, staged, desk):
        make.price("AGG", 20, OPEN, state=Price.State.QUESTIONED)
        assert "somebody has to confirm its price of 20" in shown(desk, staged).refusals[0].words

    def test_days_that_nobody_has_written(self, staged, desk):
        MarketDay.objects.all().delete()
        assert refused(desk, staged) == {"hours", "price"}

    def test_nothing_to_send(self, staged, desk):
        Allocation.objects.update(quantity=0)
        Order.objects.update(quantity=0)
        assert refused(desk, staged) == {"nothing"}

    def test_an_inactive_security_may_be_sold_but_not_bought(self, staged, desk):
        Security.objects.update(is_active=False)
        assert [line.words.partition(":")[0] for line in shown(desk, staged).refusals] == ["Buy AGG"]

    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"algorithm": Algorithm.LIMIT}, "limit"),
            ({"extended_hours": True}, "extended"),
            ({"algorithm": Algorithm.TWAP, "extended_hours": True, "limit_price": 50}, "extended"),
            ({"algorithm": Algorithm.NAV}, "fund"),
            ({"algorithm": Algorithm.VWAP, "starts_at": time(10), "ends_at": time(10, 59)}, "window"),
            ({"algorithm": Algorithm.TWAP, "starts_at": time(8), "ends_at": time(9)}, "window"),
            ({"algorithm": Algorithm.TWAP, "starts_at": time(16), "ends_at": time(17)}, "window"),
        ],
    )
    def test_an_execution_that_cannot_be(self, staged, desk, changes, why):
        order("AGG", **changes)
        assert refused(desk, staged) == {why}

    def test_a_window_still_to_come(self, staged, desk):
        order("AGG", algorithm=Algorithm.VWAP, starts_at=time(10), ends_at=time(15, 30))
        assert refused(desk, staged) == set()
        assert refused(desk, staged, SATURDAY) == set(), "on Monday"
        assert refused(desk, staged, BEFORE_CLOSE) == {"window"}

    def test_a_fund_only_at_its_nav(self, staged, desk):
        Security.objects.filter(symbol="AGG").update(kind=Security.Kind.MUTUAL_FUND)
        assert refused(desk, staged) == {"fund"}
        order("AGG", algorithm=Algorithm.NAV)
        assert (refused(desk, staged), warned(desk, staged)) == (set(), {"nav"})

    def test_cash_below_zero_at_the_prices_of_now(self, staged, desk, ann):
        make.Account.objects.filter(number="A1").update(cash=Decimal(0), set_aside_cash=Decimal(250))
        assert refused(desk, staged) == set(), "1,000 in, 750 out, 250 aside"
        make.price("AGG", "50.01", OPEN)
        (line,) = shown(desk, staged).refusals
        assert line.words == "1 account would end with cash below 0 at these prices."
        assert [(one.number, one.why) for one in line.accounts] == [("A1", "($0.15) after its orders")]
        assert refused(make.advisor("bob"), staged) == {"nothing"}, "nothing of it is theirs"
        assert refused(ann, staged) == {"cash"}

    def test_more_sold_than_held(self, staged, desk):
        make.Position.objects.filter(account__number="A2").update(quantity=4)
        (line,) = shown(desk, staged).refusals
        assert [(one.number, one.why) for one in line.accounts] == [("A2", "VTI: gives 5, holds 4")]

    def test_flat_moves_take_from_the_same_shares(self, staged, desk):
        core = make.model("Core", VTI=100)
        account = make.Account.objects.get(number="A1")
        FlatMove.objects.create(
            ticket=staged, account=account, security=make.security("VTI"), source=make.sleeve(), target=core.sleeve,
            quantity=11,
        )  # fmt: skip
        assert [one.why for one in shown(desk, staged).refusals[0].accounts] == ["VTI: gives 21, holds 20"]


class TestWhatAPersonShouldKnow:
    def test_the_market_is_closed(self, staged, desk):
        (line,) = shown(desk, staged, SATURDAY).warnings
        assert "closed until Monday 2026-11-23" in line.words
        assert "What is sent now waits for it." in line.words

    @pytest.mark.parametrize(("outage", "words"), [(False, "trades all the same"), (True, "does not answer now")])
    def test_what_the_paper_market_does_then(self, staged, desk, outage, words):
        MarketSettings.objects.update_or_create(pk=1, defaults={"paper_always_open": True, "paper_outage": outage})
        (line,) = shown(desk, staged, SATURDAY).warnings
        assert words in line.words

    def test_it_is_a_holiday(self, staged, desk):
        noon = datetime.combine(THANKSGIVING, time(17), UTC)
        for symbol in ("VTI", "AGG"):
            make.price(symbol, {"VTI": 100, "AGG": 50}[symbol], noon - timedelta(days=1))
        (line,) = shown(desk, staged, noon).warnings
        assert "today is a holiday" in line.words

    def test_it_closes_soon_or_early(self, staged, desk):
        assert "closes in 9 minutes" in shown(desk, staged, BEFORE_CLOSE).warnings[0].words
        early = datetime.combine(DAY_AFTER, time(16), UTC)
        make.price("VTI", 100, early)
        make.price("AGG", 50, early)
        assert warned(desk, staged, early) == {"early"}

    def test_a_price_that_moved(self, staged, desk):
        make.price("VTI", 102, OPEN - timedelta(seconds=2))
        assert warned(desk, staged) == set()
        make.price("VTI", "102.10", OPEN)
        (line,) = shown(desk, staged).warnings
        assert line.words.startswith("Sell VTI: its price has moved by 2.10")

    def test_cash_that_a_moving_price_may_take_below_zero(self, staged, desk):
        make.Account.objects.filter(number="A1").update(cash=Decimal("-246.25"))  # sells 1,000, buys 750
        assert warned(desk, staged) == set()  # keeps 3.75, which is 0.5 % of it
        make.Account.objects.filter(number="A1").update(cash=Decimal("-246.26"))
        (line,) = shown(desk, staged).warnings
        assert line.words.startswith("1 account keeps less than 0.50\N{NO-BREAK SPACE}% of what it buys in cash")
        assert line.words.endswith("A1 ($3.74).")

    def test_a_limit_far_away(self, staged, desk):
        order("AGG", algorithm=Algorithm.LIMIT, limit_price=Decimal("47.40"))
        assert "5.20\N{NO-BREAK SPACE}% below the price" in shown(desk, staged).warnings[0].words

    def test_extended_hours_and_a_window_that_is_cut(self, staged, desk):
        order("AGG", algorithm=Algorithm.LIMIT, limit_price=50, extended_hours=True)
        order("VTI", algorithm=Algorithm.TWAP, starts_at=time(11), ends_at=time(16, 30))
        assert warned(desk, staged) == {"extended", "cut"}

    def test_where_no_lots_are_told(self, desk):
        market_days()
        schwab = make.custodian("Schwab")
        Route.objects.create(custodian=schwab, broker="file")
        make.price("VTI", 100, OPEN)
        make.lot(make.account("F1", custodian=schwab), "VTI", 20, cost=1)
        words = [line.words for line in shown(desk, ticket(block("VTI", "sell", 100, F1=5))).warnings]
        assert any("carries no lot instructions" in one and "of Schwab" in one for one in words)

    def test_a_file_that_cannot_say_it(self, desk):
        market_days()
        schwab = make.custodian("Schwab")
        Route.objects.create(custodian=schwab, broker="file", file_format="fidelity")
        make.price("VTI", 100, OPEN)
        make.lot(make.account("F1", custodian=schwab), "VTI", 20, cost=1)
        staged = ticket(block("VTI", "sell", 100, F1=5))
        assert refused(desk, staged) == set()
        order("VTI", algorithm=Algorithm.VWAP, starts_at=time(12), ends_at=time(15))
        (line,) = shown(desk, staged).refusals
        assert line.words.startswith("Sell VTI (Schwab): ")


class TestConfirm:
    def test_orders_are_let_go(self, staged, desk):
        done = confirm(staged, desk)
        assert (done.confirmed_by, again(staged).confirmed_by) == (desk, desk)
        ids = list(Order.objects.values_list("client_order_id", "state"))
        assert all(name.startswith("RB") and len(name) <= 20 and state == "ready" for name, state in ids)
        assert len({name for name, _ in ids}) == 2
        assert OrderEvent.objects.filter(by=desk, words="confirmed").count() == 2
        line = AuditLine.objects.get(verb="ticket.confirmed")
        assert (line.by, line.after["orders"], line.after["buys"], line.after["accounts"]) == (desk, 2, "750.00", 2)

    def test_who_comes_second_is_told(self, staged, desk):
        seen_before = seen(shown(desk, staged))
        confirm(staged, desk)
        with pytest.raises(confirming.TooLate, match="were confirmed by olive"):
            confirming.confirm(staged, by=make.operations("omar"), now=OPEN, **seen_before)
        assert AuditLine.objects.get(verb="refused").after["command"] == "ticket.confirmed"

    def test_an_advisor_may_look_only(self, staged, ann):
        found = shown(ann, staged)
        with pytest.raises(confirming.MayNotConfirm, match="Operations transmits"):
            confirming.confirm(staged, by=ann, now=OPEN, **seen(found))
        assert AuditLine.objects.get(verb="refused").by == ann

    def test_four_eyes(self, staged, desk):
        again(staged).edited_by.add(desk)
        assert confirming.why_not(desk, staged) == ""
        make.firm(four_eyes=True)
        with pytest.raises(confirming.MayNotConfirm, match="four eyes"):
            confirm(staged, desk)
        assert confirm(staged, make.operations("omar")).confirmed_at

    def test_cancelled_at_the_end_of_the_day(self, staged, desk):
        before = seen(shown(desk, staged))
        staging.cancel_staged(before=timezone.now() + timedelta(seconds=1), why="end of day")
        with pytest.raises(confirming.TooLate, match=r"cancelled \(end of day\)"):
            confirming.confirm(staged, by=desk, now=OPEN, **before)

    def test_edited_meanwhile(self, staged, desk):
        before = seen(shown(desk, staged))
        Ticket.objects.update(version=2)
        order("AGG", algorithm=Algorithm.LIMIT, limit_price=50)
        with pytest.raises(confirming.NoLongerSo) as refusal:
            confirming.confirm(staged, by=desk, now=OPEN, **before)
        assert "The orders were edited meanwhile." in str(refusal.value)
        assert "Buy AGG, 15 shares, Market → Buy AGG, 15 shares, Limit 50.00" in str(refusal.value)
        assert not Order.objects.exclude(client_order_id=None).exists()

    def test_a_warning_that_was_not_shown(self, staged, desk):
        before = seen(shown(desk, staged))
        with pytest.raises(confirming.NoLongerSo, match="new: Regular session closes in 9 minutes"):
            confirming.confirm(staged, by=desk, now=BEFORE_CLOSE, **before)
        make.price("VTI", 106, OPEN)
        with pytest.raises(confirming.NoLongerSo, match="new: Sell VTI: its price has moved by 6"):
            confirming.confirm(staged, by=desk, now=OPEN, **before)

    def test_figures_that_go_on_moving_do_not_matter(self, staged, desk):
        before = seen(shown(desk, staged, BEFORE_CLOSE))
        make.price("VTI", "100.50", BEFORE_CLOSE)
        assert confirming.confirm(staged, by=desk, now=BEFORE_CLOSE + timedelta(minutes=2), **before).confirmed_at

    def test_a_warning_shown_is_no_hindrance_while_it_grows_little(self, staged, desk):
        make.price("VTI", "102.50", OPEN - timedelta(seconds=2))
        before = seen(shown(desk, staged))
        make.price("VTI", "102.60", OPEN)
        assert confirming.confirm(staged, by=desk, now=OPEN, **before).confirmed_at

    def test_what_is_left_out_ends(self, staged, desk):
        core = make.model("Core", VTI=100)
        for number in ("A1", "A2"):
            FlatMove.objects.create(
                ticket=staged, account=make.Account.objects.get(number=number), security=make.security("VTI"),
                source=make.sleeve(), target=core.sleeve, quantity=2,
            )  # fmt: skip
        Allocation.objects.filter(account__number="A2").update(quantity=0)
        Allocation.objects.filter(order__security__symbol="AGG").update(quantity=0)
        order("AGG", quantity=0)
        order("VTI", quantity=10)
        confirm(staged, desk)
        agg = order("AGG")
        assert (agg.state, agg.end_reason, agg.client_order_id) == (OrderState.CANCELLED, "left out", None)
        assert order("VTI").client_order_id
        assert set(Allocation.objects.filter(is_open=True).values_list("account__number", "quantity")) == {("A1", 10)}
        assert dict(FlatMove.objects.values_list("account__number", "is_open")) == {"A1": True, "A2": False}


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    """Each in a thread and on a connection of its own."""

    def at_once(self, *calls):
        starting, said = threading.Barrier(len(calls)), {}

        def do(number, call):
            try:
                starting.wait()
                said[number] = call()
            except Refused as refusal:
                said[number] = refusal
            finally:
                connection.close()

        threads = [threading.Thread(target=do, args=one) for one in enumerate(calls)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [said[number] for number in range(len(calls))]

    @pytest.mark.parametrize("round_", range(3))
    def test_two_people_confirm(self, staged, desk, round_):
        omar = make.operations("omar")
        before = seen(shown(desk, staged))
        answers = self.at_once(
            *(lambda by=by: confirming.confirm(staged, by=by, now=OPEN, **before) for by in (desk, omar))
        )
        refusals = [one for one in answers if isinstance(one, Refused)]
        assert len(refusals) == 1
        assert f"were confirmed by {again(staged).confirmed_by}" in str(refusals[0])
        assert AuditLine.objects.filter(verb="ticket.confirmed").count() == 1
        assert OrderEvent.objects.filter(words="confirmed").count() == 2

    @pytest.mark.parametrize("round_", range(4))
    def test_the_end_of_the_day_and_confirm(self, staged, desk, round_):
        before, end = seen(shown(desk, staged)), timezone.now() + timedelta(seconds=1)
        confirmed, cancelled = self.at_once(
            lambda: confirming.confirm(staged, by=desk, now=OPEN, **before),
            lambda: staging.cancel_staged(before=end, why="end of day"),
        )
        states = {(one.state, one.client_order_id is None) for one in Order.objects.all()}
        if isinstance(confirmed, Refused):
            assert "end of day" in str(confirmed)
            assert (cancelled, states) == ({staged.pk}, {("cancelled", True)})
            assert again(staged).confirmed_at is None
        else:
            assert (cancelled, states) == (set(), {("ready", False)})
