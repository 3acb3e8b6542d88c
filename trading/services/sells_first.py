"""Sells first: the buys of a ticket wait until the sells of their accounts are booked, and are no larger than what
the accounts can then pay.
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from django.db.models import Exists, OuterRef, Q, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts import selectors as accounts_selectors
from accounts.imports.copying import fetch
from accounts.listing.figures import plural, quantity_text
from accounts.money import amount
from accounts.sweeps import swept
from trading.models import Allocation, Order, Ticket
from trading.states import ENDED, OrderState, Side

from .logbook import note

LEFT_OUT = "left out: too little cash after its sells"
NOTHING_LEFT = "every account was left out: too little cash after their sells"
ZERO = Decimal(0)

# What accounts with a part in a buy lack for all their open buys, at these prices; what they put into this one, and
# into those of the ticket that are not sent yet, all in dollars. It is seen at one moment: what is booked meanwhile is
# taken off cash and is no open buy, or neither.
SHORT = f"""
    WITH live AS (SELECT * FROM unnest(%(orders)s::bigint[], %(prices)s::numeric[]) AS live (order_id, price)),
    mine AS (SELECT account_id FROM trading_allocation WHERE order_id = %(order)s AND quantity > 0),
    swept AS MATERIALIZED ({swept("SELECT account_id FROM mine")}),
    buys AS (
        SELECT x.account_id, sum(x.value) AS whole, sum(x.value) FILTER (WHERE x.order_id = %(order)s) AS here,
            sum(x.value) FILTER (WHERE x.ticket_id = %(ticket)s AND x.state = 'ready') AS ready
        FROM (
            SELECT a.account_id, a.order_id, o.ticket_id, o.state,
                round(a.quantity * coalesce(live.price, o.price), 2) AS value
            FROM trading_allocation a JOIN trading_order o ON o.id = a.order_id
            LEFT JOIN live ON live.order_id = o.id
            WHERE a.is_open AND o.side = 'buy' AND a.account_id IN (SELECT account_id FROM mine)) x
        GROUP BY x.account_id
    )
    SELECT one.id, buys.whole - (one.cash - one.set_aside_cash + coalesce(swept.cash, 0)) AS lacks, here, ready
    FROM buys JOIN accounts_account one ON one.id = buys.account_id LEFT JOIN swept ON swept.account_id = one.id
    WHERE buys.whole > one.cash - one.set_aside_cash + coalesce(swept.cash, 0)
"""


def held_back() -> Q:
    """The condition on orders: buys of a ticket that sells first, of which an account has a sell not booked yet."""
    waits = Ticket.objects.filter(pk=OuterRef("ticket"), sells_first=True)
    sells = Order.objects.filter(ticket=OuterRef("ticket"), side=Side.SELL, allocated_at=None)
    not_booked = sells.exclude(state__in=ENDED, filled_quantity=0)
    its_accounts = Allocation.objects.filter(order=OuterRef(OuterRef("pk")), quantity__gt=0).values("account")
    shared = Allocation.objects.filter(order=OuterRef("pk"), quantity__gt=0, account__in=its_accounts)
    # Asked for in this order, most tickets cost a look at their orders only, not at thousands of parts.
    return Q(side=Side.BUY) & Q(Exists(waits)) & Q(Exists(not_booked)) & Q(Exists(not_booked.filter(Exists(shared))))


@dataclass(frozen=True, slots=True)
class _Lack:
    """What an account lacks for all its buys, and what it puts into this one and into all that are not sent."""

    dollars: Decimal
    here: Decimal
    ready: Decimal

    @property
    def to_cut(self) -> Decimal:
        """This buy's share of it; the last one that is not sent takes all."""
        return min(self.dollars * self.here / self.ready, self.here)


def cut_to_cash(order: Order) -> bool:
    """Cut a ready buy to what its accounts can pay; whether anything of it is left to be sent.

    An account's available cash, sweeps included, has to cover all its open buys at the newest usable prices. What is
    lacking is taken off those of the ticket that are not sent yet, pro rata, in whole steps. An order of which nothing
    is left is cancelled. Lock the ticket.
    """
    price, lacks = _lacking(order)
    if not lacks:
        return True
    parts = _cut(order, price, lacks)
    Allocation.objects.bulk_update(parts, ["quantity", "is_open", "edit_words", "edited_at"], batch_size=2000)
    order.quantity = order.allocations.aggregate(left=Coalesce(Sum("quantity"), ZERO))["left"]
    Order.objects.filter(pk=order.pk).update(quantity=order.quantity)
    note(order.pk, OrderState.READY, f"{_in_words(parts)}: too little cash after their sells")
    return order.quantity > 0 or not _cancel(order)


def _cancel(order):
    ended = {"end_reason": NOTHING_LEFT, "ended_at": timezone.now()}
    Order.objects.filter(pk=order.pk).move(OrderState.READY, OrderState.CANCELLED, **ended)
    note(order.pk, OrderState.CANCELLED, NOTHING_LEFT)
    return True


def _lacking(order) -> tuple[Decimal, dict[int, _Lack]]:
    """The price at which the buy is valued, and what accounts lack by id; who lacks nothing is not there."""
    buys = list(Order.objects.filter(ticket=order.ticket_id, side=Side.BUY))
    newest = accounts_selectors.last_prices({one.security_id for one in buys})
    prices = {one.pk: newest[one.security_id].price if one.security_id in newest else one.price for one in buys}
    known = {"order": order.pk, "ticket": order.ticket_id, "orders": list(prices), "prices": list(prices.values())}
    return prices[order.pk], {pk: _Lack(*dollars) for pk, *dollars in fetch(SHORT, known)}


def _cut(order, price, lacks) -> list[Allocation]:
    """The parts that are cut, as they are to be; of an account's sleeves the largest part gives first."""
    parts = order.allocations.filter(account__in=lacks, quantity__gt=0).order_by("account", "-quantity", "pk")
    left = {pk: lack.to_cut for pk, lack in lacks.items()}
    step, now, cut = order.security.quantity_step, timezone.now(), []
    for part in parts:
        if left[part.account_id] <= 0:
            continue
        before, value = part.quantity, amount(part.quantity * price)
        steps = (left[part.account_id] / (price * step)).to_integral_value(ROUND_CEILING)
        part.quantity = max(before - steps * step, ZERO)
        left[part.account_id] -= value - amount(part.quantity * price)
        part.is_open, part.edited_at = part.quantity > 0, now
        part.edit_words = f"cut from {quantity_text(before)}: too little cash" if part.is_open else LEFT_OUT
        cut.append(part)
    return cut


def _in_words(parts):
    """2 accounts cut and 1 left out."""
    cut = {part.account_id for part in parts if part.is_open}
    left_out = {part.account_id for part in parts} - cut
    words = [f"{plural(len(cut), 'account')} cut"] if cut else []
    if left_out:
        words.append(f"{len(left_out):,} left out" if cut else f"{plural(len(left_out), 'account')} left out")
    return " and ".join(words)
