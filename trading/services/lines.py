"""The lines of a ticket while it is edited: what may be traded of each, and writing what has changed of them."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from django.db.models import QuerySet, Subquery
from django.utils import timezone

from accounts.imports.copying import execute, fetch
from accounts.listing.figures import money_text, price_text, quantity_text
from accounts.models import Firm, Restriction, Security
from accounts.money import amount
from accounts.selectors import last_price
from accounts.sweeps import swept
from trading import sessions
from trading.models import Order, Ticket
from trading.states import OrderState, Side

from .relieving import NOTHING, Sale, relieved

FORBIDDEN = {
    Restriction.Kind.NO_BUY: {Side.BUY},
    Restriction.Kind.NO_SELL: {Side.SELL},
    Restriction.Kind.DO_NOT_TRADE: {Side.BUY, Side.SELL},
    Restriction.Kind.EXCLUDE_TO_CASH: {Side.BUY},
    Restriction.Kind.EXCLUDE_PRO_RATA: {Side.BUY},
    Restriction.Kind.SUBSTITUTE: {Side.BUY},
}
LARGEST = Decimal(10) ** 13  # shares that fit into a quantity

# `flow` is what the open orders of an account leave of its cash: sells of this ticket only, for those of others may
# not be filled; `gone` what other tickets sell of a position. A lateral join would go through them line by line.
LINES = """
WITH live AS (SELECT * FROM unnest(%(orders)s::bigint[], %(prices)s::numeric[]) AS live (order_id, price)),
chosen AS MATERIALIZED (
    SELECT a.* FROM trading_allocation a JOIN trading_order o ON o.id = a.order_id
    WHERE o.ticket_id = %(ticket)s AND ({chosen})
),
flow AS MATERIALIZED (
    SELECT x.account_id,
        sum(CASE WHEN b.side = 'buy' THEN -round(x.quantity * coalesce(live.price, b.price), 2)
            WHEN b.ticket_id = %(ticket)s THEN round(x.quantity * coalesce(live.price, b.price), 2) ELSE 0 END) AS net,
        sum(x.quantity) FILTER (WHERE b.ticket_id = %(ticket)s) AS traded
    FROM trading_allocation x JOIN trading_order b ON b.id = x.order_id LEFT JOIN live ON live.order_id = b.id
    WHERE x.is_open AND x.account_id IN (SELECT account_id FROM chosen)
    GROUP BY x.account_id
),
gone AS MATERIALIZED (
    SELECT x.account_id, x.sleeve_id, b.security_id, sum(x.quantity) AS quantity
    FROM trading_allocation x JOIN trading_order b ON b.id = x.order_id
    WHERE x.is_open AND b.side = 'sell' AND b.ticket_id <> %(ticket)s
        AND x.account_id IN (SELECT account_id FROM chosen)
    GROUP BY 1, 2, 3
),
moved AS MATERIALIZED (
    SELECT account_id, source_id AS sleeve_id, security_id, sum(quantity) AS quantity FROM trading_flatmove
    WHERE is_open AND account_id IN (SELECT account_id FROM chosen) GROUP BY 1, 2, 3
),
swept AS MATERIALIZED ({swept})
SELECT a.id, a.order_id, a.account_id, c.number, a.sleeve_id, a.quantity, a.approved_quantity, c.lot_method, a.is_open,
    coalesce(p.quantity, 0) - coalesce(moved.quantity, 0) - coalesce(gone.quantity, 0),
    c.cash + coalesce(swept.cash, 0) - c.set_aside_cash + flow.net, flow.traded, r.kind
FROM chosen a
JOIN trading_order o ON o.id = a.order_id
JOIN accounts_account c ON c.id = a.account_id
LEFT JOIN flow ON flow.account_id = a.account_id
LEFT JOIN swept ON swept.account_id = a.account_id
LEFT JOIN accounts_position p
    ON (p.account_id, p.sleeve_id, p.security_id) = (a.account_id, a.sleeve_id, o.security_id)
LEFT JOIN gone ON (gone.account_id, gone.sleeve_id, gone.security_id) = (a.account_id, a.sleeve_id, o.security_id)
LEFT JOIN moved ON (moved.account_id, moved.sleeve_id, moved.security_id) = (a.account_id, a.sleeve_id, o.security_id)
LEFT JOIN accounts_restriction r ON r.account_id = a.account_id AND r.security_id = o.security_id
    AND r.start <= %(today)s AND (r.end IS NULL OR r.end >= %(today)s)
ORDER BY c.number, a.id
"""
WRITE = """
WITH given AS (
    SELECT * FROM unnest(%(ids)s::bigint[], %(orders)s::bigint[], %(quantities)s::numeric[], %(changes)s::numeric[],
        %(lots)s::text[], %(short_quantities)s::numeric[], %(short_costs)s::numeric[], %(long_quantities)s::numeric[],
        %(long_costs)s::numeric[], %(unknown)s::int[], %(words)s::text[])
    AS given (
        id, order_id, quantity, change, lots, short_quantity, short_cost, long_quantity, long_cost, unknown, words)
),
parts AS (
    UPDATE trading_allocation a SET quantity = given.quantity, lots = given.lots::jsonb,
        short_quantity = given.short_quantity, short_cost = given.short_cost, long_quantity = given.long_quantity,
        long_cost = given.long_cost, unknown_lots = given.unknown, edit_words = given.words,
        edited_by_id = %(by)s, edited_at = %(at)s
    FROM given WHERE a.id = given.id
)
UPDATE trading_order o SET quantity = o.quantity + d.change, edited_by_id = %(by)s, edited_at = %(at)s
FROM (SELECT order_id, sum(change) AS change FROM given GROUP BY order_id) d WHERE o.id = d.order_id
"""


@dataclass(frozen=True, slots=True)
class WrongLine:
    """A line that can't be as it was given: what was given, and what is allowed, in words."""

    pk: int
    order_id: int
    number: str
    symbol: str
    given: str
    words: str

    def __str__(self):
        return f"{self.number} {self.symbol}, {self.given}: {self.words}"


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which lines of a ticket; of nothing given there are none."""

    lines: tuple[int, ...] = ()
    orders: tuple[int, ...] = ()
    accounts: tuple[int, ...] = ()
    everything: bool = False

    def condition(self):
        if self.everything:
            return "true"
        return "a.id = ANY(%(lines)s) OR a.order_id = ANY(%(of_orders)s) OR a.account_id = ANY(%(of_accounts)s)"


@dataclass(frozen=True, slots=True)
class Line:
    """An account's part of a block order. `held` is what could be sold at most, `ending` the account's cash after all
    its orders at live prices, `traded` how many shares of anything the account trades in this ticket.
    """

    pk: int
    order: Any
    account_id: int
    number: str
    sleeve_id: int
    quantity: Decimal
    approved: Decimal
    lot_method: str
    is_open: bool
    held: Decimal
    ending: Decimal
    traded: Decimal
    restriction: str | None

    @property
    def step(self) -> Decimal:
        return self.order.security.quantity_step

    @property
    def symbol(self) -> str:
        return self.order.security.symbol

    @property
    def sells(self) -> bool:
        return self.order.side == Side.SELL

    @property
    def can_sell(self) -> Decimal:
        """The whole steps of what is held."""
        return max(self.held, Decimal(0)) // self.step * self.step

    def value(self, quantity: Decimal) -> Decimal:
        """Dollars into the account, negative for a buy."""
        value = amount(quantity * self.order.at)
        return value if self.sells else -value

    @property
    def why_no_more(self) -> str:
        """Why no more of it may be traded to this side; empty where it may."""
        if not self.sells and not self.order.security.is_active:
            return f"{self.symbol} is inactive: it is not bought"
        if self.restriction and self.order.side in FORBIDDEN[Restriction.Kind(self.restriction)]:
            kind = Restriction.Kind(self.restriction).label.lower()
            return f"{self.symbol} is restricted for this account ({kind})"
        return ""


def editable(ticket_pk: int) -> QuerySet[Ticket]:
    """The ticket, its row to be locked, with what the firm says of lots and the market."""
    firm = {name: Subquery(Firm.objects.values(name)[:1]) for name in ("market_calendar", "lot_method")}
    return Ticket.objects.select_for_update(of=("self",)).filter(pk=ticket_pk).annotate(**firm)


def orders_of(ticket) -> dict[int, Any]:
    """The block orders of a ticket by id, each with `at`, the last price that may be used, else that of approval."""
    found = Order.objects.filter(ticket=ticket).annotate(last=last_price("security"))
    found = found.select_related("security", "custodian").order_by("security__symbol", "side", "pk")
    orders: dict[int, Any] = {order.pk: order for order in found}
    for order in orders.values():
        order.at = order.last or order.price
    return orders


def lines_of(ticket, orders: Mapping[int, Any], chosen: Chosen) -> list[Line]:
    """The chosen lines by account number. One query."""
    parameters = {
        "ticket": ticket.pk,
        "orders": list(orders),
        "prices": [order.at for order in orders.values()],
        "lines": list(chosen.lines),
        "of_orders": list(chosen.orders),
        "of_accounts": list(chosen.accounts),
        "today": today(ticket),
    }
    rows = fetch(LINES.format(chosen=chosen.condition(), swept=swept("SELECT account_id FROM flow")), parameters)
    return [
        Line(pk, orders[order], account, number, sleeve, quantity, approved, method or ticket.lot_method, is_open, held,
             ending or Decimal(0), traded or Decimal(0), restriction)
        for pk, order, account, number, sleeve, quantity, approved, method, is_open, held, ending, traded, restriction
        in rows
    ]  # fmt: skip


def today(ticket) -> date:
    return timezone.now().astimezone(sessions.zone_of(ticket.market_calendar)).date()


# --- what may be ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Changes:
    """What lines are to become: quantities by line id; lines without one stay as they are."""

    lines: list[Line]
    quantities: dict[int, Decimal]

    @property
    def changed(self) -> list[Line]:
        return [line for line in self.lines if self.quantities.get(line.pk, line.quantity) != line.quantity]

    def wrong(self) -> list[WrongLine]:
        """What can't be, line by line; empty when all of it can."""
        found = [self._wrong(line, words) for line in self.changed if (words := self._why_not(line))]
        return found or self._short_of_cash()

    def _wrong(self, line, words):
        given = as_given(self.quantities[line.pk])
        return WrongLine(line.pk, line.order.pk, line.number, line.symbol, given, words)

    def _why_not(self, line) -> str:
        quantity = self.quantities[line.pk]
        if line.order.state != OrderState.READY or not line.is_open:
            return f"the order is {line.order.get_state_display().lower()} and can't be changed"
        if words := why_no_quantity(quantity, line.order.security):
            return words
        if line.sells and quantity > line.can_sell:
            return f"at most {quantity_text(line.can_sell)} can be sold: that is what it holds"
        if quantity > line.quantity and line.why_no_more:
            return f"at most {quantity_text(line.quantity)}: {line.why_no_more}"
        return ""

    def _short_of_cash(self) -> list[WrongLine]:
        """Lines that would take an account's cash below 0; whoever is left out altogether keeps the cash there is."""
        by_account = defaultdict(list)
        for line in self.changed:
            by_account[line.account_id].append(line)
        found = []
        for lines in by_account.values():
            into = {line.pk: line.value(self.quantities[line.pk]) - line.value(line.quantity) for line in lines}
            ending = lines[0].ending + sum(into.values(), Decimal(0))
            traded = lines[0].traded + sum((self.quantities[line.pk] - line.quantity for line in lines), Decimal(0))
            if ending < 0 and ending < lines[0].ending and traded:
                found += [self._wrong(line, _short(self, line, ending)) for line in lines if into[line.pk] < 0]
        return found


def _short(changes, line, ending):
    steps = (-ending / (line.order.at * line.step)).to_integral_value(ROUND_CEILING) * line.step
    words = f"its cash would end at {money_text(ending)}"
    if line.sells:
        return f"{words}; sell at least {quantity_text(min(changes.quantities[line.pk] + steps, line.can_sell))}"
    most = max(changes.quantities[line.pk] - steps, Decimal(0))
    return f"{words}; at most {quantity_text(most)} at {price_text(line.order.at)}"


def as_given(quantity: Decimal) -> str:
    """A quantity in words, also one that is none."""
    return quantity_text(quantity) if quantity.is_finite() and -LARGEST < quantity < LARGEST else str(quantity)


def why_no_quantity(quantity: Decimal, security: Security) -> str:
    """Why a security is not traded in this quantity; empty where it is."""
    if not quantity.is_finite() or quantity >= LARGEST:
        return "that is no number of shares"
    if quantity < 0:
        return "0 shares or more; the side of an order can't be changed"
    if quantity % security.quantity_step:
        floor = (quantity / security.quantity_step).to_integral_value(ROUND_FLOOR) * security.quantity_step
        step = quantity_text(security.quantity_step)
        near = f"{quantity_text(floor)} or {quantity_text(floor + security.quantity_step)}"
        return f"whole steps of {step} only: {near}"
    return ""


# --- writing --------------------------------------------------------------------------------------------------------


def write(ticket, changes: Changes, words: Mapping[int, str], by) -> None:
    """Store the changed lines with the lots of their sales, and their orders' sums. Two queries, one without sales.

    `words` by line id say why it is not as approved.
    """
    changed = changes.changed
    sales = [_sale(line, changes.quantities[line.pk]) for line in changed if line.sells]
    taken = relieved(sales, ticket.trade_date)
    rows = [(line, changes.quantities[line.pk], taken.get(line.pk, NOTHING)) for line in changed]
    execute(
        WRITE,
        {
            "by": by and by.pk,
            "at": timezone.now(),
            "ids": [line.pk for line, _, _ in rows],
            "orders": [line.order.pk for line, _, _ in rows],
            "quantities": [quantity for _, quantity, _ in rows],
            "changes": [quantity - line.quantity for line, quantity, _ in rows],
            "lots": [json.dumps(one.lots) for _, _, one in rows],
            "short_quantities": [one.sold.short_quantity for _, _, one in rows],
            "short_costs": [one.sold.short_cost for _, _, one in rows],
            "long_quantities": [one.sold.long_quantity for _, _, one in rows],
            "long_costs": [one.sold.long_cost for _, _, one in rows],
            "unknown": [one.sold.unknown_lots for _, _, one in rows],
            "words": ["" if quantity == line.approved else words[line.pk] for line, quantity, _ in rows],
        },
    )


def _sale(line, quantity):
    security = line.order.security_id
    method = line.lot_method
    return Sale(line.pk, line.account_id, line.sleeve_id, security, quantity, method, line.order.at)


EDITED = """
WITH noted AS (
    INSERT INTO trading_ticket_edited_by (ticket_id, user_id) VALUES (%(ticket)s, %(by)s) ON CONFLICT DO NOTHING
)
UPDATE trading_ticket SET version = version + 1 WHERE id = %(ticket)s
"""


def note_edit(ticket, by) -> None:
    """Raise the ticket's version and keep who changed it. One query."""
    execute(EDITED, {"ticket": ticket.pk, "by": by.pk})
    ticket.version += 1


def kept(lines: Iterable[Line], quantity) -> dict[str, str]:
    """For the audit trail: quantities by account, ticker and side."""
    return {f"{line.number} {line.order.get_side_display()} {line.symbol}": str(quantity(line)) for line in lines}
