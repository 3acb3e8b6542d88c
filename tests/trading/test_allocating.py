"""Allocation of ended orders: booked once, in lots, positions and cash, to the cent; a failure stays with its order."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from accounts.models import Account, Position
from tax.models import BookedLot, Booking, Lot
from tests import factories as make
from trading.models import Allocation, OrderEvent
from trading.services.allocating import allocate, trade_day
from trading.states import FillState, OrderState, Side

from .ended import AT, ended, fill, part

pytestmark = pytest.mark.django_db


def filled(order):
    rows = order.allocations.order_by("account__number", "sleeve__kind")
    return list(rows.values_list("account__number", "filled_quantity", "filled_amount", "is_open"))


def lots(account):
    return {lot.lot_id: (lot.quantity, lot.total_cost) for lot in Lot.objects.filter(account=account)}


@pytest.fixture
def one(db):
    return make.account("A1", cash=Decimal("10000.00"), delivered_for=date(2026, 11, 19))


@pytest.fixture
def two(db):
    return make.account("A2", cash=Decimal("10000.00"), delivered_for=date(2026, 11, 19))


class TestBuy:
    def test_a_full_fill_follows_the_statement(self, one, two):
        order = ended(Side.BUY, part(one, 10), part(two, 5), fills=[(7, 100), (8, "100.01")])
        assert allocate(order.pk)
        # 7 × 100 + 8 × 100.01 = 1,500.08: 2/3 are 1,000.0533, 1/3 is 500.0266; the cent goes to the larger rest
        assert filled(order) == [("A1", 10, Decimal("1000.05"), False), ("A2", 5, Decimal("500.03"), False)]
        one.refresh_from_db()
        assert one.cash == Decimal("8999.95")
        assert lots(one) == {f"order {order.pk}": (10, Decimal("1000.05"))}
        assert Position.objects.get(account=one).quantity == 10
        booking = Booking.objects.get(account=one)
        assert (booking.quantity, booking.amount, booking.price) == (10, Decimal("-1000.05"), Decimal("100.005333"))
        assert (booking.trade_day, booking.is_provisional, booking.source) == (AT.date(), True, f"order {order.pk}")
        made = BookedLot.objects.get(booking=booking)
        assert (made.quantity, made.cost, made.proceeds, made.gain, made.term) == (
            10,
            Decimal("1000.05"),
            None,
            None,
            "",
        )
        assert OrderEvent.objects.filter(order=order).last().words == "Booked in 2 accounts."
        assert Account.objects.exclude(check_wanted_at=None).count() == 2

    def test_once(self, one):
        order = ended(Side.BUY, part(one, 10), fills=[(10, 100)])
        assert [allocate(order.pk), allocate(order.pk)] == [True, False]
        one.refresh_from_db()
        assert one.cash == 9000

    def test_not_before_it_has_ended(self, one):
        order = ended(Side.BUY, part(one, 10), fills=[(4, 100)], state=OrderState.PARTIALLY_FILLED)
        assert not allocate(order.pk)
        assert filled(order) == [("A1", None, None, True)]

    def test_what_is_questioned_is_not_booked(self, one):
        order = ended(Side.BUY, part(one, 10), fills=[(4, 100)], state=OrderState.EXPIRED)
        fill(order, (3, 90), state=FillState.QUESTIONED)
        assert allocate(order.pk)
        assert filled(order) == [("A1", 4, 400, False)]

    def test_nothing_filled_closes_the_parts(self, one, two):
        order = ended(Side.BUY, part(one, 10), part(two, 10), state=OrderState.REJECTED)
        assert [allocate(order.pk), allocate(order.pk)] == [True, False]
        assert filled(order) == [("A1", 0, 0, False), ("A2", 0, 0, False)]
        assert not Booking.objects.exists()

    def test_an_account_that_gets_nothing_has_no_booking(self, one, two):
        order = ended(Side.BUY, part(one, 1), part(two, 1), fills=[(1, 100)], state=OrderState.CANCELLED)
        assert allocate(order.pk)
        assert filled(order) == [("A1", 1, 100, False), ("A2", 0, 0, False)]
        assert list(Booking.objects.values_list("account__number", flat=True)) == ["A1"]

    def test_a_lot_of_the_same_name_is_not_touched(self, one):
        order = ended(Side.BUY, part(one, 10), fills=[(10, 100)])
        make.lot(one, "VTI", 1, cost=90, lot_id=f"order {order.pk}")
        assert allocate(order.pk)
        assert lots(one) == {f"order {order.pk}": (1, 90), f"order {order.pk} (2)": (10, 1000)}
        assert Position.objects.get(account=one).quantity == 11


class TestSell:
    def held(self, account, **fields):
        make.lot(account, "VTI", 10, cost=700, acquired=date(2020, 1, 2), lot_id="old", **fields)
        make.lot(account, "VTI", 10, cost=950, acquired=date(2026, 3, 2), lot_id="dear", **fields)
        make.lot(account, "VTI", 5, acquired=date(2021, 1, 4), lot_id="unknown", **fields)

    def test_a_full_fill_takes_the_approved_lots(self, one):
        self.held(one)
        order = ended(Side.SELL, part(one, 9, [("dear", "4"), ("unknown", "5.000000")]), fills=[(9, "90.55")])
        assert allocate(order.pk)
        assert lots(one) == {"old": (10, 700), "dear": (6, 570)}
        one.refresh_from_db()
        assert one.cash == Decimal("10814.95")
        rows = BookedLot.objects.values_list("lot_id", "quantity", "proceeds", "cost", "gain", "term")
        assert set(rows) == {
            ("unknown", 5, Decimal("452.75"), None, None, "long"),
            ("dear", 4, Decimal("362.20"), 380, Decimal("-17.80"), "short"),
        }

    @pytest.mark.parametrize(
        ("method", "first", "then"), [("fifo", "old", "unknown"), ("lifo", "dear", "unknown"), ("hifo", "dear", "old")]
    )
    def test_a_partial_fill_takes_those_that_the_method_gives_first(self, one, method, first, then):
        self.held(one)
        Account.objects.filter(pk=one.pk).update(lot_method=method)
        approved = [("old", "8"), ("dear", "8"), ("unknown", "4")]
        order = ended(Side.SELL, part(one, 20, approved), fills=[(9, 80)], state=OrderState.EXPIRED)
        assert allocate(order.pk)
        assert dict(BookedLot.objects.values_list("lot_id", "quantity")) == {first: 8, then: 1}  # no more was approved

    def test_minimum_tax_goes_by_the_price_it_was_approved_at(self, one):
        make.lot(one, "VTI", 5, cost=450, acquired=date(2020, 1, 2), lot_id="90")
        make.lot(one, "VTI", 5, cost=550, acquired=date(2020, 1, 2), lot_id="110")
        make.lot(one, "VTI", 5, cost=525, acquired=date(2026, 11, 2), lot_id="105")
        Account.objects.filter(pk=one.pk).update(lot_method="minimum_tax")
        approved = [("90", "5"), ("105", "5"), ("110", "5")]
        order = ended(Side.SELL, part(one, 15, approved), fills=[(5, 200)], state=OrderState.EXPIRED, price=100)
        assert allocate(order.pk)
        assert BookedLot.objects.get().lot_id == "105"  # the short-term loss as at 100; at 200 there is none

    def test_what_of_the_approved_lots_is_gone_comes_from_the_others(self, one):
        make.lot(one, "VTI", 3, cost=300, acquired=date(2020, 1, 2), lot_id="L1")
        make.lot(one, "VTI", 9, cost=900, acquired=date(2019, 1, 2), lot_id="L2")
        order = ended(Side.SELL, part(one, 10, [("L1", "5"), ("gone", "5")]), fills=[(10, 100)])
        assert allocate(order.pk)
        assert dict(BookedLot.objects.values_list("lot_id", "quantity")) == {"L1": 3, "L2": 7}
        assert lots(one) == {"L2": (2, 200)}

    def test_a_sleeve_that_holds_too_little_books_nothing_and_says_so(self, one, two):
        make.lot(one, "VTI", 10, cost=1000, lot_id="L1")
        make.lot(two, "VTI", 2, cost=1000, lot_id="L1")
        order = ended(Side.SELL, part(one, 10), part(two, 10), fills=[(20, 100)])
        assert not allocate(order.pk)
        order.refresh_from_db()
        assert order.trouble == "Account A2 holds 2 VTI in its sleeve managed: 10 sold can't be booked."
        assert order.allocated_at is None
        assert not Booking.objects.exists()
        assert lots(one) == {"L1": (10, 1000)}
        Lot.objects.filter(account=two).update(quantity=12)
        assert allocate(order.pk)
        order.refresh_from_db()
        assert order.trouble == ""

    def test_a_position_of_which_all_is_sold_is_gone(self, one):
        make.lot(one, "VTI", 10, cost=1000)
        order = ended(Side.SELL, part(one, 10), fills=[(10, 100)])
        assert allocate(order.pk)
        assert not Position.objects.exists()
        assert not Lot.objects.exists()

    def test_two_sleeves_of_an_account_sell_each_their_own(self, one):
        core = make.model("Core", VTI=100)
        make.lot(one, "VTI", 10, cost=1000, lot_id="L1")
        make.lot(one, "VTI", 10, cost=800, lot_id="L1", sleeve_of=core)
        parts = part(one, 4, [("L1", "4")]), part(one, 4, [("L1", "4")], sleeve=core)
        order = ended(Side.SELL, *parts, fills=[(5, 100)], state=OrderState.EXPIRED)
        assert allocate(order.pk)
        given = dict(Booking.objects.values_list("sleeve__kind", "quantity"))
        assert given == {"managed": -3, "model": -2}  # 2.5 each: the odd one goes to managed
        assert dict(Position.objects.values_list("sleeve__kind", "quantity")) == {"managed": 7, "model": 8}


def test_more_than_was_asked_for_is_not_booked(one):
    order = ended(Side.BUY, part(one, 10), fills=[(10, 100)])
    Allocation.objects.update(quantity=9)
    assert not allocate(order.pk)
    order.refresh_from_db()
    assert "more is filled than its accounts asked for" in order.trouble
    assert not Booking.objects.exists()


@pytest.mark.parametrize(
    ("at", "day"),
    [
        (datetime(2026, 11, 20, 14, 0, tzinfo=UTC), date(2026, 11, 20)),  # before the session opens
        (datetime(2026, 11, 20, 20, 59, tzinfo=UTC), date(2026, 11, 20)),
        (datetime(2026, 11, 21, 0, 30, tzinfo=UTC), date(2026, 11, 20)),  # 19:30 of the Friday
        (datetime(2026, 11, 21, 1, 30, tzinfo=UTC), date(2026, 11, 23)),  # 20:30 of the Friday
        (datetime(2026, 11, 22, 15, 0, tzinfo=UTC), date(2026, 11, 23)),  # a Sunday
        (datetime(2026, 11, 26, 15, 0, tzinfo=UTC), date(2026, 11, 27)),  # Thanksgiving
    ],
)
@pytest.mark.django_db
def test_the_session_of_a_fill(at, day):
    assert trade_day(at) == day
