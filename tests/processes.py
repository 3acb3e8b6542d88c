"""Real processes for tests: Celery on the test database, alive or killed; the launcher; who runs in a home."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import redis
from celery import Celery
from django.db import connection
from kombu.exceptions import OperationalError

from config.celery import app
from config.env import broker_url
from ops import locks
from ops.processes import kill, spawn, stop

ROOT = Path(__file__).resolve().parent.parent
READY_WITHIN = 60.0  # seconds


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
    def __init__(self, log, schedule):
        super().__init__(log, "beat", "--loglevel", "INFO", "--pidfile=", "--schedule", str(schedule))


def empty_broker():
    """Lose every message there is, as a queue's machine dying would."""
    with app.connection_for_write() as connection:
        connection.default_channel.client.flushall()


def eventually(check, within=20.0, every=0.1):
    """Wait for check() to be true and return what it returned; an AssertionError after `within` seconds."""
    deadline = time.monotonic() + within
    while not (found := check()):
        assert time.monotonic() < deadline, f"not within {within} s: {check}"
        time.sleep(every)
    return found


def run(*arguments, home, **options):
    """`./run ARGUMENTS` in a home of its own with nothing given from outside; the finished process with its texts."""
    options = {"env": bare_environment(home), "capture_output": True, "text": True, "timeout": 120} | options
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
