"""Orders in the states that pages show, built for tests."""

from datetime import UTC, date, datetime
from decimal import Decimal

from tests import factories as make
from trading.models import Fill, Order, Ticket
from trading.services import staging
from trading.services.staging import Block, Part


def staged(symbol, side, price, parts, label="Request 7"):
    """A ticket of one block; `parts` are {account: shares}."""
    sleeve = make.sleeve().pk
    block = Block(
        make.security(symbol).pk, side, Decimal(price),
        [Part(account.pk, sleeve, Decimal(shares), []) for account, shares in parts.items()],
    )  # fmt: skip
    ticket = staging.stage(label=label, by=None, trade_date=date(2026, 11, 20), blocks=[block], moves=())
    return ticket.orders.get()


def confirmed(order):
    """The order's ticket was confirmed; it is sent any moment."""
    Ticket.objects.filter(pk=order.ticket_id).update(confirmed_at=datetime(2026, 11, 20, 14, tzinfo=UTC))
    return order


def changed(order, **fields):
    Order.objects.filter(pk=order.pk).update(**fields)
    return Order.objects.get(pk=order.pk)


def question(**fields):
    number = Fill.objects.count()
    return Fill.objects.create(**{
        "broker": "paper", "execution_id": f"q{number}", "client_order_id": "nobody's", "quantity": 3,
        "price": Decimal(10), "at": datetime(2026, 11, 20, 15, tzinfo=UTC), "state": "questioned",
        "words": "no order has this id",
    } | fields)  # fmt: skip
