"""Quantities of a ticket at the newest prices: the dollars that were approved, in shares of now."""

from collections import defaultdict
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal

from django.utils import timezone

from accounts.listing.figures import money_text, plural, price_text
from accounts.models import Firm
from trading.live import live_prices
from trading.models import Ticket

from .editing import NAMED_AT_MOST, Edited, editing, record_change, require_ready
from .lines import Changes, Chosen, Line, lines_of, orders_of, why_no_quantity, write

VERB = "ticket.recalculated"


def recalculate(ticket: Ticket, version: int, by) -> Edited:
    """Give every line the dollars that were approved for it, at the newest price that may be used, to the nearest step.

    Not more than held; a sale of the whole holding stays whole, what is left out stays out, and nothing is raised
    against a restriction. Where an account's cash would fall below 0 its buys are cut, that with most dollars beyond
    those approved first. Lines that were changed by hand are set anew, too. What stayed as it was is named.
    """
    with editing(ticket, version, by, VERB) as held:
        orders = orders_of(held)
        require_ready(held, orders.values())
        notes = _price(orders)
        lines = [line for line in lines_of(held, orders, Chosen(everything=True)) if line.is_open]
        changes = Changes(lines, {line.pk: _quantity(line, notes) for line in lines})
        by_account = defaultdict(list)
        for line in lines:
            by_account[line.account_id].append(line)
        for some in by_account.values():
            _within_cash(some, changes.quantities, notes)
        changed = changes.changed
        if changed:
            write(held, changes, {line.pk: f"recalculated at {price_text(line.order.at)}" for line in changed}, by)
            record_change(held, VERB, changes, by, notes=notes[:NAMED_AT_MOST])
    return Edited(len(changed), notes)


def _price(orders) -> list[str]:
    """Set `at` of each order to its newest price and `fresh` to whether that may be used; name those of which not."""
    found = live_prices({order.security_id for order in orders.values()}, Firm.current(), timezone.now())
    notes = []
    for order in orders.values():
        live = found.get(order.security_id)
        order.fresh = live is not None and not live.why_not
        if live and order.fresh:
            order.at = live.price
        else:
            notes.append(f"{order.security.symbol} stays as it is: {live.why_not if live else 'it has no price'}")
    return notes


def _quantity(line: Line, notes: list[str]) -> Decimal:
    """What the line is to be, whatever the cash."""
    if not line.order.fresh or not line.quantity:
        return line.quantity
    if line.sells and line.approved >= line.can_sell:
        return line.can_sell
    wanted = (_dollars(line) / (line.order.at * line.step)).to_integral_value(ROUND_HALF_UP) * line.step
    if line.sells:
        wanted = min(wanted, line.can_sell)
    if wanted > line.quantity and line.why_no_more:
        notes.append(f"{line.number} {line.symbol} is not raised: {line.why_no_more}")
        return line.quantity
    if words := why_no_quantity(wanted, line.order.security):
        notes.append(f"{line.number} {line.symbol} stays as it is: {words}")
        return line.quantity
    return wanted


def _dollars(line: Line) -> Decimal:
    """The dollars that were approved."""
    return line.approved * line.order.price


def _within_cash(lines: list[Line], quantities: dict[int, Decimal], notes: list[str]) -> None:
    """Cut buys of an account until its cash does not fall below 0: first what they have beyond the dollars approved,
    the dearest surplus first, then the largest buys."""
    into = (line.value(quantities[line.pk]) - line.value(line.quantity) for line in lines)
    ending = lines[0].ending + sum(into, Decimal(0))
    buys = [line for line in lines if not line.sells and line.order.fresh and quantities[line.pk]]
    surplus = {line.pk: quantities[line.pk] * line.order.at - _dollars(line) for line in buys}
    for line in sorted(buys, key=lambda line: (-surplus[line.pk], line.pk)):
        if surplus[line.pk] > 0:
            ending += _cut(line, quantities, min(surplus[line.pk], max(-ending, Decimal(0))))
    for line in sorted(buys, key=lambda line: (line.value(quantities[line.pk]), line.pk)):
        ending += _cut(line, quantities, max(-ending, Decimal(0)))
    if ending < 0:
        notes.append(f"{lines[0].number} still ends with {money_text(ending)} in cash")


def _cut(line: Line, quantities: dict[int, Decimal], dollars: Decimal) -> Decimal:
    """Take steps off a buy that are worth at least so many dollars, as far as it goes; return what that frees."""
    if dollars <= 0:
        return Decimal(0)
    before = quantities[line.pk]
    steps = (dollars / (line.order.at * line.step)).to_integral_value(ROUND_CEILING)
    quantities[line.pk] = max(before - steps * line.step, Decimal(0))
    return line.value(quantities[line.pk]) - line.value(before)


def in_words(edited: Edited) -> str:
    """What was done, for the person who asked."""
    notes = edited.notes[:NAMED_AT_MOST]
    more = len(edited.notes) - len(notes)
    words = [f"{plural(edited.changed, 'line')} changed at the newest prices.", *(f"{note}." for note in notes)]
    return " ".join(words + ([f"And {more:,} more."] if more > 0 else []))
