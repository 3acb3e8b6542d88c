"""Orders that have ended with fills, for tests of what comes then."""

from datetime import UTC, date, datetime
from decimal import Decimal

from tests import factories as make
from trading.models import Fill, Order
from trading.services import staging
from trading.services.staging import Block, Part
from trading.states import FillState, OrderState

AT = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)  # a Friday, 10:00 in New York


def part(account, quantity, lots=(), sleeve="managed"):
    return Part(account.pk, make.sleeve(sleeve).pk, Decimal(str(quantity)), [list(lot) for lot in lots])


def ended(side, *parts, fills=(), state=OrderState.FILLED, symbol="VTI", price=100, at=AT):
    """An order that has ended with these fills, (quantity, price) each."""
    block = Block(make.security(symbol).pk, side, Decimal(price), list(parts))
    staging.stage(label="A ticket", by=None, trade_date=date(2026, 11, 20), blocks=[block], moves=[])
    order = Order.objects.latest("pk")
    fill(order, *fills, at=at)
    Order.objects.filter(pk=order.pk).update(state=state)
    return order


def fill(order, *fills, at=AT, state=FillState.COUNTED):
    before = order.fills.count()
    for number, (quantity, price) in enumerate(fills, start=before):
        Fill.objects.create(
            broker="paper", execution_id=f"{order.pk}-{number}", client_order_id="x", order=order, at=at, state=state,
            quantity=Decimal(str(quantity)), price=Decimal(str(price)),
        )  # fmt: skip
