"""Many rows out of PostgreSQL at once: binary COPY straight into a numpy record array."""

import io
from contextlib import contextmanager

import numpy as np
from django.db import connection, transaction

HEADER = 19  # bytes: signature, flags, length of the header's extension
TRAILER = 2
WIDTH = {"int8": ">i8", "int4": ">i4", "int2": ">i2", "float8": ">f8", "bool": "?"}


def read_array(sql, parameters, columns):
    """Run a SELECT and return its rows as a record array.

    `columns`: {name: int8 | int4 | int2 | float8 | bool}, in the order of the SELECT, which must deliver just these
    types and no NULL: then every row has the same length, and the whole answer is one array.
    """
    fields = []
    for name, kind in columns.items():
        fields += [(f"{name}__length", ">i4"), (name, WIDTH[kind])]
    row = np.dtype([("fields__count", ">i2"), *fields])
    answer = io.BytesIO()
    with connection.cursor() as cursor:
        query = cursor.mogrify(sql, parameters).decode()
        cursor.copy_expert(f"COPY ({query}) TO STDOUT (FORMAT binary)", answer)
    body = answer.getbuffer()
    rows = np.frombuffer(body[HEADER : len(body) - TRAILER], dtype=row)
    assert all((rows[f"{name}__length"] == np.dtype(WIDTH[kind]).itemsize).all() for name, kind in columns.items())
    plain = [(name, np.dtype(WIDTH[kind]).newbyteorder("=")) for name, kind in columns.items()]
    native = np.empty(len(rows), dtype=plain)
    for name in columns:
        native[name] = rows[name]
    return native


@contextmanager
def one_moment():
    """Reads inside see the database as it was at one moment, whatever is committed meanwhile.

    Inside a transaction that is already open, that transaction decides.
    """
    if connection.in_atomic_block:
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield
