"""Reads of the Rebalance Center: how many accounts have each status, portfolio by portfolio, and which they are."""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from django.db.models import (
    Avg,
    Case,
    Count,
    Exists,
    F,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
    Window,
)
from django.db.models.functions import RowNumber

from accounts.listing.figures import plural, points_text
from accounts.models import Account, Firm, Portfolio, RunRecord, Transaction
from accounts.money import HUNDRED, amount
from accounts.selectors import last_prices
from rebalancer import flows, selectors
from rebalancer.models import Check, Entry
from rebalancer.states import Status
from rebalancer.statuses import capital
from trading.selectors import has_open_order

MEANINGS = {
    Status.OUT_OF_TOLERANCE: "A component triggers a rebalance",
    Status.INSIDE_OF_TOLERANCE: "No component triggers a rebalance",
    Status.UNABLE_TO_CHECK: "A price, value or delivery is missing or too old",
    Status.NEED_EXTRA_ATTENTION: "Somebody should look before anything is traded",
    Status.NEW_DEPOSIT: "Deposits above the limit since last rebalanced",
    Status.NEW_WITHDRAWAL: "Withdrawals above the limit since last rebalanced",
    Status.LIQUIDATION: "The target is all cash, and securities are held",
    Status.NO_PORTFOLIO: "No portfolio; rebalancing off or nothing held",
}
SEVERAL = "Several reasons"
LIQUIDATED = (Status.LIQUIDATION, Status.NO_PORTFOLIO)  # only ever proposed with Liquidate


@dataclass(frozen=True, slots=True)
class Because:
    """The most frequent reason among some accounts: a component with its mean drift in points, or words."""

    words: str
    accounts: int
    points: Decimal | None = None


@dataclass(slots=True)
class Held:
    """The accounts of one portfolio (None: of none) that have one status; `of` counts those of every status."""

    portfolio: int | None
    name: str
    accounts: int
    value: Decimal | None
    since: date | None
    of: int = 0
    because: Because | None = None

    @property
    def mostly(self):
        """What its accounts mostly share, and a note: how far off, in how many; both empty when nothing is known."""
        if self.because is None:
            return "", ""
        if self.because.accounts == 1 and self.accounts > 1:
            return "", SEVERAL
        among = f"in {plural(self.because.accounts, 'account')}"
        if self.because.points is not None:
            return self.because.words, f"{points_text(self.because.points)} {among}"
        return self.because.words, among if self.accounts > 1 else ""

    def add(self, row):
        """Count a part of its accounts, a row of `standings`; the largest part says why."""
        self.accounts += row["n"]
        self.value = _known(sum, self.value, row.get("value"))
        self.since = _known(min, self.since, row.get("since"))
        if row.get("what"):
            part = Because(row["what"], row["n"], row["points"])
            self.because = min(
                filter(None, (self.because, part)), key=lambda one: (-one.accounts, one.words, one.points or 0)
            )


def _known(of, *values):
    """The sum or least of those values that are known; None when none is."""
    known = [value for value in values if value is not None]
    return of(known) if known else None


@dataclass(slots=True)
class Standing:
    """One status: its accounts, and the portfolios they are held to, those with most of them first."""

    status: Status
    held: list[Held] = field(default_factory=list)

    @property
    def accounts(self):
        return sum(one.accounts for one in self.held)

    @property
    def portfolios(self):
        return sum(one.portfolio is not None for one in self.held)

    @property
    def without(self):
        """How many of its accounts are held to no portfolio."""
        return sum(one.accounts for one in self.held if one.portfolio is None)


def standings(user, *, explained: bool = False) -> dict[Status, Standing]:
    """Every status with the accounts that this person sees, in the order of MEANINGS; one query over the checks.

    Each account is in exactly one of them; accounts that were never checked are in none. `explained`: portfolios of Out
    of Tolerance get their `because`, too, which would be as long a query of its own.
    """
    parts = _parts_of_out_of_tolerance() if explained else {}
    rows = (
        _checked(user)
        .values("check_row__status", "portfolio", "portfolio__name", **parts)
        .annotate(n=Count("pk"), value=Sum("check_row__market_value"), since=Min("check_row__needed_since"))
    )
    return _added_up(rows.annotate(points=Avg("check_row__drift")) if parts else rows)


def counted(user) -> dict[Status, Standing]:
    """The same without names, values and dates, for whoever only counts, which takes a third less time."""
    return _added_up(_checked(user).values("check_row__status", "portfolio").annotate(n=Count("pk")))


def _added_up(rows):
    found = {status: Standing(status) for status in MEANINGS}
    helds, of = dict[tuple[int, int | None], Held](), dict[int | None, int]()
    for row in rows:
        key = row["check_row__status"], row["portfolio"]
        if key not in helds:
            helds[key] = Held(row["portfolio"], row.get("portfolio__name") or "No portfolio", 0, None, None)
            found[Status(row["check_row__status"])].held.append(helds[key])
        helds[key].add(row)
        of[row["portfolio"]] = of.get(row["portfolio"], 0) + row["n"]
    for standing in found.values():
        standing.held.sort(key=lambda one: (-one.accounts, one.name))
        for held in standing.held:
            held.of = of[held.portfolio]
    return found


def _parts_of_out_of_tolerance():
    """What its accounts are counted by besides: `what` is furthest out, and on which `side`.

    A drift has a side, so that a component above its target and the same below are two reasons.
    """
    out = Q(check_row__status=Status.OUT_OF_TOLERANCE)
    return {
        "what": Case(When(out, then=F("check_row__drift_of")), default=Value("")),
        "side": Case(When(out & Q(check_row__drift__gt=0), then=Value(1)), default=Value(0)),
    }


def mostly_because(user, status: Status) -> dict[int | None, Because]:
    """The reason that most accounts of this status have in common, by portfolio id; one query."""
    rows = (
        _checked(user)
        .filter(check_row__status=status)
        .values("portfolio", what=F("check_row__reason"))
        .annotate(n=Count("pk"))
        .annotate(
            place=Window(RowNumber(), partition_by=F("portfolio"), order_by=[Count("pk").desc(), F("what").asc()])
        )
        .filter(place=1)
    )
    return {row["portfolio"]: Because(row["what"], row["n"]) for row in rows if row["what"]}


def _checked(user):
    return Account.objects.visible_to(user).filter(is_open=True, check_row__isnull=False).order_by()


def analysed(user) -> dict:
    """`analysed_at`, when the last whole analysis ended (or None), and `outdated`, how many checks should be newer."""
    analyses = RunRecord.objects.filter(kind=RunRecord.Kind.ANALYSIS, state=RunRecord.State.DONE)
    outdated = Account.objects.visible_to(user).filter(selectors.check_outdated())
    return Firm.objects.values(
        analysed_at=Subquery(analyses.order_by("-ended_at").values("ended_at")[:1]),
        outdated=selectors.Rows(outdated.order_by().values("pk")),
    ).get()


def portfolios(user) -> QuerySet[Portfolio]:
    """The portfolios that any open account of this person is held to."""
    held = Account.objects.visible_to(user).filter(is_open=True, portfolio=OuterRef("pk"))
    return Portfolio.objects.filter(Exists(held))


def of_status(user, status: Status, portfolio: int | None) -> QuerySet[Account]:
    """The accounts of this status held to this portfolio (None: to none), with `in_request` and `ordered`.

    Nobody is listed for liquidation whose target is no longer all cash, whatever the last check says.
    """
    chosen = selectors.accounts(user).filter(check_row__status=status, portfolio=portfolio)
    if status in LIQUIDATED and portfolio is not None:
        chosen = chosen.filter(selectors.only_cash("portfolio"))
    entries = Entry.objects.filter(account=OuterRef("pk")).still_open()
    ordered = Case(When(has_open_order(), then=Value(True)), default=Value(False))
    return chosen.annotate(in_request=Subquery(entries.values("batch")[:1]), ordered=ordered)


# --- what stands behind the status of one account --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reason:
    """A standing reason of Need Extra Attention."""

    key: str
    words: str
    acknowledged: bool


def reasons(check: Check) -> list[Reason]:
    """The standing reasons that a check found."""
    return [Reason(one["key"], capital(one["words"]), one["key"] in check.acknowledged) for one in check.attention]


def digest(check: Check) -> str:
    """What the standing reasons were when somebody looked, to be handed back with what they decide."""
    return hashlib.sha256(json.dumps(check.attention, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Flow:
    """A deposit or withdrawal with what it adds to the account in dollars; `in_kind` where shares moved."""

    transaction: Transaction
    dollars: Decimal
    in_kind: bool


@dataclass(frozen=True, slots=True)
class Flows:
    """The deposits and withdrawals that the last rebalance has not seen, oldest first, and the limit of their sum."""

    rows: list[Flow]
    limit: Decimal

    @property
    def net(self):
        return sum((row.dollars for row in self.rows), Decimal("0.00"))


def new_flows(account: Account, check: Check) -> Flows:
    """What New Deposit and New Withdrawal add up, as of the day of the check; in kind at the last price that counts."""
    found = Transaction.objects.filter(account=account, kind__in=flows.EXTERNAL, date__lte=check.business_day)
    last = {"last_rebalanced": account.last_rebalanced, "approved_at": account.last_rebalanced_at}
    new = [
        one
        for one in found.select_related("security").order_by("date", "pk")
        if flows.is_new(one.date, one.recorded_at, day=check.business_day, **last)
    ]
    prices = last_prices([one.security_id for one in new if not one.amount])
    firm = Firm.current()
    limit = max(firm.flow_dollars, amount(firm.flow_percent * (check.managed_value or 0) / HUNDRED))
    return Flows([_flow(one, prices.get(one.security_id)) for one in new], limit)


def _flow(one, price):
    value = flows.dollars(one, price and price.price)
    return Flow(one, value, in_kind=not one.amount and bool(one.quantity))
