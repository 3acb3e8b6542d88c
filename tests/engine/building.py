"""Accounts written down in dollars and percents, and put into a Book. Everything here is exact, and prints readably."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import cached_property

import numpy as np

from rebalancer.engine import Book, Reason
from tax.relief import UNKNOWN, Method

MICRO = 1_000_000
TODAY = "2026-11-20"
NO_BUYS = (Reason.NO_BUY, Reason.DO_NOT_TRADE, Reason.EXCLUDED, Reason.REPLACED_BY, Reason.INACTIVE)
NO_SALES = (Reason.NO_SELL, Reason.DO_NOT_TRADE)
Number = int | str | Fraction


def exact(value: Number) -> Fraction:
    return Fraction(value)


def day(text: str) -> int:
    return date.fromisoformat(text).toordinal() - date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class Lot:
    shares: Number
    cost: Number | None = None  # total dollars; None: nobody knows
    acquired: str = "2020-01-02"


@dataclass(frozen=True)
class Band:
    """Widths below and above a target: of the threshold, then of the precision."""

    lower: Number = 20
    upper: Number = 20
    fit_lower: Number = 4
    fit_upper: Number = 4
    absolute: bool = False

    def bounds(self, weight):
        """The four bounds around a weight in percent: lower, upper, fit lower, fit upper."""
        scale = 1 if self.absolute else weight / 100
        lower, upper = max(0, weight - self.lower * scale), weight + self.upper * scale
        fits = weight - self.fit_lower * scale, weight + self.fit_upper * scale
        return lower, upper, max(lower, fits[0]), min(upper, fits[1])


@dataclass(frozen=True)
class Row:
    """A holding, a target, or both. `shares` is what is held (one lot of unknown cost, unless lots are given)."""

    symbol: str
    shares: Number = 0
    price: Number = 100
    target: Number = 0  # percent of V
    band: Band = Band()
    sleeve: int = 0  # 0 is managed, then models
    step: Number = 1
    rule: Reason = Reason.NONE
    triggers: bool = True
    lots: tuple[Lot, ...] = ()

    @cached_property
    def held(self):
        return sum((exact(lot.shares) for lot in self.lots), Fraction(0)) if self.lots else exact(self.shares)

    @cached_property
    def value(self):
        return self.held * exact(self.price)

    @cached_property
    def step_value(self):
        return exact(self.step) * exact(self.price)

    @cached_property
    def bounds(self):
        return self.band.bounds(exact(self.target)) if exact(self.target) else (Fraction(0),) * 4

    @cached_property
    def may_buy(self):
        return self.rule not in NO_BUYS

    @cached_property
    def may_sell(self):
        return self.rule not in NO_SALES


@dataclass(frozen=True)
class Account:
    rows: tuple[Row, ...]
    cash: Number = 0
    cash_target: Number | None = None  # percent; None: what the rows leave
    cash_band: Band = Band()
    cash_triggers: bool = True
    set_aside: Number = 0
    reserved: Number = 0
    minimum: Number = 100  # dollars
    minimum_percent: Number = "0.1"
    method: Method = Method.FIFO
    key: int = 1

    @cached_property
    def value(self):
        """V."""
        return sum((row.value for row in self.rows), Fraction(0)) + exact(self.cash) - exact(self.set_aside)

    @cached_property
    def available(self):
        return exact(self.cash) - exact(self.set_aside) - exact(self.reserved)

    @cached_property
    def target_cash(self):
        rest = 100 - sum((exact(row.target) for row in self.rows), Fraction(0))
        return rest if self.cash_target is None else exact(self.cash_target)

    @cached_property
    def cash_bounds(self):
        """Around 0 % the settings for 0 % count: up to 1 % (threshold) and 0.5 % (precision)."""
        if self.target_cash:
            return self.cash_band.bounds(self.target_cash)
        return Fraction(0), Fraction(1), Fraction(0), Fraction(1, 2)

    @cached_property
    def least_trade(self):
        """Dollars of the smallest trade."""
        return max(exact(self.minimum), exact(self.minimum_percent) * self.value / 100)

    @cached_property
    def sorted_rows(self):
        return sorted(self.rows, key=lambda row: (row.sleeve, row.symbol))


def account(*rows: Row, **fields) -> Account:
    return Account(tuple(rows), **fields)


def book(*accounts: Account, **broken) -> Book:
    """The Book of these accounts, in this order; `broken` arrays replace what was built."""
    symbols = sorted({row.symbol for one in accounts for row in one.rows})
    rows = [row for one in accounts for row in one.sorted_rows]
    lots = [sorted(row.lots, key=lambda lot: lot.acquired) or _single(row) for row in rows]
    flat = [lot for some in lots for lot in some]
    arrays = (
        _account_arrays(accounts)
        | _row_arrays(rows, symbols)
        | {
            "start": _offsets([one.rows for one in accounts]),
            "lot_start": _offsets(lots),
            "lot_units": _ints([exact(lot.shares) * MICRO for lot in flat]),
            "lot_cost_cents": _ints([UNKNOWN if lot.cost is None else exact(lot.cost) * 100 for lot in flat]),
            "lot_acquired": np.array([day(lot.acquired) for lot in flat], dtype=np.int32),
        }
    )
    return Book(**arrays | broken)


def _single(row):
    return [Lot(row.shares)] if exact(row.shares) else []


def _account_arrays(accounts):
    cash = [[one.target_cash, *one.cash_bounds] for one in accounts]
    names = ("cash_target", "cash_lower", "cash_upper", "cash_fit_lower", "cash_fit_upper")
    return {
        "account": _ints([one.key for one in accounts]),
        "cash_cents": _ints([exact(one.cash) * 100 for one in accounts]),
        "set_aside_cents": _ints([exact(one.set_aside) * 100 for one in accounts]),
        "reserved_cents": _ints([exact(one.reserved) * 100 for one in accounts]),
        "minimum_dollars": _floats([exact(one.minimum) for one in accounts]),
        "minimum_weight": _floats([exact(one.minimum_percent) / 100 for one in accounts]),
        "method": np.array([one.method for one in accounts], dtype=np.int8),
        "cash_triggers": np.array([one.cash_triggers for one in accounts], dtype=bool),
    } | {name: _floats([one[place] / 100 for one in cash]) for place, name in enumerate(names)}


def _row_arrays(rows, symbols):
    weights = [[exact(row.target), *row.bounds] for row in rows]
    names = ("target", "lower", "upper", "fit_lower", "fit_upper")
    return {
        "sleeve": np.array([row.sleeve for row in rows], dtype=np.int32),
        "security": np.array([symbols.index(row.symbol) for row in rows], dtype=np.int32),
        "units": _ints([row.held * MICRO for row in rows]),
        "step": _ints([exact(row.step) * MICRO for row in rows]),
        "price": _floats([exact(row.price) for row in rows]),
        "triggers": np.array([row.triggers for row in rows], dtype=bool),
        "may_buy": np.array([row.may_buy for row in rows], dtype=bool),
        "may_sell": np.array([row.may_sell for row in rows], dtype=bool),
        "why": np.array([row.rule for row in rows], dtype=np.int8),
    } | {name: _floats([one[place] / 100 for one in weights]) for place, name in enumerate(names)}


def _ints(values: Sequence[Fraction | int]):
    assert all(Fraction(value).denominator == 1 for value in values), "too fine for its column"
    return np.array([int(value) for value in values], dtype=np.int64)


def _floats(values: Sequence[Fraction]):
    return np.array([float(value) for value in values], dtype=np.float64)


def _offsets(lists):
    return np.cumsum([0] + [len(one) for one in lists]).astype(np.int64)
