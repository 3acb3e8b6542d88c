"""The message queue's settings: a real worker answers, a dead queue is found out at once."""

import shutil
import tempfile
import time
from pathlib import Path

import pytest
from kombu.exceptions import OperationalError

from config.celery import app
from ops.processes import kill
from ops.valkey import Valkey
from tests.processes import Beat, Worker, empty_broker, eventually


def test_the_worker_of_the_tests_is_real(worker):
    assert worker.answers()


def test_a_killed_worker_is_a_new_one_for_the_next_test(worker):
    worker.kill()
    assert not worker.alive


def test_that_next_test(worker):
    assert worker.alive
    assert worker.answers()


@pytest.mark.parametrize("address", ["redis+socket:///nowhere/valkey.sock", "redis://127.0.0.1:1/0"])
def test_publishing_to_a_dead_queue_fails_at_once(address):
    started = time.monotonic()
    with app.connection_for_write(address) as line, pytest.raises(OperationalError):
        app.send_task("rebalancer.tasks.sweep", connection=line)
    assert time.monotonic() - started < 3


def test_a_worker_outlives_its_queue(tmp_path, transactional_db):
    sockets = Path(tempfile.mkdtemp(prefix="rebalancer-queue-", dir="/tmp"))
    queue = Valkey(tmp_path / "valkey", sockets, log=tmp_path / "valkey.log", throwaway=True).start()
    worker = Worker(tmp_path / "worker.log", broker=queue.url)
    try:
        worker.start()
        kill(queue.process)
        time.sleep(2)
        queue.start()
        eventually(worker.answers, within=30)
    finally:
        worker.stop()
        queue.stop()
        shutil.rmtree(sockets)


def test_beat_sends_what_the_schedule_says(tmp_path, db):
    empty_broker()
    beat = Beat(tmp_path / "beat.log", tmp_path / "schedule").start()
    try:
        with app.connection_for_read() as line:
            client = line.default_channel.client
            assert eventually(lambda: client.llen("celery"), within=40)
    finally:
        beat.stop()
        empty_broker()


