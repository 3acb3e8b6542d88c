"""The market's hours and the words for them, from the days that are written."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from tests.factories import firm
from trading import hours
from trading.models import MarketDay
from trading.services.market_days import keep_days
from trading.sessions import UnknownDay

pytestmark = pytest.mark.django_db

NEW_YORK = ZoneInfo("America/New_York")
FRIDAY, SATURDAY, MONDAY = date(2026, 11, 20), date(2026, 11, 21), date(2026, 11, 23)
THANKSGIVING, DAY_AFTER = date(2026, 11, 26), date(2026, 11, 27)


@pytest.fixture(autouse=True)
def _days_as_seen_in_new_york(db):
    keep_days(datetime(2026, 11, 21, tzinfo=UTC))
    with timezone.override(NEW_YORK):
        yield


def at(day, clock):
    """A moment in New York."""
    return datetime.combine(day, time.fromisoformat(clock), NEW_YORK)


@pytest.mark.parametrize(
    ("day", "clock", "is_open", "trade_day", "words"),
    [
        (FRIDAY, "09:29", False, FRIDAY, "The market opens at 9:30"),
        (FRIDAY, "09:30", True, FRIDAY, "Regular session until 16:00"),
        (FRIDAY, "15:00", True, FRIDAY, "Regular session until 16:00"),
        (FRIDAY, "15:51", True, FRIDAY, "Regular session closes in 9 minutes"),
        (FRIDAY, "15:58:30", True, FRIDAY, "Regular session closes in 1 minute"),
        (FRIDAY, "15:59:30", True, FRIDAY, "Regular session closes in less than a minute"),
        (FRIDAY, "16:00", False, MONDAY, "The market is closed until Monday 2026-11-23, 9:30"),
        (SATURDAY, "12:00", False, MONDAY, "The market is closed until Monday 2026-11-23, 9:30: it is the weekend"),
        (THANKSGIVING, "12:00", False, DAY_AFTER,
         "The market is closed until Friday 2026-11-27, 9:30: today is a holiday"),
        (DAY_AFTER, "08:00", False, DAY_AFTER, "The market opens at 9:30 and closes early, at 13:00"),
        (DAY_AFTER, "10:00", True, DAY_AFTER, "Closes early today, at 13:00"),
        (DAY_AFTER, "12:51", True, DAY_AFTER, "Regular session closes in 9 minutes"),
        (DAY_AFTER, "13:00", False, date(2026, 11, 30), "The market is closed until Monday 2026-11-30, 9:30"),
    ],
)  # fmt: skip
def test_how_the_market_stands(day, clock, is_open, trade_day, words):
    found = hours.standing(at(day, clock))
    assert (found.is_open, found.trade_day, found.words, found.known) == (is_open, trade_day, words, True)
    assert found.opens_at <= found.closes_at
    assert hours.is_open(at(day, clock)) is is_open


def test_it_is_told_by_one_query_without_the_calendar(django_assert_num_queries, settings):
    settings.MARKET_CALENDAR = "nowhere.to.be.found"
    with django_assert_num_queries(1):
        assert hours.standing(at(FRIDAY, "12:00")).closes_at == at(FRIDAY, "16:00")


def test_where_no_days_are_written_it_is_not_known():
    MarketDay.objects.filter(day__gte=FRIDAY).delete()
    found = hours.standing(at(FRIDAY, "12:00"))
    assert (found.known, found.is_open, found.opens_at, found.trade_day) == (False, False, None, FRIDAY)
    assert found.words == "The market's hours are not known yet"
    assert hours.next_session(at(MONDAY, "12:00")) is None


def test_a_hole_in_the_days_is_not_taken_for_a_holiday():
    MarketDay.objects.filter(day__range=(date(2026, 11, 19), FRIDAY)).delete()
    assert not hours.standing(at(FRIDAY, "12:00")).known


def test_the_place_is_named_where_the_reader_has_another_time():
    with timezone.override(ZoneInfo("America/Los_Angeles")):
        assert hours.standing(at(FRIDAY, "12:00")).words == "Regular session until 16:00 New York time"
        words = hours.standing(at(THANKSGIVING, "12:00")).words
        assert words == "The market is closed until Friday 2026-11-27, 9:30 New York time: today is a holiday"


@pytest.mark.parametrize(
    ("day", "clock", "is_extended_open"),
    [
        (FRIDAY, "03:59", False),
        (FRIDAY, "04:00", True),
        (FRIDAY, "12:00", True),
        (FRIDAY, "19:59", True),
        (FRIDAY, "20:00", False),
        (THANKSGIVING, "12:00", False),
        (DAY_AFTER, "16:59", True),
        (DAY_AFTER, "17:00", False),  # four hours after the early close
    ],
)
def test_extended_hours(day, clock, is_extended_open):
    assert hours.is_extended_open(at(day, clock)) is is_extended_open


def test_in_extended_hours_the_next_session_is_another_one():
    evening = at(FRIDAY, "17:00")
    assert hours.next_session(evening, extended=True).day == FRIDAY
    assert hours.next_session(evening).day == MONDAY


def test_the_session_of_a_day():
    assert hours.session_on(THANKSGIVING) is None
    assert hours.session_on(DAY_AFTER).closes_at == at(DAY_AFTER, "13:00")
    with pytest.raises(UnknownDay):
        hours.session_on(date(2030, 1, 2))


def test_a_market_on_the_other_side_of_the_world():
    firm(market_calendar="XTKS")
    keep_days(datetime(2026, 11, 21, tzinfo=UTC))
    tokyo = ZoneInfo("Asia/Tokyo")
    found = hours.standing(datetime(2026, 11, 24, 8, 59, tzinfo=tokyo))  # still the 23rd in UTC
    assert (found.is_open, found.trade_day) == (False, date(2026, 11, 24))
    assert hours.standing(datetime(2026, 11, 24, 9, 0, tzinfo=tokyo)).is_open
    assert hours.moment(date(2026, 11, 24), time(9)) == datetime(2026, 11, 24, tzinfo=UTC)
