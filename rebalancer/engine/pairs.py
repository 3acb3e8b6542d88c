"""Two trades that together bring cash inside its bounds, for the few accounts where no single one can.

Steps are whole, so that a purchase may overshoot what a sale of something else would give back. Here every pair of an
account's rows is tried: the coarser one at some sizes around where it stands, the finer one where it has to be then.
"""

from dataclasses import dataclass

import numpy as np

from . import segments
from .cash import DUST
from .scale import down, up

MOST_ROWS = 10  # of an account, those with the most room: some dozens of pairs find what thousands would
REACH = 5  # steps up and down from where the coarser row stands
BLOCK = 500  # accounts at a time, so that their pairs fit into a little memory
MOST_SPARED = 4  # trades of an account that may be spared, one after the other
A_TRADE = 1e10  # dollars: one trade less counts for more than any turnover ...
A_DOLLAR = 1e10  # ... and as much as a dollar that cash misses its bounds


@dataclass(frozen=True, slots=True)
class Choice:
    """Where rows may end: whole steps from `low` to `high`, none or at least `least`; the nearer to `anchor`, the
    better. All float64 (rows,)."""

    low: np.ndarray
    high: np.ndarray
    least: np.ndarray
    anchor: np.ndarray
    dollars: np.ndarray  # of one step

    def of(self, rows):
        return Choice(*(getattr(self, name)[rows] for name in ("low", "high", "least", "anchor", "dollars")))

    def allows(self, steps):
        return (steps >= self.low) & (steps <= self.high) & ((steps == 0) | (np.abs(steps) >= self.least))

    def cost(self, steps):
        return np.abs(steps - self.anchor) * self.dollars + A_TRADE * (steps != 0)


def land_cash(scale, steps, limits, anchor, aim):
    """Bring cash that is outside its bounds inside by two rows that stay within their limits (lower, upper)."""
    _land_outside(scale, steps, limits, anchor, aim, _inside)


def bring_near(scale, steps, limits, anchor, aim):
    """Bring cash that is above its bounds as near to them as two rows can, where no two can bring it inside."""
    _land_outside(scale, steps, limits, anchor, aim, _nearest)


def _land_outside(scale, steps, limits, anchor, aim, answer):
    left = scale.cash_after(steps)
    chosen = np.flatnonzero((left > aim.upper + DUST) | ((left < aim.lower - DUST) & (answer is _inside)))
    if chosen.size:
        choice = _choice(scale, limits, anchor)
        usable = (scale.book.target > 0) & (choice.low <= choice.high)
        _land(scale, steps, chosen, usable, choice, aim, answer)


def spare_trades(scale, steps, forced, limits, aim):
    """Drop trades made for cash, the smallest first, where two of the other trades can take their part."""
    free = np.flatnonzero((steps != 0) & ~forced)
    if not free.size:
        return
    owner = scale.owner[free]
    free = free[np.lexsort((np.abs(steps[free]) * scale.step_value[free], owner))]
    rank = np.arange(len(free)) - np.searchsorted(owner, owner)
    choice = _choice(scale, limits, np.zeros(len(steps)))
    for turn in range(min(MOST_SPARED, rank.max() + 1)):
        rows = free[(rank == turn) & (steps[free] != 0)]
        was = steps[rows]
        steps[rows] = 0.0
        usable = (scale.book.target > 0) & (steps != 0) & (choice.low <= choice.high)
        found = _land(scale, steps, scale.owner[rows], usable, choice, aim, _inside)
        steps[rows[~found]] = was[~found]


def _choice(scale, limits, anchor):
    low, high = limits
    return Choice(low, high, np.maximum(scale.least_trade, 1.0), anchor, scale.step_value)


def _land(scale, steps, chosen, usable, choice, aim, answer):
    """`land` for those of the chosen accounts whose rows, all together, have the room for it."""
    left, low = scale.cash_after(steps), np.maximum(aim.lower, aim.kept)
    rows, start = segments.ranges(scale.book.start, chosen)
    most, least, now = choice.high[rows], choice.low[rows], steps[rows]
    dollars = scale.step_value[rows] * usable[rows]
    more, less = segments.sums((most - now) * dollars, start), segments.sums((now - least) * dollars, start)
    able = ((left[chosen] - more <= aim.upper[chosen]) & (left[chosen] + less >= low[chosen])) | (answer is _nearest)
    found = np.zeros(len(chosen), dtype=bool)
    those = chosen[able]
    excess, width = (left - low)[those], (aim.upper - low)[those]
    blocks = [slice(begin, begin + BLOCK) for begin in range(0, len(those), BLOCK)]
    landed = [
        land(scale.book.start, steps, those[some], usable, choice, excess[some], width[some], answer) for some in blocks
    ]
    found[able] = np.concatenate([np.zeros(0, dtype=bool), *landed])
    return found


def land(start, steps, chosen, usable, choice, excess, width, answer):
    """Move two rows of each chosen account so that cash ends inside its bounds, where any two can.

    `start`: offsets of the accounts' rows; `steps` (rows,) changes in place; `chosen`: int64 (n,) accounts; `usable`:
    bool (rows,); `excess`: dollars (n,) that cash is above its lower bound; `width`: dollars (n,) between the bounds;
    `answer`: how the second row answers the first, `_inside` or `_nearest`. Returns bool (n,): where it was found.
    """
    found = np.zeros(len(chosen), dtype=bool)
    rows, case = _candidates(start, chosen, usable, choice)
    first, second = _pairs(rows, case, choice)
    if not first.size:
        return found
    case = case[first]
    first, second = rows[first], rows[second]
    size, other, cost = _sizes(steps, first, second, choice, excess[case], width[case], answer)
    best = np.lexsort((np.arange(len(cost)), cost, case))
    best = best[segments.firsts(case[best])]
    best = best[np.isfinite(cost[best])]
    steps[first[best]] = size[best]
    steps[second[best]] = other[best]
    found[case[best]] = True
    return found


def _candidates(start, chosen, usable, choice):
    """The usable rows of each chosen account, at most MOST_ROWS, and the number of the case each belongs to."""
    rows, offsets = segments.ranges(start, chosen)
    case = np.repeat(np.arange(len(chosen)), segments.lengths(offsets))
    keep = usable[rows]
    rows, case = rows[keep], case[keep]
    room = (choice.high[rows] - choice.low[rows]) * choice.dollars[rows]
    order = np.lexsort((-room, case))
    rows, case = rows[order], case[order]
    begins = np.searchsorted(case, np.arange(len(chosen)))
    keep = np.arange(len(rows)) - begins[case] < MOST_ROWS
    return rows[keep], case[keep]


def _pairs(rows, case, choice):
    """All pairs of places in `rows` of the same case, the one with the coarser step first."""
    count = np.bincount(case) if len(case) else np.zeros(0, dtype=np.int64)
    begins = np.cumsum(count) - count
    first = np.repeat(np.arange(len(rows)), count[case])
    second, _ = segments.ranges(np.append(begins, len(rows)), case)
    dollars = choice.dollars[rows]
    coarser = (dollars[first] > dollars[second]) | ((dollars[first] == dollars[second]) & (first < second))
    return first[coarser], second[coarser]


def _sizes(steps, first, second, choice, excess, width, answer):
    """The cheapest sizes of each pair: of the first, of the second, and the cost beyond today's, inf for none."""
    one, two = choice.of(first), choice.of(second)
    now, other_now = steps[first], steps[second]
    around = np.arange(-REACH, REACH + 1)[:, None] + now
    offers = np.vstack([around, np.zeros(len(now)), one.least, -one.least, one.low, one.high, one.anchor])
    excess_then = excess + (now - offers) * one.dollars + other_now * two.dollars
    replies, miss = answer(two, excess_then, width)
    prices = np.where(one.allows(offers), one.cost(offers) + two.cost(replies) + A_DOLLAR * miss, np.inf)
    best = np.argmin(prices, axis=0), np.arange(len(now))
    size, other = offers[best], replies[best]
    cost = prices[best] - (one.cost(now) + two.cost(other_now))
    if answer is _nearest:
        cost[cost >= A_DOLLAR * (excess - width)] = np.inf
    return size, other, cost


def _inside(two, excess, width):
    """The best size of the second row that brings cash inside its bounds; 0 where there is one, else inf."""
    low = np.maximum(up((excess - width) / two.dollars), two.low)
    high = np.minimum(down(excess / two.dollars), two.high)
    near = np.clip(two.anchor, low, high)
    near = np.where((low <= 0) & (high >= 0) & (np.abs(near) < two.least), 0.0, near)
    near = np.where((near > 0) & (near < two.least), two.least, near)
    near = np.where((near < 0) & (near > -two.least), -two.least, near)
    return near, np.where((low <= high) & (near >= low) & (near <= high), 0.0, np.inf)


def _nearest(two, excess, width):
    """The size of the second row that leaves cash least above its upper bound, not below its lower one; the miss in
    dollars, inf where there is none."""
    most = np.minimum(down(excess / two.dollars), two.high)
    most = np.where((most > 0) & (most < two.least), 0.0, most)
    most = np.where((most < 0) & (most > -two.least), -two.least, most)
    miss = np.maximum(excess - most * two.dollars - width, 0.0)
    return most, np.where(most >= two.low, miss, np.inf)
