"""Orders are for the day: whether the session in which one could trade is over, by the market's days as written."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.utils import timezone

from trading import hours
from trading.models import MarketDay, Order
from trading.states import Algorithm

GRACE = timedelta(minutes=15)  # for what happened just before the end to be told
EXTENDED_CLOSES = {False: hours.EXTENDED_CLOSES, True: hours.EXTENDED_CLOSES_EARLY}  # by whether it is an early close


def over(since: Iterable[tuple[Order, datetime | None]]) -> list[Order]:
    """Those of these orders of which a session ended that was to come at their moment, and the grace has passed.

    In extended hours, and for a fund, whose price comes in the evening, it ends with these hours. One query; an order
    without a moment is never over, nor is any where the market's days are not written.
    """
    given = [(order, moment) for order, moment in since if moment is not None]
    if not given:
        return []
    now = timezone.now()
    closes = _closes(min(moment for _, moment in given), now)
    return [
        order for order, moment in given if any(moment < at <= now - GRACE for at in closes[_lasts_long(order)])
    ]  # fmt: skip


def _lasts_long(order):
    return order.extended_hours or order.algorithm == Algorithm.NAV


def _closes(since: datetime, now: datetime) -> dict[bool, list[datetime]]:
    """When sessions ended in that time: by regular hours (False), and by extended ones (True)."""
    days = MarketDay.objects.filter(closes_at__gt=since - timedelta(days=1), closes_at__lte=now)
    rows = list(days.values_list("day", "closes_at", "is_early_close"))
    return {
        False: [closes_at for _, closes_at, _ in rows if closes_at],
        True: [hours.moment(day, EXTENDED_CLOSES[is_early]) for day, _, is_early in rows],
    }
