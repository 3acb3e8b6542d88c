"""The message queue is down: what is asked for is stored, and done when it is back."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Account
from config.env import broker_url
from ops.processes import kill
from rebalancer import selectors, tasks
from rebalancer.models import Batch
from rebalancer.services import batches
from rebalancer.states import BatchState, Logic
from tests.processes import Beat, Worker, eventually, queue_of_its_own

ONE_TRY = 30.0  # seconds, on a busy machine too; whoever tries again and again is at it for longer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """A queue of this test's own, to which this process sends."""
    with queue_of_its_own(tmp_path) as running:
        monkeypatch.setenv("CELERY_BROKER_WRITE_URL", broker_url(running.url))
        yield running


def test_a_batch_opened_meanwhile_is_proposed_when_it_is_back(queue, many, desk, tmp_path):
    kill(queue.process)
    accounts = many(3)
    started = time.monotonic()
    opened = batches.open_batch(by=desk, accounts=Account.objects.all(), shown=3, logic=Logic.BEST_FIT)
    tasks.enqueue(tasks.propose_batch, opened.batch.pk)
    assert time.monotonic() - started < ONE_TRY
    assert (opened.accounts, opened.batch.state) == (len(accounts), BatchState.NEW)

    Batch.objects.update(opened_at=timezone.now() - timedelta(minutes=1))
    assert selectors.work_is_waiting()  # what the banner says
    queue.start()
    worker = Worker(tmp_path / "worker.log", broker=queue.url)
    beat = Beat(tmp_path / "beat.log", tmp_path / "schedule", broker=queue.url)
    try:
        worker.start()
        beat.start()
        eventually(lambda: Batch.objects.get().state == BatchState.PENDING_APPROVAL)
        assert not selectors.work_is_waiting()
    finally:
        beat.stop()
        worker.stop()
