"""The bare pass that the engine is measured against: what a proposal costs when no rule stands in the way.

Drift, whole-share trades to the target, lots by highest cost first, short and long gains; nothing else. No bands, no
cash, no minimum, no restrictions, no sleeves, no reasons, no unknown cost, no ties.
"""

from dataclasses import dataclass

import numpy as np

MICRO = 1_000_000
YEAR = 365  # days; the bare pass knows no calendar
COST_BITS = 40  # of the sort key, for the cost per share; the rest is for the row


@dataclass(frozen=True, slots=True)
class Bare:
    """What the bare pass finds: drift (rows,), shares traded (rows,), units sold (lots,), gains (accounts,)."""

    drift: np.ndarray
    shares: np.ndarray
    sold: np.ndarray
    short_term: np.ndarray
    long_term: np.ndarray


def bare_pass(book, trade_day) -> Bare:
    """Every row of a Book to its target. Every account has rows and every row has lots."""
    starts, lot_starts = book.start[:-1], book.lot_start[:-1]
    value = book.units * book.price / MICRO
    managed = np.add.reduceat(value, starts) + book.cash_cents / 100
    row_managed = np.repeat(managed, np.diff(book.start))
    drift = value / row_managed - book.target
    shares = np.maximum(np.rint(-drift * row_managed / book.price), -(book.units // MICRO)).astype(np.int64)
    row = np.repeat(np.arange(len(value)), np.diff(book.lot_start))
    per_share = book.lot_cost_cents * 1e10 / book.lot_units  # in units small enough to be whole numbers
    dearest = (1 << COST_BITS) - 1
    order = np.argsort((row << COST_BITS) + dearest - np.minimum(per_share, dearest).astype(np.int64))
    units = book.lot_units[order]
    before = np.cumsum(units) - units
    before -= before[lot_starts][row]
    sold = np.empty_like(units)
    sold[order] = np.clip(np.maximum(-shares, 0)[row] * MICRO - before, 0, units)
    gain = sold * (book.price[row] / MICRO - book.lot_cost_cents / 100 / book.lot_units)
    long_term = trade_day - book.lot_acquired > YEAR
    first_lots = lot_starts[starts]
    return Bare(
        drift,
        shares,
        sold,
        np.add.reduceat(np.where(long_term, 0.0, gain), first_lots),
        np.add.reduceat(np.where(long_term, gain, 0.0), first_lots),
    )
