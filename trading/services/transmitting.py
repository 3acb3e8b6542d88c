"""Sending orders. What is to be sent is stored before it is sent, and no broker is called inside a transaction.

A worker claims a ready order (sending), calls the broker, and stores what it said only while its claim is valid. Where
it does not come to that, because it was killed or the broker did not answer, the claim runs out and another worker
takes over: it asks the broker first what it knows of the order's number, and sends it again only if that is nothing.
"""

import logging
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from accounts import selectors as accounts_selectors
from trading import hours
from trading.brokers import broker
from trading.brokers.base import Broker, BrokerDown, Instruction, Portion, RefusedByBroker, Report
from trading.models import Order, Ticket
from trading.states import SLICED, Algorithm, OrderState, Side

from . import sells_first, session_end
from .logbook import REASON, TROUBLE, clock, fit, no_answer, note

log = logging.getLogger(__name__)

CLAIM_LASTS = timedelta(seconds=60)  # longer than any broker's adapter waits for an answer
BACK_OFF = timedelta(seconds=15)
TOO_LATE = "the session ended before it could be sent"
NO_CLAIM = {"claim": None, "claim_expires": None}


@dataclass(frozen=True, slots=True)
class Hold:
    """A worker's hold on an order that is being sent."""

    order_pk: int
    token: uuid.UUID
    is_first: bool  # nobody has tried to send it before


class NotNow(Exception):
    """The order cannot be sent at the moment; the text says why."""


def at(name: str) -> Broker:
    """The broker of that name, to be called now: that may take long, and is not undone with a transaction."""
    assert not connection.in_atomic_block, "a broker is never called inside a transaction"
    try:
        return broker(name)
    except KeyError as unknown:
        raise BrokerDown(f"no broker of the name {name} is set up") from unknown


def due() -> QuerySet[Order]:
    """The orders to send, those first that somebody has begun with: ready ones of confirmed tickets that are not held
    back, and those whose worker or broker has gone."""
    confirmed = Ticket.objects.filter(pk=OuterRef("ticket"), confirmed_at__isnull=False)
    ready = Order.objects.filter(Exists(confirmed), state=OrderState.READY, quantity__gt=0)
    left = Order.objects.filter(state=OrderState.SENDING, claim_expires__lte=timezone.now())
    return (ready.exclude(sells_first.held_back()) | left).order_by("-state", "pk")


def send_due(ticket_id: int | None = None) -> int:
    """Send all that is due, or what of it is of one ticket; return for how many a broker's answer was stored.

    A broker that does not answer is left alone until the next round, and the orders that wait for it say so.
    """
    wanted = due() if ticket_id is None else due().filter(ticket=ticket_id)
    down: dict[str, str] = {}
    sent = 0
    for pk, name in list(wanted.values_list("pk", "broker")):
        if name in down:
            Order.objects.filter(pk=pk, state=OrderState.READY).update(trouble=down[name])
            continue
        try:
            sent += _send(pk)
        except BrokerDown as why:
            down[name] = no_answer(name, why)
        except Exception:
            log.exception("order %s could not be sent", pk)
    return sent


def send(order_pk: int) -> bool:
    """Send the order, or go on where a worker has stopped; whether the broker's answer is stored now.

    False also where there is nothing to do: it is held back, not confirmed, already sent, or another worker is at it.
    """
    try:
        return _send(order_pk)
    except BrokerDown:
        return False


def _send(order_pk):
    """The same, but for BrokerDown: then the order says so, and is tried again later."""
    hold = _claim_ready(order_pk) or _take_over(order_pk)
    if hold is None:
        return False
    order = Order.objects.select_related("security").get(pk=order_pk)
    try:
        return _hand_over(hold, order)
    except NotNow as why:
        _try_later(hold, order, str(why))
        return False
    except BrokerDown as down:
        _try_later(hold, order, no_answer(order.broker, down))
        raise


# --- claims ---------------------------------------------------------------------------------------------------------


def _new_claim():
    return {"claim": uuid.uuid4(), "claim_expires": timezone.now() + CLAIM_LASTS}


@transaction.atomic
def _claim_ready(order_pk) -> Hold | None:
    """Claim an order that nobody has begun to send."""
    order = Order.objects.filter(pk=order_pk, state=OrderState.READY).select_related("ticket").first()
    if order is None or not _may_go(order):
        return None
    claim = _new_claim()
    ready = Order.objects.filter(pk=order_pk, quantity__gt=0)
    if not ready.move(OrderState.READY, OrderState.SENDING, trouble="", sent_at=timezone.now(), **claim):
        return None
    note(order_pk, OrderState.SENDING)
    return Hold(order_pk, claim["claim"], is_first=True)


def _may_go(order):
    """Whether it is confirmed and nothing holds it back; a buy released by its accounts' sells is cut to their cash."""
    if order.ticket.confirmed_at is None or not order.client_order_id:
        return False
    if session_end.over([(order, order.ticket.confirmed_at)]):
        _cancel_late(order)
        return False
    if not (order.ticket.sells_first and order.side == Side.BUY):
        return True
    Ticket.objects.select_for_update().get(pk=order.ticket_id)
    locked = Order.objects.select_for_update().filter(pk=order.pk, state=OrderState.READY).first()
    if locked is None or Order.objects.filter(sells_first.held_back(), pk=order.pk).exists():
        return False
    return sells_first.cut_to_cash(locked)


def _cancel_late(order):
    """What was confirmed for one session is not sent in another one, at prices that nobody has seen."""
    ended = {"ended_at": timezone.now(), "end_reason": TOO_LATE, "trouble": ""}
    if Order.objects.filter(pk=order.pk).move(OrderState.READY, OrderState.CANCELLED, **ended):
        note(order.pk, OrderState.CANCELLED, TOO_LATE)


def _take_over(order_pk) -> Hold | None:
    """Claim an order whose worker has gone, or whose broker did not answer the last time."""
    claim = _new_claim()
    left = Order.objects.filter(pk=order_pk, state=OrderState.SENDING, claim_expires__lte=timezone.now())
    return Hold(order_pk, claim["claim"], is_first=False) if left.update(**claim) else None


def _held(hold):
    """The order as long as this claim is valid, as a queryset of one or none."""
    return Order.objects.filter(pk=hold.order_pk, claim=hold.token, state=OrderState.SENDING)


# --- the broker's word ----------------------------------------------------------------------------------------------


def _hand_over(hold, order):
    adapter = at(order.broker)
    if not hold.is_first:
        known = adapter.lookup([order.client_order_id]).get(order.client_order_id)
        if known is not None:
            return _store(hold, known, "the broker had it already")
        if session_end.over([(order, order.sent_at)]):
            return _store(hold, Report(order.client_order_id, OrderState.REJECTED, words=TOO_LATE))
        if not _renew(hold):
            return False
    instruction = _instruction(order)
    try:
        return _store(hold, adapter.submit(instruction))
    except RefusedByBroker as refusal:
        return _store(hold, Report(instruction.client_order_id, OrderState.REJECTED, words=str(refusal)))


@transaction.atomic
def _renew(hold):
    """Hold on for the time of another attempt; False where somebody else has taken over."""
    until = {"sent_at": timezone.now(), "claim_expires": timezone.now() + CLAIM_LASTS}
    if not _held(hold).update(**until):
        return False
    note(hold.order_pk, OrderState.SENDING, "sent again: the broker does not know it")
    return True


@transaction.atomic
def _store(hold, report, words=""):
    """Store what the broker said, if this worker still holds the order; whether it did.

    What has ended at the broker already is working here first: its fills are asked for before its end counts.
    """
    changes = {"trouble": "", "asked_at": timezone.now(), **NO_CLAIM}
    target = OrderState.WORKING
    if report.state == OrderState.REJECTED:
        target, words = OrderState.REJECTED, report.words or "rejected by the broker"
        changes |= {"end_reason": fit(words, REASON), "ended_at": timezone.now()}
    reference = fit(report.reference, 80)
    if not _held(hold).move(OrderState.SENDING, target, broker_reference=reference, **changes):
        log.warning("order %s was taken over before its broker answered", hold.order_pk)
        return False
    note(hold.order_pk, target, words or report.words)
    return True


@transaction.atomic
def _try_later(hold, order, why):
    """Say when it is tried again; in the log only when it is for another reason than the last time."""
    again = timezone.now() + BACK_OFF
    words = fit(f"{why}; it is tried again at {clock(again)}", TROUBLE)
    if _held(hold).update(trouble=words, claim_expires=again) and not order.trouble.startswith(why):
        note(hold.order_pk, OrderState.SENDING, words)


# --- what the broker is told ----------------------------------------------------------------------------------------


def _instruction(order) -> Instruction:
    """The order as it stands in the database. Raises NotNow."""
    newest = accounts_selectors.last_prices([order.security_id]).get(order.security_id)
    starts_at, ends_at = _window(order)
    return Instruction(
        client_order_id=order.client_order_id,
        ticket_id=order.ticket_id,
        custodian_id=order.custodian_id,
        symbol=order.security.symbol,
        quantity_step=order.security.quantity_step,
        side=Side(order.side),
        quantity=order.quantity,
        price=newest.price if newest else order.price,
        algorithm=Algorithm(order.algorithm),
        limit_price=order.limit_price,
        starts_at=starts_at,
        ends_at=ends_at,
        participation=order.participation,
        extended_hours=order.extended_hours,
        portions=_portions(order),
    )


def _window(order) -> tuple[datetime | None, datetime | None]:
    """From when to when a TWAP or VWAP is worked off, in the session that it trades in."""
    if order.algorithm not in SLICED or order.starts_at is None or order.ends_at is None:
        return None, None
    market = hours.standing()
    if not market.known:
        raise NotNow("The market's hours are not known yet")
    return hours.moment(market.trade_day, order.starts_at), hours.moment(market.trade_day, order.ends_at)


def _portions(order) -> tuple[Portion, ...]:
    """What each account has in it, by account number; the sleeves of an account together."""
    parts = order.allocations.filter(quantity__gt=0).values_list("account__number", "quantity")
    whole: dict[str, Portion] = {}
    for number, quantity in parts.order_by("account__number"):
        before = whole[number].quantity if number in whole else 0
        whole[number] = Portion(number, before + quantity)
    return tuple(whole.values())
