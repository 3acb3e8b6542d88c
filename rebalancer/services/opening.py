"""Opening a batch: the chosen accounts are frozen, whoever may not be proposed is left out and named."""

from dataclasses import dataclass
from datetime import date

from django.core.exceptions import EmptyResultSet
from django.db import IntegrityError, connection
from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, When

from accounts.models import Account, Portfolio
from accounts.models.holdings import seen_by
from accounts.services import audit
from rebalancer import selectors
from rebalancer.models import Batch, Entry
from rebalancer.states import Logic
from trading import sessions
from trading.selectors import accounts_ordered_for

from . import eligibility
from .refusals import LeftOut, NotAllowed, NothingLeft, Refused, SelectionChanged, TooLate, command

LEFT_OUT_KEPT = 200  # accounts left out that the audit line names
TRIES = 5  # each in vain means that another request was opened for some of the accounts in that moment
ONE_OPEN_ENTRY = "one_open_entry_per_account"

OPEN_ORDER = "it has an open order"
COPIED = ("number", "name", "tax_status", "lot_method", "portfolio_id")  # of an account, as it is when chosen


@dataclass(frozen=True, slots=True)
class Opened:
    """The new batch, how many accounts are in it, and those left out."""

    batch: Batch
    accounts: int
    left_out: list[LeftOut]


@dataclass(frozen=True, slots=True)
class Terms:
    """How the accounts are to be proposed."""

    logic: Logic
    trade_date: date
    portfolio: Portfolio | None = None  # instead of the account's own; assigned at approval
    although_off: bool = False  # the person confirmed that rebalancing is off


def open_batch(
    *,
    by,
    accounts: QuerySet[Account],
    shown: int,
    logic: str,
    trade_date: date | None = None,
    portfolio: Portfolio | None = None,
    although_off: bool = False,
    confirmed: str = "",
) -> Opened:
    """Freeze the chosen accounts into a new batch, which waits for a worker; no order is placed.

    `shown` is the number the person saw; `portfolio` and `although_off` (rebalancing is off, and the person confirmed
    it) are for an account's own Rebalance button, so for one account; `confirmed` is the digest of the
    `selectors.sale_list` that somebody of Operations confirmed for a liquidation. Raises Refused in one of its kinds.
    """
    terms = Terms(Logic(logic), trade_date or sessions.today(), portfolio, although_off)
    for _ in range(TRIES):
        try:
            return _open(by, accounts, shown, terms, confirmed)
        except IntegrityError as error:  # undone; the next try sees who took them, leaves them out and names them
            if not _taken_meanwhile(error):
                raise
    raise TooLate("Other requests took some of these accounts this very moment. Nothing was done; try again.")


def _taken_meanwhile(error):
    return error.__cause__.diag.constraint_name == ONE_OPEN_ENTRY


def _open(by, accounts, shown, terms, confirmed):
    with command(by, "batch.opened"):
        _require_role(by, terms)
        batch = Batch.objects.create(
            opened_by=by, logic=terms.logic, trade_date=terms.trade_date, although_off=terms.although_off
        )
        frozen = _freeze(batch, accounts, terms, by)
        _require_chosen(frozen, shown)
        _require_one(batch, frozen, terms)
        _require_confirmed(batch, frozen, terms, confirmed)
        left_out = _left_out(batch, frozen.whys | _ordered(batch))
        batch.total = frozen.chosen - len(left_out)
        if not batch.total:
            raise NothingLeft(left_out)
        audit.record(
            by, "batch.opened", batch, logic=batch.logic, entries=batch.total, trade_date=batch.trade_date,
            left_out=len(left_out), named=[str(one) for one in left_out[:LEFT_OUT_KEPT]],
        )  # fmt: skip
        return Opened(batch, batch.total, left_out)


def _require_role(by, terms):
    if not by.has_perm("rebalancer.add_batch"):
        raise NotAllowed("Your role does not open requests.")
    if terms.logic == Logic.LIQUIDATE and not by.has_perm("rebalancer.liquidate"):
        raise NotAllowed("Liquidations are proposed by Operations.")


@dataclass(frozen=True, slots=True)
class Frozen:
    """How many accounts were chosen, how many of these are somebody else's, and why which ones were left out.

    A why is empty where the account was taken by another batch.
    """

    chosen: int
    unseen: int
    whys: dict[int, str]


# The whole of it is one statement, so its cost does not depend on how the accounts were chosen, and what is counted is
# what is added. Entries go in by the order of ids, so that two of these cannot block each other. Whoever is seen in
# another batch is passed over. Where that batch is just being opened, the database waits for it, and the partial unique
# constraint then ends this one: `open_batch` tries again. To pass over these too (ON CONFLICT) would make the database
# ask three indexes for each account before it adds it, a fifth of the time, for what hardly ever happens.
FREEZE = """
WITH chosen (account_id, visible, taken, why, number, name, tax_status, lot_method, portfolio_id) AS MATERIALIZED (
    {chosen}
),
opener AS (INSERT INTO rebalancer_batch_changed_by (batch_id, user_id) VALUES (%s, %s)),
added AS (
    INSERT INTO rebalancer_entry (
        batch_id, account_id, state, reason, portfolio_id, assigns_portfolio, fingerprint, account_number,
        account_name, tax_status, portfolio_name, lot_method, unknown_lots, drift_of, not_traded
    )
    SELECT %s, account_id, 'waiting', '', target.id, target.id IS DISTINCT FROM portfolio_id, '',
           number, chosen.name, tax_status, COALESCE(target.name, ''), lot_method, 0, '', false
    FROM chosen LEFT JOIN accounts_portfolio target ON target.id = COALESCE(%s, portfolio_id)
    WHERE visible AND NOT taken AND why = ''
    ORDER BY account_id
),
counted AS (
    UPDATE rebalancer_batch SET total = (SELECT COUNT(*) FROM chosen WHERE visible AND NOT taken AND why = '')
    WHERE id = %s
)
SELECT COUNT(*), COUNT(*) FILTER (WHERE NOT visible),
       COALESCE(array_agg(account_id) FILTER (WHERE taken OR why <> ''), '{{}}'),
       COALESCE(array_agg(why) FILTER (WHERE taken OR why <> ''), '{{}}')
FROM chosen
"""


def _freeze(batch, accounts, terms, by) -> Frozen:
    """Add a waiting entry for each chosen account that may be proposed and is free, and note who opened the batch."""
    visible = Case(When(Q(pk__isnull=False) & seen_by(by), then=True), default=False)  # no advisor is nobody, not NULL
    taken = Exists(Entry.objects.still_open().filter(account=OuterRef("pk")))
    portfolio = terms.portfolio.pk if terms.portfolio else None
    chosen = eligibility.with_why_not(accounts.order_by(), terms.logic, portfolio, terms.although_off)
    columns = chosen.annotate(seen=visible, taken=taken).values_list("pk", "seen", "taken", "why_not", *COPIED)
    try:
        sql, values = columns.query.sql_with_params()
    except EmptyResultSet:  # nothing given is nothing, not all
        return Frozen(0, 0, {})
    with connection.cursor() as cursor:
        cursor.execute(FREEZE.format(chosen=sql), [*values, batch.pk, by.pk, batch.pk, portfolio, batch.pk])
        count, unseen, pks, whys = cursor.fetchone()
    return Frozen(count, unseen, dict(zip(pks, whys, strict=True)))


def _require_chosen(frozen, shown):
    """What the person saw is what was frozen, and all of it is theirs to see."""
    if frozen.chosen != shown:
        raise SelectionChanged(shown=shown, found=frozen.chosen)
    if not frozen.chosen:
        raise Refused("No account is chosen.")
    if frozen.unseen:
        raise NotAllowed("The selection holds accounts that are not yours. Nothing was done.")


def _chosen(batch, frozen):
    """The accounts that were chosen, taken or left out."""
    return Account.objects.filter(Q(entries__batch=batch) | Q(pk__in=frozen.whys)).distinct()


def _require_one(batch, frozen, terms):
    """What only an account's own Rebalance button may ask."""
    if not (terms.portfolio or terms.although_off):
        return
    if frozen.chosen != 1:
        raise Refused("Another portfolio, or rebalancing an account that is off, is chosen for one account at a time.")
    if terms.portfolio:
        linked = Q(linked_portfolios=terms.portfolio) | Q(portfolio=terms.portfolio)
        if not Account.objects.filter(linked, pk__in=_chosen(batch, frozen)).exists():
            raise Refused(f"{terms.portfolio} is not linked to this account.")


def _require_confirmed(batch, frozen, terms, confirmed):
    if terms.logic == Logic.LIQUIDATE and confirmed != selectors.sale_list(_chosen(batch, frozen)).digest:
        raise Refused("What would be sold is not what was confirmed; look at the list again.")


def _ordered(batch) -> dict[int, str]:
    """Take out the accounts with an open order. This comes last: whoever was seen as free a moment ago, because an
    approval had just staged their orders, has these by now.
    """
    entries = Entry.objects.filter(batch=batch)
    ordered = accounts_ordered_for(entries.filter(account=OuterRef("account")))
    if ordered:
        entries.filter(account__in=ordered).delete()
        Batch.objects.filter(pk=batch.pk).update(total=F("total") - len(ordered))
    return dict.fromkeys(ordered, OPEN_ORDER)


def _left_out(batch, whys) -> list[LeftOut]:
    """Name those who were left out, by account number, with who took the ones that were taken."""
    if not whys:
        return []
    whys = whys | _who_took({pk for pk, why in whys.items() if not why}, batch)
    names = Account.objects.filter(pk__in=whys).order_by("number").values_list("pk", "number", "name")
    return [LeftOut(number, name, whys[pk]) for pk, number, name in names]


def _who_took(taken, batch) -> dict[int, str]:
    if not taken:
        return {}
    held = Entry.objects.still_open().filter(account__in=taken).exclude(batch=batch)
    words = {entry.account_id: f"it is in {str(entry.batch).lower()}" for entry in held.select_related("batch")}
    return {pk: words.get(pk, "it was in another request a moment ago") for pk in taken}
