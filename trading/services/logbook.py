"""The log of an order: each step of its life in words, none of them longer than their place."""

from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from accounts.listing import figures
from accounts.models import Firm
from trading.models import OrderEvent
from trading.states import OrderState
from trading.words import broker_words

ROWS_AT_ONCE = 2000
WORDS, TROUBLE, REASON = 300, 300, 200  # characters there is place for


def note(order_pk: int, state: OrderState, words: str = "", *, by=None) -> None:
    """Write down that the order has come into this state, or what has happened in it."""
    OrderEvent.objects.create(order_id=order_pk, by=by, state=state, words=fit(words))


def note_many(steps: Iterable[tuple[int, OrderState, str]]) -> None:
    """The same for many: (order id, state, words)."""
    rows = [OrderEvent(order_id=order, state=state, words=fit(words)) for order, state, words in steps]
    OrderEvent.objects.bulk_create(rows, batch_size=ROWS_AT_ONCE)


def fit(words: str, most: int = WORDS) -> str:
    """The words as the database takes them: no longer than that, and without NUL, which a broker may send."""
    words = words.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return words if len(words) <= most else f"{words[: most - 1]}…"


def clock(at: datetime) -> str:
    """The time in the firm's zone, to the second: it is soon."""
    local = at.astimezone(ZoneInfo(Firm.current().time_zone))
    zone = local.strftime("%Z")
    return f"{local:%H:%M:%S} {figures.ZONE_NAMES.get(zone, zone)}"


def no_answer(broker: str, why: Exception) -> str:
    """That a broker does not answer, and why: the same words as long as it is for the same reason."""
    reason = f" ({why})" if str(why) else ""
    return fit(f"{broker_words(broker)} does not answer{reason}", TROUBLE - 60)
