"""The engine in memory beside its peers and a bare numpy pass: goals 1 and 2 of PERFORMANCE, and a book of 10,000.

The peers live in an environment of their own, made by the first run under the home: nothing of theirs is installed
where the product lives.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np

from ops.home import Home
from rebalancer import engine

from .arrays import MICRO, book_of
from .bare import bare_pass
from .report import Figure, median_seconds

PEERS = {"taxrebalance 0.2.0": 1_000, "realloc 0.1.5.2": 3}  # how many times as fast the engine is to be
PROGRAM = Path(__file__).with_name("peer_programs.py")
SHAPE = (2_000, 25, 4)  # accounts × positions × lots
LARGE = (10_000, 25, 5)
TRADE_DAY = 20_777
LOGICS = {"best_fit": "Best Fit", "min_transaction": "Min Transaction"}
ROUNDS, RUNS = 3, 5
TIMES_BARE = 4
SECOND, MEGABYTES = 1.0, 500
MEASURE = "from tests.benchmarks.peers import large; large({logic!r})"


def figures() -> Iterator[Figure]:
    speed = _speeds(book_of(*SHAPE))
    yield Figure("Bare numpy pass, 2,000 accounts × 25 positions × 4 lots", f"{speed['bare']:,.0f} accounts/s")
    for name in PEERS:
        yield Figure(f"{name}, the same accounts", f"{speed[name]:,.0f} accounts/s")
    for logic, caption in LOGICS.items():
        yield from _compared(caption, speed[logic], speed)
    yield from _large()


def _speeds(book) -> dict[str, float]:
    """Accounts a second of everybody, medians of rounds in which each has its turn.

    By the processor's time: all compute in one thread and wait for nothing, so a busy machine is nobody's disadvantage.
    """
    jobs = {"bare": lambda: bare_pass(book, TRADE_DAY)}
    jobs |= {logic: lambda name=logic: whole_job(book, name) for logic in LOGICS}
    rounds = [
        {name: SHAPE[0] / _processor_seconds(job) for name, job in jobs.items()} | _peers(book) for _ in range(ROUNDS)
    ]
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


def whole_job(book, logic):
    """Trades, flat trades, lots, reasons; then short and long gains of each account, in dollars."""
    proposal = engine.propose(book, logic, TRADE_DAY)
    lots = np.flatnonzero(proposal.sold)
    row = np.repeat(np.arange(len(book.units)), np.diff(book.lot_start))[lots]
    per_unit = book.price[row] / MICRO - book.lot_cost_cents[lots] / 100 / book.lot_units[lots]
    gain = proposal.sold[lots] * per_unit
    long_term = proposal.long_term[lots]
    owner = proposal.scale.owner[row]
    accounts = len(book.account)
    short = np.bincount(owner, np.where(long_term, 0.0, gain), accounts)
    return proposal, short, np.bincount(owner, np.where(long_term, gain, 0.0), accounts)


def _processor_seconds(job):
    """Median of some runs, after one that doesn't count."""
    job()
    return statistics.median(_once(job) for _ in range(RUNS))


def _once(job):
    started = time.process_time()
    job()
    return time.process_time() - started


def _compared(caption, ours, speed) -> Iterator[Figure]:
    yield Figure(f"Engine, {caption}, every rule on, the same accounts", f"{ours:,.0f} accounts/s")
    for name, goal in PEERS.items():
        times = ours / speed[name]
        yield Figure(f"… against {name}", f"{times:,.1f} ×", f"at least {goal:,} ×", times >= goal)
    times = speed["bare"] / ours
    yield Figure("… time of the bare pass", f"{times:.2f} ×", f"at most {TIMES_BARE} ×", times <= TIMES_BARE)


def _large() -> Iterator[Figure]:
    """A book of 10,000 accounts in a process of its own, so that its peak of memory is its own."""
    for logic, caption in LOGICS.items():
        seconds, megabytes = json.loads(_python(sys.executable, "-c", MEASURE.format(logic=logic)))
        name = f"Engine, {caption}, 10,000 accounts × 25 × 5"
        yield Figure(name, f"{seconds:.2f} s", "below 1 s", seconds < SECOND)
        yield Figure("… peak memory of the process", f"{megabytes:.0f} MB", "below 500 MB", megabytes < MEGABYTES)


def large(logic):
    """Print the seconds that the book of 10,000 takes and the megabytes that its process has needed."""
    book = book_of(*LARGE)
    seconds = median_seconds(lambda: whole_job(book, logic), 3)
    print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))


def _peers(book):
    """Accounts a second of each peer over these accounts."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "book.npz"
        np.savez(path, trade_day=TRADE_DAY, **{field.name: getattr(book, field.name) for field in fields(book)})
        found = json.loads(_python(_environment(), PROGRAM, path))
    return {name: found[name.split()[0]] for name in PEERS}


def _environment():
    """The peers' own Python, made where it is missing."""
    folder = Home.from_environment().path / "peers"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        _python(sys.executable, "-m", "venv", "--without-pip", "--clear", folder)
        wanted = [name.replace(" ", "==") for name in PEERS]
        options = ["--quiet", "--no-input", "--disable-pip-version-check", "--only-binary", ":all:"]
        _python(sys.executable, "-m", "pip", "--python", python, "install", *options, *wanted)
        (folder / "ready").touch()
    return python


def _python(*command):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""
