"""The market's hours as pages and workers need them: read from the days that a worker has written, never from the
calendar's library.

Hours are told in the market's zone, which is named where the reader's clock shows another time.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.utils import timezone

from trading import sessions
from trading.models import MarketDay
from trading.sessions import UnknownDay

# Before and after the regular session; after an early close it ends as much earlier.
EXTENDED_OPENS, EXTENDED_CLOSES, EXTENDED_CLOSES_EARLY = time(4), time(20), time(17)

LOOK_AHEAD = 30  # days; no market has closed for longer on a calendar's word
SOON = timedelta(hours=1)  # a close so near is told in minutes

moment = sessions.moment


@dataclass(frozen=True, slots=True)
class Session:
    """A day on which the market is open, and when."""

    day: date
    opens_at: datetime
    closes_at: datetime
    is_early_close: bool
    zone: ZoneInfo

    @property
    def extended_opens_at(self) -> datetime:
        return datetime.combine(self.day, EXTENDED_OPENS, self.zone)

    @property
    def extended_closes_at(self) -> datetime:
        at = EXTENDED_CLOSES_EARLY if self.is_early_close else EXTENDED_CLOSES
        return datetime.combine(self.day, at, self.zone)

    def reach(self, *, extended: bool = False) -> tuple[datetime, datetime]:
        """From when to when one can trade in it."""
        if extended:
            return min(self.opens_at, self.extended_opens_at), max(self.closes_at, self.extended_closes_at)
        return self.opens_at, self.closes_at


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether the market is open now. `session` is the one that is on, or the next; None where it is not known."""

    is_open: bool
    is_extended_open: bool  # also while it is open
    session: Session | None
    trade_day: date  # of that session: an order sent now trades then
    words: str

    @property
    def known(self) -> bool:
        return self.session is not None

    @property
    def opens_at(self) -> datetime | None:
        return self.session and self.session.opens_at

    @property
    def closes_at(self) -> datetime | None:
        return self.session and self.session.closes_at

    @property
    def is_early_close(self) -> bool:
        return self.session is not None and self.session.is_early_close


def standing(now: datetime | None = None) -> Standing:
    """How the market stands, by one query; where its days are not written, `known` is False."""
    now = now or timezone.now()
    days = _days_around(now)
    session = _next(days, now)
    if session is None:
        return Standing(False, False, None, sessions.today(now), "The market's hours are not known yet")
    return Standing(
        is_open=session.opens_at <= now,
        is_extended_open=any(_is_within(one, now, extended=True) for one in _sessions(days)),
        session=session,
        trade_day=session.day,
        words=_words(session, days, now),
    )


def session_on(day: date) -> Session | None:
    """The session of that day, None where the market is closed; UnknownDay where that day is not written."""
    row = MarketDay.objects.filter(day=day).first()
    if row is None:
        raise UnknownDay(f"The market's hours on {day} are not known.")
    return _session(row)


def next_session(now: datetime | None = None, *, extended: bool = False) -> Session | None:
    """The session that is on or the next one, by regular or extended hours; None where it is not known."""
    now = now or timezone.now()
    return _next(_days_around(now), now, extended=extended)


def is_open(now: datetime | None = None) -> bool:
    """Whether the regular session is on."""
    return standing(now).is_open


def is_extended_open(now: datetime | None = None) -> bool:
    """Whether one can trade in extended hours, which the regular session is part of."""
    return standing(now).is_extended_open


# --- which days -----------------------------------------------------------------------------------------------------


def _days_around(now) -> list[MarketDay]:
    """The days from that of `now` in any zone, one after the other; none where the first ones are not written."""
    first = now.astimezone(UTC).date() - timedelta(days=1)
    days = list(MarketDay.objects.filter(day__gte=first).order_by("day")[:LOOK_AHEAD])
    return days if days and days[0].day == first else []


def _session(row) -> Session | None:
    if row.opens_at is None:
        return None
    return Session(row.day, row.opens_at, row.closes_at, row.is_early_close, sessions.zone_of(row.calendar))


def _sessions(days) -> Iterable[Session]:
    return filter(None, map(_session, days))


def _next(days, now, *, extended=False):
    return next((one for one in _sessions(days) if now < one.reach(extended=extended)[1]), None)


def _is_within(session, now, *, extended):
    start, end = session.reach(extended=extended)
    return start <= now < end


# --- words ----------------------------------------------------------------------------------------------------------


def _words(session, days, now):
    if now >= session.opens_at:
        return _words_while_open(session, now)
    today = now.astimezone(session.zone).date()
    if today == session.day:
        early = f" and closes early, at {_clock(session.closes_at, session)}" if session.is_early_close else ""
        return f"The market opens at {_clock(session.opens_at, session)}{early}{_where(session, now)}"
    opens = f"{session.day:%A %Y-%m-%d}, {_clock(session.opens_at, session)}{_where(session, now)}"
    return f"The market is closed until {opens}{_why_closed(days, today)}"


def _words_while_open(session, now):
    left = session.closes_at - now
    if left < timedelta(minutes=1):
        return "Regular session closes in less than a minute"
    if left < SOON:
        minutes = left // timedelta(minutes=1)
        return f"Regular session closes in {minutes} minute{'s' if minutes > 1 else ''}"
    closes = f"{_clock(session.closes_at, session)}{_where(session, now)}"
    return f"Closes early today, at {closes}" if session.is_early_close else f"Regular session until {closes}"


def _why_closed(days, today):
    """A day of the week on which the market is never open is its weekend; any other closed day is a holiday."""
    row = next((day for day in days if day.day == today), None)
    if row is None or row.opens_at is not None:
        return ""
    open_weekdays = {day.day.weekday() for day in days if day.opens_at}
    return ": today is a holiday" if today.weekday() in open_weekdays else ": it is the weekend"


def _clock(at, session):
    local = at.astimezone(session.zone)
    return f"{local.hour}:{local:%M}"


def _where(session, now):
    """The market's place, where its clocks show another time than the reader's."""
    here = now.astimezone(timezone.get_current_timezone())
    if here.utcoffset() == now.astimezone(session.zone).utcoffset():
        return ""
    return f" {session.zone.key.rpartition('/')[2].replace('_', ' ')} time"
