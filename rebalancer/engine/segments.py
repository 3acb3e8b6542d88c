"""Sums and ranges over ragged arrays. Each account's result depends on its own rows only, to the bit."""

import numpy as np


def lengths(start):
    """Rows of each segment; `start` is int64 (segments + 1,)."""
    return start[1:] - start[:-1]


def sums(values, start):
    """Sum of each segment, 0 for an empty one. Only filled segments are summed, so no neighbour touches the result."""
    dtype = values.dtype if values.dtype != bool else np.int64
    is_filled = start[1:] > start[:-1]
    if is_filled.all():
        return np.add.reduceat(values, start[:-1], dtype=dtype)
    total, filled = np.zeros(len(start) - 1, dtype=dtype), is_filled.nonzero()[0]
    if filled.size:
        total[filled] = np.add.reduceat(values, start[filled], dtype=dtype)
    return total


def largest(values, start, empty):
    """Largest value of each segment, `empty` where there is none."""
    result = np.full(len(start) - 1, empty, dtype=values.dtype)
    filled = np.flatnonzero(start[1:] > start[:-1])
    if filled.size:
        result[filled] = np.maximum.reduceat(values, start[filled])
    return result


def firsts(keys):
    """Index of the first of each run of equal keys."""
    is_first = np.ones(len(keys), dtype=bool)
    np.not_equal(keys[1:], keys[:-1], out=is_first[1:])
    return is_first.nonzero()[0]


def ranges(start, chosen):
    """Indices of all rows of the chosen segments, in order, and the offsets of each segment among them."""
    size = start[chosen + 1] - start[chosen]
    offsets = np.concatenate(([0], np.cumsum(size)))
    rows = np.arange(offsets[-1]) + np.repeat(start[chosen] - offsets[:-1], size)
    return rows, offsets
