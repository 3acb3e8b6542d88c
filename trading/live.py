"""Prices at which orders are sent: the newest quote of a security, its age, and why it may not be traded on.

Judged by the market's days as a worker has written them, so that a page can ask without the calendar.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from accounts import selectors as accounts_selectors
from accounts.models import Firm, Price
from trading import sessions
from trading.models import MarketDay

NO_DAYS = "the market's days are not known yet; a worker writes them within a minute"


@dataclass(frozen=True, slots=True)
class LivePrice:
    """The newest quote; `why_not` says why it may not be traded on, and is empty where it may."""

    price: Decimal
    as_of: datetime
    source: str
    why_not: str = ""


def live_prices(securities: Iterable[int], firm: Firm, now: datetime) -> dict[int, LivePrice]:
    """By security id; what was never priced is not in it. Two queries.

    A price may be used when nobody has to confirm it first, and when it is from the last completed session or later
    (firm setting: some sessions older).
    """
    oldest, zone = oldest_day(firm, now), sessions.zone_of(firm.market_calendar)
    found = accounts_selectors.newest_prices(securities)
    return {
        pk: LivePrice(price.price, price.as_of, price.source, _why_not(price, zone, oldest))
        for pk, price in found.items()
    }


def oldest_day(firm: Firm, now: datetime) -> date | None:
    """The session of which a price may be at the oldest; None where the market's days are not known."""
    completed = MarketDay.objects.filter(closes_at__lte=now).order_by("-day").values_list("day", flat=True)
    days = list(completed[: firm.price_age_sessions + 1])
    return days[-1] if days else None


def _why_not(price, zone, oldest):
    day = price.as_of.astimezone(zone).date()
    if price.state == Price.State.QUESTIONED:
        return f"somebody has to confirm its price of {price.price.normalize():f} of {day} first"
    if oldest is None:
        return NO_DAYS
    return f"its newest price is of {day}, which is too old" if day < oldest else ""
