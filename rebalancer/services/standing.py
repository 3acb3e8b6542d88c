"""Reasons for extra attention that lie in what an account holds: restrictions, unknown cost, far from its target.

Each is (key, words). Somebody acknowledges a key, so that it is another one when the reason has become another one.
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from accounts.models import Firm, TaxStatus
from rebalancer.engine import Drift, Reason
from rebalancer.engine.reasons import short
from rebalancer.loading import Loaded
from rebalancer.statuses import Outside, is_first_rebalance, restriction_words
from tax.relief import UNKNOWN

RESTRICTIONS = (Reason.NO_BUY, Reason.NO_SELL, Reason.DO_NOT_TRADE)
REBALANCED = ("rebalancing_since", "last_rebalanced", "last_rebalanced_at")
HELD_STEP = 0.5  # of the firm's points: so much further, and what a restriction holds is another reason


@dataclass(frozen=True, slots=True, eq=False)
class Together:
    """A book's rows put together over the sleeves of an account: one group for each account and security."""

    group: np.ndarray  # int64 (rows,)
    first: np.ndarray  # int64 (groups,): its first row

    @classmethod
    def of(cls, owner: np.ndarray, security_id: np.ndarray) -> "Together":
        """`owner` and `security_id` are int64 (rows,)."""
        key = owner * (int(security_id.max(initial=0)) + 1) + security_id
        _, first, group = np.unique(key, return_index=True, return_inverse=True)
        return cls(group, first)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Of (rows,), float64 (groups,)."""
        return np.bincount(self.group, weights=values, minlength=len(self.first))

    @property
    def in_several(self):
        """Rows whose security stands in more than one sleeve of the account, bool (rows,)."""
        return np.bincount(self.group, minlength=len(self.first))[self.group] > 1


def reasons(
    loaded: Loaded, drift: Drift, outside: dict[int, list[Outside]], together: Together, firm: Firm
) -> dict[int, list[tuple[str, str]]]:
    """{number of the account in the book: its reasons}; `outside` are its components outside their threshold."""
    found = defaultdict[int, list[tuple[str, str]]](list)
    points = float(firm.attention_points)
    for number, components in outside.items():
        held = [one for one in components if one.held_back in RESTRICTIONS]
        found[number] += [_held(one, points * HELD_STEP) for one in held]
    for number, symbol in _of_unknown_cost(loaded, drift):
        found[number].append((f"unknown cost {symbol}", f"{symbol} would be sold and its cost is unknown"))
    for number, symbol, distance in _far(loaded, drift, together, points):
        found[number].append(_far_reason(symbol, distance, points))
    return found


def _held(one, step):
    """Another reason on the other side, under another restriction, or when the distance reaches another step."""
    times = _times(one.distance, step)
    return f"restriction {one.symbol} {one.sleeve} {one.held_back} {one.side} {times}", restriction_words(one)


def _far_reason(symbol, distance, points):
    side = "above" if distance > 0 else "below"
    times = _times(distance, points)  # so that it is another reason when it is twice as far
    return f"far {symbol} {side} {times}", f"{symbol} {short(abs(distance))} points {side} its target"


def _times(distance, step):
    return int(abs(distance) // step) if step else 0


def _of_unknown_cost(loaded, drift):
    """(account, symbol), each once: what a taxable account would sell without knowing what it cost."""
    book, scale = loaded.book, drift.scale
    unknown = np.flatnonzero(book.lot_cost_cents == UNKNOWN)
    rows = np.unique(np.searchsorted(book.lot_start, unknown, side="right") - 1)
    rows = rows[scale.threshold.outside_high[rows]]
    each = ((int(scale.owner[row]), loaded.symbols[int(loaded.security_id[row])]) for row in rows.tolist())
    return [one for one in dict.fromkeys(each) if loaded.facts[one[0]]["tax_status"] == TaxStatus.TAXABLE]


def _far(loaded, drift, together, points):
    """(account, symbol, percentage points above the target) of securities held that far off, all sleeves together."""
    scale = drift.scale
    distance = together.sums(scale.weight - loaded.book.target) * 100
    held = together.sums(loaded.book.units > 0) > 0
    groups = np.flatnonzero((np.abs(distance) > points) & held)
    for group in groups[np.argsort(together.first[groups])].tolist():
        row = int(together.first[group])
        number = int(scale.owner[row])
        fact = loaded.facts[number]
        if not is_first_rebalance(*(fact[name] for name in REBALANCED)):
            yield number, loaded.symbols[int(loaded.security_id[row])], float(distance[group])
