"""A worker that does rounds of the watch, each in a process of its own, and dies in them where it is told to.

Run as `python -m tests.faults.rounds`; each line on its input is the number of the point to die at (`mortal`), 0 for
none; its answer is a line with the names of the points that were passed, as JSON.
"""

import json
import os
import sys
import traceback
from datetime import date

import django
from django.db import connection, connections

django.setup()

from trading import sessions  # noqa: E402
from trading.services import watching  # noqa: E402

from .mortal import life, seen  # noqa: E402


def live(last, told):
    life.begins(last, told)
    with connection.execute_wrapper(seen):
        watching.watch()
    life.passes("after all")


def one_round(last):
    """The points that it came past."""
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        try:
            live(last, writes)
            os._exit(0)
        finally:  # it did not come that far
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
    os.close(writes)
    with os.fdopen(reads) as lines:
        points = [json.loads(line) for line in lines]
    os.waitpid(child, 0)
    return points


def main():
    sessions.hours_between("XNYS", date(2026, 1, 2), date(2026, 1, 3))  # loads the calendar, once for all rounds
    connections.close_all()
    for line in sys.stdin:
        print(json.dumps(one_round(int(line))), flush=True)


if __name__ == "__main__":
    main()
