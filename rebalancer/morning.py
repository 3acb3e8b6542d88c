"""Reads of the home page: what came in, what was found, what waits and what needs somebody. Constant in queries."""

from dataclasses import dataclass
from datetime import date, datetime

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import F, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import JSONObject
from django.utils.dateparse import parse_date, parse_datetime

from accounts.models import Account, DeliveryFile, Firm, RunRecord
from accounts.selectors import prices_that_stop
from rebalancer import center, selectors
from rebalancer.models import Batch
from rebalancer.states import OPEN_BATCHES, BatchState, Status
from trading.models import Order
from trading.states import ENDED, OrderState

RUNS_SHOWN = 6
REQUESTS_SHOWN = 5
SOMEBODYS = (Status.UNABLE_TO_CHECK, Status.NEED_EXTRA_ATTENTION, Status.LIQUIDATION)  # no proposal mends these alone


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a step of the nightly chain, or of the same on demand; `refused` files of what an import brought."""

    pk: int
    kind: str
    state: RunRecord.State
    day: date | None
    started_at: datetime | None
    ended_at: datetime | None
    done: int
    total: int
    errors: int
    refused: int

    @classmethod
    def of(cls, row: dict) -> "Run":
        """From a row of `_newest_runs`, in which JSON has made text of dates."""
        imported = row["kind"] == RunRecord.Kind.IMPORT and row["state"] == RunRecord.State.DONE
        return cls(
            row["id"], RunRecord.Kind(row["kind"]).label, RunRecord.State(row["state"]),
            parse_date(row["business_day"]), parse_datetime(row["started_at"]),
            row["ended_at"] and parse_datetime(row["ended_at"]), row["done"], row["total"], len(row["errors"]),
            row["refused"] if imported else 0,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Need:
    """Something that a person should look at: how many, what one is and what several are, and what to do about it.

    `status` is one of the Rebalance Center's, `pending` says that the requests pending approval are meant, `prices` the
    questioned ones; `delivery` and `run` are whose record says what is wrong.
    """

    count: int
    one: str
    many: str
    hint: str
    status: Status | None = None
    pending: bool = False
    prices: bool = False
    delivery: int | None = None
    run: int | None = None


def facts(user) -> dict:
    """What stands on this person's desk and in the firm's records; one query.

    `pending`, `returned` (came back from approval), `outdated`, `staged` and `working` (block orders with accounts of
    theirs), `refused` (files of the last delivery), `delivery` and `session` (of that delivery), `questioned` (prices
    that stop their securities, for who may decide), `analysed_at`, and `runs`, the newest first.
    """
    seen = Account.objects.visible_to(user).filter(is_open=True)
    open_batches = Batch.objects.visible_to(user).filter(state__in=OPEN_BATCHES)
    orders = Order.objects.filter(allocations__account__in=Account.objects.visible_to(user)).distinct()
    last = DeliveryFile.objects.order_by("-delivery__session", "-delivery")
    counts: dict[str, QuerySet] = {
        "pending": open_batches,
        "returned": open_batches.filter(state=BatchState.PENDING_APPROVAL).exclude(trouble=""),
        "outdated": seen.filter(selectors.check_outdated()),
        "staged": orders.filter(state=OrderState.READY),
        "working": orders.exclude(state__in=[OrderState.READY, *ENDED]),
        "refused": DeliveryFile.objects.filter(
            delivery=Subquery(last.values("delivery")[:1]), state=DeliveryFile.State.REFUSED
        ),
        "questioned": prices_that_stop().filter(Value(user.sees_every_account)),
    }
    analyses = RunRecord.objects.filter(kind=RunRecord.Kind.ANALYSIS, state=RunRecord.State.DONE)
    found = Firm.objects.values(
        **{name: selectors.Rows(rows.order_by().values("pk")) for name, rows in counts.items()},
        session=Subquery(last.values("delivery__session")[:1]),
        delivery=Subquery(last.values("delivery")[:1]),
        analysed_at=Subquery(analyses.order_by("-ended_at").values("ended_at")[:1]),
        runs=ArraySubquery(_newest_runs()),
    ).get()
    return found | {"runs": [Run.of(row) for row in found["runs"]]}


def _newest_runs():
    columns = ("id", "kind", "state", "business_day", "started_at", "ended_at", "done", "total", "errors")
    rows = RunRecord.objects.order_by("-started_at", "-pk")
    while_it_ran = (OuterRef("started_at"), OuterRef("ended_at"))
    refused = DeliveryFile.objects.filter(state=DeliveryFile.State.REFUSED, delivery__received_at__range=while_it_ran)
    columns = {name: F(name) for name in columns} | {"refused": selectors.Rows(refused.order_by().values("pk"))}
    return rows.values(row=JSONObject(**columns))[:RUNS_SHOWN]


def requests(user) -> QuerySet[Batch]:
    """The newest requests that wait for somebody or for the worker."""
    return selectors.pending(user).order_by("-opened_at", "-pk")[:REQUESTS_SHOWN]


def needs(found: dict, standings: dict[Status, center.Standing]) -> list[Need]:
    """What needs somebody, the most urgent first; nothing that stands at 0."""
    newest = {run.kind: run for run in reversed(found["runs"])}
    failed = [run.pk for run in newest.values() if run.state == RunRecord.State.FAILED]
    every = [
        Need(found["returned"], "request came back", "requests came back",
             "Approved, and changed before its orders were staged.", pending=True),
        Need(len(failed), "run failed", "runs failed", "See what ran below; Operations can start it again.",
             run=failed[0] if failed else None),
        Need(found["refused"], "file refused", "files refused",
             "Of the last delivery. Operations deliver it again, corrected.", delivery=found["delivery"]),
        Need(found["questioned"], "price questioned", "prices questioned",
             "Not used until somebody decides; until then accounts that hold or want it cannot be checked.",
             prices=True),
        Need(found["pending"] - found["returned"], "request pending", "requests pending",
             "Cancelled at the end of the day unless approved.", pending=True),
        *(_of_status(status, standings[status].accounts) for status in SOMEBODYS),
    ]  # fmt: skip
    return [need for need in every if need.count]


def _of_status(status, accounts):
    return Need(accounts, f"account: {status.label}", f"accounts: {status.label}", center.MEANINGS[status], status)


def tiles(user) -> dict[str, int]:
    """How many accounts of the queue each tile has, and `all` of them."""
    return selectors.tile_counts(selectors.queue(user))
