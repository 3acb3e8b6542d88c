"""Writes of orders: staging them and calling them off."""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from accounts.imports.copying import copy_rows
from accounts.models import Account, Security
from trading.models import Allocation, FlatMove, Order, OrderEvent, Route, Ticket
from trading.states import Algorithm, OrderState, Side

ROWS_AT_ONCE = 2000
PAPER, FILE = "paper", "file"
ALLOCATION = (
    "order_id", "account_id", "sleeve_id", "quantity", "approved_quantity", "lots", "short_quantity", "short_cost",
    "long_quantity", "long_cost", "unknown_lots", "edit_words", "is_open",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sold:
    """What the lots that are sold cost, by holding period; those of unknown cost are only counted."""

    short_quantity: Decimal = Decimal(0)
    short_cost: Decimal = Decimal(0)
    long_quantity: Decimal = Decimal(0)
    long_cost: Decimal = Decimal(0)
    unknown_lots: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """What one account's sleeve has in a block; `lots` are [lot id, quantity as text] of each lot sold."""

    account_id: int
    sleeve_id: int
    quantity: Decimal
    lots: list[list[str]]
    sold: Sold = Sold()


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
    routed = list(_routed(list(blocks)))
    funds = set(Security.objects.filter(kind=Security.Kind.MUTUAL_FUND).values_list("pk", flat=True))
    orders = Order.objects.bulk_create([_order(ticket, one, funds) for one in routed])
    OrderEvent.objects.bulk_create([OrderEvent(order=order, by=by, state=OrderState.READY) for order in orders])
    parts = ((order, part) for order, one in zip(orders, routed, strict=True) for part in one.block.parts)
    copy_rows(Allocation._meta.db_table, ALLOCATION, (_allocation(order, part) for order, part in parts))
    _write(FlatMove, (_flat_move(ticket, move) for move in moves))
    return ticket


@dataclass(frozen=True, slots=True)
class _Routed:
    """A block as it goes to one broker; `custodian_id` where that is by a file for the custodian."""

    block: Block
    broker: str
    custodian_id: int | None


def _routed(blocks):
    """The blocks, each parted by where its accounts' custodians have orders sent: by default to the paper market."""
    accounts = {part.account_id for block in blocks for part in block.parts}
    custodian_of = dict(Account.objects.filter(pk__in=accounts).values_list("pk", "custodian"))
    to_files = set(Route.objects.filter(broker=FILE).values_list("custodian", flat=True))
    for block in blocks:
        parted = defaultdict(list)
        for part in block.parts:
            custodian = custodian_of.get(part.account_id)
            parted[custodian if custodian in to_files else None].append(part)
        for custodian, parts in parted.items():
            broker = PAPER if custodian is None else FILE
            yield _Routed(Block(block.security_id, block.side, block.price, parts), broker, custodian)


def _order(ticket, routed, funds):
    block = routed.block
    return Order(
        ticket=ticket, security_id=block.security_id, side=block.side, price=block.price, broker=routed.broker,
        custodian_id=routed.custodian_id, quantity=sum((part.quantity for part in block.parts), Decimal(0)),
        algorithm=Algorithm.NAV if block.security_id in funds else Algorithm.MARKET,
    )  # fmt: skip


def _allocation(order, part):
    """The row of an account's part: a ticket has one for each account, sleeve and security, so they go in by COPY."""
    sold = part.sold
    return (
        order.pk, part.account_id, part.sleeve_id, part.quantity, part.quantity, json.dumps(part.lots),
        sold.short_quantity, sold.short_cost, sold.long_quantity, sold.long_cost, sold.unknown_lots, "", True,
    )  # fmt: skip


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
def cancel_staged(*, before: datetime, why: str) -> set[int]:
    """Cancel every order staged before that moment and not confirmed, with its parts; return the tickets concerned.

    A ticket's flat moves are dropped with its last ready order.
    """
    unconfirmed = Ticket.objects.filter(confirmed_at=None, created_at__lt=before, orders__state=OrderState.READY)
    locked = Ticket.objects.select_for_update().filter(pk__in=unconfirmed.values("pk"), confirmed_at=None)
    held = list(locked.order_by("pk"))
    orders = Order.objects.filter(ticket__in=held, state=OrderState.READY).order_by("pk")
    found = dict(orders.values_list("pk", "ticket"))
    now = timezone.now()
    ended = {"end_reason": why, "ended_at": now, "allocated_at": now}  # there is nothing to book
    Order.objects.filter(pk__in=found).move(OrderState.READY, OrderState.CANCELLED, **ended)
    OrderEvent.objects.bulk_create(
        [OrderEvent(order_id=order, state=OrderState.CANCELLED, words=why) for order in found], batch_size=ROWS_AT_ONCE
    )
    Allocation.objects.filter(order__in=found, is_open=True).update(is_open=False)
    tickets = set(found.values())
    unfinished = Allocation.objects.filter(order__ticket__in=tickets, is_open=True).values("account")
    FlatMove.objects.filter(ticket__in=tickets, is_open=True).exclude(account__in=unfinished).update(is_open=False)
    return tickets
