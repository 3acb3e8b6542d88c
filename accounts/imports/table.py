"""From a CSV file to columns of values: one engine for all files of a book."""

import csv
import gc
import os
import re
from collections import defaultdict
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import Any

import numpy as np

from .problems import Problems

ROWS_AT_A_TIME = 50_000
BREAK = re.compile("\r\n|\r|\n")


@dataclass(frozen=True)
class Column:
    name: str
    kind: Any
    required: bool = True  # a row must have a value here


@dataclass(frozen=True)
class BookFile:
    """One file of a book: what its columns hold, what names a row, how rows are checked together and how taken.

    `check(table, world)` adds problems to the table, of rows whose own cells are good; `take(table, world)` writes the
    rows of a table without problems into the book and returns how many it changed or made. `states`: it says how
    accounts stand, so an older delivery must not replace a newer one.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    take: Callable
    check: Callable = lambda table, world: None
    states: bool = False

    @property
    def names(self):
        return [column.name for column in self.columns]


class Table:
    """The rows of one file: `line` (the line each row begins on) and one array of values for each column.

    `good` is a mask of the rows of which no cell is bad and that no check has refused.
    """

    def __init__(self, file, path):
        self.file, self.path, self.problems = file, path, Problems()
        self.line = np.zeros(0, dtype=np.int64)
        self.good = np.ones(0, dtype=bool)
        self.found = {}  # what the file's check worked out for its take
        self.is_read = False  # its header is right, and it is CSV to its end
        self._values, self._bad = {}, {}
        self._lost = False  # a row of another width than the header's is in none of these

    def __getitem__(self, column):
        return self._values[column]

    def __len__(self):
        return len(self.line)

    def fill(self, lines, portions):
        """Put the portions together in which values came: {column: values}, {column: mask of its bad cells, if any}."""
        self.line = np.concatenate([self.line, *lines])
        for column in self.file.columns:
            found = [values[column.name] for values, _ in portions]
            self._values[column.name] = np.concatenate(found) if found else np.zeros(0, dtype=column.kind.dtype)
            if any(column.name in bad for _, bad in portions):
                none = (np.zeros(len(one), dtype=bool) for one in found)
                masks = [bad.get(column.name, free) for (_, bad), free in zip(portions, none, strict=True)]
                self._bad[column.name] = np.concatenate(masks)
        self.good = self.known(*self._values)
        self.is_read = True

    def lose(self, line, row, width):
        """Say of a row that it is not as wide as the header."""
        self._lost = True
        self.problems.add(line, "", ",".join(row), f"has {len(row)} fields, the header has {width}")

    def known(self, *columns):
        """A mask of the rows whose cells in these columns are good."""
        bad = np.zeros(len(self), dtype=bool)
        for name in columns:
            if name in self._bad:
                bad |= self._bad[name]
        return ~bad

    def rows_of(self, mask, *columns):
        """The numbers of these rows, and their values in these columns; a mask of all copies nothing."""
        if mask.all():
            return np.arange(len(self)), [self[name] for name in columns]
        return np.flatnonzero(mask), [self[name][mask] for name in columns]

    def groups(self, column):
        """{value of the column: numbers of its good rows, whether these are all it has}."""
        found = defaultdict(list)
        numbers = np.flatnonzero(self.good)
        for number, value in zip(numbers.tolist(), self[column][numbers].tolist(), strict=True):
            found[value].append(number)
        if self._lost or column in self._bad:
            return {value: (rows, False) for value, rows in found.items()}
        broken = set(self[column][~self.good].tolist())
        return {value: (rows, value not in broken) for value, rows in found.items()}

    def rows(self, *columns):
        """Python values row by row, in these columns."""
        return zip(*(self[name].tolist() for name in columns), strict=True)

    def refuse(self, where, column, reason):
        """Say that rows (a mask, or their numbers) are bad; `reason` is words, or a function of the row's number."""
        where = np.asarray(where)
        numbers = np.flatnonzero(where) if where.dtype == bool else where.astype(np.int64)
        self.good[numbers] = False
        for number in numbers[: self.problems.room(len(numbers))].tolist():
            self.problems.add(self.line[number], column, None, reason(number) if callable(reason) else reason)

    def name_values(self):
        """Look the values of the rows refused up in the file: read again, once, as only bad rows need it."""
        wanted = self.problems.unread()
        if not wanted:
            return
        lines_wanted = {line for line, _ in wanted}
        found = {}
        with _opened(self.path) as handle:
            reader = csv.reader(handle)
            header = next(reader)
            for lines, rows in _portions(reader, len(header)):
                for line, row in zip(lines, rows, strict=True):
                    if line in lines_wanted:
                        found |= {(line, name): text for name, text in zip(header, row, strict=True)}
        self.problems.fill(found)


def read(file, path, world, progress):
    """Read and check a file; the table's `problems` say what is wrong, and a table with problems must not be taken.

    `progress(done_bytes, all_bytes, rows)` is called as it goes.
    """
    table = Table(file, path)
    with _opened(path) as handle, collecting_later():
        reader = csv.reader(handle, strict=True)
        try:
            _read_rows(table, reader, world, lambda rows: progress(handle.buffer.tell(), os.path.getsize(path), rows))
        except csv.Error as error:
            table.problems.add(reader.line_num, "", "", f"is not CSV: {error}")
    if table.is_read:  # so that one reading names all that can be known
        _refuse_twice(table)
        file.check(table, world)
    return table


def _read_rows(table, reader, world, progress):
    header = next(reader, [])
    if not _header_is_right(header, table.file, table.problems):
        return
    all_lines, all_values, count = [], [], 0
    for lines, rows in _portions(reader, len(header), table.lose):
        all_lines.append(np.array(lines, dtype=np.int64))
        all_values.append(_values(table, header, lines, rows, world))
        count += len(rows)
        progress(count)
    table.fill(all_lines, all_values)


def _opened(path):
    """Bytes that are not UTF-8 come through as surrogates, so that the check of a value can say where they are."""
    return open(path, encoding="utf-8-sig", errors="surrogateescape", newline="")


def _header_is_right(header, file, problems):
    for place, name in enumerate(header):
        if name not in file.names:
            reason = "is not UTF-8" if not name.isprintable() else f"is no column of {file.name}"
            problems.add(1, "", name, reason)
        elif name in header[:place]:
            problems.add(1, name, name, "stands in the header twice")
    for name in file.names:
        if name not in header:
            problems.add(1, name, "", "the column is missing")
    return not problems


def _portions(reader, width, lose=lambda *row: None):
    """Lines and rows, so many at a time; `lose` is told of rows with too few or too many fields, not of empty ones."""
    before = reader.line_num
    while rows := list(islice(reader, ROWS_AT_A_TIME)):
        lines = _lines(rows, before, reader.line_num)
        before = reader.line_num
        if set(map(len, rows)) != {width}:
            for line, row in zip(lines, rows, strict=True):
                if row and len(row) != width:
                    lose(line, row, width)
            lines = [line for line, row in zip(lines, rows, strict=True) if len(row) == width]
            rows = [row for row in rows if len(row) == width]
        if rows:
            yield lines, rows


def _lines(rows, before, after):
    """The line that each row begins on, of rows that took the lines after `before` up to `after`."""
    if after - before == len(rows):
        return list(range(before + 1, after + 1))
    taken = [1 + sum(len(BREAK.findall(field)) for field in row) for row in rows]
    return list(accumulate(taken[:-1], initial=before + 1))


@contextmanager
def collecting_later():
    """Python's search for cycles pauses: it would look through millions of texts over and over, and they have none."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _values(table, header, lines, rows, world):
    """The values of some rows, and masks where something is bad or missing, by column; that becomes a problem."""
    texts = dict(zip(header, zip(*rows, strict=True), strict=True))
    values, masks = {}, {}
    for column in table.file.columns:
        found = texts[column.name]
        values[column.name], bad = column.kind.read(found, world)
        if column.required and "" in found:
            bad = bad | np.array([text == "" for text in found], dtype=bool)
        if bad.any():
            _name_bad(table.problems, lines, column, found, bad)
            masks[column.name] = bad
    return values, masks


def _name_bad(problems, lines, column, texts, bad):
    numbers = np.flatnonzero(bad)
    for number in numbers[: problems.room(len(numbers))].tolist():
        text = texts[number]
        problems.add(lines[number], column.name, text, column.kind.why(text) if text else "is empty")


def _refuse_twice(table):
    """A row may be there once: the later of two with the same key is refused, and names the first one's line."""
    names = table.file.key
    rows, columns = table.rows_of(table.known(*names), *names)
    first = {}
    where = {}
    for number in rows[suspects(columns)].tolist():
        key = tuple(str(table[name][number]) for name in names)
        if key in first:
            where[number] = first[key]
        else:
            first[key] = number
    table.refuse(
        np.array(sorted(where), dtype=np.int64),
        names[-1],
        lambda number: f"the same {', '.join(names)} as in line {table.line[where[number]]}",
    )


def suspects(columns):
    """Numbers of the rows whose keys may be equal to another's, found by a hash over all rows at once."""
    mixed = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        mixed = (mixed ^ _hashes(column)) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    order = np.argsort(mixed, kind="stable")
    same = mixed[order][1:] == mixed[order][:-1]
    twins = np.zeros(len(order), dtype=bool)
    twins[:-1] |= same
    twins[1:] |= same
    return np.sort(order[twins])


def _hashes(column):
    if column.dtype == object:
        return np.fromiter(map(hash, column), np.int64, len(column)).view(np.uint64)
    return column.astype(np.int64).view(np.uint64)
