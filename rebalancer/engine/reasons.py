"""Why a trade is made, and why something flagged is left alone: codes for arrays, and their words for people."""

from decimal import ROUND_HALF_UP, Decimal
from enum import IntEnum


class Reason(IntEnum):
    NONE = 0
    # why it may not be traded, as restrictions put it on a row of the book
    NO_BUY = 1
    NO_SELL = 2
    DO_NOT_TRADE = 3
    EXCLUDED = 4
    SUBSTITUTE_FOR = 5  # held in place of another security
    REPLACED_BY = 6  # another security is held in its place
    INACTIVE = 7
    # why a trade is made
    OUTSIDE_THRESHOLD = 20
    OUTSIDE_PRECISION = 21
    NO_TARGET = 22
    RAISES_CASH = 23
    INVESTS_CASH = 24
    LIQUIDATE = 25
    # why something is left alone
    INSIDE_THRESHOLD = 40
    INSIDE_PRECISION = 41
    BELOW_MINIMUM = 42
    NEAREST_STEP = 43
    FRACTION = 44
    KEEPS_CASH = 45
    TOO_MUCH_CASH = 46
    # what is outside the managed value
    PROTECTED = 60
    COUNTS_AS_CASH = 61


WORDS = {
    Reason.NO_BUY: "no buy",
    Reason.NO_SELL: "no sell",
    Reason.DO_NOT_TRADE: "do not trade",
    Reason.EXCLUDED: "excluded",
    Reason.SUBSTITUTE_FOR: "substitute for {other}",
    Reason.REPLACED_BY: "replaced by {other}",
    Reason.INACTIVE: "security is inactive: no buys",
    Reason.OUTSIDE_THRESHOLD: "outside threshold {threshold}: {weight}",
    Reason.OUTSIDE_PRECISION: "outside precision {precision}: {weight}",
    Reason.NO_TARGET: "no target",
    Reason.RAISES_CASH: "raises cash to target",
    Reason.INVESTS_CASH: "invests cash above target",
    Reason.LIQUIDATE: "liquidation",
    Reason.INSIDE_THRESHOLD: "inside threshold {threshold}",
    Reason.INSIDE_PRECISION: "inside precision {precision}",
    Reason.BELOW_MINIMUM: "below minimum trade",
    Reason.NEAREST_STEP: "at the step nearest its target",
    Reason.FRACTION: "a fraction that cannot be sold stays",
    Reason.KEEPS_CASH: "not enough cash",
    Reason.TOO_MUCH_CASH: "would leave too much cash",
    Reason.PROTECTED: "protected",
    Reason.COUNTS_AS_CASH: "counts as cash",
}


def in_words(code, *, other="", weight=None, threshold=(None, None), precision=(None, None)):
    """A reason as a sentence of its own. Weights and bounds are Decimals in percent of V."""
    if not code:
        return ""
    places = places_of(code, weight, threshold, precision)
    return WORDS[Reason(code)].format(
        other=other,
        weight=percent(weight, places),
        threshold=band(threshold, places),
        precision=band(precision, places),
    )


def places_of(code, weight, threshold, precision):
    """Decimals a reason needs so that a weight outside its band does not read like one on its bound: 2, or more."""
    lower, upper = {Reason.OUTSIDE_THRESHOLD: threshold, Reason.OUTSIDE_PRECISION: precision}.get(code, (None, None))
    if weight is None or lower is None or lower <= weight <= upper:
        return 2
    bound = lower if weight < lower else upper
    return next((places for places in (2, 4, 6) if rounded(weight, places) != rounded(bound, places)), 8)


def percent(value, places=2):
    """A weight: "13.1 %"."""
    return "—" if value is None else f"{short(value, places)} %"


def band(bounds, places=2):
    """Bounds, a pair: "8–12 %"."""
    lower, upper = bounds
    return "—" if lower is None else f"{short(lower, places)}–{short(upper, places)} %"


def short(value, places=2):
    """A percentage with so many decimals and no needless zeros: 28, 9.6, 3.97; a very small one with four."""
    if value and abs(value) < Decimal("0.1"):
        places = max(places, 4)
    return f"{rounded(value, places):f}".rstrip("0").rstrip(".")


def rounded(value, places):
    return Decimal(value).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
