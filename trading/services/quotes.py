"""Asking the firm's feed for prices, and keeping what it answers. Only workers and commands ask; no page waits."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Exists, F, OuterRef, Q, QuerySet, Window
from django.db.models.functions import RowNumber, TruncDate
from django.utils import timezone

from accounts import selectors as accounts_selectors
from accounts.listing import figures
from accounts.models import Component, Firm, ModelWeight, Position, Price, Restriction, Security
from accounts.services import prices
from trading import feeds, hours, sessions
from trading.feeds.base import FeedDown, Quote
from trading.models import Feed, MarketSettings, Order
from trading.states import ENDED

log = logging.getLogger(__name__)

SOURCES = {Feed.SIMULATED: "simulated", Feed.YAHOO: "yahoo", Feed.FILE: "file feed"}  # of what each feed stores
WHILE_CLOSED = timedelta(minutes=30)  # between two requests: what has not traded has no new price
IN_TROUBLE = timedelta(minutes=1)  # at least, so that a feed which hangs does not keep all workers busy
KEPT_WHOLE = timedelta(days=2)  # after which only the last quote of a day stays


@dataclass(frozen=True, slots=True)
class Counts:
    """Securities asked for, those of them without an answer, quotes stored and, of these, questioned."""

    asked: int = 0
    missing: int = 0
    stored: int = 0
    questioned: int = 0

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


def refresh_due(now: datetime | None = None) -> bool:
    """Whether the feed's last answer is so old that it is to be asked again."""
    return _due(MarketSettings.current(), now or timezone.now())


def refresh_if_due(now: datetime | None = None) -> Counts | None:
    """Ask the feed if it is due; of several workers one does. None where it was not. Raises FeedDown."""
    now = now or timezone.now()
    market = MarketSettings.current()
    return refresh(now) if _due(market, now) and _take_turn(market, now) else None


def refresh(now: datetime | None = None) -> Counts:
    """Ask the feed now, and store what it answers, in no transaction while it is asked.

    Raises FeedDown when it does not answer; the market settings then say so, and the last prices stay with their age.
    No checks are asked for: the nightly analysis makes them.
    """
    now = now or timezone.now()
    market = MarketSettings.current()
    _settings().update(quotes_asked_at=now)
    wanted = dict(wanted_securities().values_list("symbol", "pk"))
    try:
        answer = _ask(market.feed, list(wanted)) if wanted else {}
    except FeedDown as down:
        _keep_trouble(market, str(down), now)
        raise
    stored = _store(answer, wanted, market.feed)
    _settings().exclude(feed_trouble="").update(feed_trouble="")
    return Counts(len(wanted), len(wanted) - len(answer), stored.stored, stored.questioned)


def wanted_securities() -> QuerySet[Security]:
    """What open accounts hold, want or may hold instead, and what is in orders under way; no sweeps."""
    mine = {"security": OuterRef("pk")}
    held = Position.objects.filter(**mine, account__is_open=True)
    instead = Restriction.objects.filter(substitute=OuterRef("pk"), account__is_open=True)
    matters = Q(Exists(held)) | Q(Exists(instead))
    for rows in (Component.objects, ModelWeight.objects, Order.objects.exclude(state__in=ENDED)):
        matters |= Q(Exists(rows.filter(**mine)))
    return Security.objects.filter(matters).exclude(kind=Security.Kind.SWEEP).order_by("symbol")


def prune(now: datetime | None = None) -> int:
    """Of each security and day longer ago keep a feed's last usable quote alone; return how many were dropped.

    Batches and orders keep copies of the prices they rest on. The first quote of all stays: simulated prices move
    around it. Quotes that a person has judged, or has to, stay, and so do those that no feed has brought.
    """
    zone = sessions.zone()
    ends = sessions.moment(sessions.today(now) - KEPT_WHOLE, time.min)
    usable = Price.objects.filter(state=Price.State.USABLE, source__in=SOURCES.values())
    earlier = usable.filter(security=OuterRef("security"), source=OuterRef("source"), as_of__lt=OuterRef("as_of"))
    old = usable.filter(as_of__lt=ends).annotate(place=_place_in_its_day(zone), follows=Exists(earlier))
    dropped, _ = Price.objects.filter(pk__in=old.filter(place__gt=1, follows=True).values("pk")).delete()
    return dropped


def _place_in_its_day(zone: ZoneInfo) -> Window:
    """1 for the newest of its day in the market's zone."""
    return Window(
        RowNumber(),
        partition_by=[F("security"), F("source"), TruncDate("as_of", tzinfo=zone)],
        order_by=[F("as_of").desc(), F("id").desc()],
    )


def _due(market, now):
    return market.quotes_asked_at is None or now - market.quotes_asked_at >= _pause(market, now)


def _pause(market, now):
    """How long the feed is left alone."""
    usual = timedelta(seconds=market.refresh_seconds)
    if market.feed_trouble:
        usual = max(usual, IN_TROUBLE)
    if market.feed == Feed.SIMULATED:
        return usual
    standing = hours.standing(now)
    return usual if standing.is_open or not standing.known else max(usual, WHILE_CLOSED)


def _take_turn(market, now):
    """Whether it is on this worker to ask: nobody else has begun to since the settings were read."""
    return bool(_settings().filter(quotes_asked_at=market.quotes_asked_at).update(quotes_asked_at=now))


def _settings():
    return MarketSettings.objects.filter(pk=1)


def _ask(name: str, symbols: list[str]) -> dict[str, Quote]:
    """The feed's answer. A feed that breaks is down, whatever it broke on: the night's chain must not end with it."""
    try:
        return feeds.feed(name).quotes(symbols)
    except FeedDown:
        raise
    except Exception as error:
        log.exception("The feed %s broke", name)
        raise FeedDown(f"The feed {name} broke: {type(error).__name__}.") from error


def _keep_trouble(market, words, now):
    """Say what the trouble is, and since when: a trouble that lasts keeps its beginning."""
    since = market.feed_trouble.partition(": ")[0] or f"Since {_clock(now)}"
    longest = MarketSettings._meta.get_field("feed_trouble").max_length or 0
    _settings().update(feed_trouble=f"{since}: {words}"[:longest])
    log.warning("No new prices: %s", words)


def _clock(now):
    """A moment on the firm's clock."""
    with timezone.override(ZoneInfo(Firm.current().time_zone)):
        return figures.moment_text(now)


def _store(answer: Mapping[str, Quote], wanted: Mapping[str, int], feed: str) -> prices.Stored:
    """Store the quotes of an answer. Where a real feed has answered, simulated prices no longer count."""
    if answer and feed != Feed.SIMULATED:
        prices.set_aside(SOURCES[Feed.SIMULATED])
    quotes = [
        prices.Quote(wanted[symbol], quote.price, quote.as_of, SOURCES[Feed(feed)])
        for symbol, quote in answer.items()
        if symbol in wanted
    ]
    waiting = _still_waiting({quote.security_id: quote for quote in quotes})
    return prices.store_prices(quote for quote in quotes if quote.security_id not in waiting)


def _still_waiting(quotes: Mapping[int, prices.Quote]) -> set[int]:
    """The securities whose quote says again what already waits for a person's word; it need not wait twice."""
    newest = accounts_selectors.newest_prices(list(quotes))
    asked = {pk: price.price for pk, price in newest.items() if price.state == Price.State.QUESTIONED}
    used = accounts_selectors.last_prices(list(asked))
    last = {pk: used[pk].price if pk in used else None for pk in asked}
    return {pk for pk, price in asked.items() if _says_the_same(quotes[pk].price, price, last[pk])}


def _says_the_same(price, asked, last):
    """Whether a price is rather the one that waits than the last one used; without that any above 0 is news."""
    return price <= 0 if last is None else abs(price - asked) < abs(price - last)
