"""Which lots go when shares are sold: orders of relief, and how much each lot gives. Pure numpy.

Lots come in age order (acquired, then lot id by bytes) inside their segment, one segment per position; that order
breaks every tie, so each method only has to name what comes before age.
"""

from enum import IntEnum

import numpy as np

from tax.terms import is_long_term

UNKNOWN = -1  # cost in cents of a lot whose cost nobody knows
RANK_BIT = 59  # in a key, where the rank stands above what decides within it
LAST = 9  # rank of lots of unknown cost
SMALLEST, LARGEST = np.float64(2.0**-64), np.float64(2.0**63)  # costs in cents a millionth, see _falling
MOST_COMPARED = 32  # lots of a position up to which comparing all with all is the quickest way to sort
CENTS_TIMES_MICROS = 1e10  # cost in cents × this = price in millionths of a dollar × units in millionths of a share


class Method(IntEnum):
    FIFO = 0
    LIFO = 1
    HIFO = 2
    MINIMUM_TAX = 3


def relief_order(segment, method, units, cost_cents, acquired, price, trade_day):
    """Indices that put lots into relief order, segment by segment.

    All arguments but `trade_day` are arrays (lots,): segment number (ascending), Method, units in millionths of a
    share, total cost in cents or UNKNOWN, days, dollars a share. Ties keep the age order in which the lots came.
    """
    key = np.zeros(len(units), dtype=np.int64)
    lifo = np.flatnonzero(method == Method.LIFO)
    key[lifo] = -acquired[lifo].astype(np.int64)
    by_cost = (method == Method.HIFO) | (method == Method.MINIMUM_TAX)
    unknown = cost_cents == UNKNOWN
    key[by_cost & unknown] = LAST << RANK_BIT
    known = np.flatnonzero(by_cost & ~unknown)
    if known.size:
        key[known] = _falling(cost_cents[known] / units[known])
    taxed = np.flatnonzero((method == Method.MINIMUM_TAX) & ~unknown)
    if taxed.size:
        long_term = is_long_term(acquired[taxed], trade_day)
        key[taxed] += _minimum_tax_rank(units[taxed], cost_cents[taxed], price[taxed], long_term) << RANK_BIT
    return _sorted_in_segments(segment, key)


def _falling(cost_per_share):
    """Whole numbers below 2 ** RANK_BIT that fall as costs rise, equal only where costs are.

    A positive float's bits, read as a whole number, rise with it; from SMALLEST to LARGEST they take seven bits of
    exponent and 52 of fraction. In cents a millionth, no cost and units of 64 bits lie outside, but for 0.
    """
    bits = np.maximum(cost_per_share, SMALLEST).view(np.int64)
    return LARGEST.view(np.int64) - bits


def _minimum_tax_rank(units, cost_cents, price, long_term):
    """Rank under Minimum Tax: short losses, long losses, no gain (short, long), long gains, short gains.

    Losses go from largest to smallest per share and gains from smallest to largest: both are falling cost per share.
    """
    gain = np.sign(np.rint(price * 1e6) * units - cost_cents * CENTS_TIMES_MICROS)
    rank = np.where(gain < 0, 0, np.where(gain == 0, 2, np.where(long_term, 4, 5)))
    return rank + (long_term & (gain <= 0))


def _sorted_in_segments(segment, key):
    """Indices that sort each segment by key, ties as they came. Segments of about one size are sorted side by side."""
    order = np.arange(len(key))
    start = np.flatnonzero(segment[1:] != segment[:-1]) + 1
    start = np.concatenate(([0], start)) if len(key) else start
    size = np.diff(start, append=len(key))
    widest, width = int(size.max(initial=1)), 1
    while width < widest:
        chosen = np.flatnonzero((size > width) & (size <= 2 * width))
        width *= 2
        if chosen.size:
            _sort_side_by_side(order, key, start[chosen], size[chosen], width)
    return order


def _sort_side_by_side(order, key, start, size, width):
    """Write the sorted indices of these segments, none larger than `width`, into `order`."""
    grid = start + np.arange(width)[:, None]
    filled = np.arange(width)[:, None] < size
    keys = np.where(filled, key[np.minimum(grid, len(key) - 1)], np.iinfo(np.int64).max)
    if width > MOST_COMPARED:
        from_ = np.take_along_axis(grid, np.argsort(keys, axis=0, kind="stable"), axis=0)
        order[grid[filled]] = from_[filled]
    else:
        order[(start + _places(keys))[filled]] = grid[filled]


def _places(keys):
    """Place of each entry in its sorted column, by comparing all with all; the upper one comes first on a tie."""
    places = np.zeros(keys.shape, dtype=np.int64)
    for upper in range(len(keys)):
        comes_first = keys[upper] <= keys[upper + 1 :]
        places[upper + 1 :] += comes_first
        places[upper] += len(comes_first) - comes_first.sum(axis=0)
    return places


def take(segment_start, units, wanted):
    """How much each lot gives when each segment gives `wanted` units, from its first lot on.

    `segment_start`: int64 (segments,), first lot of each, none empty; `units` int64 (lots,); `wanted` int64
    (segments,), at most what the segment holds. Returns int64 (lots,).
    """
    if not len(units):
        return np.zeros(0, dtype=np.int64)
    lots = np.diff(segment_start, append=len(units))
    before = np.cumsum(units) - units
    before -= np.repeat(before[segment_start], lots)
    return np.clip(np.repeat(wanted, lots) - before, 0, units)
