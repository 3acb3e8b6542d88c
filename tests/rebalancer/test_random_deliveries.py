"""Days of trades and deliveries in any order: the book is always what the custodian said last, and our trades since."""

import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db.models import Sum

from accounts.models import Account, Delivery, Position
from tax.models import Booking, Break
from tests.books import FILES, deliver
from tests.trading.ended import ended, part
from trading.services.allocating import allocate
from trading.states import Side

from .test_reconciling import in_step

pytestmark = pytest.mark.django_db

DAYS = [date(2026, 11, day) for day in (16, 17, 18, 19, 20)]
SYMBOLS = ("VTI", "BND", "VTSAX")


@dataclass
class Trade:
    day: date
    symbol: str
    shares: Decimal  # negative for a sell
    money: Decimal  # positive into the account
    order: int
    booked: bool = False


@dataclass
class Custodian:
    """What is true at the custodian: its lots and cash, and how they stood at the end of each session."""

    lots: list = field(default_factory=list)  # [symbol, id, shares, cost, acquired]
    cash: Decimal = Decimal("100000.00")
    ends: dict = field(default_factory=dict)  # day: (rows of lots.csv, shares by symbol, cash)

    def held(self, symbol):
        return sum((lot[2] for lot in self.lots if lot[0] == symbol), Decimal(0))

    def trade(self, trade):
        self.cash += trade.money
        if trade.shares > 0:
            self.lots.append([trade.symbol, f"C{trade.order}", trade.shares, -trade.money, trade.day])
            return
        left = -trade.shares
        for lot in [one for one in self.lots if one[0] == trade.symbol]:
            part = min(left, lot[2])
            if part:
                lot[3] = (lot[3] * (lot[2] - part) / lot[2]).quantize(Decimal("0.01"))
                lot[2] -= part
                left -= part
        self.lots = [lot for lot in self.lots if lot[2]]

    def end(self, day):
        rows = [f"A1,,{symbol},{name},{shares},{cost},{on}" for symbol, name, shares, cost, on in self.lots]
        self.ends[day] = rows, {symbol: self.held(symbol) for symbol in SYMBOLS}, self.cash


class Week:
    """A week of account A1; `lots_of` and `cash_of` are the sessions that were delivered last."""

    def __init__(self, chance, folder):
        self.chance, self.folder = chance, folder
        self.custodian, self.trades, self.unknown = Custodian(), [], False
        self.custodian.lots = [["VTI", "L1", Decimal(40), Decimal(4000), date(2024, 2, 29)],
                               ["VTI", "L2", Decimal(10), Decimal("1234.56"), date(2025, 11, 18)],
                               ["VTSAX", "L1", Decimal("12.345"), Decimal(1000), date(2020, 1, 2)]]  # fmt: skip
        self.custodian.end(date(2026, 11, 13))
        self.lots_of = self.cash_of = date(2026, 11, 13)
        deliver(folder, {name: FILES[name] for name in FILES if name.startswith(("sec", "pri", "mod", "por", "acc"))})
        self.deliver(date(2026, 11, 13))

    def deliver(self, day, with_lots=True):
        """Deliver that session; an earlier one than was delivered is refused."""
        rows, _, cash = self.custodian.ends[day]
        lots = "\n".join(["account_number,sleeve,symbol,lot_id,quantity,total_cost,acquired_on", *rows])
        done = deliver(self.folder, {
            "cash.csv": f"account_number,amount\nA1,{cash}", "lots.csv": lots if with_lots else "account_number\nA1",
        }, day.isoformat())  # fmt: skip
        assert done.refused == (day < self.cash_of or not with_lots), done.said
        if day < self.cash_of:
            return
        self.cash_of = day
        if with_lots:
            self.lots_of = day
        newest = Delivery.objects.latest("pk")
        evening = datetime(day.year, day.month, day.day, 23, tzinfo=UTC) + timedelta(hours=self.chance.choice([0, 16]))
        Delivery.objects.filter(pk=newest.pk).update(received_at=evening)

    def trade(self, day):
        symbol = self.chance.choice(SYMBOLS)
        step = Decimal("0.001") if symbol == "VTSAX" else Decimal(1)
        held = self.custodian.held(symbol)
        sells = held > 0 and self.chance.random() < 0.5
        most = held if sells else Decimal(30)
        shares = (
            most if self.chance.random() < 0.2 else max(step, (most * Decimal(self.chance.random())) // step * step)
        )
        price = Decimal(self.chance.randint(1_000_000, 90_000_000)).scaleb(-6)
        side = Side.SELL if sells else Side.BUY
        at = datetime(day.year, day.month, day.day, self.chance.randint(15, 20), tzinfo=UTC)
        account = Account.objects.get(number="A1")
        order = ended(side, part(account, shares), fills=[(shares, price)], symbol=symbol, price=price, at=at)
        money = (shares * price).quantize(Decimal("0.01"), "ROUND_HALF_UP")
        trade = Trade(day, symbol, -shares if sells else shares, money if sells else -money, order.pk)
        self.custodian.trade(trade)
        self.trades.append(trade)

    def book(self, chance=1.0):
        """Allocate what has ended, or some of it."""
        for trade in self.trades:
            earlier = [one for one in self.trades if one.symbol == trade.symbol and one.order < trade.order]
            if not trade.booked and all(one.booked for one in earlier) and self.chance.random() < chance:
                assert allocate(trade.order), (trade, self.trades)
                assert not allocate(trade.order)
                trade.booked = True

    def check(self):
        shares = dict(self.custodian.ends[self.lots_of][1])
        cash = self.custodian.ends[self.cash_of][2]
        for trade in self.trades:
            if trade.booked and trade.day > self.lots_of:
                shares[trade.symbol] += trade.shares
            if trade.booked and trade.day > self.cash_of:
                cash += trade.money
        held = Position.objects.filter(account__number="A1").values("security__symbol").annotate(held=Sum("quantity"))
        assert dict(held.values_list("security__symbol", "held")) == {key: one for key, one in shares.items() if one}
        assert Account.objects.get(number="A1").cash == cash
        assert in_step()


@pytest.mark.parametrize("seed", range(6))
def test_the_book_follows_the_custodian_and_our_trades(tmp_path, seed):
    chance = random.Random(seed)
    week = Week(chance, tmp_path)
    week.check()
    for day in DAYS:
        for _ in range(chance.randint(0, 4)):
            week.trade(day)
            if chance.random() < 0.3:
                week.book(0.7)
                week.check()
        if chance.random() < 0.3:  # the custodian's word about an earlier day comes late, or again
            week.deliver(chance.choice(list(week.custodian.ends)))
            week.check()
        week.custodian.end(day)
        late = chance.random() < 0.4
        if not late:
            week.book()
            week.check()
        for with_lots in chance.choice([[], [True], [False], [True, True], [False, True], [True, False]]):
            breaks = Break.objects.count()
            week.deliver(day, with_lots)
            week.check()
            assert late or Break.objects.count() == breaks or week.unknown, list(Break.objects.values())
        week.unknown = week.unknown or late
        week.book()
        week.check()
    week.deliver(DAYS[-1])
    week.check()
    assert not Booking.objects.filter(is_provisional=True).exists()
    assert Booking.objects.count() == len(week.trades)
