"""How the orders of a ticket are to be executed: algorithm, limit, window, participation, outside regular hours."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal
from typing import Literal

from django.utils import timezone

from accounts.listing.figures import percent_text, plural, price_text
from accounts.models import Security
from accounts.services import audit
from accounts.services.refusals import Refused
from trading import hours
from trading.models import Order, Ticket
from trading.states import SLICED, Algorithm, OrderState
from trading.words import execution_words

from .editing import Edited, editing, require_ready
from .lines import note_edit, orders_of

FAR_OFF = Decimal(5)  # percent between limit and live price beyond which it is said
PARTICIPATION = (Decimal("0.1"), Decimal(100))
VERB = "ticket.execution_set"


@dataclass(frozen=True, slots=True)
class Execution:
    """How to execute an order. Times are of the market's zone; participation is in percent."""

    algorithm: Algorithm
    limit_price: Decimal | None = None
    starts_at: time | None = None
    ends_at: time | None = None
    participation: Decimal | None = None
    extended_hours: bool = False


class WrongExecution(Refused):
    """An execution that can't be; `fields` has the words by field."""

    def __init__(self, fields: dict[str, str]):
        self.fields = fields
        super().__init__(f"Nothing was changed. {' '.join(fields.values())}")


def set_execution(
    ticket: Ticket, version: int, orders: Collection[int] | Literal["all"], execution: Execution, by,
    now: datetime | None = None,
) -> Edited:  # fmt: skip
    """Set how these orders (by id), or all, are executed. Of all, funds keep their NAV order, and a note says so.

    Raises WrongExecution with words by field, besides what every edit raises. Notes also warn of a limit far off.
    """
    with editing(ticket, version, by, VERB) as held:
        every = orders_of(held)
        chosen = list(every.values()) if orders == "all" else [every[pk] for pk in orders if pk in every]
        if not chosen or (orders != "all" and len(chosen) != len(set(orders))):
            raise Refused("Some of these orders are not of this ticket. Nothing was changed; reload the page.")
        notes = []
        if orders == "all" and execution.algorithm != Algorithm.NAV:
            funds = [order for order in chosen if is_fund(order)]
            chosen = [order for order in chosen if not is_fund(order)]
            notes = [_funds_stay(funds)] if funds else []
        require_ready(held, chosen)
        execution = _only_what_counts(execution)
        _require_possible(execution, chosen, now or timezone.now())
        changed = [order for order in chosen if _differs(order, execution)]
        if changed:
            _write(held, changed, execution, by)
    return Edited(len(changed), notes + _far_off(changed, execution))


def is_fund(order: Order) -> bool:
    return order.security.kind == Security.Kind.MUTUAL_FUND


def _funds_stay(funds):
    return f"{plural(len(funds), 'fund')} ({', '.join(order.security.symbol for order in funds)}) stays a NAV order"


def _only_what_counts(one: Execution) -> Execution:
    """Without what means nothing under this algorithm: a limit price of a VWAP, a window of a market order."""
    sliced, limited = one.algorithm in SLICED, one.algorithm == Algorithm.LIMIT
    return Execution(
        algorithm=one.algorithm,
        limit_price=one.limit_price if limited else None,
        starts_at=one.starts_at if sliced else None,
        ends_at=one.ends_at if sliced else None,
        participation=one.participation if sliced else None,
        extended_hours=one.extended_hours,
    )


def _require_possible(one: Execution, orders, now):
    wrong: dict[str, str] = {}
    funds = [order.security.symbol for order in orders if is_fund(order)]
    if funds and one.algorithm != Algorithm.NAV:
        wrong["algorithm"] = f"{funds[0]} is a fund: its order is a NAV order."
    if len(funds) < len(orders) and one.algorithm == Algorithm.NAV:
        wrong["algorithm"] = "NAV orders are for funds only."
    if one.algorithm == Algorithm.LIMIT and (one.limit_price is None or one.limit_price <= 0):
        wrong["limit_price"] = "A limit order needs a limit price above 0."
    if one.algorithm in SLICED:
        wrong |= _wrong_window(one, now)
    low, high = PARTICIPATION
    if one.participation is not None and not low <= one.participation <= high:
        wrong["participation"] = f"Participation is from {percent_text(low, 1)} to {percent_text(high, 0)}."
    if one.extended_hours and one.algorithm != Algorithm.LIMIT:
        wrong["extended_hours"] = "Outside regular hours an order needs a limit price and takes no algorithm."
    if wrong:
        raise WrongExecution(wrong)


def _wrong_window(one: Execution, now) -> dict[str, str]:
    """Words by field about the window of a TWAP or VWAP: start before end, in the session in which it would trade."""
    if one.starts_at is None or one.ends_at is None:
        label = Algorithm(one.algorithm).label
        missing = [name for name in ("starts_at", "ends_at") if getattr(one, name) is None]
        return dict.fromkeys(missing, f"A {label} needs a start and an end.")
    if one.starts_at >= one.ends_at:
        return {"ends_at": "The end has to be after the start."}
    standing = hours.standing(now)
    session = standing.session
    if session is None:
        return {}
    wrong = {}
    opens, closes = (at.astimezone(session.zone).time() for at in (session.opens_at, session.closes_at))
    day = f"the regular session of {session.day} is {opens:%H:%M}–{closes:%H:%M}"
    if one.starts_at < opens:
        wrong["starts_at"] = f"It starts too early: {day}."
    if one.ends_at > closes:
        wrong["ends_at"] = f"It ends too late: {day}."
    elif has_passed(one.ends_at, session, now):
        wrong["ends_at"] = f"{one.ends_at:%H:%M} has passed: choose a later end."
    return wrong


def has_passed(ends_at: time, session: hours.Session, now: datetime) -> bool:
    """Whether a window that ends at that time has passed in the session that is on, or the next."""
    return datetime.combine(session.day, ends_at, session.zone) <= now


FIELDS = ("algorithm", "limit_price", "starts_at", "ends_at", "participation", "extended_hours")


def _differs(order, one):
    return any(getattr(order, name) != getattr(one, name) for name in FIELDS)


def _write(ticket, orders, one, by):
    now = timezone.now()
    before = {_name(order): _in_words(order) for order in orders}
    values = {name: getattr(one, name) for name in FIELDS}
    Order.objects.filter(pk__in=[order.pk for order in orders], state=OrderState.READY).update(
        **values, edited_by=by, edited_at=now
    )
    for order in orders:
        for name, value in values.items():
            setattr(order, name, value)
    note_edit(ticket, by)
    after = {_name(order): _in_words(order) for order in orders}
    audit.record(by, VERB, ticket, before, after, version=ticket.version)


def _in_words(order):
    window = order.starts_at, order.ends_at, order.participation
    return execution_words(order.algorithm, order.limit_price, *window, order.extended_hours)


def _name(order):
    return f"{order.get_side_display()} {order.security.symbol} {order.pk}"


def _far_off(orders, one) -> list[str]:
    """Warnings of a limit price far off the live price."""
    if one.limit_price is None:
        return []
    return [
        f"The limit {price_text(one.limit_price)} of {order.security.symbol} is {percent_text(off, 1)} off its price "
        f"of {price_text(order.at)}"
        for order in orders
        if (off := abs(one.limit_price / order.at - 1) * 100) > FAR_OFF
    ]
