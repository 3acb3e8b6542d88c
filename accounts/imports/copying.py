"""COPY into PostgreSQL: rows of Python values, and the temporary tables that bulk changes are made from."""

import io
from itertools import islice

from django.db import connection

ROWS_AT_A_TIME = 50_000


def copy_rows(table, columns, rows):
    """COPY rows (tuples of text, numbers, dates or None) into columns of a table; return how many."""
    rows = iter(rows)
    count = 0
    sql = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
    with connection.cursor() as cursor, connection.wrap_database_errors:
        while portion := list(islice(rows, ROWS_AT_A_TIME)):
            cursor.copy_expert(sql, io.StringIO("".join(map(_line, portion))))
            count += len(portion)
    return count


def _line(row):
    return "\t".join("\\N" if value is None else _escaped(value) for value in row) + "\n"


def _escaped(value):
    text = str(value)
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    return text


def arrive(table, columns, rows):
    """Put rows into a temporary table of that name, with columns {name: type}, for as long as the transaction lasts."""
    wanted = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    execute(f"DROP TABLE IF EXISTS {table}; CREATE TEMPORARY TABLE {table} ({wanted}) ON COMMIT DROP")
    count = copy_rows(table, columns, rows)
    execute(f"ANALYZE {table}")
    return count


def lock_accounts(named_in):
    """Lock the known accounts that a query gives the keys of, in the order in which everybody locks accounts."""
    execute(f"SELECT 1 FROM accounts_account WHERE id IN ({named_in}) ORDER BY id FOR NO KEY UPDATE")


def execute(sql, parameters=None):
    """Run SQL; return how many rows it changed."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.rowcount


def fetch(sql, parameters=None):
    """Run SQL; return its rows."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def array(values):
    """Whole numbers, or None, as PostgreSQL reads an array: thousands of them are a parameter like any other."""
    return "{" + ",".join("NULL" if value is None else str(value) for value in values) + "}"


def exact(units, places):
    """An int64 in units of 10^-places as PostgreSQL reads it; None where it is empty."""
    return None if units is None else f"{units}e-{places}"
