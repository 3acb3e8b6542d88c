"""Sells first: the buys of a ticket wait until the sells of their accounts are booked, and are no larger than what
these brought.
"""

from collections.abc import Collection
from decimal import Decimal

from django.db.models import Case, DecimalField, Exists, F, OuterRef, Q, Sum, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts import selectors as accounts_selectors
from accounts.listing.figures import plural
from accounts.models import Account
from trading.models import Allocation, Order, Ticket
from trading.states import ENDED, OrderState, Side

from .logbook import note

LEFT_OUT = "left out: its sells brought too little cash"
NOTHING_LEFT = "every account was left out: its sells brought too little cash"
ZERO = Decimal(0)
MONEY = DecimalField(max_digits=38, decimal_places=12)


def held_back() -> Q:
    """The condition on orders: buys of a ticket that sells first, of which an account has a sell not booked yet."""
    waits = Ticket.objects.filter(pk=OuterRef("ticket"), sells_first=True)
    sells = Order.objects.filter(ticket=OuterRef("ticket"), side=Side.SELL, allocated_at=None)
    not_booked = sells.exclude(state__in=ENDED, filled_quantity=0)
    its_accounts = Allocation.objects.filter(order=OuterRef(OuterRef("pk")), quantity__gt=0).values("account")
    shared = Allocation.objects.filter(order=OuterRef("pk"), quantity__gt=0, account__in=its_accounts)
    # Asked for in this order, most tickets cost a look at their orders only, not at thousands of parts.
    return Q(side=Side.BUY) & Q(Exists(waits)) & Q(Exists(not_booked)) & Q(Exists(not_booked.filter(Exists(shared))))


def leave_out_short(order: Order) -> bool:
    """Leave out of a ready buy the accounts that cannot pay for it; whether anything of it is left to be sent.

    Asked are those whose sells did not fill wholly: their available cash, with the ticket's other open buys taken off,
    must cover this one at the newest usable price. An order of which nothing is left is cancelled. Lock the ticket.
    """
    short = _short_of_cash(order)
    if not short:
        return True
    parts = order.allocations.filter(account__in=short, quantity__gt=0)
    left_out = parts.update(quantity=0, is_open=False, edit_words=LEFT_OUT, edited_at=timezone.now())
    order.quantity = order.allocations.aggregate(left=Coalesce(Sum("quantity"), ZERO))["left"]
    Order.objects.filter(pk=order.pk).update(quantity=order.quantity)
    if left_out:
        who = plural(len(short), "account")
        note(order.pk, OrderState.READY, f"{who} left out: what was sold brought too little cash")
    return order.quantity > 0 or not _cancel(order)


def _cancel(order):
    ended = {"end_reason": NOTHING_LEFT, "ended_at": timezone.now()}
    Order.objects.filter(pk=order.pk).move(OrderState.READY, OrderState.CANCELLED, **ended)
    note(order.pk, OrderState.CANCELLED, NOTHING_LEFT)
    return True


def _short_of_cash(order) -> set[int]:
    mine = order.allocations.filter(quantity__gt=0)
    unsure = _sold_too_little(order, mine.values("account"))
    if not unsure:
        return set()
    cost = _cost_of_buys(order.ticket_id, unsure)
    found = Account.objects.filter(pk__in=unsure).values_list("pk", "cash", "set_aside_cash")
    return {pk for pk, cash, set_aside in found if cash - set_aside < cost.get(pk, ZERO)}


def _sold_too_little(order, accounts) -> set[int]:
    """The accounts of which the ticket's sells did not fill wholly."""
    sells = Allocation.objects.filter(order__ticket=order.ticket_id, order__side=Side.SELL, account__in=accounts)
    filled = Coalesce("filled_quantity", ZERO, output_field=DecimalField())
    sums = sells.values("account").annotate(ordered=Sum("quantity"), filled=Sum(filled))
    return set(sums.filter(filled__lt=F("ordered")).values_list("account", flat=True))


def _cost_of_buys(ticket_pk: int, accounts: Collection[int]) -> dict[int, Decimal]:
    """By account: what all its open buys of the ticket cost at the newest usable prices."""
    orders = Order.objects.filter(ticket=ticket_pk, side=Side.BUY)
    proposed_at = dict(orders.values_list("security", "price"))
    newest = accounts_selectors.last_prices(proposed_at)
    price = Case(
        *(When(order__security=pk, then=Value(newest[pk].price if pk in newest else at))
          for pk, at in proposed_at.items()), output_field=MONEY,
    )  # fmt: skip
    buys = Allocation.objects.filter(order__in=orders, account__in=accounts, is_open=True).values("account")
    cost = buys.annotate(cost=Sum(F("quantity") * price, output_field=MONEY))
    return dict(cost.values_list("account", "cost"))
