"""Trades booked in bulk: once for each source, in step with positions and cash."""

from datetime import UTC, date, datetime
from decimal import Decimal
from threading import Thread

import pytest
from django.db import connection
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.models import Account, Position
from accounts.services.refusals import Refused
from tax.models import BookedLot, Booking, Lot
from tax.services.bookings import Booked, Trade, book
from tests import factories as make

pytestmark = pytest.mark.django_db
DAY = date(2026, 11, 20)
AT = datetime(2026, 11, 20, 15, tzinfo=UTC)


def trade(account, units, cents, symbol="VTI", source="order 1", sleeve="managed", **fields):
    """A trade of whole shares."""
    return Trade(
        account.pk, make.sleeve(sleeve).pk, make.security(symbol).pk, units * 1_000_000, cents, Decimal(100), DAY, AT,
        source, **fields,
    )  # fmt: skip


def assert_in_step():
    sums = Lot.objects.values_list("account", "sleeve", "security").annotate(Sum("quantity"))
    assert set(sums) == set(Position.objects.values_list("account", "sleeve", "security", "quantity"))


@pytest.fixture
def account(db):
    return make.account("A1", cash=Decimal("1000.00"))


def test_each_source_is_booked_once(account):
    one, two = trade(account, 3, -30_000), trade(account, 2, -20_001, "AGG")
    assert book([one]) == Booked(now=1, before=0)
    assert book([two, one]) == Booked(now=1, before=1)
    assert book([]) == Booked(0, 0)
    account.refresh_from_db()
    assert account.cash == Decimal("499.99")
    assert Booking.objects.count() == BookedLot.objects.count() == 2
    assert_in_step()


def test_all_or_nothing(account):
    make.lot(account, "AGG", 1, cost=100)
    with pytest.raises(Refused, match="Account A1 holds 1 AGG in its sleeve managed: 2 sold can't be booked"):
        book([trade(account, 3, -30_000), trade(account, -2, 20_000, "AGG")])
    account.refresh_from_db()
    assert (account.cash, Booking.objects.count(), Lot.objects.count()) == (1000, 0, 1)


def test_of_a_security_that_is_not_held(account):
    with pytest.raises(Refused, match="holds 0 AGG"):
        book([trade(account, -2, 20_000, "AGG")])


@pytest.mark.parametrize(
    ("acquired", "term"),
    [(date(2025, 11, 18), "long"), (date(2025, 11, 19), "long"), (date(2025, 11, 20), "short"), (DAY, "short")],
)
def test_the_term_is_that_of_the_day_it_was_traded(account, acquired, term):
    make.lot(account, "VTI", 5, cost=400, acquired=acquired)
    book([trade(account, -5, 50_000, relief_day=date(2027, 11, 20))])
    assert BookedLot.objects.get().term == term


def test_a_lots_name_is_kept_as_it_is(account):
    name = 'a\\b "c" %s'
    make.lot(account, "VTI", 5, cost=400, lot_id=name)
    make.lot(account, "VTI", 5, cost=400, lot_id="other", acquired=date(2019, 1, 2))
    book([trade(account, -5, 50_000, lots=[[name, "5"]])])
    assert BookedLot.objects.get().lot_id == name
    assert Booking.objects.get().lots == [[name, "5"]]


lots_drawn = st.lists(
    st.tuples(st.integers(1, 10**9), st.none() | st.integers(0, 10**8), st.integers(1, 2000)), min_size=1, max_size=6
)


@settings(max_examples=60)
@given(lots_drawn, st.floats(0.001, 1), st.integers(0, 10**9), st.sampled_from(["fifo", "lifo", "hifo", "minimum_tax"]))
def test_a_sale_adds_up(lots, part, cents, method):
    account = make.account(cash=Decimal(0), lot_method=method)
    for units, cost, days in lots:
        cost = None if cost is None else Decimal(cost) / 100
        make.lot(account, "VTI", Decimal(units) / 10**6, cost=cost, acquired=date.fromordinal(DAY.toordinal() - days))
    held = sum(units for units, _, _ in lots)
    sold = max(int(held * part), 1)
    place = account.pk, make.sleeve().pk, make.security("VTI").pk
    book([Trade(*place, -sold, cents, Decimal(100), DAY, AT, "order 9")])
    account.refresh_from_db()
    assert account.cash == Decimal(cents) / 100
    taken = BookedLot.objects.filter(booking__account=account)
    left = Lot.objects.filter(account=account)
    assert sum(one.quantity for one in taken) == Decimal(sold) / 10**6
    assert sum(one.proceeds for one in taken) == account.cash
    assert sum(one.quantity for one in left) == Decimal(held - sold) / 10**6
    costs = sum(one.cost for one in taken if one.cost is not None)
    costs += sum(one.total_cost for one in left if one.total_cost is not None)
    assert costs == sum((Decimal(cost) / 100 for _, cost, _ in lots if cost is not None), Decimal(0))
    assert all(one.gain == one.proceeds - one.cost for one in taken if one.cost is not None)
    assert all(one.gain is None for one in taken if one.cost is None)
    assert_in_step()


def test_the_number_of_queries_does_not_grow(db):
    def queries(count, source):
        accounts = [make.account() for _ in range(count)]
        for account in accounts:
            make.lot(account, "VTI", 5, cost=400)
        trades = [trade(account, -2, 20_000, source=source) for account in accounts]
        trades += [trade(account, 2, -20_000, "AGG", source=source) for account in accounts]
        with CaptureQueriesContext(connection) as counted:
            assert book(trades).now == 2 * count
        return len(counted)

    assert queries(2, "order 1") == queries(40, "order 2")


@pytest.mark.django_db(transaction=True)
def test_two_at_once_book_it_once():
    accounts = [make.account(cash=Decimal(0)) for _ in range(20)]
    trades = [trade(account, 2, -20_000) for account in accounts]
    found = []

    def work(rows):
        try:
            found.append(book(rows))
        finally:
            connection.close()

    threads = [Thread(target=work, args=[rows]) for rows in (trades, trades[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted((one.now, one.before) for one in found) == [(0, 20), (20, 0)]
    assert set(Account.objects.values_list("cash", flat=True)) == {Decimal(-200)}
    assert Lot.objects.count() == 20
