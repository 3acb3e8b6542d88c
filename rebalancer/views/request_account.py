"""One account in a request: its recommended orders, position by position, with reasons and lots."""

from dataclasses import dataclass

from django.contrib.auth.decorators import login_required
from django.http import QueryDict
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache

from accounts.listing.memory import Memory
from accounts.models import LotMethod, TaxStatus
from rebalancer import selectors
from rebalancer.comparing import compared
from rebalancer.filters import RequestFilters, entry_rows
from rebalancer.recommended import recommended, what_is_traded
from rebalancer.states import EntryState
from rebalancer.tables import ENTRY_BADGES, OUT_OF_PLAY, RequestTable

from .requests import frame, memory_screen, requests_seen
from .tabs import AREA


@dataclass(frozen=True)
class Place:
    """Where an account stands among those under the request's filter; None where there is no neighbour."""

    number: int
    of: int
    previous: int | None
    next: int | None


@login_required
@never_cache
def account(request, pk, entry_pk):
    batch = get_object_or_404(requests_seen(request.user), pk=pk)
    entries = selectors.entries(batch, request.user).select_related("portfolio_version", "alternative")
    entry = get_object_or_404(entries, pk=entry_pk)
    framed = frame(batch, request.user)
    found = recommended(entry)
    context = {
        "entry": entry,
        "entry_badge": ENTRY_BADGES[EntryState(entry.state)],
        "out_of_play": entry.state in OUT_OF_PLAY,
        "waiting": entry.state == EntryState.WAITING,
        "taxable": entry.tax_status == TaxStatus.TAXABLE,
        "lot_method": LotMethod(entry.lot_method).label if entry.lot_method else "",
        "traded": what_is_traded(entry),
        "recommended": found,
        "comparison": compared(entry, found, batch.logic),
        "place": place(request, batch, entry),
        "removing": [("scope", "picked"), ("ids", entry.pk), ("query", ""), ("shown", 1), ("next", request.path)],
        "why_not_remove": framed["why_not_remove"] or why_not_remove(entry),
    }
    return render(request, "rebalancer/request_account.html", framed | context)


def why_not_remove(entry):
    return "" if entry.state == EntryState.PROPOSED else f"It is {entry.get_state_display().lower()} already."


def place(request, batch, entry) -> Place | None:
    """The account's place in the request's list as this person left it; None when it is not in there."""
    kept = QueryDict(Memory(request.session, AREA).recall("queries", memory_screen(batch.pk), ""))
    filterset = RequestFilters(kept, entry_rows(batch, request.user))
    sort = filterset.address.last("sort")
    if not filterset.is_valid() or (sort and not RequestTable.can_sort(sort)):
        return None
    pks = list(RequestTable.sorted(filterset.strict_qs(), sort).values_list("pk", flat=True))
    if entry.pk not in pks:
        return None
    here = pks.index(entry.pk)
    previous = pks[here - 1] if here else None
    following = pks[here + 1] if here + 1 < len(pks) else None
    return Place(here + 1, len(pks), previous, following)
