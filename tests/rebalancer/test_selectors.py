"""Reads: the queue, the batches and their totals, as each person sees them."""

from decimal import Decimal

import pytest
from django.contrib.auth.models import AnonymousUser
from django.utils import timezone

from accounts.models import Account
from rebalancer import selectors
from rebalancer.models import Check
from rebalancer.services import batches
from rebalancer.states import BatchState, Source, Status
from tests import factories as make
from trading import sessions

from .conftest import as_seen, drifted, opened, pending

pytestmark = pytest.mark.django_db


@pytest.fixture
def checked(three):
    """The three accounts with checks: all wanted, A1 First Rebalance and High Cash, the others Position Drift."""
    for account in three:
        first = account.number == "A1"
        Check.objects.create(
            account=account, checked_at=timezone.now(), business_day=sessions.today(), status=Status.OUT_OF_TOLERANCE,
            wanted=True, source=Source.DRIFT_ANALYSIS, needed_since=sessions.today(), first_rebalance=first,
            high_cash=first, position_drift=not first,
        )  # fmt: skip
    return three


def numbers(rows):
    return sorted(rows.values_list("number", flat=True))


def test_the_queue_is_what_each_person_sees(checked, desk, ann):
    assert numbers(selectors.queue(desk)) == ["A1", "A2", "A3"]
    assert numbers(selectors.queue(ann)) == ["A1", "A2"]
    for nobody in (AnonymousUser(), make.advisor(), make.operations(is_active=False)):
        assert numbers(selectors.queue(nobody)) == []


@pytest.mark.parametrize("change", [{"rebalancing_on": False}, {"is_open": False}])
def test_accounts_that_are_off_or_closed_are_not_in_it(checked, desk, change):
    Account.objects.filter(number="A2").update(**change)
    assert numbers(selectors.queue(desk)) == ["A1", "A3"]


def test_nor_are_those_with_an_open_entry_or_order(checked, desk):
    first = pending(desk, checked[0])
    opened(desk, checked[1])
    assert numbers(selectors.queue(desk)) == ["A3"]
    batches.approve(first, by=desk, **as_seen(first))
    batches.finish_approval(first.pk)
    Check.objects.update(wanted=True)
    assert numbers(selectors.queue(desk)) == ["A3"]


def test_tiles_are_counted_in_one_query(checked, desk, django_assert_num_queries):
    queue = selectors.queue(desk)
    with django_assert_num_queries(1):
        counts = selectors.tile_counts(queue)
    assert counts == {"all": 3, "first_rebalance": 1, "high_cash": 1, "low_cash": 0, "position_drift": 2}


def test_every_status_has_a_count(checked, desk, ann):
    counts = selectors.status_counts(selectors.accounts(ann))
    assert list(counts) == list(Status)
    assert (counts[Status.OUT_OF_TOLERANCE], sum(counts.values())) == (2, 2)


def test_a_person_counts_only_their_accounts_of_a_batch(three, desk, ann):
    batch = pending(desk, *three)
    batches.remove(batch, by=desk, entries=batch.entries.filter(account_number="A1"), shown=1)
    row = selectors.pending(ann).get()
    assert (row.accounts_count, row.open_count, row.removed_count, row.first_number) == (2, 1, 1, "A1")
    assert selectors.pending(desk).get().accounts_count == 3
    assert not selectors.pending(make.advisor()).exists()
    assert selectors.entries(batch, ann).count() == 2
    assert selectors.entries(batch, make.advisor()).count() == 0


def test_tabs_share_batches_by_state(three, desk):
    batch = pending(desk, *three)
    assert (selectors.pending(desk).count(), selectors.history(desk).count(), selectors.at_work(desk).count()) == (
        1,
        0,
        0,
    )
    batches.repropose(batch, by=desk)
    assert selectors.at_work(desk).get().state == BatchState.NEW
    batches.cancel(batch, by=desk)
    assert (selectors.pending(desk).count(), selectors.history(desk).count()) == (0, 1)


class TestSummary:
    def test_sums_open_accounts_and_counts_all(self, three, desk):
        batch = pending(desk, *three)
        batches.remove(batch, by=desk, entries=batch.entries.filter(account_number="A1"), shown=1)
        found = selectors.summary(batch.entries.all())
        assert (found["accounts"], found["proposed_count"], found["removed_count"]) == (3, 2, 1)
        assert (found["buys_value"], found["sells_value"]) == (Decimal(36000), Decimal(30000))
        assert found["net_dollars"] == selectors.stake(batch).net_dollars == Decimal(6000)

    def test_taxable_gains_stand_apart(self, three, desk):
        Account.objects.filter(number="A3").update(tax_status="tax_exempt")
        found = selectors.summary(pending(desk, *three).entries.all())
        assert (found["long_term_gain"], found["taxable_long_term_gain"]) == (Decimal(9000), Decimal(6000))

    def test_gains_of_unknown_cost_are_none_not_zero(self, balanced, desk):
        account = drifted(balanced, "U1")
        account.lots.update(total_cost=None)
        found = selectors.summary(pending(desk, account).entries.all())
        assert (found["estimated_gain"], found["unknown_lots"]) == (None, 1)

    def test_an_account_that_sells_nothing_makes_no_gain_known(self, balanced, desk):
        account = drifted(balanced, "U1")
        account.lots.update(total_cost=None)
        idle = make.account("U2", portfolio=balanced, cash=Decimal(100))
        batch = pending(desk, account, idle)
        assert batch.entries.get(account=idle).estimated_gain == 0
        found = selectors.summary(batch.entries.all())
        assert (found["estimated_gain"], found["unknown_lots"]) == (None, 1)

    def test_where_nothing_is_sold_gains_are_zero(self, three, desk):
        Account.objects.update(tax_status="tax_exempt")
        batch = pending(desk, *three)
        found = selectors.summary(batch.entries.all())
        assert [found[f"taxable_{name}"] for name in ("short_term_gain", "long_term_gain", "estimated_gain")] == [0] * 3
        assert found["estimated_gain"] > 0
        batches.remove(batch, by=desk, entries=batch.entries.all(), shown=3)
        found = selectors.summary(batch.entries.all())
        assert [found[name] for name in ("short_term_gain", "long_term_gain", "estimated_gain")] == [0] * 3

    def test_of_nothing(self, three, desk):
        found = selectors.summary(opened(desk, *three).batch.entries.all())
        assert (found["buys_value"], found["net_dollars"], found["waiting_count"]) == (None, Decimal(0), 3)


def test_why_a_person_may_not_decide(three, desk, ann):
    batch = pending(desk, *three)
    assert selectors.why_not_decide(batch, desk) == ""
    assert "is yours" in selectors.why_not_decide(batch, ann)
    assert selectors.why_not_approve(batch, make.administrator()) == "Your role does not decide about requests."
