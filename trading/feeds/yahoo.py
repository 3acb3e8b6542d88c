"""Yahoo Finance by way of yfinance: many symbols in one request, each quote with the time it was traded at.

The library takes a second to load and answers trouble in many ways, so this module is reached by its dotted path, from
workers only, and what comes out of it is a quote or FeedDown.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import cache

import yfinance
from curl_cffi import requests
from django.conf import settings
from django.utils import timezone
from yfinance.data import YfData
from yfinance.exceptions import YFException, YFRateLimitError

from .base import FeedDown, Quote

AT_ONCE = 200  # symbols of a request: its address has to stay within what servers take
PATIENCE = 10.0  # seconds for one answer
IN_ALL = 30.0  # seconds for all of them, with what the library asks for by itself (cookies, consent) and asks again
QUOTES = "https://query1.finance.yahoo.com/v7/finance/quote"
FIELDS = "symbol,regularMarketPrice,regularMarketTime,currency"
CURRENCY = "USD"
AHEAD = timedelta(minutes=5)  # by which its clock may be before ours
DIGITS = 12  # of a price before the point, at most

# Whatever the library lets through when an answer is not what it expects.
NOT_UNDERSTOOD = (YFException, ValueError, LookupError, TypeError, AttributeError)

# What it has to say of a mere outage ("possibly delisted") is not true; what happened is told by FeedDown.
logging.getLogger("yfinance").setLevel(logging.CRITICAL + 1)


class InTime(requests.Session):
    """A session whose requests, the library's own ones included, end within IN_ALL from when the clock was set."""

    ends_at = 0.0

    def set_clock(self) -> None:
        self.ends_at = time.monotonic() + IN_ALL

    def request(self, method, url, *args, **kwargs):
        left = self.ends_at - time.monotonic()
        if left <= 0:
            raise requests.exceptions.Timeout("no time is left")
        kwargs["timeout"] = min(kwargs.get("timeout") or PATIENCE, PATIENCE, left)
        return super().request(method, url, *args, **kwargs)


@cache
def usual_session() -> InTime:
    """The session of this process: its cookies go with what the library remembers of it."""
    yfinance.set_tz_cache_location(str(settings.HOME / "yfinance"))
    return InTime(impersonate="chrome")


class Yahoo:
    """Prices of US listings in dollars. A symbol it does not know, or knows in another currency, is left out."""

    def __init__(self, session: InTime | None = None):
        self.session = session or usual_session()

    def quotes(self, symbols: Sequence[str]) -> dict[str, Quote]:
        ours = {spelt(symbol): symbol for symbol in symbols}
        theirs = list(ours)
        self.session.set_clock()
        found = {}
        for first in range(0, len(theirs), AT_ONCE):
            rows = self._rows(theirs[first : first + AT_ONCE])
            found.update({ours[symbol]: quote for symbol, quote in _read(rows) if symbol in ours})
        if theirs and not found:
            raise FeedDown(f"Yahoo Finance gave no price for any of {len(theirs):,} symbols.")
        return found

    def _rows(self, symbols) -> list:
        """The rows of its answer; FeedDown where there is none."""
        asked = {"symbols": ",".join(symbols), "fields": FIELDS, "formatted": "false"}
        try:
            answer = YfData(session=self.session).get_raw_json(QUOTES, params=asked, timeout=PATIENCE)
            rows = answer["quoteResponse"]["result"]
        except YFRateLimitError as error:
            raise FeedDown("Yahoo Finance refuses to answer for a while: too many requests.") from error
        except requests.exceptions.RequestException as error:
            raise FeedDown(_in_words(error)) from error
        except NOT_UNDERSTOOD as error:
            raise FeedDown("Yahoo Finance answered with something else than prices.") from error
        except OSError as error:
            raise FeedDown(f"Yahoo Finance can't be reached: {error}.") from error
        if not isinstance(rows, list):
            raise FeedDown("Yahoo Finance answered with something else than prices.")
        return rows


def spelt(symbol: str) -> str:
    """A symbol as Yahoo spells it: classes of shares with a dash (BRK.B is BRK-B)."""
    return symbol.replace(".", "-").replace("/", "-")


def _in_words(error: requests.exceptions.RequestException) -> str:
    if isinstance(error, requests.exceptions.Timeout):
        return "Yahoo Finance did not answer in time."
    status = getattr(error.response, "status_code", 0)
    if isinstance(error, requests.exceptions.HTTPError) and status >= 400:
        return f"Yahoo Finance answered with error {status}."
    return "Yahoo Finance can't be reached."


def _read(rows) -> Iterator[tuple[str, Quote]]:
    """The rows that are quotes in dollars, each with its symbol; what is none is left out."""
    newest = timezone.now() + AHEAD
    for row in rows:
        if isinstance(row, Mapping) and row.get("currency", CURRENCY) == CURRENCY:
            price, as_of = _price(row.get("regularMarketPrice")), _moment(row.get("regularMarketTime"))
            if price is not None and as_of is not None and as_of <= newest:
                yield str(row.get("symbol")), Quote(price, as_of)


def _price(value) -> Decimal | None:
    """A number as it was written, or None; zero and less are not for a feed to judge."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        price = Decimal(repr(value))
    except InvalidOperation:
        return None
    return price if price.is_finite() and abs(price) < 10**DIGITS else None


def _moment(value) -> datetime | None:
    """Seconds since 1970 as a moment, or None."""
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, ValueError, OSError):
        return None
