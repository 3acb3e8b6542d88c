"""One account in a request: its recommended orders, position by position, with reasons and lots."""

from dataclasses import dataclass

from django.contrib.auth.decorators import login_required
from django.db.models import Exists, F, Q, Subquery
from django.http import QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.cache import never_cache

from accounts.listing.memory import Memory
from accounts.listing.selection import Selection
from accounts.models import LotMethod, TaxStatus
from rebalancer import selectors
from rebalancer.comparing import compared
from rebalancer.filters import RequestFilters, entry_rows
from rebalancer.models import Entry
from rebalancer.recommended import recommended, what_is_traded
from rebalancer.states import EntryState, Logic
from rebalancer.tables import ENTRY_BADGES, OUT_OF_PLAY, RequestTable

from .requests import frame, memory_screen, requests_seen
from .tabs import AREA


@login_required
@never_cache
def account(request, pk, entry_pk):
    batch = get_object_or_404(requests_seen(request.user), pk=pk)
    listed = Listed(request, batch)
    entry = get_object_or_404(listed.entries(), pk=entry_pk)
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
        "place": listed.place(entry),
        **commands(request, batch, entry),
        "why_not_remove": framed["why_not_remove"] or why_not_remove(entry),
    }
    return render(request, "rebalancer/request_account.html", framed | context)


def commands(request, batch, entry):
    """What the dialogs send: this account alone, and the way back to its page."""
    alone = [*Selection(frozenset([entry.pk]), None, 1).fields().items(), ("next", request.path)]
    return {
        "removing": alone,
        "remove_url": reverse("rebalancer:remove", args=[batch.pk]),
        "repropose_url": reverse("rebalancer:repropose", args=[batch.pk]),
        "changed": entry.changed if entry.state == EntryState.PROPOSED else "",
        "may_propose_anew": batch.logic != Logic.LIQUIDATE,
    }


def why_not_remove(entry):
    return "" if entry.state == EntryState.PROPOSED else f"It is {entry.get_state_display().lower()} already."


# --- its place in the list ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """Where an account stands in the list: its neighbours, and its number, which is None when the filter hides it."""

    number: int | None
    of: int
    previous: int | None
    next: int | None
    filtered: bool


class Listed:
    """A request's list as this person left it: its filters and order. Neighbours are asked for by the order's value."""

    def __init__(self, request, batch):
        kept = QueryDict(Memory(request.session, AREA).recall("queries", memory_screen(batch.pk), ""))
        self.rows = entry_rows(batch, request.user)
        self.filterset = RequestFilters(kept, self.rows)
        self.sort = self.filterset.address.last("sort")
        self.understood = self.filterset.is_valid() and (not self.sort or RequestTable.can_sort(self.sort))
        name = self.sort if self.understood and self.sort else RequestTable.sort
        column, self.descending = name.removeprefix("-"), name.startswith("-")
        self.field = RequestTable.base_columns[column].field or column

    def entries(self):
        """The accounts of the request with what their page needs, and `ordered_by`, their value in the list's order."""
        rows = self.rows.select_related("portfolio_version", "alternative").defer("basis")
        return rows.annotate(ordered_by=F(self.field))

    def place(self, entry) -> Place | None:
        """None when the filters kept are no longer understood. One query, whatever the length of the list."""
        if not self.understood:
            return None
        rows = self.filterset.strict_qs()
        before = RequestTable.sorted(rows.filter(self._beside(entry, forward=False)), self.sort)
        after = RequestTable.sorted(rows.filter(self._beside(entry, forward=True)), self.sort)
        found = Entry.objects.filter(pk=entry.pk).values(
            inside=Exists(rows.filter(pk=entry.pk)),
            ahead=selectors.Rows(before.order_by().values("pk")),
            of=selectors.Rows(rows.order_by().values("pk")),
            previous=Subquery(before.reverse().values("pk")[:1]),
            next=Subquery(after.values("pk")[:1]),
        )
        seen = found.get()
        number = seen["ahead"] + 1 if seen["inside"] else None
        filtered = bool(self.filterset.terms or self.filterset.search)
        return Place(number, seen["of"], seen["previous"], seen["next"], filtered)

    def _beside(self, entry, forward):
        """The rows after this one in the order (or before it): by value, unknown last, then by key."""
        value, field = entry.ordered_by, self.field
        beyond = "gt" if forward is not self.descending else "lt"
        unknown = Q(**{f"{field}__isnull": True})
        same = Q(**{"pk__gt" if forward else "pk__lt": entry.pk})
        if value is None:
            return (unknown & same) if forward else (~unknown | (unknown & same))
        near = Q(**{f"{field}__{beyond}": value}) | (Q(**{field: value}) & same)
        return near | unknown if forward else near
