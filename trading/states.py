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
    _S.PENDING_CANCEL: {_S.CANCELLED, _S.PARTIALLY_FILLED, _S.FILLED},
}
ENDED = {_S.FILLED, _S.CANCELLED, _S.REJECTED, _S.EXPIRED}


class Side(models.TextChoices):
    BUY = "buy", "Buy"
    SELL = "sell", "Sell"
