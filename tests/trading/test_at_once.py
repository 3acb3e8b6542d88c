"""Two people, or a person and a worker, or two workers, at the same order at the same moment, each on a connection of
its own: one is done, the other is told or finds nothing to do, nothing is half done and nobody waits for ever.
"""

import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from accounts.models import Account, AuditLine, Position
from accounts.services.refusals import Refused
from tax.models import Booking, Lot
from tests import factories as make
from tests.books import FILES, deliver
from tests.processes import eventually
from trading.brokers.base import FillReport
from trading.models import Allocation, Order, Ticket
from trading.preview import preview
from trading.services import (
    allocating,
    cancelling,
    confirming,
    editing,
    executing,
    staging,
    taking_in,
    transmitting,
    watching,
)
from trading.services.lines import Chosen
from trading.states import Algorithm, Side

from .confirming import OPEN, market_days
from .ended import ended, part
from .sent import account, again, block, confirmed, order, states, ticket

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = range(2)


@pytest.fixture
def people(transactional_db):
    return [make.operations("one"), make.operations("two")]


@pytest.fixture
def two(transactional_db):
    return account("A1"), account("A2")


@pytest.fixture
def staged(two, people):
    """A1 and A2 buy 40 and 60 VTI; nothing is confirmed."""
    market_days()
    make.price("VTI", 100, OPEN)
    return ticket(block("VTI", "buy", 100, A1=40, A2=60), by=people[0])


@pytest.fixture
def ready(two):
    """The same, confirmed."""
    confirmed(block("VTI", "buy", 100, A1=40, A2=60))
    return order()


def at_once(*calls):
    """What each came to: its answer, or the refusal that it met."""
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
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert len(said) == len(calls), "one of them broke down"
    return [said[number] for number in range(len(calls))]


def is_refused(answer):
    return isinstance(answer, Refused)


def audited(*verbs):
    return AuditLine.objects.filter(verb__in=verbs).count()


def parts():
    return dict(Allocation.objects.values_list("account__number", "quantity"))


def in_step():
    """Lots, positions and blocks are the sums that they have to be."""
    sums = {}
    for *place, quantity in Lot.objects.values_list("account", "sleeve", "security", "quantity"):
        sums[tuple(place)] = sums.get(tuple(place), 0) + quantity
    held = {tuple(place): quantity for *place, quantity in
            Position.objects.values_list("account", "sleeve", "security", "quantity")}  # fmt: skip
    return sums == held


# --- a ticket that is edited and confirmed --------------------------------------------------------------------------


class TestATicket:
    def confirm(self, staged, by):
        found = preview(by, again(staged), OPEN)
        sent = {"version": found.ticket.version, "digest": found.digest, "still": found.shown}
        return lambda: confirming.confirm(staged, by=by, now=OPEN, **sent)

    def leave_out(self, staged, by, number="A1"):
        chosen = Chosen(accounts=(Account.objects.get(number=number).pk,))
        return lambda: editing.leave_out(staged, 1, chosen, by)

    def check_order(self):
        assert order().quantity == sum(parts().values())

    @pytest.mark.parametrize("round_", ROUNDS)
    def test_one_confirms_while_the_other_leaves_out(self, staged, people, round_):
        sent, left = at_once(self.confirm(staged, people[0]), self.leave_out(staged, people[1]))
        assert is_refused(sent) != is_refused(left)
        assert (again(staged).confirmed_at is None) == is_refused(sent)
        assert parts() == {"A1": 0 if is_refused(sent) else 40, "A2": 60}
        assert "edited meanwhile" in str(sent) if is_refused(sent) else "were confirmed by one" in str(left)
        assert audited("ticket.confirmed", "ticket.left_out") == 1
        self.check_order()

    @pytest.mark.parametrize("round_", ROUNDS)
    def test_two_edit(self, staged, people, round_):
        line = Allocation.objects.get(account__number="A1").pk
        answers = at_once(
            lambda: editing.change_shares(staged, 1, {line: Decimal(30)}, people[0]),
            self.leave_out(staged, people[1], "A2"),
        )
        assert [is_refused(one) for one in answers].count(True) == 1
        refusal = next(one for one in answers if is_refused(one))
        assert "has changed since you looked" in str(refusal)
        assert parts() == ({"A1": 40, "A2": 0} if is_refused(answers[0]) else {"A1": 30, "A2": 60})
        assert again(staged).version == 2
        self.check_order()

    @pytest.mark.parametrize("round_", ROUNDS)
    def test_one_confirms_while_the_other_sets_a_limit(self, staged, people, round_):
        limit = executing.Execution(Algorithm.LIMIT, limit_price=Decimal(99))
        sent, _ = at_once(
            self.confirm(staged, people[0]), lambda: executing.set_execution(staged, 1, "all", limit, people[1])
        )
        assert order().algorithm == ("limit" if is_refused(sent) else "market")
        assert (order().client_order_id is None) == is_refused(sent)

    @pytest.mark.parametrize("round_", ROUNDS)
    def test_the_end_of_the_day_while_one_edits(self, staged, people, round_):
        end = timezone.now() + timedelta(seconds=1)
        left, cancelled = at_once(
            self.leave_out(staged, people[0]), lambda: staging.cancel_staged(before=end, why="end of day")
        )
        assert cancelled == {staged.pk}
        assert order().state == "cancelled"
        assert parts()["A1"] == (40 if is_refused(left) else 0)
        assert not Allocation.objects.filter(is_open=True).exists()


# --- an order that is sent, filled and cancelled --------------------------------------------------------------------


class TestAnOrder:
    @pytest.mark.parametrize("round_", ROUNDS)
    def test_one_cancels_while_a_worker_sends(self, ready, market, people, round_):
        cancelled, sent = at_once(
            lambda: cancelling.cancel(ready, by=people[0]), lambda: transmitting.send(ready.pk)
        )  # fmt: skip
        row = again(ready)
        if sent:
            assert market.received == [row.client_order_id]
            assert row.state in ("working", "pending_cancel")
            assert is_refused(cancelled) == (row.state == "working")
        else:
            assert (market.received, row.state, cancelled) == ([], "cancelled", "cancelled")
        assert audited("order.cancelled") == (0 if is_refused(cancelled) else 1)

    @pytest.mark.parametrize("round_", ROUNDS)
    def test_one_cancels_while_the_last_fill_comes(self, ready, market, people, round_):
        transmitting.send(ready.pk)
        fill = FillReport("X1", ready.client_order_id, Decimal(100), Decimal(100), timezone.now())
        market.fill(ready.client_order_id, 100, 100, "X1")
        cancelled, _ = at_once(
            lambda: cancelling.cancel(ready, by=people[0]), lambda: taking_in.take_in("paper", [fill])
        )
        assert again(ready).state == "filled"
        assert "too late" in str(cancelled) if is_refused(cancelled) else cancelled == "pending_cancel"
        watching.watch()
        assert (again(ready).state, again(ready).filled_quantity, parts_filled()) == ("filled", 100, 100)
        assert market.calls["cancel"] == 0
        assert Booking.objects.count() == 2

    @pytest.mark.parametrize("round_", ROUNDS)
    def test_two_people_cancel(self, ready, market, people, round_):
        transmitting.send(ready.pk)
        answers = at_once(*(lambda by=by: cancelling.cancel(ready, by=by) for by in people))
        assert [is_refused(one) for one in answers].count(True) == 1
        watching.watch()
        assert (again(ready).state, market.calls["cancel"]) == ("cancelled", 1)

    @pytest.mark.parametrize("round_", ROUNDS)
    def test_one_asks_again_while_workers_are_at_it(self, ready, market, people, round_):
        """Its worker has gone after the broker took it; a person and two workers find it at the same moment."""
        market.troubles["submit"].append("take_and_close")
        transmitting.send(ready.pk)
        assert again(ready).state == "sending"

        def ask():
            watching.ask_again(ready, by=people[0])
            watching.look_after(ready.pk)

        at_once(ask, watching.watch, lambda: transmitting.send(ready.pk))
        watching.look_after(ready.pk)
        assert market.received == [ready.client_order_id]
        assert again(ready).state == "working"
        assert states(ready).count("working") == 1

    @pytest.mark.parametrize("round_", ROUNDS)
    def test_rounds_and_looks_at_a_filled_order(self, ready, market, round_):
        transmitting.send(ready.pk)
        market.fill(ready.client_order_id, 100, 100)
        look = lambda: watching.look_after(ready.pk)  # noqa: E731
        at_once(watching.watch, watching.watch, look, look)
        eventually(lambda: watching.watch() is False)
        assert parts_filled() == 100
        assert Booking.objects.count() == 2
        assert set(Account.objects.values_list("number", "cash")) == {("A1", 96_000), ("A2", 94_000)}
        assert in_step()


def parts_filled():
    return sum(Allocation.objects.values_list("filled_quantity", flat=True))


@pytest.mark.parametrize("round_", ROUNDS)
def test_workers_that_allocate_the_same_order(two, round_):
    sold = ended(Side.BUY, part(two[0], 10), part(two[1], 5), fills=[(15, 100)])
    done = at_once(*[lambda: allocating.allocate(sold.pk)] * 4)
    assert sorted(done) == [False, False, False, True]
    assert Booking.objects.count() == 2
    assert set(Account.objects.values_list("number", "cash")) == {("A1", 99_000), ("A2", 99_500)}


LOTS = """
    account_number,sleeve,symbol,lot_id,quantity,total_cost,acquired_on
    A1,,VTI,L1,{left},{cost},2024-02-29
"""
CASH = """
    account_number,amount
    A1,{cash}
    A2,-10
"""


@pytest.mark.parametrize("knows", [True, False])
@pytest.mark.parametrize("round_", range(2))
def test_a_delivery_while_an_order_is_booked(tmp_path, transactional_db, round_, knows):
    """Whichever comes first: what the delivery has is not taken twice, and what it has not yet stays on top of it."""
    before = {"lots.csv": LOTS.format(left=10, cost=2000), "cash.csv": CASH.format(cash=1000)}
    assert not deliver(tmp_path, FILES | before, "2026-11-18").refused
    at = datetime(2026, 11, 19 if knows else 20, 15, tzinfo=UTC)
    sold = ended(Side.SELL, part(Account.objects.get(number="A1"), 4, [("L1", "4")]), fills=[(4, 300)], at=at)
    after = {"lots.csv": LOTS.format(left=6, cost=1200), "cash.csv": CASH.format(cash=2200)} if knows else before
    _, done = at_once(lambda: deliver(tmp_path, after, "2026-11-19"), lambda: allocating.allocate(sold.pk))
    assert done
    assert Account.objects.get(number="A1").cash == 2200
    assert list(Lot.objects.filter(account__number="A1").values_list("lot_id", "quantity")) == [("L1", 6)]
    assert Booking.objects.get().is_provisional == (not knows)
    assert in_step()


# --- the order in which rows are locked -----------------------------------------------------------------------------


@contextmanager
def meanwhile(call):
    """Somebody does this, and waits for a row that this transaction holds."""
    with transaction.atomic():
        pid = []

        def do():
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_backend_pid()")
                    pid.append(cursor.fetchone()[0])
                    for scan in ("indexscan", "bitmapscan"):  # as of many rows: in the order in which they lie there
                        cursor.execute(f"SET enable_{scan} = off")
                call()
            finally:
                connection.close()

        thread = threading.Thread(target=do)
        yield thread, pid
    thread.join(30)
    assert not thread.is_alive()


def waits(pid):
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = ANY(%s)", [pid])
        return cursor.fetchone()[0]


def assert_locks_in_order(rows, call):
    """Who holds the first row gets the second one, although somebody else is at both and waits for the first."""
    first, second = rows
    with meanwhile(call) as (thread, pid):
        type(first).objects.select_for_update(no_key=True).get(pk=first.pk)
        thread.start()
        eventually(lambda: waits(pid))
        try:
            type(first).objects.select_for_update(no_key=True, nowait=True).get(pk=second.pk)
        except DatabaseError:
            pytest.fail("it holds the second row and waits for the first")


class TestLocks:
    """Accounts and orders are locked by pk; who goes by where the rows lie in the table meets the others head on."""

    def turned(self, model, *rows):
        """The rows, of which the first lies behind the second in the table."""
        model.objects.filter(pk=rows[0].pk).update(id=rows[0].pk)
        return rows

    def test_checks_are_asked_for_in_order(self, two):
        rows = self.turned(Account, *two)
        assert_locks_in_order(rows, lambda: Account.objects.filter(pk__in=[one.pk for one in two]).want_check())

    @pytest.mark.parametrize("fills", [[], [(1, 100)]])
    def test_an_order_of_which_not_everybody_gets_something(self, two, fills):
        bought = ended(Side.BUY, part(two[0], 1), part(two[1], 9), fills=fills, state="cancelled")
        rows = self.turned(Account, *two)
        assert_locks_in_order(rows, lambda: allocating.allocate(bought.pk))
        assert Booking.objects.count() == len(fills)

    @pytest.mark.parametrize("known", [True, False])
    def test_what_a_broker_says_of_many_orders(self, two, market, known):
        confirmed(block("VTI", "buy", 100, A1=10), block("AGG", "buy", 50, A2=3))
        transmitting.send_due()
        if not known:
            market.orders.clear()
        rows = self.turned(Order, *Order.objects.order_by("pk"))
        assert_locks_in_order(rows, watching.watch)
        assert Ticket.objects.count() == 1
