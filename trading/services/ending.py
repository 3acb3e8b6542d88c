"""Ending by hand what nobody tells the end of: an order that its broker does not know, or that cannot be asked for.

The accounts of such an order would wait for ever. What is filled is allocated and booked as of any ended order; what
is reported after that is questioned.
"""

from decimal import Decimal

from django.utils import timezone

from accounts.listing.figures import quantity_text
from accounts.services import audit
from accounts.services.refusals import Refused, command
from accounts.services.said import said
from trading.brokers import broker
from trading.models import Order
from trading.states import AT_BROKER, OrderState

from .cancelling import require_desk, what_happened
from .logbook import REASON, fit, note
from .transmitting import NO_CLAIM
from .watching import NOT_KNOWN

WORDS_LENGTH = 120
ASKED = "Say in a few words how you know that nothing more comes of it."
STILL_TOLD = "Its broker knows the order and tells what becomes of it; cancel it instead."


def end_by_hand(order: Order, *, by, filled: Decimal, words: str) -> None:
    """End an order of which no broker tells the end; a worker then allocates what is filled. For Operations.

    `filled` are the shares that the person was shown as filled. Raises Refused, saying what happened, where the order
    has ended, where its broker tells of it, and where more is filled by now.
    """
    with command(by, "order.ended", order):
        require_desk(by)
        words = said(words, WORDS_LENGTH, ASKED)
        row = Order.objects.select_for_update().get(pk=order.pk)
        if why := why_not_end(row):
            raise Refused(why)
        if row.filled_quantity != filled:
            raise Refused(
                f"You saw {quantity_text(filled)} shares filled; now it is {quantity_text(row.filled_quantity)}. "
                "Nothing was done; look at it and end it again."
            )
        _end(row, by, words)
        before = {"state": row.state, "trouble": row.trouble}
        audit.record(
            by, "order.ended", row, before, {"state": OrderState.EXPIRED.value}, words=words, filled=str(filled)
        )


def why_not_end(order: Order) -> str:
    """Why an order is not ended by hand, in words; empty where it may be."""
    if order.state not in AT_BROKER:
        return f"There is nothing to end by hand: {what_happened(order)}"
    return "" if order.trouble == NOT_KNOWN or not _can_be_asked(order.broker) else STILL_TOLD


def _can_be_asked(name):
    """Whether the broker tells by itself what happens; one that is not set up any more tells nothing."""
    try:
        return broker(name).is_live
    except KeyError:
        return False


def _end(row, by, words):
    why = fit(f"ended by hand by {by or 'the system'}: {words}", REASON)
    ended = {"ended_at": timezone.now(), "end_reason": why, "trouble": "", **NO_CLAIM}
    Order.objects.filter(pk=row.pk).move(OrderState(row.state), OrderState.EXPIRED, **ended)
    note(row.pk, OrderState.EXPIRED, why, by=by)
