"""Confirm checks again what Approve checked: an account that changed since stops the whole ticket, and is named."""

import threading
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection

from accounts.models import Account, Position, Price, Restriction, User
from rebalancer.models import Batch
from rebalancer.selectors import sale_list
from rebalancer.services import batches, confirming, days
from rebalancer.states import Logic
from tax.models import Lot
from tests import factories as make
from tests.trading.confirming import OPEN, market_days
from trading.models import Allocation, FlatMove, Order
from trading.preview import preview
from trading.services import staging
from trading.services.staging import Block, Part
from trading.states import OrderState, Side

from .conftest import again, as_seen, chosen, pending

pytestmark = pytest.mark.django_db


def approved(desk, *accounts, **terms) -> Batch:
    batch = pending(desk, *accounts, **terms)
    batches.approve(batch, by=desk, **as_seen(batch))
    assert batches.finish_approval(batch.pk)
    market_days()
    Price.objects.update(as_of=OPEN - timedelta(seconds=5))
    return again(batch)


@pytest.fixture
def batch(three, desk):
    return approved(desk, *three)


def changed(batch):
    return {one.account_number: one.why for one in confirming.changed_accounts(batch)}


def confirm(batch, by):
    found = preview(by, again(batch.ticket), OPEN)
    return confirming.confirm(
        batch.ticket, by=by, version=found.ticket.version, digest=found.digest, still=found.shown, now=OPEN
    )


def test_nothing_changed_by_approval_itself(batch, desk):
    assert changed(batch) == {}
    assert confirm(batch, desk).confirmed_by == desk
    assert Order.objects.filter(client_order_id=None).count() == 0


def test_the_portfolio_that_approval_assigned_is_no_change(three, desk):
    growth = make.portfolio("Growth", VTI=80, AGG=18)
    three[2].linked_portfolios.set([growth])
    batch = approved(desk, three[2], portfolio=growth)
    assert again(three[2]).portfolio == growth
    assert changed(batch) == {}
    Account.objects.filter(pk=three[2].pk).update(portfolio=make.portfolio("Income", VTI=10, AGG=80))
    assert changed(batch) == {"A3": "portfolio Balanced → Income"}


def cash(account):
    Account.objects.filter(pk=account.pk).update(cash=Decimal(4000))


def set_aside(account):
    Account.objects.filter(pk=account.pk).update(set_aside_cash=Decimal(10))


def switched_off(account):
    Account.objects.filter(pk=account.pk).update(rebalancing_on=False)


def another_advisor(account):
    Account.objects.filter(pk=account.pk).update(advisor=User.objects.get(username="olive"))


def another_portfolio(account):
    Account.objects.filter(pk=account.pk).update(portfolio=make.portfolio("Growth", VTI=90, AGG=8))


def other_targets(account):
    make.portfolio("Balanced", VTI=50, AGG=48)


def fewer_shares(account):
    Lot.objects.filter(account=account, security__symbol="VTI").update(quantity=700)
    Position.objects.filter(account=account, security__symbol="VTI").update(quantity=700)


def restricted(account):
    make.restriction(account, "VTI", Restriction.Kind.NO_SELL)


def another_order(account):
    part = Part(account.pk, make.sleeve().pk, Decimal(1), [])
    blocks = [Block(make.security("VTI").pk, Side.BUY, Decimal(100), [part])]
    staging.stage(label="Another", by=None, trade_date=OPEN.date(), blocks=blocks, moves=())


def closed(account):
    Account.objects.filter(pk=account.pk).update(is_open=False)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (cash, "cash $5,000.00 → $4,000.00"),
        (set_aside, "set-aside cash $0.00 → $10.00"),
        (switched_off, "rebalancing on → off"),
        (another_advisor, "advisor nobody → olive"),
        (another_portfolio, "portfolio Balanced → Growth"),
        (fewer_shares, "VTI 750 → 700 shares"),
        (restricted, "restriction new: no sell VTI"),
        (another_order, "it has another open order now"),
        (closed, "closed"),
    ],
)
def test_an_account_that_changed_stops_the_ticket(batch, three, desk, change, words):
    change(three[2])
    assert list(changed(batch)) == ["A3"]
    assert words in changed(batch)["A3"]
    with pytest.raises(confirming.AccountsChanged, match="1 account changed since approval") as refusal:
        confirm(batch, desk)
    assert [one.account_number for one in refusal.value.accounts] == ["A3"]
    assert again(batch.ticket).confirmed_at is None
    assert not Order.objects.exclude(client_order_id=None).exists()


def test_targets_that_were_changed_concern_all_accounts(batch, three):
    other_targets(three[0])
    assert list(changed(batch)) == ["A1", "A2", "A3"]


def test_who_is_left_out_does_not_matter(batch, three, desk):
    cash(three[2])
    for part in Allocation.objects.filter(account=three[2]).select_related("order"):
        Order.objects.filter(pk=part.order_id).update(quantity=part.order.quantity - part.quantity)
        Allocation.objects.filter(pk=part.pk).update(quantity=0)
    assert changed(batch) == {}
    assert confirm(batch, desk).confirmed_at


def test_who_has_nothing_in_an_order_does_not_matter(balanced, three, desk):
    core = make.model("Core", VTI=100)
    split = make.portfolio("Split", components=[make.component(core, 60), make.component("AGG", 38)])
    flat = make.account("F1", portfolio=split, cash=Decimal(2000))
    make.lot(flat, "VTI", 600, cost=60000)
    make.lot(flat, "AGG", 760, cost=38000)
    batch = approved(desk, three[0], flat)
    assert not Allocation.objects.filter(account=flat).exists()
    assert FlatMove.objects.get(account=flat).booked_at
    assert changed(batch) == {}


def test_a_ticket_without_a_request_is_refused(batch, desk):
    Batch.objects.update(ticket=None)
    with pytest.raises(confirming.Refused, match="belongs to no request"):
        confirm(batch, desk)


@pytest.mark.parametrize("chunk", [1, 2])
def test_accounts_are_loaded_a_few_at_a_time(batch, three, monkeypatch, chunk):
    monkeypatch.setattr("rebalancer.services.changes.ACCOUNTS_AT_ONCE", chunk)
    cash(three[0])
    cash(three[2])
    assert list(changed(batch)) == ["A1", "A3"]


def test_the_second_comer_is_told_before_accounts_are_compared(batch, three, desk):
    confirm(batch, desk)
    cash(three[2])
    with pytest.raises(confirming.TooLate, match="were confirmed by olive"):
        confirm(batch, make.operations("omar"))


def test_liquidations_too(balanced, desk):
    gone = make.account("L1", portfolio=None, cash=Decimal(0))
    make.lot(gone, "VTI", 10, cost=500)
    batch = approved(desk, gone, logic=Logic.LIQUIDATE, confirmed=sale_list(chosen(gone)).digest)
    assert changed(batch) == {}
    cash(gone)
    assert "cash" in changed(batch)["L1"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_", range(2))
def test_the_end_of_the_day_and_confirm_at_once(three, desk, round_):
    batch = approved(desk, *three)
    found, starting, said = preview(desk, again(batch.ticket), OPEN), threading.Barrier(2), {}
    seen = {"version": found.ticket.version, "digest": found.digest, "still": found.shown}

    def confirmed():
        return confirming.confirm(batch.ticket, by=desk, now=OPEN, **seen)

    def do(name, call):
        try:
            starting.wait()
            said[name] = call()
        except confirming.Refused as refusal:
            said[name] = refusal
        finally:
            connection.close()

    threads = [threading.Thread(target=do, args=one) for one in (("confirm", confirmed), ("end", days.end_of_day))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    states, cancelled = set(Order.objects.values_list("state", flat=True)), said["end"]["tickets"]
    if isinstance(said["confirm"], confirming.Refused):
        assert "end of day" in str(said["confirm"])
        assert (cancelled, states) == (1, {OrderState.CANCELLED})
        assert not Allocation.objects.filter(is_open=True).exists()
    else:
        assert (cancelled, states) == (0, {OrderState.READY})
        assert Allocation.objects.filter(is_open=False).count() == 0
