"""Confirm: what the preview showed is compared with what is there, and the orders of a ticket are let go.

Nothing is sent here. A worker finds the ready orders of a confirmed ticket, each with the client order id under which
the broker will know it, stored before anything leaves.
"""

from datetime import datetime
from uuid import uuid4
from zoneinfo import ZoneInfo

from django.core.exceptions import PermissionDenied
from django.utils import timezone

from accounts.listing.figures import clock_text
from accounts.models import Firm
from accounts.services import audit
from accounts.services.refusals import Refused, command
from trading.models import Allocation, FlatMove, Order, OrderEvent, Ticket
from trading.preview import Preview, differences, preview
from trading.states import OrderState

VERB = "ticket.confirmed"
LEFT_OUT = "left out"
NAMED_AT_MOST = 5
OPERATIONS_TRANSMITS = "Operations transmits: your role looks on."
FOUR_EYES = "You have edited these orders. Under the four eyes rule somebody else confirms them."


class MayNotConfirm(Refused, PermissionDenied):
    """This person may not confirm the ticket (403)."""


class TooLate(Refused):
    """Somebody or something else came first."""


class NoLongerSo(Refused):
    """What the preview showed is no longer so, or something stands in the way; the preview says what is there now."""


def why_not(user, ticket: Ticket) -> str:
    """Why this person may not confirm the ticket, in words; empty when they may."""
    if not user.has_perm("trading.change_order"):
        return OPERATIONS_TRANSMITS
    if Firm.objects.filter(four_eyes=True).exists() and ticket.edited_by.filter(pk=user.pk).exists():
        return FOUR_EYES
    return ""


def what_happened(ticket: Ticket) -> str:
    """Why a ticket cannot be confirmed any more, in words; empty while it can."""
    if ticket.confirmed_at:
        who = f" by {ticket.confirmed_by}" if ticket.confirmed_by else ""
        return f"{ticket}: its orders were confirmed{who}, {_when(ticket.confirmed_at)}."
    if Order.objects.filter(ticket=ticket, state=OrderState.READY).exists():
        return ""
    ended = Order.objects.filter(ticket=ticket).order_by("-ended_at").first()
    if ended is None:
        return f"{ticket}: no order was needed, so there is nothing to send."
    how = f" ({ended.end_reason})" if ended.end_reason else ""
    at = f", {_when(ended.ended_at)}" if ended.ended_at else ""
    return f"{ticket}: its orders were {ended.get_state_display().lower()}{how}{at}."


def _when(at):
    """In the firm's zone, also where no request has set it."""
    with timezone.override(ZoneInfo(Firm.current().time_zone)):
        return clock_text(at)


def lock(ticket: Ticket, *, by) -> Ticket:
    """The ticket as it is now, its row held until the transaction ends; MayNotConfirm or TooLate where it is not for
    this person, or not any more, to confirm. The end of the day holds the same row."""
    ticket = Ticket.objects.select_for_update().get(pk=ticket.pk)  # who confirmed it is read when it is held
    if why := why_not(by, ticket):
        raise MayNotConfirm(why)
    if happened := what_happened(ticket):
        raise TooLate(f"{happened} Nothing was done.")
    return ticket


def confirm(
    ticket: Ticket, *, by, version: int, digest: str, still: dict[str, str] | None = None, now: datetime | None = None
) -> Ticket:
    """Let all staged orders of a ticket go, as the person saw them; a worker sends them.

    `version` and `digest` are what the preview showed, `still` its lines, so that what differs can be named. Raises
    MayNotConfirm, TooLate, or NoLongerSo where something differs or stands in the way; then nothing is done.
    """
    with command(by, VERB, ticket):
        ticket = lock(ticket, by=by)
        found = preview(by, ticket, now)
        _require_seen(found, version, digest, still or {})
        _require_possible(found)
        ticket.confirmed_at, ticket.confirmed_by = timezone.now(), by
        ticket.save(update_fields=["confirmed_at", "confirmed_by"])
        _leave_out(ticket, by)
        sent = _let_go(ticket, by)
        audit.record(by, VERB, ticket, version=version, orders=sent, **_figures(found))
    return ticket


def _require_seen(found: Preview, version, digest, still):
    if found.digest == digest:
        return
    differ = differences(still, found.shown)
    edited = "The orders were edited meanwhile. " if version != found.ticket.version else ""
    named = "; ".join(one.rstrip(".") for one in differ[:NAMED_AT_MOST])
    more = f"; and {len(differ) - NAMED_AT_MOST} more" if len(differ) > NAMED_AT_MOST else ""
    what = f"{named}{more}. " if differ else ""
    raise NoLongerSo(f"What the preview showed is no longer so. {edited}{what}Nothing was sent; look at it again.")


def _require_possible(found: Preview):
    if found.refusals:
        first = " ".join(line.words for line in found.refusals[:NAMED_AT_MOST])
        raise NoLongerSo(f"The orders cannot be sent as they are. {first} Nothing was sent.")


def _figures(found):
    kept = ("buys", "sells", "net_cash")
    return {name: str(found.totals[name]) for name in kept} | {"accounts": found.totals["accounts"]}


# --- letting go -----------------------------------------------------------------------------------------------------


def _leave_out(ticket, by):
    """End the orders of which nothing is left, close the parts that are left out, and drop the flat moves of accounts
    that are left out of all orders."""
    moment = timezone.now()
    empty = list(_held(ticket).filter(quantity=0))
    ended = {"end_reason": LEFT_OUT, "ended_at": moment, "allocated_at": moment}
    Order.objects.filter(pk__in=[one.pk for one in empty]).move(OrderState.READY, OrderState.CANCELLED, **ended)
    _tell(empty, by, OrderState.CANCELLED, LEFT_OUT)
    parts = Allocation.objects.filter(order__ticket=ticket, is_open=True)
    out = set(parts.filter(quantity=0).values_list("account", flat=True))
    parts.filter(quantity=0).update(is_open=False)
    out -= set(parts.filter(account__in=out).values_list("account", flat=True))
    FlatMove.objects.filter(ticket=ticket, is_open=True, account__in=out).update(is_open=False)


def _let_go(ticket, by):
    orders = list(_held(ticket))
    for order in orders:
        order.client_order_id = f"RB{order.pk}-{uuid4().hex[:8]}"
    Order.objects.bulk_update(orders, ["client_order_id"])
    _tell(orders, by, OrderState.READY, "confirmed")
    return len(orders)


def _held(ticket):
    """Its ready orders, held in the order of ids."""
    return Order.objects.select_for_update(of=("self",)).filter(ticket=ticket, state=OrderState.READY).order_by("pk")


def _tell(orders, by, state, words):
    OrderEvent.objects.bulk_create([OrderEvent(order=order, by=by, state=state, words=words) for order in orders])
