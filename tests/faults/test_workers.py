"""Real workers: work done by messages, and work whose worker was killed and whose messages were lost."""

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import Account, AuditLine, RunRecord
from rebalancer import selectors, tasks
from rebalancer.models import Batch, Check, Entry, PositionLine, TradeLine
from rebalancer.services import batches, proposing
from rebalancer.states import BatchState, EntryState, Logic
from tests import factories as make
from tests.processes import Beat, empty_broker, eventually
from trading import hours, sessions
from trading.models import Order, Ticket

pytestmark = pytest.mark.django_db(transaction=True)


def opened(by, accounts):
    chosen = Account.objects.filter(pk__in=[account.pk for account in accounts])
    return batches.open_batch(by=by, accounts=chosen, shown=len(accounts), logic=Logic.BEST_FIT).batch


def is_in(batch, state):
    return lambda: Batch.objects.get(pk=batch.pk).state == state


def audited(verb):
    return AuditLine.objects.filter(verb=verb).count()


def somebody_waits():
    """Whether a session waits for a lock that another one holds."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return cursor.fetchone()[0]


@pytest.fixture
def beat(tmp_path, transactional_db):
    running = Beat(tmp_path / "beat.log", tmp_path / "schedule")
    yield running
    running.stop()


def test_a_batch_is_proposed_and_staged_by_workers(worker, many, desk):
    accounts = many(5)
    with transaction.atomic():
        batch = opened(desk, accounts)
        tasks.enqueue(tasks.propose_batch, batch.pk)
    eventually(is_in(batch, BatchState.PENDING_APPROVAL))
    stake = selectors.stake(batch)
    with transaction.atomic():
        batches.approve(batch, by=desk, version=1, accounts=stake.accounts, net_dollars=stake.net_dollars)
        tasks.enqueue(tasks.finish_approval, batch.pk)
        tasks.enqueue(tasks.finish_approval, batch.pk)  # delivered twice
    eventually(is_in(batch, BatchState.COMPLETE))
    eventually(lambda: Check.objects.filter(account__in=accounts).count() == 5)
    assert (Ticket.objects.count(), Order.objects.count(), audited("batch.completed")) == (1, 2, 1)


def test_nothing_is_sent_when_the_transaction_is_undone(worker, many, desk):
    accounts = many(1)
    batch = opened(desk, accounts)
    with transaction.atomic():
        tasks.enqueue(tasks.propose_batch, batch.pk)
        transaction.set_rollback(True)
    Account.objects.all().want_check()
    tasks.recheck.delay()  # what was sent before it would be done before it
    eventually(Check.objects.exists)
    assert is_in(batch, BatchState.NEW)()


def test_the_tick_ends_the_day_at_the_firms_time(worker, many, desk):
    batch = opened(desk, many(2))
    Batch.objects.update(opened_at=timezone.now() - timedelta(minutes=5))
    a_minute_ago = (timezone.now() - timedelta(minutes=1)).astimezone(sessions.zone())
    make.firm(end_of_day_at=a_minute_ago.time())
    tasks.tick.delay()
    tasks.tick.delay()
    eventually(lambda: hours.standing().known)
    eventually(is_in(batch, BatchState.CANCELLED))
    assert Batch.objects.get().get_ended_how_display() == "end of day"
    eventually(lambda: RunRecord.objects.filter(kind="end_of_day", state="done").exists())
    assert RunRecord.objects.filter(kind="end_of_day").count() == 1


def test_a_killed_workers_batch_is_proposed_by_itself_once(worker, beat, many, desk):
    """SIGKILL in the middle of proposing, and the broker loses everything: the sweeper finds the batch."""
    batch = opened(desk, many(proposing.ACCOUNTS_AT_ONCE + 5))
    with transaction.atomic():
        list(
            Entry.objects.filter(batch=batch).order_by("-account")[:1].select_for_update()
        )  # the second chunk must wait
        tasks.propose_batch.delay(batch.pk)
        eventually(somebody_waits)
        worker.kill()
    empty_broker()
    stored = Entry.objects.filter(batch=batch, state=EntryState.PROPOSED)
    assert stored.count() == proposing.ACCOUNTS_AT_ONCE
    kept = set(stored.values_list("pk", "fingerprint"))
    assert is_in(batch, BatchState.PROPOSING)()

    Batch.objects.filter(pk=batch.pk).update(claim_expires=timezone.now())  # a minute goes by
    worker.start()
    beat.start()
    eventually(is_in(batch, BatchState.PENDING_APPROVAL))

    batch.refresh_from_db()
    assert (batch.done, batch.total, batch.proposal_version) == (1005, 1005, 1)
    assert set(stored.values_list("pk", "fingerprint")) > kept
    assert stored.count() == 1005
    assert (PositionLine.objects.count(), TradeLine.objects.count()) == (2010, 2010)
    assert audited("batch.proposed") == 1


def test_a_worker_killed_while_staging_has_staged_nothing(worker, beat, many, desk):
    accounts = many(3)
    batch = opened(desk, accounts)
    batches.propose_batch(batch.pk)
    stake = selectors.stake(batch)
    batches.approve(batch, by=desk, version=1, accounts=stake.accounts, net_dollars=stake.net_dollars)
    with transaction.atomic():
        Account.objects.select_for_update().get(pk=accounts[-1].pk)
        tasks.finish_approval.delay(batch.pk)
        eventually(somebody_waits)
        worker.kill()
    empty_broker()
    assert (Ticket.objects.count(), is_in(batch, BatchState.APPROVING)()) == (0, True)

    Batch.objects.filter(pk=batch.pk).update(approved_at=timezone.now() - timedelta(minutes=1))
    worker.start()
    beat.start()
    eventually(is_in(batch, BatchState.COMPLETE))
    assert (Ticket.objects.count(), Order.objects.count(), audited("batch.completed")) == (1, 2, 1)
    assert {account.last_rebalanced is not None for account in Account.objects.all()} == {True}
