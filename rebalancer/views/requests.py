"""A request (View Details): its figures, its accounts, and how far it is while somebody works on it."""

from collections import Counter
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.contrib.postgres.aggregates import StringAgg
from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.functional import cached_property
from django.views.decorators.cache import never_cache
from django_htmx.http import HttpResponseClientRefresh

from accounts.listing.address import term
from accounts.listing.pages import FRAGMENT, ListPage
from accounts.listing.selection import Selection
from rebalancer import selectors
from rebalancer.filters import RequestFilters, entry_rows
from rebalancer.models import Batch, BatchPrice
from rebalancer.states import AT_WORK, ENDED_BATCHES, OPEN_ENTRIES, BatchState, EntryState, Logic
from rebalancer.tables import RESULT_BADGES, RequestTable
from trading.filters import order_rows
from trading.models import Order
from trading.services.confirming import OPERATIONS_TRANSMITS
from trading.states import OrderState
from trading.tables import STATE_BADGES

from .tabs import AREA, tab_context

BEING_PROPOSED = (BatchState.NEW, BatchState.PROPOSING)
SWITCHED = (Logic.BEST_FIT, Logic.MIN_TRANSACTION)
CHANGED_NAMED = 10  # accounts that the banner names; a filter shows all
COMMANDS = ("approve", "cancel", "remove", "switch_logic", "repropose", "reprice")


def requests_seen(user) -> QuerySet[Batch]:
    """The requests this person sees, with what decides who may decide and where their prices come from."""
    prices = BatchPrice.objects.filter(batch=OuterRef("pk"))
    sources = prices.order_by().values("batch").annotate(names=StringAgg("source", ", ", distinct=True))
    people = ("opened_by", "approved_by", "ended_by", "ticket__confirmed_by")
    seen = Batch.objects.visible_to(user).select_related(*people)
    orders = Order.objects.filter(ticket=OuterRef("ticket"))
    return selectors.with_standing(seen, user).annotate(
        oldest_price=Subquery(prices.order_by("as_of").values("as_of")[:1]),
        newest_price=Subquery(prices.order_by("-as_of").values("as_of")[:1]),
        price_sources=Subquery(sources.values("names")),
        has_orders=Exists(orders),
        has_staged_orders=Exists(orders.filter(state=OrderState.READY)),
    )


def memory_screen(pk):
    """Under which name the filters of a request are remembered: each has its own."""
    return f"request:{pk}"


def frame(batch, user):
    """What every page of a request needs: the tabs, its state, and why decisions cannot be taken now."""
    ended = batch.state in ENDED_BATCHES
    standing = {name: getattr(batch, name) for name in selectors.STANDING}
    busy = why_not_now(batch)
    return tab_context(user, "history" if ended else "pending") | {
        "batch": batch,
        "ended": ended,
        "at_work": batch.state in AT_WORK,
        "being_proposed": batch.state in BEING_PROPOSED,
        "state_badge": RESULT_BADGES.get(batch.state, "info"),
        "trouble": "" if ended else selectors.trouble_words(batch.trouble, standing["others_count"]),
        "ended_how": Batch.EndedBy(batch.ended_how).label if batch.ended_how else "",
        "why_not_approve": busy or selectors.approving_words(standing),
        "why_not_decide": busy or selectors.deciding_words(standing),
        "way": way_on(batch, user),
        "why_not_remove": busy or ("" if standing["may_decide"] else "Your role does not decide about requests."),
    }


def way_on(batch, user):
    """The page on which the orders that approval staged go on: to be transmitted by Operations, or followed."""
    ticket = batch.ticket
    if ticket is None or not batch.has_orders:
        return None
    if ticket.confirmed_at:
        label = "Orders" if batch.settled_at else "Follow orders"
        return {"href": reverse("trading:finish", args=[ticket.pk]), "label": label, "first": not batch.settled_at}
    way = {"href": reverse("trading:ticket", args=[ticket.pk]), "label": "Order ticket", "first": False}
    if not batch.has_staged_orders:
        return way
    if user.has_perm("trading.change_order"):
        return way | {"label": "Open order ticket", "first": True}
    return way | {"note": OPERATIONS_TRANSMITS}


def why_not_now(batch):
    """Why nobody can decide about the request at this moment; empty when it is pending approval."""
    if batch.state in BEING_PROPOSED:
        return "Its trades are being proposed."
    if batch.state == BatchState.APPROVING:
        return "It is approved; its orders are being staged."
    return "It has ended." if batch.state in ENDED_BATCHES else ""


def totals(batch, user):
    """The summary of the accounts that this person sees, and how many of them are open."""
    found = selectors.summary(selectors.entries(batch, user))
    return found | {"open": sum(found[f"{state.value}_count"] for state in OPEN_ENTRIES)}


def no_file_yet(batch, what):
    words = f"{batch} is being proposed; export {what} when that is done."
    return HttpResponse(words, content_type="text/plain; charset=utf-8", status=409)


class RequestPage(ListPage):
    area = AREA
    table_class = RequestTable
    filterset_class = RequestFilters
    template_name = "rebalancer/request.html"
    actions_template = "rebalancer/_request_selected.html"

    @cached_property
    def batch(self):
        return get_object_or_404(requests_seen(self.request.user), pk=self.kwargs["pk"])

    @cached_property
    def framed(self):
        return frame(self.batch, self.request.user)

    @property
    def screen(self):
        """Pending and completed requests have a column layout each."""
        return "completed_request" if self.framed["ended"] else "pending_request"

    @property
    def selectable(self):
        return not self.framed["why_not_remove"]

    def memory_screen(self):
        return memory_screen(self.kwargs["pk"])

    def base(self):
        return entry_rows(self.batch, self.request.user)

    def list_context(self, unfiltered):
        return self.framed

    def context(self):
        found = totals(self.batch, self.request.user)
        return {"totals": found, **work(found), **self.changed(found), **self.orders(), **self.commands(found)}

    def changed(self, found):
        """The first of the accounts that are no longer as proposed, and what the buttons beside them send."""
        count = found["changed_count"]
        if not count or self.framed["ended"]:
            return {"changed": []}
        rows = selectors.entries(self.batch, self.request.user).filter(selectors.CHANGED)
        query = urlencode({"f": term("changed", "any", "yes")})
        return {
            "changed": list(rows.only("pk", "account_number", "account_name", "changed")[:CHANGED_NAMED]),
            "changed_more": max(count - CHANGED_NAMED, 0),
            "changed_query": query,
            "changed_fields": Selection(frozenset(), query, count).fields().items(),
        }

    def orders(self):
        """The progress of the block orders that approval staged."""
        if not self.batch.ticket_id:
            return {"orders": []}
        staged = order_rows(self.request.user).filter(ticket=self.batch.ticket_id).select_related("security")
        staged = list(staged.order_by("security__symbol", "side", "pk"))
        for one in staged:
            one.badge = STATE_BADGES[OrderState(one.state)]
        return {
            "orders": staged,
            "order_states": Counter(one.get_state_display() for one in staged).items(),
        }

    def commands(self, found):
        """What the dialogs send: approving says what was seen, switching the other logic."""
        if self.framed["ended"]:
            return {"logics": []}
        logics = [(one, one.label, one == self.batch.logic) for one in SWITCHED] if self.batch.logic in SWITCHED else []
        seen = {
            "version": self.batch.proposal_version,
            "accounts": found["open"],
            "net_dollars": f"{found['net_dollars']:.2f}",
        }
        return {
            "logics": logics,
            "seen": seen.items(),
            "switched": [("logic", one.value) for one, _, here in logics if not here],
            **{f"{name}_url": reverse(f"rebalancer:{name}", args=[self.batch.pk]) for name in COMMANDS},
        }

    def page(self):
        """While the trades are being proposed there is nothing to list yet; the page says how far they are."""
        if self.framed["being_proposed"] and not self.wants(FRAGMENT):
            return render(self.request, self.template_name, self.framed | self.context())
        return super().page()

    def export(self):
        return no_file_yet(self.batch, "it") if self.framed["being_proposed"] else super().export()

    def file_name(self):
        return f"request-{self.batch.pk}"


@login_required
@never_cache
def status(request, pk):
    """How far the work on a request is; when it is done, the page is shown anew and nothing is asked any more."""
    batch = get_object_or_404(Batch.objects.visible_to(request.user), pk=pk)
    if batch.state not in AT_WORK:
        return HttpResponseClientRefresh()
    context = {"batch": batch, "being_proposed": batch.state in BEING_PROPOSED}
    return render(request, "rebalancer/_request_work.html", context | work(totals(batch, request.user)))


def work(found):
    """How far proposing is, counted in the accounts that this person sees; removed ones are out of it."""
    waiting = found[f"{EntryState.WAITING.value}_count"]
    total = found["accounts"] - found[f"{EntryState.REMOVED.value}_count"]
    return {"done": total - waiting, "total": total}
