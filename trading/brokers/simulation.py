"""What would become of an order in the paper market: pure, and the same whenever it is asked with the same figures.

A plan is made when the order comes in. Its clock is the market's: seconds since the order could first be traded. How
fast that clock goes, and what its zero is in real time, is for the caller.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from math import sqrt
from random import Random

from trading.states import Algorithm, Side

HOUR = 3600.0
SLICE = 300.0  # seconds of the market that one slice of a window stands for
FEWEST_SLICES, MOST_SLICES = 4, 48
AT_ONCE = 15.0  # seconds within which a market order is filled
DAY_MOVES = 0.0126  # how far a price goes in a day of 6.5 hours: 20 % in a year
DAY = 6.5 * HOUR
NOISE = 0.0001
PARTICIPATION_OF_LIMITS = Decimal(10)  # percent of the volume that comes to an order which waits at its limit
EXTENDED_VOLUME = Decimal("0.1")  # of that of the regular session
ALL = Decimal(100)


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for. `key` is what chance is drawn from; quantities are whole steps."""

    key: str
    side: Side
    algorithm: Algorithm
    quantity: Decimal
    step: Decimal
    price: Decimal  # the last one
    limit: Decimal | None
    participation: Decimal | None  # percent

    @property
    def steps(self) -> int:
        return int(self.quantity / self.step)


@dataclass(frozen=True, slots=True)
class Window:
    """The order's time, in seconds of the market's clock; the whole session's for the shape of its volume."""

    start: float
    end: float
    session_start: float
    session_end: float

    @property
    def length(self) -> float:
        return self.end - self.start

    def volume_until(self, at: float) -> float:
        """The part of the session's volume that has traded by then: much at its open and close, little at noon."""
        length = self.session_end - self.session_start
        passed = min(max((at - self.session_start) / length, 0.0), 1.0)
        return 0.4 * passed + 0.3 * ((2 * passed - 1) ** 3 + 1)


@dataclass(frozen=True, slots=True)
class Market:
    spread: Decimal  # percent of the price, between bid and ask
    hourly_volume: int
    is_extended: bool = False

    def steps(self, order: Order, seconds: float, participation: Decimal) -> int:
        """How many steps of the order its part of the volume of that time allows."""
        volume = self.hourly_volume * Decimal(seconds / HOUR) * participation / ALL
        return int(volume * (EXTENDED_VOLUME if self.is_extended else 1) / order.step)


@dataclass(frozen=True, slots=True)
class Planned:
    """A fill to come."""

    seconds: float
    quantity: Decimal
    price: Decimal


def plan(order: Order, window: Window, market: Market) -> list[Planned]:
    """The fills of the order, in order of time, within its window; together never more than it asks for."""
    return list(PLANS[order.algorithm](order, window, market, Random(order.key)))


def _market(order, window, market, chance):
    count = min(chance.randint(1, 4), order.steps)
    soon = min(AT_ONCE, window.length / 2)
    moments = sorted(window.start + chance.uniform(0, soon) for _ in range(count))
    for at, steps in zip(moments, _even(order.steps, count), strict=True):
        yield _fill(order, at, steps, _quoted(order, market, chance.gauss(1, NOISE)))


def _twap(order, window, market, chance):
    count = _slices(order, window)
    return _sliced(order, window, market, chance, _even(_allowed(order, window, market), count))


def _vwap(order, window, market, chance):
    count = _slices(order, window)
    bounds = [window.volume_until(window.start + window.length * part / count) for part in range(count + 1)]
    share = [(bound - bounds[0]) / (bounds[-1] - bounds[0]) for bound in bounds]
    return _sliced(order, window, market, chance, _parts(_allowed(order, window, market), share))


def _limit(order, window, market, chance):
    """A price path; wherever it is at the limit or better, some of the volume of that time."""
    left, walk = order.steps, _walk(chance)
    count = min(max(int(window.length / SLICE), FEWEST_SLICES), 2 * MOST_SLICES)
    length = window.length / count
    for part in range(count):
        price = _quoted(order, market, walk(length if part else 0))
        at = window.start + length * (part + chance.uniform(0, 0.05))
        comes = int(market.steps(order, length, PARTICIPATION_OF_LIMITS) * chance.uniform(0.3, 1))
        steps = min(left, comes)
        if steps and _within_limit(order, price):
            left -= steps
            yield _fill(order, at, steps, price)


def _nav(order, window, market, chance):
    yield _fill(order, window.end, order.steps, order.price)


PLANS: dict[Algorithm, Callable[..., Iterable[Planned]]] = {
    Algorithm.MARKET: _market,
    Algorithm.LIMIT: _limit,
    Algorithm.TWAP: _twap,
    Algorithm.VWAP: _vwap,
    Algorithm.NAV: _nav,
}


# --- quantities -------------------------------------------------------------------------------------------------


def _slices(order, window):
    wanted = min(max(int(window.length / SLICE), FEWEST_SLICES), MOST_SLICES)
    return max(min(wanted, order.steps), 1)


def _allowed(order, window, market):
    """As many steps as the order asks for and its participation in the window's volume allows."""
    return min(order.steps, market.steps(order, window.length, order.participation or ALL))


def _even(steps, count):
    return _parts(steps, [part / count for part in range(count + 1)])


def _parts(steps, share):
    """Whole steps between one share of all and the next (0 to 1, rising); their sum is `steps`."""
    bounds = [round(steps * one) for one in share]
    return [after - before for before, after in pairwise(bounds)]


def _sliced(order, window, market, chance, parts):
    """A fill in each equal part of the window that has something to do, somewhere in its middle."""
    length, walk = window.length / len(parts), _walk(chance)
    for part, steps in enumerate(parts):
        at = window.start + length * (part + chance.uniform(0.25, 0.75))
        price = _quoted(order, market, walk(length))
        if steps:
            yield _fill(order, at, steps, price)


def _fill(order, at, steps, price):
    return Planned(at, steps * order.step, price)


# --- prices -----------------------------------------------------------------------------------------------------


def _walk(chance):
    """A function: the price after so many more seconds, as a factor of the last one known."""
    factor = 1.0

    def on(seconds):
        nonlocal factor
        factor *= 1 + min(max(chance.gauss(0, DAY_MOVES * sqrt(seconds / DAY)), -0.1), 0.1)
        return factor

    return on


def _quoted(order, market, factor):
    """What a buyer pays (the ask) or a seller gets (the bid), above zero, in whole ticks."""
    away = market.spread / 2 / ALL
    price = order.price * Decimal(factor) * (1 + away if order.side == Side.BUY else 1 - away)
    tick = Decimal("0.01") if order.price >= 1 else Decimal("0.0001")
    return max(price.quantize(tick, ROUND_HALF_UP), min(tick, order.price))


def _within_limit(order, price):
    return price <= order.limit if order.side == Side.BUY else price >= order.limit
