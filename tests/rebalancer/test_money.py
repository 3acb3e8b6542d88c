"""The money of the whole order line, against plain arithmetic: from approval to the custodian's next delivery."""

from datetime import timedelta
from decimal import Decimal

import pytest

from accounts.models import Delivery, Position, Price
from rebalancer.models import Batch
from rebalancer.services import batches, confirming
from rebalancer.services.checks import analyse
from tax.models import Break
from tests import factories as make
from tests.books import FILES, deliver
from tests.trading.confirming import OPEN, market_days
from trading import tickets
from trading.brokers.base import FillReport
from trading.models import Allocation, Order
from trading.preview import preview
from trading.services import recalculating
from trading.services.allocating import allocate
from trading.services.taking_in import take_in
from trading.states import OrderState

from .conftest import again, as_seen, pending
from .test_reconciling import ON_THURSDAY, THURSDAY, balance, book, buy, cash, lots_csv, provisional, sell  # noqa: F401

pytestmark = pytest.mark.django_db


def approved(desk, *accounts, **terms) -> Batch:
    batch = pending(desk, *accounts, **terms)
    batches.approve(batch, by=desk, **as_seen(batch))
    assert batches.finish_approval(batch.pk)
    market_days()
    Price.objects.update(as_of=OPEN - timedelta(seconds=5))
    return again(batch)


def confirmed(batch, by):
    found = preview(by, again(batch.ticket), OPEN)
    assert found.refusals == []
    confirming.confirm(
        batch.ticket, by=by, version=found.ticket.version, digest=found.digest, still=found.shown, now=OPEN
    )


def executed(order, *fills, state=OrderState.CANCELLED):
    """The order is at its broker, gets these fills (shares, price), and ends; filled where that is all of it."""
    Order.objects.filter(pk=order.pk).update(state=OrderState.WORKING)
    take_in("paper", [
        FillReport(f"{order.pk}-{number}", order.client_order_id, Decimal(str(shares)), Decimal(str(price)), OPEN)
        for number, (shares, price) in enumerate(fills)
    ])  # fmt: skip
    Order.objects.filter(pk=order.pk, state__in=[OrderState.WORKING, OrderState.PARTIALLY_FILLED]).update(state=state)
    assert allocate(order.pk), again(order).trouble


def order(symbol):
    return Order.objects.get(security__symbol=symbol)


class TestSweeps:
    """An account of $100,000 that has all its cash, 5,000, in a sweep."""

    @pytest.fixture
    def swept(self, balanced):
        make.security("CORE", kind="sweep")
        make.price("CORE", 1)
        account = make.account("A1", portfolio=balanced, cash=Decimal(0))
        make.lot(account, "VTI", 750, cost=60000)
        make.lot(account, "AGG", 400, cost=22000)
        make.lot(account, "CORE", 5000)
        return account

    def test_the_cash_in_it_pays_for_what_was_proposed(self, swept, desk):
        batch = approved(desk, swept)  # sells 150 VTI, buys 360 AGG: 15,000 for 18,000
        ticket = batch.ticket
        rows = tickets.rows(desk, ticket)
        assert tickets.totals(desk, ticket, rows).lowest_cash == 2000
        [one] = tickets.account_rows(desk, ticket, rows, [swept.pk])
        assert (one.cash, one.ending) == (5000, 2000)
        confirmed(batch, desk)

    def test_recalculating_leaves_its_buys_whole(self, swept, desk):
        ticket = approved(desk, swept).ticket
        assert recalculating.recalculate(ticket, 1, desk).notes == []
        assert dict(Allocation.objects.values_list("order__security__symbol", "quantity")) == {"VTI": 150, "AGG": 360}

    def test_a_sweep_that_is_protected_pays_for_nothing(self, swept, desk):
        batch = approved(desk, swept)
        for one in (Position.objects, swept.lots):
            one.filter(security__symbol="CORE").update(sleeve=make.sleeve("protected"))
        assert tickets.totals(desk, batch.ticket, tickets.rows(desk, batch.ticket)).lowest_cash == -3000

    def test_the_custodian_pays_our_buys_from_it_and_that_is_no_break(self, book):  # noqa: F811
        """1,234.50 in cash, 1,000 in the sweep; 15 VTI cost 1,500: the custodian takes 265.50 out of the sweep."""
        held = ("A1,,VTI,L1,10,2000,2024-02-29", "A1,,VTI,L2,5,,2025-11-18")
        before = {"cash.csv": FILES["cash.csv"], "lots.csv": lots_csv(*held, "A1,,SPAXX,S,1000,,2026-11-02")}
        deliver(book, before, "2026-11-18")
        buy(15)
        assert balance() == Decimal("-265.50")
        rows = (*held, "A1,,VTI,N,15,1500,2026-11-19", "A1,,SPAXX,S,734.5,,2026-11-02")
        deliver(book, {"cash.csv": cash("0"), "lots.csv": lots_csv(*rows)}, THURSDAY)
        assert (list(Break.objects.all()), provisional(), balance()) == ([], [False], 0)

    def test_what_is_gone_from_both_is_a_break(self, book):  # noqa: F811
        held = ("A1,,VTI,L1,10,2000,2024-02-29", "A1,,VTI,L2,5,,2025-11-18")
        before = {"cash.csv": FILES["cash.csv"], "lots.csv": lots_csv(*held, "A1,,SPAXX,S,1000,,2026-11-02")}
        deliver(book, before, "2026-11-18")
        buy(15)
        rows = (*held, "A1,,VTI,N,15,1500,2026-11-19", "A1,,SPAXX,S,700,,2026-11-02")
        deliver(book, {"cash.csv": cash("0"), "lots.csv": lots_csv(*rows)}, THURSDAY)
        assert [(one.security, one.expected, one.delivered) for one in Break.objects.all()] == [
            (None, Decimal("734.50"), 700)
        ]


class TestLateFills:
    """A sale of Thursday that is booked when the custodian's delivery of Thursday has been taken, or half of it."""

    AFTER = lots_csv("A1,,VTI,L1,6,1200,2024-02-29", "A1,,VTI,L2,5,,2025-11-18")

    def test_cash_that_was_delivered_is_not_paid_in_again(self, book):  # noqa: F811
        deliver(book, {"cash.csv": cash("2434.50"), "lots.csv": lots_csv("A1,,NONE,L,1,1,2020-01-02")}, THURSDAY)
        sell(4, ("L1", "4"))
        held = Position.objects.get(account__number="A1", security__symbol="VTI").quantity
        assert (balance(), held, provisional()) == (Decimal("2434.50"), 11, [True])
        deliver(book, {"cash.csv": cash("2434.50"), "lots.csv": self.AFTER}, THURSDAY)
        assert (balance(), provisional(), list(Break.objects.all())) == (Decimal("2434.50"), [False], [])

    def test_cash_that_came_before_the_trade_has_not_got_it(self, book):  # noqa: F811
        deliver(book, {"cash.csv": FILES["cash.csv"]}, THURSDAY)
        Delivery.objects.update(received_at=ON_THURSDAY - timedelta(minutes=1))
        sell(4, ("L1", "4"))
        assert balance() == Decimal("2434.50")


class TestReserved:
    def test_open_buys_cost_what_they_cost_now(self, three, desk):
        """A1 buys 360 AGG at 50, which fall to 25: recalculated, 720 of them still cost 18,000."""
        batch = approved(desk, three[0])
        make.price("AGG", 25, as_of=OPEN)
        recalculating.recalculate(batch.ticket, 1, desk)
        assert Allocation.objects.get(order__security__symbol="AGG").quantity == 720
        analyse([three[0].pk])
        assert again(three[0]).check_row.available_cash == 5000 - 720 * 25
