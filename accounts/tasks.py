"""Asking a worker for what a row says is to be done: the one way in which views, beats and tasks do so."""

import logging
from functools import partial

from celery import current_app
from django.db import transaction
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

ONE_TRY = {"max_retries": 0, "socket_connect_timeout": 1, "socket_timeout": 2}


def enqueue(task, *args) -> None:
    """Ask a worker to run the task when the transaction has committed. One short try: what a dead queue does not take
    is logged, and found by the sweeper in the database."""
    transaction.on_commit(partial(_send, task, args))


def _send(task, args):
    try:
        with current_app.connection_for_write(connect_timeout=1, transport_options=ONE_TRY) as line:
            task.apply_async(args, connection=line, retry=False)
    except (KombuError, RedisError, OSError) as down:
        log.warning("%s%s is left to the sweeper: %s", task.name, args, down)
