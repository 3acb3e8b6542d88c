"""What the engine works on: many accounts in flat, read-only arrays, checked at the door."""

from dataclasses import dataclass, fields

import numpy as np

from tax.relief import Method

from . import segments
from .reasons import Reason

MICRO = 1_000_000
ACCOUNT = {
    "account": np.int64, "cash_cents": np.int64, "set_aside_cents": np.int64, "reserved_cents": np.int64,
    "minimum_dollars": np.float64, "minimum_weight": np.float64, "method": np.int8,
    "cash_target": np.float64, "cash_lower": np.float64, "cash_upper": np.float64,
    "cash_fit_lower": np.float64, "cash_fit_upper": np.float64, "cash_triggers": np.bool_,
}  # fmt: skip
ROW = {
    "sleeve": np.int32, "security": np.int32, "units": np.int64, "step": np.int64, "price": np.float64,
    "target": np.float64, "lower": np.float64, "upper": np.float64, "fit_lower": np.float64, "fit_upper": np.float64,
    "triggers": np.bool_, "may_buy": np.bool_, "may_sell": np.bool_, "why": np.int8,
}  # fmt: skip
LOT = {"lot_units": np.int64, "lot_cost_cents": np.int64, "lot_acquired": np.int32}
NOT_NEGATIVE = [
    "set_aside_cents", "reserved_cents", "minimum_dollars", "minimum_weight", "cash_target", "cash_lower", "units",
    "target", "lower", "fit_lower", "sleeve", "security",
]  # fmt: skip


class BookError(ValueError):
    """An array breaks a promise of Book; the message names the field and the first row."""


@dataclass(frozen=True, slots=True, eq=False)
class Book:
    """Positions of many accounts, row by row; rows of one account are adjacent, and so are the lots of one row.

    Every weight is a share of the managed value, 0..1. Rows are sorted by account, sleeve (0 is managed, then models by
    name) and security, each at most once; a target without holding is a row with zero units. Lots are in age order
    (acquired, then lot id by bytes). Sweeps are in `cash_cents`; what is protected is not in the book at all.
    """

    # per account (accounts,)
    account: np.ndarray  # key of the account, carried along
    cash_cents: np.ndarray  # balance and sweeps
    set_aside_cents: np.ndarray  # not to be invested
    reserved_cents: np.ndarray  # cost of own open buy orders
    minimum_dollars: np.ndarray  # smallest trade, in dollars ...
    minimum_weight: np.ndarray  # ... and as a share of V; the greater counts
    method: np.ndarray  # tax.relief.Method
    cash_target: np.ndarray
    cash_lower: np.ndarray
    cash_upper: np.ndarray
    cash_fit_lower: np.ndarray
    cash_fit_upper: np.ndarray
    cash_triggers: np.ndarray
    start: np.ndarray  # int64 (accounts + 1,): first row of each account
    # per row (rows,)
    sleeve: np.ndarray
    security: np.ndarray
    units: np.ndarray  # held, in millionths of a share
    step: np.ndarray  # quantity step, in millionths of a share
    price: np.ndarray  # dollars a share
    target: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    fit_lower: np.ndarray
    fit_upper: np.ndarray
    triggers: np.ndarray  # whether being outside flags the account
    may_buy: np.ndarray
    may_sell: np.ndarray
    why: np.ndarray  # reasons.Reason that a restriction puts on the row, 0 for none
    lot_start: np.ndarray  # int64 (rows + 1,): first lot of each row
    # per lot (lots,)
    lot_units: np.ndarray
    lot_cost_cents: np.ndarray  # total cost, or tax.relief.UNKNOWN
    lot_acquired: np.ndarray  # days since 1970-01-01

    def __post_init__(self):
        self._check_shapes()
        self._check_values()
        for field in fields(self):
            getattr(self, field.name).setflags(write=False)

    def part(self, accounts):
        """These accounts without their lots, for sizing; what was checked once is not checked again.

        `accounts`: int64 (n,). Returns the part and the rows of it in this book.
        """
        rows, start = segments.ranges(self.start, accounts)
        none = {"start": start, "lot_start": np.zeros(len(rows) + 1, np.int64)}
        none |= {name: np.zeros(0, dtype) for name, dtype in LOT.items()}
        part = object.__new__(Book)
        for field in fields(self):
            if field.name in none:
                array = none[field.name]
            else:
                array = getattr(self, field.name)[accounts if field.name in ACCOUNT else rows]
            object.__setattr__(part, field.name, array)
        return part, rows

    def _check_shapes(self):
        accounts, rows = len(self.account), len(self.units)
        for names, size in ((ACCOUNT, accounts), (ROW, rows), (LOT, len(self.lot_units))):
            for name, dtype in names.items():
                array = getattr(self, name)
                if array.dtype != dtype or array.shape != (size,):
                    raise BookError(f"{name}: wants {np.dtype(dtype)} ({size},), has {array.dtype} {array.shape}")
        for name, size, end in (("start", accounts, rows), ("lot_start", rows, len(self.lot_units))):
            offsets = getattr(self, name)
            if offsets.dtype != np.int64 or offsets.shape != (size + 1,) or offsets[0] != 0 or offsets[-1] != end:
                raise BookError(f"{name}: wants int64 ({size + 1},) from 0 to {end}")
            refuse(name, segments.lengths(offsets) < 0, "goes backwards")

    def _check_values(self):
        for name in (*ACCOUNT, *ROW):
            if getattr(self, name).dtype == np.float64:
                refuse(name, ~np.isfinite(getattr(self, name)), "is not a finite number")
        for name in NOT_NEGATIVE:
            refuse(name, getattr(self, name) < 0, "is negative")
        for name, least in (("price", self.price), ("step", self.step), ("lot_units", self.lot_units)):
            refuse(name, least <= 0, "is not above zero")
        for prefix in ("cash_", ""):
            low, fit_low, target, fit_high, high = (
                getattr(self, prefix + name) for name in ("lower", "fit_lower", "target", "fit_upper", "upper")
            )
            inside = (low <= fit_low) & (fit_low <= target) & (target <= fit_high) & (fit_high <= high)
            refuse(prefix + "target", ~inside, "has bounds that are not in order")
        refuse("method", ~np.isin(self.method, list(Method)), "is no lot method")
        refuse("why", (self.why < Reason.NONE) | (self.why > Reason.INACTIVE), "is no reason of a restriction")
        refuse("lot_cost_cents", self.lot_cost_cents < -1, "is negative")
        refuse("security", ~self._rows_ascend(), "is not sorted by account, sleeve and security, or stands twice")
        held = segments.sums(self.lot_units, self.lot_start)
        refuse("units", held != self.units, "is not the sum of its lots")
        refuse("lot_acquired", ~self._lots_age(), "is not in age order")

    def _rows_ascend(self):
        fine = np.ones(len(self.units), dtype=bool)
        later = (self.sleeve[1:] > self.sleeve[:-1]) | (
            (self.sleeve[1:] == self.sleeve[:-1]) & (self.security[1:] > self.security[:-1])
        )
        fine[1:] = later
        first = self.start[:-1][segments.lengths(self.start) > 0]
        fine[first] = True
        return fine

    def _lots_age(self):
        fine = np.ones(len(self.lot_units), dtype=bool)
        fine[1:] = self.lot_acquired[1:] >= self.lot_acquired[:-1]
        fine[self.lot_start[:-1][segments.lengths(self.lot_start) > 0]] = True
        return fine


def refuse(name, wrong, words):
    """Raise a BookError that names the field and its first wrong row, where `wrong` (bool) holds anywhere."""
    if wrong.any():
        raise BookError(f"{name}: row {int(np.argmax(wrong))} {words}")
