"""Money and shares that came into an account from outside, or went out: what New Deposit and New Withdrawal rest on."""

from datetime import date, datetime, timedelta
from decimal import Decimal

from accounts.models import Transaction
from accounts.money import amount

EXTERNAL = (Transaction.Kind.DEPOSIT, Transaction.Kind.WITHDRAWAL)
RECENT = timedelta(days=30)  # how far back flows of an account count that was never rebalanced


def dollars(flow: Transaction, price: Decimal | None) -> Decimal:
    """What a flow adds to the account, to the cent; in kind its shares at `price`, or 0 where that is not known."""
    if flow.amount or not flow.quantity or price is None:
        return flow.amount
    value = amount(abs(flow.quantity) * price)
    return value if flow.kind == Transaction.Kind.DEPOSIT else -value


def is_new(
    on: date, recorded_at: datetime, *, day: date, last_rebalanced: date | None, approved_at: datetime | None
) -> bool:
    """Whether the last rebalance has not seen a flow of that date: on or after it, and not in the book at its approval.

    `day` is today's; without a rebalance the last 30 days count.
    """
    since = last_rebalanced or day - RECENT
    return since <= on <= day and (approved_at is None or recorded_at > approved_at)
