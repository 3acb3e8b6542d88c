"""Orders of a custodian by file, from confirmed to booked: written by the worker's own services, filled from a file."""

import csv
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from threading import Barrier

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import Position
from tests import factories as make
from trading.brokers.file import Files
from trading.models import Fill, Order, OrderFile, Route
from trading.services import files, transmitting, watching
from trading.states import OrderState

from .confirming import block
from .sent import account, again, confirmed, log, minute_later, order

pytestmark = pytest.mark.django_db(transaction=True)

HEADER = "client_order_id,execution_id,quantity,price,executed_at,status"
AT = "2026-11-20T10:00:00-05:00"


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "out"
    place.mkdir()
    return place


@pytest.fixture
def route(transactional_db, folder):
    return Route.objects.create(custodian=make.custodian(), broker="file", folder=str(folder))


@pytest.fixture
def ticket(route):
    """10 VTI for two accounts and 7 AGG for one, all by file."""
    account("A1"), account("A2")
    return confirmed(block("VTI", "buy", 100, A1=4, A2=6), block("AGG", "buy", 50, A1=7))


def dropped(folder):
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


def told(*rows):
    return "".join(f"{row}\r\n" for row in (HEADER, *rows)).encode()


def custodian_fills(folder, price="99.50"):
    """What the custodian answers to the order files in the folder: each filled whole."""
    lines = []
    for name, text in sorted(dropped(folder).items()):
        if name.endswith("-orders.csv"):
            for row in csv.DictReader(StringIO(text)):
                number = row["client_order_id"]
                lines.append(f"{number},X-{number},{row['quantity']},{price},{AT},filled")
    return told(*lines)


def test_from_confirmed_to_booked(ticket, route, folder):
    assert transmitting.send_due() == 2
    assert set(Order.objects.values_list("state", flat=True)) == {OrderState.WORKING}
    assert len(dropped(folder)) == 4
    files.receive_fills(custodian_fills(folder), "fills.csv", custodian=route.custodian, by=None)
    watching.watch()
    assert set(Order.objects.values_list("state", "filled_quantity", "filled_amount")) == {
        ("filled", Decimal(10), Decimal(995)), ("filled", Decimal(7), Decimal("696.5")),
    }  # fmt: skip
    held = Position.objects.values_list("account__number", "security__symbol", "quantity")
    assert set(held) == {("A1", "VTI", 4), ("A2", "VTI", 6), ("A1", "AGG", 7)}


def test_fills_of_a_file_are_found_by_the_round_alone(ticket, route, folder):
    """The web process died between keeping the file and taking its fills in."""
    transmitting.send_due()
    OrderFile.objects.create(
        kind="fills", custodian=route.custodian, name="fills.csv", text=custodian_fills(folder).decode()
    )
    watching.watch()
    assert set(Order.objects.values_list("state", flat=True)) == {OrderState.FILLED}


def test_a_round_while_the_file_is_silent_changes_nothing(ticket, folder):
    transmitting.send_due()
    Order.objects.update(sent_at=timezone.now() - timedelta(days=3))
    watching.watch()
    assert set(Order.objects.values_list("state", "trouble")) == {(OrderState.WORKING, "")}


def test_the_custodian_cancels_what_is_left(ticket, route, folder):
    transmitting.send_due()
    number = order("VTI").client_order_id
    content = told(f"{number},X1,4,99.5,{AT},", f"{number},,,,,cancelled")
    files.receive_fills(content, "fills.csv", custodian=route.custodian, by=None)
    watching.watch()
    assert (order("VTI").state, order("VTI").filled_quantity) == (OrderState.CANCELLED, 4)
    assert order("VTI").end_reason == "Cancelled, as fills.csv says."
    assert order("VTI").allocated_at


def test_a_folder_that_is_gone_holds_the_orders_and_says_so(ticket, folder):
    folder.rename(folder.with_name("elsewhere"))
    assert transmitting.send_due() == 0
    held = order("VTI")
    assert held.state == OrderState.SENDING
    assert f"can't be written to the folder {folder}: No such file or directory" in held.trouble
    folder.with_name("elsewhere").rename(folder)
    for one in Order.objects.all():
        minute_later(one)
    assert transmitting.send_due() == 2
    assert len(dropped(folder)) == 4
    assert again(held).trouble == ""


def test_what_the_format_cannot_carry_is_rejected_with_its_reason(ticket, route, folder):
    Route.objects.update(file_format="fidelity")
    Order.objects.filter(security__symbol="VTI").update(algorithm="vwap")
    transmitting.send_due()
    assert order("VTI").state == OrderState.REJECTED
    assert "can't carry VWAP orders" in order("VTI").end_reason
    assert list(dropped(folder)) == [f"{order('AGG').client_order_id}-orders.csv"]


def test_two_workers_with_the_same_order_drop_it_once(ticket, folder):
    """The first one was thought to be gone, and was only slow."""
    instruction = transmitting._instruction(order("VTI"))
    barrier = Barrier(4)

    def work(_):
        barrier.wait(10)
        try:
            return Files().submit(instruction).state
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as workers:
        assert set(workers.map(work, range(4))) == {OrderState.WORKING}
    assert len(dropped(folder)) == OrderFile.objects.count() == 2
    assert not list((folder / ".rebalancer").iterdir())


def test_nothing_new_after_the_orders_are_booked(ticket, route, folder):
    transmitting.send_due()
    files.receive_fills(custodian_fills(folder), "fills.csv", custodian=route.custodian, by=None)
    watching.watch()
    number = order("VTI").client_order_id
    late = told(f"{number},X9,1,99.5,{AT},")
    files.receive_fills(late, "late.csv", custodian=route.custodian, by=None)
    fill = Fill.objects.get(execution_id__endswith="X9")
    assert (fill.state, fill.words) == ("questioned", "It came after the order was booked.")
    assert order("VTI").filled_quantity == 10
    assert ("filled", "A fill does not count: It came after the order was booked.") in log(order("VTI"))
