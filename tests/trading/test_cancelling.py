"""Cancelling: at once before sending, else through the broker, whatever it answers; the second comer is told."""

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from accounts.models import AuditLine, Position
from accounts.services.refusals import Refused
from tests import factories as make
from trading.models import Allocation, Order
from trading.services import cancelling, transmitting, watching
from trading.states import OrderState

from .confirming import ticket
from .sent import account, again, block, confirmed, log, minute_later, order, states

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(transactional_db):
    return make.operations("olive")


@pytest.fixture
def staged(market):
    account("A1")
    confirmed(block("VTI", "buy", 100, A1=100))
    return order()


@pytest.fixture
def working(staged):
    assert transmitting.send(staged.pk)
    return again(staged)


def name(of):
    return f"RB{of.pk}"


def test_what_waits_to_be_sent_is_cancelled_at_once(staged, market, desk):
    assert cancelling.cancel(staged, by=desk) == OrderState.CANCELLED
    row = again(staged)
    assert (row.state, row.end_reason, row.ended_at is not None) == ("cancelled", "cancelled by olive", True)
    assert transmitting.send_due() == 0
    watching.watch()
    assert market.received == []
    assert not Allocation.objects.filter(is_open=True).exists()
    line = AuditLine.objects.get(verb="order.cancelled")
    assert (line.by, line.before["state"], line.after["state"]) == (desk, "ready", "cancelled")


def test_an_order_that_works_is_asked_back(working, market, desk):
    market.fill(name(working), 40, 100)
    watching.watch()
    assert cancelling.cancel(working, by=desk) == OrderState.PENDING_CANCEL
    assert (again(working).state, market.calls["cancel"]) == ("pending_cancel", 0)
    watching.watch()
    row = again(working)
    assert (row.state, row.filled_quantity, row.end_reason) == ("cancelled", 40, "as asked")
    assert Position.objects.get().quantity == 40
    assert market.calls["cancel"] == 1
    assert states(working)[3:6] == ["partially_filled", "pending_cancel", "cancelled"]


def test_fills_count_while_it_is_asked_back(working, market, desk):
    cancelling.cancel(working, by=desk)
    market.fill(name(working), 40, 100)
    market.always["cancel"] = "refuse"
    market.hears = lambda call, when: market.fill(name(working), 60, 100, "LAST") if call == "cancel" else None
    watching.watch()
    assert (again(working).state, again(working).filled_quantity) == ("filled", 100)


def test_a_partial_fill_leaves_it_pending(working, market, desk):
    cancelling.cancel(working, by=desk)
    Order.objects.update(claim_expires=None)  # the broker has been asked, and takes its time
    market.fill(name(working), 40, 100)
    watching.watch()
    assert (again(working).state, again(working).filled_quantity) == ("pending_cancel", 40)
    assert market.calls["cancel"] == 0


@pytest.mark.parametrize(("filled", "back"), [(0, "working"), (40, "partially_filled")])
def test_a_broker_that_refuses_leaves_it_where_it_was(working, market, desk, filled, back):
    if filled:
        market.fill(name(working), filled, 100)
        watching.watch()
    market.troubles["cancel"].append("refuse")
    cancelling.cancel(working, by=desk)
    watching.watch()
    assert again(working).state == back
    assert log(working)[-1] == (back, "the broker does not take it back: The symbol is halted")
    cancelling.cancel(working, by=desk)  # and may be asked again
    watching.watch()
    assert again(working).state == "cancelled"


@pytest.mark.parametrize("how", ["close", "hang", "rubbish", "take_and_close"])
def test_without_an_answer_it_is_asked_again(working, market, desk, how):
    market.troubles["cancel"].append(how)
    cancelling.cancel(working, by=desk)
    watching.watch()
    row = again(working)
    assert row.state == "pending_cancel"
    assert row.trouble.startswith("Paper market does not answer")
    minute_later(working)
    watching.watch()
    assert (again(working).state, again(working).trouble) == ("cancelled", "")
    assert market.calls["cancel"] == 2


def test_a_worker_that_died_before_asking_is_replaced(working, market, desk):
    cancelling.cancel(working, by=desk)
    assert cancelling.claim(working.pk)
    assert cancelling.claim(working.pk) is None
    watching.watch()
    assert (market.calls["cancel"], again(working).state) == (0, "pending_cancel")
    minute_later(working)
    watching.watch()
    assert (market.calls["cancel"], again(working).state) == (1, "cancelled")


class TestRefused:
    def refused(self, of, by, words):
        before = again(of)
        with pytest.raises(Refused, match=words):
            cancelling.cancel(of, by=by)
        assert again(of).state == before.state
        line = AuditLine.objects.filter(verb="refused").latest("pk")
        assert (line.by, line.after["command"]) == (by, "order.cancelled")

    def test_while_it_is_being_sent(self, staged, desk):
        order(state="sending", claim_expires=timezone.now())
        self.refused(staged, desk, "It is being sent; try again in a moment")

    def test_before_it_is_confirmed(self, staged, desk):
        ticket(block("AGG", "buy", 50, A1=1))
        self.refused(order("AGG"), desk, "leave its accounts out on the order ticket")

    def test_the_second_comer_is_told_what_happened(self, staged, working, market, desk):
        cancelling.cancel(working, by=desk)
        self.refused(working, make.operations("otto"), "already asked")
        market.fill(name(working), 30, 100)
        watching.watch()
        self.refused(working, desk, r"the order is cancelled \(as asked\); 30 of 100 were filled")

    def test_after_it_was_filled(self, working, market, desk):
        market.fill(name(working), 100, 100)
        watching.watch()
        self.refused(working, desk, "It is too late: the order is filled")

    def test_where_the_broker_cannot(self, working, desk, monkeypatch):
        monkeypatch.setattr("tests.trading.broker_server.SocketBroker.can_cancel", False)
        self.refused(working, desk, "Call the custodian")

    def test_only_for_operations(self, working):
        annie = make.advisor("annie")
        with pytest.raises(PermissionDenied, match="Only Operations"):
            cancelling.cancel(working, by=annie)
        assert again(working).state == "working"
        assert AuditLine.objects.get(verb="refused").by == annie
