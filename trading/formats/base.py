"""What all formats share: the facts they are asked about, the writing of CSV, and what no CSV file may hold."""

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from io import StringIO

from trading.brokers.base import Instruction, Portion
from trading.states import SLICED, Algorithm, Side

FORMULA = ("=", "+", "-", "@")  # what a spreadsheet takes for the beginning of a formula
CRLF = "\r\n"
LOTS = "carries no lot instructions: the custodian's own lot method will apply, not the lots approved"


@dataclass(frozen=True, slots=True)
class Facts:
    """What of an order decides whether a file can carry it. `quantities` are those written, or the extremes of them;
    `account_numbers` may leave out those that nothing can be wrong with.
    """

    symbol: str
    side: Side
    algorithm: Algorithm
    extended_hours: bool
    limit_price: Decimal | None
    quantities: Sequence[Decimal]
    account_numbers: Sequence[str]


@dataclass(frozen=True)
class Format:
    """A version of a column map. `problems` says in words why a file of it can't carry an order; empty when it can.

    `orders` writes the file that a custodian executes, `allocations` the one that says who gets what of it, where the
    first does not say so itself.
    """

    name: str
    version: int
    orders: Callable[[Instruction], str]
    allocations: Callable[[Instruction], str] | None
    problems: Callable[[Facts], list[str]]


def facts_of(order: Instruction) -> Facts:
    parts = portions(order)
    return Facts(
        order.symbol, order.side, order.algorithm, order.extended_hours, order.limit_price,
        [order.quantity, *(part.quantity for part in parts)], [part.account_number for part in parts],
    )  # fmt: skip


def portions(order: Instruction) -> list[Portion]:
    """One for each account, by account number: its sleeves are of no matter to a custodian; nothing for nobody."""
    found: dict[str, Decimal] = {}
    for part in order.portions:
        found[part.account_number] = found.get(part.account_number, Decimal(0)) + part.quantity
    return [Portion(number, found[number]) for number in sorted(found) if found[number] > 0]


def covers(order: Instruction) -> bool:
    """Whether the accounts' parts are the whole order: else the accounts would get another quantity than is traded."""
    return sum((part.quantity for part in order.portions), Decimal(0)) == order.quantity


def plain(number: Decimal | None) -> str:
    """A number with as many decimals as it has, and no exponent; nothing for None."""
    return "" if number is None else format(number.normalize(), "f")


def decimals(number: Decimal) -> int:
    return len(plain(number).partition(".")[2])


def sheet(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """CSV with its header, lines ended as RFC 4180 has them, fields quoted where they must be."""
    text = StringIO(newline="")
    writer = csv.writer(text, lineterminator=CRLF)
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def joined(texts: Sequence[str]) -> str:
    """Files of one format as one: the header once, then the rows in the order of the files."""
    if not texts:
        return ""
    header = texts[0].partition(CRLF)[0] + CRLF
    assert all(text.startswith(header) for text in texts), "files of several formats are never one"
    return header + "".join(text.removeprefix(header) for text in texts)


def formula_problems(facts: Facts) -> list[str]:
    """Names that a spreadsheet would run as a formula. They are no more changed than left as they are: a file says what
    the custodian knows, or it is not written.
    """
    odd = [name for name in (facts.symbol, *facts.account_numbers) if name.startswith(FORMULA)]
    return [
        f"{name} begins with {name[0]}, which a spreadsheet takes for a formula: no file is written." for name in odd
    ]


def algorithm_problems(facts: Facts, whose: str) -> list[str]:
    """For formats that know market and limit orders alone."""
    if facts.algorithm not in SLICED:
        return []
    return [f"{whose} can't carry {facts.algorithm.label} orders: make it a market or a limit order."]
