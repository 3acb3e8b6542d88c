"""What must be traded before cash is looked at: rows outside their band, holdings without target, the minimum trade."""

import numpy as np

from .scale import MOST_STEPS


def forbidden(scale, bands):
    """Rows outside their band that a restriction keeps from being traded towards it, bool (rows,)."""
    book = scale.book
    return (bands.outside_low & ~book.may_buy) | (bands.outside_high & ~book.may_sell)


def stuck(scale, bands):
    """Rows above their band of which less than a whole step is held, bool (rows,)."""
    return bands.outside_high & (scale.most_sold == 0)


def allowed(scale, steps):
    """Cut trades down to what restrictions and holdings allow."""
    book = scale.book
    forbidden = ((steps > 0) & ~book.may_buy) | ((steps < 0) & ~book.may_sell)
    steps = np.clip(steps, -scale.most_sold, MOST_STEPS)
    steps[forbidden] = 0.0
    return steps


def exits(scale):
    """Steps that sell every holding without target as far as it may be sold."""
    book = scale.book
    return np.where((book.target == 0) & book.may_sell, -scale.most_sold, 0.0)


def to_bound(scale, bands):
    """Steps to the first whole one inside the nearest bound, or to the step nearest the target where none is inside."""
    nothing_inside = bands.lower > bands.upper
    buys = np.where(nothing_inside, scale.to_target, bands.lower)
    sells = np.where(nothing_inside, scale.to_target, bands.upper)
    return buys * bands.outside_low + sells * bands.outside_high


def to_target(scale, bands):
    """Steps to the one nearest the target, for rows outside the band."""
    return scale.to_target * bands.outside


def with_minimum(scale, steps, bands):
    """Enlarge trades below the minimum where that stays inside the band, leave them out elsewhere.

    A complete exit is exempt. Returns the steps and where a trade was left out.
    """
    exit_ = (scale.book.target == 0) & (steps < 0)
    small = np.flatnonzero((steps != 0) & (np.abs(steps) < scale.least_trade) & ~exit_)
    larger = np.copysign(scale.least_trade[small], steps[small])
    inside = (larger >= bands.lower[small]) & (larger <= bands.upper[small]) & (larger >= -scale.most_sold[small])
    steps, left_out = steps.copy(), np.zeros(len(steps), dtype=bool)
    steps[small] = np.where(inside, larger, 0.0)
    left_out[small[~inside]] = True
    return steps, left_out
