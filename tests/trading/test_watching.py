"""Watching: fills in any order and however often, states that follow, ends, and what is said where nobody answers."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Thread

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.utils import timezone

from accounts.models import AuditLine, Position
from accounts.services.refusals import Refused
from tests import factories as make
from trading.models import Allocation, Fill, FlatMove, MarketDay, Order
from trading.services import taking_in, transmitting, watching
from trading.services.staging import Move

from .confirming import ticket
from .sent import account, again, block, confirmed, log, order, states

pytestmark = pytest.mark.django_db(transaction=True)
NAME = "RB1"


@pytest.fixture
def two(transactional_db):
    return account("A1"), account("A2")


@pytest.fixture
def working(two, market):
    """An order to buy 1,000 VTI for two accounts, at the broker."""
    confirmed(block("VTI", "buy", 100, A1=400, A2=600))
    assert transmitting.send(order().pk)
    return again(order())


def name(of):
    return f"RB{of.pk}"


def fills(of):
    return list(Fill.objects.filter(order=of).order_by("pk").values_list("quantity", "price", "state"))


class TestFills:
    def test_step_by_step_until_it_is_filled_and_booked(self, working, market):
        assert watching.watch()
        assert again(working).state == "working"
        market.fill(name(working), 300, "98.42")
        watching.watch()
        row = again(working)
        assert (row.state, row.filled_quantity, row.filled_amount) == ("partially_filled", 300, Decimal("29526"))
        assert log(working)[-1] == ("partially_filled", "300 of 1,000 filled at 98.42")
        market.fill(name(working), 700, "98.43")
        watching.watch()
        row = again(working)
        assert (row.state, row.filled_quantity, row.filled_amount) == ("filled", 1000, Decimal("98427"))
        assert (row.average_price, row.ended_at is not None) == (Decimal("98.427"), True)
        assert row.allocated_at
        held = dict(Position.objects.values_list("account__number", "quantity"))
        assert held == {"A1": 400, "A2": 600}
        assert sum(row.filled_amount for row in Allocation.objects.all()) == Decimal("98427")
        assert states(working)[:5] == ["ready", "sending", "working", "partially_filled", "filled"]

    def test_what_is_told_again_and_again_counts_once(self, working, market):
        market.fill(name(working), 300, "98.42", "X")
        market.fill(name(working), 300, "98.42", "X")  # twice in one answer, too
        for _ in range(3):
            watching.watch()
        assert again(working).filled_quantity == 300
        assert len(fills(working)) == 1
        assert states(working).count("partially_filled") == 1

    def test_the_order_of_arrival_is_immaterial(self, working, market):
        for quantity, minutes in ((100, 5), (200, 1), (300, 3)):
            market.fill(name(working), quantity, 100)
            market.fills[-1]["at"] = (timezone.now() - timedelta(minutes=minutes)).isoformat()
            market.fills.reverse()
            watching.watch()
        assert (again(working).filled_quantity, again(working).filled_amount) == (600, 60_000)

    @pytest.mark.parametrize(
        ("quantity", "price", "words"),
        [
            (0, 100, "It says 0 shares at 100."),
            (-5, 100, "It says -5 shares at 100."),
            (5, 0, "It says 5 shares at 0."),
            (5, "-1", "It says 5 shares at -1."),
            ("NaN", 100, "It says NaN shares at 100."),
            (5, "Infinity", "It says 5 shares at Infinity."),
            ("1E+30", 100, "It says 1E+30 shares at 100."),
            (5, "0.0000001", "It says 5 shares at 1E-7."),
            ("2.5", 100, "2.5 is not a whole number of steps of this security."),
            (1001, 100, "With it 1,001 were filled of 1,000 ordered."),
        ],
    )
    def test_what_cannot_be_right_is_questioned_and_changes_nothing(self, working, market, quantity, price, words):
        market.fill(name(working), quantity, price)
        watching.watch()
        watching.watch()
        fill = Fill.objects.get()
        assert (fill.state, fill.words, fill.order_id) == ("questioned", words, working.pk)
        row = again(working)
        assert (row.state, row.filled_quantity, row.filled_amount) == ("working", 0, 0)
        assert log(working)[-1] == ("working", f"A fill does not count: {words}")

    def test_more_than_ordered_in_sum_is_questioned(self, working, market):
        market.fill(name(working), 900, 100)
        watching.watch()
        market.fill(name(working), 200, 100)
        watching.watch()
        assert again(working).filled_quantity == 900
        market.fill(name(working), 100, 100)
        watching.watch()
        assert (again(working).state, again(working).filled_quantity) == ("filled", 1000)
        assert [state for _, _, state in fills(working)] == ["counted", "questioned", "counted"]

    def test_a_fill_of_an_unknown_order_is_questioned(self, working, market):
        market.fill("ELSE-1", 10, 100)
        market.fill("a\0b" * 30, 10, 100, "Y" * 200)
        watching.watch()
        watching.watch()
        found = Fill.objects.order_by("pk")
        assert [(one.state, one.order_id) for one in found] == [("questioned", None)] * 2
        assert "No order has the number ELSE-1." in {one.words for one in found}
        assert again(working).filled_quantity == 0

    def test_a_fill_after_the_booking_is_questioned(self, working, market):
        market.fill(name(working), 300, 100)
        market.end(name(working), "cancelled")
        watching.watch()
        assert again(working).allocated_at
        confirmed(block("AGG", "buy", 100, A1=10))
        watching.watch()
        market.fill(name(working), 200, 100)
        taking_in.take_in("paper", transmitting.at("paper").fills([name(working)]))
        assert [state for _, _, state in fills(working)] == ["counted", "questioned"]
        assert Fill.objects.get(state="questioned").words == "It came after the order was booked."
        assert (again(working).state, again(working).filled_quantity) == ("cancelled", 300)

    def test_a_fill_before_the_answer_to_sending_is_stored_is_left_for_later(self, two, market):
        confirmed(block("VTI", "buy", 100, A1=10))
        one = order(state="sending", claim_expires=timezone.now() + timedelta(minutes=1))
        market.fill(name(one), 10, 100)
        assert taking_in.take_in("paper", transmitting.at("paper").fills([name(one)])) == 0
        assert not Fill.objects.exists()

    def test_a_late_fill_of_an_order_that_is_not_booked_yet_counts(self, working, market):
        Order.objects.update(state="expired", ended_at=timezone.now())
        market.fill(name(working), 300, 100)
        assert taking_in.take_in("paper", transmitting.at("paper").fills([name(working)])) == 1
        assert (again(working).state, again(working).filled_quantity) == ("expired", 300)
        watching.watch()
        assert again(working).allocated_at

    def test_two_rounds_at_once_count_once(self, working, market):
        for _ in range(20):
            market.fill(name(working), 50, 100)
        told = transmitting.at("paper").fills([name(working)])
        threads = [Thread(target=_elsewhere, args=(taking_in.take_in, "paper", told)) for _ in range(4)]
        threads += [Thread(target=_elsewhere, args=(watching.watch,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        watching.watch()
        row = again(working)
        assert (row.state, row.filled_quantity, len(fills(working))) == ("filled", 1000, 20)
        assert states(working).count("filled") == 2  # filled, and booked
        assert dict(Position.objects.values_list("account__number", "quantity")) == {"A1": 400, "A2": 600}


def _elsewhere(do, *args):
    try:
        do(*args)
    finally:
        connection.close()


class TestEnds:
    @pytest.mark.parametrize(
        ("told", "state", "reason"),
        [
            ("expired", "expired", "halted for the day"),
            ("cancelled", "cancelled", "halted for the day"),
            ("rejected", "cancelled", "rejected by the broker: halted for the day"),
        ],
    )
    def test_as_the_broker_says_with_all_its_fills(self, working, market, told, state, reason):
        market.fill(name(working), 500, 100)
        market.end(name(working), told, "halted for the day")
        watching.watch()
        row = again(working)
        assert (row.state, row.end_reason, row.filled_quantity) == (state, reason, 500)
        assert row.allocated_at
        assert dict(Position.objects.values_list("account__number", "quantity")) == {"A1": 200, "A2": 300}

    def test_a_fill_between_the_two_questions_is_not_missed(self, working, market):
        """The order ends as the broker is asked; fills are asked for afterwards."""

        def meanwhile(call, when):
            if (call, when) == ("lookup", "before"):
                market.fill(name(working), 500, 100)
                market.end(name(working), "cancelled")

        market.hears = meanwhile
        watching.watch()
        assert (again(working).state, again(working).filled_quantity) == ("cancelled", 500)

    def test_filled_without_the_fills_is_waited_for(self, working, market):
        market.fill(name(working), 900, 100)
        market.end(name(working), "filled")
        watching.watch()
        row = again(working)
        assert row.state == "partially_filled"
        assert row.trouble == "The broker says that it is filled, but has told of 900 of 1,000 only."
        market.fill(name(working), 100, 100)
        watching.watch()
        assert (again(working).state, again(working).trouble) == ("filled", "")

    def test_what_was_refused_is_closed_without_booking(self, two, market):
        market.troubles["submit"].append("refuse")
        confirmed(block("VTI", "buy", 100, A1=10))
        watching.watch()
        assert again(order()).allocated_at
        assert not Allocation.objects.filter(is_open=True).exists()
        assert not Position.objects.exists()


class TestTheSessionsEnd:
    CLOSE = datetime(2026, 11, 18, 21, tzinfo=UTC)  # 16:00 in New York

    @pytest.fixture
    def of_that_day(self, working):
        MarketDay.objects.update_or_create(
            day="2026-11-18",
            defaults={"calendar": "XNYS", "closes_at": self.CLOSE, "opens_at": self.CLOSE - timedelta(hours=6.5)},
        )
        order(sent_at=self.CLOSE - timedelta(hours=1))
        return working

    def at(self, monkeypatch, **later):
        monkeypatch.setattr(timezone, "now", lambda: self.CLOSE + timedelta(**later))

    def test_what_still_works_expires(self, of_that_day, market, monkeypatch):
        market.fill(name(of_that_day), 500, 100)
        self.at(monkeypatch, minutes=14)
        watching.watch()
        assert again(of_that_day).state == "partially_filled"
        self.at(monkeypatch, minutes=15)
        watching.watch()
        row = again(of_that_day)
        assert (row.state, row.end_reason, row.filled_quantity) == ("expired", "the session has ended", 500)
        assert row.allocated_at

    @pytest.mark.parametrize("changes", [{"extended_hours": True}, {"algorithm": "nav"}])
    def test_later_where_it_may_be_filled_after_the_close(self, of_that_day, monkeypatch, changes):
        order(**changes)
        self.at(monkeypatch, hours=4, minutes=14)  # 20:14
        watching.watch()
        assert again(of_that_day).state == "working"
        self.at(monkeypatch, hours=4, minutes=15)
        watching.watch()
        assert again(of_that_day).state == "expired"

    def test_sent_after_the_close_it_is_of_the_next_session(self, of_that_day, monkeypatch):
        order(sent_at=self.CLOSE + timedelta(minutes=1))
        self.at(monkeypatch, hours=3)
        watching.watch()
        assert again(of_that_day).state == "working"

    def test_a_broker_that_is_away_is_waited_for(self, of_that_day, server, monkeypatch):
        server.market.fill(name(of_that_day), 500, 100)
        server.stop()
        self.at(monkeypatch, hours=12)
        watching.watch()
        assert (again(of_that_day).state, Fill.objects.count()) == ("working", 0)
        server.start()
        watching.watch()
        assert (again(of_that_day).state, again(of_that_day).filled_quantity) == ("expired", 500)

    def test_a_broker_of_files_is_waited_for(self, of_that_day, monkeypatch):
        monkeypatch.setattr("tests.trading.broker_server.SocketBroker.is_live", False)
        self.at(monkeypatch, hours=12)
        watching.watch()
        assert again(of_that_day).state == "working"


class TestTrouble:
    @pytest.mark.parametrize("call", ["lookup", "list_fills"])
    @pytest.mark.parametrize("how", ["close", "hang", "rubbish"])
    def test_a_broker_that_does_not_answer_is_said_so_until_it_does(self, working, market, call, how):
        market.fill(name(working), 1000, 100)
        market.always[call] = how
        watching.watch()
        row = again(working)
        assert (row.state, row.filled_quantity) == ("working", 0)
        assert row.trouble.startswith("Paper market does not answer (")
        market.always.clear()
        watching.watch()
        assert (again(working).state, again(working).trouble) == ("filled", "")

    def test_an_order_that_the_broker_does_not_know_is_not_sent_again(self, working, market):
        kept = market.orders.pop(name(working))
        for _ in range(3):
            watching.watch()
        assert (again(working).state, again(working).trouble) == ("working", watching.NOT_KNOWN)
        assert market.received == [name(working)]
        market.orders[name(working)] = kept
        watching.watch()
        assert again(working).trouble == ""

    def test_the_others_go_on(self, working, market, settings):
        """One broker is away, and one order cannot be booked; another order is sent, filled and booked."""
        Order.objects.filter(pk=working.pk).update(broker="away")
        settings.BROKERS = {**settings.BROKERS, "away": "tests.trading.test_watching.Away"}
        confirmed(block("AGG", "buy", 50, A1=10))
        market.filled_at = [(1, "49.99")]
        watching.watch()
        assert (order("AGG").state, order("AGG").allocated_at is not None) == ("filled", True)
        assert again(working).trouble == "away does not answer (ConnectionRefusedError)"

    def test_a_fault_of_a_broker_stops_only_its_own(self, working, market, settings, caplog):
        Order.objects.filter(pk=working.pk).update(broker="away")
        settings.BROKERS = {**settings.BROKERS, "away": "tests.trading.test_watching.Broken"}
        confirmed(block("AGG", "buy", 50, A1=10))
        market.filled_at = [(1, "49.99")]
        watching.watch()
        assert order("AGG").state == "filled"
        assert "asking a broker" in caplog.text


class Away:
    """A broker nobody listens for."""

    is_live = True

    def lookup(self, names):
        raise transmitting.BrokerDown("ConnectionRefusedError")


class Broken:
    """An adapter with a fault."""

    is_live = True

    def lookup(self, names):
        return names["x"]


class TestRounds:
    def test_nothing_to_do_costs_two_looks(self, transactional_db, django_assert_num_queries):
        with django_assert_num_queries(2):
            assert not watching.watch()

    def test_what_is_not_confirmed_or_booked_is_nothing_to_do(self, working, market, django_assert_num_queries):
        market.fill(name(working), 1000, 100)
        watching.watch()
        ticket(block("AGG", "buy", 50, A1=10))
        with django_assert_num_queries(2):
            assert not watching.watch()

    def test_one_question_each_for_all_orders_of_a_broker(self, two, market):
        confirmed(block("VTI", "buy", 100, A1=10), block("AGG", "buy", 50, A1=10), block("BND", "buy", 50, A2=10))
        watching.watch()
        market.calls.clear()
        watching.watch()
        assert market.calls == {"lookup": 1, "list_fills": 1}

    def test_a_second_round_leaves_it_to_the_first(self, working, market):
        seen = []

        def meanwhile(call, when):
            if (call, when) == ("lookup", "before"):
                market.hears = None
                thread = Thread(target=_elsewhere, args=(lambda: seen.append(watching.watch()),))
                thread.start()
                thread.join()

        market.hears = meanwhile
        assert watching.watch()
        assert seen == [False]
        assert market.calls["lookup"] == 1

    def test_sells_are_booked_and_release_their_buys_in_one_round(self, market):
        account("A1", cash=0, AGG=10)
        sell = block("AGG", "sell", 50, A1=10)
        sell.parts[0].lots.append(["A1-AGG", "10"])
        confirmed(sell, block("VTI", "buy", 100, A1=5), sells_first=True)
        market.filled_at = [("0.4", 50), ("0.6", 50)]
        watching.watch()
        assert (order("AGG", "sell").state, order("VTI").state) == ("filled", "working")
        watching.watch()
        assert dict(Position.objects.values_list("security__symbol", "quantity")) == {"VTI": 5}
        assert make.Account.objects.get().cash == 250 or make.Account.objects.get().cash == 0

    def test_flat_moves_of_a_confirmed_ticket_are_booked(self, market):
        core = make.model("Core", VTI=100)
        one = account("A1")
        make.lot(one, "VTI", 8, cost=800, sleeve_of=core)
        moves = [Move(one.pk, make.security("VTI").pk, core.sleeve.pk, make.sleeve().pk, Decimal(5))]
        found = ticket(block("AGG", "buy", 50, A1=10), moves=moves)
        assert not watching.watch()
        type(found).objects.update(confirmed_at=timezone.now())
        Order.objects.update(client_order_id="RB")
        watching.watch()
        assert FlatMove.objects.get().booked_at
        assert dict(Position.objects.values_list("sleeve__kind", "quantity")) == {"managed": 5, "model": 3}


class TestAskAgain:
    def test_an_order_in_back_off_is_looked_up_at_once(self, two, market):
        market.troubles["submit"].append("take_and_close")
        confirmed(block("VTI", "buy", 100, A1=10))
        transmitting.send_due()
        assert order().trouble
        watching.ask_again(order(), by=make.operations("olive"))
        assert order().trouble == ""
        watching.look_after(order().pk)
        assert (order().state, len(market.received)) == ("working", 1)
        line = AuditLine.objects.get(verb="order.asked")
        assert (line.by.username, line.object_id) == ("olive", str(order().pk))

    def test_a_working_order_is_asked_about_alone(self, working, market):
        confirmed(block("AGG", "buy", 50, A1=10))
        market.fill(name(working), 1000, 100)
        watching.ask_again(working, by=make.operations())
        watching.look_after(working.pk)
        assert (again(working).state, again(working).allocated_at is not None) == ("filled", True)
        assert order("AGG").state == "ready"

    def test_while_a_worker_sends_it_it_is_left_to_that_one(self, two, market):
        confirmed(block("VTI", "buy", 100, A1=10))
        order(state="sending", claim_expires=timezone.now() + timedelta(seconds=30))
        with pytest.raises(Refused, match="being sent at this moment"):
            watching.ask_again(order(), by=make.operations())

    @pytest.mark.parametrize(
        ("state", "words"),
        [("ready", "has not been sent yet"), ("filled", "the order is filled"), ("expired", "the order is expired")],
    )
    def test_where_there_is_nothing_to_ask(self, working, state, words):
        order(state=state)
        with pytest.raises(Refused, match=words):
            watching.ask_again(working, by=make.operations())

    def test_only_for_operations(self, working):
        with pytest.raises(PermissionDenied):
            watching.ask_again(working, by=make.advisor())
        assert AuditLine.objects.get(verb="refused").after["command"] == "order.asked"
