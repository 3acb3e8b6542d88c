"""What people do with a request: approve, cancel, remove accounts, propose anew. A refusal is answered in words."""

from functools import wraps

from django.contrib import messages
from django.http import HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from accounts.listing import answers
from accounts.listing.figures import dollars_text, plural
from accounts.listing.filters import FilterRefused
from accounts.listing.selection import Selection, SelectionError
from accounts.services import audit
from rebalancer import selectors, tasks
from rebalancer.filters import RequestFilters, entry_rows
from rebalancer.forms import LogicForm, SeenForm
from rebalancer.models import Batch
from rebalancer.services import batches
from rebalancer.services.refusals import listed
from rebalancer.states import BatchState, Logic

# What the button says that goes on with the number of accounts there are now.
AGAIN = {"batch.accounts_removed": "Remove {}", "batch.reproposed": "Propose {} anew"}
NOT_UNDERSTOOD = (FilterRefused, SelectionError)


def command(verb):
    """A view of one command on a request that the person sees: `act` does it and returns what was done, in words.

    What was sent and cannot be understood answers 400, what the person may not do 403, both on a page with the way
    back and an audit line; any other refusal stands in words on the page that they came from, as it is by then.
    """

    def decorate(act):
        @answers.posted
        @wraps(act)
        def view(request, pk):
            batch = get_object_or_404(Batch.objects.visible_to(request.user), pk=pk)
            back = _back(request, batch)
            try:
                messages.success(request, act(request, batch))
                return answers.done(request, back)
            except NOT_UNDERSTOOD as error:
                audit.record(request.user, "refused", batch, command=verb, why=str(error))
                return answers.refused(request, error, back)
            except batches.SelectionChanged as changed:
                label = AGAIN[verb].format(plural(changed.found, "account"))
                selection = Selection.parse(request.POST)
                return answers.ask_again(request, selection, changed.found, back=back, label=label)
            except batches.NotAllowed as refusal:
                return answers.refused(request, refusal, back, status=403)
            except batches.BookChanged as changed:
                messages.error(request, f"Nothing was approved: {changed.summary}")
                back = reverse("rebalancer:request", args=[batch.pk])
            except batches.Refused as refusal:
                messages.error(request, refusal)
            return HttpResponseRedirect(back)

        return view

    return decorate


def _back(request, batch):
    """Where the person came from, if they said so and it is a page of ours; else the request."""
    wanted = request.POST.get("next", "")
    ours = wanted.startswith("/") and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)
    return wanted if ours else reverse("rebalancer:request", args=[batch.pk])


def _understood(form):
    """The form's values; raises SelectionError in words when something is missing or damaged."""
    if not form.is_valid():
        raise SelectionError("What you saw did not arrive whole, so nothing was done. Reload the page and try again.")
    return form.cleaned_data


@command("batch.approved")
def approve(request, batch):
    """Approve all open accounts, as the page showed them."""
    seen = _understood(SeenForm(request.POST))
    batch = batches.approve(batch, by=request.user, **seen)
    tasks.enqueue(tasks.finish_approval, batch.pk)
    return (
        f"{batch} is approved for {plural(seen['accounts'], 'account')}, net {dollars_text(seen['net_dollars'])}. "
        "Its orders are being staged; nothing is transmitted before they are confirmed."
    )


@command("batch.cancelled")
def cancel(request, batch):
    """Cancel it with all its open accounts."""
    stake = selectors.stake(batch)
    batch = batches.cancel(batch, by=request.user)
    return f"{batch} is cancelled. {plural(stake.accounts, 'account')} back in the queue; no order was placed."


@command("batch.logic_switched")
def switch_logic(request, batch):
    """Propose all open accounts with the other logic."""
    logic = Logic(_understood(LogicForm(request.POST))["logic"])
    if logic == batch.logic:
        raise batches.TooLate(f"{batch} is proposed with {logic.label} already.")
    batch = batches.switch_logic(batch, by=request.user, logic=logic)
    return _proposed_anew(batch, f"with {logic.label} at the same prices")


@command("batch.repriced")
def reprice(request, batch):
    """Propose all open accounts at new prices."""
    return _proposed_anew(batches.reprice(batch, by=request.user), "at the newest prices")


@command("batch.reproposed")
def repropose(request, batch):
    """Propose the accounts anew that were sent, or all open ones and the failed ones again where none were."""
    if "scope" not in request.POST:
        return _proposed_anew(batches.repropose(batch, by=request.user), "at the same prices")
    chosen, selection = _selected(request, batch)
    some = batches.repropose_some(batch, by=request.user, entries=chosen, shown=selection.expected)
    return _proposed_anew(some, "at the same prices; the others stay as proposed")


def _proposed_anew(batch, how):
    tasks.enqueue(tasks.propose_batch, batch.pk)
    are = "is" if batch.total == 1 else "are"
    return f"{plural(batch.total, 'account')} of {str(batch).lower()} {are} being proposed anew {how}."


def _selected(request, batch):
    """The entries that the person selected, and the selection; of "all that match" those that can be selected."""
    selection = Selection.parse(request.POST)
    seen = entry_rows(batch, request.user)
    selection.require_seen(seen)
    able = seen if selection.query is None else seen.filter(RequestFilters.selectable)
    return selection.rows(able, RequestFilters), selection


@command("batch.accounts_removed")
def remove(request, batch):
    """Take the selected accounts out; who was taken out or ended meanwhile is left out and named."""
    chosen, selection = _selected(request, batch)
    removed, left_out = batches.remove(batch, by=request.user, entries=chosen, shown=selection.expected)
    words = [f"{plural(removed, 'account')} removed from {str(batch).lower()}: not rebalanced, and back in the queue."]
    if left_out:
        words.append(f"Left out: {listed(left_out)}")
    if Batch.objects.filter(pk=batch.pk, state=BatchState.CANCELLED).exists():
        words.append("No open account was left, so the request is cancelled.")
    return " ".join(words)
