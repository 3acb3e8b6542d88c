"""Which lots go, and what they bring (PRODUCT 5)."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction


@dataclass(frozen=True)
class Taken:
    """A part of a lot as the export has to show it; None where a cell is to be empty."""

    lot_id: str
    acquired: date
    quantity: Fraction
    proceeds: Decimal | None
    cost: Decimal | None
    gain: Decimal | None
    term: str
    use: str


def to_cent(amount):
    """Half up to the cent."""
    exact = Fraction(amount) * 100
    return Decimal((abs(exact) + Fraction(1, 2)).__floor__() * (1 if exact >= 0 else -1)).scaleb(-2)


def first_long_day(acquired):
    """One year after the day following acquisition; one year after 29 February is 1 March."""
    following = acquired + timedelta(days=1)
    if (following.month, following.day) == (2, 29):
        return date(following.year + 1, 3, 1)
    return date(following.year + 1, following.month, following.day)


def term(lot, trade_date):
    return "long" if trade_date >= first_long_day(lot.acquired) else "short"


def in_order(lots, method, price, trade_date):
    """The lots as this method relieves them; ties: earlier acquired, then lower lot id by bytes."""
    return sorted(lots, key=lambda lot: (*_key(lot, method, price, trade_date), *_age(lot)))


def _age(lot):
    return lot.acquired, lot.lot_id.encode()


def _key(lot, method, price, trade_date):
    if method == "fifo":
        return (0,)
    if method == "lifo":
        return (-lot.acquired.toordinal(),)
    if lot.cost is None:
        return 1, 0, 0
    each = lot.cost / lot.quantity
    if method == "hifo":
        return 0, -each, 0
    gain, long = price - each, term(lot, trade_date) == "long"
    if gain < 0:
        return 0, 1 if long else 0, gain
    if gain == 0:
        return 0, 3 if long else 2, 0
    return 0, 4 if long else 5, gain


def taken(lots, method, price, trade_date, market, flat):
    """The parts of lots that a trade takes: the market part in relief order, then the flat part, oldest first."""
    sold = _take(in_order(lots, method, price, trade_date), {}, market)
    moved = _take(sorted(lots, key=_age), sold, flat)
    result = []
    for lot in lots:
        if lot in sold:
            result.append(_sale(lot, sold[lot], price, trade_date))
        if lot in moved:
            result.append(_move(lot, sold.get(lot, Fraction(0)), moved[lot]))
    return result


def _take(lots, gone, wanted):
    found = {}
    for lot in lots:
        part = min(lot.quantity - gone.get(lot, 0), wanted)
        if part > 0:
            found[lot] = part
            wanted -= part
    return found


def _sale(lot, part, price, trade_date):
    proceeds, cost = to_cent(part * price), cost_of(lot, part)
    gain = None if cost is None else proceeds - cost
    return Taken(lot.lot_id, lot.acquired, part, proceeds, cost, gain, term(lot, trade_date), "sale")


def _move(lot, sold, part):
    cost = cost_of(lot, part)
    if cost is not None and sold + part == lot.quantity:
        cost = to_cent(lot.cost) - cost_of(lot, sold)
    return Taken(lot.lot_id, lot.acquired, part, None, cost, None, "", "flat")


def cost_of(lot, part):
    return None if lot.cost is None else to_cent(lot.cost * part / lot.quantity)
