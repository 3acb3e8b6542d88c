"""Goal 4: the nightly analysis of book L beside COPY of what it reads and writes, beside one SQL statement, and by two
workers."""

import multiprocessing
import os
import resource
import statistics
from collections.abc import Iterator
from time import perf_counter

from django.db import connection, transaction

from accounts.models import Account
from rebalancer.loading import LOTS, POSITIONS
from rebalancer.models import Check
from rebalancer.services import checks

from . import floors
from .report import Figure

BOOK = {"accounts": 100_000, "positions": 10, "lots": 2, "seed": 7}
RUNS = 3
TIMES_FLOOR, TIMES_STATEMENT, TIMES_ALONE, MEGABYTES = 2.0, 2.0, 1.6, 1024
# Weights, drift and the component furthest from its target, of an account held to one portfolio of securities. No
# models, bands, restrictions, sweeps or reasons: the least that still is a drift analysis.
STATEMENT = """
CREATE TEMPORARY TABLE judged ON COMMIT DROP AS
WITH price AS (
    SELECT DISTINCT ON (security_id) security_id, price FROM accounts_price ORDER BY security_id, as_of DESC
),
held AS (
    SELECT account_id, security_id, sum(quantity) * min(price) AS value
    FROM accounts_position JOIN price USING (security_id) GROUP BY account_id, security_id
),
whole AS (
    SELECT a.id AS account_id, portfolio_id, cash - set_aside_cash AS cash,
           coalesce(sum(value), 0) + cash - set_aside_cash AS managed
    FROM accounts_account a LEFT JOIN held ON held.account_id = a.id WHERE is_open GROUP BY a.id
)
SELECT whole.account_id, managed, cash, cash / nullif(managed, 0) AS cash_weight,
       max(abs(value / nullif(managed, 0) * 100 - coalesce(weight, 0))) AS drift
FROM whole LEFT JOIN held USING (account_id)
LEFT JOIN accounts_component target ON target.portfolio_id = whole.portfolio_id
      AND target.security_id = held.security_id
GROUP BY whole.account_id, managed, cash
"""


def figures(book=None) -> Iterator[Figure]:
    with floors.empty_database():
        with floors.files_of(**(book or BOOK)) as folder:
            floors.receive(folder)
        floors.settle()
        pks = list(Account.objects.filter(is_open=True).order_by("pk").values_list("pk", flat=True))
        yield from _measured(pks)


def _measured(pks) -> Iterator[Figure]:
    _workers(pks, 1)  # the first check of an account is another job than the next one
    floors.settle()
    rounds = [(_workers(pks, 1), _workers(pks, 2), _floor(pks), _statement()) for _ in range(RUNS)]
    alone, both, floor, statement = (
        statistics.median(one[0] if isinstance(one, tuple) else one for one in column)
        for column in zip(*rounds, strict=True)
    )
    name = f"Nightly analysis of book L ({len(pks):,} accounts)"
    value = f"{alone / floor:.2f}× COPY of the same rows ({alone:.1f} s, {floor:.1f} s)"
    yield Figure(name, value, "at most 2×", alone / floor <= TIMES_FLOOR)
    value = f"{statement / alone:.2f}× faster ({statement:.1f} s)"
    yield Figure("… beside one SQL statement", value, "at least 2× faster", statement / alone >= TIMES_STATEMENT)
    most = max(one[0][1] for one in rounds)
    yield Figure("… peak memory of its worker", f"{most:.0f} MB", "at most 1,024 MB", most <= MEGABYTES)
    met = alone / both >= TIMES_ALONE if (os.cpu_count() or 1) > 1 else None
    yield Figure("… by two workers", f"{alone / both:.2f}× faster ({both:.1f} s)", "at least 1.6× faster", met)


def _workers(pks, many):
    """Seconds until so many processes have analysed a part each, and the most megabytes that one of them has needed."""
    connection.close()
    started = perf_counter()
    with multiprocessing.get_context("fork").Pool(many) as pool:
        most = max(pool.map(_work, [pks[part::many] for part in range(many)], chunksize=1))
        return perf_counter() - started, most


def _work(pks):
    checks.analyse(account_pks=pks)
    connection.close()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _floor(pks):
    seconds = 0.0
    for start in range(0, len(pks), checks.ACCOUNTS_AT_ONCE):
        chunk = pks[start : start + checks.ACCOUNTS_AT_ONCE]
        seconds += sum(floors.copy_out(query, [chunk])[1] for query in (POSITIONS, LOTS))
    table = Check._meta.db_table
    return seconds + floors.copy_in(table, f"SELECT * FROM {table}")


@transaction.atomic
def _statement():
    with connection.cursor() as cursor:
        started = perf_counter()
        cursor.execute(STATEMENT)
        return perf_counter() - started
