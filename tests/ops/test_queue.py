"""The message queue's settings: a real worker answers, a dead queue is found out at once."""

import json
import time

import pytest
import redis
from kombu.exceptions import OperationalError

from config.celery import app
from ops.processes import kill
from tests.processes import Beat, Worker, eventually, queue_of_its_own


def test_the_worker_of_the_tests_is_real(worker):
    assert worker.answers()


@pytest.mark.parametrize("address", ["redis+socket:///nowhere/valkey.sock", "redis://127.0.0.1:1/0"])
def test_publishing_to_a_dead_queue_fails_at_once(address):
    started = time.monotonic()
    with app.connection_for_write(address) as line, pytest.raises(OperationalError):
        app.send_task("rebalancer.tasks.sweep", connection=line)
    assert time.monotonic() - started < 20  # on a busy machine; who tries again and again is at it for ever


def test_a_worker_outlives_its_queue(tmp_path, transactional_db):
    with queue_of_its_own(tmp_path) as queue:
        worker = Worker(tmp_path / "worker.log", broker=queue.url)
        try:
            worker.start()
            kill(queue.process)
            time.sleep(2)
            queue.start()
            eventually(worker.answers)
        finally:
            worker.stop()


def test_beat_sends_what_the_schedule_says(tmp_path, db):
    with queue_of_its_own(tmp_path) as queue, redis.Redis.from_url(queue.url) as line:
        beat = Beat(tmp_path / "beat.log", tmp_path / "schedule", broker=queue.url).start()
        try:
            eventually(lambda: line.llen("celery") == len(app.conf.beat_schedule))
            sent = {json.loads(message)["headers"]["task"] for message in line.lrange("celery", 0, -1)}
            assert sent == {entry["task"] for entry in app.conf.beat_schedule.values()}
        finally:
            beat.stop()
