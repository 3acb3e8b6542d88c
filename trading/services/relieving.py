"""Which lots a changed sale takes, and what they cost: the lots of an account's allocation, anew."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import numpy as np

from accounts.imports.copying import fetch
from accounts.money import UNITS_PER_SHARE, amount, part_of, plain, shares
from tax.relief import METHODS, UNKNOWN, Lots, Sales, relieve
from tax.terms import is_long_term

from .staging import Sold

EPOCH = date(1970, 1, 1)
LOTS = f"""
SELECT lot.account_id, lot.sleeve_id, lot.security_id, lot.lot_id, (lot.quantity * {UNITS_PER_SHARE})::bigint,
    lot.acquired_on - date '1970-01-01', coalesce((lot.total_cost * 100)::bigint, {UNKNOWN})
FROM unnest(%(accounts)s::bigint[], %(sleeves)s::bigint[], %(securities)s::bigint[])
    AS wanted (account_id, sleeve_id, security_id)
JOIN tax_lot lot USING (account_id, sleeve_id, security_id)
ORDER BY lot.account_id, lot.sleeve_id, lot.security_id, lot.acquired_on, lot.lot_id
"""


@dataclass(frozen=True, slots=True)
class Sale:
    """So many shares of one account's sleeve, by its lot method, at an estimated price."""

    key: int  # the allocation
    account_id: int
    sleeve_id: int
    security_id: int
    quantity: Decimal
    method: str
    price: Decimal

    @property
    def position(self):
        return self.account_id, self.sleeve_id, self.security_id


@dataclass(frozen=True, slots=True)
class Relieved:
    """`lots` are [lot id, quantity as text] of each lot that goes, oldest first."""

    lots: list[list[str]]
    sold: Sold


NOTHING = Relieved([], Sold())


def relieved(sales: Iterable[Sale], trade_day: date) -> dict[int, Relieved]:
    """By key: the lots that each sale takes when it trades on that day. One query, none where nothing is sold.

    A sale of 0 takes nothing. Where lots hold less than is sold, all of them go.
    """
    wanted = [sale for sale in sales if sale.quantity]
    if not wanted:
        return {}
    held = _held(wanted)
    taken = [sale for sale in wanted if held.get(sale.position)]
    if not taken:
        return {}
    rows = [row for sale in taken for row in held[sale.position]]
    day = (trade_day - EPOCH).days
    given = _given(taken, held, rows, day)
    long = is_long_term(np.array([row[2] for row in rows], dtype=np.int32), day)
    found, first = {}, 0
    for sale in taken:
        last = first + len(held[sale.position])
        found[sale.key] = _relieved(rows[first:last], given[first:last], long[first:last])
        first = last
    return found


def _held(sales):
    """The lots of each position as (lot id, units, days of acquisition, cost in cents), in age order."""
    accounts, sleeves, securities = zip(*sorted({sale.position for sale in sales}), strict=True)
    wanted = {"accounts": list(accounts), "sleeves": list(sleeves), "securities": list(securities)}
    held = defaultdict(list)
    for account, sleeve, security, lot_id, units, days, cents in fetch(LOTS, wanted):
        held[account, sleeve, security].append((lot_id, units, days, cents))
    return held


def _given(sales, held, rows, day):
    """The units that each lot gives, int64 (rows,)."""
    count = np.array([len(held[sale.position]) for sale in sales], dtype=np.int64)
    lots = Lots(
        units=np.array([row[1] for row in rows], dtype=np.int64),
        cost_cents=np.array([row[3] for row in rows], dtype=np.int64),
        acquired=np.array([row[2] for row in rows], dtype=np.int32),
    )
    return relieve(
        lots,
        Sales(
            first=np.cumsum(count) - count,
            count=count,
            units=np.array([int(sale.quantity * UNITS_PER_SHARE) for sale in sales], dtype=np.int64),
            method=np.array([METHODS[sale.method] for sale in sales], dtype=np.int8),
            price=np.array([float(sale.price) for sale in sales]),
            trade_day=day,
        ),
    )


def _relieved(rows, given, long):
    lots, unknown = [], 0
    quantity: dict[bool, Decimal] = {False: Decimal(0), True: Decimal(0)}
    cost: dict[bool, Decimal] = {False: Decimal(0), True: Decimal(0)}
    for (lot_id, units, _, cents), part, is_long in zip(rows, given.tolist(), long.tolist(), strict=True):
        if not part:
            continue
        lots.append([lot_id, plain(shares(part))])
        if cents == UNKNOWN:
            unknown += 1
            continue
        quantity[is_long] += shares(part)
        cost[is_long] += amount(Decimal(part_of(cents, part, units)) / 100)
    return Relieved(lots, Sold(quantity[False], cost[False], quantity[True], cost[True], unknown))
