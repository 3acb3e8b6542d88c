"""Watching orders until they have ended: one round after the other, each of which may be lost or done twice.

A round sends what lies, asks each broker once about its orders and their fills, ends what has ended, and has it
allocated. What goes wrong with one broker or one order is logged and said on it, and the others go on.
"""

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.listing.figures import quantity_text
from accounts.services import audit
from accounts.services.refusals import Refused, command
from trading.brokers.base import Broker, BrokerDown, RefusedByBroker, Report
from trading.models import FlatMove, Order, Ticket
from trading.states import AT_BROKER, ENDED, OrderState

from . import allocating, cancelling, flat_moves, session_end, transmitting
from .logbook import REASON, fit, no_answer, note
from .taking_in import take_in

log = logging.getLogger(__name__)

ONE_AT_A_TIME = 7_401_126  # the number of the advisory lock that a round holds
NOT_KNOWN = "The broker does not know this order; ask it again."
SESSION_ENDED = "the session has ended"


def watch() -> bool:
    """Do a round; whether there was anything to do. Where another worker is at it, it is left to that one."""
    if not _is_anything_to_do():
        return False
    with _alone() as is_mine:
        if is_mine:
            _round()
    return is_mine


def look_after(order_pk: int) -> None:
    """Do for one order, now, what a round does for all."""
    order = Order.objects.get(pk=order_pk)
    if order.state in (OrderState.READY, OrderState.SENDING):
        transmitting.send(order.pk)
    elif order.state in AT_BROKER:
        _ask(order.broker, Order.objects.filter(pk=order.pk))
    _allocate(Order.objects.filter(pk=order.pk))


def ask_again(order: Order, *, by) -> None:
    """Have the broker asked about the order; a worker does that with `look_after`. For Operations.

    Where it was being sent without an answer, it need not wait for the time of the next try.
    """
    with command(by, "order.asked", order):
        cancelling.require_desk(by)
        row = Order.objects.select_for_update().get(pk=order.pk)
        if row.state in ENDED:
            raise Refused(f"There is nothing to ask: {cancelling.what_happened(row)}")
        if row.state == OrderState.READY:
            raise Refused("There is nothing to ask: the order has not been sent yet.")
        now = timezone.now()
        if row.state == OrderState.SENDING and not row.trouble and row.claim_expires and row.claim_expires > now:
            raise Refused("It is being sent at this moment. If nothing comes of that, it is asked about by itself.")
        begun = row.state == OrderState.SENDING or (row.state == OrderState.PENDING_CANCEL and row.claim is None)
        due = {"claim_expires": now} if begun else {}
        Order.objects.filter(pk=row.pk).update(trouble="", **due)
        audit.record(by, "order.asked", order)


# --- a round --------------------------------------------------------------------------------------------------------


def _confirmed():
    return Exists(Ticket.objects.filter(pk=OuterRef("ticket"), confirmed_at__isnull=False))


def _is_anything_to_do():
    ready = Q(state=OrderState.READY, quantity__gt=0) & Q(_confirmed())
    begun = Order.objects.filter(ready | ~Q(state=OrderState.READY), allocated_at=None)
    return begun.exists() or _open_moves().exists()


def _open_moves() -> QuerySet[FlatMove]:
    return FlatMove.objects.filter(_confirmed(), is_open=True)


@contextmanager
def _alone() -> Iterator[bool]:
    """Whether no other worker does a round, who would be kept from it meanwhile; a killed worker keeps nobody."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [ONE_AT_A_TIME])
        is_mine = cursor.fetchone()[0]
    try:
        yield is_mine
    finally:
        if is_mine:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [ONE_AT_A_TIME])


def _round():
    book_moves()
    transmitting.send_due()
    at_broker = Order.objects.filter(state__in=AT_BROKER)
    for name in sorted(set(at_broker.values_list("broker", flat=True))):
        _apart("asking a broker", _ask, name, at_broker.filter(broker=name))
    if _allocate(Order.objects.all()):
        transmitting.send_due()  # the buys that these sells have released


def _apart(what, do, *args):
    """What goes wrong here is logged, and the others go on."""
    try:
        return do(*args)
    except Exception:
        log.exception("%s: %s", what, args)
        return None


def book_moves(ticket_id: int | None = None) -> None:
    """Book the open flat moves of the confirmed tickets, or of this one."""
    moves = _open_moves() if ticket_id is None else _open_moves().filter(ticket=ticket_id)
    for ticket in Ticket.objects.filter(pk__in=moves.values("ticket")).order_by("pk"):
        _apart("booking flat moves", flat_moves.book_moves, ticket)


def _allocate(orders):
    """Have what has ended booked; return how many orders were."""
    ended = orders.filter(state__in=ENDED, allocated_at=None).order_by("pk").values_list("pk", flat=True)
    return sum(bool(_apart("allocating an order", allocating.allocate, pk)) for pk in list(ended))


# --- what a broker says ---------------------------------------------------------------------------------------------


def _ask(name, orders):
    """Ask the broker about these orders of it and store what it says; where it does not answer, they say so.

    Fills are asked for after the states, so that an order which had ended by then has all of its fills counted.
    """
    found = {order.client_order_id: order for order in orders.order_by("pk")}
    try:
        adapter = transmitting.at(name)
        _ask_to_cancel(adapter, found.values())
        reports = adapter.lookup(list(found))
        fills = adapter.fills(list(found))
    except BrokerDown as down:
        _say(found.values(), no_answer(name, down))
        return
    take_in(name, fills)
    known = [order for number, order in found.items() if number in reports]
    _write(Order.objects.filter(pk__in=[order.pk for order in known]), asked_at=timezone.now())
    _say([order for number, order in found.items() if number not in reports], NOT_KNOWN)
    _say([order for order in known if reports[order.client_order_id].state != OrderState.FILLED], "")
    for order in known:
        if reports[order.client_order_id].state in ENDED:
            _believe(order.pk, reports[order.client_order_id])
    if adapter.is_live:
        _expire([order for order in known if reports[order.client_order_id].state not in ENDED])


def _say(orders, words):
    """Write why these do not get on, where it is not written already."""
    mine = Order.objects.filter(pk__in=[order.pk for order in orders], state__in=AT_BROKER)
    _write(mine.exclude(trouble=words), trouble=words)


@transaction.atomic
def _write(orders: QuerySet[Order], **changes):
    """Change these orders, locked in the order in which everybody locks orders."""
    locked = orders.select_for_update().order_by("pk").values("pk")
    Order.objects.filter(pk__in=locked).update(**changes)


@transaction.atomic
def _believe(order_pk, report: Report):
    """End the order as its broker says. What it says of one that works on, its fills tell better."""
    order = Order.objects.select_for_update().get(pk=order_pk)
    if order.state not in AT_BROKER:
        return
    if report.state == OrderState.FILLED:
        filled = f"{quantity_text(order.filled_quantity)} of {quantity_text(order.quantity)}"
        _say([order], f"The broker says that it is filled, but has told of {filled} only.")
    elif report.state == OrderState.EXPIRED:
        _end(order, OrderState.EXPIRED, report.words or "expired at the broker")
    elif report.state == OrderState.REJECTED:
        _end(order, OrderState.CANCELLED, f"rejected by the broker: {report.words}".rstrip(": "))
    else:
        _end(order, OrderState.CANCELLED, report.words or "cancelled at the broker")


def _end(order, target, why):
    """End a locked order. A broker may take back what nobody has asked it to: that is pending cancel for a moment."""
    ended = {"ended_at": timezone.now(), "end_reason": fit(why, REASON), "trouble": "", **transmitting.NO_CLAIM}
    mine = Order.objects.filter(pk=order.pk)
    source = OrderState(order.state)
    if target == OrderState.CANCELLED and source != OrderState.PENDING_CANCEL:
        mine.move(source, OrderState.PENDING_CANCEL)
        note(order.pk, OrderState.PENDING_CANCEL, "the broker takes it back by itself")
        source = OrderState.PENDING_CANCEL
    mine.move(source, target, **ended)
    note(order.pk, target, why)


# --- cancelling -----------------------------------------------------------------------------------------------------


def _is_cancel_due(order):
    return order.state == OrderState.PENDING_CANCEL and order.claim_expires is not None


def _ask_to_cancel(adapter: Broker, orders: Collection[Order]) -> None:
    """Ask the broker to take back those of which it has not been asked yet, or nobody knows whether it was."""
    for order in orders:
        if _is_cancel_due(order):
            token = cancelling.claim(order.pk)
            if token is not None:
                _cancel_at(adapter, order, token)


def _cancel_at(adapter, order, token):
    try:
        adapter.cancel(order.client_order_id)
    except RefusedByBroker as refusal:
        cancelling.refused(order.pk, token, str(refusal))
    except BrokerDown:
        cancelling.try_later(order.pk, token)
        raise
    else:
        cancelling.asked(order.pk, token)


# --- the session's end ----------------------------------------------------------------------------------------------


def _expire(orders):
    """End the orders of which the session is over, although their broker still works on them."""
    for order in session_end.over((order, order.sent_at) for order in orders):
        _expire_one(order.pk)


@transaction.atomic
def _expire_one(order_pk):
    order = Order.objects.select_for_update().get(pk=order_pk)
    if order.state in AT_BROKER:
        _end(order, OrderState.EXPIRED, SESSION_ENDED)
