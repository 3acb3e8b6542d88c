"""From a Book to proposed trades: sizes by a logic, netting between sleeves, lots, and a reason for each row."""

from dataclasses import dataclass, replace

import numpy as np

from tax import relief
from tax.terms import is_long_term

from . import netting
from .book import Book
from .logics import LOGICS, Sizes
from .reasons import Reason
from .scale import EPSILON, Scale, put_on_scale


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """What the engine proposes for a Book. Units are millionths of a share and carry the sign of the trade."""

    scale: Scale
    units: np.ndarray  # int64 (rows,): bought (+) or sold (-)
    flat_units: np.ndarray  # int64 (rows,): of these, moved flat between sleeves, >= 0
    reason: np.ndarray  # int8 (rows,): Reason of the trade, 0 where there is none
    note: np.ndarray  # int8 (rows,): Reason of leaving the row alone, or outside its band
    sold: np.ndarray  # int64 (lots,): taken from each lot for the market, >= 0
    moved: np.ndarray  # int64 (lots,): taken from each lot for flat trades, >= 0
    long_term: np.ndarray  # bool (lots,): term if sold on the trade day
    shortfall: np.ndarray  # float64 (accounts,): dollars missing to cash >= 0; such an account fails

    @property
    def book(self) -> Book:
        return self.scale.book

    @property
    def market_units(self):
        """Signed units that go to market, int64 (rows,)."""
        return self.units - np.sign(self.units) * self.flat_units


def propose(book: Book, logic: str, trade_day: int) -> Proposal:
    """Propose trades for every account of the book by a logic's name; `trade_day` is days since 1970-01-01."""
    scale = put_on_scale(book)
    sizes = LOGICS[logic](scale)
    units = sizes.steps.astype(np.int64) * book.step
    units[(sizes.shortfall > 0)[scale.owner]] = 0
    flat = netting.flat_part(scale.owner, book.sleeve, book.security, units)
    sold, moved = _lots(book, scale.owner, units, flat, trade_day)
    trades = units != 0
    return Proposal(
        scale=scale,
        units=units,
        flat_units=flat,
        reason=_why_traded(scale, sizes, logic) * trades,
        note=_why_still_outside(scale, sizes, logic) * trades + _why_left(scale, sizes, logic) * ~trades,
        sold=sold,
        moved=moved,
        long_term=is_long_term(book.lot_acquired, trade_day),
        shortfall=sizes.shortfall,
    )


def _lots(book, owner, units, flat, trade_day):
    """Lots that each row's sale takes: for the market part in relief order, then for the flat part, oldest first."""
    rows = np.flatnonzero(units < 0)
    lots = relief.Lots(book.lot_units, book.lot_cost_cents, book.lot_acquired)
    sales = relief.Sales(
        first=book.lot_start[rows],
        count=book.lot_start[rows + 1] - book.lot_start[rows],
        units=-units[rows] - flat[rows],
        method=book.method[owner[rows]],
        price=book.price[rows],
        trade_day=trade_day,
    )
    sold = relief.relieve(lots, sales)
    some = np.flatnonzero(flat[rows])
    if not some.size:
        return sold, np.zeros_like(sold)
    left = replace(lots, units=book.lot_units - sold)
    oldest_first = np.full(len(some), relief.Method.FIFO)
    return sold, relief.relieve(left, replace(sales.of(some), units=flat[rows[some]], method=oldest_first))


def _first_of(conditions, reasons, otherwise):
    """The reason of the first condition that holds, int8 (rows,). Conditions are bool (rows,), reasons one or (rows,).

    Products of small whole numbers are many times as fast here as np.select, which no branch predictor can follow.
    """
    found = np.full(len(conditions[0]), otherwise, np.int8)
    for condition, reason in zip(reversed(conditions), reversed(reasons), strict=True):
        found *= ~condition
        found += condition * np.int8(reason)
    return found


def _why_traded(scale: Scale, sizes: Sizes, logic: str):
    if logic == "liquidate":
        return np.full(len(sizes.steps), Reason.LIQUIDATE, np.int8)
    book = scale.book
    buys, bands = sizes.steps > 0, scale.precision
    replaces = (book.why == Reason.SUBSTITUTE_FOR) & buys
    leaves = (book.why == Reason.EXCLUDED) | (book.why == Reason.REPLACED_BY)
    # Cash may have turned the trade that the band asked for into one the other way.
    asked = sizes.forced & ((buys & bands.outside_low) | (~buys & bands.outside_high))
    return _first_of(
        [
            replaces | (leaves & (book.target == 0)),
            book.target == 0,
            asked & scale.threshold.outside,
            asked,
            buys,
        ],
        [book.why, Reason.NO_TARGET, Reason.OUTSIDE_THRESHOLD, Reason.OUTSIDE_PRECISION, Reason.INVESTS_CASH],
        Reason.RAISES_CASH,
    )


def _why_still_outside(scale: Scale, sizes: Sizes, logic: str):
    """Why a row that trades ends outside its band all the same; 0 where it ends inside."""
    book = scale.book
    lower, upper = (book.fit_lower, book.fit_upper) if logic == "best_fit" else (book.lower, book.upper)
    after = scale.weight_after(sizes.steps)
    low, high = after < lower - EPSILON, after > upper + EPSILON
    if logic == "liquidate":
        low, high = np.zeros(len(after), dtype=bool), book.units + sizes.steps * book.step > 0
    exit_ = ((book.target == 0) | (logic == "liquidate")) & (sizes.steps < 0)
    return _first_of(
        [~low & ~high, exit_, sizes.steps == scale.to_target, low],
        [Reason.NONE, Reason.FRACTION, Reason.NEAREST_STEP, Reason.KEEPS_CASH],
        Reason.TOO_MUCH_CASH,
    )


def _why_left(scale: Scale, sizes: Sizes, logic: str):
    book = scale.book
    bands = scale.precision if logic == "best_fit" else scale.threshold
    inside = Reason.INSIDE_PRECISION if logic == "best_fit" else Reason.INSIDE_THRESHOLD
    wants_buy = bands.outside_low if logic != "liquidate" else np.zeros(len(book.units), dtype=bool)
    wants_sell = bands.outside_high if logic != "liquidate" else book.units > 0
    forbidden = (wants_buy & ~book.may_buy) | (wants_sell & ~book.may_sell)
    return _first_of(
        [
            forbidden,
            ~wants_buy & ~wants_sell & (book.target == 0) & (book.units == 0),
            ~wants_buy & ~wants_sell,
            wants_sell & (scale.most_sold == 0),
            scale.to_target == 0,
            _too_small(scale, bands, wants_buy, logic),
            wants_buy,
        ],
        [
            book.why,
            Reason.NONE,
            inside,
            Reason.FRACTION,
            Reason.NEAREST_STEP,
            Reason.BELOW_MINIMUM,
            Reason.KEEPS_CASH,
        ],
        Reason.TOO_MUCH_CASH,
    )


def _too_small(scale, bands, wants_buy, logic):
    """Whether a row's trade is below the minimum: the whole way, or for Min Transaction the way into a narrow band."""
    whole_way = np.abs(scale.to_target) < scale.least_trade
    if logic != "min_transaction":
        return whole_way
    way_in = np.abs(bands.lower * wants_buy + bands.upper * ~wants_buy) < scale.least_trade
    too_far = (wants_buy & (scale.least_trade > bands.upper)) | (~wants_buy & (-scale.least_trade < bands.lower))
    return whole_way | (way_in & too_far)
