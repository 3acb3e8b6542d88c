"""Trades of different sleeves in one security meet inside the account before anything goes to market."""

import numpy as np

from . import segments


def flat_part(owner, sleeve, security, units):
    """How much of each trade is matched by trades the other way in the account's other sleeves.

    All arguments are int64 arrays (rows,), `units` signed, sorted by owner, sleeve and security. Buyers and sellers are
    served in the order of sleeves. Returns int64 (rows,), >= 0: the flat part; the rest goes to market.
    """
    flat = np.zeros(len(units), dtype=np.int64)
    if not sleeve.any():
        return flat
    trading = np.flatnonzero(units)
    key = owner[trading].astype(np.int64) * (int(security.max()) + 1) + security[trading]
    order = np.lexsort((sleeve[trading], key))
    rows = trading[order]
    first = segments.firsts(key[order])
    if len(first) == len(rows):
        return flat
    bought, sold = np.maximum(units[rows], 0), np.maximum(-units[rows], 0)
    matched = np.minimum(np.add.reduceat(bought, first), np.add.reduceat(sold, first))
    size = np.diff(first, append=len(rows))
    for side in (bought, sold):
        flat[rows] += _serve(side, first, size, matched)
    return flat


def _serve(wanted, first, size, matched):
    """Hand out what is matched in each group, first come first served."""
    before = np.cumsum(wanted) - wanted
    before -= np.repeat(before[first], size)
    return np.clip(np.repeat(matched, size) - before, 0, wanted)
