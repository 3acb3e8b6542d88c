"""A format of nobody in particular, for custodians whose own one is not known: blocks in one file, who gets what of
them in another, as Schwab's and Fidelity's block trading have it (an order file and an allocation file).

Values are words in small letters; numbers are plain decimals; moments are UTC. A TWAP or VWAP says so in `algorithm`,
and is a limit order where it has a limit price. Every order is for the day.
"""

from datetime import UTC, datetime

from trading.brokers.base import Instruction
from trading.states import SLICED, Algorithm

from .base import Facts, Format, formula_problems, plain, portions, sheet

ORDERS = (
    "client_order_id", "symbol", "side", "quantity", "order_type", "limit_price", "algorithm", "start", "end",
    "participation", "extended_hours", "time_in_force",
)  # fmt: skip
ALLOCATIONS = ("client_order_id", "account_number", "symbol", "side", "quantity")
DAY = "day"


def orders_1(order: Instruction) -> str:
    """One row: the block."""
    row = (
        order.client_order_id, order.symbol, order.side.value, plain(order.quantity), _order_type(order),
        plain(order.limit_price), order.algorithm.value if order.algorithm in SLICED else "",
        _moment(order.starts_at), _moment(order.ends_at), plain(order.participation),
        "true" if order.extended_hours else "false", DAY,
    )  # fmt: skip
    return sheet(ORDERS, [row])


def allocations_1(order: Instruction) -> str:
    """One row for each account's part."""
    return sheet(
        ALLOCATIONS,
        (
            (order.client_order_id, part.account_number, order.symbol, order.side.value, plain(part.quantity))
            for part in portions(order)
        ),
    )


def problems_1(facts: Facts) -> list[str]:
    return formula_problems(facts)


def _order_type(order):
    if order.algorithm not in SLICED:
        return order.algorithm.value
    return Algorithm.LIMIT.value if order.limit_price is not None else Algorithm.MARKET.value


def _moment(at: datetime | None) -> str:
    return "" if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


VERSION_1 = Format("generic", 1, orders_1, allocations_1, problems_1)
