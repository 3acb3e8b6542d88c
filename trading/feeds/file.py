"""Prices from a file that something else writes: a prices.csv as the book's, on the server."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

from django.utils import timezone

from accounts.imports.kinds import Moment, Text
from accounts.imports.table import BookFile, Column, Table, read
from accounts.imports.values import PRICE, longest
from accounts.imports.world import World
from accounts.models import Security
from trading import sessions
from trading.models import MarketSettings

from .base import FeedDown, Quote

# As the book's, but that any symbol may stand in it: the file may know more than the firm.
PRICES = BookFile(
    "prices.csv",
    (
        Column("symbol", Text(longest(Security, "symbol"))),
        Column("price", PRICE),
        Column("as_of", Moment(), required=False),
    ),
    key=("symbol", "as_of"),
    take=len,  # nothing is taken from it into the book
)
MOST_NAMED = 3  # bad rows


class FileFeed:
    """The file that the market settings name. A file with a bad row is not used at all, as everywhere."""

    def quotes(self, symbols: Sequence[str]) -> dict[str, Quote]:
        path = MarketSettings.current().feed_file.strip()
        if not path:
            raise FeedDown("The market settings name no file of prices.")
        now = timezone.now()
        try:
            written = datetime.fromtimestamp(Path(path).stat().st_mtime, UTC)
            table = read(PRICES, path, _world(now), lambda done, total, rows: None)
            table.name_values()
            found = _newest(table, set(symbols), min(written, now)) if not table.problems else {}
        except OSError as error:
            raise FeedDown(f"The file {path} can't be read: {error.strerror or error}.") from error
        except sessions.UnknownDay as unknown:
            raise FeedDown(f"The file {path} is not used: {unknown}") from unknown
        if table.problems:
            raise FeedDown(f"The file {path} is not used: {_in_words(table)}.")
        return found


def _world(now):
    today = sessions.today(now)
    return World(today, today, now, _close_of)


def _close_of(day: date) -> datetime:
    """When the session of a day closes, or the one before a day without session."""
    return sessions.session_close(sessions.sessions_before(day, 0))


def _in_words(table: Table) -> str:
    named = [str(problem) for problem in table.problems][:MOST_NAMED]
    more = table.problems.total - len(named)
    return "; ".join(named) + (f"; and {more:,} more" if more else "")


def _newest(table: Table, wanted: set[str], written: datetime) -> dict[str, Quote]:
    """The newest row of each symbol. Without a time of its own a price is as old as the file, not new each time."""
    found: dict[str, Quote] = {}
    for symbol, units, as_of in table.rows("symbol", "price", "as_of"):
        if symbol in wanted:
            quote = Quote(Decimal(units) / PRICE.unit, _moment(as_of, written))
            if symbol not in found or quote.as_of > found[symbol].as_of:
                found[symbol] = quote
    return found


def _moment(as_of, written):
    """The moment of a price: of a day its session's close, or the file's own where that is still to come."""
    if as_of is None:
        return written
    return as_of if isinstance(as_of, datetime) else min(_close_of(as_of), written)
