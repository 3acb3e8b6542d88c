"""A table of figures, and docs/benchmarks.md from it."""

import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

What `./run bench` measured last, part by part, through the product's own code and schema. Medians, on the machine named
below each table; a busy or slower machine gives other seconds. A goal that is missed stands here as missed: benchmarks
are no tests.

"""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured thing: its value in words, and whether it reaches its goal (None: it has none)."""

    name: str
    value: str
    goal: str = ""
    met: bool | None = None

    def row(self):
        verdict = "" if self.met is None else "met" if self.met else "missed"
        return f"| {self.name} | {self.value} | {self.goal} | {verdict} |"


def median_seconds(work: Callable[[], object], runs: int, after: Callable[[], object] = lambda: None) -> float:
    """Median wall-clock seconds of some runs, after one that doesn't count; `after` clears up and is not counted."""
    _seconds(work, after)
    return statistics.median(_seconds(work, after) for _ in range(runs))


def _seconds(work, after):
    started = time.perf_counter()
    work()
    taken = time.perf_counter() - started
    after()
    return taken


def table(figures: list[Figure]) -> str:
    lines = ["| figure | measured | goal | |", "|---|---|---|---|", *(figure.row() for figure in figures)]
    return "\n".join(lines) + "\n"


def machine(database: str) -> str:
    """The machine in a line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    python = platform.python_version()
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, Python {python}, PostgreSQL {database}"


def write(measured: dict[str, list[Figure]], where: str, day: str) -> None:
    """Put the tables of these parts in place of those they had; what was not measured stays as it was."""
    tables = {name: f"{table(figures)}\nMeasured {day}: {where}.\n" for name, figures in measured.items()}
    parts = _written() | tables
    text = "\n".join(f"## {name}\n\n{parts[name]}" for name in sorted(parts))
    DOCUMENT.write_text(HEAD + text, encoding="utf-8")


def _written():
    """{part: its text} of the document as it is."""
    _, *sections = DOCUMENT.read_text(encoding="utf-8").split("\n## ") if DOCUMENT.exists() else [""]
    return {name: text.strip("\n") + "\n" for name, _, text in (section.partition("\n") for section in sections)}
