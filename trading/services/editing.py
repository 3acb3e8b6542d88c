"""What Operations changes of a ticket's staged orders before they are confirmed. Nothing is sent here.

Every command takes the `version` of the ticket that the person saw, holds the ticket's row, does all of it or nothing,
raises the version, marks what changed and by whom, and leaves an audit line with before and after. It raises MayNotEdit
(403), TooLate where the ticket changed or was confirmed meanwhile, and WrongLines naming each line that can't be.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal

from django.core.exceptions import PermissionDenied

from accounts.listing.figures import plural, quantity_text
from accounts.money import UNITS_PER_SHARE, shares
from accounts.services import audit
from accounts.services.refusals import Refused, command
from trading.allocate import allocate
from trading.models import Ticket
from trading.states import OrderState

from .confirming import what_happened
from .lines import (
    Changes,
    Chosen,
    Line,
    WrongLine,
    as_given,
    editable,
    kept,
    lines_of,
    note_edit,
    orders_of,
    why_no_quantity,
    write,
)

OPERATIONS_EDITS = "Operations edits order tickets: your role looks on."
CHANGED = "The ticket has changed since you looked. Nothing was done; look at it again and repeat what still applies."
NAMED_AT_MOST = 5
KEPT_IN_AUDIT = 2_000  # lines named one by one in an audit line; beyond, orders are


class MayNotEdit(Refused, PermissionDenied):
    """This person may not edit tickets (403)."""


class TooLate(Refused):
    """Somebody or something else came first."""


class WrongLines(Refused):
    """Lines that can't be as they were given; `orders` are those of them that concern a block's total, by order id."""

    def __init__(self, lines: list[WrongLine], orders: Mapping[int, str] | None = None):
        self.lines, self.orders = lines, dict(orders or {})
        named = [*self.orders.values(), *map(str, lines)]
        more = f"; and {len(named) - NAMED_AT_MOST:,} more" if len(named) > NAMED_AT_MOST else ""
        super().__init__(f"Nothing was changed. {'; '.join(named[:NAMED_AT_MOST])}{more}.")


@dataclass(slots=True)
class Edited:
    """What a command did: how many lines changed, and `notes` on what stayed as it was, in words."""

    changed: int = 0
    notes: list[str] = field(default_factory=list)


def why_not(user) -> str:
    """Why this person may not edit tickets, in words; empty when they may."""
    return "" if user.has_perm("trading.change_order") else OPERATIONS_EDITS


@contextmanager
def editing(ticket: Ticket, version: int, by, verb: str) -> Iterator[Ticket]:
    """The ticket as it is now, held for a change by this person, who saw that version of it."""
    with command(by, verb, ticket):
        if why := why_not(by):
            raise MayNotEdit(why)
        held = editable(ticket.pk).get()
        if held.confirmed_at:
            raise TooLate(f"{what_happened(held)} Nothing was done.")
        if held.version != version:
            raise TooLate(CHANGED)
        yield held


def require_ready(ticket: Ticket, orders: Iterable) -> None:
    """Refuse where one of these orders is not staged any more."""
    gone = [order for order in orders if order.state != OrderState.READY]
    if gone:
        order = gone[0]
        why = what_happened(ticket) or f"{order.security.symbol} is {order.get_state_display().lower()}."
        raise TooLate(f"{why} Nothing was done.")


# --- shares ---------------------------------------------------------------------------------------------------------


def change_shares(
    ticket: Ticket, version: int, quantities: Mapping[int, Decimal], by, *, orders: Mapping[int, Decimal] | None = None
) -> Edited:
    """Change the shares of lines (by allocation id) and of whole blocks (`orders`, by order id).

    A block's new total goes to its accounts pro rata to what they have (to what was approved, where all are left out),
    in whole steps by largest remainder, ties by account number. What is given as it is already changes nothing.
    """
    totals = dict(orders or {})
    with editing(ticket, version, by, "ticket.shares_changed") as held:
        found = orders_of(held)
        _require_known(totals, found, "orders")
        totals = {pk: total for pk, total in totals.items() if total != found[pk].quantity}
        lines = lines_of(held, found, Chosen(lines=tuple(quantities), orders=tuple(totals)))
        _require_known(quantities, {line.pk: line for line in lines}, "lines")
        wanted = {line.pk: quantities[line.pk] for line in lines if line.pk in quantities}
        wanted |= _pro_rata(lines, found, totals, _typed(lines, wanted))
        return _change(held, "ticket.shares_changed", Changes(lines, wanted), _from_approved, by)


def _typed(lines, wanted):
    """The orders of which single lines are changed."""
    return {line.order.pk for line in lines if wanted.get(line.pk, line.quantity) != line.quantity}


def _require_known(given, known, what):
    """Refuse ids that are not of this ticket."""
    if stray := set(given) - set(known):
        raise Refused(f"{len(stray):,} of these {what} are not of this ticket. Nothing was changed; reload the page.")


def _pro_rata(lines, orders, totals, typed) -> dict[int, Decimal]:
    """The new quantities by line id of orders with new totals; WrongLines where a total can't be."""
    wrong = {}
    for pk, total in totals.items():
        words = why_no_quantity(total, orders[pk].security)
        if pk in typed:
            words = words or "change either the block's shares or those of its accounts, not both at once"
        if words:
            wrong[pk] = f"{orders[pk].security.symbol}, {as_given(total)}: {words}"
    if wrong:
        raise WrongLines([], wrong)
    found: dict[int, Decimal] = {}
    for pk, total in totals.items():
        found |= shared([line for line in lines if line.order.pk == pk], total)
    return found


def shared(lines: list[Line], total: Decimal) -> dict[int, Decimal]:
    """A block's total in whole steps to its lines, pro rata to what they have, or were approved with if none has any.

    A total above what they have is that pro rata too: each its whole multiple, and the rest by largest remainder.
    """
    units = [int(line.quantity * UNITS_PER_SHARE) for line in lines]
    if not any(units):
        units = [int(line.approved * UNITS_PER_SHARE) for line in lines]
    wanted = int(total * UNITS_PER_SHARE)
    times = -(-wanted // sum(units)) if wanted else 1
    step = int(lines[0].step * UNITS_PER_SHARE)
    keys = [(line.number, line.pk) for line in lines]
    given = allocate([one * times for one in units], step, wanted, 0, keys).units
    return {line.pk: shares(one) for line, one in zip(lines, given, strict=True)}


def leave_out(ticket: Ticket, version: int, chosen: Chosen, by) -> Edited:
    """Set lines to 0 shares: single ones, those of whole orders, or of accounts, which then trade nothing at all."""
    return _set(ticket, version, chosen, by, "ticket.left_out", lambda line: Decimal(0), lambda line: "left out")


def take_back(ticket: Ticket, version: int, chosen: Chosen, by) -> Edited:
    """Give lines back the shares that were approved."""
    return _set(ticket, version, chosen, by, "ticket.taken_back", lambda line: line.approved, lambda line: "")


def _set(ticket, version, chosen, by, verb, quantity: Callable[[Line], Decimal], words) -> Edited:
    with editing(ticket, version, by, verb) as held:
        lines = lines_of(held, orders_of(held), chosen)
        for name in ("lines", "orders", "accounts"):
            _require_known(getattr(chosen, name), _ids(lines, name), name)
        return _change(held, verb, Changes(lines, {line.pk: quantity(line) for line in lines}), words, by)


def _ids(lines, name):
    of = {"lines": lambda line: line.pk, "orders": lambda line: line.order.pk, "accounts": lambda line: line.account_id}
    return {of[name](line) for line in lines}


def _from_approved(line):
    return f"changed from {quantity_text(line.approved)}"


def _change(ticket, verb, changes: Changes, words, by) -> Edited:
    """Write the changes if all of them can be; nothing to change is no edit."""
    changed = changes.changed
    if not changed:
        return Edited()
    require_ready(ticket, {line.order.pk: line.order for line in changed}.values())
    if wrong := changes.wrong():
        raise WrongLines(wrong)
    said = {line.pk: "left out" if not changes.quantities[line.pk] else words(line) for line in changed}
    write(ticket, changes, said, by)
    record_change(ticket, verb, changes, by)
    return Edited(len(changed))


def record_change(ticket, verb, changes, by, **more):
    changed = changes.changed
    note_edit(ticket, by)
    if len(changed) <= KEPT_IN_AUDIT:
        before = kept(changed, lambda line: line.quantity)
        after = kept(changed, lambda line: changes.quantities[line.pk])
    else:
        before, after = _by_order(changed, changes)
    audit.record(by, verb, ticket, before, after, version=ticket.version, lines=len(changed), **more)


def _by_order(changed, changes):
    """Totals before and after of each order with changed lines, where these are too many to be named."""
    delta: dict[int, Decimal] = defaultdict(Decimal)
    for line in changed:
        delta[line.order.pk] += changes.quantities[line.pk] - line.quantity
    orders = {line.order.pk: line.order for line in changed}.values()
    names = {order.pk: f"{order.get_side_display()} {order.security.symbol} {order.pk}" for order in orders}
    before = {names[order.pk]: str(order.quantity) for order in orders}
    return before, {names[order.pk]: str(order.quantity + delta[order.pk]) for order in orders}


# --- sells first ----------------------------------------------------------------------------------------------------


def set_sells_first(ticket: Ticket, version: int, on: bool, by) -> Edited:
    """Whether buys wait until their accounts' sells are filled."""
    with editing(ticket, version, by, "ticket.sells_first") as held:
        if held.sells_first == on:
            return Edited()
        Ticket.objects.filter(pk=held.pk).update(sells_first=on)
        note_edit(held, by)
        audit.record(by, "ticket.sells_first", held, {"sells_first": not on}, {"sells_first": on})
    return Edited(1)


def in_words(edited: Edited, what: str = "line") -> str:
    """3 lines changed."""
    return f"{plural(edited.changed, what)} changed." if edited.changed else "Nothing was changed."
