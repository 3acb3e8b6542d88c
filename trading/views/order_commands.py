"""What people of Operations do with orders: cancel them, have the broker asked about them again, end them by hand."""

from functools import wraps

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.functional import cached_property

from accounts.listing import answers
from accounts.listing.figures import plural, quantity_text
from accounts.listing.filters import FilterRefused
from accounts.listing.selection import Selection, SelectionChanged, SelectionError
from accounts.listing.word import WordPage
from accounts.services import audit
from accounts.services.refusals import Refused
from accounts.services.said import shown
from accounts.tasks import enqueue
from trading import tasks
from trading.filters import OrderFilters, order_rows
from trading.models import Order
from trading.services import cancelling, ending, watching
from trading.states import OrderState
from trading.words import broker_words

from .orders import MAY_NOT_ASK, MAY_NOT_CANCEL, left, orders_seen, why_not_end
from .tabs import SECTION

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


# --- ending by hand -------------------------------------------------------------------------------------------


class EndByHand(WordPage):
    """What ending an order by hand does, in numbers of the whole block, and the word that it takes."""

    template_name = "trading/order_end.html"
    refusals = (Refused,)

    @cached_property
    def thing(self):
        return get_object_or_404(orders_seen(self.request.user), pk=self.kwargs["pk"])

    @property
    def back(self):
        return reverse("trading:order", args=[self.thing.pk])

    def why_not(self):
        return why_not_end(self.request.user) or ending.why_not_end(self.thing)

    def get(self, request, **kwargs):
        """The block's numbers are not for whoever sees a part of it only."""
        assert self.thing is not None
        if why := why_not_end(request.user):
            return answers.refused(request, why, self.back, status=403)
        return super().get(request, **kwargs)

    def decide(self, data):
        ending.end_by_hand(
            self.thing, by=self.request.user, filled=shown(data.get("filled", "")), words=data.get("words", "")
        )
        enqueue(tasks.ask, self.thing.pk)
        return f"{self.thing} is ended. {booked(self.thing)} What is reported after that is questioned."

    def context(self):
        return {
            "section": SECTION,
            "tab": "orders",
            "consequence": booked(self.thing),
            "left": left(self.thing),
            "broker": broker_words(self.thing.broker, self.thing.custodian),
            "longest": ending.WORDS_LENGTH,
            "not_known": self.thing.trouble == watching.NOT_KNOWN,
        }


def booked(order) -> str:
    """What of an order is booked when it is ended now."""
    accounts = plural(order.accounts_count, "account")
    if not order.filled_quantity:
        return f"Nothing of it is filled, so nothing is booked in its {accounts}."
    filled = f"{quantity_text(order.filled_quantity)} of {quantity_text(order.quantity)} shares"
    return f"What is filled is booked: {filled} in {accounts}."
