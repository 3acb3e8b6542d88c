"""What people of Operations do with orders: cancel them, and have the broker asked about them again."""

from functools import wraps

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse

from accounts.listing import answers
from accounts.listing.figures import plural
from accounts.listing.filters import FilterRefused
from accounts.listing.selection import Selection, SelectionChanged, SelectionError
from accounts.services import audit
from accounts.services.refusals import Refused
from accounts.tasks import enqueue
from trading import tasks
from trading.filters import OrderFilters, order_rows
from trading.models import Order
from trading.services import cancelling, watching
from trading.states import OrderState

from .orders import MAY_NOT_ASK, MAY_NOT_CANCEL

AT_ONCE = 200  # orders that are cancelled by one button: each is a step of its own, and somebody waits for the answer
NAMED = 5


def command(verb, why_not):
    """A view of one command on an order that the person sees: `act` does it and returns what was done, in words.

    What the person may not do answers 403 with an audit line; any other refusal stands in words on the order's page.
    """

    def decorate(act):
        @answers.posted
        @wraps(act)
        def view(request, pk):
            order = get_object_or_404(Order.objects.visible_to(request.user), pk=pk)
            back = reverse("trading:order", args=[order.pk])
            if not request.user.has_perm("trading.change_order"):
                return forbidden(request, verb, why_not, back, order)
            try:
                messages.success(request, act(request, order))
            except PermissionDenied as refusal:
                return answers.refused(request, refusal, back, status=403)
            except Refused as refusal:
                messages.error(request, refusal)
            return HttpResponseRedirect(back)

        return view

    return decorate


def forbidden(request, verb, why, back, order=None):
    audit.record(request.user, "refused", order, command=verb, why=why)
    return answers.refused(request, f"{why} Nothing was done.", back, status=403)


@command("order.cancelled", MAY_NOT_CANCEL)
def cancel(request, order):
    """Cancel what is not filled; a worker asks the broker."""
    return _cancelled(order, request.user)


def _cancelled(order, by):
    if cancelling.cancel(order, by=by) == OrderState.CANCELLED:
        return f"{order} is cancelled; it had not been sent."
    enqueue(tasks.ask, order.pk)
    return (
        f"The broker is asked to take back what is left of {str(order).lower()}. What is filled until then is booked."
    )


@command("order.asked", MAY_NOT_ASK)
def ask(request, order):
    """Have a worker ask the broker what it knows of the order."""
    watching.ask_again(order, by=request.user)
    enqueue(tasks.ask, order.pk)
    return f"The broker is asked about {str(order).lower()}; what it says stands here in a moment."


@answers.posted
def cancel_selected(request):
    """Cancel the selected orders, each for itself; those that cannot be are named with the reason."""
    back = reverse("trading:orders")
    if not request.user.has_perm("trading.change_order"):
        return forbidden(request, "order.cancelled", MAY_NOT_CANCEL, back)
    try:
        selection = Selection.parse(request.POST)
        chosen = _chosen(selection, request.user)
        selection.check(len(chosen))
    except SelectionChanged as changed:
        label = f"Cancel {plural(changed.found, 'order')}"
        return answers.ask_again(request, selection, changed.found, back=back, label=label)
    except (SelectionError, FilterRefused) as error:
        audit.record(request.user, "refused", command="order.cancelled", why=str(error))
        return answers.refused(request, error, back)
    _cancel_each(request, chosen)
    return answers.done(request, back)


def _chosen(selection, user):
    """The selected orders, at most AT_ONCE of them; of "all that match" those that can be cancelled."""
    selection.require_seen(Order.objects.visible_to(user))
    seen = order_rows(user)
    able = seen if selection.query is None else seen.filter(OrderFilters.selectable)
    pks = list(selection.rows(able, OrderFilters).order_by("pk").values_list("pk", flat=True))
    if len(pks) > AT_ONCE:
        raise SelectionError(
            f"{plural(len(pks), 'order')} are selected, and at most {AT_ONCE} are cancelled at once. Nothing was done; "
            "select fewer."
        )
    return list(Order.objects.filter(pk__in=pks).order_by("pk"))


def _cancel_each(request, orders):
    refused = []
    for order in orders:
        try:
            _cancelled(order, request.user)
        except Refused as refusal:
            refused.append(f"{order}: {refusal}")
    if done := len(orders) - len(refused):
        messages.success(
            request,
            f"{plural(done, 'order')} cancelled or asked back from the broker. What is filled until then stays.",
        )
    if refused:
        more = len(refused) - NAMED
        also = f" And {more} more." if more > 0 else ""
        messages.error(request, f"Not cancelled: {' '.join(refused[:NAMED])}{also}")
