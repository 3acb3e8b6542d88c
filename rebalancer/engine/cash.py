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


def spend(need, steps, candidates, owner, step_value, room, least, priority):
    """Move rows in line until each account's need is met; changes `steps` and `need` in place.

    `candidates`: int64 (n,), rows that may move in their account's direction; `room` and `least`: float64 (rows,), most
    and fewest steps such a move may have; `priority`: float64 (rows,), higher first, ties by row. In each turn an
    account moves the row that meets its need alone, nearest to its wish; where there is none, the first by priority.
    """
    line = candidates[need.open[owner[candidates]]]
    while line.size:
        moved, miss = _moves(need, owner[line], step_value[line], room[line], least[line])
        best = _best(miss, priority[line], segments.firsts(owner[line]))
        who, row = owner[line[best]], line[best]
        steps[row] += need.sign[who] * moved[best]
        dollars = moved[best] * step_value[row]
        need.least[who] -= dollars
        need.wish[who] -= dollars
        need.most[who] -= dollars
        waits = need.open[owner[line]]
        waits[best] = False
        line = line[waits]


def _moves(need, who, step_value, room, least):
    """Steps each row would move, 0 where fewer than its least are left; and how far it misses its account's wish, inf
    where it does not meet the need alone."""
    wish = np.maximum(np.floor(need.wish[who] / step_value + 0.5), up(need.least[who] / step_value))
    steps = np.minimum(np.maximum(wish, least), room)
    past = steps * step_value > need.most[who] + DUST
    steps = np.where(past, np.floor((need.most[who] + DUST) / step_value), steps)
    steps = np.where(steps < least, 0.0, np.maximum(steps, 0.0))
    dollars = steps * step_value
    meets = dollars >= need.least[who] - DUST
    return steps, np.where(meets, np.abs(dollars - need.wish[who]), np.inf)


def _best(miss, priority, first):
    """Index of the smallest miss of each group; of these the highest priority, then the first.

    `first`: first index of each group, none empty.
    """
    size = np.diff(first, append=len(miss))
    least = miss == np.repeat(np.minimum.reduceat(miss, first), size)
    priority = np.where(least, priority, -np.inf)
    found = np.flatnonzero(least & (priority == np.repeat(np.maximum.reduceat(priority, first), size)))
    group = np.searchsorted(first, found, side="right")
    return found[segments.firsts(group)]


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
