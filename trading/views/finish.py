"""Finish: the page that follows a ticket's orders until they are done, and may be closed at any time."""

from collections import Counter
from decimal import Decimal

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Count, F, OuterRef, Q, Subquery
from django.http import HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django_htmx.http import HttpResponseClientRefresh

from accounts.listing import answers
from accounts.listing.figures import plural
from accounts.services.refusals import Refused
from accounts.tasks import enqueue
from trading import tasks
from trading.filters import CANCELLABLE
from trading.models import Allocation, FlatMove, Order, OrderEvent, Ticket
from trading.services import cancelling, market
from trading.services.confirming import what_happened
from trading.services.files import ticket_files
from trading.states import OrderState, Side
from trading.tables import STATE_BADGES
from trading.words import broker_words

from .order_commands import forbidden
from .orders import MAY_NOT_CANCEL, is_live, orders_seen, why_not_ask, why_not_cancel
from .tabs import SECTION

NAMED = 5
IN_HOUSE_FIRST = F("custodian__name").asc(nulls_first=True)


@login_required
@never_cache
def finish(request, pk):
    """The orders of a confirmed ticket; one that is still staged is edited."""
    ticket = ticket_seen(request.user, pk)
    if not ticket.confirmed_at and not what_happened(ticket):
        return redirect("trading:ticket", pk=ticket.pk)
    context = followed(ticket, request.user) | {"section": SECTION, "tab": "orders", "step": 4}
    return render(request, "trading/finish.html", context | {"files": ticket_files(request.user, ticket)})


@login_required
@never_cache
def status(request, pk):
    """What moves of it; when nothing more is to come, the page is shown anew and nothing is asked any more."""
    ticket = ticket_seen(request.user, pk)
    context = followed(ticket, request.user)
    if not context["live"]:
        return HttpResponseClientRefresh()
    return render(request, "trading/_finish_live.html", context | {"again": True})


def ticket_seen(user, pk) -> Ticket:
    return get_object_or_404(Ticket.objects.visible_to(user).select_related("confirmed_by"), pk=pk)


# --- what is shown --------------------------------------------------------------------------------------------------


def followed(ticket, user) -> dict:
    """The orders of the ticket with how far they are, and their sums; of the accounts that this person sees."""
    found = orders_seen(user).filter(ticket=ticket)
    orders = list(found.annotate(**_last_event()).order_by("security__symbol", "side", IN_HOUSE_FIRST, "pk"))
    moved = _moves(ticket, user)
    live = bool(ticket.confirmed_at) and (any(map(is_live, orders)) or bool(moved["open"]))
    return {
        "ticket": ticket,
        "rows": [_row(order, user) for order in orders],
        "brokers": sorted({broker_words(order.broker, order.custodian) for order in orders}),
        "states": _states(orders),
        "totals": _totals(orders),
        "moves": moved,
        "live": live,
        "market": market.describe() if live and any(order.broker == "paper" for order in orders) else "",
        "outcome": "" if live else _outcome(ticket, orders, user),
        "cancellable": [order for order in orders if not why_not_cancel(order, user)],
        "may_cancel": user.has_perm("trading.change_order"),
    }


def _moves(ticket, user):
    """How many flat moves are booked, and still to be; those dropped with an account count for nothing."""
    theirs = Q() if user.sees_every_account else Q(account__advisor=user)
    kinds = {"open": Q(is_open=True), "booked": Q(booked_at__isnull=False)}
    counts = {name: Count("pk", filter=kind) for name, kind in kinds.items()}
    found = FlatMove.objects.filter(theirs, ticket=ticket).aggregate(**counts)
    return found | {"all": found["open"] + found["booked"]}


def _last_event():
    last = OrderEvent.objects.filter(order=OuterRef("pk")).order_by("-at", "-pk")
    return {"told_at": Subquery(last.values("at")[:1]), "told": Subquery(last.values("words")[:1])}


def _row(order, user):
    state = OrderState(order.state)
    return {
        "order": order,
        "badge": STATE_BADGES[state],
        "state": "To be sent" if state == OrderState.READY else state.label,
        "percent": _percent(order),
        "words": order.trouble or order.end_reason or _told(order),
        "may_ask": bool(order.trouble) and not why_not_ask(order, user),
        "booked": bool(order.allocated_at and order.filled_quantity),
    }


def _told(order):
    """The last step of its log; that of a block with others' accounts has figures that are not for this person."""
    if order.state == OrderState.READY and order.ticket.sells_first and order.side == Side.BUY:
        return "waits for its accounts' sells"
    if order.state == OrderState.WORKING and order.broker == "file":
        return "waits for the custodian's file of fills"
    return "" if order.others else order.told


def _percent(order):
    """How much of its shares is filled, 0 to 100; a part is never shown as all."""
    if not order.quantity:
        return 0
    share = order.filled_quantity / order.quantity * 100
    return 100 if share >= 100 else min(int(share), 99)


def _states(orders):
    """(label, badge, count) of each state that there is, in the order of an order's life."""
    counts = Counter(order.state for order in orders)
    return [(_label(state), STATE_BADGES[state], counts[state]) for state in OrderState if counts[state]]


def _label(state):
    return "To be sent" if state == OrderState.READY else state.label


def _totals(orders):
    money = {side: sum((order.money or 0 for order in orders if order.side == side), Decimal(0)) for side in Side}
    return {
        "buys": money[Side.BUY],
        "sells": money[Side.SELL],
        "net_cash": money[Side.SELL] - money[Side.BUY],
        "orders": len(orders),
        "ended": sum(1 for order in orders if not is_live(order)),
    }


def _outcome(ticket, orders, user) -> str:
    """What became of all of it, in words."""
    if not ticket.confirmed_at:
        return what_happened(ticket)
    parts = Allocation.objects.visible_to(user).filter(order__ticket=ticket, filled_quantity__gt=0)
    accounts = plural(parts.aggregate(n=Count("account", distinct=True))["n"], "account")
    sent = [order for order in orders if order.quantity]
    filled = [order for order in sent if order.state == OrderState.FILLED]
    brought = [order for order in sent if order.filled_quantity]
    if sent and len(filled) == len(sent):
        every = "The order is filled and booked" if len(sent) == 1 else f"All {len(sent)} orders are filled and booked"
        return f"{every} in {accounts}."
    if not brought:
        return "Every order has ended, and nothing was filled. Nothing was booked."
    in_part = len(brought) - len(filled)
    part = f", {in_part} in part" if in_part else ""
    ended = plural(len(sent), "order has ended", "orders have ended")
    return f"{ended}: {len(filled)} filled{part}, {len(sent) - len(brought)} without a fill. Booked in {accounts}."


# --- commands -------------------------------------------------------------------------------------------------------


@answers.posted
def cancel_all(request, pk):
    """Cancel every order of the ticket that can be, each for itself; those that can't are named with the reason."""
    ticket, back = ticket_seen(request.user, pk), reverse("trading:finish", args=[pk])
    if not request.user.has_perm("trading.change_order"):
        return forbidden(request, "order.cancelled", MAY_NOT_CANCEL, back)
    done, refused = 0, []
    for order in Order.objects.filter(CANCELLABLE, ticket=ticket).order_by("pk"):
        try:
            cancelling.cancel(order, by=request.user)
            enqueue(tasks.ask, order.pk)
            done += 1
        except Refused as refusal:
            refused.append(f"{order}: {refusal}")
    if done:
        said = f"{plural(done, 'order')} cancelled or asked back from the broker. What is filled until then is booked."
        messages.success(request, said)
    if refused:
        messages.error(request, f"Not cancelled: {' '.join(refused[:NAMED])}")
    if not done and not refused:
        messages.info(request, "There is nothing to cancel any more.")
    return HttpResponseRedirect(back)
