"""What can be filtered in the analysis of a request by account, and the rows it lists."""

from functools import reduce
from operator import or_

from django.core.exceptions import ValidationError
from django.db.models import Case, Exists, IntegerField, Q, QuerySet, Subquery, When
from django.db.models.functions import JSONObject

from accounts.listing.filters import (
    AmountFilter,
    ChoiceFilter,
    CountFilter,
    PointsFilter,
    StrictFilterSet,
    TextFilter,
)
from accounts.models import TaxStatus
from accounts.selectors import name_of
from rebalancer import analysis
from rebalancer.analysis import OUTSIDE_AFTER, OUTSIDE_BEFORE, cash_outside, positions_where, share_of_band
from rebalancer.engine.reasons import Reason
from rebalancer.models import Entry, PositionLine
from rebalancer.selectors import WITH_FIGURES, Rows

OF_THE_FURTHEST = JSONObject(
    name="symbol", sleeve="sleeve", weight="weight_before", after="weight_after", target="target_weight",
    lower="threshold_lower", upper="threshold_upper",
)  # fmt: skip
OF_WHAT_REMAINS = JSONObject(
    name="symbol", sleeve="sleeve", note="note", other="other_symbol", weight="weight_after", lower="threshold_lower",
    upper="threshold_upper",
)  # fmt: skip


def analysed_rows(batch, user) -> QuerySet[Entry]:
    """The accounts of a request that have figures, with what is outside before and after.

    Adds `outside_before` and `outside_after` (components, cash too), `furthest_position`, the position furthest out
    for its band before the trades, and `remaining_position`, the one after them that is still outside; both are the
    figures named in OF_THE_FURTHEST and OF_WHAT_REMAINS, or None.
    """
    weighed = positions_where(Q(weight_before__isnull=False))
    return analysis.analysed(batch, user).annotate(
        outside_before=_count(OUTSIDE_BEFORE, "before"),
        outside_after=_count(OUTSIDE_AFTER, "after"),
        furthest_position=_furthest(weighed, "weight_before", OF_THE_FURTHEST),
        remaining_position=_furthest(positions_where(OUTSIDE_AFTER), "weight_after", OF_WHAT_REMAINS),
        advisor_name=name_of("account__advisor"),
    )


def _count(outside, when):
    cash = Case(When(cash_outside(when), then=1), default=0, output_field=IntegerField())
    return Rows(positions_where(outside).values("pk")) + cash


def _furthest(positions, weight, figures):
    ordered = positions.order_by(share_of_band(weight).desc(), "pk")
    return Subquery(ordered.values(figures=figures)[:1])


class RemainsFilter(ChoiceFilter):
    """A component that remains outside for a reason; a value is SYMBOL:note, or of cash Cash:above, Cash:below."""

    def __init__(self, label):
        super().__init__(label, "pk")

    def read(self, text):
        symbol, _, why = super().read(text).rpartition(":")
        if symbol == analysis.CASH and why in analysis.CASH_WORDS:
            return symbol, why
        if not symbol or why not in {str(one.value) for one in Reason}:
            raise ValidationError(f"{self.label}: there is no choice “{text}”.")
        return symbol, int(why)

    def value_words(self, value):
        symbol, why = value
        return f"{symbol}, {analysis.CASH_WORDS.get(why) or analysis.why_kept(why)}"

    def condition_q(self, condition, values):
        return reduce(or_, (self._remains(*value) for value in values))

    def _remains(self, symbol, why):
        if why in analysis.CASH_WORDS:
            return analysis.cash_beyond("after", why)
        return Q(Exists(positions_where(OUTSIDE_AFTER & Q(symbol=symbol, note=why))))

    def offered(self, base):
        lines = PositionLine.objects.filter(OUTSIDE_AFTER, entry__in=base.order_by().values("pk"))
        pairs = sorted(set(lines.values_list("symbol", "note").distinct()))
        pairs += [(analysis.CASH, side) for side in analysis.CASH_WORDS]
        return [(f"{symbol}:{why}", self.value_words((symbol, why))) for symbol, why in pairs]


class AnalysisFilters(StrictFilterSet):
    """The accounts of a request by their drift."""

    number = TextFilter("Account", "account_number")
    name = TextFilter("Name", "account_name")
    drift_before = PointsFilter("Drift before")
    drift_after = PointsFilter("Drift after")
    drift_of = TextFilter("Furthest after")
    outside_before = CountFilter("Outside before")
    outside_after = CountFilter("Outside after")
    remains = RemainsFilter("Remains outside")
    result = ChoiceFilter("Result", "state", choices=[(state.value, state.label) for state in WITH_FIGURES])
    managed_value = AmountFilter("Managed value")
    tax_status = ChoiceFilter("Tax status", choices=TaxStatus.choices)
    portfolio = ChoiceFilter("Portfolio", "portfolio_name")
    advisor = ChoiceFilter("Advisor", "advisor_name")
    custodian = ChoiceFilter("Custodian", "account__custodian__name")
    household = ChoiceFilter("Household", "account__household__name")

    search_fields = ("account_number", "account_name")
    search_hint = "Account number or name"
