"""Transmit All: the preview of a ticket's orders, its confirmation, and leaving accounts out that stand in the way."""

import json
from collections import defaultdict

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.http import HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache

from accounts.listing import answers
from accounts.listing.figures import plural
from accounts.models import Account
from accounts.services import audit, refusals
from accounts.services.refusals import Refused
from accounts.tasks import enqueue
from rebalancer.models import Batch
from rebalancer.services import confirming
from trading import tasks
from trading.models import Ticket
from trading.preview import Concerned, Line, Preview, preview
from trading.services import editing
from trading.services.lines import Chosen

NAMED = 10  # accounts of a line that the page names
ALIKE = 4  # warnings that say the same of so many orders are one
COMPARED_AT_ONCE = 2_000  # up to so many accounts are compared with the book before the page answers
SALT = "preview"
NOT_WHOLE = "What you saw did not arrive whole, so nothing was sent. Reload the page and try again."
NO_SUCH_ACCOUNTS = "Some of these accounts are not there. Nothing was done; look at it again."
LEFT_OUT_VERB = "ticket.left_out"


class ConfirmForm(forms.Form):
    """What the preview showed."""

    version = forms.IntegerField()
    digest = forms.CharField(max_length=64)
    still = forms.CharField(required=False)

    def clean_still(self):
        """The lines that were shown, by key; they only name what differs, so damaged ones are none."""
        try:
            return signing.loads(self.cleaned_data["still"], salt=SALT)
        except signing.BadSignature:
            return {}


class LeaveOutForm(forms.Form):
    """Accounts by number, as JSON."""

    version = forms.IntegerField()
    numbers = forms.CharField()

    def clean_numbers(self):
        try:
            numbers = json.loads(self.cleaned_data["numbers"])
        except (ValueError, RecursionError):
            numbers = None
        if not isinstance(numbers, list) or not numbers or not all(map(_is_number, numbers)):
            raise forms.ValidationError("No accounts.")
        return set(numbers)


def _is_number(one):
    return isinstance(one, str) and one.isprintable()


# --- preview --------------------------------------------------------------------------------------------------------


@login_required
@never_cache
def preview_page(request, pk):
    """Every order of the ticket as it would be sent; a ticket that is confirmed is followed on its last page."""
    seen = Ticket.objects.visible_to(request.user).select_related("confirmed_by", "created_by")
    ticket = get_object_or_404(seen, pk=pk)
    if ticket.confirmed_at:
        return redirect("trading:finish", pk=ticket.pk)
    return _page(request, ticket)


def _page(request, ticket, changed=None, status=200):
    """The preview; `changed` are the accounts that changed since approval, where they have just been compared."""
    batch = Batch.objects.filter(ticket=ticket).select_related("approved_by").first()
    found = preview(request.user, ticket)
    if not found.rows:
        return render(request, "rebalancer/preview.html", _frame(ticket, batch) | _ended(ticket))
    later = changed is None and batch is not None and batch.entries.count() > COMPARED_AT_ONCE
    if changed is None and batch is not None and not later:
        changed = confirming.changed_accounts(batch)
    refusals = [*found.refusals, *_changed(request.user, batch, changed or [])]
    context = _frame(ticket, batch) | {
        "found": found,
        "refusals": [_told(line) for line in refusals],
        "warnings": in_few(found.warnings),
        "market": _market_words(found),
        "rows": [(row, _check(row, refusals, found.warnings)) for row in found.rows],
        "sent": _fields(found),
        "why_not": confirming.why_not(request.user, ticket) or _why_not_now(refusals),
        "may_edit": not editing.why_not(request.user),
        "compared_later": later,
    }
    return render(request, "rebalancer/preview.html", context, status=status)


def _market_words(found) -> str:
    """How the market stands and, while it is closed, what that means for these orders."""
    closed = (line.words for line in found.warnings if line.key.startswith("closed:"))
    return next(closed, f"{found.market}.")


def in_few(warnings) -> list[str]:
    """The warnings in words, those that say the same of many orders in one."""
    alike = defaultdict(list)
    for line in warnings:
        name, _, why = line.words.partition(": ") if line.order else ("", "", line.words)
        alike[why].append(name)
    said = []
    for why, names in alike.items():
        if len(names) < ALIKE:
            said += [f"{name}: {why}" if name else why for name in names]
        else:
            first, rest = ", ".join(names[: ALIKE - 1]), len(names) - ALIKE + 1
            each = f"each {why.removeprefix('it ')}" if why.startswith("it ") else why
            said.append(f"{plural(len(names), 'order')} ({first} and {rest:,} more): {each}")
    return said


def _frame(ticket, batch):
    return {"section": "trading", "tab": "orders", "ticket": ticket, "batch": batch, "step": 2}


def _ended(ticket):
    return {"happened": confirming.what_happened(ticket) or "None of its orders has an account of yours."}


def _changed(user, batch, changed) -> list[Line]:
    """The accounts of this person that changed since approval, as a line that stands in the way."""
    if batch is None:
        return [Line("no-batch", "The ticket belongs to no request, so its accounts cannot be compared.")]
    if not changed:
        return []
    pks = Account.objects.visible_to(user).filter(number__in=[one.account_number for one in changed])
    seen = dict(pks.values_list("number", "pk"))
    mine = [one for one in changed if one.account_number in seen]
    if not mine:
        return [Line("changed", "Accounts of other advisors changed since approval.")]
    named = (Concerned(seen[one.account_number], one.account_number, one.account_name, one.why) for one in mine)
    return [Line("changed", f"{plural(len(mine), 'account')} changed since approval.", accounts=tuple(named))]


def _told(line):
    """A line with the first of its accounts, and what the button sends that leaves all of them out."""
    numbers = list(dict.fromkeys(one.number for one in line.accounts))
    return {
        "words": line.words,
        "accounts": line.accounts[:NAMED],
        "more": len(line.accounts) - NAMED,
        "count": len(numbers),
        "numbers": json.dumps(numbers),
        "id": f"leave-out-{line.key.partition(':')[0]}",
    }


def _check(row, refusals, warnings):
    if any(line.order == row.order.pk for line in refusals):
        return "refused"
    return "warned" if any(line.order == row.order.pk for line in warnings) else ""


def _why_not_now(refusals):
    count = len(refusals)
    stand = "stands" if count == 1 else "stand"
    return f"{plural(count, 'thing')} {stand} in the way; see above." if count else ""


def _fields(found: Preview):
    still = signing.dumps(found.shown, salt=SALT, compress=True)
    return [("version", found.ticket.version), ("digest", found.digest), ("still", still)]


# --- what is posted -------------------------------------------------------------------------------------------------


def command(verb, form_class):
    """A view of one command on a ticket that the person sees: `act` does it and returns where to go on.

    What was sent and cannot be understood answers 400, what the person may not do 403, both with an audit line; any
    other refusal stands in words on the preview, which shows what is there by then.
    """

    def decorate(act):
        @answers.posted
        def view(request, pk):
            ticket = get_object_or_404(Ticket.objects.visible_to(request.user), pk=pk)
            back = reverse("rebalancer:preview", args=[ticket.pk])
            form = form_class(request.POST)
            if not form.is_valid():
                audit.record(request.user, "refused", ticket, command=verb, why=NOT_WHOLE)
                return answers.refused(request, NOT_WHOLE, back)
            try:
                return act(request, ticket, form.cleaned_data)
            except PermissionDenied as refusal:
                return answers.refused(request, f"{refusal} Nothing was sent.", back, status=403)
            except Refused as refusal:
                messages.error(request, refusal)
                return HttpResponseRedirect(back)

        return view

    return decorate


@command(confirming.VERB, ConfirmForm)
def confirm(request, ticket, seen):
    """Let the orders go, as the preview showed them; a worker sends them. Accounts that changed are shown with it."""
    try:
        ticket = confirming.confirm(ticket, by=request.user, **seen)
    except confirming.AccountsChanged as refusal:
        messages.error(request, f"Nothing was sent: {refusal.summary}")
        return _page(request, ticket, changed=refusal.accounts, status=409)
    enqueue(tasks.transmit, ticket.pk)
    messages.success(request, f"{ticket} is confirmed; its orders are being sent.")
    return redirect("trading:finish", pk=ticket.pk)


@command(LEFT_OUT_VERB, LeaveOutForm)
def leave_out(request, ticket, asked):
    """Leave accounts out of all orders of the ticket."""
    with refusals.command(request.user, LEFT_OUT_VERB, ticket):
        found = Account.objects.visible_to(request.user).filter(number__in=asked["numbers"])
        accounts = tuple(found.order_by("pk").values_list("pk", flat=True))
        if len(accounts) < len(asked["numbers"]):
            raise Refused(NO_SUCH_ACCOUNTS)
        editing.leave_out(ticket, asked["version"], Chosen(accounts=accounts), request.user)
    messages.success(request, f"{plural(len(accounts), 'account')} left out of the ticket.")
    return redirect("rebalancer:preview", pk=ticket.pk)


@login_required
def request_of(request, pk):
    """Lead on from a ticket to the request it was staged for."""
    ticket = get_object_or_404(Ticket.objects.visible_to(request.user), pk=pk)
    return redirect("rebalancer:request", pk=get_object_or_404(Batch, ticket=ticket).pk)
