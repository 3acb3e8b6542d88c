"""Fixtures for every test: the order of tests, data that migrations made, a real worker; how hard hypothesis looks."""

import os

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.core.cache import cache
from django.db import connections
from hypothesis import HealthCheck, settings

from .processes import Worker, ask_for_nothing, eventually, nobody_writes

PATIENT = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]}
settings.register_profile("default", max_examples=100, derandomize=True, **PATIENT)  # the same in every run
settings.register_profile("slow", max_examples=2_000, **PATIENT)  # `./run fuzz`, others each time
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


class QuickHasher(PBKDF2PasswordHasher):
    """As in production, but for the time it takes on purpose."""

    iterations = 1


def pytest_configure():
    django_settings.PASSWORD_HASHERS = [f"{__name__}.QuickHasher"]


def pytest_collection_modifyitems(items):
    """Browser tests last (Playwright leaves an event loop running, which Django's guard takes for async code),
    and before each test with real commits what the migrations made is put back, for the one before emptied the tables.
    """
    items.sort(key=lambda item: "tests/web/" in item.nodeid)
    for item in items:
        marker = item.get_closest_marker("django_db")
        wanted = marker.kwargs if marker else {}
        if wanted.get("transaction") or {"transactional_db", "live_server"} & set(item.fixturenames):
            restored = pytest.mark.django_db(**wanted | {"transaction": True, "serialized_rollback": True})
            item.add_marker(restored, append=False)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """What the migrations made is noted on a connection, and beside Playwright's event loop Django has another one: it
    is noted for all of them.
    """
    with django_db_blocker.unblock():
        made = vars(connections["default"]).get("_test_serialized_contents")
    if made is not None:
        type(connections["default"])._test_serialized_contents = made


@pytest.fixture(autouse=True)
def _nothing_remembered():
    """What pages keep for some seconds (the firm's zone, the frame) is of this test, and not about to expire in it."""
    cache.clear()


@pytest.fixture(autouse=True)
def _nobody_at_work(request):
    """Before the tables are emptied, whatever this test has set going has ended, and what nobody has begun is dropped.

    Done later, it would meet the rows of another test, and its locks those of the emptying.
    """
    marker = request.node.get_closest_marker("django_db")
    commits = marker and marker.kwargs.get("transaction")
    if commits:
        request.getfixturevalue("transactional_db")
    yield
    if commits:
        ask_for_nothing()
        eventually(nobody_writes)


@pytest.fixture
def worker(transactional_db, tmp_path):
    """A live Celery worker on the test database, of this test alone."""
    running = Worker(tmp_path / "worker.log").start()
    yield running
    running.rest()
