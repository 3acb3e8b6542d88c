"""What every broker is asked, and what it answers. No broker is ever called inside a database transaction.

A broker may be slow, away, or repeat itself. Whoever asks stores first what it asks for: the client order id stands in
the database before `submit`, so that after a crash `lookup` says whether the order arrived.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from trading.states import Algorithm, OrderState, Side


class BrokerDown(Exception):
    """The broker did not answer, or not so that it can be understood; nothing is known of what it has done."""


class RefusedByBroker(Exception):
    """The broker understood and said no; the text is its reason, in words for a person."""


@dataclass(frozen=True, slots=True)
class Portion:
    """An account's part of an order, as the statement says that was frozen when it was confirmed."""

    account_number: str
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Instruction:
    """An order as a broker needs it. Times are moments (UTC); shares are in whole quantity steps."""

    client_order_id: str
    ticket_id: int
    custodian_id: int | None
    symbol: str
    quantity_step: Decimal
    side: Side
    quantity: Decimal
    price: Decimal  # the last one known when it was sent: an estimate
    algorithm: Algorithm
    limit_price: Decimal | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    participation: Decimal | None = None  # percent
    extended_hours: bool = False
    portions: tuple[Portion, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What the broker knows of an order: WORKING until it has ended, PENDING_CANCEL while it is taken back.

    How much is filled is told by the fills alone.
    """

    client_order_id: str
    state: OrderState  # working, pending_cancel, filled, cancelled, rejected or expired
    reference: str = ""  # the broker's own number
    words: str = ""


@dataclass(frozen=True, slots=True)
class FillReport:
    execution_id: str  # the broker's own, unique for it
    client_order_id: str
    quantity: Decimal
    price: Decimal
    at: datetime


class Broker(Protocol):
    """Each call may raise BrokerDown."""

    can_cancel: bool  # whether orders can be taken back by asking it
    takes_lots: bool  # whether it is told which lots to sell; else the custodian's own method applies
    is_live: bool  # whether it tells what happens when it happens; else what it has not told yet is waited for

    def submit(self, order: Instruction) -> Report:
        """Send an order. The same client order id again is the same order, not a second one. RefusedByBroker."""

    def cancel(self, client_order_id: str) -> None:
        """Ask to take an order back; what became of it is told by `lookup`. RefusedByBroker where it is too late."""

    def lookup(self, client_order_ids: Sequence[str]) -> dict[str, Report]:
        """What it knows of these orders; an order that never arrived is not in it."""

    def fills(self, client_order_ids: Sequence[str]) -> list[FillReport]:
        """All fills of these orders up to now, in any order and however often it has told them before."""
