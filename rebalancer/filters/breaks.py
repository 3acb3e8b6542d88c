"""What can be filtered on the list of reconciliation breaks, and the rows it lists."""

from django.db.models import CharField, F, Q, QuerySet, Value
from django.db.models.functions import Coalesce

from accounts.listing.filters import (
    ChoiceFilter,
    DayFilter,
    MomentFilter,
    NumberFilter,
    OptionFilter,
    StrictFilterSet,
    TextFilter,
)
from accounts.models import Account
from accounts.selectors import name_of
from tax.models import Break

CASH = "Cash"


def break_rows(user) -> QuerySet[Break]:
    """The breaks of the accounts that this person sees, resolved ones and those of closed accounts too."""
    return Break.objects.filter(account__in=Account.objects.visible_to(user)).annotate(
        what=Coalesce(F("security__symbol"), Value(CASH), output_field=CharField()),
        difference=F("delivered") - F("expected"),
        advisor_name=name_of("account__advisor"),
        resolver=name_of("resolved_by"),
    )


class BreakFilters(StrictFilterSet):
    """Trading / Breaks. Those that somebody has resolved are listed when asked for."""

    standing = OptionFilter(
        "Standing",
        {"open": ("Unresolved", Q(resolved_at=None)), "resolved": ("Resolved", Q(resolved_at__isnull=False))},
    )
    number = TextFilter("Account", "account__number")
    name = TextFilter("Name", "account__name")
    advisor = ChoiceFilter("Advisor", "advisor_name")
    custodian = ChoiceFilter("Custodian", "account__custodian__name")
    what = ChoiceFilter("Security or cash")
    session = DayFilter("Session")
    expected = NumberFilter("Expected")
    delivered = NumberFilter("Delivered")
    difference = NumberFilter("Difference")
    found_at = MomentFilter("Found")
    resolved_by = ChoiceFilter("Resolved by", "resolver")
    resolved_at = MomentFilter("Resolved")

    search_fields = ("account__number", "account__name", "security__symbol")
    search_hint = "Account number, name or symbol"
    usually, beyond = Q(resolved_at=None), ("standing", "resolved_by", "resolved_at")
