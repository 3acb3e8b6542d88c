"""The exact integer programs of one account: what the fewest trades are, and how good a fit can be reached.

Whole steps, nothing against its rule, the minimum trade kept (complete exits exempt), holdings without target sold.
Solved by HiGHS (scipy); an answer is only believed when its whole steps, put back into the account, keep every bound.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from rebalancer.engine.scale import Scale

SECONDS = 20
CENT = 0.01


class Unsure(Exception):
    """The solver gave no answer that holds."""


@dataclass(frozen=True)
class Ways:
    """How the rows of one account may end: each trades `low` to `high` steps, with a trade of at least `least`."""

    dollars: np.ndarray  # of one step
    low: np.ndarray
    high: np.ndarray
    least: np.ndarray
    cash: float  # before trades
    cash_low: float
    cash_high: float

    @property
    def buys(self):
        """Fewest and most steps of a purchase; fewest > most: none is possible."""
        return np.maximum(self.low, self.least), self.high

    @property
    def sells(self):
        return np.maximum(-self.high, self.least), -self.low

    def possible(self):
        """Whether each row, for itself, can end inside."""
        stay = (self.low <= 0) & (self.high >= 0)
        return bool((stay | (self.buys[0] <= self.buys[1]) | (self.sells[0] <= self.sells[1])).all())

    def holds(self, steps, excess):
        """Whether these trades keep every bound, with cash at most `excess` dollars out."""
        small = (steps != 0) & (np.abs(steps) < self.least)
        if small.any() or (steps < self.low).any() or (steps > self.high).any():
            return False
        left = self.cash - steps @ self.dollars
        return self.cash_low - excess - CENT <= left <= self.cash_high + excess + CENT


def ways_inside(scale: Scale, account: int) -> Ways:
    """Every component and cash inside its threshold."""
    book, rows = scale.book, _rows(scale, account)
    low, high = scale.threshold.lower[rows], scale.threshold.upper[rows]
    return _ways(scale, account, low, high, book.cash_lower[account], book.cash_upper[account])


def ways_near(scale: Scale, account: int) -> Ways:
    """Every component inside its precision or within a grain of its target, cash inside its precision."""
    book, rows = scale.book, _rows(scale, account)
    grain = scale.grain[rows]
    low = np.minimum(scale.precision.lower[rows], np.ceil(scale.target_at[rows] - grain))
    high = np.maximum(scale.precision.upper[rows], np.floor(scale.target_at[rows] + grain))
    return _ways(scale, account, low, high, book.cash_fit_lower[account], book.cash_fit_upper[account])


def _rows(scale, account):
    return slice(scale.book.start[account], scale.book.start[account + 1])


def _ways(scale, account, low, high, cash_low, cash_high):
    """Ways from what would be inside; a row that a restriction keeps outside stays as it is."""
    book, rows = scale.book, _rows(scale, account)
    held, goes = scale.most_sold[rows], book.target[rows] == 0
    some = low <= high
    exits = np.where(goes, np.where(book.may_sell[rows], -held, 0.0), np.nan)
    low = np.where(goes, exits, np.maximum(low, np.where(book.may_sell[rows], -held, 0.0)))
    high = np.where(goes, exits, np.where(book.may_buy[rows], high, np.minimum(high, 0.0)))
    stays = some & (low > high)
    low, high = np.where(stays, 0.0, low), np.where(stays, 0.0, high)
    least = np.where(goes, 1.0, np.maximum(scale.least_trade[rows], 1.0))
    value = scale.managed[account]
    return Ways(
        scale.step_value[rows], low, high, least, scale.cash[account], max(cash_low * value, 0.0), cash_high * value
    )


def fewest_trades(ways: Ways) -> int | None:
    """The smallest number of trades with everything inside, or None where there is no such end."""
    if not ways.possible():
        return None
    steps = _solve(ways, per_trade=1.0, per_dollar=None)
    return None if steps is None else int(np.count_nonzero(steps))


def least_excess(ways: Ways) -> float | None:
    """Dollars by which cash must miss its bounds, at least, with every component inside; None where one can't be."""
    if not ways.possible():
        return None
    steps = _solve(ways, per_trade=0.0, per_dollar=1.0)
    if steps is None:
        return None
    left = ways.cash - steps @ ways.dollars
    return max(ways.cash_low - left, left - ways.cash_high, 0.0)


def _solve(ways, per_trade, per_dollar):
    """Steps of each row at the least cost, or None where nothing keeps the bounds.

    Variables: steps bought, steps sold, whether bought, whether sold (one of each per row), and the dollars by which
    cash is out (0 unless they have a price).
    """
    count = len(ways.low)
    one = np.eye(count)
    none = np.zeros((count, count))
    side = np.zeros((count, 1))
    (fewest_bought, most_bought), (fewest_sold, most_sold) = ways.buys, ways.sells
    buys, sells = fewest_bought <= most_bought, fewest_sold <= most_sold
    most_bought, most_sold = np.where(buys, most_bought, 0.0), np.where(sells, most_sold, 0.0)
    stays = (ways.low <= 0) & (ways.high >= 0)
    spent = np.concatenate([ways.dollars, -ways.dollars, np.zeros(2 * count)])
    upper = np.concatenate([most_bought, most_sold, buys, sells, [0.0 if per_dollar is None else np.inf]])
    limits = [
        LinearConstraint(np.hstack([one, none, -np.diag(most_bought), none, side]), -np.inf, 0),
        LinearConstraint(np.hstack([one, none, -np.diag(np.where(buys, fewest_bought, 0)), none, side]), 0, np.inf),
        LinearConstraint(np.hstack([none, one, none, -np.diag(most_sold), side]), -np.inf, 0),
        LinearConstraint(np.hstack([none, one, none, -np.diag(np.where(sells, fewest_sold, 0)), side]), 0, np.inf),
        LinearConstraint(np.hstack([none, none, one, one, side]), np.where(stays, 0, 1), 1),
        LinearConstraint(np.append(spent, -1.0), -np.inf, ways.cash - ways.cash_low),
        LinearConstraint(np.append(spent, 0.0), -np.inf, ways.cash),
        LinearConstraint(np.append(spent, 1.0), ways.cash - ways.cash_high, np.inf),
    ]
    cost = np.concatenate([np.zeros(2 * count), np.full(2 * count, per_trade), [per_dollar or 0.0]])
    whole = np.append(np.ones(4 * count), 0)
    found = milp(
        cost, constraints=limits, integrality=whole, bounds=Bounds(0, upper),
        options={"time_limit": SECONDS, "mip_rel_gap": 0},
    )  # fmt: skip
    if found.status == 2:
        return None
    if found.status != 0:
        raise Unsure(found.message)
    whole = np.round(found.x[:-1]).reshape(4, count)
    steps = whole[0] * whole[2] - whole[1] * whole[3]
    if not ways.holds(steps, found.x[-1]):
        raise Unsure("rounded to whole steps it breaks a bound")
    return steps
