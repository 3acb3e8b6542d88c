"""Reads for pages and commands. What a person is shown starts from `visible_to(user)`, everywhere."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from django.db.models import Count, Exists, F, IntegerField, OuterRef, Q, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts.models import (
    Account,
    Component,
    Firm,
    Portfolio,
    Position,
    Restriction,
    RunRecord,
    Security,
    Sleeve,
    TaxStatus,
)
from rebalancer.engine.reasons import in_words
from rebalancer.models import Batch, Entry, LotLine, PositionLine, TradeLine
from rebalancer.states import ENDED_BATCHES, OPEN_BATCHES, OPEN_ENTRIES, BatchState, EntryState, Logic, Status
from trading import sessions
from trading.selectors import has_no_open_order, orders_lie_about

TILES = {
    "first_rebalance": "First Rebalance",
    "high_cash": "High Cash",
    "low_cash": "Low Cash",
    "position_drift": "Position Drift",
}
# Entries whose figures say what is or was going to be traded; those of the others are left from an earlier proposal.
WITH_FIGURES = (EntryState.PROPOSED, EntryState.COMPLETE, EntryState.CANCELLED)
KEPT_BY = (Restriction.Kind.NO_SELL, Restriction.Kind.DO_NOT_TRADE)  # what these are on, a liquidation leaves
# The open accounts of which the last approval found that they are no longer what their proposals rest on.
CHANGED = Q(state=EntryState.PROPOSED) & ~Q(changed="")
LYING_FOR = timedelta(seconds=45)
# A new batch waits since it was opened, or since it was last given back or asked for anew; see services.claims.
LIES_SINCE = Coalesce("claim_expires", "opened_at")

# --- accounts and the queue -----------------------------------------------------------------------------------


def accounts(user) -> QuerySet[Account]:
    """The open accounts this person sees, with their last check."""
    return every_account(user).filter(is_open=True)


def every_account(user) -> QuerySet[Account]:
    """The accounts this person sees, closed ones too, with their last check."""
    return Account.objects.visible_to(user).select_related("check_row")


def has_open_entry(account: str = "pk") -> Exists:
    """The condition on rows whose field `account` is an account's id: it has an open entry in some batch."""
    return Exists(Entry.objects.filter(account=OuterRef(account)).still_open())


def queue(user) -> QuerySet[Account]:
    """The accounts to rebalance: there is a reason, rebalancing is on, and nothing of it is under way."""
    return in_queue(accounts(user))


def in_queue(chosen: QuerySet[Account]) -> QuerySet[Account]:
    """Those of these open accounts that are in the queue, whoever looks."""
    wanted = chosen.filter(rebalancing_on=True, check_row__wanted=True)
    return wanted.exclude(has_open_entry()).filter(has_no_open_order())


def tile_counts(chosen: QuerySet[Account]) -> dict[str, int]:
    """How many of these accounts each tile has, and `all`; one query."""
    counts = {tile: Count("pk", filter=Q(**{f"check_row__{tile}": True})) for tile in TILES}
    return chosen.order_by().aggregate(all=Count("pk"), **counts)


def status_counts(chosen: QuerySet[Account]) -> dict[Status, int]:
    """How many of these accounts have each status; accounts never checked are in none."""
    rows = chosen.order_by().exclude(check_row=None).values_list("check_row__status").annotate(n=Count("pk"))
    found = dict(rows)
    return {status: found.get(status.value, 0) for status in Status}


def check_outdated() -> Q:
    """The condition on accounts whose last check is older than what it should have seen."""
    return Q(is_open=True, check_wanted_at__isnull=False) & (
        Q(check_row=None) | Q(check_row__checked_at__lt=F("check_wanted_at"))
    )


# --- what may be proposed -------------------------------------------------------------------------------------


def only_cash(portfolio: str) -> Exists:
    """The condition on rows whose field `portfolio` names a portfolio that is 100 % cash."""
    return Exists(Component.objects.filter(portfolio=OuterRef(portfolio), kind=Component.Kind.CASH, weight=100))


def holds_securities(account: str = "pk") -> Exists:
    """The condition on rows whose field `account` is an account: it holds what a liquidation could sell."""
    sellable = Position.objects.exclude(sleeve__kind=Sleeve.Kind.PROTECTED).exclude(security__kind=Security.Kind.SWEEP)
    return Exists(sellable.filter(account=OuterRef(account)))


def only_liquidated(account: Account, portfolios) -> bool:
    """Whether the account holds securities and each of these portfolios is 100 % cash: it can only be liquidated."""
    invested = Portfolio.objects.filter(pk__in=[one.pk for one in portfolios]).exclude(only_cash("pk"))
    return not invested.exists() and Account.objects.filter(holds_securities(), pk=account.pk).exists()


@dataclass(frozen=True, slots=True)
class SaleList:
    """What a liquidation would sell at most; whoever confirms it hands back its digest."""

    rows: list[dict]

    @property
    def digest(self) -> str:
        text = "\n".join(
            f"{row['account__number']}\t{row['sleeve']}\t{row['security__symbol']}\t{row['quantity']}\t{row['kept']}"
            for row in self.rows
        )
        return hashlib.sha256(text.encode()).hexdigest()

    def of(self, account_pks: Iterable[int]) -> "SaleList":
        """The part of it that these accounts would sell."""
        wanted = set(account_pks)
        return SaleList([row for row in self.rows if row["account"] in wanted])


def sale_list(chosen: QuerySet[Account]) -> SaleList:
    """The unprotected holdings of these accounts, by account number, sleeve and symbol.

    `kept` of a row is the restriction that forbids to sell it today, in words, or empty.
    """
    held = (
        Position.objects.filter(account__in=chosen.order_by().values("pk"))
        .exclude(sleeve__kind=Sleeve.Kind.PROTECTED)
        .exclude(security__kind=Security.Kind.SWEEP)
        .order_by("account__number", "sleeve", "security__symbol")
    )
    columns = (
        "account", "account__number", "account__name", "sleeve", "sleeve__kind", "sleeve__model__name", "security",
        "security__symbol", "security__name", "security__quantity_step", "quantity",
    )  # fmt: skip
    kept = _kept(chosen)
    return SaleList([{**row, "kept": kept.get((row["account"], row["security"]), "")} for row in held.values(*columns)])


def _kept(chosen):
    """{(account id, security id): the restriction that forbids to sell today, in words}."""
    today = sessions.today()
    found = Restriction.objects.filter(Q(end=None) | Q(end__gte=today), start__lte=today, kind__in=KEPT_BY)
    rows = found.filter(account__in=chosen.order_by().values("pk")).values_list("account", "security", "kind")
    return {(account, security): Restriction.Kind(kind).label.lower() for account, security, kind in rows}


# --- batches --------------------------------------------------------------------------------------------------


def _count(entries, **conditions):
    """A column with the number of a batch's entries among these."""
    chosen = entries.filter(batch=OuterRef("pk"), **conditions).order_by().values("batch").annotate(n=Count("pk"))
    return Coalesce(Subquery(chosen.values("n")), 0)


def batches(user) -> QuerySet[Batch]:
    """The batches this person sees, newest first, with counts of the accounts this person sees in each.

    Adds `accounts_count`, `open_count`, `failed_count`, `removed_count`, `complete_count`, `cancelled_count` and
    `first_number`, the number of its first account (for a batch of one).
    """
    entries = Entry.objects.visible_to(user)
    first = entries.filter(batch=OuterRef("pk")).order_by("account_number").values("account_number")[:1]
    return (
        Batch.objects.visible_to(user)
        .select_related("opened_by", "approved_by", "ended_by")
        .annotate(
            accounts_count=_count(entries),
            open_count=_count(entries, state__in=OPEN_ENTRIES),
            failed_count=_count(entries, state=EntryState.FAILED),
            removed_count=_count(entries, state=EntryState.REMOVED),
            complete_count=_count(entries, state=EntryState.COMPLETE),
            cancelled_count=_count(entries, state=EntryState.CANCELLED),
            first_number=Subquery(first),
        )
    )


def pending(user) -> QuerySet[Batch]:
    """The batches of the Pending Approval tab."""
    return batches(user).filter(state__in=OPEN_BATCHES)


def history(user) -> QuerySet[Batch]:
    """The ended batches, newest first."""
    return batches(user).filter(state__in=ENDED_BATCHES)


def entries(batch, user) -> QuerySet[Entry]:
    """The accounts of a batch that this person sees, by account number."""
    return Entry.objects.visible_to(user).filter(batch=batch).order_by("account_number")


def entries_of(account, user) -> QuerySet[Entry]:
    """The requests an account was in, newest first."""
    found = Entry.objects.visible_to(user).filter(account=account).select_related("batch__opened_by")
    return found.order_by("-batch__opened_at", "-pk")


def open_entry(account) -> Entry | None:
    """The entry by which the account is under way in a request, whoever opened that."""
    return Entry.objects.still_open().filter(account=account).select_related("batch").first()


def positions(entry) -> QuerySet[PositionLine]:
    return PositionLine.objects.filter(entry=entry).order_by("sleeve", "symbol", "pk")


def trades(entry) -> QuerySet[TradeLine]:
    return TradeLine.objects.filter(entry=entry).order_by("sleeve", "symbol", "side", "pk")


def lots(entry) -> QuerySet[LotLine]:
    return LotLine.objects.filter(entry=entry).order_by("sleeve", "symbol", "use", "acquired_on", "lot_id", "pk")


def position_note(position: PositionLine) -> str:
    """The note of a position in words; empty when there is nothing to say."""
    return _worded(position.note, position.other_symbol, position)


def trade_reason(trade: TradeLine, position: PositionLine | None) -> str:
    """Why this trade is made, in words, with the weight and bands of its position."""
    return _worded(trade.reason, trade.other_symbol, position)


def _worded(code, other, position):
    if position is None:
        return in_words(code, other=other)
    return in_words(
        code,
        other=other,
        weight=position.weight_before,
        threshold=(position.threshold_lower, position.threshold_upper),
        precision=(position.precision_lower, position.precision_upper),
    )


SUMMED = (
    "market_value", "managed_value", "cash_before", "cash_after", "buys", "buys_value", "sells", "sells_value",
    "flat_trades", "flat_value", "short_term_gain", "long_term_gain", "estimated_gain", "unknown_lots",
)  # fmt: skip
GAINS = ("short_term_gain", "long_term_gain", "estimated_gain", "unknown_lots")


def summary(chosen: QuerySet[Entry]) -> dict:
    """The totals of these entries: counts by state and of those that changed since they were proposed
    (`changed_count`), sums of their figures, `net_dollars`, and the taxable gains apart.

    Gains are the sums of known lots: 0 where nothing is sold, None where something is and none of it is known;
    `taxable_*` are those of taxable accounts. One query.
    """
    shown = Q(state__in=WITH_FIGURES)
    selling = shown & Q(sells__gt=0)  # the gain of an account that sells nothing is 0, which makes no other one known
    taxable = selling & Q(tax_status=TaxStatus.TAXABLE)
    sums = {f"sum_{name}": Sum(name, filter=shown) for name in SUMMED}
    sums |= {f"sum_{name}": Sum(name, filter=selling) for name in GAINS}
    sums |= {f"sum_taxable_{name}": Sum(name, filter=taxable) for name in GAINS}
    counts = {f"{state.value}_count": Count("pk", filter=Q(state=state)) for state in EntryState}
    counts["changed_count"] = Count("pk", filter=CHANGED)
    found = chosen.order_by().aggregate(accounts=Count("pk"), **counts, **sums)
    found = {name.removeprefix("sum_"): value for name, value in found.items()}  # aliases may not be names of fields
    found["net_dollars"] = net_dollars(found["buys_value"], found["sells_value"])
    return found | _gains(found, "") | _gains(found, "taxable_")


def _gains(found, of):
    """A gain that is no sum is unknown where lots of unknown cost are sold, and 0 where nothing is."""
    nothing = None if found[f"{of}unknown_lots"] else Decimal("0.00")
    return {f"{of}{name}": nothing for name in GAINS if name != "unknown_lots" and found[f"{of}{name}"] is None}


def net_dollars(buys_value: Decimal | None, sells_value: Decimal | None) -> Decimal:
    """What the market gets from the accounts: buys less sells; nothing proposed counts as 0."""
    return (buys_value or Decimal("0.00")) - (sells_value or Decimal("0.00"))


@dataclass(frozen=True, slots=True)
class Stake:
    """What approving would act on: the open accounts of a batch and their net dollars."""

    accounts: int
    net_dollars: Decimal


def stake(batch) -> Stake:
    """Of all open accounts of the batch, whoever asks."""
    open_entries = Entry.objects.filter(batch=batch).still_open()
    found = open_entries.aggregate(n=Count("pk"), buys=Sum("buys_value"), sells=Sum("sells_value"))
    return Stake(found["n"], net_dollars(found["buys"], found["sells"]))


# --- who may do what with a batch -----------------------------------------------------------------------------


def with_standing(chosen: QuerySet[Batch], user) -> QuerySet[Batch]:
    """Add to batches what decides whether this person may decide about them: the columns of STANDING."""
    open_entries = Entry.objects.still_open()
    changed = Batch.changed_by.through.objects.filter(batch=OuterRef("pk"), user=user.pk)
    return chosen.annotate(
        others_count=_count(open_entries) - _count(open_entries.visible_to(user)),
        may_decide=Value(user.has_perm("rebalancer.change_batch")),
        may_liquidate=Value(user.has_perm("rebalancer.liquidate")),
        four_eyes=Exists(Firm.objects.filter(four_eyes=True)) & Exists(changed),
    )


STANDING = ("logic", "others_count", "may_decide", "may_liquidate", "four_eyes")


def deciding_words(standing: dict) -> str:
    """Why the person may not cancel or re-propose a batch of this standing; empty when they may."""
    if not standing["may_decide"]:
        return "Your role does not decide about requests."
    return "Not every open account of this request is yours." if standing["others_count"] else ""


def trouble_words(trouble: str, others_count: int) -> str:
    """Why the last approval came back. It names accounts, so that whoever does not see all of them is told less."""
    return "Its orders could not be staged." if trouble and others_count else trouble


def approving_words(standing: dict) -> str:
    """Why the person may not approve a batch of this standing; empty when they may."""
    why = deciding_words(standing)
    if not why and standing["logic"] == Logic.LIQUIDATE and not standing["may_liquidate"]:
        return "Liquidations are approved by Operations."
    if not why and standing["four_eyes"]:
        return "Four eyes: whoever opened, re-proposed or switched a request may not approve it."
    return why


def why_not_decide(batch, user) -> str:
    """Why this person may not cancel or re-propose the batch, in words; empty when they may."""
    return deciding_words(_standing(batch, user))


def why_not_approve(batch, user) -> str:
    """Why this person may not approve the batch, in words; empty when they may."""
    return approving_words(_standing(batch, user))


def _standing(batch, user):
    return with_standing(Batch.objects.filter(pk=batch.pk), user).values(*STANDING).get()


# --- work at hand ---------------------------------------------------------------------------------------------


def at_work(user) -> QuerySet[Batch]:
    """The batches whose status is asked for until there are none."""
    return pending(user).exclude(state=BatchState.PENDING_APPROVAL)


def work_is_waiting() -> bool:
    """Whether work has been lying longer than a sweep takes to find it: the queue or its workers are down."""
    since = timezone.now() - LYING_FOR
    new = Q(state=BatchState.NEW, lies_since__lt=since)
    approved = Q(state=BatchState.APPROVING, approved_at__lt=since)
    expired = Q(state=BatchState.PROPOSING, claim_expires__lt=since)
    if Batch.objects.alias(lies_since=LIES_SINCE).filter(new | approved | expired).exists():
        return True
    if Account.objects.filter(check_outdated(), check_wanted_at__lt=since).exists():
        return True
    return orders_lie_about(since)


# --- the three tabs -------------------------------------------------------------------------------------------


class Rows(Subquery):
    """How many rows a query has, as a column."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) counted)"
    output_field = IntegerField()


def desk(user, queue: int | None = None) -> dict:
    """What stands on this person's desk, in one query: `queue`, `pending` and `history` are what the three tabs hold.

    `outdated` counts the accounts with a check older than it should be; `analysed_at` is when the last whole analysis
    ended, or None. Whoever has just counted the queue hands its number in, which spares the half of the work.
    """
    seen = Account.objects.visible_to(user).filter(is_open=True)
    batches_seen = Batch.objects.visible_to(user)
    analyses = RunRecord.objects.filter(kind=RunRecord.Kind.ANALYSIS, state=RunRecord.State.DONE)
    columns = {} if queue is not None else {"queue": in_queue(seen)}
    columns |= {
        "pending": batches_seen.filter(state__in=OPEN_BATCHES),
        "history": batches_seen.filter(state__in=ENDED_BATCHES),
        "outdated": seen.filter(check_outdated()),
    }
    counts = {name: Rows(rows.order_by().values("pk")) for name, rows in columns.items()}
    analysed = Subquery(analyses.order_by("-ended_at").values("ended_at")[:1])
    return {"queue": queue, **Firm.objects.values(**counts, analysed_at=analysed).get()}


def book(user) -> dict:
    """How many open accounts this person sees: `accounts`, `on` with rebalancing on, `checked` at all; one query.

    It reads every account, so it is for a page that has nothing to list.
    """
    seen = Account.objects.visible_to(user).filter(is_open=True).order_by()
    return seen.aggregate(
        accounts=Count("pk"), on=Count("pk", filter=Q(rebalancing_on=True)), checked=Count("check_row")
    )
