"""Orders on their way through the real paper market: sent, watched, booked, whatever it does to them."""

from decimal import Decimal

import pytest
from django.db.models import Sum

from accounts.models import Position
from tests import factories as make
from tests.processes import eventually
from trading.models import Allocation, Fill, MarketSettings, Order, PaperFill
from trading.services import cancelling, market_days, watching
from trading.states import Algorithm, OrderState

from .sent import account, block, confirmed, order

pytestmark = pytest.mark.django_db(transaction=True)
SYMBOLS = ("VTI", "AGG", "QQQ", "FUND")


@pytest.fixture(autouse=True)
def _market():
    market_days.keep_days()
    settings(speed=10_000, always_open=True, latency=0)
    make.security("FUND", kind="mutual_fund")
    for symbol in SYMBOLS:
        make.price(symbol, 100, source="simulated")


def settings(**changed):
    MarketSettings.objects.update(**{f"paper_{name}": value for name, value in changed.items()})


def watched_until(*wanted):
    """Rounds as the beat asks for them, until the orders of SYMBOLS that there are have these states."""

    def are_there():
        watching.watch()
        return list(Order.objects.order_by("pk").values_list("state", flat=True)) == list(wanted)

    eventually(are_there)


def balanced():
    """Fills once here as there; what accounts got is what was filled, and all of it is booked."""
    assert Fill.objects.count() == PaperFill.objects.count()
    assert not Fill.objects.exclude(state="counted").exists()
    for one in Order.objects.all():
        filled = one.fills.aggregate(total=Sum("quantity"))["total"] or 0
        got = one.allocations.aggregate(total=Sum("filled_quantity"))["total"] or 0
        assert filled == one.filled_quantity == got
    assert not Allocation.objects.filter(is_open=True).exists()
    assert not Order.objects.filter(allocated_at=None).exists()


def window(symbol, algorithm, **fields):
    return order(symbol, "buy", algorithm=algorithm, starts_at="10:00", ends_at="11:00", **fields)


def test_each_algorithm_is_filled_and_booked():
    account("A1")
    account("A2")
    confirmed(*(block(symbol, "buy", 100, A1=30, A2=20) for symbol in SYMBOLS))
    window("AGG", Algorithm.TWAP)
    window("QQQ", Algorithm.VWAP)
    assert order("FUND", "buy").algorithm == Algorithm.NAV
    watched_until(*[OrderState.FILLED] * 4)
    eventually(lambda: watching.watch() is False)
    balanced()
    assert Order.objects.get(security__symbol="AGG").fills.count() == 12
    assert set(Position.objects.values_list("account__number", "quantity")) == {("A1", 30), ("A2", 20)}


def test_what_the_volume_does_not_allow_expires_and_the_rest_is_shared():
    account("A1")
    account("A2")
    settings(hourly_volume=1000)
    confirmed(block("VTI", "buy", 100, A1=300, A2=100))
    window("VTI", Algorithm.TWAP, participation=Decimal(10))
    watched_until(OrderState.EXPIRED)
    balanced()
    one = Order.objects.get()
    assert (one.filled_quantity, one.end_reason) == (100, "its time was over before all of it was filled")
    assert set(one.allocations.values_list("account__number", "filled_quantity")) == {("A1", 75), ("A2", 25)}


def test_taken_back_in_the_middle_what_is_filled_is_booked():
    account("A1")
    settings(speed=60)  # a minute
    confirmed(block("VTI", "buy", 100, A1=1200))
    window("VTI", Algorithm.TWAP)
    watched_until(OrderState.PARTIALLY_FILLED)
    cancelling.cancel(order("VTI"), by=make.operations())
    watched_until(OrderState.CANCELLED)
    balanced()
    assert 0 < order("VTI").filled_quantity < 1200


def test_a_rejected_order_frees_its_accounts():
    account("A1")
    settings(rejects=Decimal(100))
    confirmed(block("VTI", "buy", 100, A1=10))
    watched_until(OrderState.REJECTED)
    balanced()
    assert order("VTI").end_reason


def test_an_outage_delays_and_loses_nothing():
    account("A1")
    settings(outage=True)
    confirmed(block("VTI", "buy", 100, A1=10))
    watching.watch()
    assert order("VTI").state == OrderState.SENDING
    assert "does not answer" in order("VTI").trouble
    settings(outage=False)
    order("VTI", claim_expires="2026-01-01T00:00Z")  # as if that time had gone by
    watched_until(OrderState.FILLED)
    balanced()
    assert Order.objects.get().filled_quantity == 10
