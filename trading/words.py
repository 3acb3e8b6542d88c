"""How orders are said in words, the same on every page and in every file."""

from decimal import Decimal

from accounts.listing.figures import percent_text, price_text
from trading.states import SLICED, Algorithm

BROKERS = {"paper": "Paper market", "file": "File"}
EXTENDED = "extended hours"


def execution_words(algorithm, limit_price=None, starts_at=None, ends_at=None, participation=None, extended=False):
    """How an order is to be executed: "TWAP 10:00–11:00, ≤ 10 %", "Limit 77.25 · extended hours"."""
    words = Algorithm(algorithm).label
    if limit_price is not None:
        words += f" {price_text(limit_price)}"
    if algorithm in SLICED:
        window = f"{starts_at:%H:%M}–{ends_at:%H:%M}" if starts_at and ends_at else ""
        most = f"≤ {percent_text(participation, _places(participation))}" if participation is not None else ""
        words = " ".join(filter(None, (words, ", ".join(filter(None, (window, most))))))
    return f"{words} · {EXTENDED}" if extended else words


def broker_words(broker, custodian=None):
    """Where an order goes: "Paper market", "File · Schwab"."""
    name = BROKERS.get(broker, broker)
    return f"{name} · {custodian}" if custodian else name


def _places(number: Decimal):
    """As many places as the number has, two at most."""
    return min(max(-number.normalize().as_tuple().exponent, 0), 2)
