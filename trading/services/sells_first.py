"""Sells first: the buys of a ticket wait until the sells of their accounts are booked, and are no larger than what
these brought.
"""

from collections import defaultdict
from collections.abc import Collection
from decimal import Decimal

from django.db.models import DecimalField, Exists, F, OuterRef, Q, Sum
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


def held_back() -> Q:
    """The condition on orders: buys of a ticket that sells first, of which an account has a sell not booked yet."""
    its_accounts = Allocation.objects.filter(order=OuterRef(OuterRef("pk")), quantity__gt=0).values("account")
    sells = Allocation.objects.filter(
        order__ticket=OuterRef("ticket"), order__side=Side.SELL, order__allocated_at=None, quantity__gt=0,
        account__in=its_accounts,
    )  # fmt: skip
    not_booked = sells.exclude(order__state__in=ENDED, order__filled_quantity=0)
    waits = Ticket.objects.filter(pk=OuterRef("ticket"), sells_first=True)
    return Q(side=Side.BUY) & Q(Exists(waits)) & Q(Exists(not_booked))


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
    return {pk for pk, cash, set_aside in found if cash - set_aside < cost[pk]}


def _sold_too_little(order, accounts) -> set[int]:
    """The accounts of which the ticket's sells did not fill wholly."""
    sells = Allocation.objects.filter(order__ticket=order.ticket_id, order__side=Side.SELL, account__in=accounts)
    filled = Coalesce("filled_quantity", ZERO, output_field=DecimalField())
    sums = sells.values("account").annotate(ordered=Sum("quantity"), filled=Sum(filled))
    return set(sums.filter(filled__lt=F("ordered")).values_list("account", flat=True))


def _cost_of_buys(ticket_pk: int, accounts: Collection[int]) -> dict[int, Decimal]:
    """By account: what all its open buys of the ticket cost at the newest usable prices."""
    buys = Allocation.objects.filter(order__ticket=ticket_pk, order__side=Side.BUY, account__in=accounts, is_open=True)
    rows = list(buys.values_list("account", "order__security", "quantity", "order__price"))
    prices = accounts_selectors.last_prices({security for _, security, _, _ in rows})
    cost: dict[int, Decimal] = defaultdict(Decimal)
    for account, security, quantity, proposed_at in rows:
        newest = prices.get(security)
        cost[account] += quantity * (newest.price if newest else proposed_at)
    return cost
