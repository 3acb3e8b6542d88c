"""The market's days, written down for pages, which never load the calendar."""

from datetime import UTC, date, datetime, timedelta

from django.db import transaction
from django.db.models import Count, F, Max, Min, Q, Subquery
from django.utils import timezone

from accounts.models import Firm
from trading import sessions
from trading.models import MarketDay

BACK, AHEAD = timedelta(days=40), timedelta(days=400)
HOURS = ["opens_at", "closes_at", "is_early_close", "calendar"]


def keep_days(now: datetime | None = None) -> int:
    """Write the days around now by the firm's calendar; return how many were written, 0 when all are there.

    Where the calendar ends earlier, so do the days. Another calendar chosen by the firm replaces them.
    """
    today = (now or timezone.now()).astimezone(UTC).date()
    first, last = today - BACK, today + AHEAD
    if _are_there(first, last):
        return 0
    market = Firm.current().market_calendar
    wanted = [_row(market, day, hours) for day, hours in sessions.hours_between(market, first, last).items()]
    return _write(market, wanted) if wanted and not _are_there(wanted[0].day, wanted[-1].day) else 0


def _are_there(first: date, last: date) -> bool:
    """Whether every day is written by the firm's calendar, and none by another one."""
    named = MarketDay.objects.annotate(wanted=Subquery(Firm.objects.values("market_calendar")[:1]))
    mine = Q(calendar=F("wanted"))
    found = named.aggregate(
        first=Min("day", filter=mine & Q(day__gte=first)),
        last=Max("day", filter=mine & Q(day__lte=last)),
        days=Count("day", filter=mine & Q(day__range=(first, last))),
        others=Count("day", filter=~mine),
    )
    return found == {"first": first, "last": last, "days": (last - first).days + 1, "others": 0}


def _row(market, day, hours):
    if hours is None:
        return MarketDay(day=day, calendar=market)
    return MarketDay(
        day=day, opens_at=hours.opens_at, closes_at=hours.closes_at, is_early_close=hours.is_early_close,
        calendar=market,
    )  # fmt: skip


@transaction.atomic
def _write(market, rows):
    """All of them anew, once a day: what a newer calendar says of a day replaces what an older one said."""
    MarketDay.objects.exclude(calendar=market).delete()
    MarketDay.objects.bulk_create(rows, update_conflicts=True, unique_fields=["day"], update_fields=HOURS)
    return len(rows)
