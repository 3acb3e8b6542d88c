"""The broker *file*: what is written is written once, also after a crash, and what comes back fills the orders."""

import os
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.utils import timezone

from tests import factories as make
from trading.brokers import broker
from trading.brokers import file as files
from trading.brokers.base import BrokerDown, Instruction, Portion, RefusedByBroker
from trading.models import Allocation, Order, OrderFile, Route
from trading.services import staging
from trading.states import Algorithm, OrderState, Side

pytestmark = pytest.mark.django_db

HEADER = "client_order_id,execution_id,quantity,price,executed_at,status\r\n"


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "out"
    place.mkdir()
    return place


@pytest.fixture
def route(folder):
    return Route.objects.create(custodian=make.custodian("Schwab"), broker="file", folder=str(folder))


def order_of(route, quantity=10, client_order_id="RB1-aa", symbol="VTI"):
    """A working order of one account at the route's custodian."""
    account = make.account(custodian=route.custodian)
    part = staging.Part(account.pk, make.sleeve().pk, Decimal(quantity), [])
    block = staging.Block(make.security(symbol).pk, Side.BUY, Decimal(100), [part])
    ticket = staging.stage(label="T", by=None, trade_date=date(2026, 11, 20), blocks=[block], moves=[])
    Order.objects.filter(ticket=ticket).update(client_order_id=client_order_id, state=OrderState.WORKING)
    return Order.objects.get(ticket=ticket)


def instruction_of(order):
    parts = tuple(Portion(one.account.number, one.quantity) for one in order.allocations.all())
    return Instruction(
        client_order_id=order.client_order_id, ticket_id=order.ticket_id, custodian_id=order.custodian_id,
        symbol=order.security.symbol, quantity_step=Decimal(1), side=Side(order.side), quantity=order.quantity,
        price=order.price, algorithm=Algorithm(order.algorithm), portions=parts,
    )  # fmt: skip


@pytest.fixture
def order(route):
    return order_of(route)


@pytest.fixture
def instruction(order):
    return instruction_of(order)


def seen_in(folder):
    return {path.name: path.read_bytes().decode() for path in folder.iterdir() if path.is_file()}


def fills(route, *rows, name="fills.csv"):
    text = HEADER + "".join(f"{row}\r\n" for row in rows)
    return OrderFile.objects.create(
        kind="fills", custodian=route.custodian, file_format="generic", name=name, text=text
    )


def known(order):
    return files.Files().lookup([order.client_order_id]).get(order.client_order_id)


# --- out ------------------------------------------------------------------------------------------------------------


def test_it_is_the_broker_of_that_name():
    assert isinstance(broker("file"), files.Files)
    assert (broker("file").can_cancel, broker("file").takes_lots) == (False, False)


def test_a_submitted_order_is_stored_and_dropped(instruction, folder, order):
    report = files.Files().submit(instruction)
    stored = {file.name: file.text for file in OrderFile.objects.all()}
    assert seen_in(folder) == stored
    assert set(stored) == {"RB1-aa-orders.csv", "RB1-aa-allocations.csv"}
    assert (report.state, report.reference) == (OrderState.WORKING, "RB1-aa-orders.csv")
    assert known(order).state == OrderState.WORKING
    assert all(file.dropped_at and (file.file_format, file.column_map) == ("generic", 1) for file in _all_files())


def _all_files():
    return list(OrderFile.objects.all())


def test_the_same_again_is_the_same_order(instruction, folder):
    files.Files().submit(instruction)
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir() if path.is_file()}
    files.Files().submit(instruction)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir() if path.is_file()} == before
    assert OrderFile.objects.count() == 2


def test_a_file_already_taken_is_not_written_again(instruction, folder):
    files.Files().submit(instruction)
    for path in folder.glob("*.csv"):
        path.unlink()
    files.Files().submit(instruction)
    assert not seen_in(folder)


@pytest.mark.parametrize("taken", [False, True])
def test_a_crash_between_dropping_and_noting_it(instruction, folder, order, taken):
    """The custodian may have taken the file already: it is not dropped a second time."""
    files.Files().submit(instruction)
    OrderFile.objects.update(dropped_at=None)
    for name in seen_in(folder):
        (folder / ".rebalancer" / f"{name}.begun").touch()
        if taken:
            (folder / name).unlink()
    assert known(order) is None
    left = seen_in(folder)
    files.Files().submit(instruction)
    assert seen_in(folder) == left
    assert known(order) is not None


def test_a_crash_between_storing_and_dropping(instruction, folder, order, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            files.Files().submit(instruction)
    assert not seen_in(folder)
    assert known(order) is None
    Route.objects.update(file_format="fidelity")  # what is stored is what goes
    files.Files().submit(instruction)
    assert seen_in(folder) == {file.name: file.text for file in OrderFile.objects.all()}
    assert set(seen_in(folder)) == {"RB1-aa-orders.csv", "RB1-aa-allocations.csv"}


def test_nothing_is_left_beside_what_was_dropped(instruction, folder):
    files.Files().submit(instruction)
    assert not list((folder / ".rebalancer").iterdir())


def test_another_file_of_that_name_is_not_overwritten(instruction, folder):
    (folder / "RB1-aa-orders.csv").write_text("something else")
    with pytest.raises(BrokerDown, match="is there already with something else in it"):
        files.Files().submit(instruction)
    assert (folder / "RB1-aa-orders.csv").read_text() == "something else"


def test_a_folder_that_is_gone(instruction, folder, order):
    folder.rename(folder.with_name("elsewhere"))
    with pytest.raises(BrokerDown, match=rf"can't be written to the folder {folder}: No such file or directory"):
        files.Files().submit(instruction)
    assert known(order) is None
    folder.with_name("elsewhere").rename(folder)
    files.Files().submit(instruction)
    assert len(seen_in(folder)) == 2


def test_without_a_folder_files_wait_to_be_downloaded(instruction, order, route):
    Route.objects.update(folder="")
    files.Files().submit(instruction)
    assert known(order).state == OrderState.WORKING
    Route.objects.update(folder=route.folder)  # what the desk has downloaded is not dropped as well
    files.Files().submit(instruction)
    assert not os.listdir(route.folder)


def test_what_the_format_cannot_carry_is_refused_and_leaves_nothing(instruction, route, folder):
    Route.objects.update(file_format="fidelity")
    with pytest.raises(RefusedByBroker, match="can't carry TWAP orders"):
        files.Files().submit(replace(instruction, algorithm=Algorithm.TWAP))
    assert not OrderFile.objects.exists()
    assert not os.listdir(folder)


def test_parts_that_are_not_the_order_are_refused(instruction):
    with pytest.raises(RefusedByBroker, match="do not add up"):
        files.Files().submit(replace(instruction, quantity=Decimal(11)))


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "a b"])
def test_an_id_that_is_no_file_name(instruction, name, folder):
    with pytest.raises(RefusedByBroker, match="can't name a file"):
        files.Files().submit(replace(instruction, client_order_id=name))
    assert not os.listdir(folder)


def test_a_custodian_without_a_route_waits_for_one(instruction):
    Route.objects.all().delete()
    with pytest.raises(BrokerDown, match="Schwab has no route by files any more"):
        files.Files().submit(instruction)


def test_it_cannot_be_called_back():
    with pytest.raises(RefusedByBroker, match="ask the custodian"):
        files.Files().cancel("RB1-aa")


# --- back -----------------------------------------------------------------------------------------------------------


def test_fills_come_from_the_files(instruction, order, route):
    files.Files().submit(instruction)
    fills(route, "RB1-aa,E1,4,99.5,2026-11-20T10:00:00-05:00,working", "RB9-zz,E2,1,9,2026-11-20T10:00:00-05:00,")
    fills(route, "RB1-aa,E1,4,99.5,2026-11-20T10:00:00-05:00,", "RB1-aa,E3,6,99.7,2026-11-20T15:01:00Z,",
          name="again.csv")  # fmt: skip
    found = files.Files().fills(["RB1-aa"])
    assert [(one.execution_id, one.quantity, one.price) for one in found] == [
        (f"{route.custodian_id}/E1", Decimal(4), Decimal("99.5")),
        (f"{route.custodian_id}/E3", Decimal(6), Decimal("99.7")),
    ]
    assert found[0].at.isoformat() == "2026-11-20T15:00:00+00:00"
    assert known(order).state == OrderState.FILLED


def test_a_refused_file_and_another_custodians_say_nothing(instruction, order, route):
    files.Files().submit(instruction)
    row = "RB1-aa,E1,10,99.5,2026-11-20T10:00:00-05:00,filled"
    refused = fills(route, row)
    OrderFile.objects.filter(pk=refused.pk).update(problems=[[2, "price", "x", "is bad"]])
    other = Route.objects.create(custodian=make.custodian("Other"), broker="file")
    fills(other, row)
    assert files.Files().fills(["RB1-aa"]) == []
    assert known(order).state == OrderState.WORKING


@pytest.mark.parametrize("state", ["cancelled", "expired", "rejected"])
def test_the_custodian_ends_an_order(instruction, order, route, state):
    files.Files().submit(instruction)
    fills(route, "RB1-aa,E1,4,99.5,2026-11-20T10:00:00-05:00,", f"RB1-aa,,,,,{state}")
    assert (known(order).state, known(order).words) == (state, f"{state.capitalize()}, as fills.csv says.")
    assert len(files.Files().fills(["RB1-aa"])) == 1


def test_filled_in_words_alone_is_not_filled(instruction, order, route):
    files.Files().submit(instruction)
    fills(route, "RB1-aa,E1,4,99.5,2026-11-20T10:00:00-05:00,filled")
    assert known(order).state == OrderState.WORKING
    assert "its executions are 4 of 10" in known(order).words.replace(".000000", "")


def test_only_files_since_the_order_are_read(instruction, order, route, django_assert_max_num_queries):
    for number in range(20):
        fills(route, f"RB0-old,E{number},1,9,2026-11-20T10:00:00-05:00,", name=f"{number}.csv")
    OrderFile.objects.update(made_at=timezone.now() - timedelta(days=1))
    files.Files().submit(instruction)
    with django_assert_max_num_queries(3):
        assert files.Files().fills(["RB1-aa"]) == []


def test_of_nothing_nothing_is_known():
    assert files.Files().lookup([]) == {}
    assert files.Files().fills([]) == []
    assert files.Files().lookup(["RB-nobody"]) == {}


# --- before it is sent ----------------------------------------------------------------------------------------------


def test_what_would_be_refused_is_known_before(order, route):
    assert files.refusals([order]) == {}
    Order.objects.update(algorithm="twap")
    Route.objects.update(file_format="fidelity")
    again = Order.objects.select_related("custodian__route", "security").get()
    assert files.refusals([again]) == {
        order.pk: ["Fidelity's order file can't carry TWAP orders: make it a market or a limit order."]
    }
    Route.objects.all().delete()
    assert files.refusals(Order.objects.all()) == {order.pk: ["Schwab has no route by files any more."]}


def test_odd_account_numbers_are_known_before(order):
    account = Allocation.objects.get().account
    account.number = "=HYPERLINK()"
    account.save()
    (words,) = files.refusals([order])[order.pk]
    assert words.startswith("=HYPERLINK() begins with =")


def test_orders_of_other_brokers_are_no_matter(order):
    Order.objects.update(broker="paper", algorithm="twap")
    assert files.refusals(Order.objects.all()) == {}
