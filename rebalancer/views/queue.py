"""The tab Accounts to Rebalance, and opening a request for the accounts chosen there."""

from django.urls import reverse

from accounts.listing import answers
from accounts.models import Account
from rebalancer.filters import QueueFilters, queue_rows
from rebalancer.forms import OFFERED, GenerateForm
from rebalancer.tables import QueueTable

from .opening import MAY_NOT_OPEN, answer, ask_for_trades, not_understood, open_chosen
from .tabs import Tab, tab_context

NO_REASON = "it is no longer in the queue"


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
        return not_understood(request, " ".join(form.errors["logic"]), back)

    def act(selection):
        wanted = Account.objects.visible_to(request.user).filter(check_row__wanted=True)
        rows, logic = queue_rows(request.user), form.cleaned_data["logic"]
        return open_chosen(request.user, selection, rows, QueueFilters, wanted, lambda _: NO_REASON, logic=logic)

    def done(opened):
        ask_for_trades(request, opened)
        return answers.done(request, f"{reverse('rebalancer:pending')}#row-{opened.batch.pk}")

    return answer(request, act, done, back=back, again="Generate proposed trades for {}")
