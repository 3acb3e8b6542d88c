"""Allocation of a block's fill, and its booking into lots, positions and cash beside COPY of the same rows."""

import random
import statistics
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from time import perf_counter

from django.db import connection

from accounts.models import Account, Custodian, Security, Sleeve
from trading.allocate import allocate as share_out
from trading.models import Fill, Order
from trading.services import staging
from trading.services.allocating import allocate
from trading.services.staging import Block, Part
from trading.states import OrderState, Side

from . import floors
from .report import Figure, median_seconds

ACCOUNTS, SECURITIES, LOTS, PER_LOT, SOLD = 10_000, 10, 3, 100, 60
RUNS = 3
MILLISECONDS = 50
SHARE = 1_000_000
DAY = date(2026, 11, 20)
AT = datetime(2026, 11, 20, 15, tzinfo=UTC)

LOT_ROWS = """
INSERT INTO tax_lot (account_id, sleeve_id, security_id, lot_id, quantity, total_cost, acquired_on)
SELECT account.id, %(sleeve)s, security.id, 'L' || n, %(per_lot)s, 5000 + (account.id * 7919 %% 9000),
       date '2022-01-03' + n
FROM accounts_account account, accounts_security security, generate_series(1, %(lots)s) n
ORDER BY account.id, security.id, n
"""
POSITION_ROWS = """
INSERT INTO accounts_position (account_id, sleeve_id, security_id, quantity)
SELECT account_id, sleeve_id, security_id, sum(quantity) FROM tax_lot GROUP BY account_id, sleeve_id, security_id
"""
HELD = """
SELECT account_id, sleeve_id, security_id, lot_id, (quantity * 1000000)::int8, (total_cost * 100)::int8, acquired_on
FROM tax_lot ORDER BY account_id, sleeve_id, security_id, acquired_on, lot_id
"""
BOOKED = "SELECT * FROM tax_booking WHERE source = ANY(%s)"
BOOKED_LOTS = """
SELECT * FROM tax_bookedlot WHERE booking_id IN (SELECT id FROM tax_booking WHERE source = ANY(%s))
"""
TOUCHED = """
SELECT * FROM tax_lot WHERE (account_id, security_id, lot_id) IN (
    SELECT b.account_id, b.security_id, l.lot_id
    FROM tax_booking b JOIN tax_bookedlot l ON l.booking_id = b.id WHERE b.source = ANY(%s))
"""


def figures(accounts=ACCOUNTS, securities=SECURITIES) -> Iterator[Figure]:
    yield _allocation(accounts)
    with floors.empty_database():
        _make_book(accounts, securities)
        runs = [_turn(number) for number in range(RUNS + 1)][1:]
    ours, floor = (statistics.median(seconds) for seconds in zip(*runs, strict=True))
    count = accounts * securities
    name = f"Booking of {count:,} accounts' fills ({securities} blocks) into lots, positions and cash"
    value = (
        f"{ours / floor:.1f}× COPY of the rows read and written ({ours:.1f} s, {floor:.1f} s), {count / ours:,.0f}/s"
    )
    yield Figure(name, value)


def _allocation(accounts):
    chance = random.Random(7)
    wanted = [chance.randrange(1, 500) * SHARE for _ in range(accounts)]
    keys = [(f"A{number:06d}", 0, "") for number in range(accounts)]
    filled = sum(wanted) // SHARE // 3 * SHARE
    cents = filled * 12_345 // SHARE
    seconds = median_seconds(lambda: share_out(wanted, SHARE, filled, cents, keys), 2 * RUNS + 1)
    name = f"Allocation of a partly filled block over {accounts:,} accounts"
    return Figure(name, f"{seconds * 1000:.0f} ms", f"below {MILLISECONDS} ms", seconds * 1000 < MILLISECONDS)


def _make_book(accounts, securities):
    """Accounts that hold so many lots of each security, all in managed."""
    custodian = Custodian.objects.create(name="Custodian")
    before = DAY - timedelta(days=1)
    Account.objects.bulk_create(
        Account(number=f"A{number:06d}", name=f"Client {number}", custodian=custodian, delivered_for=before)
        for number in range(accounts)
    )
    Security.objects.bulk_create(
        Security(symbol=f"S{number}", name=f"Security {number}", kind=Security.Kind.ETF, quantity_step=Decimal(1))
        for number in range(securities)
    )
    managed = Sleeve.objects.get(kind=Sleeve.Kind.MANAGED)
    with connection.cursor() as cursor:
        cursor.execute(LOT_ROWS, {"sleeve": managed.pk, "per_lot": PER_LOT, "lots": LOTS})
        cursor.execute(POSITION_ROWS)
    floors.settle()


def _turn(number):
    """Seconds to allocate a ticket of sells of every position, and seconds of COPY: lots out, what is written in."""
    orders = _filled_orders(number)
    _, floor = floors.copy_out(HELD)
    started = perf_counter()
    assert all(allocate(order.pk) for order in orders)
    ours = perf_counter() - started
    sources = [[f"order {order.pk}" for order in orders]]
    floor += floors.copy_in("tax_booking", BOOKED, sources)
    floor += floors.copy_in("tax_bookedlot", BOOKED_LOTS, sources)
    floor += floors.copy_in("tax_lot", TOUCHED, sources)
    floor += floors.copy_in("accounts_position", "SELECT * FROM accounts_position")
    return ours, floor


def _filled_orders(number):
    """A ticket that sells so many shares of each position, the oldest lots first, filled in two parts each."""
    managed = Sleeve.objects.get(kind=Sleeve.Kind.MANAGED).pk
    lots = list(_oldest(number * SOLD))
    accounts = list(Account.objects.values_list("pk", flat=True))
    blocks = [
        Block(pk, Side.SELL, Decimal(60), [Part(account, managed, Decimal(SOLD), lots) for account in accounts])
        for pk in Security.objects.values_list("pk", flat=True)
    ]
    ticket = staging.stage(label="T", by=None, trade_date=DAY, blocks=blocks, moves=[])
    orders = list(Order.objects.filter(ticket=ticket))
    Fill.objects.bulk_create(
        Fill(
            broker="paper", execution_id=f"{order.pk}-{part}", client_order_id="x", order=order,
            quantity=order.quantity / 2, price=price, at=AT,
        )
        for order in orders for part, price in enumerate((Decimal("59.87"), Decimal("60.11")))
    )  # fmt: skip
    Order.objects.filter(ticket=ticket).update(state=OrderState.FILLED)
    floors.settle()
    return orders


def _oldest(gone):
    """[lot id, quantity] of the next shares that go, after so many have gone."""
    left = SOLD
    while left:
        part = min(PER_LOT - gone % PER_LOT, left)
        yield [f"L{gone // PER_LOT + 1}", str(part)]
        gone, left = gone + part, left - part
