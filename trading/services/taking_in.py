"""Taking in fills: each is stored once, and an order's filled quantity is always the sum of the fills that count.

In which order they come, how late and how often is immaterial. What cannot be right is stored and questioned, and
changes nothing else.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal

from django.db import transaction
from django.db.models import DecimalField, F, Sum
from django.utils import timezone

from accounts.listing.figures import price_text, quantity_text
from accounts.money import MICRO
from trading.brokers.base import FillReport
from trading.models import Fill, Order
from trading.states import AT_BROKER, FillState, OrderState

from .logbook import REASON, fit, note_many

ROWS_AT_ONCE = 2000
LARGEST = Decimal(10) ** 11  # shares, or dollars a share: what is beyond is no fill, and has no place in the database
MONEY = DecimalField(max_digits=38, decimal_places=12)
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Total:
    """What of an order is filled: shares, and shares × price, not rounded."""

    quantity: Decimal
    amount: Decimal


def take_in(broker: str, reports: Iterable[FillReport]) -> int:
    """Store what of it is new and move the orders along; return how many fills are new.

    Fills of an order of which the answer to its sending is not stored yet are left for the next time.
    """
    news = _news(broker, {_key(report.execution_id): report for report in reversed(list(reports))})
    return _store(broker, news) if news else 0


def _key(execution_id):
    """The execution's id as it is stored: itself, or what stands for one too long for its place."""
    text = fit(str(execution_id), 10_000)
    return text if len(text) <= 80 else hashlib.sha256(text.encode()).hexdigest()


def _news(broker, reports):
    known = Fill.objects.filter(broker=broker, execution_id__in=list(reports)).values_list("execution_id", flat=True)
    stored = set(known)
    return {key: report for key, report in reports.items() if key not in stored}


@transaction.atomic
def _store(broker, news):
    """Under lock of the orders, so that two workers who were told the same count it once."""
    ids = {fit(report.client_order_id, 40) for report in news.values()}
    locked = Order.objects.select_for_update(of=("self",)).filter(broker=broker, client_order_id__in=ids)
    orders = {order.client_order_id: order for order in locked.select_related("security").order_by("pk")}
    news = _news(broker, news)
    in_time = sorted(news.items(), key=lambda one: (_moment(one[1]), one[0]))
    sums: dict[int, Decimal] = defaultdict(Decimal)
    fills = []
    for key, report in in_time:
        order = orders.get(fit(report.client_order_id, 40))
        if order is not None and order.state == OrderState.SENDING:
            continue
        fills.append(_fill(broker, key, report, order, sums))
    Fill.objects.bulk_create(fills, ignore_conflicts=True, batch_size=ROWS_AT_ONCE)
    _move_on(list(orders.values()), fills)
    return len(fills)


def _fill(broker, key, report, order, sums):
    """A row for the fill; `sums` are the shares that were taken in before it, by order."""
    why = _question(report, order, sums)
    if order is not None and not why:
        sums[order.pk] += report.quantity
    return Fill(
        broker=broker, execution_id=key, client_order_id=fit(report.client_order_id, 40), order=order,
        quantity=_storable(report.quantity), price=_storable(report.price), at=_moment(report),
        state=FillState.QUESTIONED if why else FillState.COUNTED, words=fit(why, REASON),
    )  # fmt: skip


def _question(report, order, sums) -> str:
    """Why the fill cannot be right; empty where it can."""
    if order is None:
        return f"No order has the number {report.client_order_id}."
    if not (_is_possible(report.quantity) and _is_possible(report.price)):
        return f"It says {report.quantity} shares at {report.price}."
    if report.quantity % order.security.quantity_step:
        return f"{quantity_text(report.quantity)} is not a whole number of steps of this security."
    if order.state == OrderState.READY:
        return "The order has not been sent."
    if order.allocated_at is not None:
        return "It came after the order was booked."
    filled = order.filled_quantity + sums[order.pk] + report.quantity
    if filled > order.quantity:
        return f"With it {quantity_text(filled)} were filled of {quantity_text(order.quantity)} ordered."
    return ""


def _is_possible(number):
    """Above nothing, and as exact and as large as the database takes it."""
    return number.is_finite() and MICRO <= number < LARGEST and number == number.quantize(MICRO)


def _storable(number):
    """As much of an impossible number as there is a place for; the fill's words say it as it came."""
    if not (number.is_finite() and -LARGEST < number < LARGEST):
        return ZERO
    return number.quantize(MICRO)


def _moment(report):
    return report.at if report.at.tzinfo else report.at.replace(tzinfo=UTC)


# --- the orders -----------------------------------------------------------------------------------------------------


def _move_on(orders, fills):
    """Recompute the locked orders from their fills and write their steps down."""
    concerned = {fill.order_id for fill in fills if fill.order_id and fill.state == FillState.COUNTED}
    totals = _totals(concerned)
    questioned = [fill for fill in fills if fill.order_id and fill.state == FillState.QUESTIONED]
    steps = [(fill.order_id, fill.order.state, f"A fill does not count: {fill.words}") for fill in questioned]
    steps += [_recount(order, totals[order.pk]) for order in orders if order.pk in concerned]
    note_many(steps)


def _totals(orders) -> dict[int, Total]:
    counted = Fill.objects.filter(order__in=orders, state=FillState.COUNTED).values("order")
    money = Sum(F("quantity") * F("price"), output_field=MONEY)
    rows = counted.annotate(shares=Sum("quantity"), money=money)
    return {row["order"]: Total(row["shares"], row["money"]) for row in rows}


def _recount(order, total):
    """Store what is filled and the state that follows from it; the step for the log."""
    changes = {"filled_quantity": total.quantity, "filled_amount": total.amount}
    mine = Order.objects.filter(pk=order.pk)
    target = _target(order, total)
    if target == order.state:
        mine.update(**changes)
    else:
        if target == OrderState.FILLED:
            changes |= {"ended_at": timezone.now(), "trouble": "", "claim": None, "claim_expires": None}
        mine.move(order.state, target, **changes)
    average = round(total.amount / total.quantity, 6)
    filled = f"{quantity_text(total.quantity)} of {quantity_text(order.quantity)}"
    return order.pk, target, f"{filled} filled at {price_text(average)}"


def _target(order, total):
    if order.state in AT_BROKER and total.quantity >= order.quantity:
        return OrderState.FILLED
    return OrderState.PARTIALLY_FILLED if order.state == OrderState.WORKING else order.state
