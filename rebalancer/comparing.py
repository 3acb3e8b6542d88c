"""Best Fit and Min Transaction for one account of a request, side by side: gains per position, trades, ending cash.

One side is the proposal itself, the other what was kept beside it when it was proposed, at the same prices. Nothing is
proposed here, so the page of an ended request shows what was seen then.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from accounts.models import TaxStatus
from rebalancer.models import Alternative, Entry
from rebalancer.recommended import Line, Recommended, what_is_traded
from rebalancer.states import OTHER_LOGIC, EntryState, Logic

NOTHING_KEPT = "No comparison was kept with this proposal."
ANEW = f"{NOTHING_KEPT} Proposing the request anew makes one."
LIQUIDATION = "A liquidation sells everything that may be sold; it is not compared with another trade logic."
NOT_PROPOSED = "There is nothing to compare: the account could not be proposed."
IDLE = "Nothing is sold at the market by either trade logic, so no gain or loss is realized."
FAILED_SIDE = "By {logic} this account could not be proposed. {reason}"


@dataclass(frozen=True, slots=True)
class Gain:
    """Short- and long-term gain: the sum of known lots, None where none is known; and how many lots are not known."""

    short_term: Decimal | None = Decimal("0.00")
    long_term: Decimal | None = Decimal("0.00")
    unknown_short: int = 0
    unknown_long: int = 0


NO_SALE = Gain()
NOT_KNOWN = Gain(None, None)


@dataclass(frozen=True, slots=True)
class Side:
    """One trade logic; `own` is the proposal's. `reason` says why the account could not be proposed by it."""

    logic: Logic
    own: bool
    reason: str
    figures: Entry | Alternative
    gains: dict[tuple[int, int], Gain]  # by sleeve id and security id, of the positions with a sale
    total: Gain

    @property
    def traded(self) -> str:
        return "" if self.reason else what_is_traded(self.figures) or "none"

    def of(self, key: tuple[int, int]) -> Gain:
        return NOT_KNOWN if self.reason else self.gains.get(key, NO_SALE)


@dataclass(frozen=True, slots=True)
class Compared:
    """A position that one of the logics sells of, with its gain under Best Fit and under Min Transaction."""

    line: Line
    gains: list[Gain]


@dataclass(frozen=True, slots=True)
class Comparison:
    """`sides` are Best Fit and Min Transaction, in this order; `others` counts the positions that neither sells of.

    `words` says what there is to say: why there is no comparison (then there are no sides), or what limits it.
    """

    taxable: bool
    words: str = ""
    sides: tuple[Side, ...] = ()
    lines: tuple[Compared, ...] = ()
    others: int = 0

    @property
    def own(self) -> Side | None:
        """The side that the account is proposed by."""
        return next((side for side in self.sides if side.own), None)


def compared(entry: Entry, found: Recommended, logic: str) -> Comparison:
    """The comparison for an entry read with its `alternative`, in a batch of this logic; costs no query."""
    taxable = entry.tax_status == TaxStatus.TAXABLE
    kept: Alternative | None = getattr(entry, "alternative", None)
    if kept is None or entry.state == EntryState.FAILED:
        return Comparison(taxable, _why_none(entry, logic))
    sides = sorted((_own_side(entry, found, kept), _other_side(kept)), key=lambda side: side.logic != Logic.BEST_FIT)
    sold = set().union(*(side.gains for side in sides))
    lines = [Compared(line, [side.of(line.key) for side in sides]) for line in found.lines if line.key in sold]
    return Comparison(taxable, _limits(sides, lines), tuple(sides), tuple(lines), len(found.lines) - len(lines))


def _why_none(entry, logic):
    if entry.state == EntryState.FAILED:
        return NOT_PROPOSED
    if logic == Logic.LIQUIDATE:
        return LIQUIDATION
    return ANEW if entry.state == EntryState.PROPOSED else NOTHING_KEPT


def _limits(sides, lines):
    for side in sides:
        if side.reason:
            return FAILED_SIDE.format(logic=side.logic.label, reason=side.reason)
    return "" if lines else IDLE


def _own_side(entry, found, kept):
    gains = {line.key: _gain_of(line) for line in found.lines if line.sales}
    return Side(OTHER_LOGIC[Logic(kept.logic)], True, "", entry, gains, _total(entry, gains.values()))


def _other_side(kept):
    gains = {
        (sleeve, security): Gain(_dollars(short), _dollars(long), *unknown)
        for sleeve, security, short, long, *unknown in kept.gains
    }
    total = NOT_KNOWN if kept.reason else _total(kept, gains.values())
    return Side(Logic(kept.logic), False, kept.reason, kept, gains, total)


def _gain_of(line):
    """The gain of a position's sold lots."""
    amounts, unknown = [], []
    for term in ("short", "long"):
        gains = [lot.gain for lot in line.sales if lot.term == term]
        known = [gain for gain in gains if gain is not None]
        amounts.append(sum(known, Decimal("0.00")) if known or not gains else None)
        unknown.append(len(gains) - len(known))
    return Gain(*amounts, *unknown)


def _total(figures, gains: Iterable[Gain]):
    gains = list(gains)
    unknown = (sum(gain.unknown_short for gain in gains), sum(gain.unknown_long for gain in gains))
    return Gain(figures.short_term_gain, figures.long_term_gain, *unknown)


def _dollars(cents):
    return None if cents is None else Decimal(cents).scaleb(-2)
