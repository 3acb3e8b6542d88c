"""Reads of single orders: their log, their fills, and how their parts stand."""

from django.db.models import Count, Q, QuerySet, Sum

from trading.models import Allocation, Fill, Order, OrderEvent
from trading.states import FillState


def log(order: Order) -> QuerySet[OrderEvent]:
    """The steps of an order, the newest first."""
    return OrderEvent.objects.filter(order=order).select_related("by").order_by("-at", "-pk")


def fills(order: Order) -> QuerySet[Fill]:
    """What the broker reported for an order, questioned fills too, the newest first."""
    return Fill.objects.filter(order=order).order_by("-at", "-pk")


def questioned() -> int:
    """How many fills wait for a person's word."""
    return Fill.objects.filter(state=FillState.QUESTIONED, settled_at=None).count()


def parts_of(order: Order, user) -> dict:
    """Of the parts of an order that this person sees: `left_out` and `edited` ones, and their `money` once booked."""
    seen = Allocation.objects.visible_to(user).filter(order=order)
    return seen.aggregate(
        left_out=Count("pk", filter=Q(quantity=0)),
        edited=Count("pk", filter=Q(edited_at__isnull=False)),
        money=Sum("filled_amount"),
    )
