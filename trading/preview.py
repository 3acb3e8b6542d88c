"""What Transmit All shows before it is confirmed: every order with what has changed since approval, what stands in the
way, and what a person should know.

Everything is read anew; Confirm does the same and compares.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from decimal import Decimal

from django.contrib.postgres.aggregates import ArrayAgg
from django.db import connection
from django.db.models import Count, F, Max, Q, QuerySet, Sum
from django.utils import timezone

from accounts.listing.figures import clock_text, dollars_text, percent_text, plural, price_text, quantity_text
from accounts.models import Firm, Security
from accounts.money import amount
from accounts.selectors import name_of
from accounts.sweeps import swept
from trading import hours
from trading.brokers import broker, file
from trading.live import LivePrice, live_prices
from trading.models import MarketSettings, Order, Ticket
from trading.states import SLICED, Algorithm, OrderState, Side
from trading.tickets import age_text
from trading.words import execution_words

CLOSES_SOON = timedelta(minutes=15)
MOVED = Decimal(2)  # percent that a price has moved since approval before somebody is told
STEPS = (2, 5, 10, 20, 50)  # percent; a move beyond the next one is another warning than the one that was seen
FAR = Decimal(5)  # percent that a limit is away from the price before somebody is told
THIN = Decimal("0.5")  # percent of what an account buys that it should keep in cash: prices move until it is filled
NAMED_AT_MOST = 3

# An account's cash after its orders at these prices, and what it would sell beyond what it holds. Flat moves take their
# shares from the same positions.
CHECKS = f"""
WITH live AS (SELECT * FROM unnest(%(orders)s::bigint[], %(prices)s::numeric[]) AS one(order_id, price)),
part AS (
    SELECT a.account_id, a.sleeve_id, o.security_id, o.side, a.quantity, round(a.quantity * live.price, 2) AS value
    FROM trading_allocation a JOIN trading_order o ON o.id = a.order_id JOIN live ON live.order_id = o.id
    JOIN accounts_account whose ON whose.id = a.account_id
    WHERE a.quantity > 0 AND (%(everybody)s OR whose.advisor_id = %(person)s)
),
sums AS MATERIALIZED (
    SELECT account_id, bool_or(side = 'buy') AS buys, sum(CASE side WHEN 'buy' THEN -value ELSE value END) AS flow,
        sum(value) FILTER (WHERE side = 'buy') AS bought
    FROM part GROUP BY account_id
),
swept AS MATERIALIZED ({swept("SELECT account_id FROM sums")}),
ends AS (
    SELECT one.id, one.number, one.name, sums.buys, sums.bought,
        one.cash + coalesce(swept.cash, 0) - one.set_aside_cash + sums.flow AS cash
    FROM sums JOIN accounts_account one ON one.id = sums.account_id
    LEFT JOIN swept ON swept.account_id = sums.account_id
),
moved AS (
    SELECT account_id, source_id, security_id, sum(quantity) AS quantity
    FROM trading_flatmove WHERE ticket_id = %(ticket)s AND is_open GROUP BY 1, 2, 3
),
beyond AS (
    SELECT one.id, one.number, one.name, security.symbol, part.quantity + coalesce(moved.quantity, 0) AS gives,
        coalesce(held.quantity, 0) AS holds
    FROM part JOIN accounts_account one ON one.id = part.account_id
    JOIN accounts_security security ON security.id = part.security_id
    LEFT JOIN moved ON (moved.account_id, moved.source_id, moved.security_id)
        = (part.account_id, part.sleeve_id, part.security_id)
    LEFT JOIN accounts_position held ON (held.account_id, held.sleeve_id, held.security_id)
        = (part.account_id, part.sleeve_id, part.security_id)
    WHERE part.side = 'sell' AND part.quantity + coalesce(moved.quantity, 0) > coalesce(held.quantity, 0)
)
(SELECT 'lowest' AS what, id, number, name, '' AS symbol, cash AS gives, 0::numeric AS holds FROM ends
    ORDER BY cash, number LIMIT 1)
UNION ALL SELECT 'accounts', 0, '', '', '', count(*), 0 FROM ends
UNION ALL SELECT 'left_out', 0, '', '', '', count(*), 0 FROM (
    SELECT a.account_id FROM trading_allocation a JOIN trading_order o ON o.id = a.order_id
    JOIN accounts_account whose ON whose.id = a.account_id
    WHERE o.ticket_id = %(ticket)s AND o.state = 'ready' AND (%(everybody)s OR whose.advisor_id = %(person)s)
    GROUP BY 1 HAVING max(a.quantity) = 0) nothing_left
UNION ALL (SELECT 'short', id, number, name, '', cash, 0 FROM ends WHERE buys AND cash < 0 ORDER BY number)
UNION ALL (SELECT 'thin', id, number, name, '', cash, 0 FROM ends
    WHERE cash >= 0 AND cash * 100 < bought * %(thin)s ORDER BY cash, number)
UNION ALL (SELECT 'beyond', id, number, name, symbol, gives, holds FROM beyond ORDER BY number, symbol)
"""


@dataclass(frozen=True, slots=True)
class Concerned:
    """An account that something stands in the way of."""

    pk: int
    number: str
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Line:
    """Something that stands in the way, or that a person should know; `key` is what it is, whatever its figures are."""

    key: str
    words: str
    order: int | None = None
    accounts: tuple[Concerned, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """An order as it would be sent, in the shares of the accounts that the person sees."""

    order: Order
    quantity: Decimal
    approved: Decimal
    accounts: int
    left_out: int
    execution: str
    live: LivePrice | None
    value: Decimal | None
    moved: Decimal | None  # percent since approval
    edited: str  # who changed shares or execution, and when; empty where nobody did
    lines: list[Line] = field(default_factory=list)

    @property
    def age(self) -> str:
        return age_text(timezone.now() - self.live.as_of) if self.live else ""

    @property
    def name(self) -> str:
        """Buy VTI; with the custodian that its file is for, of which each has an order of its own."""
        whose = f" ({self.order.custodian})" if self.order.custodian_id else ""
        return f"{Side(self.order.side).label} {self.order.security.symbol}{whose}"


@dataclass(frozen=True, slots=True)
class Preview:
    """Refusals make Confirm impossible, warnings do not; `shown` is what both rest on, by key, and `digest` of it."""

    ticket: Ticket
    rows: list[Row]
    refusals: list[Line]
    warnings: list[Line]
    market: str
    totals: dict
    shown: dict[str, str]
    digest: str

    @property
    def sent(self) -> list[Row]:
        return [row for row in self.rows if row.quantity]


def preview(user, ticket: Ticket, now: datetime | None = None) -> Preview:
    """The staged orders of a ticket as this person sees them. Six queries, one more where an order goes to a file
    and one while the market is closed, whatever the number of accounts."""
    now = now or timezone.now()
    firm, market = Firm.current(), hours.standing(now)
    orders = list(staged(user, ticket))
    live = live_prices({order.security_id for order in orders}, firm, now)
    rows = [_row(order, live.get(order.security_id)) for order in orders]
    checks = _checks(user, ticket, rows)
    refusals = [*_refusals(rows, market, now), *_file_refusals(rows), *checks.lines]
    warnings = [*_warnings(rows, market, now), *checks.warnings]
    for line in (*refusals, *warnings):
        next((row.lines.append(line) for row in rows if row.order.pk == line.order), None)
    shown = {f"order:{row.order.pk}": _order_words(row) for row in rows}
    shown |= {line.key: line.words for line in (*refusals, *warnings)}
    return Preview(
        ticket, rows, refusals, warnings, market.words, _totals(rows, checks), shown, _digest(ticket, shown, rows)
    )


def staged(user, ticket: Ticket) -> QuerySet[Order]:
    """The ready orders of a ticket, by symbol, with what the accounts have in them that this person sees: `shares`,
    `approved`, `accounts`, `left_out`, `editors` (names) and `parts_edited_at`."""
    theirs = Q() if user.sees_every_account else Q(allocations__account__advisor=user)
    part = Q(allocations__is_open=True) & theirs
    left_out = part & Q(allocations__quantity=0)
    changed = part & ~Q(allocations__quantity=F("allocations__approved_quantity"))
    found = Order.objects.visible_to(user).filter(ticket=ticket, state=OrderState.READY)
    return (
        found.select_related("security", "custodian__route", "edited_by")
        .annotate(
            shares=Sum("allocations__quantity", filter=part, default=Decimal(0)),
            approved=Sum("allocations__approved_quantity", filter=part, default=Decimal(0)),
            accounts=Count("allocations__account", filter=part & Q(allocations__quantity__gt=0), distinct=True),
            left_out=Count("allocations__account", filter=left_out, distinct=True),
            editors=ArrayAgg(name_of("allocations__edited_by"), filter=changed, distinct=True, default=[]),
            parts_edited_at=Max("allocations__edited_at", filter=changed),
        )
        .order_by("security__symbol", "side", "pk")
    )


def _row(order, live):
    usable = live is not None and not live.why_not
    return Row(
        order=order, quantity=order.shares, approved=order.approved, accounts=order.accounts,
        left_out=order.left_out, execution=_execution(order), live=live,
        value=amount(order.shares * live.price) if live else None,
        moved=(live.price / order.price - 1) * 100 if usable and order.price else None, edited=_edited(order),
    )  # fmt: skip


def _execution(order):
    window = order.starts_at, order.ends_at, order.participation
    return execution_words(order.algorithm, order.limit_price, *window, order.extended_hours)


def _edited(order):
    people = {*order.editors, str(order.edited_by or "")} - {"", None}
    at = max(filter(None, (order.edited_at, order.parts_edited_at)), default=None)
    return ", ".join([*sorted(people), *([clock_text(at)] if at else [])])


# --- what stands in the way ---------------------------------------------------------------------------------------


def _refusals(rows, market, now) -> Iterator[Line]:
    if not any(row.quantity for row in rows):
        yield Line("nothing", "There is nothing to send: every account is left out, or the orders have ended.")
    if not market.known:
        yield Line("hours", f"{market.words}: a worker writes them within a minute.")
    for row in rows:
        if row.quantity:
            for what, why in (*_price_refusals(row), *_own_refusals(row), *_window_refusals(row, market, now)):
                yield Line(f"{what}:{row.order.pk}", f"{row.name}: {why}", row.order.pk)


def _price_refusals(row):
    if row.live is None:
        yield "price", "there is no price for it."
    elif row.live.why_not:
        yield "price", f"{row.live.why_not}."


def _own_refusals(row):
    order, fund = row.order, row.order.security.kind == Security.Kind.MUTUAL_FUND
    if order.side == Side.BUY and not order.security.is_active:
        yield "inactive", "it is inactive, so it may not be bought. Leave its accounts out."
    if order.algorithm == Algorithm.LIMIT and not order.limit_price:
        yield "limit", "it has no limit price."
    if order.extended_hours and (order.algorithm != Algorithm.LIMIT or not order.limit_price):
        yield "extended", "outside regular hours it needs a limit price and no algorithm."
    if fund != (order.algorithm == Algorithm.NAV):
        yield "fund", "a fund is ordered at its NAV only." if fund else "only funds are ordered at their NAV."


def _window_refusals(row, market, now):
    """A window that lies outside of the session in which the order would be worked off."""
    order = row.order
    if order.algorithm not in SLICED or not market.known:
        return
    label = Algorithm(order.algorithm).label
    start, end = (hours.moment(market.trade_day, at) if at else None for at in (order.starts_at, order.ends_at))
    if end and end <= now:
        yield "window", f"{label} until {_hour(order.ends_at)} has passed its window: choose another."
    elif end and end <= market.opens_at:
        yield "window", f"{label} until {_hour(order.ends_at)} ends before the session opens: choose another."
    elif start and start >= market.closes_at:
        yield "window", f"{label} from {_hour(order.starts_at)} starts after the session closes: choose another."


def _file_refusals(rows) -> Iterator[Line]:
    """Where the file that an order goes to has no way to say it."""
    found = file.refusals([row.order for row in rows if row.quantity])
    for row in rows:
        for number, why in enumerate(found.get(row.order.pk, ())):
            yield Line(f"file-{number}:{row.order.pk}", f"{row.name}: {why}", row.order.pk)


def _hour(at: time):
    return f"{at:%H:%M}"


# --- accounts -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Checks:
    lines: list[Line]
    warnings: list[Line]
    accounts: int
    left_out: int
    lowest: Concerned | None
    lowest_cash: Decimal | None


def _checks(user, ticket, rows) -> _Checks:
    priced = [row for row in rows if row.quantity and row.live]
    params = {
        "orders": [row.order.pk for row in priced], "prices": [row.live.price for row in priced],
        "ticket": ticket.pk, "everybody": user.sees_every_account, "person": user.pk, "thin": THIN,
    }  # fmt: skip
    found = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(CHECKS, params)
        for what, *one in cursor.fetchall():
            found[what].append(one)
    short = [Concerned(*one[:3], f"{dollars_text(one[4])} after its orders") for one in found["short"]]
    beyond = [
        Concerned(*one[:3], f"{one[3]}: gives {quantity_text(one[4])}, holds {quantity_text(one[5])}")
        for one in found["beyond"]
    ]
    lines = [
        *_accounts_line("cash", short, "would end with cash below 0 at these prices"),
        *_accounts_line("oversold", beyond, "would give more shares than they hold"),
    ]
    accounts, left_out = (int(found[what][0][4]) for what in ("accounts", "left_out"))
    lowest = next(iter(found["lowest"]), None)
    warnings = list(_thin_line(found["thin"]))
    if lowest is None:
        return _Checks(lines, warnings, accounts, left_out, None, None)
    return _Checks(lines, warnings, accounts, left_out, Concerned(*lowest[:3], ""), lowest[4])


def _thin_line(found) -> Iterator[Line]:
    if not found:
        return
    named = ", ".join(f"{number} ({dollars_text(cash)})" for _, number, _, _, cash, _ in found[:NAMED_AT_MOST])
    more = f" and {len(found) - NAMED_AT_MOST:,} more" if len(found) > NAMED_AT_MOST else ""
    keeps, buys = ("keeps", "it buys") if len(found) == 1 else ("keep", "they buy")
    yield Line(
        "thin",
        f"{plural(len(found), 'account')} {keeps} less than {percent_text(THIN)} of what {buys} in cash, which may end "
        f"below 0 if prices move before the orders are filled: {named}{more}.",
    )


def _accounts_line(key, accounts, what) -> Iterator[Line]:
    if accounts:
        yield Line(key, f"{plural(len({one.pk for one in accounts}), 'account')} {what}.", accounts=tuple(accounts))


# --- what a person should know ------------------------------------------------------------------------------------


def _warnings(rows, market, now) -> Iterator[Line]:
    yield from _market_warnings(rows, market, now)
    for row in rows:
        if row.quantity:
            for what, why in (*_price_warnings(row), *_execution_warnings(row, market)):
                yield Line(f"{what}:{row.order.pk}", f"{row.name}: {why}", row.order.pk)
    yield from _lot_warnings(rows)


def _market_warnings(rows, market, now):
    if not market.known or not any(row.quantity for row in rows):
        return
    if not market.is_open:
        yield Line(f"closed:{market.trade_day}", f"{market.words}. {_until_then(rows)}")
    elif market.closes_at - now <= CLOSES_SOON:
        yield Line(f"closing:{market.trade_day}", f"{market.words}. What is not filled by then expires.")
    elif market.is_early_close:
        yield Line(f"early:{market.trade_day}", f"{market.words}.")


def _until_then(rows):
    paper = any(row.order.broker == "paper" for row in rows)
    settings = MarketSettings.current() if paper else None
    if settings and settings.paper_outage:
        return "The paper market does not answer now: what is sent waits for it."
    if settings and settings.paper_always_open:
        return "The paper market trades all the same, as its settings say."
    return "What is sent now waits for it."


def _price_warnings(row):
    if row.moved is not None and abs(row.moved) > MOVED:
        step = max(step for step in STEPS if abs(row.moved) >= step)
        since = f"{price_text(row.order.price)} → {price_text(row.live.price)}"
        yield f"moved-{step}", f"its price has moved by {percent_text(row.moved)} since approval ({since})."
    limit = row.order.limit_price
    if limit and row.live and not row.live.why_not:
        off = (limit / row.live.price - 1) * 100
        if abs(off) > FAR:
            where = "above" if off > 0 else "below"
            yield f"far-{where}", f"its limit of {price_text(limit)} is {percent_text(abs(off))} {where} the price."


def _execution_warnings(row, market):
    order = row.order
    if order.algorithm == Algorithm.NAV:
        yield "nav", "it gets the fund's next NAV, which is not known yet."
    if order.extended_hours:
        yield "extended", "it may trade outside regular hours, at its limit or better, and ends with the day."
    ends = hours.moment(market.trade_day, order.ends_at) if order.algorithm in SLICED and order.ends_at else None
    if ends and market.known and ends > market.closes_at:
        yield "cut", f"the session closes at {clock_text(market.closes_at)}, before its window ends."


def _lot_warnings(rows) -> Iterator[Line]:
    """Once for each place that is not told which lots to sell."""
    selling = [row.order for row in rows if row.quantity and row.order.side == Side.SELL]
    places = Counter(
        (order.broker, str(order.custodian or "")) for order in selling if not broker(order.broker).takes_lots
    )
    for (name, custodian), count in sorted(places.items()):
        whose = f"of {custodian} " if custodian else ""
        yield Line(
            f"lots:{name}:{custodian}",
            f"{plural(count, 'sell order')} {whose}{'carries' if count == 1 else 'carry'} no lot instructions: the "
            "custodian's own lot method will apply.",
        )


# --- sums ---------------------------------------------------------------------------------------------------------


def _totals(rows, checks):
    value = {
        side: sum((row.value for row in rows if row.order.side == side and row.value), Decimal(0)) for side in Side
    }
    return {
        "orders": sum(1 for row in rows if row.quantity),
        "buys": value[Side.BUY],
        "sells": value[Side.SELL],
        "net_cash": value[Side.SELL] - value[Side.BUY],
        "accounts": checks.accounts,
        "left_out": checks.left_out,
        "lowest": checks.lowest,
        "lowest_cash": checks.lowest_cash,
    }


def _order_words(row):
    sent = f"{row.name}, {quantity_text(row.quantity)} shares, {row.execution}"
    return sent if row.quantity else f"{row.name}, left out"


def _digest(ticket, shown, rows):
    """Of what was shown without the figures that go on moving: prices, values, ages, minutes."""
    keys = sorted(key for key in shown if not key.startswith("order:"))
    orders = [[row.order.pk, str(row.quantity.normalize()), row.execution] for row in rows]
    return hashlib.blake2b(json.dumps([ticket.pk, ticket.version, orders, keys]).encode(), digest_size=16).hexdigest()


def differences(shown: dict[str, str], now: dict[str, str]) -> list[str]:
    """What is no longer as it was shown, in words."""
    return [*_new(shown, now), *(f"no longer: {shown[key]}" for key in shown if key not in now)]


def _new(shown, now) -> Iterable[str]:
    for key, said in now.items():
        if key not in shown:
            yield f"new: {said}"
        elif key.startswith("order:") and shown[key] != said:
            yield f"{shown[key]} → {said}"
