"""Taking orders back: at once before they are sent, else by asking their broker, who may be too late.

That the broker is still to be asked stands in the row: pending cancel, with a claim that expires when somebody has to
ask (again). An order of which it has been asked has no claim.
"""

import uuid

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from accounts.listing.figures import quantity_text
from accounts.services import audit
from accounts.services.refusals import Refused, command
from trading.brokers import broker
from trading.models import Order
from trading.states import ENDED, OrderState
from trading.words import broker_words

from . import transmitting
from .logbook import note


def cancel(order: Order, *, by) -> OrderState:
    """Take the order back; return the state it is in now. For Operations.

    Cancelled at once where it waits to be sent; pending cancel where a broker has it: a worker asks (`look_after`).
    Raises Refused, saying what happened, where it is too late or too early.
    """
    with command(by, "order.cancelled", order):
        require_desk(by)
        row = Order.objects.select_for_update(of=("self",)).select_related("ticket").get(pk=order.pk)
        before = OrderState(row.state)
        target = _cancel_ready(row, by) if before == OrderState.READY else _cancel_working(row, by)
        audit.record(by, "order.cancelled", row, before={"state": before.value}, after={"state": target.value})
    return target


def require_desk(by) -> None:
    """Let pass who may work with orders, and the system (None); else raise PermissionDenied."""
    if by is not None and not by.has_perm("trading.change_order"):
        raise PermissionDenied("Only Operations may do this.")


def what_happened(order: Order) -> str:
    """In words, why an order is where it is."""
    filled = f"{quantity_text(order.filled_quantity)} of {quantity_text(order.quantity)} were filled"
    if order.state == OrderState.FILLED:
        return "the order is filled."
    if order.state in ENDED:
        why = f" ({order.end_reason})" if order.end_reason else ""
        bought = f"; {filled}" if order.filled_quantity else ""
        return f"the order is {OrderState(order.state).label.lower()}{why}{bought}."
    return f"the order is {OrderState(order.state).label.lower()}."


def _cancel_ready(row, by):
    if row.ticket.confirmed_at is None:
        raise Refused("The order is not confirmed yet: leave its accounts out on the order ticket.")
    why = f"cancelled by {by}" if by else "cancelled"
    ended = {"ended_at": timezone.now(), "end_reason": why, "trouble": ""}
    Order.objects.filter(pk=row.pk).move(OrderState.READY, OrderState.CANCELLED, **ended)
    note(row.pk, OrderState.CANCELLED, "cancelled before it was sent", by=by)
    return OrderState.CANCELLED


def _cancel_working(row, by):
    if row.state in ENDED:
        raise Refused(f"It is too late: {what_happened(row)}")
    if row.state == OrderState.SENDING:
        raise Refused("It is being sent; try again in a moment.")
    if row.state == OrderState.PENDING_CANCEL:
        raise Refused("Its broker is already asked to take it back.")
    if not broker(row.broker).can_cancel:
        raise Refused(f"{broker_words(row.broker)}: orders cannot be taken back from here. Call the custodian.")
    Order.objects.filter(pk=row.pk).move(row.state, OrderState.PENDING_CANCEL, claim=None, claim_expires=timezone.now())
    note(row.pk, OrderState.PENDING_CANCEL, by=by)
    return OrderState.PENDING_CANCEL


# --- asking the broker ----------------------------------------------------------------------------------------------


def claim(order_pk: int) -> uuid.UUID | None:
    """Hold an order of which the broker is to be asked now; None where somebody does, or it is not time yet."""
    now, token = timezone.now(), uuid.uuid4()
    due = Order.objects.filter(pk=order_pk, state=OrderState.PENDING_CANCEL, claim_expires__lte=now)
    return token if due.update(claim=token, claim_expires=now + transmitting.CLAIM_LASTS) else None


def _held(order_pk, token):
    return Order.objects.filter(pk=order_pk, claim=token)


def asked(order_pk: int, token: uuid.UUID) -> None:
    """The broker has been asked; what becomes of it, it tells when looked up."""
    _held(order_pk, token).filter(state=OrderState.PENDING_CANCEL).update(**transmitting.NO_CLAIM)


def try_later(order_pk: int, token: uuid.UUID) -> None:
    """The broker did not answer."""
    again = timezone.now() + transmitting.BACK_OFF
    _held(order_pk, token).filter(state=OrderState.PENDING_CANCEL).update(claim=None, claim_expires=again)


@transaction.atomic
def refused(order_pk: int, token: uuid.UUID, why: str) -> None:
    """The broker does not take it back: the order is where it was before."""
    row = _held(order_pk, token).select_for_update().first()
    if row is None:
        return
    back = OrderState.PARTIALLY_FILLED if row.filled_quantity else OrderState.WORKING
    if Order.objects.filter(pk=row.pk).move(OrderState.PENDING_CANCEL, back, **transmitting.NO_CLAIM):
        note(row.pk, back, f"the broker does not take it back: {why}")
