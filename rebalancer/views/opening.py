"""What every page that opens a request does with the rows chosen there, and what it answers."""

from collections.abc import Callable

from django.contrib import messages
from django.template.loader import render_to_string

from accounts.listing import answers
from accounts.listing.figures import plural
from accounts.listing.filters import FilterRefused
from accounts.listing.selection import Selection, SelectionError
from accounts.models import Account
from accounts.services import audit
from rebalancer import tasks
from rebalancer.services import batches

NAMED_AT_MOST = 200
MAY_NOT_OPEN = "Your role does not open requests."


def open_chosen(user, selection, rows, filterset, listed, why_gone: Callable[[Account], str], **terms):
    """Open a request for the selected accounts: those among `rows` that the filter matches, or those picked singly.

    Picked accounts that are not `listed` any more are left out and named, with `why_gone` in words.
    """
    selection.require_seen(Account.objects.visible_to(user))
    if selection.query is not None:
        chosen = selection.rows(rows, filterset)
        return batches.open_batch(by=user, accounts=chosen, shown=selection.expected, **terms)
    left_out = gone(user, selection, listed, why_gone)
    if len(left_out) == len(selection.ids):
        nothing = batches.NothingLeft(left_out)
        audit.record(user, "refused", command="batch.opened", why=str(nothing))
        raise nothing
    still = listed.filter(pk__in=selection.ids)
    opened = batches.open_batch(by=user, accounts=still, shown=len(selection.ids) - len(left_out), **terms)
    return batches.Opened(opened.batch, opened.accounts, opened.left_out + left_out)


def gone(user, selection, listed, why_gone):
    """The accounts picked singly that are not listed any more."""
    picked = Account.objects.visible_to(user).filter(pk__in=selection.ids)
    missing = picked.exclude(pk__in=listed.order_by().values("pk")).select_related("check_row", "portfolio")
    return [batches.LeftOut(one.number, one.name, why_gone(one)) for one in missing.order_by("number")]


def answer(request, act: Callable, done: Callable, *, back, again):
    """Do what was asked with the selection that was sent: `act(selection)`, and answer with `done` of its result.

    What is not understood answers 400, what the person may not do 403, both with an audit line; a list that has changed
    shows both numbers and one button, `again`, with {} for the accounts; any other refusal answers 409 in words.
    """
    try:
        selection = Selection.parse(request.POST)
        result = act(selection)
    except (SelectionError, FilterRefused) as error:
        return not_understood(request, str(error), back)
    except batches.SelectionChanged as changed:
        label = again.format(plural(changed.found, "account"))
        return answers.ask_again(request, selection, changed.found, back=back, label=label)
    except batches.NotAllowed as refusal:
        return answers.refused(request, refusal, back, status=403)
    except batches.Refused as refusal:
        return answers.refused(request, refusal, back, status=409)
    return done(result)


def not_understood(request, why, back):
    """What was sent is not what the page sends: it is on record."""
    audit.record(request.user, "refused", command="batch.opened", why=why, logic=request.POST.get("logic", "")[:40])
    return answers.refused(request, why, back)


def ask_for_trades(request, opened):
    """Have a worker propose the new request, and say on the next page what was opened and who was left out."""
    tasks.enqueue(tasks.propose_batch, opened.batch.pk)
    left_out = sorted(opened.left_out, key=lambda one: one.account_number)
    context = {"opened": opened, "left_out": left_out[:NAMED_AT_MOST], "more": len(left_out) - NAMED_AT_MOST}
    messages.success(request, render_to_string("rebalancer/_opened.html", context | {"left_out_count": len(left_out)}))
