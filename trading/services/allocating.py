"""Allocation: what a block's fills bring to its accounts, worked out and booked once, when the order has ended."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import DecimalField, F, Max, Sum
from django.utils import timezone

from accounts.imports.copying import array, execute
from accounts.models import Account, Sleeve
from accounts.money import UNITS_PER_SHARE, amount
from accounts.services.refusals import Refused
from tax.services import bookings
from trading import sessions
from trading.allocate import Shares
from trading.allocate import allocate as share_out
from trading.models import Allocation, Order, OrderEvent
from trading.states import ENDED, FillState, Side

EXTENDED_CLOSES = time(20)  # in the market's zone
EXACT = DecimalField(max_digits=38, decimal_places=12)
SLEEVES_IN_ORDER = [Sleeve.Kind.MANAGED, Sleeve.Kind.MODEL, Sleeve.Kind.PROTECTED]
PART_FIELDS = ("pk", "account_id", "account__number", "sleeve_id", "sleeve__kind", "sleeve__model__name", "quantity")
TROUBLE_LENGTH = Order._meta.get_field("trouble").max_length


def allocate(order_pk: int) -> bool:
    """Allocate an order that has ended to its accounts and book it there, once; say whether that was done now.

    False where it has not ended or was allocated before, and where it can't be booked: then its trouble says why, and
    a later call tries again. A worker calls this: it asks the market's calendar.
    """
    try:
        with transaction.atomic():
            return _allocate(order_pk)
    except Refused as refusal:
        Order.objects.filter(pk=order_pk, allocated_at=None).update(trouble=str(refusal)[:TROUBLE_LENGTH])
        return False


def _allocate(order_pk):
    order = Order.objects.select_for_update(of=("self",)).select_related("ticket").filter(pk=order_pk).first()
    if order is None or order.state not in ENDED or order.allocated_at is not None:
        return False
    filled = _filled(order)
    if filled is None:
        _close_without_fills(order)
    else:
        _book(order, filled)
    return True


@dataclass(frozen=True, slots=True)
class Filled:
    """What the fills of an order that count come to; `last_at` is when the last was executed."""

    shares: Decimal
    money: Decimal  # not rounded
    last_at: datetime

    @property
    def units(self):
        return int(self.shares * UNITS_PER_SHARE)

    @property
    def cents(self):
        """The block's money."""
        return int(amount(self.money) * 100)

    @property
    def average_price(self):
        return round(self.money / self.shares, 6)


def _filled(order):
    counted = order.fills.filter(state=FillState.COUNTED)
    money = Sum(F("quantity") * F("price"), output_field=EXACT)
    sums = counted.aggregate(shares=Sum("quantity"), money=money, last_at=Max("at"))
    return Filled(**sums) if sums["shares"] else None


def _close_without_fills(order):
    open_parts = Allocation.objects.filter(order=order)
    open_parts.update(is_open=False, filled_quantity=0, filled_amount=0)
    Account.objects.filter(pk__in=open_parts.values("account")).want_check()
    Order.objects.filter(pk=order.pk).update(allocated_at=timezone.now(), trouble="")
    OrderEvent.objects.create(order=order, state=order.state, words="Nothing was filled, so nothing is booked.")


def _book(order, filled):
    parts = list(Allocation.objects.filter(order=order).order_by("pk").values(*PART_FIELDS, "lots"))
    found = _shares(order, parts, filled)
    trades = _trades(order, parts, found, filled)
    booked = {trade.account_id for trade in trades}
    others = {part["account_id"] for part in parts} - booked
    if others:
        _lock_accounts(booked | others)
    bookings.book(trades)  # which asks for checks of these
    _close(parts, found)
    Account.objects.filter(pk__in=others).want_check()
    Order.objects.filter(pk=order.pk).update(
        allocated_at=timezone.now(), trouble="", filled_quantity=filled.shares, filled_amount=filled.money
    )
    words = f"Booked in {len(booked):,} account{'' if len(booked) == 1 else 's'}."
    OrderEvent.objects.create(order=order, state=order.state, words=words)


def _lock_accounts(pks):
    """All at once, in the order in which everybody locks accounts."""
    accounts = Account.objects.filter(pk__in=pks)
    list(accounts.select_for_update(no_key=True).order_by("pk").values_list("pk"))


def _shares(order, parts, filled) -> Shares:
    """What each part gets; ties by account number, then managed before the models by name."""
    step = int(order.security.quantity_step * UNITS_PER_SHARE)
    wanted = [int(part["quantity"] * UNITS_PER_SHARE) for part in parts]
    try:
        return share_out(wanted, step, filled.units, filled.cents, [_key(part) for part in parts])
    except ValueError as wrong:
        raise Refused(f"The order's fills can't be allocated: more is filled than its accounts asked for. {wrong}")


def _key(part):
    kind = SLEEVES_IN_ORDER.index(part["sleeve__kind"])
    return part["account__number"], kind, part["sleeve__model__name"] or ""


def _trades(order, parts, found, filled):
    sign = 1 if order.side == Side.BUY else -1
    day, price = trade_day(filled.last_at), filled.average_price
    return [
        bookings.Trade(
            account_id=part["account_id"], sleeve_id=part["sleeve_id"], security_id=order.security_id,
            units=sign * units, cents=-sign * cents, price=price, trade_day=day, traded_at=filled.last_at,
            source=f"order {order.pk}", lots=part["lots"], relief_price=order.price,
            relief_day=order.ticket.trade_date,
        )
        for part, units, cents in zip(parts, found.units, found.cents, strict=True)
        if units
    ]  # fmt: skip


def trade_day(at: datetime) -> date:
    """The session a fill belongs to: that of its day until trading outside of regular hours ends, else the next one."""
    day = sessions.today(at)
    try:
        if sessions.is_session(day) and at <= max(sessions.session_close(day), sessions.moment(day, EXTENDED_CLOSES)):
            return day
        day += timedelta(days=1)
        while not sessions.is_session(day):
            day += timedelta(days=1)
    except sessions.UnknownDay as unknown:
        raise Refused(str(unknown)) from unknown
    return day


CLOSE = """
    UPDATE trading_allocation a
    SET filled_quantity = f.units * 0.000001, filled_amount = f.cents * 0.01, is_open = false
    FROM unnest(%(parts)s::bigint[], %(units)s::bigint[], %(cents)s::bigint[]) AS f(id, units, cents) WHERE a.id = f.id
"""


def _close(parts, found):
    given = {"parts": array(part["pk"] for part in parts), "units": array(found.units), "cents": array(found.cents)}
    execute(CLOSE, given)
