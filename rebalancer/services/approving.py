"""Approval: what the person saw is compared with what is there, then a worker stages the orders. Nothing is sent."""

import logging
from collections import defaultdict
from datetime import datetime
from decimal import Decimal

from django.db import OperationalError, transaction
from django.db.models import F, OuterRef, Subquery
from django.db.models.functions import JSONObject
from django.utils import timezone

from accounts.models import Account, Sleeve
from accounts.services import audit
from rebalancer import selectors
from rebalancer.models import Batch, Check, Entry, LotLine, TradeLine
from rebalancer.states import BatchState, EntryState
from trading import sessions
from trading.services import staging as trading
from trading.services.flat_moves import book_moves_without_orders
from trading.services.staging import Block, Move, Part, Sold
from trading.states import Side

from . import changes
from .deciding import lock, require, require_state
from .refusals import BookChanged, ProposalChanged, Refused, command

log = logging.getLogger(__name__)

CHECKED_AT_ONCE = 2000  # up to so many accounts are compared with the book before the button answers
TROUBLE_LENGTH = 400
KEPT_IN_AUDIT = 100  # accounts named in the line of a batch that comes back
OWN_ERROR = "The orders could not be staged because of an error of the program, which has been logged."


def approve(batch: Batch, *, by, version: int, accounts: int, net_dollars: Decimal) -> Batch:
    """Approve all open accounts of a pending batch, as the person saw it; a worker then stages the orders.

    `version`, `accounts` and `net_dollars` are what the page showed. Raises ProposalChanged when one differs,
    BookChanged naming accounts that are no longer what their proposals rest on, TooLate or NotAllowed.
    """
    try:
        return _approve(batch, by, version, accounts, net_dollars)
    except BookChanged as changed:
        changes.mark(batch, version, changed.accounts)
        raise


def _approve(batch, by, version, accounts, net_dollars):
    with command(by, "batch.approved", batch):
        batch = lock(batch)
        require(selectors.why_not_approve, batch, by)
        require_state(batch, BatchState.PENDING_APPROVAL)
        _require_seen(batch, version, accounts, net_dollars)
        if accounts <= CHECKED_AT_ONCE:
            _require_unchanged(batch)
        changes.unmark(batch)
        batch.approved_by, batch.approved_at, batch.trouble = by, timezone.now(), ""
        approved = {"approved_by": by, "approved_at": batch.approved_at, "trouble": ""}
        assert Batch.objects.filter(pk=batch.pk).move(BatchState.PENDING_APPROVAL, BatchState.APPROVING, **approved)
        batch.state = BatchState.APPROVING
        audit.record(by, "batch.approved", batch, version=version, accounts=accounts, net_dollars=net_dollars)
    return batch


def _require_seen(batch, version, accounts, net_dollars):
    now = selectors.stake(batch)
    seen, there = (accounts, Decimal(net_dollars)), (now.accounts, now.net_dollars)
    if version != batch.proposal_version or seen != there:
        raise ProposalChanged(version=version != batch.proposal_version, shown=seen, now=there)


def _require_unchanged(batch):
    """Compare each open account with the fingerprint its proposal was stored with; raises BookChanged."""
    if found := changes.since_proposing(batch):
        raise BookChanged(found)


# --- the worker's part ----------------------------------------------------------------------------------------


def finish_approval(batch_id: int) -> bool:
    """Stage the orders of an approved batch and end it, in one transaction; whether this call did it.

    The row lock is the claim: a second worker passes by, and a killed one has done nothing. Where staging is
    impossible the batch goes back to pending approval with the reason.
    """
    try:
        return _stage_and_complete(batch_id)
    except OperationalError:
        raise  # the database is gone, not the batch; the sweeper asks again
    except BookChanged as changed:
        return _send_back(batch_id, str(changed), changed.accounts)
    except Refused as refusal:
        return _send_back(batch_id, str(refusal))
    except Exception:
        log.exception("request %s could not be staged", batch_id)
        return _send_back(batch_id, OWN_ERROR)


@transaction.atomic
def _stage_and_complete(batch_id):
    batch = Batch.objects.select_for_update(skip_locked=True, of=("self",)).filter(pk=batch_id).first()
    if batch is None or batch.state != BatchState.APPROVING:
        return False
    proposed = Entry.objects.filter(batch=batch, state=EntryState.PROPOSED)
    _hold_accounts(proposed)
    _require_unchanged(batch)
    ticket = _stage(batch)
    _keep_what_was(proposed)
    _mark_rebalanced(batch, proposed)
    moved = proposed.move(EntryState.PROPOSED, EntryState.COMPLETE)
    book_moves_without_orders(ticket)
    ended = {"ticket": ticket, "ended_at": timezone.now(), "ended_by": batch.approved_by}
    assert Batch.objects.filter(pk=batch.pk).move(BatchState.APPROVING, BatchState.COMPLETE, **ended)
    audit.record(batch.approved_by, "batch.completed", batch, accounts=moved, ticket=ticket.pk)
    return True


def _hold_accounts(proposed):
    """Hold the accounts, in the order of ids, so that what was compared is what is staged."""
    accounts = Account.objects.filter(pk__in=proposed.values("account")).order_by("pk")
    list(accounts.select_for_update(no_key=True).values_list("pk", flat=True))


@transaction.atomic
def _send_back(batch_id, why, changed=()):
    batch = Batch.objects.select_for_update().get(pk=batch_id)
    back = {"trouble": why[:TROUBLE_LENGTH], "approved_by": None, "approved_at": None}
    if not Batch.objects.filter(pk=batch_id).move(BatchState.APPROVING, BatchState.PENDING_APPROVAL, **back):
        return False
    changes.mark(batch, batch.proposal_version, changed)
    audit.record(None, "batch.sent_back", batch, why=why, accounts=[str(one) for one in changed[:KEPT_IN_AUDIT]])
    return False


# --- orders ---------------------------------------------------------------------------------------------------


def _stage(batch):
    trades = list(
        TradeLine.objects.filter(entry__batch=batch, entry__state=EntryState.PROPOSED)
        .order_by("symbol", "side", "entry__account_number", "sleeve", "pk")
        .values(
            "entry", "entry__account", "security_id", "sleeve_id", "side", "price", "market_quantity", "flat_quantity"
        )
    )
    return trading.stage(
        label=str(batch), by=batch.approved_by, trade_date=batch.trade_date, blocks=_blocks(batch, trades),
        moves=_moves(trades),
    )  # fmt: skip


def _blocks(batch, trades):
    """One block for each security and side with the accounts' market quantities and the lots they sell."""
    lots = _lots_sold(batch)
    blocks = {}
    for trade in trades:
        if not trade["market_quantity"]:
            continue
        key = trade["security_id"], trade["side"]
        if key not in blocks:
            blocks[key] = Block(*key, trade["price"], [])
        taken = lots.get((trade["entry"], trade["sleeve_id"], trade["security_id"]), [])
        blocks[key].parts.append(_part(trade, taken))
    return blocks.values()


def _part(trade, taken):
    """The account's part of a block; `taken` are (lot id, quantity, cost, term) of each lot it sells."""
    lots = [[lot, str(quantity)] for lot, quantity, _, _ in taken]
    return Part(trade["entry__account"], trade["sleeve_id"], trade["market_quantity"], lots, _sold(taken))


def _sold(taken):
    known = [(term, quantity, cost) for _, quantity, cost, term in taken if cost is not None]

    def total(wanted, place):
        return sum((one[place] for one in known if one[0] == wanted), Decimal(0))

    return Sold(total("short", 1), total("short", 2), total("long", 1), total("long", 2), len(taken) - len(known))


def _lots_sold(batch):
    """(lot id, quantity, cost, term) of each lot sold, by entry, sleeve and security; oldest first."""
    sold = LotLine.objects.filter(entry__batch=batch, entry__state=EntryState.PROPOSED, use=LotLine.Use.SALE)
    rows = sold.order_by("entry", "acquired_on", "lot_id")
    lots = defaultdict(list)
    for *key, lot, quantity, cost, term in rows.values_list(
        "entry", "sleeve_id", "security_id", "lot_id", "quantity", "cost", "term"
    ):
        lots[tuple(key)].append((lot, quantity, cost, term))
    return lots


def _moves(trades):
    """Pair the sleeves that give shares flat with those that take them, account by account and security by security."""
    order = {pk: place for place, pk in enumerate(_sleeves_in_order())}
    ends: dict = defaultdict(lambda: {Side.SELL: [], Side.BUY: []})
    for trade in sorted(trades, key=lambda trade: order[trade["sleeve_id"]]):
        if trade["flat_quantity"]:
            pair = ends[trade["entry__account"], trade["security_id"]]
            pair[trade["side"]].append([trade["sleeve_id"], trade["flat_quantity"]])
    for (account, security), pair in sorted(ends.items()):
        for source, target, quantity in _paired(pair[Side.SELL], pair[Side.BUY]):
            yield Move(account, security, source, target, quantity)


def _sleeves_in_order():
    """Managed first, then models by name (bytes)."""
    rows = Sleeve.objects.values_list("pk", "model__name")
    return [pk for pk, name in sorted(rows, key=lambda row: (row[1] is not None, (row[1] or "").encode()))]


def _paired(givers, takers):
    """Walk down both lists of [sleeve, quantity] side by side: (giver, taker, quantity) of each move."""
    givers, takers = [list(one) for one in givers], [list(one) for one in takers]
    while givers and takers:
        quantity = min(givers[0][1], takers[0][1])
        yield givers[0][0], takers[0][0], quantity
        for side in (givers, takers):
            side[0][1] -= quantity
            if not side[0][1]:
                side.pop(0)
    assert not givers + takers, "flat sells and flat buys differ"


# --- accounts -------------------------------------------------------------------------------------------------


def _keep_what_was(proposed):
    """Keep with each entry what comes back should nothing be traded."""
    account = Account.objects.filter(pk=OuterRef("account"))
    kept = account.values(
        kept=JSONObject(
            last_rebalanced=F("last_rebalanced"),
            last_rebalanced_at=F("last_rebalanced_at"),
            rebalanced_to=F("rebalanced_to"),
            source=F("check_row__source"),
            needed_since=F("check_row__needed_since"),
        )
    )
    proposed.update(before_approval=Subquery(kept))


def _mark_rebalanced(batch, proposed):
    """Write on the accounts when and to what they were rebalanced; their checks start over."""
    at: datetime = batch.approved_at
    entry = proposed.filter(account=OuterRef("pk"))
    accounts = Account.objects.filter(pk__in=proposed.values("account"))
    assigned = Account.objects.filter(pk__in=proposed.filter(assigns_portfolio=True).values("account"))
    assigned.update(portfolio=Subquery(entry.values("portfolio")), portfolio_since=at)
    accounts.update(
        last_rebalanced=sessions.today(at),
        last_rebalanced_at=at,
        rebalanced_to=Subquery(entry.values("portfolio_version")),
        check_wanted_at=timezone.now(),
    )
    checks = Check.objects.filter(account__in=proposed.values("account"))
    checks.update(wanted=False, source="", needed_since=None)
