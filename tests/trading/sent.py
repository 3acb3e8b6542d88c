"""What tests of sending and watching share: tickets that are confirmed, and short words for what is there."""

from datetime import timedelta
from decimal import Decimal

from django.utils import timezone

from tests import factories as make
from trading.models import Order, Ticket

from .confirming import block, ticket

__all__ = ["account", "again", "block", "confirmed", "log", "minute_later", "order", "states", "ticket"]


def account(number, cash=100_000, **held):
    """An account with cash and a lot of each of these: account("A1", VTI=10)."""
    row = make.account(number, cash=Decimal(cash))
    for symbol, quantity in held.items():
        make.lot(row, symbol, quantity, cost=quantity * 50, lot_id=f"{number}-{symbol}")
    return row


def confirmed(*blocks, sells_first=False) -> Ticket:
    """A ticket of these blocks as Confirm leaves it: every order has its number."""
    found = ticket(*blocks)
    for one in Order.objects.filter(ticket=found):
        Order.objects.filter(pk=one.pk).update(client_order_id=f"RB{one.pk}")
    Ticket.objects.filter(pk=found.pk).update(confirmed_at=timezone.now(), sells_first=sells_first)
    return again(found)


def order(symbol="VTI", side="buy", **changes) -> Order:
    chosen = Order.objects.filter(security__symbol=symbol, side=side)
    if changes:
        chosen.update(**changes)
    return chosen.latest("pk")


def again(row):
    return type(row).objects.get(pk=row.pk)


def log(of):
    """The states that an order went through, with the words."""
    return list(of.events.order_by("pk").values_list("state", "words"))


def states(of):
    return [state for state, _ in log(of)]


def minute_later(of):
    """A minute goes by for the claim on an order."""
    Order.objects.filter(pk=of.pk).update(claim_expires=timezone.now() - timedelta(seconds=1))
