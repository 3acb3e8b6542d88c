"""Trades of our own, booked into lots, positions and cash: provisionally, once, and many at a time."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

import numpy as np
from django.db import transaction
from django.utils import timezone

from accounts.imports.copying import array, arrive, copy_rows, execute, fetch, lock_accounts
from accounts.models import Account, Firm, Security, Sleeve
from accounts.money import UNITS_PER_SHARE, part_of, plain, shares
from accounts.services.refusals import Refused
from tax.models import BookedLot, Lot
from tax.relief import METHODS, UNKNOWN, Lots, Method, relief_key
from tax.services.lots import free_id
from tax.terms import is_long_term

EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Trade:
    """What an account's sleeve bought or sold, all told.

    `units` are millionths of a share, positive for a buy; `cents` are positive into the account. `price` is the
    average, to the millionth. A sell takes its approved `lots` ([lot id, quantity as text]); which of them, or which
    others, is decided by the account's method as at `relief_price` on `relief_day`, where it was approved.
    `traded_at` is when it was done: a delivery that came later, of this session or a later one, has it already.
    """

    account_id: int
    sleeve_id: int
    security_id: int
    units: int
    cents: int
    price: Decimal
    trade_day: date
    traded_at: datetime
    source: str
    lots: Sequence[Sequence[str]] = ()
    relief_price: Decimal | None = None
    relief_day: date | None = None

    @property
    def place(self):
        return self.account_id, self.sleeve_id, self.security_id


@dataclass(frozen=True, slots=True)
class Booked:
    """What a call of `book` did: trades booked now, and those that had been booked before."""

    now: int
    before: int


ARRIVING = {
    "number": "int", "account_id": "bigint", "sleeve_id": "bigint", "security_id": "bigint",
    "quantity": "numeric(20,6)", "price": "numeric(18,6)", "amount": "numeric(18,2)",
    "trade_day": "date", "traded_at": "timestamptz", "source": "text", "lots": "jsonb",
}  # fmt: skip
# A trade that the newest delivery of its account has already in the cash or the lots that were taken of it. Where both
# are, it is booked, but there already; where its lots were refused, only its cash is.
DELIVERED = """
    EXISTS (SELECT FROM accounts_account a
        JOIN accounts_delivery d ON d.session = a.delivered_for AND d.received_at > t.traded_at
        JOIN accounts_deliveryfile f ON f.delivery_id = d.id AND f.name = '{name}' AND f.state = 'taken'
        WHERE a.id = t.account_id AND a.delivered_for >= t.trade_day)
"""
KEEP = f"""
    WITH made AS (
        INSERT INTO tax_booking (account_id, sleeve_id, security_id, quantity, price, amount, trade_day, source,
            booked_at, is_provisional, lots)
        SELECT account_id, sleeve_id, security_id, quantity, price, amount, trade_day, source, %(now)s,
            NOT {DELIVERED.format(name="lots.csv")}, lots
        FROM booked_trades t ORDER BY number
        ON CONFLICT (account_id, source, sleeve_id, security_id) DO NOTHING
        RETURNING id, account_id, source, sleeve_id, security_id, is_provisional
    )
    SELECT t.number, m.id, m.is_provisional, NOT {DELIVERED.format(name="cash.csv")} FROM made m
    JOIN booked_trades t USING (account_id, source, sleeve_id, security_id) ORDER BY t.number
"""


@transaction.atomic
def book(trades: Iterable[Trade]) -> Booked:
    """Book these trades into lots, positions and cash, each once for its source, account, sleeve and security.

    All or nothing: raises Refused, naming the account and the security, where a sleeve holds less than it sold. A
    trade that a delivery has already is only noted; where only its cash was delivered, the cash stays as it is. Asks
    for checks of the accounts.
    """
    rows = sorted(trades, key=lambda trade: (*trade.place, trade.source))
    if not rows:
        return Booked(0, 0)
    arrive("booked_trades", ARRIVING, (_row(number, trade) for number, trade in enumerate(rows)))
    lock_accounts("SELECT account_id FROM booked_trades")
    kept = fetch(KEEP, {"now": timezone.now()})
    new = [Kept(booking, rows[number], pays) for number, booking, provisional, pays in kept if provisional]
    for short, held in apply(new):
        raise _too_little(short.trade, held)
    return Booked(len(kept), len(rows) - len(kept))


def _row(number, trade):
    return (
        number, *trade.place, f"{trade.units}e-6", trade.price, f"{trade.cents}e-2", trade.trade_day, trade.traded_at,
        trade.source, json.dumps(list(trade.lots)),
    )  # fmt: skip


# --- what bookings do to lots, positions and cash -------------------------------------------------------------------

# Places, (account, sleeve, security), as rows with their number from 1 on.
PLACES = """
    unnest(%(accounts)s::bigint[], %(sleeves)s::bigint[], %(securities)s::bigint[])
        WITH ORDINALITY AS t(account_id, sleeve_id, security_id, number)
"""


def _named(places):
    """The parameters of PLACES."""
    rows = list(places)
    columns = zip(*rows, strict=True) if rows else ((), (), ())
    return dict(zip(("accounts", "sleeves", "securities"), map(array, columns), strict=True))


@dataclass(frozen=True, slots=True)
class Kept:
    """A trade that has its row among the bookings; `pays`: its money is not in the account's cash yet."""

    booking_id: int
    trade: Trade
    pays: bool = True


@dataclass(frozen=True, slots=True)
class Held:
    """A lot as it is in the book; `cents` is UNKNOWN where its cost is."""

    pk: int
    lot_id: str
    units: int
    cents: int
    acquired: int  # days since 1970-01-01


@dataclass(slots=True)
class _Changes:
    """Rows to be written: of lots that give shares, of lots that are made, and of what bookings did with lots."""

    taken: list[tuple] = field(default_factory=list)
    made: list[tuple] = field(default_factory=list)
    booked: list[tuple] = field(default_factory=list)


def apply(kept: Sequence[Kept]) -> list[tuple[Kept, int]]:
    """Carry out bookings whose accounts are locked; at most one for each account, sleeve and security.

    Returns those that were not, as their sleeve holds too little, with the units that it holds.
    """
    changes = _Changes()
    short = _sell([one for one in kept if one.trade.units < 0], changes)
    _buy([one for one in kept if one.trade.units > 0], changes)
    _write(changes)
    failed = {one.booking_id for one, _ in short}
    done = [one for one in kept if one.booking_id not in failed]
    sum_up(one.trade.place for one in done)
    pay((one.trade.account_id, one.trade.cents if one.pays else 0) for one in done)
    return short


HELD = f"""
    SELECT t.number - 1, l.id, l.lot_id, (l.quantity * {UNITS_PER_SHARE})::bigint,
        COALESCE((l.total_cost * 100)::bigint, {UNKNOWN}), l.acquired_on - DATE '1970-01-01'
    FROM {PLACES} JOIN tax_lot l USING (account_id, sleeve_id, security_id)
    ORDER BY t.number, l.acquired_on, l.lot_id
"""


def held_lots(places: Sequence[tuple[int, int, int]]) -> list[list[Held]]:
    """The lots of these (account id, sleeve id, security id), each's in age order."""
    found: list[list[Held]] = [[] for _ in places]
    for number, *lot in fetch(HELD, _named(places)):
        found[number].append(Held(*lot))
    return found


def _sell(kept, changes):
    """Write down what sells take; return those whose sleeve holds too little, and how much it holds."""
    trades = [one.trade for one in kept]
    held = held_lots([trade.place for trade in trades])
    parting = {day: _first_short(day) for day in {trade.trade_day for trade in trades}}
    short = []
    for one, lots, units in zip(kept, held, taken_of(trades, held), strict=True):
        if sum(units) == -one.trade.units:
            _give(one, lots, units, parting[one.trade.trade_day], changes)
        else:
            short.append((one, sum(units)))
    return short


def _first_short(day):
    """The first day of acquisition whose lots are short-term when sold on that day, in days since 1970-01-01."""
    days = np.arange((day - EPOCH).days - 400, (day - EPOCH).days + 1)
    return int(days[~is_long_term(days, (day - EPOCH).days)][0])


def _too_little(trade, units):
    account = Account.objects.get(pk=trade.account_id)
    security = Security.objects.get(pk=trade.security_id)
    sleeve = Sleeve.objects.select_related("model").get(pk=trade.sleeve_id)
    return Refused(
        f"Account {account.number} holds {plain(shares(units))} {security} in its sleeve {sleeve}: "
        f"{plain(shares(-trade.units))} sold can't be booked."
    )


def taken_of(trades: Sequence[Trade], held: Sequence[Sequence[Held]]) -> list[list[int]]:
    """Units that each lot gives: of the approved ones those that the method gives first, then of all others likewise.

    Where a sleeve holds too little, all is given.
    """
    if not any(held):
        return [[] for _ in held]
    flat = [lot for lots in held for lot in lots]
    units = np.array([lot.units for lot in flat], dtype=np.int64)
    sale = np.repeat(np.arange(len(held)), [len(lots) for lots in held])
    order = np.lexsort((np.arange(len(flat)), _keys(trades, flat, units, sale), sale))
    wanted = np.array([-trade.units for trade in trades], dtype=np.int64)
    given = _in_order(order, sale, np.minimum(_approved(trades, held), units), wanted)
    missing = wanted.copy()
    np.subtract.at(missing, sale, given)
    if missing.any():
        given += _in_order(order, sale, units - given, missing)
    found = given.tolist()
    ends = np.cumsum([len(lots) for lots in held]).tolist()
    return [found[end - len(lots) : end] for lots, end in zip(held, ends, strict=True)]


def _in_order(order, sale, available, wanted):
    """What each lot gives of what is available, in that order (lots of a sale adjacent), int64 (lots,)."""
    here = available[order]
    before = np.cumsum(here) - here
    first = np.searchsorted(sale[order], np.arange(len(wanted)))
    before -= np.append(before, 0)[first][sale[order]]
    given = np.empty_like(available)
    given[order] = np.clip(wanted[sale[order]] - before, 0, here)
    return given


def _approved(trades, held):
    """Units of each lot that were approved to be sold, int64 (lots,)."""
    found = []
    for trade, lots in zip(trades, held, strict=True):
        approved: dict[str, int] = defaultdict(int)
        for lot_id, quantity in trade.lots:
            approved[lot_id] += int(Decimal(quantity) * UNITS_PER_SHARE)
        found += [approved.get(lot.lot_id, 0) for lot in lots]
    return np.array(found, dtype=np.int64)


def _keys(trades, flat, units, sale):
    """Whole numbers that say which lots of a sale go first, by its account's method, price and day."""
    lots = Lots(
        units,
        np.array([lot.cents for lot in flat], dtype=np.int64),
        np.array([lot.acquired for lot in flat], dtype=np.int32),
    )
    of_account = methods({trade.account_id for trade in trades})
    method = np.array([of_account[trade.account_id] for trade in trades], dtype=np.int8)[sale]
    price = np.array([float(trade.relief_price or trade.price) for trade in trades])[sale]
    day = np.array([((trade.relief_day or trade.trade_day) - EPOCH).days for trade in trades])[sale]
    keys = np.zeros(len(flat), dtype=np.int64)
    for one, when in {*zip(method.tolist(), day.tolist(), strict=True)}:
        some = np.flatnonzero((method == one) & (day == when))
        chosen = Lots(lots.units[some], lots.cost_cents[some], lots.acquired[some])
        keys[some] = relief_key(Method(one), chosen, price[some], when)
    return keys


def methods(account_pks) -> dict[int, Method]:
    """{account id: its lot method, or the firm's}."""
    usual = Firm.current().lot_method
    found = fetch("SELECT id, lot_method FROM accounts_account WHERE id = ANY(%s)", [list(account_pks)])
    return {pk: METHODS[own or usual] for pk, own in found}


def _give(one, lots, given, first_short, changes):
    """Write down what a sale takes of its lots. Its money is shared by units, so that the lots' sum is the sale's."""
    sold = money = 0
    for lot, units in zip(lots, given, strict=True):
        if not units:
            continue
        sold += units
        proceeds = part_of(one.trade.cents, sold, -one.trade.units) - money
        money += proceeds
        cost = None if lot.cents == UNKNOWN else part_of(lot.cents, units, lot.units)
        changes.taken.append((lot.pk, units, cost))
        gain = None if cost is None else proceeds - cost
        term = "short" if lot.acquired >= first_short else "long"
        day = date.fromordinal(EPOCH.toordinal() + lot.acquired)
        changes.booked.append(
            (one.booking_id, lot.lot_id, day, f"{units}e-6", _dollars(proceeds), _dollars(cost), _dollars(gain), term)
        )


def _dollars(cents):
    return None if cents is None else f"{cents}e-2"


NAMED_LIKE = """
    SELECT t.number - 1, l.lot_id
    FROM unnest(%(accounts)s::bigint[], %(sleeves)s::bigint[], %(securities)s::bigint[], %(sources)s::text[])
        WITH ORDINALITY AS t(account_id, sleeve_id, security_id, source, number)
    JOIN tax_lot l USING (account_id, sleeve_id, security_id) WHERE starts_with(l.lot_id, t.source)
"""


def _buy(kept, changes):
    """Write down the lots that buys make; each is called after its source."""
    there = defaultdict(set)
    sources = {"sources": [one.trade.source for one in kept]}
    for number, lot_id in fetch(NAMED_LIKE, _named(one.trade.place for one in kept) | sources):
        there[number].add(lot_id)
    for number, one in enumerate(kept):
        trade = one.trade
        lot_id = free_id(trade.source, there[number])
        quantity, cost = f"{trade.units}e-6", _dollars(-trade.cents)
        changes.made.append((*trade.place, lot_id, quantity, cost, trade.trade_day))
        changes.booked.append((one.booking_id, lot_id, trade.trade_day, quantity, None, cost, None, ""))


LOT_COLUMNS = ("account_id", "sleeve_id", "security_id", "lot_id", "quantity", "total_cost", "acquired_on")
BOOKED_COLUMNS = ("booking_id", "lot_id", "acquired_on", "quantity", "proceeds", "cost", "gain", "term")
# Lots that give all they have go; the others keep what is left.
USED_UP = """
    DELETE FROM tax_lot l USING unnest(%(lots)s::bigint[], %(units)s::bigint[]) AS t(id, units)
    WHERE l.id = t.id AND l.quantity = t.units * 0.000001
"""
TAKE_OFF = """
    UPDATE tax_lot l SET quantity = l.quantity - t.units * 0.000001, total_cost = l.total_cost - t.cents * 0.01
    FROM unnest(%(lots)s::bigint[], %(units)s::bigint[], %(cents)s::bigint[]) AS t(id, units, cents) WHERE l.id = t.id
"""


def _write(changes):
    if changes.taken:
        lots, units, cents = (array(column) for column in zip(*changes.taken, strict=True))
        execute(USED_UP, {"lots": lots, "units": units})
        execute(TAKE_OFF, {"lots": lots, "units": units, "cents": cents})
    copy_rows(Lot._meta.db_table, LOT_COLUMNS, changes.made)
    copy_rows(BookedLot._meta.db_table, BOOKED_COLUMNS, changes.booked)


EMPTIED = f"""
    DELETE FROM accounts_position p USING {PLACES}
    WHERE (p.account_id, p.sleeve_id, p.security_id) = (t.account_id, t.sleeve_id, t.security_id)
        AND NOT EXISTS (SELECT FROM tax_lot l
            WHERE (l.account_id, l.sleeve_id, l.security_id) = (t.account_id, t.sleeve_id, t.security_id))
"""
SUMS = f"""
    INSERT INTO accounts_position (account_id, sleeve_id, security_id, quantity)
    SELECT account_id, sleeve_id, security_id, sum(l.quantity)
    FROM {PLACES} JOIN tax_lot l USING (account_id, sleeve_id, security_id)
    GROUP BY account_id, sleeve_id, security_id
    ON CONFLICT (account_id, sleeve_id, security_id) DO UPDATE SET quantity = excluded.quantity
"""


def sum_up(places: Iterable[tuple[int, int, int]]) -> None:
    """Make the positions of these (account id, sleeve id, security id) the sums of their lots again."""
    named = _named(sorted(set(places)))
    execute(EMPTIED, named)
    execute(SUMS, named)


PAY = """
    UPDATE accounts_account a SET cash = a.cash + p.cash, check_wanted_at = %(now)s
    FROM (
        SELECT account_id, sum(cents) * 0.01 AS cash
        FROM unnest(%(accounts)s::bigint[], %(cents)s::bigint[]) AS t(account_id, cents) GROUP BY account_id) p
    WHERE a.id = p.account_id
"""


def pay(payments: Iterable[tuple[int, int]]) -> None:
    """Add these (account id, signed cents) to the accounts' cash, and ask for checks of them."""
    paid = list(payments)
    accounts, cents = array(account for account, _ in paid), array(cents for _, cents in paid)
    execute(PAY, {"accounts": accounts, "cents": cents, "now": timezone.now()})
