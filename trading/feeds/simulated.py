"""Prices that live without a market: each moves a little around the first one it was given.

A security that has a price from elsewhere gets none: nobody trades at a made-up price where there is a real one.
"""

import math
from collections.abc import Sequence
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from hashlib import sha256

from django.db.models import Exists, OuterRef, Subquery
from django.utils import timezone

from accounts.models import Price, Security
from accounts.selectors import MAY_BE_USED
from trading.models import Feed, MarketSettings

from .base import Quote

SOURCE = Feed.SIMULATED.value  # what it stores; pages call such prices simulated
STEP = 5  # seconds between two prices
# Waves on top of each other, slow to quick: (seconds of one wave, the part of the price it moves it by).
WAVES = ((9_000, 0.009), (1_100, 0.0045), (90, 0.0015))  # 1.5 % at most, all together
CENT, SMALL = Decimal("0.01"), Decimal("0.0001")


class Simulated:
    """A feed that always answers, for every security of which all prices are simulated."""

    def quotes(self, symbols: Sequence[str]) -> dict[str, Quote]:
        now = timezone.now()
        return {symbol: Quote(price, now) for symbol, price in self.prices(symbols, now).items()}

    def prices(self, symbols: Sequence[str], moment: datetime) -> dict[str, Decimal]:
        """The price of each of these symbols at a moment. One query, and one for the seed."""
        seed = MarketSettings.current().paper_seed
        return {symbol: moved(base, seed, symbol, moment) for symbol, base in _bases(symbols)}


def moved(base: Decimal, seed: int, symbol: str, moment: datetime) -> Decimal:
    """The price at a moment: the same base, seed, symbol and moment give the same price, on any machine."""
    at = int(moment.timestamp()) // STEP * STEP
    part = sum(size * math.sin(math.tau * (at / seconds + _phase(seed, symbol, seconds))) for seconds, size in WAVES)
    price = base * (1 + Decimal(f"{part:.9f}"))
    smallest = CENT if base >= 1 else SMALL
    return max(price.quantize(smallest, ROUND_HALF_UP), smallest)


def _phase(seed, symbol, seconds):
    """Where in its wave a symbol stands: a number from 0 to 1."""
    return int.from_bytes(sha256(f"{seed}\t{symbol}\t{seconds}".encode()).digest()[:6]) / 256**6


def _bases(symbols):
    """(symbol, price to move around): the first that was simulated, where no price from elsewhere is used.

    Never a moved price: else the prices of a firm that runs for a year would wander away.
    """
    prices = Price.objects.filter(security=OuterRef("pk"), price__gt=0)
    given = prices.filter(state__in=MAY_BE_USED).exclude(source=SOURCE)
    first = prices.filter(source=SOURCE).order_by("as_of", "id")
    mine = Security.objects.filter(~Exists(given), symbol__in=symbols)
    found = mine.annotate(base=Subquery(first.values("price")[:1])).exclude(base=None)
    return list(found.values_list("symbol", "base"))
