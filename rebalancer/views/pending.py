"""The Pending Approval tab: its rows, those at work asked for again, and what a decision asks before it is taken."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponseBadRequest
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.cache import never_cache

from accounts.listing.layout import Layout
from accounts.listing.memory import Memory
from rebalancer import selectors
from rebalancer.filters import PendingFilters, batch_rows, pending_rows
from rebalancer.models import Batch
from rebalancer.states import BatchState
from rebalancer.tables import PendingTable

from .requests import totals
from .tabs import AREA, Tab, tab_context

SCREEN = "pending"
ASKED_AT_MOST = 200  # rows of one page


class PendingPage(Tab):
    screen = SCREEN
    table_class = PendingTable
    filterset_class = PendingFilters
    template_name = "rebalancer/pending.html"
    empty_template = "rebalancer/_pending_empty.html"

    def base(self):
        return pending_rows(self.request.user)


@login_required
@never_cache
def rows_again(request):
    """The rows of the requests that were at work when they were drawn, as they are now; `at` names them."""
    asked = request.GET.getlist("at")
    if len(asked) > ASKED_AT_MOST or not all(one.isascii() and one.isdigit() and len(one) < 19 for one in asked):
        return HttpResponseBadRequest("This request was not understood.", content_type="text/plain; charset=utf-8")
    kept = Memory(request.session, AREA).recall("layouts", SCREEN)
    layout = Layout.of(PendingTable, None if kept is None else kept.get("columns"))
    found = batch_rows(request.user, selectors.batches(request.user)).filter(pk__in=asked)
    rows = found.values(*PendingTable.fields_of(layout.shown))
    context = {"table": PendingTable.laid_out(rows, layout, ""), **tab_context(request.user, SCREEN)}
    return render(request, "rebalancer/_rows_again.html", context)


@login_required
@never_cache
def confirm(request, pk, decision):
    """What approving or cancelling this request means, in numbers, before it is done: a dialog, or a page."""
    batch = get_object_or_404(Batch.objects.visible_to(request.user).select_related("opened_by"), pk=pk)
    why_not = selectors.why_not_approve if decision == "approve" else selectors.why_not_decide
    context = {
        "batch": batch,
        "decision": decision,
        "totals": totals(batch, request.user),
        "stake": selectors.stake(batch),
        "why_not": why_not(batch, request.user) or _why_not_now(batch),
        "back": _back(request, batch),
    }
    template = "rebalancer/_confirm.html" if request.htmx else "rebalancer/confirm.html"
    return render(request, template, context | tab_context(request.user, SCREEN))


def _back(request, batch):
    """Where one goes on: on the request's own page when asked from there, which follows the staging of its orders."""
    if request.GET.get("to") == "request":
        return reverse("rebalancer:request", args=[batch.pk])
    return reverse("rebalancer:pending")


def _why_not_now(batch):
    state = BatchState(batch.state)
    if state == BatchState.PENDING_APPROVAL:
        return ""
    return f"{batch} is no longer pending approval: it is {state.label.lower()}."
