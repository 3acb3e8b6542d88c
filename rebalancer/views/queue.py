"""The tab Accounts to Rebalance, and opening a request for the accounts chosen there."""

from django.contrib import messages
from django.http import HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import reverse

from accounts.listing import answers
from accounts.listing.figures import plural
from accounts.listing.filters import FilterRefused
from accounts.listing.selection import Selection, SelectionError
from accounts.models import Account
from accounts.services import audit
from rebalancer import tasks
from rebalancer.filters import QueueFilters, queue_rows
from rebalancer.forms import OFFERED, GenerateForm
from rebalancer.services import batches
from rebalancer.tables import QueueTable

from .tabs import Tab, tab_context

NO_REASON = "it is no longer in the queue"
NAMED_AT_MOST = 200
MAY_NOT_OPEN = "Your role does not open requests."


class QueuePage(Tab):
    screen = "queue"
    table_class = QueueTable
    filterset_class = QueueFilters
    template_name = "rebalancer/queue.html"
    actions_template = "rebalancer/_generate.html"
    empty_template = "rebalancer/_queue_empty.html"
    selectable = True

    def base(self):
        return queue_rows(self.request.user)

    def list_context(self, unfiltered):
        user = self.request.user
        why_not_open = "" if user.has_perm("rebalancer.add_batch") else MAY_NOT_OPEN
        return tab_context(user, self.screen, unfiltered) | {"logics": OFFERED, "why_not_open": why_not_open}


@answers.posted
def generate(request):
    """Open a request for the selected accounts and ask a worker to propose it."""
    back = reverse("rebalancer:queue")
    form = GenerateForm(request.POST)
    if not form.is_valid():
        return _refused(request, " ".join(form.errors["logic"]), back)
    try:
        selection = Selection.parse(request.POST)
        opened = _open(request.user, selection, form.cleaned_data["logic"])
    except (SelectionError, FilterRefused) as error:
        return _refused(request, str(error), back)
    except batches.SelectionChanged as changed:
        label = f"Generate proposed trades for {plural(changed.found, 'account')}"
        return answers.ask_again(request, selection, changed.found, back=back, label=label)
    except batches.NotAllowed as refusal:
        return answers.refused(request, refusal, back, status=403)
    except batches.Refused as refusal:
        return answers.refused(request, refusal, back, status=409)
    tasks.enqueue(tasks.propose_batch, opened.batch.pk)
    messages.success(request, _what_was_done(opened))
    return HttpResponseRedirect(f"{reverse('rebalancer:pending')}#row-{opened.batch.pk}")


def _refused(request, why, back):
    """What was sent is not what the page sends: it is on record."""
    audit.record(request.user, "refused", command="batch.opened", why=why, logic=request.POST.get("logic", "")[:40])
    return answers.refused(request, why, back)


def _open(user, selection, logic):
    """Open the request; accounts picked singly that are no longer in the queue are left out and named."""
    selection.require_seen(Account.objects.visible_to(user))
    if selection.query is not None:
        rows = selection.rows(queue_rows(user), QueueFilters)
        return batches.open_batch(by=user, accounts=rows, shown=selection.expected, logic=logic)
    picked = Account.objects.visible_to(user).filter(pk__in=selection.ids)
    gone = picked.exclude(check_row__wanted=True)
    left_out = [batches.LeftOut(number, name, NO_REASON) for number, name in gone.values_list("number", "name")]
    wanted = picked.filter(check_row__wanted=True)
    if len(left_out) == len(selection.ids):
        raise batches.NothingLeft(left_out)
    opened = batches.open_batch(by=user, accounts=wanted, shown=len(selection.ids) - len(left_out), logic=logic)
    return batches.Opened(opened.batch, opened.accounts, opened.left_out + left_out)


def _what_was_done(opened):
    """The message on Pending Approval: the request, and who was left out and why."""
    left_out = sorted(opened.left_out, key=lambda one: one.account_number)
    context = {"opened": opened, "left_out": left_out[:NAMED_AT_MOST], "more": len(left_out) - NAMED_AT_MOST}
    return render_to_string("rebalancer/_opened.html", context | {"left_out_count": len(left_out)})
