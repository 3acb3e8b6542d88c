"""An account's book put on a scale: what everything weighs, and how many steps away each bound is."""

from dataclasses import dataclass, fields

import numpy as np

from . import segments
from .book import MICRO, Book, refuse

EPSILON = 1e-12  # of a weight: what float noise may add to a weight that stands exactly on a bound
OF_ACCOUNTS = {"managed", "cash", "cash_weight", "rounding"}  # arrays of a Scale; the others are of rows
MOST_STEPS = 4e12  # a trade's: so many shares still fit into 64 bits of millionths, beside as many that are held


@dataclass(frozen=True, slots=True)
class Bands:
    """Steps to trade until a row stands on a bound, and rounded into the band (lower > upper: none lies inside)."""

    lower_at: np.ndarray
    upper_at: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    outside_low: np.ndarray
    outside_high: np.ndarray

    @property
    def outside(self):
        return self.outside_low | self.outside_high

    def of(self, rows):
        return Bands(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True, slots=True)
class Scale:
    """Dollars and steps of a Book. Row arrays are float64 (rows,), account arrays float64 (accounts,)."""

    book: Book
    owner: np.ndarray  # int64 (rows,): row's account
    value: np.ndarray  # dollars a row holds
    managed: np.ndarray  # V of each account, dollars
    weight: np.ndarray  # value / V
    step_value: np.ndarray  # dollars of one quantity step
    cash: np.ndarray  # available cash of each account, dollars
    cash_weight: np.ndarray
    rounding: np.ndarray  # dollars that rounding each trade and each lot to the cent can take from cash, half apiece
    most_sold: np.ndarray  # whole steps held
    target_at: np.ndarray  # steps to its target, as they are; negative sells
    to_target: np.ndarray  # whole steps to the one nearest its target; of two that are as near the smaller trade
    grain: np.ndarray  # steps of a grain: one step, or the minimum trade where that is larger; not whole
    least_trade: np.ndarray  # steps of the smallest trade allowed
    threshold: Bands
    precision: Bands

    @property
    def cash_above(self):
        """Whether cash is above its threshold, bool (accounts,)."""
        return self.cash_weight > self.book.cash_upper + EPSILON

    @property
    def cash_below(self):
        """Whether cash is below its threshold, bool (accounts,)."""
        return self.cash_weight < self.book.cash_lower - EPSILON

    def cash_after(self, steps):
        """Available cash of each account after these trades, in dollars."""
        return self.cash - segments.sums(steps * self.step_value, self.book.start)

    def part(self, accounts):
        """The Scale of these accounts (int64 (n,)), and its rows in this one."""
        book, rows = self.book.part(accounts)
        owner = np.repeat(np.arange(len(accounts)), segments.lengths(book.start))
        taken = {
            "book": book,
            "owner": owner,
            "threshold": self.threshold.of(rows),
            "precision": self.precision.of(rows),
        }
        for field in fields(self):
            if field.name not in taken:
                taken[field.name] = getattr(self, field.name)[accounts if field.name in OF_ACCOUNTS else rows]
        return Scale(**taken), rows

    def weight_after(self, steps):
        """Weight of each row after these trades."""
        return (self.value + steps * self.step_value) / self.managed[self.owner]


def put_on_scale(book):
    """Weigh a Book. V must be above zero in every account, else BookError."""
    owner = np.repeat(np.arange(len(book.account)), segments.lengths(book.start))
    value = book.units * book.price / MICRO
    invested = segments.sums(value, book.start)
    managed = (book.cash_cents - book.set_aside_cents) / 100 + invested
    refuse("account", ~(managed > 0), "has no managed value above zero")
    row_managed = managed[owner]
    weight = value / row_managed
    step_value = book.step * book.price / MICRO
    minimum = np.maximum(book.minimum_dollars, book.minimum_weight * managed)
    most_sold = (book.units // book.step).astype(np.float64)
    target_at = _steps_to(book.target, value, row_managed, step_value)
    minimum_steps = _clip(minimum[owner] / step_value)
    return Scale(
        book=book,
        owner=owner,
        value=value,
        managed=managed,
        weight=weight,
        step_value=step_value,
        cash=(book.cash_cents - book.set_aside_cents - book.reserved_cents) / 100,
        cash_weight=(book.cash_cents - book.set_aside_cents) / 100 / managed,
        rounding=0.005 * (segments.lengths(book.start) + segments.lengths(book.lot_start[book.start])),
        most_sold=most_sold,
        target_at=target_at,
        to_target=np.maximum(_nearest(target_at), -most_sold),
        grain=np.maximum(minimum_steps, 1.0),
        least_trade=up(minimum_steps),
        threshold=_bands(book.lower, book.upper, value, row_managed, weight, step_value),
        precision=_bands(book.fit_lower, book.fit_upper, value, row_managed, weight, step_value),
    )


def _bands(lower, upper, value, row_managed, weight, step_value):
    lower_at = _steps_to(lower, value, row_managed, step_value)
    upper_at = _steps_to(upper, value, row_managed, step_value)
    return Bands(
        lower_at=lower_at,
        upper_at=upper_at,
        lower=up(lower_at),
        upper=down(upper_at),
        outside_low=weight < lower - EPSILON,
        outside_high=weight > upper + EPSILON,
    )


def _steps_to(weight, value, row_managed, step_value):
    """Steps until a row stands at this weight."""
    steps = weight * row_managed
    steps -= value
    steps /= step_value
    return _clip(steps)


def _nearest(steps):
    """The nearest whole step; where two are as near, the one with the smaller trade."""
    return np.copysign(np.maximum(up(np.abs(steps) - 0.5), 0.0), steps)


def _clip(steps):
    """Cut off what is beyond whole floats, in place."""
    return np.clip(steps, -MOST_STEPS, MOST_STEPS, out=steps)


def up(steps):
    """Round up to a whole step, forgiving float noise."""
    whole = np.abs(steps)
    np.maximum(whole, 1.0, out=whole)
    whole *= 1e-9
    np.subtract(steps, whole, out=whole)
    return np.ceil(whole, out=whole)


def down(steps):
    """Round down to a whole step, forgiving float noise."""
    whole = up(-steps)
    return np.negative(whole, out=whole)
