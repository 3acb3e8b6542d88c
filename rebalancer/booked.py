"""What own trades have done to an account: what of them is provisional, what gains they made, and reconciliation
breaks, in which the custodian delivered something else.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery, Sum

from accounts.listing.figures import dollars_text, plural, quantity_text
from accounts.models import Account
from tax.models import BookedLot, Booking, Break

OF_AN_ORDER = re.compile(r"order ([1-9][0-9]*)")
NO_MONEY = Decimal("0.00")


def order_of(source: str) -> int | None:
    """The order that a booking was made for, by the booking's source."""
    found = OF_AN_ORDER.fullmatch(source)
    return int(found[1]) if found else None


# --- trades -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Trade:
    """A booked trade with the number of its order, if an order's."""

    booking: Booking
    order: int | None

    @property
    def is_sell(self):
        return self.booking.quantity < 0

    @property
    def shares(self):
        return abs(self.booking.quantity)


def newest_trades(user, account: Account, most: int) -> list[Trade]:
    """The newest booked trades of an account that this person sees."""
    return [Trade(one, order_of(one.source)) for one in trades(user, account)[:most]]


def trades(user, account: Account) -> QuerySet[Booking]:
    """The booked trades of an account that this person sees, the newest first, with what they realized.

    `short_gain` and `long_gain` are empty where nothing of the term was sold at a known cost; `unknown` counts lots of
    unknown cost.
    """
    seen = Booking.objects.filter(account__in=Account.objects.visible_to(user).filter(pk=account.pk))
    sold = Q(quantity__lt=0)
    return (
        seen.select_related("security", "sleeve__model")
        .annotate(
            short_gain=Sum("booked_lots__gain", filter=sold & Q(booked_lots__term="short")),
            long_gain=Sum("booked_lots__gain", filter=sold & Q(booked_lots__term="long")),
            unknown=Count("booked_lots", filter=sold & Q(booked_lots__gain=None)),
        )
        .order_by("-trade_day", "-pk")
    )


# --- what is provisional ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Note:
    """A provisional trade in words: "bought 40 in", the `source` ("order 12", with the number as `order`) and the
    session whose delivery decides."""

    did: str
    source: str
    order: int | None
    until: date


@dataclass
class Provisional:
    """What of an account rests on own trades that no delivery has confirmed: notes by (sleeve, security), and cash."""

    notes: dict[tuple[int, int], list[Note]] = field(default_factory=lambda: defaultdict(list))
    cash: Decimal = NO_MONEY
    trades: int = 0
    until: date | None = None

    def add(self, booking: Booking) -> None:
        did = f"{'bought' if booking.quantity > 0 else 'sold'} {quantity_text(abs(booking.quantity))} in"
        note = Note(did, booking.source, order_of(booking.source), booking.trade_day)
        self.notes[booking.sleeve_id, booking.security_id].append(note)
        self.cash += booking.amount
        self.trades += 1
        self.until = max(self.until or booking.trade_day, booking.trade_day)

    @property
    def cash_words(self):
        """What of the cash is provisional; empty when nothing is."""
        if not self.trades:
            return ""
        way = "in from" if self.cash >= 0 else "out for"
        return (
            f"provisional: {dollars_text(abs(self.cash))} {way} {plural(self.trades, 'trade')}, until the custodian's "
            f"delivery of {self.until}"
        )


def provisional(account: Account) -> Provisional:
    """What of this account is provisional now; one query."""
    found = Provisional()
    for booking in Booking.objects.filter(account=account, is_provisional=True).order_by("trade_day", "pk"):
        found.add(booking)
    return found


def provisional_until() -> Subquery:
    """Of lots: the session whose delivery decides about the latest provisional trade that made or took part of it."""
    touched = BookedLot.objects.filter(
        booking__account=OuterRef("account"), booking__sleeve=OuterRef("sleeve"),
        booking__security=OuterRef("security"), lot_id=OuterRef("lot_id"), booking__is_provisional=True,
    )  # fmt: skip
    return Subquery(touched.order_by("-booking__trade_day").values("booking__trade_day")[:1])


# --- reconciliation breaks --------------------------------------------------------------------------------------------


def open_breaks() -> QuerySet[Break]:
    """The breaks that nobody has resolved, account by account in their order."""
    found = Break.objects.filter(resolved_at=None).select_related("security")
    return found.order_by("account", "session", "security__symbol", "pk")


def breaks_of(account_pks: Iterable[int]) -> dict[int, list[Break]]:
    """{account id: its open breaks}."""
    found = defaultdict(list)
    for one in open_breaks().filter(account__in=list(account_pks)):
        found[one.account_id].append(one)
    return found


def accounts_with_breaks() -> QuerySet[Account]:
    """The open accounts with an open break."""
    return Account.objects.filter(has_break(), is_open=True)


def has_break() -> Exists:
    """The condition on accounts that one has an open break."""
    return Exists(Break.objects.filter(account=OuterRef("pk"), resolved_at=None))


@dataclass(frozen=True, slots=True)
class Worded:
    """The figures of a break as they are shown: shares, or dollars of cash."""

    expected: str
    delivered: str
    difference: str


def worded(one: Break) -> Worded:
    shown = quantity_text if one.security else dollars_text
    return Worded(shown(one.expected), shown(one.delivered), shown(one.delivered - one.expected))


def break_words(one: Break) -> str:
    """A break as a reason: "VTI: 40 expected, 38 delivered for 2026-11-20"; of cash in dollars."""
    what, shown = one.security.symbol if one.security else "cash", worded(one)
    return f"{what}: {shown.expected} expected, {shown.delivered} delivered for {one.session}"


def break_key(one: Break) -> str:
    """Another one when the break has become another one."""
    return f"break {one.pk} {quantity_text(one.expected)} {quantity_text(one.delivered)}"
