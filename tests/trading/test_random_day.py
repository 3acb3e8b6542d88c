"""A random day of 2,000 orders, booked by the product and worked out again in plain Python: the same to the cent.

What is expected is computed here, lot by lot, from PRODUCT 5 and 8 with fractions and decimals; no part of the product
is asked for it.
"""

import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest

from accounts.models import Account, Position
from tax.models import BookedLot, Booking, Lot
from tests import factories as make
from trading.models import Allocation, Fill, Order
from trading.services import staging
from trading.services.allocating import allocate
from trading.services.staging import Block, Part
from trading.states import OrderState, Side

ORDERS, ACCOUNTS = 2_000, 60
DAY = date(2026, 11, 20)
OPENS = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
METHODS = ["fifo", "lifo", "hifo", "minimum_tax"]
CENT = Decimal("0.01")


@dataclass
class Parcel:
    """A lot as this test knows it."""

    lot_id: str
    quantity: Decimal
    cost: Decimal | None
    acquired: date


@dataclass
class Ledger:
    """The firm as it should be."""

    cash: dict = field(default_factory=dict)
    lots: dict = field(default_factory=lambda: defaultdict(list))
    method: dict = field(default_factory=dict)
    number: dict = field(default_factory=dict)


def half_up(value):
    """A Fraction of dollars to the cent."""
    return Decimal((value * 100 + Fraction(1, 2)).__floor__()) * CENT


def first_long_day(acquired):
    after = acquired + timedelta(days=1)
    if (after.month, after.day) == (2, 29):
        return date(after.year + 1, 3, 1)
    return after.replace(year=after.year + 1)


def in_order(parcels, method, price):
    """Parcels in the order in which a method gives them, on DAY at a price."""

    def key(parcel):
        age = (parcel.acquired, parcel.lot_id.encode())
        if method == "fifo":
            return age
        if method == "lifo":
            return (-parcel.acquired.toordinal(), *age)
        if parcel.cost is None:
            return (1, 0, 0, *age)
        per_share = Fraction(parcel.cost) / Fraction(parcel.quantity)
        if method == "hifo":
            return (0, 0, -per_share, *age)
        long, gain = first_long_day(parcel.acquired) <= DAY, Fraction(price) - per_share
        rank = (1 if long else 0) if gain < 0 else (3 if long else 2) if gain == 0 else (4 if long else 5)
        return (0, rank, -per_share, *age)

    return sorted(parcels, key=key)


def largest_remainder(total, weights, keys):
    """Whole numbers in proportion to weights that add up to a whole total."""
    exact = [Fraction(total) * Fraction(weight) / sum(map(Fraction, weights)) for weight in weights]
    given = [one.__floor__() for one in exact]
    order = sorted(range(len(weights)), key=lambda i: (given[i] - exact[i], keys[i]))
    for number in order[: total - sum(given)]:
        given[number] += 1
    return given


class Day:
    """The firm in the database, its ledger here, and a chance that is always the same."""

    def __init__(self, seed):
        self.chance, self.ledger = random.Random(seed), Ledger()
        self.core, self.growth = make.model("Core", S0=100), make.model("Growth", S1=100)
        self.sleeves = [make.sleeve(), self.core.sleeve, self.growth.sleeve]
        self.securities = [make.security(f"S{number}") for number in range(8)]
        self.securities += [make.security(f"F{number}", kind="mutual_fund") for number in range(4)]
        self.price = {security.pk: Decimal(self.chance.randrange(500, 40_000)) * CENT for security in self.securities}
        self.expected = {}
        self.accounts = [self._account(number) for number in range(ACCOUNTS)]

    def _account(self, number):
        method = METHODS[number % 4]
        row = make.account(
            f"N{number * 7919 % 1000:03d}", cash=Decimal("1000000.00"), lot_method="" if method == "fifo" else method,
            delivered_for=DAY - timedelta(days=1),
        )  # fmt: skip
        self.ledger.cash[row.pk], self.ledger.method[row.pk] = row.cash, method
        self.ledger.number[row.pk] = row.number
        lots = [
            parcel
            for sleeve in self.sleeves
            for security in self.securities
            for parcel in self._lots(row, sleeve, security)
        ]
        Lot.objects.bulk_create(lots)
        sums = defaultdict(Decimal)
        for lot in lots:
            sums[lot.sleeve_id, lot.security_id] += lot.quantity
        Position.objects.bulk_create(
            Position(account=row, sleeve_id=sleeve, security_id=security, quantity=quantity)
            for (sleeve, security), quantity in sums.items()
        )
        return row

    def _lots(self, account, sleeve, security):
        for number in range(self.chance.choice([0, 2, 4, 6])):
            quantity = self.some(security, 300)
            cost = half_up(
                Fraction(quantity) * Fraction(self.price[security.pk]) * Fraction(self.chance.uniform(0.5, 1.5))
            )
            cost = None if self.chance.random() < 0.1 else cost
            acquired = DAY - timedelta(days=self.chance.randrange(1, 900))
            place = account.pk, sleeve.pk, security.pk
            self.ledger.lots[place].append(Parcel(f"L{number}", quantity, cost, acquired))
            yield Lot(
                account=account, sleeve=sleeve, security=security, lot_id=f"L{number}", quantity=quantity,
                total_cost=cost, acquired_on=acquired,
            )  # fmt: skip

    def some(self, security, most):
        """A quantity in whole steps, more than none."""
        step = Decimal(security.quantity_step)
        return self.chance.randint(1, int(most / step)) * step

    # --- orders ----------------------------------------------------------------------------------------------------

    def ticket(self, count):
        """Stage a ticket of so many orders; return them, with what they were made of."""
        kinds = [(security, side) for security in self.securities for side in Side]
        blocks = []
        for security, side in self.chance.sample(kinds, min(count, len(kinds))):
            parts = self._sells(security) if side == Side.SELL else self._buys(security)
            if parts:
                blocks.append(Block(security.pk, side, self.price[security.pk], parts))
        ticket = staging.stage(label="T", by=None, trade_date=DAY, blocks=blocks, moves=[])
        orders = {(order.security_id, order.side): order for order in Order.objects.filter(ticket=ticket)}
        return [(orders[block.security_id, block.side], block) for block in blocks]

    def _places(self):
        return [
            (a, s) for a in self.chance.sample(self.accounts, self.chance.randint(1, 6)) for s in self.some_sleeves()
        ]

    def some_sleeves(self):
        return self.chance.sample(self.sleeves, self.chance.choice([1, 1, 1, 2, 3]))

    def _buys(self, security):
        return [Part(account.pk, sleeve.pk, self.some(security, 40), []) for account, sleeve in self._places()]

    def _sells(self, security):
        found = []
        for account, sleeve in self._places():
            held = self.ledger.lots[account.pk, sleeve.pk, security.pk]
            if not held:
                continue
            total = sum(parcel.quantity for parcel in held)
            wanted = total if self.chance.random() < 0.15 else self.some(security, total)
            order = in_order(held, self.ledger.method[account.pk], self.price[security.pk])
            if self.chance.random() < 0.2:  # other lots than the method's were approved
                self.chance.shuffle(order)
            lots, left = [], wanted
            for parcel in order:
                if part := min(left, parcel.quantity):
                    lots.append([parcel.lot_id, str(part)])
                    left -= part
            found.append(Part(account.pk, sleeve.pk, wanted, lots))
        return found

    def fill(self, order, security):
        """Write random fills of an order; return them as (quantity, price)."""
        how = self.chance.random()
        share = 1 if how < 0.5 else 0 if how < 0.58 else self.chance.random()
        step = Decimal(security.quantity_step)
        left = int(order.quantity / step * Decimal(share)) * step
        fills = []
        while left:
            quantity = min(left, self.some(security, max(left / 2, step)))
            price = Decimal(int(self.price[security.pk] * 10_000) + self.chance.randrange(-9_999, 9_999)) / 10_000
            fills.append((quantity, price))
            left -= quantity
        Fill.objects.bulk_create(
            Fill(
                broker="paper", execution_id=f"{order.pk}/{number}", client_order_id=str(order.pk), order=order,
                quantity=quantity, price=price, at=OPENS + timedelta(seconds=self.chance.randrange(20_000)),
            )
            for number, (quantity, price) in enumerate(fills)
        )  # fmt: skip
        full = sum(quantity for quantity, _ in fills) == order.quantity
        state = OrderState.FILLED if full else OrderState.EXPIRED if fills else OrderState.REJECTED
        Order.objects.filter(pk=order.pk).update(state=state)
        return fills

    # --- what is expected of them ----------------------------------------------------------------------------------

    def expect(self, order, block, security, fills):
        filled = sum((quantity for quantity, _ in fills), Decimal(0))
        exact = sum((quantity * price for quantity, price in fills), Decimal(0))
        money = exact.quantize(CENT, ROUND_HALF_UP)
        keys = [self._key(part) for part in block.parts]
        step = Decimal(security.quantity_step)
        asked = [part.quantity for part in block.parts]
        if filled == sum(asked):
            quantities = asked
        else:
            given = largest_remainder(int(filled / step), [one / step for one in asked], keys)
            quantities = [one * step for one in given]
        cents = largest_remainder(int(money * 100), quantities, keys) if filled else [0] * len(asked)
        for part, quantity, amount in zip(block.parts, quantities, cents, strict=True):
            lines = self._carry_out(order, block, part, quantity, amount * CENT) if quantity else None
            self.expected[order.pk, part.account_id, part.sleeve_id] = (quantity, amount * CENT, lines)
        average = (exact / filled).quantize(Decimal("0.000001")) if filled else None
        return filled, money, average

    def _key(self, part):
        return self.ledger.number[part.account_id], [sleeve.pk for sleeve in self.sleeves].index(part.sleeve_id)

    def _carry_out(self, order, block, part, quantity, amount):
        """Change the ledger; return the lines {(lot id, quantity, proceeds, cost, gain, term)} expected of it."""
        place = part.account_id, part.sleeve_id, block.security_id
        if block.side == Side.BUY:
            self.ledger.cash[part.account_id] -= amount
            name = f"order {order.pk}"
            self.ledger.lots[place].append(Parcel(name, quantity, amount, DAY))
            return {(name, quantity, None, amount, None, "")}
        self.ledger.cash[part.account_id] += amount
        return self._relieve(place, part, quantity, amount, block.price)

    def _relieve(self, place, part, quantity, amount, price):
        held = {parcel.lot_id: parcel for parcel in self.ledger.lots[place]}
        approved = {lot_id: Decimal(most) for lot_id, most in part.lots}
        order = in_order([held[lot_id] for lot_id in approved], self.ledger.method[place[0]], price)
        taken, left = {}, quantity
        for parcel in order:
            taken[parcel.lot_id] = min(left, approved[parcel.lot_id])
            left -= taken[parcel.lot_id]
        assert not left
        lines, sold, paid = set(), Decimal(0), Decimal(0)
        for parcel in sorted(self.ledger.lots[place], key=lambda one: (one.acquired, one.lot_id.encode())):
            if not (going := taken.get(parcel.lot_id)):
                continue
            sold += going
            proceeds = half_up(Fraction(amount) * Fraction(sold) / Fraction(quantity)) - paid
            paid += proceeds
            lines.add(self._line(parcel, going, proceeds))
        assert paid == amount
        self.ledger.lots[place] = [parcel for parcel in self.ledger.lots[place] if parcel.quantity]
        return lines

    def _line(self, parcel, going, proceeds):
        term = "long" if first_long_day(parcel.acquired) <= DAY else "short"
        if parcel.cost is None:
            parcel.quantity -= going
            return parcel.lot_id, going, proceeds, None, None, term
        all_of_it = going == parcel.quantity
        cost = (
            parcel.cost if all_of_it else half_up(Fraction(parcel.cost) * Fraction(going) / Fraction(parcel.quantity))
        )
        parcel.quantity -= going
        parcel.cost -= cost
        return parcel.lot_id, going, proceeds, cost, proceeds - cost, term


@pytest.mark.django_db(transaction=True)  # each order's booking is a transaction of its own, as it is in a worker
def test_two_thousand_orders_to_the_cent():
    day = Day(seed=7)
    by_key = {security.pk: security for security in day.securities}
    count = partly = 0
    while count < ORDERS:
        worked = day.ticket(min(24, ORDERS - count))
        fills = {order.pk: day.fill(order, by_key[order.security_id]) for order, _ in worked}
        day.chance.shuffle(worked)
        for order, block in worked:
            filled, money, average = day.expect(order, block, by_key[order.security_id], fills[order.pk])
            assert allocate(order.pk), Order.objects.get(pk=order.pk).trouble
            order.refresh_from_db()
            assert (order.filled_quantity, order.average_price) == (filled, average)
            parts = list(
                Allocation.objects.filter(order=order).values_list("filled_quantity", "filled_amount", "is_open")
            )
            assert sum(part[0] for part in parts) == filled
            assert sum(part[1] for part in parts) == money
            assert not any(part[2] for part in parts)
            partly += 0 < filled < order.quantity
        count += len(worked)
    assert count == ORDERS
    assert partly > ORDERS // 5
    compare(day)


def compare(day):
    """Everything in the database with everything in the ledger."""
    assert dict(Account.objects.values_list("pk", "cash")) == day.ledger.cash
    lots = defaultdict(set)
    for account, sleeve, security, *lot in Lot.objects.values_list(
        "account", "sleeve", "security", "lot_id", "quantity", "total_cost", "acquired_on"
    ):
        lots[account, sleeve, security].add(tuple(lot))
    assert lots == {
        place: {(one.lot_id, one.quantity, one.cost, one.acquired) for one in parcels}
        for place, parcels in day.ledger.lots.items()
        if parcels
    }
    positions = Position.objects.values_list("account", "sleeve", "security", "quantity")
    assert {row[:3]: row[3] for row in positions} == {
        place: sum(lot[1] for lot in held) for place, held in lots.items()
    }
    parts = Allocation.objects.values_list("order", "account", "sleeve", "filled_quantity", "filled_amount")
    assert {row[:3]: row[3:] for row in parts} == {key: one[:2] for key, one in day.expected.items()}
    compare_bookings(day)


def compare_bookings(day):
    lines = defaultdict(set)
    for booking, *line in BookedLot.objects.values_list(
        "booking", "lot_id", "quantity", "proceeds", "cost", "gain", "term"
    ):
        lines[booking].add(tuple(line))
    averages = {order.pk: order.average_price for order in Order.objects.all()}
    sides = dict(Order.objects.values_list("pk", "side"))
    found = {}
    for booking in Booking.objects.all():
        order = int(booking.source.removeprefix("order "))
        sign = 1 if sides[order] == Side.BUY else -1
        assert (booking.price, booking.trade_day, booking.is_provisional) == (averages[order], DAY, True)
        found[order, booking.account_id, booking.sleeve_id] = (
            sign * booking.quantity, -sign * booking.amount, lines[booking.pk],
        )  # fmt: skip
    assert found == {key: one for key, one in day.expected.items() if one[0]}
