"""Goal 7: the import of book M beside plain COPY of the rows that it leaves in the book."""

import statistics
from collections.abc import Iterator

from django.apps import apps
from django.db import connection

from . import floors
from .report import Figure

BOOK = {"accounts": 10_000, "positions": 25, "lots": 5, "seed": 7}
APPS = ("accounts", "tax")  # what an import writes lies in their tables
RUNS = 3
TIMES = 3.0


def figures(book=None) -> Iterator[Figure]:
    """Each run imports into a database of its own: the second import of a book is another job than the first."""
    with floors.files_of(**(book or BOOK)) as folder:
        runs = [_run(folder) for _ in range(RUNS)]
    taken, floor = (statistics.median(seconds) for seconds in zip(*(run[:2] for run in runs), strict=True))
    name = f"Import of book M, {runs[0][2]:,} lots"
    value = f"{taken / floor:.2f}× plain COPY of the same rows ({taken:.1f} s, {floor:.1f} s)"
    yield Figure(name, value, "at most 3×", taken / floor <= TIMES)


def _run(folder):
    """Seconds of the import, seconds of COPY of all rows it left, and how many lots these are."""
    with floors.empty_database():
        taken = floors.receive(folder)
        tables = [model._meta.db_table for app in APPS for model in apps.get_app_config(app).get_models()]
        floor = sum(floors.copy_in(table, f"SELECT * FROM {table}") for table in tables)
        with connection.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM tax_lot")
            return taken, floor, cursor.fetchone()[0]
