"""What is due and what was left lying. Found here, in the database; the tasks then see to it that it is done."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.utils import timezone

from accounts.models import Account
from rebalancer import selectors
from rebalancer.models import Batch
from rebalancer.states import BatchState

from . import analysing, claims, days, runs, settling

LET_LIE = timedelta(seconds=10)  # its own message is given so long to arrive


@dataclass(frozen=True, slots=True)
class LeftLying:
    """Work that somebody has to be asked for again."""

    to_propose: list[int]
    to_finish: list[int]
    checks_wanted: bool
    to_settle: bool = False


@dataclass(frozen=True, slots=True)
class Due:
    """What the clock says should have been started by now and has not been."""

    end_of_day: bool
    analysis_of: date | None


def sweep(now: datetime | None = None) -> LeftLying:
    """Free what dead workers hold and close dead runs; return the work that lies about."""
    now = now or timezone.now()
    claims.release_expired(now)
    runs.close_dead(now)
    lying = Batch.objects.alias(lies_since=selectors.LIES_SINCE)
    new = lying.filter(state=BatchState.NEW, lies_since__lt=now - LET_LIE)
    approved = Batch.objects.filter(state=BatchState.APPROVING, approved_at__lt=now - LET_LIE)
    return LeftLying(
        to_propose=list(new.order_by("pk").values_list("pk", flat=True)),
        to_finish=list(approved.order_by("pk").values_list("pk", flat=True)),
        checks_wanted=Account.objects.filter(selectors.check_outdated()).exists(),
        to_settle=settling.unsettled().exists(),
    )


def due(now: datetime | None = None) -> Due:
    """What to start by firm settings and market calendar."""
    return Due(days.end_of_day_due(now) is not None, analysing.analysis_due(now))
