"""Where trades leave an account, measured in the order in which the rules give way: what trades have to better."""

import numpy as np

from . import segments, size
from .cash import DUST

NOISE = 1e-6  # steps


def no_better_than_none(scale, steps, plan_of):
    """Accounts whose trades leave them no nearer to what the logic wants than no trade would: int64 (n,).

    Only asked of accounts in which a restriction or a fraction holds something outside its band: nothing there can
    bring every row inside, and without this, shares would be sold in one night for the sake of one row, and bought
    back in the next for the sake of another.
    `plan_of`: the logic's Plan of a Scale; `steps`: float64 (rows,).
    """
    doubtful = _doubtful(scale, steps, plan_of(scale))
    if not doubtful.size:
        return doubtful
    part, rows = scale.part(doubtful)
    plan, steps = plan_of(part), steps[rows]
    better = np.zeros(len(doubtful), dtype=bool)
    open_ = np.ones(len(doubtful), dtype=bool)
    for now, after in zip(_distances(part, np.zeros(len(steps)), plan), _distances(part, steps, plan), strict=True):
        better |= open_ & (after < now - DUST)
        open_ &= np.abs(after - now) <= DUST
    return doubtful[~better]


def outside(left, aim):
    """Dollars by which cash of `left` dollars misses its bounds, (accounts,)."""
    return np.maximum(np.maximum(aim.lower - left, left - aim.upper), 0.0)


def far_out(scale, steps, bands):
    """Dollars by which the components of each account miss their bands, all together."""
    return segments.sums(_miss(steps, bands.lower_at, bands.upper_at) * scale.step_value, scale.book.start)


def _doubtful(scale, steps, plan):
    """Accounts with a row outside its band that may not be traded towards it, and trades that leave cash outside, or
    another row neither inside nor at the step nearest its target."""
    book, bands = scale.book, plan.bands
    held = size.forbidden(scale, bands) | size.stuck(scale, bands)
    astray = ((steps < bands.lower_at - NOISE) | (steps > bands.upper_at + NOISE)) & (steps != scale.to_target) & ~held
    trades, held, astray = (segments.sums(rows, book.start) > 0 for rows in (steps != 0, held, astray))
    return np.flatnonzero(trades & held & (astray | (outside(scale.cash_after(steps), plan.aims[0]) > DUST)))


def _distances(scale, steps, plan):
    """Measures of each account in dollars, the weightiest first; each (accounts,), the less the better."""
    book, left = scale.book, scale.cash_after(steps)
    to_leave = np.where((book.target == 0) & book.may_sell, scale.most_sold + steps, 0.0) * scale.step_value
    beside = np.where(steps == scale.to_target, 0.0, _miss(steps, plan.bands.lower_at, plan.bands.upper_at))
    return [
        np.maximum(-left, 0.0),
        segments.sums(to_leave, book.start),
        outside(left, plan.aims[-1]),
        _together(scale, _miss(steps, *plan.beyond)),
        outside(left, plan.aims[0]) + _together(scale, beside),
    ]


def _together(scale, miss):
    """What components with a target miss, in steps, as dollars of an account: least where all miss in proportion."""
    target = scale.book.target
    dollars = miss * scale.step_value
    shared = np.divide(dollars**2, target, out=np.zeros(len(target)), where=target > 0)
    return np.sqrt(segments.sums(shared, scale.book.start))


def _miss(steps, lower, upper):
    return np.maximum(np.maximum(lower - steps, steps - upper), 0.0)
