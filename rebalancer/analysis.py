"""Pre-trade analysis of a request: drift before and after, security by security, and what remains outside and why.

The database adds everything up from the copies that the request keeps, so an ended request shows what was seen then.
Only accounts that have figures count (`selectors.WITH_FIGURES`). Weights are in percent of managed value (V); those of
a security are of the V of all these accounts together, whatever sleeves hold it.

A component is outside when its weight is outside its threshold, unless the engine noted that it stands at the step
nearest its target, as in the drift analysis.
"""

from dataclasses import dataclass
from decimal import Decimal

from django.db.models import (
    Avg,
    Case,
    Count,
    DecimalField,
    Exists,
    ExpressionWrapper,
    F,
    Max,
    OuterRef,
    Q,
    QuerySet,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Abs, Coalesce, NullIf, Round

from accounts.listing.figures import UNKNOWN
from accounts.money import HUNDRED, MICRO
from rebalancer import selectors
from rebalancer.engine.reasons import WORDS, Reason
from rebalancer.models import Entry, PositionLine, TradeLine
from trading.states import Side

CASH = "Cash"
ABOVE, BELOW = "above", "below"
CASH_WORDS = {side: f"ends {side} its threshold after every trade proposed" for side in (ABOVE, BELOW)}
EXACT = DecimalField(max_digits=40, decimal_places=12)
V = F("entry__managed_value")
# A trade's value has its flat part in it, which was valued by itself and rounded to the cent.
AT_MARKET = F("value") - Round(F("flat_quantity") * F("price"), precision=2)
NOTHING = Decimal("0.00")
STAYS = Q(quantity_after=F("quantity_before"))
AT_NEAREST_STEP = Q(note=Reason.NEAREST_STEP)


def beyond(weight: str) -> Q:
    """The condition on position lines: this weight is outside the threshold."""
    return Q(**{f"{weight}__lt": F("threshold_lower")}) | Q(**{f"{weight}__gt": F("threshold_upper")})


OUTSIDE_BEFORE = beyond("weight_before") & ~(AT_NEAREST_STEP & STAYS)
OUTSIDE_AFTER = beyond("weight_after") & ~AT_NEAREST_STEP


def cash_beyond(when: str, side: str) -> Q:
    """The condition on entries: cash is above or below its threshold `when` ("before", "after") it is traded.

    Bounds are kept to the sixth place, so that what differs less than that stands on the bound.
    """
    if side == ABOVE:
        return Q(**{f"cash_{when}__gt": (F("cash_upper") + MICRO) * F("managed_value") / HUNDRED})
    return Q(**{f"cash_{when}__lt": (F("cash_lower") - MICRO) * F("managed_value") / HUNDRED})


def cash_outside(when: str) -> Q:
    return cash_beyond(when, ABOVE) | cash_beyond(when, BELOW)


def positions_where(outside: Q) -> QuerySet[PositionLine]:
    """The position lines of the entry around this query for which the condition holds."""
    return PositionLine.objects.filter(outside, entry=OuterRef("pk"))


def share_of_band(weight: str) -> ExpressionWrapper:
    """Drift of a position line in relation to the width on its side of the threshold, of which 0 counts as 1 pp."""
    drift = F(weight) - F("target_weight")
    below = When(**{f"{weight}__lt": F("target_weight")}, then=F("target_weight") - F("threshold_lower"))
    width = Case(below, default=F("threshold_upper") - F("target_weight"))
    return ExpressionWrapper(Abs(drift) / Coalesce(NullIf(width, Decimal(0)), Value(Decimal(1))), output_field=EXACT)


def analysed(batch, user) -> QuerySet[Entry]:
    """The accounts of a request that this person sees and that have figures."""
    return selectors.entries(batch, user).filter(state__in=selectors.WITH_FIGURES, managed_value__gt=0)


# --- by ticker ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ticker:
    """A security, or cash, over all accounts: weights in percent of their V together, dollars at market, and in how
    many accounts it is outside. The band is that of the accounts' thresholds, weighted by V."""

    symbol: str
    before: Decimal
    target: Decimal
    after: Decimal
    lower: Decimal
    upper: Decimal
    outside_before: int
    outside_after: int
    bought: Decimal | None = None
    sold: Decimal | None = None

    @property
    def drift_before(self):
        return self.before - self.target

    @property
    def drift_after(self):
        return self.after - self.target

    def distances(self):
        """How far from its target each thing lies that its picture draws, in percentage points."""
        return [abs(end - self.target) for end in (self.before, self.after, self.lower, self.upper)]


@dataclass(frozen=True)
class Remains:
    """What is outside after the trades for one reason: in how many accounts, and the furthest of them in pp.

    `key` is what the filter of the list of accounts takes. `counts` is False for what stands at the step nearest its
    target, which is no drift that could be traded away.
    """

    symbol: str
    why: str
    key: str
    accounts: int
    furthest: Decimal | None
    counts: bool = True


@dataclass(frozen=True)
class ByTicker:
    """`overall` are the figures of all accounts together, as `_overall` names them."""

    overall: dict
    tickers: list[Ticker]
    cash: Ticker | None
    remains: list[Remains]


def by_ticker(batch, user) -> ByTicker:
    """Four queries, whatever the request holds; without accounts that have figures there is nothing in it."""
    chosen = analysed(batch, user)
    overall = _overall(chosen)
    if not overall["accounts"]:
        return ByTicker(overall, [], None, [])
    return ByTicker(overall, _tickers(chosen, overall["value"]), _cash(overall), _remains(chosen, overall))


def _overall(chosen):
    """Counts of accounts (`outside_*`: anything is, `cash_*`: cash is), V, sizes of drift, sums of cash times V."""
    outside = {
        "outside_before": cash_outside("before") | Exists(positions_where(OUTSIDE_BEFORE)),
        "outside_after": cash_outside("after") | Exists(positions_where(OUTSIDE_AFTER)),
        "cash_above_before": cash_beyond("before", ABOVE),
        "cash_below_before": cash_beyond("before", BELOW),
        "cash_above_after": cash_beyond("after", ABOVE),
        "cash_below_after": cash_beyond("after", BELOW),
    }
    drifts = {
        f"{name}_{when}": one(Abs(f"drift_{when}"))
        for name, one in (("mean", Avg), ("largest", Max))
        for when in ("before", "after")
    }
    weighted = {
        f"{bound}_sum": Sum(F(f"cash_{bound}") * F("managed_value"), output_field=EXACT)
        for bound in ("target", "lower", "upper")
    }
    return chosen.order_by().aggregate(
        accounts=Count("pk"),
        value=Sum("managed_value"),
        before_sum=Sum("cash_before"),
        after_sum=Sum("cash_after"),
        bought=Sum("buys_value"),
        sold=Sum("sells_value"),
        **{name: Count("pk", filter=condition) for name, condition in outside.items()},
        **drifts,
        **weighted,
    )


def _cash(overall):
    value = overall["value"]
    before, after = (overall[f"{when}_sum"] * HUNDRED / value for when in ("before", "after"))
    target, lower, upper = (overall[f"{bound}_sum"] / value for bound in ("target", "lower", "upper"))
    counts = [overall[f"cash_above_{when}"] + overall[f"cash_below_{when}"] for when in ("before", "after")]
    return Ticker(CASH, before, target, after, lower, upper, *counts)


def _lines(model, chosen):
    return model.objects.filter(entry__in=chosen.order_by().values("pk"))


def _tickers(chosen, value):
    """The largest targets first, then what weighs most."""
    names = {"before": "weight_before", "target": "target_weight", "after": "weight_after",
             "lower": "threshold_lower", "upper": "threshold_upper"}  # fmt: skip
    rows = (
        _lines(PositionLine, chosen)
        .filter(weight_before__isnull=False)
        .values("symbol")
        .annotate(
            outside_before=Count("entry", distinct=True, filter=OUTSIDE_BEFORE),
            outside_after=Count("entry", distinct=True, filter=OUTSIDE_AFTER),
            **{name: Sum(F(weight) * V, output_field=EXACT) / value for name, weight in names.items()},
        )
    )
    traded = _traded(chosen)
    untraded = {"bought": NOTHING, "sold": NOTHING}
    found = [Ticker(**row, **traded.get(row["symbol"], untraded)) for row in rows]
    return sorted(found, key=lambda one: (-one.target, -one.before, one.symbol))


def _traded(chosen):
    """{symbol: {"bought": dollars at market, "sold": ...}} of what is traded there; flat moves are no part of it."""
    rows = (
        _lines(TradeLine, chosen)
        .filter(market_quantity__gt=0)
        .values("symbol")
        .annotate(
            bought=Sum(AT_MARKET, filter=Q(side=Side.BUY), default=NOTHING),
            sold=Sum(AT_MARKET, filter=Q(side=Side.SELL), default=NOTHING),
        )
    )
    return {row.pop("symbol"): row for row in rows}


def _remains(chosen, overall):
    """Most accounts first; what stands at the step nearest its target comes last."""
    rows = (
        _lines(PositionLine, chosen)
        .filter(beyond("weight_after"))
        .values("symbol", "note")
        .annotate(accounts=Count("entry", distinct=True), furthest=Max(Abs(F("weight_after") - F("target_weight"))))
    )
    found = [_kept(**row) for row in rows]
    sides = [(side, overall[f"cash_{side}_after"]) for side in (ABOVE, BELOW)]
    found += [Remains(CASH, CASH_WORDS[side], f"{CASH}:{side}", n, None) for side, n in sides if n]
    return sorted(found, key=lambda one: (not one.counts, -one.accounts, one.symbol, one.why))


def _kept(symbol, note, accounts, furthest):
    return Remains(symbol, why_kept(note), f"{symbol}:{note}", accounts, furthest, note != Reason.NEAREST_STEP)


def why_kept(note: int, other: str = "another security") -> str:
    """Why a position stays outside its threshold, in words."""
    if not note:
        return UNKNOWN
    return WORDS[Reason(note)].format(other=other, weight="", threshold="", precision="").strip()
