"""Run records: a step of the nightly chain runs once for its day, shows its progress, and a dead one is taken over."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta

from django.db import IntegrityError, connection, transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import RunRecord

DEAD_AFTER = timedelta(minutes=5)  # a run that has not said for so long that it is alive
DIED = "The process that ran it ended without a word."


def start(kind: RunRecord.Kind, day: date, *, scheduled: bool = False, by=None) -> RunRecord | None:
    """A new run of that business day; None when a scheduled one is done or under way already."""
    close_dead()
    try:
        with transaction.atomic():
            return RunRecord.objects.create(kind=kind, business_day=day, scheduled=scheduled, started_by=by)
    except IntegrityError:
        return None


@contextmanager
def recorded(record: RunRecord) -> Iterator[Callable[[int, int], None]]:
    """Close the record as done, or as failed with the error, which goes on; yields progress(done, total)."""

    def progress(done: int, total: int) -> None:
        _running(record).update(done=done, total=total, alive_at=timezone.now())

    try:
        yield progress
    except Exception as error:
        close(record, RunRecord.State.FAILED, errors=[f"{type(error).__name__}: {error}"])
        raise
    close(record, RunRecord.State.DONE)


def close(record: RunRecord, state: RunRecord.State, **figures) -> None:
    """End a run that is under way; `figures` are counts or errors."""
    _running(record).update(state=state, ended_at=timezone.now(), **figures)


def is_done(kind: RunRecord.Kind, day: date) -> bool:
    """Whether the scheduled run of that day is done, or under way and alive."""
    runs = RunRecord.objects.filter(kind=kind, business_day=day, scheduled=True)
    return runs.exclude(state=RunRecord.State.FAILED).exclude(_dead()).exists()


def close_dead(now: datetime | None = None) -> int:
    """Mark runs whose process is gone as failed; return how many."""
    dead = RunRecord.objects.filter(_dead(now))
    return dead.update(state=RunRecord.State.FAILED, ended_at=now or timezone.now(), errors=[DIED])


def _dead(now=None):
    return Q(state=RunRecord.State.RUNNING, alive_at__lt=(now or timezone.now()) - DEAD_AFTER)


def _running(record):
    return RunRecord.objects.filter(pk=record.pk, state=RunRecord.State.RUNNING)


@contextmanager
def only_one(name: str) -> Iterator[bool]:
    """Whether nobody else is inside under this name; the database forgets a holder whose process dies."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s))", [name])
        alone = cursor.fetchone()[0]
    try:
        yield alone
    finally:
        if alone:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(hashtext(%s))", [name])
