"""The drift analysis with its run record: nightly, on demand, and for the accounts of which a check is wanted."""

import logging
from collections.abc import Callable
from datetime import date, datetime

from accounts.models import Account, Firm, RunRecord
from rebalancer import selectors
from trading import sessions
from trading.feeds.base import FeedDown
from trading.services import quotes

from . import checks, days, runs

log = logging.getLogger(__name__)

KIND = RunRecord.Kind.ANALYSIS
RECHECKED_AT_ONCE = 5000


def analyse(
    as_of: date | None = None, *, by=None, progress: Callable[[int, int], None] | None = None
) -> dict[str, int]:
    """Check every open account now; return how many accounts have each tile and status, by their names."""
    record = runs.start(KIND, as_of or sessions.today(), by=by)
    assert record is not None, "an unscheduled run is never refused"
    return _run(record, as_of, progress)


def analysis_due(now: datetime | None = None) -> date | None:
    """The last day of the market on which the nightly chain should have begun, when it has not been run; else None."""
    day = sessions.today(sessions.latest(Firm.current().nightly_at, now))
    return day if sessions.is_session(day) and not runs.is_done(KIND, day) else None


def nightly(day: date) -> dict[str, int] | None:
    """The chain of that business day: prices, the end of day, unless these were run, then the analysis.

    None when it was run. Without an answer of the feed it goes on, and prices that are too old stop their accounts.
    """
    record = runs.start(KIND, day, scheduled=True)
    if record is None:
        return None
    _prices(day)
    days.end_of_day_if_due()
    return _run(record, None, None)


def _prices(day):
    """The step of prices: what the feed says now; of quotes of earlier days the last ones stay."""
    record = runs.start(RunRecord.Kind.PRICES, day, scheduled=True)
    if record is None:
        return
    try:
        with runs.recorded(record):
            dropped = quotes.prune()
            counts = quotes.refresh()
            runs.close(record, RunRecord.State.DONE, counts={**counts.as_dict(), "pruned": dropped})
    except FeedDown as down:
        RunRecord.objects.filter(pk=record.pk).update(errors=[str(down)])
        log.warning("The night's prices are missing: %s", down)


def _run(record, as_of, progress):
    with runs.recorded(record) as keep:

        def told(done, total):
            keep(done, total)
            if progress:
                progress(done, total)

        checks.analyse(as_of=as_of, progress=told)
        counts = counted()
        RunRecord.objects.filter(pk=record.pk).update(counts=counts)
    return counts


def counted() -> dict[str, int]:
    """How many accounts have each tile (rebalancing on, in the queue) and each status (all open ones), by name."""
    accounts = Account.objects.filter(is_open=True)
    tiles = selectors.tile_counts(selectors.in_queue(accounts))
    statuses = selectors.status_counts(accounts)
    return {name: tiles[tile] for tile, name in selectors.TILES.items()} | {
        status.label: count for status, count in statuses.items()
    }


def recheck() -> int:
    """Check accounts of which a check is wanted, some thousand at a time; return how many. One process at once."""
    with runs.only_one("recheck") as alone:
        if not alone:
            return 0
        wanted = Account.objects.filter(selectors.check_outdated()).order_by("check_wanted_at", "pk")
        pks = list(wanted.values_list("pk", flat=True)[:RECHECKED_AT_ONCE])
        if pks:
            checks.analyse(account_pks=pks)
        return len(pks)
