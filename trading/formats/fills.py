"""The file of fills that a custodian, or the desk in its place, sends back: generic version 1.

One row for each execution: client_order_id, execution_id, quantity, price, executed_at (with its offset from UTC),
status. A row whose execution is left empty only says what has become of an order. The status may be empty; `filled`,
`cancelled`, `expired` and `rejected` end the order. No layout of a fills file of Fidelity's is published, so its fills
come in this one as well.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO

import numpy as np

from accounts.imports.kinds import Choice, Moment, Number, Text
from accounts.imports.table import BookFile, Column, Table
from trading.states import OrderState

STATUSES = {
    "working": OrderState.WORKING,
    "partially_filled": OrderState.WORKING,
    "filled": OrderState.FILLED,
    "cancelled": OrderState.CANCELLED,
    "expired": OrderState.EXPIRED,
    "rejected": OrderState.REJECTED,
}
EXECUTION = ("execution_id", "quantity", "price", "executed_at")
COLUMNS = ("client_order_id", *EXECUTION, "status")


@dataclass(frozen=True, slots=True)
class Execution:
    execution_id: str  # the custodian's own
    quantity: Decimal
    price: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class Row:
    client_order_id: str
    execution: Execution | None
    state: OrderState | None


def check(table: Table, world) -> None:
    """An execution is there whole or not at all; a row says something; an execution stands in the file once."""
    empty = {name: table[name] == "" for name in ("execution_id", "status")}
    given = {"execution_id": ~empty["execution_id"], "executed_at": table["executed_at"] != None}  # noqa: E711
    given |= {name: table[name] > 0 for name in ("quantity", "price")}
    some = given["execution_id"] | given["quantity"] | given["price"] | given["executed_at"]
    for name in EXECUTION:
        table.refuse(some & ~given[name] & table.known(*EXECUTION), name, "is empty, and the execution has the others")
    table.refuse(~some & empty["status"] & table.known(*COLUMNS), "status", "is empty, and so is the execution")
    _refuse_days(table)
    _refuse_executions_twice(table)


def _refuse_days(table):
    known = table.known("executed_at")
    days = [number for number, at in enumerate(table["executed_at"]) if known[number] and _is_day(at)]
    table.refuse(days, "executed_at", "has no time of day: write it like 2026-01-31T15:59:59-05:00")


def _is_day(at):
    return at is not None and not isinstance(at, datetime)


def _refuse_executions_twice(table):
    """Of two orders; twice of one order it is the same row's key."""
    first, again = {}, {}
    for number in np.flatnonzero(table.good).tolist():
        name, order = table["execution_id"][number], table["client_order_id"][number]
        if name and first.setdefault(name, (number, order))[1] != order:
            again[number] = first[name][0]
    words = "the same execution as in line {}, of another order"
    table.refuse(list(again), "execution_id", lambda number: words.format(table.line[again[number]]))


def _never_taken(table, world):
    raise AssertionError("fills are taken up by the same way as those of other brokers")


FILE = BookFile(
    "fills",
    (
        Column("client_order_id", Text(40)),
        Column("execution_id", Text(60), required=False),
        Column("quantity", Number(places=6, digits=13, least=1), required=False),
        Column("price", Number(places=6, digits=11, least=1), required=False),
        Column("executed_at", Moment(), required=False),
        Column("status", Choice(tuple(STATUSES)), required=False),
    ),
    key=("client_order_id", "execution_id"),
    take=_never_taken,
    check=check,
)


def rows(text: str) -> Iterator[Row]:
    """The rows of a file that was found without problems."""
    for cells in csv.DictReader(StringIO(text, newline="")):
        yield Row(cells["client_order_id"], _execution(cells), STATUSES.get(cells["status"]))


def _execution(cells):
    if not cells["execution_id"]:
        return None
    at = datetime.fromisoformat(cells["executed_at"]).astimezone(UTC)
    return Execution(cells["execution_id"], Decimal(cells["quantity"]), Decimal(cells["price"]), at)
