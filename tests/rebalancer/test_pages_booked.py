"""The account page after its orders are booked: positions, lots and cash say what is provisional, trades what they
realized, and orders lead to their pages."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tax.models import Booking
from tax.services.bookings import Trade, book
from tests import factories as make
from trading.models import Allocation, Order
from trading.services import staging
from trading.services.staging import Block, Part
from trading.states import OrderState, Side

from .conftest import drifted

pytestmark = pytest.mark.django_db

MONDAY = date(2026, 11, 23)


@pytest.fixture
def account(balanced, ann):
    return drifted(balanced, "A1", advisor=ann)


def traded(account, symbol, shares, price, source):
    """A trade of so many shares, negative for a sell, booked on Monday."""
    made = Trade(
        account.pk, make.sleeve().pk, make.security(symbol).pk, shares * 1_000_000, -shares * price * 100,
        Decimal(price), MONDAY, datetime(2026, 11, 23, 16, tzinfo=UTC), source,
    )  # fmt: skip
    book([made])
    return Booking.objects.get(source=source)


def text(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.content.decode())).replace("&#x27;", "'").strip()


def page_of(account):
    return reverse("rebalancer:account", args=[account.pk])


class TestProvisional:
    def test_positions_and_cash_say_what_rests_on_what(self, as_ann, account):
        traded(account, "AGG", 40, 50, "order 12")
        traded(account, "VTI", -100, 101, "order 13")
        page = text(as_ann.get(page_of(account)))
        assert "provisional: bought 40 in order 12 , until the custodian's delivery of 2026-11-23" in page
        assert "provisional: sold 100 in order 13 , until the custodian's delivery of 2026-11-23" in page
        assert "provisional: $8,100.00 in from 2 trades, until the custodian's delivery of 2026-11-23" in page
        assert 'href="/trading/orders/12/"' in as_ann.get(page_of(account)).content.decode()

    def test_what_a_delivery_has_confirmed_says_nothing(self, as_ann, account):
        traded(account, "AGG", 40, 50, "order 12")
        Booking.objects.update(is_provisional=False)
        page = text(as_ann.get(page_of(account)))
        assert "provisional" not in page
        assert "Delivered" in page

    def test_lots_say_it_too(self, as_ann, account):
        traded(account, "AGG", 40, 50, "order 12")
        lots = reverse("rebalancer:account_lots", args=[account.pk])
        assert text(as_ann.get(lots)).count("provisional until the delivery of 2026-11-23") == 1
        assert len(as_ann.get(f"{lots}?f=provisional:is:2026-11-23").context["table"].drawn) == 1

    def test_its_cost_does_not_grow_with_its_trades(self, as_ann, account, django_assert_num_queries):
        traded(account, "AGG", 40, 50, "order 12")
        as_ann.get(page_of(account))
        with CaptureQueriesContext(connection) as first:
            as_ann.get(page_of(account))
        for number in range(13, 20):
            traded(account, "AGG", 1, 50, f"order {number}")
        with django_assert_num_queries(len(first)):
            as_ann.get(page_of(account))


class TestTradesBooked:
    def test_the_newest_first_with_the_gains_by_term(self, as_ann, account):
        make.lot(account, "BND", 10, cost=900, acquired=date(2026, 6, 1))
        make.lot(account, "BND", 10, cost=None)
        traded(account, "VTI", -100, 101, "order 12")  # of $80 each, years ago
        traded(account, "BND", -20, 100, "order 13")  # of $90 each, since June, and of unknown cost
        traded(account, "AGG", 2, 50, "order 14")
        page = text(as_ann.get(page_of(account)))
        rows = page[page.index("Trades booked") : page.index("Transactions", page.index("Trades booked"))]
        assert "2026-11-23 Order 12 VTI Sell 100 101.00 10,100.00 — 2,100.00 Provisional" in rows
        assert "2026-11-23 Order 13 BND Sell 20 100.00 2,000.00 100.00 — 1 lot of unknown cost Provisional" in rows
        assert "2026-11-23 Order 14 AGG Buy 2 50.00 (100.00) — — Provisional" in rows
        assert rows.index("Order 14") < rows.index("Order 13") < rows.index("Order 12")

    def test_none_is_said_in_words(self, as_ann, account):
        assert "No trade of its own was booked yet." in text(as_ann.get(page_of(account)))


def test_its_orders_show_what_came_of_them_and_lead_to_their_pages(as_ann, account):
    part = Part(account.pk, make.sleeve().pk, Decimal(10), [])
    block = Block(make.security("VTI").pk, Side.BUY, Decimal(100), [part])
    staging.stage(label="T", by=None, trade_date=MONDAY, blocks=[block], moves=())
    Order.objects.update(state=OrderState.FILLED, filled_quantity=10, filled_amount=Decimal("1002.5"))
    order = Order.objects.get()
    assert re.search(rf"Order {order.pk} VTI Buy 10 — 100.00 100.25 Filled", text(as_ann.get(page_of(account))))
    Allocation.objects.update(filled_quantity=10, filled_amount=Decimal("1002.50"), is_open=False)
    assert f"Order {order.pk} VTI Buy 10 10 100.00 100.25 Filled" in text(as_ann.get(page_of(account)))
    assert f'href="/trading/orders/{order.pk}/"' in as_ann.get(page_of(account)).content.decode()
