"""What the database alone needs for rows that the product reads or writes: COPY, without any computation."""

import contextlib
import io
import tempfile
from collections.abc import Iterator
from time import perf_counter

from django.core.management import call_command
from django.db import connection
from django.test.utils import setup_databases, teardown_databases


@contextlib.contextmanager
def empty_database() -> Iterator[None]:
    """A migrated database of its own, gone afterwards; whatever the home holds is left alone."""
    old = setup_databases(verbosity=0, interactive=False)
    try:
        yield
    finally:
        teardown_databases(old, verbosity=0)


@contextlib.contextmanager
def files_of(**book) -> Iterator[str]:
    """A folder with the files of a book (`generate_book`'s arguments)."""
    with tempfile.TemporaryDirectory() as folder:
        call_command("generate_book", folder, **book, stdout=io.StringIO(), stderr=io.StringIO())
        yield folder


def receive(folder) -> float:
    """Seconds that the import of these files takes."""
    started = perf_counter()
    call_command("import_book", folder, stdout=io.StringIO(), stderr=io.StringIO())
    return perf_counter() - started


def settle():
    """What the server does by itself soon after so much was written."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def copy_out(query, parameters=()) -> tuple[bytes, float]:
    """The rows of a query as binary COPY, and the seconds that took."""
    rows = io.BytesIO()
    with connection.cursor() as cursor:
        sql = cursor.mogrify(query, parameters).decode()
        started = perf_counter()
        cursor.copy_expert(f"COPY ({sql}) TO STDOUT (FORMAT binary)", rows)
        return rows.getvalue(), perf_counter() - started


def copy_in(table, query, parameters=()) -> float:
    """Seconds to COPY the rows of a query, all columns of a table, into one that has the same columns and indexes."""
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE floor (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)")
        try:
            rows, _ = copy_out(query, parameters)
            started = perf_counter()
            cursor.copy_expert("COPY floor FROM STDIN (FORMAT binary)", io.BytesIO(rows))
            return perf_counter() - started
        finally:
            cursor.execute("DROP TABLE floor")
