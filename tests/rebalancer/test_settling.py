"""Settling: when all orders of a request have come to their end, what was not traded is given back, once."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from accounts.models import Account, AuditLine
from rebalancer import selectors
from rebalancer.models import Entry
from rebalancer.services import batches, settling, upkeep
from trading.models import Allocation, FlatMove, Order, Ticket
from trading.states import OrderState

from .conftest import again, as_seen, pending

pytestmark = pytest.mark.django_db


@pytest.fixture
def batch(three, desk):
    """A request of three accounts, approved and staged."""
    made = pending(desk, *three)
    batches.approve(made, by=desk, **as_seen(made))
    assert batches.finish_approval(made.pk)
    return again(made)


def end(state=OrderState.EXPIRED, **got):
    """All orders ended and booked; `got` are shares by account number, nothing for the others."""
    Order.objects.update(state=state, allocated_at=timezone.now(), filled_quantity=1)
    Allocation.objects.update(is_open=False, filled_quantity=0)
    for number, shares in got.items():
        Allocation.objects.filter(account__number=number).update(filled_quantity=Decimal(shares))
    FlatMove.objects.update(is_open=False)


def not_traded():
    return set(Entry.objects.filter(not_traded=True).values_list("account_number", flat=True))


def test_who_got_nothing_is_given_back_also_where_others_got_a_share(batch, three):
    end(A1=1)
    assert settling.settle() == 1
    assert again(batch).settled_at
    assert not_traded() == {one.number for one in three} - {"A1"}
    back = Account.objects.exclude(number="A1")
    assert set(back.values_list("last_rebalanced_at", flat=True)) == {None}
    assert Account.objects.get(number="A1").last_rebalanced_at


def test_it_is_done_once(batch):
    end()
    assert settling.settle() == 1
    assert settling.settle() == 0
    assert AuditLine.objects.filter(verb="batch.settled").count() == 1


@pytest.mark.parametrize("traded", [False, True])
def test_rebalanced_again_before_the_first_request_has_settled(batch, three, desk, traded):
    """Of the first request A1 got nothing, and A2's order works on; meanwhile A1 is in a second one."""
    Allocation.objects.filter(account=three[0]).update(is_open=False, filled_quantity=0)
    second = pending(desk, three[0])
    batches.approve(second, by=desk, **as_seen(second))
    assert batches.finish_approval(second.pk)
    mine = Allocation.objects.filter(order__ticket=again(second).ticket)
    open_again = list(mine.values_list("pk", flat=True))
    assert open_again
    end()
    mine.filter(pk__in=open_again).update(is_open=True)
    assert settling.settle() == 1
    assert Account.objects.get(number="A1").last_rebalanced_at == again(second).approved_at
    mine.update(is_open=False, filled_quantity=int(traded))
    assert settling.settle() == 1
    assert Account.objects.get(number="A1").last_rebalanced_at == (again(second).approved_at if traded else None)


@pytest.mark.parametrize("left", ["order", "part", "move"])
def test_while_anything_is_under_way_nothing_is_settled(batch, left, three):
    end()
    if left == "order":
        Order.objects.filter(pk=Order.objects.first().pk).update(state="pending_cancel")
    elif left == "part":
        Allocation.objects.filter(pk=Allocation.objects.first().pk).update(is_open=True)
    else:
        part = Allocation.objects.first()
        common = {"ticket": Ticket.objects.get(), "account": part.account, "security": part.order.security}
        FlatMove.objects.create(**common, source=part.sleeve, target=part.sleeve, quantity=1)
    assert settling.settle() == 0
    assert (again(batch).settled_at, not_traded()) == (None, set())


def test_the_sweep_finds_it(batch):
    assert not upkeep.sweep().to_settle
    end()
    assert upkeep.sweep().to_settle
    settling.settle()
    assert not upkeep.sweep().to_settle


class TestWorkIsWaiting:
    """The banner: orders that nobody comes to."""

    @pytest.fixture
    def long_ago(self, batch):
        Account.objects.update(check_wanted_at=None)
        moment = timezone.now() - timedelta(minutes=5)
        Ticket.objects.update(confirmed_at=moment)
        return moment

    def test_staged_orders_wait_for_a_person(self, batch):
        Account.objects.update(check_wanted_at=None)
        assert not selectors.work_is_waiting()

    def test_confirmed_orders_that_nobody_sends(self, long_ago):
        assert selectors.work_is_waiting()
        Ticket.objects.update(confirmed_at=timezone.now())
        assert not selectors.work_is_waiting()

    def test_buys_that_wait_for_sells(self, long_ago):
        Ticket.objects.update(sells_first=True)
        assert not selectors.work_is_waiting()

    def test_orders_at_a_broker_that_nobody_asks_about(self, long_ago):
        Order.objects.update(state="working", asked_at=timezone.now())
        assert not selectors.work_is_waiting()
        Order.objects.update(asked_at=long_ago)
        assert selectors.work_is_waiting()

    def test_a_broker_that_does_not_answer_is_said_on_the_order(self, long_ago):
        Order.objects.update(state="sending", claim_expires=long_ago, trouble="Paper market does not answer")
        assert not selectors.work_is_waiting()
        Order.objects.update(trouble="")
        assert selectors.work_is_waiting()
