"""The trade logics: each is one function from a Scale to Sizes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from . import cash, distance, pairs, segments, size
from .scale import MOST_STEPS, Bands, Scale, down, up


@dataclass(frozen=True, slots=True)
class Sizes:
    """Steps to trade per row, float64 (rows,) of whole numbers; which were forced; dollars short of cash >= 0."""

    steps: np.ndarray
    forced: np.ndarray
    shortfall: np.ndarray


@dataclass(frozen=True, slots=True)
class CashAim:
    """Bounds of cash and what to aim at inside them, in dollars, per account."""

    lower: np.ndarray
    upper: np.ndarray
    target: np.ndarray

    kept: np.ndarray  # what buys must leave, whatever the lower bound is

    def need(self, left, exact):
        """What cash of `left` dollars needs; `exact` aims at the target, else at the nearest bound."""
        aim = self.target if exact else np.clip(left, self.lower, self.upper)
        need = cash.need_of(left, self.lower, self.upper, aim)
        need.most = np.where(need.sign > 0, np.maximum(left - np.maximum(self.lower, self.kept), 0.0), need.most)
        return need


@dataclass(frozen=True)
class Plan:
    """What a logic asks of components and cash. Limits are pairs of steps (rows,): the lowest and highest allowed."""

    scale: Scale
    bands: Bands  # inside of them components are where the logic wants them ...
    asked: tuple[np.ndarray, np.ndarray]  # ... or within a grain of these steps, from below and above
    aims: list[CashAim]  # what cash is to reach; a wider one where whole steps can't reach a narrower one
    exact: bool  # whether cash goes to its target, or only inside its bounds

    @cached_property
    def inside(self):
        """Limits inside the band."""
        return _allowed(self.scale, self.bands.lower, self.bands.upper)

    @cached_property
    def beyond(self):
        """Limits within a grain of what the logic asks for, where that is further. Few accounts need them."""
        (lowest, highest), grain = self.asked, self.scale.grain
        lower = np.minimum(self.bands.lower, up(lowest - grain))
        return _allowed(self.scale, lower, np.maximum(self.bands.upper, down(highest + grain)))


def best_fit(scale):
    """Everything outside its precision goes to its target; the rest moves only where cash needs it."""
    bands = scale.precision
    steps = size.allowed(scale, size.to_target(scale, bands) + size.exits(scale) * ~bands.outside)
    fits, left_out = size.with_minimum(scale, steps, bands)
    wider, still_out = size.with_minimum(scale, steps, scale.threshold)
    steps = np.where(left_out & scale.threshold.outside & ~still_out, wider, fits)
    fit = _settle(scale, steps, _best_fit_plan)
    _stay(fit, scale, _best_fit_plan)
    return fit


def _best_fit_plan(scale):
    book = scale.book
    fit = _aim(scale, book.cash_fit_lower, book.cash_fit_upper)
    aims = [fit, _aim(scale, book.cash_lower, book.cash_upper)]
    return Plan(scale, scale.precision, (scale.target_at, scale.target_at), aims, exact=True)


def min_transaction(scale):
    """Only what is outside its threshold goes, only to the bound; never more trades than Best Fit."""
    bands, book = scale.threshold, scale.book
    steps = size.allowed(scale, size.to_bound(scale, bands))
    steps = np.where(book.target == 0, size.exits(scale), steps)
    steps, _ = size.with_minimum(scale, steps, bands)
    fewest = _settle(scale, steps, _min_transaction_plan)
    _never_more_than(fewest, best_fit(scale), scale)
    _stay(fewest, scale, _min_transaction_plan)
    return fewest


def _min_transaction_plan(scale):
    book, bands = scale.book, scale.threshold
    aims = [_aim(scale, book.cash_lower, book.cash_upper)]
    return Plan(scale, bands, (bands.lower_at, bands.upper_at), aims, exact=False)


def _allowed(scale, lower, upper):
    """Limits cut down to what restrictions and holdings allow."""
    book = scale.book
    lower, upper = np.maximum(lower, -scale.most_sold), upper.copy()
    kept, closed = np.flatnonzero(~book.may_sell), np.flatnonzero(~book.may_buy | (book.target == 0))
    lower[kept] = np.maximum(lower[kept], 0.0)
    upper[closed] = np.minimum(upper[closed], 0.0)
    return lower, upper


def _aim(scale, lower, upper):
    """The CashAim of these bounds, which are weights."""
    value = scale.managed
    return CashAim(lower * value, upper * value, scale.book.cash_target * value, scale.rounding)


def liquidate(scale):
    """Sells everything that may be sold."""
    steps = np.where(scale.book.may_sell, -scale.most_sold, 0.0)
    left = scale.cash_after(steps)
    return Sizes(steps, steps != 0, np.maximum(-left, 0.0))


LOGICS: dict[str, Callable[[Scale], Sizes]] = {
    "best_fit": best_fit,
    "min_transaction": min_transaction,
    "liquidate": liquidate,
}


def _stay(sizes, scale, plan_of):
    """Drop the trades of accounts that they would win nothing. Changes `sizes` in place."""
    idle = distance.no_better_than_none(scale, sizes.steps, plan_of)
    idle = idle[sizes.shortfall[idle] == 0]
    rows, _ = segments.ranges(scale.book.start, idle)
    sizes.steps[rows] = 0.0


def trades(scale, steps):
    """Number of trades of each account."""
    return segments.sums((steps != 0).astype(np.int64), scale.book.start)


def _settle(scale: Scale, sized: np.ndarray, plan_of: Callable[[Scale], Plan]) -> Sizes:
    """Bring cash inside its bounds from what is `sized` by force on: extend trades, open trades, and so on.

    `plan_of`: the logic's Plan of a Scale. Most accounts need no more than the first two moves.
    """
    forced, plan = sized != 0, plan_of(scale)
    steps = sized.copy()
    shortfall = np.zeros(len(scale.cash))
    aim = plan.aims[0]
    _extend(scale, steps, plan.inside, aim, plan.exact)
    if plan.exact:  # where another trade is needed anyway, those that are there go to their targets
        alone = _inside(scale.cash_after(steps), aim)
        steps = np.where(alone[scale.owner], steps, sized)
    _open(scale, steps, plan.inside, aim, plan.exact)
    harder = np.flatnonzero(~_inside(scale.cash_after(steps), aim))
    if harder.size:
        part, rows = scale.part(harder)
        some = steps[rows]
        shortfall[harder] = _settle_harder(part, some, forced[rows], plan_of(part))
        steps[rows] = some
    _take_back(scale, steps, forced, aim)
    if not plan.exact:
        pairs.spare_trades(scale, steps, forced, plan.inside, aim)
    return Sizes(steps, forced, shortfall)


def _settle_harder(scale, steps, forced, plan):
    """Bring cash inside its bounds where two moves did not: further moves, then the bands yield, and cash below 0 at
    no price. Changes `steps` in place; returns the dollars still short."""
    anchor = np.where(forced, scale.to_target, 0.0) if plan.exact else np.zeros(len(steps))
    last = plan.aims[-1]
    for aim in plan.aims:
        _reach(scale, steps, plan, anchor, aim)
    cents = replace(last, lower=np.maximum(last.lower, _least_cash(scale, steps)))
    _reach(scale, steps, plan, anchor, cents)  # so that no buy has to go for the sake of a few cents
    pairs.bring_near(scale, steps, plan.beyond, anchor, last)
    _let_bands_yield(scale, steps, last, plan.exact)
    anywhere = _allowed(scale, np.full(len(steps), -np.inf), np.full(len(steps), MOST_STEPS))
    _extend(scale, steps, anywhere, last, exact=False)  # what equal shares had to leave as too small a trade
    _open(scale, steps, anywhere, last, exact=False)
    _keep_lower_bound(scale, steps, last)
    shortfall = _keep_cash_positive(scale, steps, plan.beyond)
    for aim in plan.aims:
        for limits in (plan.inside, plan.beyond):  # what a large step had to leave, a smaller one may use
            _extend(scale, steps, limits, aim, plan.exact)
            _open(scale, steps, limits, aim, plan.exact)
    pairs.land_cash(scale, steps, plan.beyond, anchor, last)
    pairs.bring_near(scale, steps, plan.beyond, anchor, last)
    return shortfall


def _reach(scale, steps, plan, anchor, aim):
    """Bring cash to its aim by components that stay inside their bands, then within a grain of what is asked."""
    _extend(scale, steps, plan.inside, aim, plan.exact)
    _open(scale, steps, plan.inside, aim, plan.exact)
    pairs.land_cash(scale, steps, plan.inside, anchor, aim)
    _open(scale, steps, plan.beyond, aim, plan.exact)
    pairs.land_cash(scale, steps, plan.beyond, anchor, aim)


def _take_back(scale, steps, forced, aim):
    """Drop trades made for cash without which it is inside its bounds too: all of an account's, or one by one."""
    line = np.flatnonzero((steps != 0) & ~forced)
    none = steps.copy()
    none[line] = 0.0
    needless = _inside(scale.cash_after(none), aim)[scale.owner[line]]
    steps[line[needless]] = 0.0
    line = line[~needless]
    while line.size:
        owner = scale.owner[line]
        without = scale.cash_after(steps)[owner] + steps[line] * scale.step_value[line]
        needless = line[_inside(without, aim, owner)]
        chosen = needless[segments.firsts(scale.owner[needless])]
        if not chosen.size:
            return
        steps[chosen] = 0.0
        line = line[steps[line] != 0]


def _inside(left, aim, account=slice(None)):
    """Whether this much cash of these accounts is inside the bounds, with what rounding may take to spare."""
    return (left >= np.maximum(aim.lower, aim.kept)[account]) & (left <= aim.upper[account])


def _extend(scale, steps, limits, aim, exact):
    """Move trades that are there anyway. One that shrinks stays at least the minimum trade."""
    need = aim.need(scale.cash_after(steps), exact)
    rows, sign = _waiting(scale, need, steps != 0)
    if not rows.size:
        return
    now, room = steps[rows], _room(steps, limits, rows, sign)
    shrinks = (now * sign < 0).nonzero()[0]
    some = rows[shrinks]
    spare = np.maximum(np.abs(now[shrinks]) - scale.least_trade[some], 0.0)
    room[shrinks] = np.where(scale.book.target[some] == 0, 0.0, np.minimum(room[shrinks], spare))
    _spend(scale, steps, need, rows, room, np.zeros(len(rows)), room > 0)


def _open(scale, steps, limits, aim, exact):
    """Open trades, those with the most room first, so that the fewest do; each is at least the minimum trade."""
    need = aim.need(scale.cash_after(steps), exact)
    rows, sign = _waiting(scale, need, True)
    if not rows.size:
        return
    now, room = steps[rows], _room(steps, limits, rows, sign)
    least = np.where(now == 0, np.maximum(scale.least_trade[rows], 1.0), 0.0)
    _spend(scale, steps, need, rows, room, least, (room >= np.maximum(least, 1.0)) & (now * sign >= 0))


def _waiting(scale, need, chosen):
    """Rows, of the chosen ones, whose account needs something, and the direction each has to go."""
    rows = (need.open[scale.owner] & chosen).nonzero()[0]
    return rows, need.sign[scale.owner[rows]]


def _room(steps, limits, rows, sign):
    """Steps that rows can still move in the direction of `sign` (n,) without passing their limits (lower, upper)."""
    now, (lower, upper) = steps[rows], limits
    return np.maximum(np.where(sign > 0, upper[rows] - now, now - lower[rows]), 0.0)


def _spend(scale, steps, need, rows, room, least, may):
    """Spend the need on those of these rows that may move, the ones with the most room first."""
    places = may.nonzero()[0]
    rows, room = rows[places], room[places]
    dollars = scale.step_value[rows]
    most = np.minimum(room, MOST_STEPS)
    cash.spend(need, steps, cash.Line(rows, scale.owner[rows], dollars, most, least[places], room * dollars))


def _let_bands_yield(scale, steps, aim, exact):
    """Where restrictions leave cash outside its bounds, the other components give way in equal proportion to target."""
    need = aim.need(scale.cash_after(steps), exact)
    chosen = np.flatnonzero(need.open)
    if not chosen.size:
        return
    book, sign = scale.book, need.sign[scale.owner]
    movable = np.where(sign > 0, book.may_buy | (steps < 0), book.may_sell | (steps > 0)) & (sign != 0)
    extra = cash.equal_shortfall(scale, steps, chosen, movable, need.sign, need.least)
    changed = size.allowed(scale, steps + np.trunc(extra))
    small = (np.abs(changed) < scale.least_trade) & (book.target > 0)
    lets_go = small & (changed != steps)
    steps[:] = np.where(lets_go, np.where(steps * sign < 0, 0.0, steps), changed)


def _keep_lower_bound(scale, steps, aim):
    """Cut buys until none takes cash below its lower bound: components yield before cash does."""
    short = np.where(_buys(scale, steps), np.maximum(aim.lower - scale.cash_after(steps), 0.0), 0.0)
    if (short <= cash.DUST).all():
        return
    need = cash.Need(np.where(short > cash.DUST, -1, 0), short, short.copy(), np.full(len(short), np.inf))
    _cut_buys(scale, steps, need, np.zeros(len(steps)))


def _keep_cash_positive(scale, steps, limits):
    """Cut buys, then sell more, until no account ends with available cash below 0; returns the dollars still short.

    Moves that stay inside the limits (lower, upper) come first, then any that are allowed.
    """
    if (_dollars_short(scale, steps) == 0).all():
        return np.zeros(len(scale.cash))
    for floor in (limits[0], np.full(len(steps), -np.inf)):
        for cut in (_cut_buys, _sell_more):
            short = _dollars_short(scale, steps)
            need = cash.Need(np.where(short > 0, -1, 0), short, short.copy(), np.full(len(short), np.inf))
            cut(scale, steps, need, floor)
    short = _dollars_short(scale, steps)
    return np.where(short > cash.DUST, np.maximum(-scale.cash_after(steps), 0.01), 0.0)


def _dollars_short(scale, steps):
    """What each account's cash misses to 0, or with buys to what rounding may take."""
    return np.maximum(_least_cash(scale, steps) - scale.cash_after(steps), 0.0)


def _least_cash(scale, steps):
    """Dollars that each account has to keep: none, or with buys what rounding may take."""
    return np.where(_buys(scale, steps), scale.rounding, 0.0)


def _cut_buys(scale, steps, need, floor):
    """Cut buys down to the floor (steps); what is left of one below the minimum trade is dropped."""
    short = (need.sign < 0)[scale.owner]
    room = np.where(steps > 0, steps - np.maximum(floor, 0.0), 0.0)
    _raise_cash(scale, steps, need, room, np.ones(len(steps)))
    steps[(steps > 0) & (steps < scale.least_trade) & short & (room > 0)] = 0.0


def _sell_more(scale, steps, need, floor):
    """Sell down to the floor (steps); a new sale is at least the minimum trade, or all there is."""
    may = scale.book.may_sell & (steps <= 0)
    held = np.where(may, steps + scale.most_sold, 0.0)
    room = np.where(may, np.minimum(held, steps - np.maximum(floor, -scale.most_sold)), 0.0)
    least = np.where(steps == 0, np.minimum(np.maximum(scale.least_trade, 1.0), held), 1.0)
    _raise_cash(scale, steps, need, room, least)


def _raise_cash(scale, steps, need, room, least):
    rows = np.flatnonzero(need.open[scale.owner] & (room >= least))
    owner, dollars = scale.owner[rows], scale.step_value[rows]
    over = scale.value[rows] + steps[rows] * dollars - scale.book.target[rows] * scale.managed[owner]
    cash.spend(need, steps, cash.Line(rows, owner, dollars, room[rows], least[rows], over))


def _buys(scale, steps):
    return segments.largest(steps, scale.book.start, 0.0) > 0


def _never_more_than(fewest, other, scale):
    """Take the other sizes for accounts where they need fewer trades, or with trades in the same rows less turnover
    and leave cash and components no further out. Changes `fewest` in place."""
    book = scale.book
    aim = _aim(scale, book.cash_lower, book.cash_upper)
    fewer = trades(scale, other.steps) < trades(scale, fewest.steps)
    elsewhere = segments.sums((other.steps != 0) & (fewest.steps == 0), book.start) > 0
    turnover, other_turnover = (_turnover(scale, sizes.steps) for sizes in (fewest, other))
    better = fewer | (~elsewhere & (other_turnover < turnover - cash.DUST))
    if not better.any():
        return
    out, other_out = (distance.outside(scale.cash_after(sizes.steps), aim) for sizes in (fewest, other))
    far, other_far = (distance.far_out(scale, sizes.steps, scale.threshold) for sizes in (fewest, other))
    no_worse = (other_out <= out + cash.DUST) & (other_far <= far + cash.DUST)
    better &= (fewer | no_worse) & (other.shortfall == 0)
    row = better[scale.owner]
    fewest.steps[row] = other.steps[row]
    fewest.forced[row] = other.forced[row]
    fewest.shortfall[better] = other.shortfall[better]


def _turnover(scale, steps):
    """Dollars that each account trades."""
    return segments.sums(np.abs(steps) * scale.step_value, scale.book.start)
