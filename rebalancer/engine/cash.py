"""Bringing cash where it belongs by moving rows, one row of every account at a time.

The loops here run over the rows that one account may have, never over accounts: each turn moves one row of
each account that still needs something, so that all accounts advance together and none sees another.
"""

from dataclasses import dataclass

import numpy as np

from . import segments
from .scale import up

DUST = 1e-6  # dollars: float noise, not money


@dataclass(slots=True)
class Need:
    """What cash asks for, per account (accounts,): direction +1 spends, -1 raises; dollars to move, all >= 0."""

    sign: np.ndarray
    least: np.ndarray  # to reach the nearest bound
    wish: np.ndarray  # to reach what the logic aims at
    most: np.ndarray  # until the far bound

    @property
    def open(self):
        return self.least > DUST


def need_of(cash, lower, upper, aim):
    """The Need of accounts with this much cash and these bounds, all in dollars. Inside them nothing is needed."""
    high, low = cash > upper + DUST, cash < lower - DUST
    sign = np.where(high, 1, np.where(low, -1, 0))
    return Need(
        sign=sign,
        least=np.where(high, cash - upper, np.where(low, lower - cash, 0.0)),
        wish=np.abs(cash - aim),
        most=np.where(high, cash - lower, upper - cash),
    )


@dataclass(slots=True)
class Line:
    """Rows that wait to be moved in the direction their account needs; all arrays (n,), accounts together and in order.

    A move has at least `least` and at most `room` steps. Rows of higher `priority` come first, ties by row.
    """

    rows: np.ndarray
    owner: np.ndarray
    step_value: np.ndarray
    room: np.ndarray
    least: np.ndarray
    priority: np.ndarray

    def of(self, places):
        arrays = (self.rows, self.owner, self.step_value, self.room, self.least, self.priority)
        return Line(*(array[places] for array in arrays))


def spend(need, steps, line):
    """Move the rows of a Line until each account's need is met; changes `steps` (rows,) and `need` in place.

    In each turn an account moves the row that meets its need alone, nearest to its wish; where there is none, the first
    by priority.
    """
    line = _all_of_the_needy(need, steps, line)
    while line.rows.size:
        moved, miss = _moves(need, line)
        can = moved.nonzero()[0]  # a row that cannot move now can't later: needs only shrink
        line, moved, miss = line.of(can), moved[can], miss[can]
        best = _best(miss, line)
        who, row, moved = line.owner[best], line.rows[best], moved[best]
        steps[row] += need.sign[who] * moved
        dollars = moved * line.step_value[best]
        need.least[who] -= dollars
        need.wish[who] -= dollars
        need.most[who] -= dollars
        waits = need.open[line.owner]
        waits[best] = False
        line = line.of(waits.nonzero()[0])


def _all_of_the_needy(need, steps, line):
    """Move at once all rows of accounts whose need is beyond them all together; returns the rest of the line."""
    reach = np.bincount(line.owner, line.room * line.step_value, len(need.least))
    needy = (reach * (1 + 1e-9) + DUST < np.minimum(need.least, need.most))[line.owner]
    rows = line.rows[needy]
    steps[rows] += need.sign[line.owner[needy]] * line.room[needy]
    return line.of(np.flatnonzero(~needy))


def _moves(need, line):
    """Steps each row would move, 0 where fewer than its least are left; and how far it misses its account's wish, inf
    where it does not meet the need alone."""
    step_value = line.step_value
    wish, least, most = need.wish[line.owner], need.least[line.owner], need.most[line.owner] + DUST
    steps = np.maximum(np.floor(wish / step_value + 0.5), up(least / step_value))
    steps = np.minimum(np.maximum(steps, line.least, out=steps), line.room, out=steps)
    past = (steps * step_value > most).nonzero()[0]
    steps[past] = np.floor(most[past] / step_value[past])
    steps[steps < np.maximum(line.least, 0.0)] = 0.0
    dollars = steps * step_value
    miss = np.abs(dollars - wish)
    miss[dollars < least - DUST] = np.inf
    return steps, miss


def _best(miss, line):
    """Place of the smallest miss of each account; of these the highest priority, then the first."""
    places = _lowest(miss, line.owner)
    places = places[_lowest(-line.priority[places], line.owner[places])]
    return places[segments.firsts(line.owner[places])]


def _lowest(values, keys):
    """Indices of the lowest values of each run of equal keys."""
    first = segments.firsts(keys)
    size = np.append(first[1:], len(keys)) - first
    return (values == np.minimum.reduceat(values, first).repeat(size)).nonzero()[0]


def equal_shortfall(scale, steps, chosen, movable, sign, wanted):
    """Move all movable rows of the chosen accounts away from target in equal proportion to target.

    `chosen`: int64 (n,) accounts; `movable`: bool (rows,); `sign`: (accounts,) +1 spends, -1 raises; `wanted`: dollars
    (accounts,). Every movable row ends at target × (1 + sign × share) or where it already is if that is further; the
    share is the smallest that moves `wanted`. Returns the steps to add, as floats (rows,), not yet whole.
    """
    book = scale.book
    rows, offsets = segments.ranges(book.start, chosen)
    size = segments.lengths(offsets)
    usable = movable[rows] & (book.target[rows] > 0)
    goal = book.target[rows] * scale.managed[scale.owner[rows]]
    held = scale.value[rows] + steps[rows] * scale.step_value[rows]
    direction = np.repeat(sign[chosen], size)

    def moved(share):
        ends = np.maximum(goal * (1 + direction * np.repeat(share, size)), 0.0)
        return np.where(usable, np.maximum((ends - held) * direction, 0.0), 0.0)

    low, high = np.zeros(len(chosen)), np.full(len(chosen), 1.0)
    target_sum = segments.sums(np.where(usable, goal, 0.0), offsets)
    need = wanted[chosen]
    spends = sign[chosen] > 0
    high[spends] = 1.0 + (need + scale.managed[chosen])[spends] / np.maximum(target_sum[spends], DUST)
    for _ in range(60):
        middle = (low + high) / 2
        enough = segments.sums(moved(middle), offsets) >= need
        high = np.where(enough, middle, high)
        low = np.where(enough, low, middle)
    extra = np.zeros(len(steps))
    extra[rows] = direction * moved(high) / scale.step_value[rows]
    return extra
