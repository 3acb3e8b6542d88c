"""What can be filtered among the accounts of one request."""

from django.db.models import Case, DecimalField, ExpressionWrapper, F, Q, QuerySet, When

from accounts.listing.filters import (
    AmountFilter,
    ChoiceFilter,
    CountFilter,
    OptionFilter,
    PercentFilter,
    PointsFilter,
    StrictFilterSet,
    TextFilter,
)
from accounts.models import LotMethod, TaxStatus
from accounts.selectors import name_of
from rebalancer import selectors
from rebalancer.models import Entry
from rebalancer.states import EntryState

WEIGHT = DecimalField(max_digits=20, decimal_places=6)


def entry_rows(batch, user) -> QuerySet[Entry]:
    """The accounts of a request that this person sees, with cash as weights and the advisor's name."""
    return selectors.entries(batch, user).annotate(
        advisor_name=name_of("account__advisor"),
        cash_weight_before=_weight("cash_before"),
        cash_weight_after=_weight("cash_after"),
    )


def _weight(dollars):
    """An amount in percent of V; unknown where there is no V."""
    weight = ExpressionWrapper(F(dollars) * 100 / F("managed_value"), output_field=WEIGHT)
    return Case(When(managed_value__gt=0, then=weight), output_field=WEIGHT)


class RequestFilters(StrictFilterSet):
    """The accounts of a request; only proposed ones can be selected."""

    number = TextFilter("Account", "account_number")
    name = TextFilter("Name", "account_name")
    result = ChoiceFilter("Result", "state", choices=EntryState.choices)
    market_value = AmountFilter("Market value")
    managed_value = AmountFilter("Managed value")
    cash_before = AmountFilter("Cash before")
    cash_after = AmountFilter("Cash after")
    cash_weight_before = PercentFilter("Cash before %")
    cash_weight_after = PercentFilter("Cash after %")
    cash_target = PercentFilter("Target cash")
    buys = CountFilter("Buys")
    buys_value = AmountFilter("Buys $")
    sells = CountFilter("Sells")
    sells_value = AmountFilter("Sells $")
    flat_trades = CountFilter("Flat trades")
    flat_value = AmountFilter("Flat trades $")
    short_term_gain = AmountFilter("Short-term G&L")
    long_term_gain = AmountFilter("Long-term G&L")
    estimated_gain = AmountFilter("Estimated G&L")
    unknown_lots = CountFilter("Lots of unknown cost")
    drift_before = PointsFilter("Drift before")
    drift_after = PointsFilter("Drift after")
    drift_of = TextFilter("Furthest after")
    tax_status = ChoiceFilter("Tax status", choices=TaxStatus.choices)
    lot_method = ChoiceFilter("Lot method", choices=LotMethod.choices)
    portfolio = ChoiceFilter("Portfolio", "portfolio_name")
    advisor = ChoiceFilter("Advisor", "advisor_name")
    custodian = ChoiceFilter("Custodian", "account__custodian__name")
    household = ChoiceFilter("Household", "account__household__name")
    reason = ChoiceFilter("Reason")
    changed = OptionFilter(
        "Changed since proposing", {"yes": ("Yes", selectors.CHANGED), "no": ("No", ~selectors.CHANGED)}
    )

    search_fields = ("account_number", "account_name")
    search_hint = "Account number or name"
    selectable = Q(state=EntryState.PROPOSED)
