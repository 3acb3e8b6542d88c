"""A worker is killed at every step of transmission in turn: no order is sent twice, none lost, each is booked once."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from decimal import Decimal

import pytest
from django.db.models import F, Sum
from django.utils import timezone

from accounts.models import Account, Position
from tax.models import Booking
from tests import factories as make
from tests import processes
from tests.processes import ROOT, Beat, Worker, empty_broker, eventually
from tests.trading.broker_server import BrokerServer
from tests.trading.confirming import block, ticket
from trading import tasks
from trading.models import Allocation, Fill, FlatMove, Order, OrderEvent, Ticket
from trading.services import cancelling
from trading.services.staging import Move

pytestmark = pytest.mark.django_db(transaction=True)
CASH = 100_000
ROUNDS = 40  # in which everything has come to its end; the database may still be clearing up after the dead one
AVERAGE = Decimal("50.60")
SHARES = [("0.4", 50), ("0.6", 51)]


@pytest.fixture
def server(transactional_db, monkeypatch):
    """A broker behind a socket, which fills each order it gets, in two parts, at $50 and $51."""
    running = BrokerServer().start()
    monkeypatch.setenv("TEST_BROKER", running.address)
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.faults.worker_settings")
    running.market.filled_at = SHARES
    yield running
    running.stop()


class Rounds:
    """Workers that do one round each."""

    def __init__(self, process):
        self.process = process

    def do(self, die_at=0):
        """One round; the names of the points it came past."""
        self.process.stdin.write(f"{die_at}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the process that does rounds has ended"
        return json.loads(answer)


@pytest.fixture
def rounds(server, tmp_path):
    environment = os.environ | {"DATABASE_URL": processes.test_database_url()}
    with (tmp_path / "rounds.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.rounds"], cwd=ROOT, env=environment, text=True, stderr=log,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        yield Rounds(process)
        process.stdin.close()
        process.wait(30)
        process.stdout.close()
    said = (tmp_path / "rounds.log").read_text()
    assert "Traceback" not in said, said


class Case:
    """A confirmed ticket of two accounts: one sells 10 AGG, both buy VTI, and 5 VTI change the sleeve in one."""

    def __init__(self, number):
        self.seller, self.buyer = f"S{number}", f"B{number}"
        seller = make.account(self.seller, cash=CASH)
        make.account(self.buyer, cash=CASH)
        make.lot(seller, "AGG", 10, cost=400, lot_id="L")
        core = make.model("Core", VTI=100)
        make.lot(seller, "VTI", 8, cost=400, lot_id="M", sleeve_of=core)
        moves = [Move(seller.pk, make.security("VTI").pk, core.sleeve.pk, make.sleeve().pk, Decimal(5))]
        sell = block("AGG", "sell", 50, **{self.seller: 10})
        sell.parts[0].lots.append(["L", "10"])
        self.ticket = ticket(sell, block("VTI", "buy", 50, **{self.seller: 10, self.buyer: 20}), moves=moves)
        self.orders = list(Order.objects.filter(ticket=self.ticket).order_by("pk"))
        for order in self.orders:
            Order.objects.filter(pk=order.pk).update(client_order_id=f"RB{order.pk}")
        Ticket.objects.filter(pk=self.ticket.pk).update(confirmed_at=timezone.now())
        self.names = {f"RB{order.pk}" for order in self.orders}

    def a_minute_later(self):
        Order.objects.filter(ticket=self.ticket, claim__isnull=False).update(claim_expires=timezone.now())

    def is_done(self):
        open_orders = Order.objects.filter(ticket=self.ticket, allocated_at=None)
        return not open_orders.exists() and not FlatMove.objects.filter(ticket=self.ticket, is_open=True).exists()

    def check(self, market):
        """Each order arrived once, and what it brought is there once."""
        assert sorted(name for name in market.received if name in self.names) == sorted(self.names)
        assert set(Order.objects.filter(ticket=self.ticket).values_list("state", flat=True)) == {"filled"}
        fills = Fill.objects.filter(order__ticket=self.ticket)
        assert (fills.count(), set(fills.values_list("state", flat=True))) == (4, {"counted"})
        steps = OrderEvent.objects.filter(order__ticket=self.ticket, state__in=["working", "filled"])
        assert steps.values("order", "state", "words").distinct().count() == steps.count()
        self.check_books()

    def check_books(self):
        held = Position.objects.filter(account__number__in=[self.seller, self.buyer])
        assert sorted(held.values_list("account__number", "sleeve__kind", "security__symbol", "quantity")) == [
            (self.buyer, "managed", "VTI", 20), (self.seller, "managed", "VTI", 15), (self.seller, "model", "VTI", 3),
        ]  # fmt: skip
        cash = dict(Account.objects.filter(number__in=[self.seller, self.buyer]).values_list("number", "cash"))
        assert cash == {self.seller: CASH, self.buyer: CASH - 20 * AVERAGE}
        parts = Allocation.objects.filter(order__ticket=self.ticket)
        assert not parts.filter(is_open=True).exists()
        assert not parts.exclude(filled_quantity=F("quantity")).exists()
        assert Booking.objects.filter(account__number__in=cash).count() == 3


def finish(case, rounds):
    """What workers do until nothing is left."""
    case.a_minute_later()
    for _ in range(ROUNDS):
        if case.is_done():
            return
        rounds.do()
        case.a_minute_later()
    raise AssertionError(f"after {ROUNDS} rounds: {Order.objects.filter(ticket=case.ticket).values()}")


def test_a_worker_that_is_killed_at_any_point_of_a_round_is_replaced(server, rounds):
    whole = Case(0)
    points = rounds.do()
    finish(whole, rounds)
    whole.check(server.market)
    asked = {point for point in points if "asking" in point}
    assert asked == {
        f"{when} asking: {call}" for when in ("before", "after") for call in ("submit", "lookup", "list_fills")
    }
    assert len(points) > 25
    for number in range(1, len(points) + 1):
        case = Case(number)
        passed = rounds.do(die_at=number)
        assert len(passed) == number, f"it did not die at point {number}"
        finish(case, rounds)
        with telling(f"killed at point {number} of {len(points)}, {passed[-1]}"):
            case.check(server.market)


def test_a_worker_that_is_killed_again_and_again_comes_to_the_end(server, rounds):
    """Each round gets one point further than the one before."""
    case = Case(1)
    for number in range(1, 60):
        rounds.do(die_at=number)
        case.a_minute_later()
    finish(case, rounds)
    case.check(server.market)


def test_a_worker_that_is_killed_at_any_point_of_cancelling_is_replaced(server, rounds):
    server.market.filled_at = [("0.5", 50)]

    def pending(number):
        case = Case(number)
        while Order.objects.filter(ticket=case.ticket, state="partially_filled").count() < 2:
            rounds.do()
        for order in case.orders:
            cancelling.cancel(order, by=None)
        return case

    whole = pending(0)
    points = rounds.do()
    assert whole.is_done()
    for number in range(1, len(points) + 1):
        case = pending(number)
        passed = rounds.do(die_at=number)
        finish(case, rounds)
        with telling(f"killed at point {number} of {len(points)}, {passed[-1]}"):
            ended = Order.objects.filter(ticket=case.ticket).order_by("pk").values_list("state", "filled_quantity")
            assert list(ended) == [("cancelled", 5), ("cancelled", 15)]
            got = Allocation.objects.filter(order__ticket=case.ticket).aggregate(shares=Sum("filled_quantity"))
            assert got["shares"] == 20
            assert Account.objects.get(number=case.buyer).cash == CASH - 500


@contextmanager
def telling(where):
    try:
        yield
    except AssertionError as wrong:
        raise AssertionError(f"{where}: {wrong}") from wrong


# --- workers as production runs them --------------------------------------------------------------------------------


@pytest.mark.parametrize(("call", "when"), [("submit", "before"), ("submit", "after"), ("list_fills", "after")])
def test_a_celery_worker_that_is_killed_while_the_broker_answers(server, tmp_path, call, when):
    """The broker sees to it that the worker and all its processes are gone before it answers."""
    case = Case(1)
    worker = Worker(tmp_path / "worker.log").start()
    beat = Beat(tmp_path / "beat.log", tmp_path / "schedule")

    def hears(*heard):
        if heard == (call, when):
            server.market.hears = None
            worker.kill()

    server.market.hears = hears
    try:
        tasks.transmit.delay(case.ticket.pk)
        tasks.watch.delay()
        eventually(lambda: not worker.alive)
        empty_broker()
        case.a_minute_later()
        worker.start()
        beat.start()
        eventually(case.is_done)
    finally:
        beat.stop()
        worker.stop()
        empty_broker()
    case.check(server.market)
