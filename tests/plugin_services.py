"""The tests' own PostgreSQL and Valkey: started before Django reads its settings, thrown away at the end.

An early plugin (`-p tests.plugin_services` in pyproject.toml), for DATABASE_URL and REDIS_URL must be there before
pytest-django looks. Given from outside, an address is used as it is. At the end it says what the tests ran on.
"""

import os
import shutil
import tempfile
from pathlib import Path

import psycopg2
import pytest
import redis

from ops import browser
from ops.postgres import Postgres
from ops.valkey import Valkey

started = []
folders = []


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests():
    if os.environ.get("PYTEST_XDIST_WORKER"):
        return  # those of the process that started it are in the environment
    folder = Path(tempfile.mkdtemp(prefix="rebalancer-test-", dir="/tmp"))
    folder.chmod(0o755)  # as root, the database runs as somebody else
    folders.append(folder)
    os.environ["REBALANCER_HOME"] = str(folder / "home")
    for variable, server, name in (("DATABASE_URL", Postgres, "pg"), ("REDIS_URL", Valkey, "vk")):
        if not os.environ.get(variable):
            os.environ[variable] = _start(server, folder, name).url


def _start(server, folder, name):
    sockets = folder / f"{name}-socket"
    sockets.mkdir(mode=0o700)
    running = server(folder / name, sockets, log=folder / f"{name}.log", throwaway=True)
    started.append(running)
    return running.start()


def pytest_unconfigure():
    while started:
        started.pop().stop()
    while folders:
        shutil.rmtree(folders.pop(), ignore_errors=True)


def pytest_terminal_summary(terminalreporter):
    if os.environ.get("PYTEST_XDIST_WORKER"):
        return
    terminalreporter.section("ran on", sep="-")
    for line in (_database(), _broker(), _browser()):
        terminalreporter.write_line(line)


def _database():
    with psycopg2.connect(_libpq(os.environ["DATABASE_URL"])) as line, line.cursor() as cursor:
        cursor.execute("SELECT version()")
        return f"database  {cursor.fetchone()[0].split(' on ')[0]} ({_origin(Postgres)})"


def _libpq(url):
    """psycopg2 takes the same address, but for the empty host before a port."""
    return url.replace("@:5432/", "@/", 1)


def _broker():
    told = redis.Redis.from_url(os.environ["REDIS_URL"]).info("server")
    name = "Valkey" if "valkey_version" in told else "Redis"
    return f"broker    {name} {told.get('valkey_version') or told['redis_version']} ({_origin(Valkey)})"


def _origin(kind):
    return "thrown away" if any(isinstance(server, kind) for server in started) else "given from outside"


def _browser():
    found = browser.find()
    return f"browser   {browser.version(found)} ({found})" if found else "browser   none found"
