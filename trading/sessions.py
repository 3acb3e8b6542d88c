"""The market's days and hours, by the firm's calendar.

A session is a day on which the market is open; it is completed at its close (early closes included). The library behind
it takes a second to load, so it is reached by the dotted path `settings.MARKET_CALENDAR`, when first asked.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone
from django.utils.module_loading import import_string

from accounts.models import Firm

KNOWN_FROM, KNOWN_TO = date(1990, 1, 1), date(2100, 12, 31)

# The zone of each market of accounts.rules.MARKETS, so that today's date and a page's hours need no library.
_MARKETS_OF = {
    "Africa/Johannesburg": "XJSE",
    "America/Argentina/Buenos_Aires": "XBUE",
    "America/Lima": "XLIM",
    "America/Mexico_City": "XMEX",
    "America/New_York": "XBOG XNAS XNYS",
    "America/Santiago": "XSGO",
    "America/Sao_Paulo": "BVMF",
    "America/Toronto": "XTSE",
    "Asia/Almaty": "AIXK",
    "Asia/Bangkok": "XBKK",
    "Asia/Hong_Kong": "XHKG",
    "Asia/Jakarta": "XIDX",
    "Asia/Karachi": "XKAR",
    "Asia/Kolkata": "XBOM",
    "Asia/Kuala_Lumpur": "XKLS",
    "Asia/Manila": "XPHS",
    "Asia/Riyadh": "XSAU",
    "Asia/Seoul": "XKRX",
    "Asia/Shanghai": "XSHG",
    "Asia/Singapore": "XSES",
    "Asia/Taipei": "XTAI",
    "Asia/Tokyo": "XTKS",
    "Atlantic/Bermuda": "XBDA",
    "Atlantic/Reykjavik": "XICE",
    "Australia/Sydney": "XASX",
    "Europe/Amsterdam": "XAMS",
    "Europe/Berlin": "XETR XEUR XFRA XSTU",
    "Europe/Bratislava": "XBRA",
    "Europe/Brussels": "XBRU XDUS XHAM",
    "Europe/Budapest": "XBUD",
    "Europe/Copenhagen": "XCSE",
    "Europe/Dublin": "XDUB",
    "Europe/Helsinki": "XHEL",
    "Europe/Istanbul": "XIST",
    "Europe/Lisbon": "XLIS",
    "Europe/Ljubljana": "XLJU",
    "Europe/London": "XLON",
    "Europe/Luxembourg": "XLUX",
    "Europe/Madrid": "XMAD",
    "Europe/Moscow": "XMOS",
    "Europe/Oslo": "XOSL",
    "Europe/Paris": "XPAR",
    "Europe/Prague": "XPRA",
    "Europe/Riga": "XRIS",
    "Europe/Rome": "XMIL",
    "Europe/Stockholm": "XSTO",
    "Europe/Tallinn": "XTAL",
    "Europe/Vienna": "XWBO",
    "Europe/Vilnius": "XLIT",
    "Europe/Warsaw": "XWAR",
    "Europe/Zagreb": "XZAG",
    "Europe/Zurich": "XSWX",
    "Pacific/Auckland": "XNZE",
}
ZONES = {market: zone for zone, markets in _MARKETS_OF.items() for market in markets.split()}


class UnknownDay(ValueError):
    """A day on which the market's calendar has no word."""


@lru_cache(maxsize=4)
def _calendar(name):
    """The calendar as far as it reaches; some say themselves from when and until when they are known."""
    make = import_string(settings.MARKET_CALENDAR)
    usual = make(name)
    lower, upper = usual.bound_min(), usual.bound_max()
    start = max(KNOWN_FROM, lower.date()) if lower is not None else KNOWN_FROM
    end = min(KNOWN_TO, upper.date()) if upper is not None else KNOWN_TO
    return make(name, start=start.isoformat(), end=end.isoformat())


def _market():
    return _calendar(Firm.current().market_calendar)


def _known(calendar, day):
    """The day as the calendar takes it; UnknownDay where it has no word on it."""
    first, last = calendar.first_session.date(), calendar.last_session.date()
    if not first <= day <= last:
        raise UnknownDay(f"The market's calendar knows the days from {first} to {last}; {day} is not among them.")
    return day.isoformat()


def zone() -> ZoneInfo:
    """The market's time zone."""
    return zone_of(Firm.current().market_calendar)


def zone_of(market: str) -> ZoneInfo:
    """The time zone of the market with this calendar."""
    return ZoneInfo(ZONES[market])


def today(now: datetime | None = None) -> date:
    """The date in the market's zone."""
    return (now or timezone.now()).astimezone(zone()).date()


def moment(day: date, at: time) -> datetime:
    """This time of this day in the market's zone."""
    return datetime.combine(day, at, tzinfo=zone())


def latest(at: time, now: datetime | None = None) -> datetime:
    """The last moment, up to now, at which the market's clocks showed this time."""
    day = today(now)
    found = moment(day, at)
    return found if found <= (now or timezone.now()) else moment(day - timedelta(days=1), at)


def is_session(day: date) -> bool:
    """Whether the market is open on that day; UnknownDay beyond the calendar."""
    calendar = _market()
    return bool(calendar.is_session(_known(calendar, day)))


def session_close(day: date) -> datetime:
    """When the session of that day closes, in UTC; UnknownDay where that day is none."""
    calendar = _market()
    known = _known(calendar, day)
    if not calendar.is_session(known):
        raise UnknownDay(f"The market is closed on {day}.")
    return calendar.session_close(known).to_pydatetime()


@dataclass(frozen=True, slots=True)
class Hours:
    """A session's hours (UTC). Where the market rests at noon, that belongs to the session."""

    opens_at: datetime
    closes_at: datetime
    is_early_close: bool


def hours_between(market: str, first: date, last: date) -> dict[date, Hours | None]:
    """Every day from first to last, as far as the market's calendar knows them; None on days without a session."""
    calendar = _calendar(market)
    first = max(first, calendar.first_session.date())
    last = min(last, calendar.last_session.date())
    days = {first + timedelta(days=ahead): None for ahead in range((last - first).days + 1)}
    early = set(calendar.early_closes)
    return days | {
        session.date(): Hours(
            calendar.session_open(session).to_pydatetime(),
            calendar.session_close(session).to_pydatetime(),
            session in early,
        )
        for session in (calendar.sessions_in_range(first.isoformat(), last.isoformat()) if days else ())
    }


def last_completed_session(now: datetime | None = None) -> date:
    """The newest session whose close has passed."""
    now = now or timezone.now()
    calendar = _market()
    session = calendar.date_to_session(_known(calendar, today(now)), direction="previous")
    while calendar.session_close(session) > now:
        session = calendar.previous_session(session)
    return session.date()


def sessions_before(day: date, count: int) -> date:
    """The session `count` sessions before that day (0: the day itself, or the session before it when it is none)."""
    calendar = _market()
    session = calendar.date_to_session(_known(calendar, day), direction="previous")
    place = calendar.sessions.get_loc(session) - count
    if place < 0:
        raise UnknownDay(f"The market's calendar does not reach {count} sessions back from {day}.")
    return calendar.sessions[place].date()
