"""What the page of a ticket shows: its orders, their accounts, totals at live prices. A person sees and counts the
parts of their own accounts.

Every figure in dollars is the sum of lines, each to the cent. A line is valued at the last price that may be used (else
that of approval), once it is allocated at what it came to.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from accounts.models import Account, Firm, Position
from accounts.selectors import last_price
from accounts.sweeps import swept
from trading import hours
from trading.live import LivePrice, live_prices
from trading.models import Allocation, Order, Ticket
from trading.states import ENDED, SLICED, Algorithm, OrderState, Side
from trading.words import execution_words

MOVED = Decimal("0.02")
PARTS = f"""
WITH live AS (SELECT * FROM unnest(%(orders)s::bigint[], %(prices)s::numeric[]) AS live (order_id, price)),
part AS MATERIALIZED (
    SELECT a.order_id, a.account_id, a.quantity, o.side, whose.tax_status, a.is_open AND a.quantity > 0 AS flows,
        CASE WHEN a.filled_amount IS NOT NULL THEN a.filled_amount
            WHEN o.state IN ('cancelled', 'rejected', 'expired') THEN 0
            ELSE round(a.quantity * live.price, 2) END AS value,
        round(a.short_quantity * live.price, 2) - a.short_cost AS short,
        round(a.long_quantity * live.price, 2) - a.long_cost AS long,
        a.short_quantity + a.long_quantity AS known, a.unknown_lots AS unknown,
        a.edited_at IS NOT NULL AND a.quantity <> a.approved_quantity AS edited
    FROM trading_allocation a JOIN trading_order o ON o.id = a.order_id JOIN live ON live.order_id = o.id
    JOIN accounts_account whose ON whose.id = a.account_id
    WHERE (%(everybody)s OR whose.advisor_id = %(person)s) AND (%(all)s OR a.account_id = ANY(%(accounts)s))
),
elsewhere AS (
    SELECT x.account_id, sum(round(x.quantity * b.price, 2)) AS buys
    FROM trading_allocation x JOIN trading_order b ON b.id = x.order_id
    WHERE x.is_open AND b.side = 'buy' AND b.ticket_id <> %(ticket)s
        AND x.account_id IN (SELECT account_id FROM part) GROUP BY 1
),
sums AS MATERIALIZED (
    SELECT account_id, count(*) AS lines, count(*) FILTER (WHERE quantity > 0) AS traded,
        count(*) FILTER (WHERE edited) AS edited,
        coalesce(sum(value) FILTER (WHERE side = 'buy'), 0) AS buys,
        coalesce(sum(value) FILTER (WHERE side = 'sell'), 0) AS sells,
        coalesce(sum(CASE side WHEN 'buy' THEN -value ELSE value END) FILTER (WHERE flows), 0) AS flow
    FROM part GROUP BY account_id
),
swept AS MATERIALIZED ({swept("SELECT account_id FROM sums")}),
ends AS MATERIALIZED (
    SELECT sums.*, had.number, had.name, had.cash, had.cash + flow AS ending
    FROM sums JOIN (
        SELECT one.id, one.number, one.name,
            one.cash + coalesce(swept.cash, 0) - one.set_aside_cash - coalesce(elsewhere.buys, 0) AS cash
        FROM accounts_account one
        LEFT JOIN swept ON swept.account_id = one.id LEFT JOIN elsewhere ON elsewhere.account_id = one.id
    ) had ON had.id = sums.account_id
)
"""
BY_ORDER = """
, lowest AS (SELECT number, ending FROM ends WHERE traded > 0 ORDER BY ending, number LIMIT 1)
SELECT order_id, sum(quantity), sum(value), count(DISTINCT account_id) FILTER (WHERE quantity > 0),
    count(DISTINCT account_id), count(*) FILTER (WHERE edited), coalesce(sum(short), 0), coalesce(sum(long), 0),
    coalesce(sum(unknown), 0), coalesce(sum(known), 0),
    coalesce(sum(short + long) FILTER (WHERE tax_status = 'taxable'), 0),
    (SELECT count(*) FROM ends WHERE traded > 0), (SELECT count(*) FROM ends WHERE traded = 0),
    (SELECT number FROM lowest), (SELECT ending FROM lowest)
FROM part GROUP BY order_id
"""
BY_ACCOUNT = """
SELECT account_id, number, name, lines, traded, edited, buys, sells, cash, ending FROM ends ORDER BY number
"""


@dataclass(slots=True)
class Totals:
    """The whole ticket; `lowest` is the account that ends with the least cash, None where none trades."""

    buys: Decimal = Decimal("0.00")
    sells: Decimal = Decimal("0.00")
    accounts: int = 0
    left_out: int = 0
    lowest: str | None = None
    lowest_cash: Decimal | None = None
    short_gain: Decimal = Decimal("0.00")
    long_gain: Decimal = Decimal("0.00")
    unknown_lots: int = 0
    known_shares: Decimal = Decimal(0)
    taxable_gain: Decimal = Decimal("0.00")
    edited: int = 0

    @property
    def net_cash(self):
        return self.sells - self.buys

    @property
    def gain(self):
        """None where nothing of what is sold has a known cost."""
        return None if self.unknown_lots and not self.known_shares else self.short_gain + self.long_gain


@dataclass
class Row:
    """A block order with what the accounts have in it that this person sees. `price` is what it is valued at."""

    order: Order
    price: Decimal
    live: LivePrice | None = None
    shares: Decimal = Decimal(0)
    value: Decimal = Decimal(0)
    accounts: int = 0
    of_accounts: int = 0
    edited: int = 0
    lines: Any = None  # a page of its accounts' parts, where it is open

    @property
    def execution(self):
        order = self.order
        window = order.starts_at, order.ends_at, order.participation
        return execution_words(order.algorithm, order.limit_price, *window, order.extended_hours)

    @property
    def left_out(self):
        return self.of_accounts - self.accounts

    @property
    def is_ready(self):
        return self.order.state == OrderState.READY

    @property
    def moved(self):
        """Whether the price has moved so far since approval that it is said."""
        return self.order.price > 0 and abs(self.price / self.order.price - 1) >= MOVED

    @property
    def caveat(self):
        """Why the price may not be traded on; empty where it may."""
        if self.live is None:
            return "no price yet; valued as approved"
        return self.live.why_not

    @property
    def age(self):
        return age_text(timezone.now() - self.live.as_of) if self.live else ""


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account's part of a ticket: lines, those of them that trade, dollars, available cash before and after."""

    pk: int
    number: str
    name: str
    lines: int
    traded: int
    edited: int
    buys: Decimal
    sells: Decimal
    cash: Decimal
    ending: Decimal


def tickets(user) -> QuerySet[Ticket]:
    return Ticket.objects.visible_to(user).select_related("created_by", "confirmed_by")


def rows(user, ticket: Ticket) -> list[Row]:
    """The block orders of a ticket that this person sees, by symbol, each with the price it is valued at. One query."""
    found = Order.objects.visible_to(user).filter(ticket=ticket).select_related("security", "custodian", "edited_by")
    orders = found.annotate(last=last_price("security")).order_by("security__symbol", "side", "pk")
    return [Row(order, order.last or order.price) for order in orders]


def look_at_prices(found: list[Row], now: datetime) -> None:
    """Fill in each order's newest quote, and why it may not be traded on. Four queries."""
    live = live_prices({row.order.security_id for row in found}, Firm.current(), now)
    for row in found:
        row.live = live.get(row.order.security_id)


def totals(user, ticket: Ticket, found: list[Row]) -> Totals:
    """The sums over all accounts of the ticket that this person sees; fills in each order's own. One query."""
    by_order = {row.order.pk: row for row in found}
    sums = Totals()
    for pk, shares, value, accounts, of_accounts, edited, *rest in _fetch(BY_ORDER, user, ticket, found):
        row = by_order[pk]
        row.shares, row.value, row.accounts, row.of_accounts, row.edited = shares, value, accounts, of_accounts, edited
        _add(sums, row, *rest)
    return sums


def _add(sums, row, short, long, unknown, known, taxable, accounts, left_out, lowest, lowest_cash):
    """One order's sums; what accounts have over all orders comes with each."""
    if row.order.side == Side.SELL:
        sums.sells += row.value
    else:
        sums.buys += row.value
    sums.short_gain += short
    sums.long_gain += long
    sums.unknown_lots += unknown
    sums.known_shares += known
    sums.taxable_gain += taxable
    sums.edited += row.edited
    sums.accounts, sums.left_out, sums.lowest, sums.lowest_cash = accounts, left_out, lowest, lowest_cash


def account_rows(user, ticket: Ticket, found: list[Row], accounts: Iterable[int]) -> list[AccountRow]:
    """These accounts' parts of the ticket, by number. One query."""
    return [AccountRow(*row) for row in _fetch(BY_ACCOUNT, user, ticket, found, list(accounts))]


def _fetch(what, user, ticket, found, accounts=None):
    parameters = {
        "orders": [row.order.pk for row in found],
        "prices": [row.price for row in found],
        "ticket": ticket.pk,
        "everybody": user.sees_every_account,
        "person": user.pk,
        "all": accounts is None,
        "accounts": accounts or [],
    }
    with connection.cursor() as cursor:
        cursor.execute(PARTS + what, parameters)
        return cursor.fetchall()


# --- lines ------------------------------------------------------------------------------------------------------------


def lines(user, ticket: Ticket) -> QuerySet[Allocation]:
    """The accounts' parts of the ticket's orders that this person sees, by account and symbol, with `held`, what the
    sleeve holds of it now."""
    position = Position.objects.filter(
        account=OuterRef("account"), sleeve=OuterRef("sleeve"), security=OuterRef("order__security")
    )
    seen = Allocation.objects.visible_to(user).filter(order__ticket=ticket)
    seen = seen.select_related("account", "sleeve__model", "edited_by", "order__security")
    held = Subquery(position.values("quantity")[:1])
    return seen.annotate(held=held).order_by("account__number", "order__security__symbol", "order__side", "pk")


def matching(found: QuerySet, search: str, account: str = "") -> QuerySet:
    """Those whose account (at `account`) has the text in its number or name; all where it is empty."""
    if not search:
        return found
    return found.filter(Q(**{f"{account}number__icontains": search}) | Q(**{f"{account}name__icontains": search}))


def accounts(user, ticket: Ticket) -> QuerySet[Account]:
    """The accounts of the ticket's orders that this person sees, by number."""
    parts = Allocation.objects.filter(order__ticket=ticket, account=OuterRef("pk"))
    return Account.objects.visible_to(user).filter(Exists(parts)).order_by("number")


# --- words ------------------------------------------------------------------------------------------------------------


def age_text(age) -> str:
    """An age at a glance: 8 s, 12 min, 3 h, 2 d."""
    seconds = max(int(age.total_seconds()), 0)
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def passed_windows(found: Iterable[Row], standing: hours.Standing, now: datetime) -> list[str]:
    """Orders whose window has passed in the session in which they would trade, in words."""
    if standing.session is None:
        return []
    session = standing.session
    return [
        f"{Algorithm(row.order.algorithm).label} of {row.order.security.symbol} until {row.order.ends_at:%H:%M} has "
        "passed its window: choose another, or send it tomorrow."
        for row in found
        if row.is_ready and row.order.algorithm in SLICED and row.order.ends_at
        and datetime.combine(session.day, row.order.ends_at, session.zone) <= now
    ]  # fmt: skip


def state_of(ticket: Ticket, found: list[Row]) -> tuple[str, str]:
    """The ticket's state in a word, and its colour."""
    states = {row.order.state for row in found}
    if ticket.confirmed_at:
        return ("Done", "up") if states <= ENDED else ("Confirmed", "info")
    if not found:
        return "No orders", ""
    return ("Ready", "info") if OrderState.READY in states else ("Cancelled", "")
