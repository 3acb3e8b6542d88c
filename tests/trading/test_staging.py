"""Staged orders: written as blocks, cancelled with their parts, moves booked once."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError
from django.utils import timezone

from accounts.models import Position
from tests import factories as make
from trading import selectors
from trading.models import Allocation, FlatMove, Order, OrderEvent
from trading.services import staging as services
from trading.services.flat_moves import book_moves_without_orders
from trading.services.staging import Block, Move, Part
from trading.states import ENDED, ORDER_MOVES, OrderState, Side

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(db):
    return make.account("A1")


@pytest.fixture
def core(db):
    return make.model("Core", VTI=100)


def stage(*accounts, side=Side.BUY, moves=()):
    """A ticket with one block of 10 VTI for each of these accounts."""
    sleeve = make.sleeve().pk
    parts = [Part(account.pk, sleeve, Decimal(10), []) for account in accounts]
    blocks = [Block(make.security("VTI").pk, side, Decimal(100), parts)] if parts else []
    return services.stage(label="A ticket", by=None, trade_date=date(2026, 11, 20), blocks=blocks, moves=moves)


def move(account, core, quantity=5):
    make.lot(account, "VTI", 8, cost=800, sleeve_of=core)
    return Move(account.pk, make.security("VTI").pk, core.sleeve.pk, make.sleeve().pk, Decimal(quantity))


def open_accounts():
    return selectors.accounts_with_open_orders([account.pk for account in make.Account.objects.all()])


def test_a_block_is_the_sum_of_its_parts(account):
    ticket = stage(account, make.account("A2"))
    order = Order.objects.get()
    assert (order.ticket, order.quantity, order.state) == (ticket, 20, OrderState.READY)
    assert list(order.allocations.values_list("account__number", "quantity", "is_open")) == [
        ("A1", 10, True), ("A2", 10, True),
    ]  # fmt: skip
    assert list(order.events.values_list("state", flat=True)) == ["ready"]
    assert list(selectors.orders(ticket)) == [order]


def test_a_quantity_that_is_none_stages_nothing(account):
    nothing = Part(account.pk, make.sleeve().pk, Decimal(0), [])
    blocks = [Block(make.security("VTI").pk, Side.BUY, Decimal(1), [nothing])]
    with pytest.raises(IntegrityError):
        services.stage(label="Bad", by=None, trade_date=date(2026, 11, 20), moves=(), blocks=blocks)


def test_parts_and_moves_are_open_orders_of_their_accounts(account, core):
    other, third = make.account("A2"), make.account("A3")
    stage(account, moves=[move(other, core)])
    assert open_accounts() == {account.pk, other.pk}
    free = make.Account.objects.exclude(selectors.has_open_order())
    assert list(free) == [third]


def test_cancelling_closes_orders_parts_and_moves(account, core):
    ticket = stage(account, moves=[move(account, core)])
    assert services.cancel_staged(before=timezone.now(), why="end of day") == {ticket.pk}
    order = Order.objects.get()
    assert (order.state, order.end_reason) == (OrderState.CANCELLED, "end of day")
    assert OrderEvent.objects.filter(order=order).last().words == "end of day"
    assert open_accounts() == set()
    assert FlatMove.objects.get().booked_at is None
    assert services.cancel_staged(before=timezone.now(), why="again") == set()


def test_what_was_staged_later_or_sent_is_not_cancelled(account):
    stage(account)
    assert services.cancel_staged(before=timezone.now() - timedelta(minutes=1), why="x") == set()
    Order.objects.update(state=OrderState.WORKING)
    assert services.cancel_staged(before=timezone.now(), why="x") == set()
    assert Allocation.objects.get().is_open


def test_moves_without_orders_are_booked_once(account, core):
    ticket = stage(moves=[move(account, core)])
    assert book_moves_without_orders(ticket) == 1
    assert book_moves_without_orders(ticket) == 0
    held = dict(Position.objects.values_list("sleeve__kind", "quantity"))
    assert held == {"managed": 5, "model": 3}
    assert FlatMove.objects.get().booked_at


def test_moves_wait_for_the_orders_of_their_account(account, core):
    other = make.account("A2")
    ticket = stage(account, moves=[move(account, core), move(other, core)])
    assert book_moves_without_orders(ticket) == 1
    assert FlatMove.objects.get(account=account).is_open


@pytest.mark.parametrize(
    ("states", "filled", "untraded"),
    [
        (["cancelled", "cancelled"], 0, True),
        (["cancelled", "rejected"], 0, True),
        (["cancelled", "ready"], 0, False),
        (["cancelled", "expired"], 1, False),
    ],
)
def test_untraded_are_those_whose_orders_all_ended_without_a_fill(account, states, filled, untraded):
    sleeve = make.sleeve().pk
    blocks = [
        Block(make.security(symbol).pk, Side.BUY, Decimal(1), [Part(account.pk, sleeve, Decimal(3), [])])
        for symbol in ("VTI", "AGG")
    ]
    ticket = services.stage(label="Two", by=None, trade_date=date(2026, 11, 20), blocks=blocks, moves=())
    for order, state in zip(Order.objects.order_by("pk"), states, strict=True):
        Order.objects.filter(pk=order.pk).update(state=state, filled_quantity=3)  # what others got does not count
    Allocation.objects.filter(order__state__in=ENDED).update(is_open=False, filled_quantity=filled or None)
    assert selectors.untraded_accounts([ticket.pk]) == ({(ticket.pk, account.pk)} if untraded else set())


def test_before_it_is_booked_nobody_knows_what_an_order_brought(account):
    ticket = stage(account)
    Order.objects.update(state="expired", filled_quantity=5)
    assert selectors.untraded_accounts([ticket.pk]) == set()
    Allocation.objects.update(is_open=False, filled_quantity=0)
    assert selectors.untraded_accounts([ticket.pk]) == {(ticket.pk, account.pk)}


def test_the_table_of_moves_leaves_no_end():
    assert ENDED.isdisjoint(ORDER_MOVES)
    assert set(OrderState) == set(ORDER_MOVES) | ENDED


def test_a_move_that_is_none_is_our_own_mistake(account):
    stage(account)
    with pytest.raises(AssertionError):
        Order.objects.move(OrderState.READY, OrderState.FILLED)
