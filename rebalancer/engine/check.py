"""The drift check of many accounts at once: what is outside, what triggers, how far it is."""

from dataclasses import dataclass

import numpy as np

from . import segments, size
from .book import Book
from .cash import DUST
from .reasons import Reason
from .scale import Scale, put_on_scale

CASH = -1  # in place of a row number, where an account's cash is meant
ONE_POINT = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Drift:
    """What the check found. Row arrays are (rows,), account arrays (accounts,)."""

    scale: Scale
    outside: np.ndarray  # bool (rows,): outside its threshold, and a whole step could bring it in or nearer
    triggers: np.ndarray  # bool (rows,): outside, switched on, and a trade the rules allow brings it nearer
    held_back: np.ndarray  # int8 (rows,): Reason an outside row does not trigger, 0 elsewhere
    high_cash: np.ndarray  # bool (accounts,): cash above its target, and triggers
    low_cash: np.ndarray
    furthest: np.ndarray  # int64 (accounts,): row with the largest drift for its band, or CASH

    @property
    def position_triggers(self):
        """Number of rows that trigger, int64 (accounts,)."""
        return segments.sums(self.triggers.astype(np.int64), self.scale.book.start)


def check(book: Book) -> Drift:
    """Weigh every account of a book against its bands. V must be above zero."""
    scale = put_on_scale(book)
    outside = _outside(scale)
    held_back = np.where(outside, _held_back(scale), 0).astype(np.int8)
    triggers = outside & (held_back == Reason.NONE) & book.triggers
    high, low = _cash_triggers(scale)
    return Drift(scale, outside, triggers, held_back, high, low, furthest(scale, scale.weight, scale.cash_weight))


def _outside(scale):
    """Outside the threshold, unless no whole step lies inside and the row stands at the step nearest its target."""
    bands = scale.threshold
    reachable = np.maximum(bands.lower, -scale.most_sold) <= bands.upper
    return bands.outside & (reachable | (scale.to_target != 0))


def _held_back(scale):
    """Why no trade that the rules allow can bring a row nearer its target; 0 where one can."""
    book, bands = scale.book, scale.threshold
    exits = (book.target == 0) & (scale.most_sold > 0)
    small = (np.abs(scale.to_target) < scale.least_trade) & ~exits
    return np.select(
        [size.forbidden(scale, bands), size.stuck(scale, bands), scale.to_target == 0, small],
        [book.why, Reason.FRACTION, Reason.NEAREST_STEP, Reason.BELOW_MINIMUM],
        Reason.NONE,
    )


def _cash_triggers(scale):
    """Where cash is outside its threshold and one allowed trade, a grain large, brings it nearer its target."""
    book, owner = scale.book, scale.owner
    distance = np.abs(scale.cash_weight - book.cash_target) * scale.managed
    grain = np.maximum(scale.least_trade, 1.0)
    dollars = grain * scale.step_value
    above_lower = (scale.cash_weight - book.cash_lower) * scale.managed
    spends = book.may_buy & (book.target > 0) & (dollars < 2 * distance[owner] - DUST)
    spends &= dollars <= above_lower[owner] + DUST
    grain = np.minimum(grain, scale.most_sold)
    raises = book.may_sell & (grain > 0) & (grain * scale.step_value < 2 * distance[owner] - DUST)
    any_spends = segments.sums(spends.astype(np.int64), book.start) > 0
    any_raises = segments.sums(raises.astype(np.int64), book.start) > 0
    below_zero = scale.cash < 0
    anything = segments.sums((book.may_sell & (scale.most_sold > 0)).astype(np.int64), book.start) > 0
    return (
        scale.cash_above & book.cash_triggers & any_spends,
        scale.cash_below & book.cash_triggers & (any_raises | (below_zero & anything)),
    )


def furthest(scale, weight, cash_weight):
    """The row, or CASH, of each account with the largest drift for the width of its threshold on that side.

    `weight` (rows,) and `cash_weight` (accounts,) are weights of now or after trades. The first row wins a tie.
    """
    book = scale.book
    size = _relative_drift(weight, book.target, book.lower, book.upper)
    cash = _relative_drift(cash_weight, book.cash_target, book.cash_lower, book.cash_upper)
    top = segments.largest(size, book.start, -1.0)
    is_top = size == top[scale.owner]
    first = np.full(len(top), len(size), dtype=np.int64)
    rows = np.flatnonzero(is_top)
    np.minimum.at(first, scale.owner[rows], rows)
    return np.where(cash >= top, CASH, first)


def _relative_drift(weight, target, lower, upper):
    drift = weight - target
    width = np.where(drift < 0, target - lower, upper - target)
    return np.abs(drift) / np.where(width > 0, width, ONE_POINT)
