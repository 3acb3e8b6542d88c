"""A delivery: the custodian's files of one session, each taken whole or refused whole with every bad row named."""

from dataclasses import dataclass, field
from pathlib import Path

from django.db import transaction
from django.utils import timezone

from accounts.imports import staleness
from accounts.imports.accounts import ACCOUNTS
from accounts.imports.holdings import CASH, RESTRICTIONS, TRANSACTIONS
from accounts.imports.problems import Problems
from accounts.imports.securities import PRICES, SECURITIES
from accounts.imports.table import read
from accounts.imports.targets import MODELS, PORTFOLIOS
from accounts.imports.world import World
from accounts.models import Delivery, DeliveryFile, RunRecord
from accounts.services import audit
from rebalancer.services import runs
from tax.imports import LOTS
from tax.services.reconciling import reconcile
from trading import sessions

FILES = (SECURITIES, PRICES, MODELS, PORTFOLIOS, ACCOUNTS, CASH, LOTS, TRANSACTIONS, RESTRICTIONS)
MOST_IN_RECORD = 20  # problems of a file that its run record names; the delivery's file names more


class NoDelivery(Exception):
    """There is nothing to import, or not now; the text says why."""


@dataclass
class FileOutcome:
    """What became of one file; `changed` counts rows made or changed in the book."""

    name: str
    rows: int = 0
    changed: int = 0
    problems: Problems = field(default_factory=Problems)
    accounts: set[int] = field(default_factory=set, repr=False)

    @property
    def taken(self):
        return not self.problems


@dataclass
class Outcome:
    delivery: Delivery
    files: list[FileOutcome]
    stale: int  # accounts that can't be checked until a refused file is put right
    remarks: list[str]

    @property
    def refused(self):
        return [file for file in self.files if not file.taken]


class Silent:
    """Progress that nobody watches; see `rebalancer.management.progress` for one that is shown."""

    def reading(self, name, done, total, rows):
        """`done` of `total` bytes of a file are read, `rows` rows so far."""

    def ended(self, file):
        """A file was taken or refused."""


def receive(folder, session, by=None, progress=None):
    """Read the book's files in a folder as the delivery of a session; return the Outcome. All is one transaction.

    Files that are refused leave no trace but their problems; the others stay in. Raises NoDelivery.
    """
    paths = found_in(folder)
    session = session_of(session)
    with runs.only_one("import") as alone:
        if not alone:
            raise NoDelivery("Another import is running; try again when it has ended.")
        record = runs.start(RunRecord.Kind.IMPORT, session, by=by)
        assert record is not None, "an unscheduled run is never refused"
        with runs.recorded(record):
            delivery = Delivery(session=session, received_by=by, origin=Path(folder).name)
            outcome = _receive(paths, delivery, progress or Silent())
            runs.close(record, RunRecord.State.DONE, **_figures(outcome))
    return outcome


def _figures(outcome):
    """Of the run record: rows by file, and the first problems of each refused file."""
    named = ((file.name, list(file.problems)[:MOST_IN_RECORD]) for file in outcome.refused)
    return {
        "done": len(outcome.files),
        "total": len(outcome.files),
        "counts": {file.name: file.rows for file in outcome.files},
        "errors": [f"{name}: {problem}" for name, problems in named for problem in problems],
    }


def found_in(folder):
    """{file's name: path} of the book's files that a folder holds."""
    folder = Path(folder)
    if not folder.is_dir():
        raise NoDelivery(f"{folder} is no folder.")
    paths = {file.name: folder / file.name for file in FILES if (folder / file.name).is_file()}
    if not paths:
        raise NoDelivery(f"{folder} has none of the files of a book: {', '.join(file.name for file in FILES)}.")
    return paths


def strangers_in(folder):
    """Names of the CSV files in a folder that are no files of a book: most likely misspelt."""
    known = {file.name for file in FILES}
    return sorted(path.name for path in Path(folder).glob("*.csv") if path.name not in known)


def session_of(day):
    """The session a delivery of that day is about: its own, or the one before a day without session."""
    if day > sessions.today():
        raise NoDelivery(f"{day} lies in the future.")
    try:
        return sessions.sessions_before(day, 0)
    except sessions.UnknownDay as unknown:
        raise NoDelivery(str(unknown)) from unknown


@transaction.atomic
def _receive(paths, delivery, progress):
    delivery.save()
    world = World(delivery.session, sessions.today(), timezone.now(), close_of)
    outcomes = []
    for file in FILES:
        if file.name in paths:
            outcomes.append(_receive_file(file, paths[file.name], world, progress))
            progress.ended(outcomes[-1])
    _reconcile(outcomes, world)
    stale = staleness.mark([(one.name, one.taken, one.accounts) for one in outcomes if one.accounts], world)
    _record(delivery, outcomes, stale)
    return Outcome(delivery, outcomes, stale, world.remarks)


def _reconcile(outcomes, world):
    """Bring what was delivered and the trades of our own together; what came of it is remarked upon."""
    taken = {one.name for one in outcomes if one.taken}
    if CASH.name not in taken:
        return
    found = reconcile(
        session=world.session, account_pks=world.delivered.tolist(), with_lots=LOTS.name in taken, now=world.now
    )
    for count, words in (
        (found.confirmed, "of our own trades are confirmed by this delivery."),
        (found.on_top, "of our own trades of later sessions stay on top of it, provisionally."),
        (found.breaks, "reconciliation breaks: what our trades led to is not what was delivered."),
    ):
        if count:
            world.remarks.append(f"{count:,} {words}")


def close_of(day):
    """When the session of a day closes, or the one before a day without session."""
    return sessions.session_close(sessions.sessions_before(day, 0))


def _receive_file(file, path, world, progress):
    """Read one file and take it, or refuse it and undo what it has begun."""
    table = read(file, path, world, lambda done, total, rows: progress.reading(file.name, done, total, rows))
    if file.states and table.is_read:
        staleness.refuse_older(table, world)
    outcome = FileOutcome(file.name, len(table), 0, table.problems)
    if outcome.taken:
        outcome.changed = _take(file, table, world)
    if not outcome.taken:
        table.name_values()
        world.refused.add(file.name)
    world.forget()
    if file.states or file is TRANSACTIONS:
        outcome.accounts = staleness.concerned(table, world)
    return outcome


def _take(file, table, world):
    """Write a file's rows; what turns out to be wrong only then undoes them all."""
    point = transaction.savepoint()
    changed = file.take(table, world)
    if table.problems:
        transaction.savepoint_rollback(point)
        return 0
    transaction.savepoint_commit(point)
    return changed


def _record(delivery, outcomes, stale):
    states = {True: DeliveryFile.State.TAKEN, False: DeliveryFile.State.REFUSED}
    DeliveryFile.objects.bulk_create(
        DeliveryFile(
            delivery=delivery, name=one.name, state=states[one.taken], rows=one.rows, problems=one.problems.listed()
        )
        for one in outcomes
    )
    audit.record(
        delivery.received_by,
        "book.imported",
        delivery,
        session=str(delivery.session),
        taken={one.name: one.rows for one in outcomes if one.taken},
        refused={one.name: one.problems.total for one in outcomes if not one.taken},
        left_stale=stale,
    )
