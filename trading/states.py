"""The states of orders and of what is reported of them, the moves between them, and how an order may be executed."""

from django.db import models


class OrderState(models.TextChoices):
    READY = "ready", "Ready"
    SENDING = "sending", "Sending"
    WORKING = "working", "Working"
    PARTIALLY_FILLED = "partially_filled", "Partially filled"
    PENDING_CANCEL = "pending_cancel", "Pending cancel"
    FILLED = "filled", "Filled"
    CANCELLED = "cancelled", "Cancelled"
    REJECTED = "rejected", "Rejected"
    EXPIRED = "expired", "Expired"


_S = OrderState
ORDER_MOVES = {
    _S.READY: {_S.SENDING, _S.CANCELLED},
    _S.SENDING: {_S.WORKING, _S.REJECTED},
    _S.WORKING: {_S.PARTIALLY_FILLED, _S.FILLED, _S.PENDING_CANCEL, _S.EXPIRED},
    _S.PARTIALLY_FILLED: {_S.FILLED, _S.PENDING_CANCEL, _S.EXPIRED},
    # A broker may fill the rest, or say that it cannot take the order back, before it says that it has.
    _S.PENDING_CANCEL: {_S.CANCELLED, _S.WORKING, _S.PARTIALLY_FILLED, _S.FILLED, _S.EXPIRED},
}
ENDED = {_S.FILLED, _S.CANCELLED, _S.REJECTED, _S.EXPIRED}
AT_BROKER = {_S.WORKING, _S.PARTIALLY_FILLED, _S.PENDING_CANCEL}


class Side(models.TextChoices):
    BUY = "buy", "Buy"
    SELL = "sell", "Sell"


class Algorithm(models.TextChoices):
    """How a broker is to execute an order; funds have only the one price of their day."""

    MARKET = "market", "Market"
    LIMIT = "limit", "Limit"
    TWAP = "twap", "TWAP"
    VWAP = "vwap", "VWAP"
    NAV = "nav", "NAV"


SLICED = {Algorithm.TWAP, Algorithm.VWAP}  # worked off over a window


class FillState(models.TextChoices):
    """Whether a fill that a broker reported counts, or waits for a person's word because it cannot be right."""

    COUNTED = "counted", "Counted"
    QUESTIONED = "questioned", "Questioned"
