"""The market's days, written down by the firm's calendar."""

from datetime import UTC, date, datetime, timedelta

import pytest

from tests.factories import firm
from trading.models import MarketDay
from trading.services.market_days import keep_days

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 21, 15, tzinfo=UTC)
TODAY = NOW.date()
FRIDAY, SATURDAY = date(2026, 11, 20), date(2026, 11, 21)
THANKSGIVING, DAY_AFTER = date(2026, 11, 26), date(2026, 11, 27)


def hours(day):
    row = MarketDay.objects.get(day=day)
    return row.opens_at and f"{row.opens_at:%H:%M}", row.closes_at and f"{row.closes_at:%H:%M}", row.is_early_close


def test_every_day_is_written_with_its_hours():
    assert keep_days(NOW) == 441
    days = list(MarketDay.objects.order_by("day").values_list("day", flat=True))
    assert (days[0], days[-1]) == (TODAY - timedelta(days=40), TODAY + timedelta(days=400))
    assert days == [days[0] + timedelta(days=ahead) for ahead in range(441)]
    assert hours(FRIDAY) == ("14:30", "21:00", False)
    assert hours(SATURDAY) == hours(THANKSGIVING) == (None, None, False)
    assert hours(DAY_AFTER) == ("14:30", "18:00", True)
    assert hours(date(2027, 7, 1)) == ("13:30", "20:00", False)  # daylight saving time


def test_nothing_is_written_again_and_one_query_says_so(django_assert_num_queries):
    keep_days(NOW)
    with django_assert_num_queries(1):
        assert keep_days(NOW) == 0
    with django_assert_num_queries(1):
        assert keep_days(NOW.replace(hour=23)) == 0


def test_another_day_brings_another_day():
    keep_days(NOW)
    assert keep_days(NOW + timedelta(days=1))
    assert MarketDay.objects.filter(day=TODAY + timedelta(days=401)).exists()
    assert MarketDay.objects.count() == 442  # what was written stays


def test_a_day_that_is_missing_or_wrong_is_written_again():
    keep_days(NOW)
    MarketDay.objects.filter(day=THANKSGIVING).delete()
    MarketDay.objects.filter(day=DAY_AFTER).update(is_early_close=False)
    assert keep_days(NOW)
    assert hours(THANKSGIVING) == (None, None, False)
    assert hours(DAY_AFTER) == ("14:30", "18:00", True)


def test_another_calendar_replaces_all_days():
    keep_days(NOW)
    firm(market_calendar="XLON")
    assert keep_days(NOW) == 441
    assert set(MarketDay.objects.values_list("calendar", flat=True)) == {"XLON"}
    assert hours(THANKSGIVING) == ("08:00", "16:30", False)
    assert hours(date(2026, 12, 24)) == ("08:00", "12:30", True)
    assert keep_days(NOW) == 0


def test_the_days_end_where_the_calendar_does():
    end = datetime(2100, 12, 1, tzinfo=UTC)
    assert 0 < keep_days(end) < 441
    assert MarketDay.objects.latest("day").day == date(2100, 12, 31)
    assert keep_days(end) == 0
    assert keep_days(datetime(2150, 1, 1, tzinfo=UTC)) == 0
