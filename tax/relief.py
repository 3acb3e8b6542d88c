"""Which lots go when shares are sold: orders of relief, and how much each lot gives. Pure numpy.

Lots come in age order (acquired, then lot id by bytes) inside their position; that order breaks every tie, so each
method only has to name what comes before age.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from tax.terms import is_long_term

UNKNOWN = -1  # cost in cents of a lot whose cost nobody knows
RANK_BIT = 59  # in a key, where the rank stands above what decides within it
LAST = 9  # rank of lots of unknown cost
SMALLEST, LARGEST = np.float64(2.0**-64), np.float64(2.0**63)  # costs in cents a millionth, see _falling
MOST_COMPARED = 16  # lots of a position up to which comparing all with all is quicker than sorting
GRID = 1 << 15  # lots at a time, so that what is known of them stays in the caches
CENTS_TIMES_MICROS = 1e10  # cost in cents × this = price in millionths of a dollar × units in millionths of a share


class Method(IntEnum):
    FIFO = 0
    LIFO = 1
    HIFO = 2
    MINIMUM_TAX = 3


METHODS = {method.name.lower(): method for method in Method}  # by the name that accounts and the firm store


@dataclass(frozen=True, slots=True)
class Lots:
    """Lots of many positions, flat; those of a position are adjacent and in age order. All arrays are (lots,)."""

    units: np.ndarray  # int64, millionths of a share
    cost_cents: np.ndarray  # int64, total cost, or UNKNOWN
    acquired: np.ndarray  # int32, days since 1970-01-01


@dataclass(frozen=True, slots=True)
class Sales:
    """What positions give: each so many units by a method, at a price, on one day. All arrays are (positions,)."""

    first: np.ndarray  # int64, first lot of the position
    count: np.ndarray  # int64, how many lots it has, at least one
    units: np.ndarray  # int64, at most what its lots hold
    method: np.ndarray  # int8, Method
    price: np.ndarray  # float64, dollars a share
    trade_day: int  # days since 1970-01-01

    def of(self, chosen):
        return Sales(
            first=self.first[chosen],
            count=self.count[chosen],
            units=self.units[chosen],
            method=self.method[chosen],
            price=self.price[chosen],
            trade_day=self.trade_day,
        )


def relieve(lots: Lots, sales: Sales):
    """How much each lot gives, int64 (lots,): each position gives its lots in the order of its method."""
    given = np.zeros(len(lots.units) + 1, dtype=np.int64)  # the last is for places of a grid where no lot is
    for method in Method:
        for some in _blocks(sales, np.flatnonzero(sales.method == method)):
            _relieve_side_by_side(given, lots, some, method)
    return given[:-1]


def _blocks(sales, chosen):
    """The chosen positions, those with about as many lots together, and so many that a grid of their lots is small."""
    width, size = 1, sales.count[chosen]
    while size.size:
        alike, wide = chosen[size <= width], max(1, GRID // width)
        for begin in range(0, len(alike), wide):
            yield sales.of(alike[begin : begin + wide])
        chosen, width = chosen[size > width], 2 * width
        size = sales.count[chosen]


def _relieve_side_by_side(given, lots, sales, method):
    """Write what each lot of these positions gives into `given`, by a grid: a column per position, a row per lot."""
    places = np.arange(sales.count.max())[:, None]
    filled = places < sales.count
    grid = np.where(filled, sales.first + places, len(lots.units))
    known = Lots(*(array.take(grid, mode="clip") for array in (lots.units, lots.cost_cents, lots.acquired)))
    units = np.where(filled, known.units, 0)
    if method == Method.FIFO or len(places) == 1:
        before = _running(units)
    else:
        before = _units_before(relief_key(method, known, sales.price, sales.trade_day), units)
    given[grid] = np.clip(sales.units - before, 0, units)


def relief_key(method: Method, lots: Lots, price, trade_day):
    """Whole numbers that say which lots go first: the lower, of equal ones the older. `price` fits the lots' arrays."""
    if method == Method.FIFO:
        return np.zeros(lots.units.shape, dtype=np.int64)
    if method == Method.LIFO:
        return -lots.acquired.astype(np.int64)
    key = _falling(lots.cost_cents / lots.units)
    if method == Method.MINIMUM_TAX:
        key += _minimum_tax_rank(lots, price, is_long_term(lots.acquired, trade_day)) << RANK_BIT
    return np.where(lots.cost_cents == UNKNOWN, LAST << RANK_BIT, key)


def _falling(cost_per_share):
    """Whole numbers below 2 ** RANK_BIT that fall as costs rise, equal only where costs are.

    A positive float's bits, read as a whole number, rise with it; from SMALLEST to LARGEST they take seven bits of
    exponent and 52 of fraction. In cents a millionth, no cost and units of 64 bits lie outside, but for 0.
    """
    bits = np.maximum(cost_per_share, SMALLEST).view(np.int64)
    return LARGEST.view(np.int64) - bits


def _minimum_tax_rank(lots, price, long_term):
    """Rank under Minimum Tax: short losses, long losses, no gain (short, long), long gains, short gains.

    Losses go from largest to smallest per share and gains from smallest to largest: both are falling cost per share.
    """
    gain = np.sign(np.rint(price * 1e6) * lots.units - lots.cost_cents * CENTS_TIMES_MICROS)
    rank = np.where(gain < 0, 0, np.where(gain == 0, 2, np.where(long_term, 4, 5)))
    return rank + (long_term & (gain <= 0))


def _units_before(key, units):
    """Units that go before each lot of its column."""
    if len(key) > MOST_COMPARED:
        order = np.argsort(key, axis=0, kind="stable")
        before = np.empty_like(units)
        np.put_along_axis(before, order, _running(np.take_along_axis(units, order, axis=0)), axis=0)
        return before
    before = np.zeros_like(units)
    for upper in range(len(key) - 1):
        goes_first = key[upper] <= key[upper + 1 :]
        before[upper + 1 :] += goes_first * units[upper]
        before[upper] += (~goes_first * units[upper + 1 :]).sum(axis=0)
    return before


def _running(units):
    """Units above each lot of its column."""
    before = np.zeros_like(units)
    for place in range(1, len(units)):
        np.add(before[place - 1], units[place - 1], out=before[place])
    return before
