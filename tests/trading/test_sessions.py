"""Days and hours of the market (XNYS unless the firm says otherwise)."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import exchange_calendars
import pytest

from accounts.rules import MARKETS
from tests.factories import firm
from trading import sessions

pytestmark = pytest.mark.django_db

FRIDAY, SATURDAY, MONDAY = date(2026, 11, 20), date(2026, 11, 21), date(2026, 11, 23)
THANKSGIVING, DAY_AFTER = date(2026, 11, 26), date(2026, 11, 27)


def at(text):
    """A moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "is_one"), [(FRIDAY, True), (SATURDAY, False), (THANKSGIVING, False), (DAY_AFTER, True)]
)
def test_sessions_are_days_the_market_is_open(day, is_one):
    assert sessions.is_session(day) is is_one


def test_an_early_close_is_when_the_session_ends():
    assert sessions.session_close(FRIDAY) == at("2026-11-20T21:00")
    assert sessions.session_close(DAY_AFTER) == at("2026-11-27T18:00")
    with pytest.raises(sessions.UnknownDay):
        sessions.session_close(THANKSGIVING)


@pytest.mark.parametrize(
    ("now", "session"),
    [
        ("2026-11-20T20:59", date(2026, 11, 19)),  # a minute before the close
        ("2026-11-20T21:00", FRIDAY),
        ("2026-11-21T03:00", FRIDAY),  # still Friday evening in New York
        ("2026-11-22T12:00", FRIDAY),
        ("2026-11-23T14:00", FRIDAY),  # Monday before the open
        ("2026-11-27T18:00", DAY_AFTER),
    ],
)
def test_the_last_completed_session(now, session):
    assert sessions.last_completed_session(at(now)) == session


def test_sessions_are_counted_back_over_holidays_and_weekends():
    assert sessions.sessions_before(DAY_AFTER, 0) == DAY_AFTER
    assert sessions.sessions_before(SATURDAY, 0) == FRIDAY
    assert sessions.sessions_before(DAY_AFTER, 3) == date(2026, 11, 23)


def test_beyond_the_calendar_there_is_no_word():
    for day in (date(1, 1, 1), date(1989, 12, 29), date(2101, 1, 3), date(9999, 12, 31)):
        with pytest.raises(sessions.UnknownDay):
            sessions.is_session(day)
    with pytest.raises(sessions.UnknownDay):
        sessions.sessions_before(FRIDAY, 100_000)
    assert sessions.is_session(date(2060, 1, 2))


def test_today_and_times_are_the_markets():
    assert sessions.today(at("2026-11-21T04:59")) == FRIDAY
    assert sessions.today(at("2026-11-21T05:01")) == SATURDAY
    assert sessions.moment(FRIDAY, time(18)) == at("2026-11-20T23:00")
    assert sessions.moment(date(2026, 7, 1), time(18)) == at("2026-07-01T22:00")  # daylight saving time


@pytest.mark.parametrize(
    ("now", "found"),
    [
        ("2026-11-20T22:59", "2026-11-19T23:00"),
        ("2026-11-20T23:00", "2026-11-20T23:00"),
        ("2026-11-21T12:00", "2026-11-20T23:00"),
    ],
)
def test_the_latest_time_of_day(now, found):
    assert sessions.latest(time(18), at(now)) == at(found)


def test_the_firm_chooses_the_calendar():
    firm(market_calendar="XLON")
    assert sessions.is_session(THANKSGIVING)
    assert sessions.zone() == ZoneInfo("Europe/London")
    firm(market_calendar="XTKS")
    assert sessions.zone() == ZoneInfo("Asia/Tokyo")


def test_the_zone_of_every_market_is_known_by_heart():
    assert set(sessions.ZONES) == MARKETS


@pytest.mark.parametrize("name", sorted(sessions.ZONES))
def test_zones_known_by_heart_are_the_librarys(name):
    few = {"start": "2025-01-06", "end": "2025-02-07"}
    assert exchange_calendars.get_calendar(name, **few).tz.key == sessions.ZONES[name]
