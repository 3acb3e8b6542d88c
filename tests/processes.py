"""Real processes for tests: Celery on the test database, alive or killed; the launcher; who runs in a home."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import redis
from celery import Celery
from celery.beat import PersistentScheduler
from django.db import connection
from kombu.exceptions import OperationalError

from config.celery import app
from config.env import broker_url
from ops import locks
from ops.processes import kill, spawn, stop
from ops.valkey import Valkey

ROOT = Path(__file__).resolve().parent.parent
READY_WITHIN = 180.0  # seconds; a machine may be slow and busy, and whoever waits sees what comes earlier at once
PATIENCE = 120.0


def test_database_url():
    """DATABASE_URL of the database the tests write to, not of the one they were given."""
    parts = urlsplit(os.environ["DATABASE_URL"])
    return urlunsplit(parts._replace(path="/" + connection.settings_dict["NAME"]))


class CeleryProcess:
    """A worker or a beat as production runs it, in a process of its own."""

    def __init__(self, log, *arguments, broker=None):
        self.log = Path(log)
        self.broker = broker or os.environ["REDIS_URL"]
        self.command = [sys.executable, "-m", "celery", "-A", "config", *arguments]
        self.process = None

    def start(self):
        environment = os.environ | {"DATABASE_URL": test_database_url(), "REDIS_URL": self.broker}
        self.process = spawn(self.command, log=self.log, cwd=ROOT, env=environment)
        return self

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        if self.process:
            stop([self.process])

    def kill(self):
        """SIGKILL to the process and all it started: no goodbye, messages under way stay unacknowledged."""
        kill(self.process)


class Worker(CeleryProcess):
    def __init__(self, log, concurrency=2, broker=None):
        options = ["--loglevel", "INFO", "--concurrency", str(concurrency), "--without-gossip", "--without-mingle"]
        super().__init__(log, "worker", *options, broker=broker)

    def start(self):
        super().start()
        deadline = time.monotonic() + READY_WITHIN
        while not self.answers():
            assert self.alive, f"the worker ended:\n{self.log.read_text()}"
            assert time.monotonic() < deadline, f"the worker did not come up:\n{self.log.read_text()}"
        return self

    def rest(self):
        """End it when it has done all that was asked of it by way of the tests' queue, what that asked for included."""
        if self.alive:
            eventually(lambda: nothing_is_asked() and nothing_is_asked() and nobody_writes())
        self.stop()
        empty_broker()

    def answers(self):
        """Whether it hears us by way of its queue; a queue that is down hears nobody."""
        caller = Celery("caller", broker=broker_url(self.broker), set_as_current=False)
        caller.conf.broker_transport_options = {"max_retries": 0}
        try:
            return bool(caller.control.ping(timeout=1, limit=1))
        except (OperationalError, redis.ConnectionError):
            return False
        finally:
            caller.close()


class Beat(CeleryProcess):
    """A beat that was away for an hour, so that all it has to send is due at once."""

    def __init__(self, log, schedule, broker=None):
        super().__init__(log, "beat", "--loglevel", "INFO", "--pidfile=", "--schedule", str(schedule), broker=broker)
        kept = PersistentScheduler(app, schedule_filename=str(schedule))
        for entry in kept.schedule.values():
            entry.last_run_at -= timedelta(hours=1)
        kept.close()


@contextlib.contextmanager
def queue_of_its_own(folder):
    """A running queue beside that of the tests, with its data in `folder`; it may be killed and started again."""
    sockets = Path(tempfile.mkdtemp(prefix="rebalancer-queue-", dir="/tmp"))  # short, as a socket's path has to be
    queue = Valkey(folder / "valkey", sockets, log=folder / "valkey.log", throwaway=True).start()
    try:
        yield queue
    finally:
        queue.stop()
        shutil.rmtree(sockets)


def empty_broker():
    """Lose every message there is, as a queue's machine dying would."""
    with app.connection_for_write() as connection:
        connection.default_channel.client.flushall()


def ask_for_nothing():
    """Drop what waits in the tests' queue; what somebody has taken out of it goes on."""
    with app.connection_for_read() as line:
        line.default_channel.client.delete(app.conf.task_default_queue)


def nothing_is_asked():
    """Whether no message waits in the tests' queue and none was taken out of it without being acknowledged yet.

    Ask twice: a message on its way from the one to the other is seen in neither.
    """
    with app.connection_for_read() as line:
        client = line.default_channel.client
        return not client.llen(app.conf.task_default_queue) and not client.hlen("unacked")


def nobody_writes():
    """Whether no other session is in the middle of something in the tests' database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend' AND state <> 'idle'"
        )
        return cursor.fetchone()[0] == 0


def eventually(check, within=PATIENCE, every=0.1):
    """Wait for check() to be true and return what it returned; an AssertionError after `within` seconds."""
    deadline = time.monotonic() + within
    while not (found := check()):
        assert time.monotonic() < deadline, f"not within {within} s: {check}"
        time.sleep(every)
    return found


def run(*arguments, home, **options):
    """`./run ARGUMENTS` in a home of its own with nothing given from outside; the finished process with its texts."""
    options = {"env": bare_environment(home), "capture_output": True, "text": True, "timeout": 600} | options
    return subprocess.run([ROOT / "run", *arguments], check=False, **options)


def bare_environment(home):
    """The environment of somebody who has set nothing but the home."""
    ours = {"DATABASE_URL", "REDIS_URL", "PORT", "ALLOWED_HOSTS", "DJANGO_SETTINGS_MODULE", "PYTHONPATH"}
    return {name: value for name, value in os.environ.items() if name not in ours} | {"REBALANCER_HOME": str(home)}


def is_up(home, name):
    lock = home / name / "keeper.lock"
    return lock.exists() and not locks.is_free(lock)


def processes_of(home):
    """What runs in this home, or with it in its command line or environment, by process id.

    Servers write their own title over both, but their working folder is their data's.
    """
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            words += os.fsencode(os.readlink(entry / "cwd"))
        except OSError:
            continue
        if os.fsencode(home) in words and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


def of(home, word):
    return [pid for pid, words in processes_of(home).items() if word in words]
