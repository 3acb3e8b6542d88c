"""The recommended orders of one account in a request, position by position, as its page shows them.

Everything comes from the copies the request keeps, so the page of an ended request shows what was seen then.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from accounts.listing.drift import scale_of
from accounts.listing.figures import band_text, percent_text, plural, quantity_text, sleeve_text
from rebalancer import selectors
from rebalancer.engine.reasons import WORDS, Reason, places_of
from rebalancer.models import BatchPrice, LotLine, PositionLine, TradeLine
from tax.terms import first_long_term_day
from trading.states import Side

NEAR = Decimal("0.0001")  # percentage points between two figures of the same thing, each rounded by itself
MODEL = "model:"
SHORT = "short"
EPOCH = date(1970, 1, 1)
CASH = "Cash"


@dataclass
class Line:
    """A position with its trade, if any, and the lots taken for it. Weights are in percent of V."""

    position: PositionLine
    name: str = ""
    trade: TradeLine | None = None
    lots: list[LotLine] = field(default_factory=list)
    flat: str = ""

    @property
    def key(self):
        return self.position.sleeve_id, self.position.security_id

    @property
    def sleeve(self):
        return sleeve_words(self.position.sleeve)

    @property
    def counts(self):
        """Whether it is part of V: protected and cash-like holdings have no weight."""
        return self.position.weight_before is not None

    why: str = ""

    @property
    def sales(self):
        return [lot for lot in self.lots if lot.use == LotLine.Use.SALE]

    @property
    def shown_lots(self):
        """Its lots, each with the first day on which its sale would be long-term where it is short-term now."""
        return [(lot, long_term_from(lot.acquired_on) if lot.term == SHORT else None) for lot in self.lots]

    @property
    def gain(self):
        """The estimated G&L: the sum of its known lots, None when none is known, 0 where nothing is sold."""
        known = [lot.gain for lot in self.sales if lot.gain is not None]
        return sum(known, Decimal("0.00")) if known or not self.sales else None

    @property
    def unknown_lots(self):
        return sum(1 for lot in self.sales if lot.gain is None)

    def order(self):
        """Managed first, then the models by name; the largest targets first."""
        row = self.position
        return row.sleeve.startswith(MODEL), row.sleeve, -(row.target_weight or 0), row.symbol, row.pk


@dataclass(frozen=True)
class CashLine:
    """Available cash in percent of V, before and after, with its target and threshold; None where there is no V."""

    before: Decimal | None
    after: Decimal | None
    target: Decimal | None
    lower: Decimal | None
    upper: Decimal | None


@dataclass(frozen=True)
class Furthest:
    """The component that is furthest from its target in relation to its threshold, and where it stands."""

    name: str
    inside: bool
    lower: Decimal
    upper: Decimal


@dataclass(frozen=True)
class Recommended:
    """`lines` are the positions of V, `outside` those protected or counting as cash; `reach` is the pictures' scale."""

    lines: list[Line]
    outside: list[Line]
    cash: CashLine
    reach: Decimal
    furthest_before: "Furthest | None"
    furthest_after: "Furthest | None"


def recommended(entry) -> Recommended:
    """Read an entry's lines: four queries, whatever their number."""
    trades = {(trade.sleeve_id, trade.security_id): trade for trade in selectors.trades(entry)}
    lots = defaultdict(list)
    for lot in selectors.lots(entry):
        lots[lot.sleeve_id, lot.security_id].append(lot)
    positions, cash = list(selectors.positions(entry)), _cash(entry)
    priced = BatchPrice.objects.filter(batch=entry.batch_id, security_id__in={one.security_id for one in positions})
    names = dict(priced.values_list("security_id", "name"))
    flats = _flat_words(trades.values())
    lines = [_line(position, names, trades, lots, flats) for position in positions]
    for line in lines:
        line.why = why_words(line, cash)
    counted = sorted((line for line in lines if line.counts), key=Line.order)
    return Recommended(
        counted,
        [line for line in lines if not line.counts],
        cash,
        _reach(counted, cash),
        _furthest(counted, cash, entry.drift_before, "before"),
        _furthest(counted, cash, entry.drift_after, "after", entry.drift_of),
    )


def why_words(line, cash):
    """Why a position is traded or left alone, in the figures of the page; empty when there is nothing to say."""
    row = line.position
    code, other = (line.trade.reason, line.trade.other_symbol) if line.trade else (row.note, row.other_symbol)
    if code == Reason.RAISES_CASH and cash.after is not None:
        return f"raises cash to {percent_text(cash.after)}, target {percent_text(cash.target)}"
    return reason_words(
        code,
        other=other,
        weight=row.weight_before,
        threshold=(row.threshold_lower, row.threshold_upper),
        precision=(row.precision_lower, row.precision_upper),
    )


def reason_words(code, *, other="", weight=None, threshold=(None, None), precision=(None, None)):
    """A reason with its figures as pages show figures; files have them as `engine.in_words` writes them."""
    if not code:
        return ""
    places = places_of(code, weight, threshold, precision)
    figures = {
        "weight": percent_text(weight, places),
        "threshold": band_text(*threshold, places),
        "precision": band_text(*precision, places),
    }
    return WORDS[Reason(code)].format(other=other, **figures)


def sleeve_words(sleeve):
    return sleeve_text(sleeve)


def _line(position, names, trades, lots, flats):
    key = position.sleeve_id, position.security_id
    trade = trades.get(key)
    return Line(position, names.get(key[1], ""), trade, lots.get(key, []), flats.get(key, ""))


def _flat_words(trades):
    """{(sleeve, security): what of its trade is moved inside the account, and from or to where}."""
    ends = defaultdict(list)
    for trade in trades:
        if trade.flat_quantity:
            ends[trade.security_id, trade.side].append(sleeve_words(trade.sleeve))
    return {
        (trade.sleeve_id, trade.security_id): _journaled(trade, ends) for trade in trades if trade.flat_quantity
    }  # fmt: skip


def _journaled(trade, ends):
    buys = trade.side == Side.BUY
    others = ends[trade.security_id, Side.SELL if buys else Side.BUY]
    words = f"{quantity_text(trade.flat_quantity)} journaled {'from' if buys else 'to'} {' and '.join(others)}"
    rest = f"; {quantity_text(trade.market_quantity)} at the market" if trade.market_quantity else ""
    return f"{words}, flat, not taxable{rest}"


def _cash(entry):
    return CashLine(
        _weight(entry.cash_before, entry.managed_value),
        _weight(entry.cash_after, entry.managed_value),
        entry.cash_target,
        entry.cash_lower,
        entry.cash_upper,
    )


def _weight(dollars, managed_value):
    known = dollars is not None and managed_value is not None and managed_value > 0
    return dollars * 100 / managed_value if known else None


def _reach(lines, cash):
    """One scale for all pictures of the account: all that they draw is on it."""
    found = [abs(end - line.position.target_weight) for line in lines for end in _ends(line.position)]
    if cash.before is not None and cash.target is not None:
        ends = (cash.before, cash.after, cash.lower, cash.upper)
        found += [abs(end - cash.target) for end in ends if end is not None]
    return scale_of(found)


def _ends(row):
    return row.weight_before, row.weight_after, row.threshold_lower, row.threshold_upper


def _furthest(lines, cash, drift, when, name=""):
    """The component whose drift is the account's, of that name if it is known; None when it cannot be told."""
    if drift is None:
        return None
    rows = [line.position for line in lines]
    found = [
        (row.symbol, getattr(row, f"weight_{when}"), row.target_weight, row.threshold_lower, row.threshold_upper)
        for row in rows
    ]
    if cash.before is not None and cash.target is not None:
        found.append((CASH, getattr(cash, when), cash.target, cash.lower, cash.upper))
    near = [one for one in found if name in ("", one[0]) and abs(one[1] - one[2] - drift) < NEAR]
    if not near:
        return None
    symbol, weight, _, lower, upper = max(near, key=share_of_band)
    return Furthest(symbol, lower <= weight <= upper, lower, upper)


def share_of_band(component):
    """Drift in relation to the width on its side of the threshold; a width of 0 counts as one percentage point."""
    _, weight, target, lower, upper = component
    width = upper - target if weight > target else target - lower
    return abs(weight - target) / (width or 1)


def long_term_from(acquired):
    """The first trade date on which a lot acquired on this day is long-term."""
    return EPOCH + timedelta(days=int(first_long_term_day((acquired - EPOCH).days)))


def what_is_traded(entry):
    """The trades of an account in words: "4 buys, 6 sells, 1 flat trade"."""
    parts = [(entry.buys, "buy"), (entry.sells, "sell"), (entry.flat_trades, "flat trade")]
    return ", ".join(plural(count, name) for count, name in parts if count)
