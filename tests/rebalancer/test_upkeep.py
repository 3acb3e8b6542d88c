"""The sweeper and the tick: what is found, and that finding it twice changes nothing."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.utils import timezone

from accounts.models import Account, RunRecord
from rebalancer import selectors
from rebalancer.models import Batch
from rebalancer.services import analysing, batches, claims, days, runs, upkeep
from rebalancer.states import BatchState
from trading import sessions

from .conftest import again, as_seen, opened, pending

pytestmark = pytest.mark.django_db
SOON = timedelta(seconds=20)


def later(by=SOON):
    return timezone.now() + by


def test_nothing_lies_about(three):
    assert upkeep.sweep() == upkeep.LeftLying([], [], False)
    assert not selectors.work_is_waiting()


def test_a_new_batch_left_lying_is_found(three, desk):
    batch = opened(desk, *three).batch
    assert upkeep.sweep().to_propose == []  # its own message is on the way
    assert upkeep.sweep(later()).to_propose == [batch.pk]
    assert not selectors.work_is_waiting()
    Batch.objects.update(opened_at=timezone.now() - timedelta(minutes=2))
    assert selectors.work_is_waiting()


def test_a_batch_whose_worker_has_gone_is_free_again(three, desk):
    batch = opened(desk, *three).batch
    claims.take(batch.pk)
    assert upkeep.sweep(later()).to_propose == []
    assert upkeep.sweep(later(timedelta(seconds=61))).to_propose == [batch.pk]
    assert (again(batch).state, again(batch).claim) == (BatchState.NEW, None)


def test_a_batch_asked_for_anew_lies_since_then(three, desk):
    batch = pending(desk, *three)
    Batch.objects.update(opened_at=timezone.now() - timedelta(hours=1))
    batches.repropose(batch, by=desk)
    assert upkeep.sweep().to_propose == []
    assert not selectors.work_is_waiting()
    assert upkeep.sweep(later()).to_propose == [batch.pk]


def test_an_approved_batch_left_lying_is_found(three, desk):
    batch = pending(desk, *three)
    batches.approve(batch, by=desk, **as_seen(batch))
    assert upkeep.sweep(later()).to_finish == [batch.pk]
    batches.finish_approval(batch.pk)
    assert upkeep.sweep(later()).to_finish == []


def test_wanted_checks_are_found(three):
    Account.objects.filter(number="A1").want_check()
    assert upkeep.sweep().checks_wanted
    analysing.recheck()
    assert not upkeep.sweep().checks_wanted


def test_dead_runs_are_closed(db):
    runs.start(RunRecord.Kind.ANALYSIS, sessions.today())
    upkeep.sweep()
    assert RunRecord.objects.get().state == "running"
    upkeep.sweep(later(runs.DEAD_AFTER + SOON))
    run = RunRecord.objects.get()
    assert (run.state, run.errors) == ("failed", [runs.DIED])


def test_what_is_due_is_due_until_it_has_run(db):
    friday_night = datetime(2026, 11, 21, 2, 1, tzinfo=UTC)
    assert upkeep.due(friday_night) == upkeep.Due(end_of_day=True, analysis_of=date(2026, 11, 20))
    days.end_of_day_if_due(friday_night)
    runs.start(RunRecord.Kind.ANALYSIS, date(2026, 11, 20), scheduled=True)
    assert upkeep.due(friday_night) == upkeep.Due(end_of_day=False, analysis_of=None)
