"""Sending: each order once, whatever the broker does, and nothing is lost."""

from datetime import datetime, time, timedelta
from decimal import Decimal
from threading import Thread
from zoneinfo import ZoneInfo

import pytest
from django.db import connection, transaction
from django.utils import timezone

from tests import factories as make
from trading.models import MarketDay, Order, Ticket
from trading.services import transmitting
from trading.services.staging import Part
from trading.states import OrderState

from .broker_server import PATIENCE
from .sent import account, again, block, confirmed, log, minute_later, order, states, ticket

NEW_YORK = ZoneInfo("America/New_York")
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def two(transactional_db):
    return account("A1", VTI=10), account("A2", VTI=10)


@pytest.fixture
def sent(two, market):
    """An order of 30 VTI for two accounts, confirmed and not sent yet."""
    confirmed(block("VTI", "buy", 100, A1=10, A2=20))
    return order()


def test_an_order_goes_out_with_all_that_a_broker_needs(sent, market):
    make.price("VTI", "98.42")
    assert transmitting.send(sent.pk)
    row = again(sent)
    assert (row.state, row.broker_reference, row.claim, row.trouble) == ("working", f"B-RB{sent.pk}", None, "")
    assert None not in (row.sent_at, row.asked_at)
    asked = market.orders[f"RB{sent.pk}"].instruction
    assert (asked["symbol"], asked["side"], asked["algorithm"]) == ("VTI", "buy", "market")
    assert (Decimal(asked["quantity"]), Decimal(asked["price"])) == (30, Decimal("98.42"))
    assert [(number, Decimal(quantity)) for number, quantity in asked["portions"]] == [("A1", 10), ("A2", 20)]
    assert states(sent) == ["ready", "sending", "working"]


def opening(offset, tomorrow):
    """When the market opens and closes so many days after tomorrow, if it does."""
    names, times = ("opens_at", "closes_at"), (time(9, 30), time(16))
    hours = {
        name: datetime.combine(tomorrow + timedelta(days=offset), at, NEW_YORK)
        for name, at in zip(names, times, strict=True)
    }
    return hours if offset > 0 else {}


def test_a_window_is_in_the_session_in_which_it_trades(sent, market):
    tomorrow = timezone.now().date() + timedelta(days=1)  # a holiday, and so are today and the days before
    MarketDay.objects.all().delete()
    for offset in range(-4, 8):
        MarketDay.objects.create(day=tomorrow + timedelta(days=offset), calendar="XNYS", **opening(offset, tomorrow))
    order(algorithm="twap", starts_at=time(10), ends_at=time(11), participation=10)
    assert transmitting.send(sent.pk)
    asked = market.orders[f"RB{sent.pk}"].instruction
    wanted = datetime.combine(tomorrow + timedelta(days=1), time(10), NEW_YORK)
    assert datetime.fromisoformat(asked["starts_at"]) == wanted
    assert datetime.fromisoformat(asked["ends_at"]) == wanted + timedelta(hours=1)


def test_without_the_markets_days_a_window_waits(sent, market):
    MarketDay.objects.all().delete()
    order(algorithm="vwap", starts_at=time(10), ends_at=time(11), participation=10)
    assert not transmitting.send(sent.pk)
    assert (again(sent).state, market.received) == ("sending", [])
    assert again(sent).trouble.startswith("The market's hours are not known yet; it is tried again at ")


def test_only_what_is_confirmed_is_sent(two, market):
    ticket(block("VTI", "buy", 100, A1=10))
    assert not transmitting.send(order().pk)
    assert transmitting.send_due() == 0
    assert (again(order()).state, market.received) == ("ready", [])


def test_what_is_left_out_is_not_sent(sent, market):
    order(quantity=0)
    assert transmitting.send_due() == 0
    assert market.received == []


def test_it_is_never_sent_inside_a_transaction(sent, market):
    with transaction.atomic(), pytest.raises(AssertionError, match="never called inside a transaction"):
        transmitting.send(sent.pk)
    assert market.received == []


def test_all_that_is_due_is_sent_once(two, market):
    confirmed(block("VTI", "buy", 100, A1=10), block("AGG", "buy", 50, A2=3))
    assert transmitting.send_due() == 2
    assert transmitting.send_due() == 0
    assert len(market.received) == len(set(market.received)) == 2


def test_two_workers_at_the_same_order_send_it_once(sent, market):
    threads = [Thread(target=_send_elsewhere, args=(sent.pk,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert market.received == [f"RB{sent.pk}"]
    assert states(sent) == ["ready", "sending", "working"]


def _send_elsewhere(pk):
    try:
        transmitting.send(pk)
    finally:
        connection.close()


def test_a_refusal_ends_the_order_with_the_brokers_words(sent, market):
    market.troubles["submit"].append("refuse")
    assert transmitting.send(sent.pk)
    row = again(sent)
    assert (row.state, row.end_reason, row.allocated_at) == ("rejected", "The symbol is halted", None)
    assert row.ended_at
    assert log(sent)[-1] == ("rejected", "The symbol is halted")


class TestNoAnswer:
    def test_a_broker_that_is_away_is_tried_again(self, sent, server):
        server.stop()
        assert not transmitting.send(sent.pk)
        row = again(sent)
        assert row.state == "sending"
        assert row.trouble.startswith("Paper market does not answer (ConnectionRefusedError); it is tried again at ")
        assert not transmitting.send(sent.pk)  # not before its time
        server.start()
        minute_later(sent)
        assert transmitting.send_due() == 1
        assert (again(sent).state, again(sent).trouble) == ("working", "")
        assert server.market.received == [f"RB{sent.pk}"]

    @pytest.mark.parametrize("trouble", ["take_and_close", "take_and_hang"])
    def test_an_order_that_arrived_without_an_answer_is_not_sent_again(self, sent, market, trouble):
        market.troubles["submit"].append(trouble)
        assert not transmitting.send(sent.pk)
        assert again(sent).state == "sending"
        minute_later(sent)
        assert transmitting.send(sent.pk)
        assert market.received == [f"RB{sent.pk}"]
        assert (again(sent).state, again(sent).broker_reference) == ("working", f"B-RB{sent.pk}")
        assert log(sent)[-1] == ("working", "the broker had it already")

    @pytest.mark.parametrize("trouble", ["close", "hang", "rubbish"])
    def test_an_order_that_did_not_arrive_is_sent_again_with_its_number(self, sent, market, trouble):
        market.troubles["submit"].append(trouble)
        assert not transmitting.send(sent.pk)
        minute_later(sent)
        assert transmitting.send(sent.pk)
        assert market.received == [f"RB{sent.pk}"]
        assert market.calls["lookup"] == 1
        assert ("sending", "sent again: the broker does not know it") in log(sent)

    @pytest.mark.parametrize("trouble", ["close", "hang", "rubbish"])
    def test_without_an_answer_to_the_question_nothing_is_sent(self, sent, market, trouble):
        market.troubles["submit"].append("take_and_close")
        market.always["lookup"] = trouble
        transmitting.send(sent.pk)
        for _ in range(3):
            minute_later(sent)
            assert not transmitting.send(sent.pk)
        assert market.received == [f"RB{sent.pk}"]
        assert states(sent).count("sending") <= 3  # the log is not filled with the same words

    def test_what_the_broker_has_refused_meanwhile_is_rejected(self, sent, market):
        market.troubles["submit"].append("take_and_close")
        transmitting.send(sent.pk)
        market.end(f"RB{sent.pk}", "rejected", "not today")
        minute_later(sent)
        assert transmitting.send(sent.pk)
        assert (again(sent).state, again(sent).end_reason) == ("rejected", "not today")

    def test_of_a_broker_that_does_not_answer_one_order_is_tried(self, two, market):
        market.always["submit"] = "hang"
        confirmed(block("VTI", "buy", 100, A1=10), block("AGG", "buy", 50, A2=3), block("BND", "buy", 50, A2=3))
        started = timezone.now()
        assert transmitting.send_due() == 0
        assert timezone.now() - started < timedelta(seconds=PATIENCE * 4)
        assert market.calls["submit"] == 1
        waiting = Order.objects.filter(state="ready")
        assert [one.trouble for one in waiting] == ["Paper market does not answer (TimeoutError)"] * 2
        market.always.clear()
        Order.objects.filter(state="sending").update(claim_expires=timezone.now())
        assert transmitting.send_due() == 3
        assert sorted(market.received) == sorted(set(market.received))
        assert not Order.objects.exclude(trouble="").exists()

    def test_a_broker_that_is_not_set_up_is_said_so(self, sent):
        order(broker="nobody")
        assert not transmitting.send(sent.pk)
        assert "no broker of the name nobody" in again(sent).trouble


def test_a_late_workers_answer_is_dropped(sent, market, settings):
    """The first worker hangs at the broker until its claim has run out and another one has taken over."""

    def meanwhile(call, when):
        if (call, when) == ("submit", "after"):
            market.hears = None
            minute_later(sent)
            _send_elsewhere(sent.pk)

    market.hears = meanwhile
    assert not transmitting.send(sent.pk)
    assert market.received == [f"RB{sent.pk}"]
    assert again(sent).state == "working"
    assert states(sent) == ["ready", "sending", "working"]


class TestTooLate:
    """Orders are for the day: what was confirmed before a session's end is not sent after it."""

    CLOSE = datetime(2026, 11, 18, 16, tzinfo=NEW_YORK)

    @pytest.fixture
    def close(self, transactional_db):
        hours = {"opens_at": self.CLOSE - timedelta(hours=6.5), "closes_at": self.CLOSE}
        MarketDay.objects.update_or_create(day=self.CLOSE.date(), defaults={"calendar": "XNYS", **hours})
        return self.CLOSE

    def test_what_was_not_sent_is_cancelled(self, sent, close, market):
        Ticket.objects.update(confirmed_at=close - timedelta(minutes=1))
        assert transmitting.send_due() == 0
        assert (again(sent).state, again(sent).end_reason) == ("cancelled", transmitting.TOO_LATE)
        assert market.received == []

    def test_confirmed_after_the_close_it_is_for_the_next_session(self, sent, close, market):
        Ticket.objects.update(confirmed_at=close + timedelta(minutes=1))
        assert transmitting.send_due() == 1

    def test_what_never_arrived_is_not_sent_the_next_day(self, sent, close, market):
        market.troubles["submit"].append("close")
        transmitting.send(sent.pk)
        Order.objects.update(sent_at=close - timedelta(minutes=1), claim_expires=close)
        assert transmitting.send(sent.pk)
        assert (again(sent).state, again(sent).end_reason) == ("rejected", transmitting.TOO_LATE)
        assert market.received == []

    def test_what_arrived_is_believed_the_next_day(self, sent, close, market):
        market.troubles["submit"].append("take_and_close")
        transmitting.send(sent.pk)
        Order.objects.update(sent_at=close - timedelta(minutes=1), claim_expires=close)
        assert transmitting.send(sent.pk)
        assert (again(sent).state, len(market.received)) == ("working", 1)


class TestSellsFirst:
    """A1 sells 10 AGG and buys VTI, A2 only buys VTI."""

    @pytest.fixture
    def staged(self, market):
        make.price("VTI", 100)
        account("A1", cash=0, AGG=10), account("A2", cash=5000)
        sell = block("AGG", "sell", 50, A1=10)
        sell.parts[0].lots.append(["A1-AGG", "10"])
        return confirmed(sell, block("VTI", "buy", 100, A1=4, A2=7), sells_first=True)

    def booked(self, filled, cash):
        """As allocation leaves it."""
        sell = order("AGG", "sell", state="filled" if filled == 10 else "cancelled", filled_quantity=filled)
        sell.allocations.update(filled_quantity=filled, filled_amount=filled * 50, is_open=False)
        order("AGG", "sell", allocated_at=timezone.now())
        make.Account.objects.filter(number="A1").update(cash=cash)

    def test_buys_wait_until_the_sells_are_booked(self, staged, market):
        assert transmitting.send_due() == 1
        assert order("VTI").state == "ready"
        assert transmitting.send_due() == 0
        assert not transmitting.send(order("VTI").pk)
        order("AGG", "sell", state="filled", filled_quantity=10)
        assert transmitting.send_due() == 0  # filled, but its money is not there yet
        self.booked(10, 500)
        assert transmitting.send_due() == 1
        assert Decimal(market.orders[order("VTI").client_order_id].instruction["quantity"]) == 11

    def test_an_account_whose_sells_brought_too_little_is_cut_to_its_cash(self, staged, market):
        self.booked(5, 250)
        assert transmitting.send_due() == 1
        buy = order("VTI")
        assert (buy.quantity, buy.state) == (9, "working")
        cut = buy.allocations.get(account__number="A1")
        assert (cut.quantity, cut.is_open, cut.approved_quantity) == (2, True, 4)
        assert cut.edit_words == "cut from 4: too little cash"
        assert ("ready", "1 account cut: too little cash after their sells") in log(buy)
        asked = market.orders[buy.client_order_id].instruction
        assert {number: Decimal(shares) for number, shares in asked["portions"]} == {"A1": 2, "A2": 7}

    def test_one_that_cannot_pay_for_a_share_is_left_out(self, staged, market):
        self.booked(1, 50)
        assert transmitting.send_due() == 1
        buy = order("VTI")
        left = buy.allocations.get(account__number="A1")
        assert (buy.quantity, left.quantity, left.is_open) == (7, 0, False)
        assert left.edit_words == "left out: too little cash after its sells"
        assert ("ready", "1 account left out: too little cash after their sells") in log(buy)
        asked = market.orders[buy.client_order_id].instruction
        assert [number for number, _ in asked["portions"]] == ["A2"]

    def test_sells_that_filled_wholly_but_cheaper(self, staged):
        self.booked(10, 399)
        assert transmitting.send_due() == 1
        assert order("VTI").allocations.get(account__number="A1").quantity == 3

    def test_a_price_that_rose_meanwhile_cuts_also_who_sells_nothing(self, staged):
        self.booked(10, 500)
        make.price("VTI", "714.29")  # 7 of them are 5,000.03; A1 pays for none
        assert transmitting.send_due() == 1
        parts = order("VTI").allocations.order_by("account__number")
        assert [part.quantity for part in parts] == [0, 6]

    def test_an_account_with_other_cash_stays_in(self, staged):
        self.booked(5, 400)
        assert transmitting.send_due() == 1
        assert order("VTI").quantity == 11

    def test_cash_in_a_sweep_pays_too(self, staged):
        self.booked(5, 250)
        make.security("CORE", kind="sweep"), make.price("CORE", 1)
        make.lot(make.Account.objects.get(number="A1"), "CORE", 150)
        transmitting.send_due()
        assert order("VTI").quantity == 11

    def test_set_aside_cash_does_not_count(self, staged):
        self.booked(5, 400)
        make.Account.objects.filter(number="A1").update(set_aside_cash=1)
        transmitting.send_due()
        assert order("VTI").quantity == 10

    def test_funds_are_cut_in_their_own_steps(self, market):
        account("A1", cash=0, AGG=10)
        make.security("FUND", kind="mutual_fund"), make.price("FUND", "17.77")
        confirmed(block("AGG", "sell", 50, A1=10), block("FUND", "buy", "17.77", A1="28.137"), sells_first=True)
        self.booked(10, Decimal("499.98"))  # 28.137 are 499.99
        assert transmitting.send_due() == 1
        assert order("FUND").quantity == Decimal("28.136")

    def test_what_is_lacking_is_taken_off_all_buys_alike(self, market):
        account("A1", cash=600, AGG=10)
        confirmed(block("AGG", "sell", 50, A1=10), block("VTI", "buy", 100, A1=4), block("BND", "buy", 100, A1=4),
                  sells_first=True)  # fmt: skip
        self.booked(0, 600)
        assert transmitting.send_due() == 2
        assert [order(symbol).quantity for symbol in ("VTI", "BND")] == [3, 3]

    def test_the_largest_part_of_an_accounts_sleeves_is_cut(self, market):
        one, core = account("A1", cash=0, AGG=10), make.model("Core", VTI=100)
        buy = block("VTI", "buy", 100, A1=2)
        buy.parts.append(Part(one.pk, core.sleeve.pk, Decimal(3), []))
        confirmed(block("AGG", "sell", 50, A1=10), buy, sells_first=True)
        self.booked(2, 100)
        assert transmitting.send_due() == 1
        assert sorted(order("VTI").allocations.values_list("quantity", flat=True)) == [0, 1]

    def test_sells_that_ended_without_a_fill_release_and_leave_nothing(self, market):
        account("A1", cash=0, AGG=10)
        confirmed(block("AGG", "sell", 50, A1=10), block("VTI", "buy", 100, A1=4), sells_first=True)
        order("AGG", "sell", state=OrderState.REJECTED)
        assert transmitting.send_due() == 0
        buy = order("VTI")
        assert (buy.state, buy.quantity) == ("cancelled", 0)
        assert buy.end_reason == "every account was left out: too little cash after their sells"
        assert market.received == []

    def test_without_the_switch_nothing_waits(self, staged):
        Ticket.objects.update(sells_first=False)
        assert transmitting.send_due() == 2
