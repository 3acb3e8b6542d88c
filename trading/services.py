"""Writes of orders: staging them, calling them off, and booking the moves that need no order."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from tax import services as tax

from .models import Allocation, FlatMove, Order, OrderEvent, Ticket
from .states import OrderState, Side

ROWS_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class Part:
    """What one account's sleeve has in a block; `lots` are [lot id, quantity as text] of each lot sold."""

    account_id: int
    sleeve_id: int
    quantity: Decimal
    lots: list[list[str]]


@dataclass(frozen=True, slots=True)
class Block:
    """One security and side for many accounts, at the price it was proposed at."""

    security_id: int
    side: Side
    price: Decimal
    parts: list[Part]


@dataclass(frozen=True, slots=True)
class Move:
    """Shares that change the sleeve inside an account."""

    account_id: int
    security_id: int
    source_id: int
    target_id: int
    quantity: Decimal


@transaction.atomic
def stage(*, label: str, by, trade_date: date, blocks: Iterable[Block], moves: Iterable[Move]) -> Ticket:
    """Write a ticket of ready orders with their accounts and flat moves; nothing is sent."""
    ticket = Ticket.objects.create(label=label, created_by=by, trade_date=trade_date)
    blocks = list(blocks)
    orders = Order.objects.bulk_create([_order(ticket, block) for block in blocks])
    OrderEvent.objects.bulk_create([OrderEvent(order=order, by=by, state=OrderState.READY) for order in orders])
    parts = ((order, part) for order, block in zip(orders, blocks, strict=True) for part in block.parts)
    _write(
        Allocation,
        (
            Allocation(
                order=order,
                account_id=part.account_id,
                sleeve_id=part.sleeve_id,
                quantity=part.quantity,
                lots=part.lots,
            )
            for order, part in parts
        ),
    )
    _write(FlatMove, (_flat_move(ticket, move) for move in moves))
    return ticket


def _order(ticket, block):
    quantity = sum((part.quantity for part in block.parts), Decimal(0))
    return Order(ticket=ticket, security_id=block.security_id, side=block.side, quantity=quantity, price=block.price)


def _flat_move(ticket, move):
    return FlatMove(
        ticket=ticket,
        account_id=move.account_id,
        security_id=move.security_id,
        source_id=move.source_id,
        target_id=move.target_id,
        quantity=move.quantity,
    )


def _write(model, rows):
    model.objects.bulk_create(rows, batch_size=ROWS_AT_ONCE)


@transaction.atomic
def book_moves_without_orders(ticket: Ticket) -> int:
    """Book the open flat moves of accounts that have no order in the ticket, once; return how many."""
    moves = (
        FlatMove.objects.select_for_update(of=("self",))
        .filter(ticket=ticket, is_open=True)
        .exclude(account__in=Allocation.objects.filter(order__ticket=ticket).values("account"))
        .select_related("account", "security", "source", "target")
        .order_by("pk")
    )
    booked = []
    for move in moves:
        tax.move_lots(move.account, move.security, move.source, move.target, move.quantity)
        booked.append(move.pk)
    FlatMove.objects.filter(pk__in=booked).update(is_open=False, booked_at=timezone.now())
    return len(booked)


@transaction.atomic
def cancel_staged(*, before: datetime, why: str) -> set[int]:
    """Cancel every order staged before that moment and not confirmed, with its parts; return the tickets concerned.

    A ticket's flat moves are dropped with its last ready order.
    """
    orders = Order.objects.select_for_update().filter(state=OrderState.READY, ticket__created_at__lt=before)
    found = dict(orders.order_by("pk").values_list("pk", "ticket"))
    Order.objects.filter(pk__in=found).move(OrderState.READY, OrderState.CANCELLED, end_reason=why)
    OrderEvent.objects.bulk_create(
        [OrderEvent(order_id=order, state=OrderState.CANCELLED, words=why) for order in found], batch_size=ROWS_AT_ONCE
    )
    Allocation.objects.filter(order__in=found, is_open=True).update(is_open=False)
    tickets = set(found.values())
    unfinished = Allocation.objects.filter(order__ticket__in=tickets, is_open=True).values("account")
    FlatMove.objects.filter(ticket__in=tickets, is_open=True).exclude(account__in=unfinished).update(is_open=False)
    return tickets
