"""What people do in the Rebalance Center: open a request, have a liquidation proposed, acknowledge a reason."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from accounts.listing import answers
from accounts.listing.figures import plural
from accounts.models import Account
from accounts.services import audit
from accounts.services.refusals import Refused
from rebalancer import selectors, tasks
from rebalancer.booked import break_words
from rebalancer.filters import CenterFilters
from rebalancer.forms import GenerateForm
from rebalancer.sales import liquidation
from rebalancer.services import batches
from rebalancer.services.attention import acknowledge as acknowledge_reasons
from rebalancer.states import Logic, Status
from tax.models import Break
from tax.services.reconciling import resolve_break

from .center import MAY_NOT_RESOLVE, SECTION, Place, place_of
from .opening import answer, ask_for_trades, gone, not_understood, open_chosen

REVIEWED_AT_MOST = 100  # accounts: what is sold is read line by line
MOVED = "No account of yours is held to this portfolio any more, so nothing was done. The list is gone; start again."


def of_place(command):
    """A view of a command on the accounts of a place, which may be gone since the list was shown."""

    @answers.posted
    def view(request, status, portfolio):
        try:
            place = place_of(request.user, status, portfolio)
        except Http404:
            return _gone(request, status, portfolio)
        return command(request, place)

    return view


def _gone(request, status, portfolio):
    audit.record(request.user, "refused", command="batch.opened", why=MOVED, status=status[:40], portfolio=portfolio)
    return answers.refused(request, MOVED, reverse("rebalancer:center"), status=404)


def _why_gone(place):
    """Why an account is not in the place's list any more, in words."""

    def why(account):
        if not account.is_open:
            return "it is closed"
        if account.portfolio != place.portfolio:
            return f"its portfolio is now {account.portfolio}" if account.portfolio else "it has no portfolio now"
        if not hasattr(account, "check_row"):
            return "it has not been checked"
        status = Status(account.check_row.status)
        return f"its status is now {status.label}" if status != place.status else "its target is no longer all cash"

    return why


@of_place
def create(request, place):
    """Open a request for the selected accounts and go there."""
    form = GenerateForm(request.POST)
    if not form.is_valid():
        return not_understood(request, " ".join(form.errors["logic"]), place.address)

    def act(selection):
        return open_chosen(
            request.user, selection, place.rows(), CenterFilters, place.rows(), _why_gone(place),
            logic=form.cleaned_data["logic"],
        )  # fmt: skip

    return answer(request, act, _to_the_request(request), back=place.address, again="Create a request for {}")


def _to_the_request(request):
    def done(opened):
        ask_for_trades(request, opened)
        return answers.done(request, reverse("rebalancer:request", args=[opened.batch.pk]))

    return done


# --- liquidations ---------------------------------------------------------------------------------------------


def of_liquidation(command):
    """A view of a command for accounts that are only ever proposed with Liquidate, by somebody who may."""

    @of_place
    def view(request, place):
        if not place.liquidates:
            raise Http404
        if place.why_not_open:
            audit.record(request.user, "refused", command="batch.opened", why=place.why_not_open, logic=Logic.LIQUIDATE)
            return answers.refused(request, place.why_not_open, place.address, status=403)
        return command(request, place)

    return view


@of_liquidation
def review(request, place):
    """What a liquidation of the selected accounts would sell, to be confirmed; nothing is opened yet."""

    def act(selection):
        selection.require_seen(Account.objects.visible_to(request.user))
        chosen = selection.rows(place.rows(), CenterFilters)
        count = chosen.count()
        if selection.query is not None and count != selection.expected:
            raise batches.SelectionChanged(shown=selection.expected, found=count)
        if count > REVIEWED_AT_MOST:
            raise batches.Refused(
                f"{plural(count, 'account')} are selected. What a liquidation sells is confirmed line by line, so at "
                f"most {REVIEWED_AT_MOST} accounts go into one. Nothing was done; select fewer."
            )
        missing = [] if selection.query is not None else gone(request.user, selection, place.rows(), _why_gone(place))
        if not count:
            raise batches.NothingLeft(missing)
        return chosen, missing

    def done(found):
        chosen, missing = found
        listed = liquidation(chosen)
        pks = sorted(one.pk for one in listed.selling)
        sent = {"scope": "picked", "query": "", "shown": len(pks), "ids": ",".join(map(str, pks))}
        context = {"place": place, "list": listed, "missing": missing, "section": SECTION}
        fields = [*sent.items(), ("confirmed", listed.digest), ("store", request.POST.get("store", ""))]
        return render(request, "rebalancer/center_liquidate.html", context | {
            "fields": fields, "action": place.command("center_liquidate"),
        })  # fmt: skip

    return answer(request, act, done, back=place.address, again="Look at what {} would sell")


@of_liquidation
def liquidate(request, place):
    """Open the liquidation whose list of sales the person has confirmed."""

    def act(selection):
        return open_chosen(
            request.user, selection, place.rows(), CenterFilters, place.rows(), _why_gone(place),
            logic=Logic.LIQUIDATE, confirmed=request.POST.get("confirmed", ""),
        )  # fmt: skip

    return answer(request, act, _to_the_request(request), back=place.address, again="Liquidate {}")


# --- reasons --------------------------------------------------------------------------------------------------


@answers.posted
def acknowledge(request, pk):
    """Accept standing reasons of an account; it is checked anew."""
    account = get_object_or_404(selectors.accounts(request.user).filter(check_row__isnull=False), pk=pk)
    back = Place(request.user, Status(account.check_row.status), account.portfolio).address
    try:
        words = acknowledge_reasons(
            account, by=request.user, keys=request.POST.getlist("reason"), seen=request.POST.get("seen", "")
        )
    except batches.NotAllowed as refusal:
        return answers.refused(request, refusal, back, status=403)
    except batches.Refused as refusal:
        return answers.refused(request, refusal, back, status=409)
    tasks.enqueue(tasks.recheck)
    messages.success(
        request, f"{account}: acknowledged “{'”, “'.join(words)}”. The account is checked again within a minute."
    )
    return HttpResponseRedirect(back)


@answers.posted
def resolve(request, pk, break_pk):
    """Close a reconciliation break of an account, with what was found out about it; the account is checked anew."""
    account = get_object_or_404(selectors.every_account(request.user), pk=pk)
    found = get_object_or_404(Break.objects.select_related("security", "account"), account=account, pk=break_pk)
    back = reverse("rebalancer:center_account", args=[account.pk])
    try:
        resolve_break(found, by=request.user, words=request.POST.get("words", ""))
    except PermissionDenied:
        return answers.refused(request, f"{MAY_NOT_RESOLVE} Nothing was done.", back, status=403)
    except Refused as refusal:
        return answers.refused(request, refusal, back, status=409)
    tasks.enqueue(tasks.recheck)
    messages.success(request, f"{account}: resolved “{break_words(found)}”. It is checked again within a minute.")
    return HttpResponseRedirect(back)
