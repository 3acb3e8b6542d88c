"""The recommended orders of one account in a request, position by position, as its page shows them.

Everything comes from the copies the request keeps, so the page of an ended request shows what was seen then.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal

from accounts.listing.figures import plural, quantity_text, sleeve_text
from accounts.models import Security
from rebalancer import selectors
from rebalancer.models import LotLine, PositionLine, TradeLine
from trading.states import Side

NEAREST, FURTHEST = Decimal(2), Decimal(6)  # percentage points that a picture's half line may stand for
MODEL = "model:"


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

    @property
    def why(self):
        if self.trade is not None:
            return selectors.trade_reason(self.trade, self.position)
        return selectors.position_note(self.position)

    @property
    def sales(self):
        return [lot for lot in self.lots if lot.use == LotLine.Use.SALE]

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
class Recommended:
    """`lines` are the positions of V, `outside` those protected or counting as cash; `reach` is the pictures' scale."""

    lines: list[Line]
    outside: list[Line]
    cash: CashLine
    reach: Decimal
    furthest_before: str


def recommended(entry) -> Recommended:
    """Read an entry's lines: four queries, whatever their number."""
    trades = {(trade.sleeve_id, trade.security_id): trade for trade in selectors.trades(entry)}
    lots = defaultdict(list)
    for lot in selectors.lots(entry):
        lots[lot.sleeve_id, lot.security_id].append(lot)
    positions = list(selectors.positions(entry))
    names = dict(Security.objects.filter(pk__in={one.security_id for one in positions}).values_list("pk", "name"))
    flats = _flat_words(trades.values())
    lines = [_line(position, names, trades, lots, flats) for position in positions]
    counted = sorted((line for line in lines if line.counts), key=Line.order)
    cash = _cash(entry)
    return Recommended(
        counted,
        [line for line in lines if not line.counts],
        cash,
        _reach(counted, cash),
        _furthest(entry, counted, cash),
    )


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
    """One scale for all pictures of the account: the furthest thing to be seen, within reason."""
    found = [abs(end - line.position.target_weight) for line in lines for end in _ends(line.position)]
    if cash.before is not None and cash.target is not None:
        found += [abs(cash.before - cash.target)]
    return scale_of(found)


def scale_of(distances):
    """How many percentage points the half line of each picture of an account stands for, whatever lies furthest."""
    return min(max([*distances, NEAREST]), FURTHEST)


def _ends(row):
    return row.weight_before, row.weight_after, row.threshold_lower, row.threshold_upper


def _furthest(entry, lines, cash):
    """The name of the component whose drift before is the account's; empty when it cannot be told."""
    if entry.drift_before is None:
        return ""
    drifts = [(line.position.weight_before - line.position.target_weight, line.position.symbol) for line in lines]
    if cash.before is not None and cash.target is not None:
        drifts.append((cash.before - cash.target, "Cash"))
    near = [name for drift, name in drifts if abs(drift - entry.drift_before) < Decimal("0.0001")]
    return near[0] if len(set(near)) == 1 else ""


def what_is_traded(entry):
    """The trades of an account in words: "4 buys, 6 sells, 1 flat trade"."""
    parts = [(entry.buys, "buy"), (entry.sells, "sell"), (entry.flat_trades, "flat trade")]
    return ", ".join(plural(count, name) for count, name in parts if count)
