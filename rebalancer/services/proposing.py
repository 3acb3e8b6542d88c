"""Proposing a batch: prices are frozen once, then its accounts are loaded, proposed and stored chunk by chunk.

A worker may be killed anywhere: what a chunk stored is complete, and the next worker goes on with the accounts waiting.
"""

import logging
import time
from contextlib import suppress
from dataclasses import replace

from django.db import DatabaseError, DataError, IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from accounts.bulk import one_moment
from accounts.models import Account, Component, ModelWeight, Portfolio, Position, Restriction, Security
from accounts.services import audit
from rebalancer import engine, quotes, storing
from rebalancer.loading import EPOCH, Loaded, load
from rebalancer.models import Batch, BatchPrice, Entry
from rebalancer.quotes import Quote, Quotes
from rebalancer.states import OTHER_LOGIC, BatchState, EntryState
from rebalancer.storing import BookMoved, Other
from rebalancer.tallies import Outcome

from . import claims, eligibility, lateness
from .claims import NO_CLAIM, ClaimLost

log = logging.getLogger(__name__)

ACCOUNTS_AT_ONCE = 1000
# What an account's figures can break; a database that is gone, or a lost claim, is nobody's figures.
OF_AN_ACCOUNT = (
    ArithmeticError, AssertionError, AttributeError, DataError, IntegrityError, LookupError, TypeError, ValueError,
)  # fmt: skip
OWN_ERROR = "It could not be proposed because of an error of the program, which has been logged."


def propose_batch(batch_id: int, patience: float | None = None) -> bool:
    """Propose the waiting accounts of a new batch in this process; whether there is more to do.

    Does nothing to a batch that is held by another worker or not new. With `patience` (seconds) it stops after the
    chunk in which they run out and lets go, so that the caller can ask for the rest.
    """
    token = claims.take(batch_id)
    if token is None:
        return False
    deadline = time.monotonic() + patience if patience is not None else None
    try:
        _freeze_prices(batch_id, token)
        while chunk := _next_chunk(batch_id):
            _propose_chunk(batch_id, token, chunk)
            if deadline is not None and time.monotonic() > deadline:
                claims.give_back(batch_id, token)
                return True
        _finish(batch_id, token)
    except ClaimLost as lost:
        log.warning("%s: its late result is dropped", lost)
    except Exception:
        with suppress(DatabaseError):  # where the database is gone, the claim expires
            claims.give_back(batch_id, token)
        raise
    return False


# --- prices ---------------------------------------------------------------------------------------------------


@transaction.atomic
def _freeze_prices(batch_id, token):
    """Take the newest usable quotes, unless the batch has prices already."""
    claims.renew(batch_id, token)
    batch = Batch.objects.get(pk=batch_id)
    if batch.priced_at is not None:
        return
    usable = quotes.newest().usable
    concerned = _securities_concerned(batch).values_list("pk", "symbol", "name").order_by("pk")
    rows = [
        BatchPrice(
            batch=batch, security_id=pk, symbol=symbol, name=name, price=usable[pk].price, as_of=usable[pk].as_of,
            source=usable[pk].source,
        )
        for pk, symbol, name in concerned
        if pk in usable
    ]  # fmt: skip
    BatchPrice.objects.bulk_create(rows, batch_size=5000)
    Batch.objects.filter(pk=batch_id).update(priced_at=timezone.now())


def _securities_concerned(batch):
    """What the accounts of the batch hold, and all that any target asks for."""
    security = OuterRef("pk")
    accounts = Entry.objects.filter(batch=batch).values("account")
    return Security.objects.filter(
        Q(Exists(Component.objects.filter(security=security)))
        | Q(Exists(ModelWeight.objects.filter(security=security)))
        | Q(Exists(Restriction.objects.filter(substitute=security)))
        | Q(pk__in=Position.objects.filter(account__in=accounts).values("security"))
    )


def frozen_prices(batch, unusable: dict[int, str] | None = None) -> Quotes:
    """The batch's prices as loading takes them; `unusable` says why securities have none, where that is known."""
    rows = BatchPrice.objects.filter(batch=batch).values_list("security_id", "price", "as_of", "source")
    frozen = {security: Quote(price, as_of, source) for security, price, as_of, source in rows}
    return Quotes(frozen, unusable or {})


# --- chunks ---------------------------------------------------------------------------------------------------


def _next_chunk(batch_id):
    waiting = Entry.objects.filter(batch=batch_id, state=EntryState.WAITING).order_by("account")
    return list(waiting[:ACCOUNTS_AT_ONCE])


def _propose_chunk(batch_id, token, entries):
    """Propose these accounts together; where that breaks, in halves, so that an account that breaks it fails alone."""
    try:
        _propose_together(batch_id, token, entries)
    except BookMoved:
        log.info("request %s: the book moved under %d accounts, which are loaded again", batch_id, len(entries))
    except OF_AN_ACCOUNT:
        log.exception("request %s: %d accounts from %s on", batch_id, len(entries), entries[0].account_number)
        if len(entries) == 1:
            _fail(batch_id, token, entries)
            return
        middle = len(entries) // 2
        _propose_chunk(batch_id, token, entries[:middle])
        _propose_chunk(batch_id, token, entries[middle:])


def _propose_together(batch_id, token, entries):
    claims.renew(batch_id, token)
    batch = Batch.objects.get(pk=batch_id)
    with one_moment():
        pks = [entry.account_id for entry in entries]
        wrong = lateness.late(pks, lateness.oldest_delivery()) | _not_eligible(batch, entries)
        fit = [entry for entry in entries if entry.account_id not in wrong]
        loaded = load_entries(batch, fit, quotes.newest().unusable)
    proposal = engine.propose(loaded.book, batch.logic, _trade_day(batch))
    other = _other_logic(batch, loaded)
    loaded = replace(loaded, refused=loaded.refused | wrong)
    with transaction.atomic():
        claims.renew(batch_id, token, done=F("done") + len(entries))
        _follow_portfolios(fit, loaded)
        keys = {entry.account_id: entry.pk for entry in entries}
        storing.store(keys, loaded, proposal, loaded.fingerprints(), other)
        assert not _waiting(entries).exists(), "an entry was neither proposed nor failed"


def _trade_day(batch):
    return (batch.trade_date - EPOCH).days


def _other_logic(batch, loaded) -> Other | None:
    """What the logic that the batch is compared with would do; what breaks it doesn't break the proposals."""
    logic = OTHER_LOGIC.get(batch.logic)
    if logic is None:
        return None
    try:
        return Other(logic, Outcome(loaded, engine.propose(loaded.book, logic, _trade_day(batch))))
    except OF_AN_ACCOUNT:
        log.exception("request %s: its accounts are proposed without a comparison with %s", batch.pk, logic)
        return None


def _not_eligible(batch, entries):
    """Who may no longer be proposed as it was when the batch was opened; one that is off only if that is confirmed."""
    pks = [entry.account_id for entry in entries]
    assigned = entries[0].portfolio_id if entries[0].assigns_portfolio else None
    return eligibility.why_not(pks, batch.logic, assigned, although_off=batch.although_off)


def load_entries(batch, entries, unusable: dict[int, str] | None = None) -> Loaded:
    """The accounts of these entries as the batch proposes them: at its prices, for the portfolios it assigns.

    Needs no market calendar (`quotes.newest` does), so that a page can ask for it.
    """
    pks = [entry.account_id for entry in entries]
    assigned = {entry.account_id: entry.portfolio_id for entry in entries if entry.assigns_portfolio}
    return load(pks, batch.trade_date, prices=frozen_prices(batch, unusable), portfolios=assigned)


def _follow_portfolios(entries, loaded):
    """An account that got another portfolio since its batch was opened is proposed for that one."""
    targets = {fact["pk"]: fact["target"] for fact in loaded.facts}
    for entry in entries:
        target = targets.get(entry.account_id, entry.portfolio_id)
        if target != entry.portfolio_id:
            name = Portfolio.objects.filter(pk=target).values_list("name", flat=True).first() or ""
            Entry.objects.filter(pk=entry.pk).update(portfolio=target, portfolio_name=name)


def _waiting(entries):
    return Entry.objects.filter(pk__in=[entry.pk for entry in entries], state=EntryState.WAITING)


def _fail(batch_id, token, entries):
    with transaction.atomic():
        claims.renew(batch_id, token, done=F("done") + len(entries))
        storing.forget([entry.pk for entry in entries])
        _waiting(entries).move(EntryState.WAITING, EntryState.FAILED, reason=OWN_ERROR)


# --- the end --------------------------------------------------------------------------------------------------


@transaction.atomic
def _finish(batch_id, token):
    """All accounts are proposed or failed: the batch is pending approval, or failed with the last of them."""
    claims.renew(batch_id, token)
    batch = Batch.objects.get(pk=batch_id)
    entries = Entry.objects.filter(batch=batch)
    proposed = entries.filter(state=EntryState.PROPOSED).count()
    failed = Account.objects.filter(pk__in=entries.filter(state=EntryState.FAILED).values("account")).want_check()
    now = timezone.now()
    target = BatchState.PENDING_APPROVAL if proposed else BatchState.FAILED
    ended = {} if proposed else {"ended_at": now}
    claims.held(batch_id, token).move(BatchState.PROPOSING, target, proposed_at=now, **NO_CLAIM, **ended)
    verb = "batch.proposed" if proposed else "batch.failed"
    audit.record(None, verb, batch, version=batch.proposal_version, proposed=proposed, failed=failed)
