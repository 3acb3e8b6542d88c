"""What can be filtered on the Rebalancer's three tabs, and the rows that each of them lists."""

import re
from datetime import timedelta
from functools import reduce
from operator import or_

from django.db.models import Case, DecimalField, F, Q, QuerySet, When
from django.utils import timezone

from accounts.listing.filters import (
    AmountFilter,
    ChoiceFilter,
    CountFilter,
    DayFilter,
    MomentFilter,
    NumberedFilter,
    OptionFilter,
    PercentFilter,
    PointsFilter,
    StrictFilterSet,
    TextFilter,
    Tile,
)
from accounts.models import Account, LotMethod, TaxStatus
from accounts.selectors import name_of
from rebalancer import selectors
from rebalancer.models import Batch
from rebalancer.selectors import TILES
from rebalancer.states import BatchState, Logic, Source, Status

JUST_OPENED = timedelta(minutes=1)
DOLLARS = DecimalField(max_digits=20, decimal_places=2)


# --- rows -----------------------------------------------------------------------------------------------------


def queue_rows(user) -> QuerySet[Account]:
    """The accounts to rebalance of this person, as the queue lists and filters them."""
    return selectors.queue(user).annotate(advisor_name=name_of("advisor"))


def pending_rows(user) -> QuerySet[Batch]:
    """The requests of the Pending Approval tab."""
    return batch_rows(user, selectors.pending(user))


def batch_rows(user, batches) -> QuerySet[Batch]:
    """These requests as Pending Approval lists them, with what decides who may decide; `fresh`: this person has opened
    it a moment ago."""
    fresh = Q(opened_by=user.pk, opened_at__gt=timezone.now() - JUST_OPENED)
    named = batches.annotate(opener=name_of("opened_by"), fresh=Case(When(fresh, then=True), default=False))
    return selectors.with_standing(named, user)


def history_rows(user) -> QuerySet[Batch]:
    """The ended requests."""
    return selectors.history(user).annotate(opener=name_of("opened_by"), ender=name_of("ended_by"))


# --- the queue ------------------------------------------------------------------------------------------------


class SymbolFilter(TextFilter):
    """A list of symbols in text, "VTI, Cash": holds the symbol."""

    def condition_q(self, condition, values):
        found = (Q(**{f"{self.field_name}__iregex": rf"(^|, ){re.escape(value)}(,|$)"}) for value in values)
        return reduce(or_, found)


def _has(tile):
    return Q(**{f"check_row__{tile}": True})


LOT_METHODS = {"firm": ("The firm's", Q(lot_method=""))} | {
    method.value: (method.label, Q(lot_method=method.value)) for method in LotMethod
}


class QueueFilters(StrictFilterSet):
    """Accounts to Rebalance."""

    number = TextFilter("Account")
    name = TextFilter("Name")
    custodian = ChoiceFilter("Custodian", "custodian__name")
    advisor = ChoiceFilter("Advisor", "advisor_name")
    household = ChoiceFilter("Household", "household__name")
    portfolio = ChoiceFilter("Portfolio", "portfolio__name")
    market_value = AmountFilter("Market value", "check_row__market_value")
    managed_value = AmountFilter("Managed value", "check_row__managed_value")
    cash = AmountFilter("Cash $", "check_row__cash")
    cash_weight = PercentFilter("Cash", "check_row__cash_weight")
    available_cash = AmountFilter("Available cash", "check_row__available_cash")
    target_cash = PercentFilter("Target cash", "check_row__target_cash")
    drift = PointsFilter("Drift", "check_row__drift")
    drift_percent = PercentFilter("Drift % of target", "check_row__drift_percent")
    most_outside = TextFilter("Most outside", "check_row__drift_of")
    triggering = SymbolFilter("Securities triggering", "check_row__triggering")
    triggers = CountFilter("Triggers", "check_row__triggers")
    conditions = OptionFilter("Conditions", {tile: (name, _has(tile)) for tile, name in TILES.items()})
    source = ChoiceFilter("Source", "check_row__source", choices=Source.choices)
    needed_since = DayFilter("Needed since", "check_row__needed_since")
    last_rebalanced = DayFilter("Last rebalanced")
    tax_status = ChoiceFilter("Tax status", choices=TaxStatus.choices)
    lot_method = OptionFilter("Lot method", LOT_METHODS)
    set_aside = AmountFilter("Set aside", "set_aside_cash")
    status = ChoiceFilter("Status", "check_row__status", choices=Status.choices)
    why = TextFilter("Why", "check_row__reason")
    checked_at = MomentFilter("Checked", "check_row__checked_at")

    search_fields = ("number", "name")
    search_hint = "Account number or name"
    tiles = (
        Tile("first_rebalance", TILES["first_rebalance"], _has("first_rebalance"), "none since switched on"),
        Tile("high_cash", TILES["high_cash"], _has("high_cash"), "{} above target", adds=F("check_row__cash_off")),
        Tile("low_cash", TILES["low_cash"], _has("low_cash"), "{} below target", adds=F("check_row__cash_off")),
        Tile("position_drift", TILES["position_drift"], _has("position_drift"), "outside their band"),
    )


# --- requests -------------------------------------------------------------------------------------------------


PENDING_STATES = {
    "pending": (BatchState.NEW.label, Q(state__in=[BatchState.NEW, BatchState.PROPOSING])),
    "pending_approval": (BatchState.PENDING_APPROVAL.label, Q(state=BatchState.PENDING_APPROVAL)),
    "approved": (BatchState.APPROVING.label, Q(state=BatchState.APPROVING)),
}
RESULTS = {
    "complete": (BatchState.COMPLETE.label, Q(state=BatchState.COMPLETE)),
    "failed": (BatchState.FAILED.label, Q(state=BatchState.FAILED)),
    "cancelled": (BatchState.CANCELLED.label, Q(state=BatchState.CANCELLED)),
    "end_of_day": (
        "Cancelled, end of day",
        Q(state=BatchState.CANCELLED, ended_how=Batch.EndedBy.END_OF_DAY),
    ),
}


class RequestSearch(StrictFilterSet):
    """Requests are searched by what their rows say: the request, who asked for it, the account when it is just one."""

    search_fields = ("pk", "opener")
    search_hint = "Request, person or account"

    def _word_q(self, word):
        if word.casefold() == "request":
            return Q(pk__isnull=False)  # "Request 2041", as it stands in every row
        return super()._word_q(word) | Q(accounts_count=1, first_number__icontains=word)


class PendingFilters(RequestSearch):
    """Pending Approval."""

    request = NumberedFilter("Request", "pk")
    opened_at = MomentFilter("Requested")
    opened_by = ChoiceFilter("Requested by", "opener")
    accounts = CountFilter("Accounts", "accounts_count")
    logic = ChoiceFilter("Trade logic", choices=Logic.choices)
    status = OptionFilter("Status", PENDING_STATES)


class HistoryFilters(RequestSearch):
    """History."""

    request = NumberedFilter("Request", "pk")
    opened_at = MomentFilter("Requested")
    result = OptionFilter("Result", RESULTS)
    opened_by = ChoiceFilter("Requested by", "opener")
    logic = ChoiceFilter("Trade logic", choices=Logic.choices)
    accounts = CountFilter("Accounts", "accounts_count")
    complete = CountFilter("Complete", "complete_count")
    failed = CountFilter("Failed", "failed_count")
    removed = CountFilter("Removed", "removed_count")
    ended_at = MomentFilter("Ended")
    ended_by = ChoiceFilter("Ended by", "ender")
