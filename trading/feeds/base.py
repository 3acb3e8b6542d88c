"""What every price feed is asked, and what it answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol


class FeedDown(Exception):
    """The feed did not answer, or not so that it can be understood; the text says what happened, for a person."""


@dataclass(frozen=True, slots=True)
class Quote:
    price: Decimal  # dollars a share
    as_of: datetime  # when it was traded at that price (UTC)


class Feed(Protocol):
    def quotes(self, symbols: Sequence[str]) -> dict[str, Quote]:
        """The newest quote of each of these symbols, in one request for many; what it does not know is not in it.

        Only workers and commands ask: it may take long. Raises FeedDown.
        """
