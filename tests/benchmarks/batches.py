"""Engine, analysis and batch over reference book S, in a database of its own on the home's server."""

import contextlib
import io
import tempfile
from collections.abc import Iterator

from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import connection
from django.test.utils import setup_databases, teardown_databases

from accounts.bulk import one_moment
from accounts.models import Account, Role, User
from rebalancer import engine, loading
from rebalancer.models import Batch
from rebalancer.services import batches, checks
from rebalancer.states import BatchState, Logic
from trading import sessions

from .report import Figure, median_seconds

BOOK = {"accounts": 1000, "positions": 15, "lots": 4, "seed": 7}
ANALYSIS_GOAL = 1.0  # seconds
BATCH_GOAL = 3.0
RUNS = 5


def figures() -> Iterator[Figure]:
    with book_in_a_database():
        accounts = Account.objects.filter(is_open=True, portfolio__isnull=False, rebalancing_on=True)
        yield from _engine(accounts)
        yield _analysis()
        yield _batch(accounts)


@contextlib.contextmanager
def book_in_a_database():
    """A database with book S, gone afterwards; whatever the home holds is left alone."""
    old = setup_databases(verbosity=0, interactive=False)
    try:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
            call_command("generate_book", folder, **BOOK, stdout=io.StringIO(), stderr=io.StringIO())
            call_command("import_book", folder, stdout=io.StringIO(), stderr=io.StringIO())
        yield
    finally:
        teardown_databases(old, verbosity=0)


def _engine(accounts) -> Iterator[Figure]:
    """Accounts a second in memory, all rules on, for each logic."""
    day = sessions.today()
    with one_moment():
        book = loading.load(list(accounts.values_list("pk", flat=True)), day).book
    trade_day = (day - loading.EPOCH).days
    for logic in (Logic.BEST_FIT, Logic.MIN_TRANSACTION):
        seconds = median_seconds(lambda name=logic.value: engine.propose(book, name, trade_day), RUNS)
        yield Figure(f"Engine, {logic.label}, in memory", f"{len(book.account) / seconds:,.0f} accounts/s")


def _analysis() -> Figure:
    """The drift analysis of all open accounts: read, weighed, decided and stored."""
    seconds = median_seconds(checks.analyse, RUNS)
    return Figure("Drift analysis of book S (1,000 accounts)", f"{seconds:.2f} s", "below 1 s", seconds < ANALYSIS_GOAL)


def _batch(accounts) -> Figure:
    """From the request to Pending Approval, everything stored."""
    person = User.objects.create_user("bench")
    person.groups.add(Group.objects.get(name=Role.OPERATIONS))

    def one():
        opened = batches.open_batch(by=person, accounts=accounts, shown=accounts.count(), logic=Logic.BEST_FIT)
        batches.propose_batch(opened.batch.pk)
        opened.batch.refresh_from_db()
        assert opened.batch.state == BatchState.PENDING_APPROVAL, opened.batch.state
        Batch.objects.filter(pk=opened.batch.pk).delete()

    size = accounts.count()
    seconds = median_seconds(one, RUNS)
    name = f"Batch of {size:,} accounts of book S, request to Pending Approval"
    return Figure(name, f"{seconds:.2f} s", "below 3 s", seconds < BATCH_GOAL)


def database_version() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        return cursor.fetchone()[0]
