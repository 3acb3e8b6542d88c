"""What people do with a pending batch: cancel it, remove accounts, propose it anew."""

from collections.abc import Callable

from django.db import IntegrityError
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from accounts.services import audit
from rebalancer import selectors
from rebalancer.models import Batch, BatchPrice, Entry
from rebalancer.states import CANCELLABLE, OPEN_ENTRIES, BatchState, EntryState, Logic
from trading.selectors import has_open_order

from .claims import NO_CLAIM, nobodys
from .refusals import LeftOut, NotAllowed, Refused, SelectionChanged, TooLate, command, what_happened


def lock(batch: Batch) -> Batch:
    """The batch as it is now, its row held until the transaction ends: every change of entries begins here."""
    return Batch.objects.select_for_update().get(pk=batch.pk)


def require_state(batch: Batch, *states: BatchState) -> None:
    """Refuse, saying what happened, when the batch is in none of these states."""
    if batch.state not in states:
        raise TooLate(f"{what_happened(batch)} Nothing was done.")


def require(why_not: Callable, batch: Batch, by) -> None:
    """Refuse with the selector's words when it has any."""
    if why := why_not(batch, by):
        raise NotAllowed(why)


# --- cancel ---------------------------------------------------------------------------------------------------


def cancel(batch: Batch, *, by) -> Batch:
    """Cancel the batch with all its open accounts; a worker's late result is dropped. Refused when it has ended."""
    with command(by, "batch.cancelled", batch):
        batch = lock(batch)
        require(selectors.why_not_decide, batch, by)
        require_state(batch, *CANCELLABLE)
        end_cancelled(batch, how=Batch.EndedBy.PERSON, by=by)
    return batch


def end_cancelled(batch: Batch, *, how: Batch.EndedBy, by=None) -> None:
    """Move a locked batch and its open entries to cancelled."""
    batch.ended_at, batch.ended_by, batch.ended_how = timezone.now(), by, how
    ended = {"ended_at": batch.ended_at, "ended_by": by, "ended_how": how}
    assert Batch.objects.filter(pk=batch.pk).move(batch.state, BatchState.CANCELLED, **ended, **NO_CLAIM)
    before, batch.state = batch.state, BatchState.CANCELLED
    entries = Entry.objects.filter(batch=batch)
    cancelled = sum(entries.move(state, EntryState.CANCELLED) for state in OPEN_ENTRIES)
    audit.record(by, "batch.cancelled", batch, before={"state": before}, accounts=cancelled, how=how.label or "by hand")


# --- remove ---------------------------------------------------------------------------------------------------


def remove(batch: Batch, *, by, entries: QuerySet[Entry], shown: int) -> tuple[int, list[LeftOut]]:
    """Take accounts out of a pending batch; return how many, and those left out because somebody was quicker.

    `entries` are the chosen rows, `shown` how many the person saw. The last one removed cancels the batch.
    """
    with command(by, "batch.accounts_removed", batch):
        batch = lock(batch)
        if not by.has_perm("rebalancer.change_batch"):
            raise NotAllowed("Your role does not decide about requests.")
        require_state(batch, BatchState.PENDING_APPROVAL)
        chosen = _chosen(batch, by, entries, shown)
        open_now = chosen.filter(state=EntryState.PROPOSED)
        numbers = list(open_now.values_list("account_number", flat=True))
        left_out = [_gone(entry) for entry in chosen.exclude(state=EntryState.PROPOSED)]
        if not numbers:
            raise TooLate(f"None of these accounts is open in {str(batch).lower()} any more.")
        open_now.move(EntryState.PROPOSED, EntryState.REMOVED, changed="")
        _raise_version(batch)
        audit.record(by, "batch.accounts_removed", batch, accounts=numbers, version=batch.proposal_version)
        if not Entry.objects.filter(batch=batch).still_open().exists():
            end_cancelled(batch, how=Batch.EndedBy.EMPTY, by=by)
    return len(numbers), left_out


def _chosen(batch, by, entries, shown):
    pks = set(entries.order_by().values_list("pk", flat=True))
    if not pks and shown:
        raise TooLate(f"None of these accounts is open in {str(batch).lower()} any more. Nothing was done.")
    if not pks:
        raise Refused("No account is chosen.")
    if len(pks) != shown:
        raise SelectionChanged(shown=shown, found=len(pks))
    chosen = Entry.objects.visible_to(by).filter(batch=batch, pk__in=pks)
    if chosen.count() != len(pks):
        raise NotAllowed("The selection holds accounts that are not yours, or not of this request. Nothing was done.")
    return chosen


def _gone(entry):
    return LeftOut(entry.account_number, entry.account_name, f"it is {entry.get_state_display().lower()} already")


def _raise_version(batch):
    """What was approved in vain before is another proposal now, and so is its trouble."""
    batch.proposal_version += 1
    batch.trouble = ""
    batch.save(update_fields=["proposal_version", "trouble"])


# --- propose anew ---------------------------------------------------------------------------------------------


def repropose(batch: Batch, *, by) -> Batch:
    """Propose all open accounts anew with the same logic and prices; failed ones are tried again where still free."""
    return _anew(batch, by, "batch.reproposed")


def repropose_some(batch: Batch, *, by, entries: QuerySet[Entry], shown: int) -> Batch:
    """Propose these open accounts anew with the same logic and prices; the other proposals stay as they are.

    `entries` are the chosen rows, `shown` how many the person saw. Not for a liquidation: what it sells is confirmed
    when it is opened.
    """
    return _anew(batch, by, "batch.reproposed", some=(entries, shown))


def switch_logic(batch: Batch, *, by, logic: str) -> Batch:
    """Propose all open accounts with another logic at the same prices."""
    return _anew(batch, by, "batch.logic_switched", logic=Logic(logic))


def reprice(batch: Batch, *, by) -> Batch:
    """Propose all open accounts at new prices."""
    return _anew(batch, by, "batch.repriced", new_prices=True)


def _anew(batch, by, verb, logic=None, new_prices=False, some=None):
    with command(by, verb, batch):
        batch = lock(batch)
        require(selectors.why_not_decide, batch, by)
        require_state(batch, BatchState.PENDING_APPROVAL)
        _require_no_liquidation(batch, logic)
        before = {"logic": batch.logic, "version": batch.proposal_version}
        if some is None:
            _reopen_entries(batch, by)
        else:
            _reopen_some(batch, _chosen(batch, by, *some))
        if new_prices:
            BatchPrice.objects.filter(batch=batch).delete()
            batch.priced_at = None
        _restart(batch, logic or batch.logic)
        batch.changed_by.add(by)
        audit.record(by, verb, batch, before=before, logic=batch.logic, version=batch.proposal_version)
    return batch


def _require_no_liquidation(batch, logic):
    if logic and Logic.LIQUIDATE in (logic, batch.logic) and logic != batch.logic:
        raise Refused("Liquidations are opened and confirmed by themselves; a request is not switched to or from one.")


def _reopen_entries(batch, by):
    """Let open entries wait again, and failed ones of this person's accounts that nobody has taken meanwhile."""
    entries = Entry.objects.filter(batch=batch)
    entries.move(EntryState.PROPOSED, EntryState.WAITING, reason="", changed="")
    taken = Entry.objects.still_open().filter(account=OuterRef("account")).exclude(batch=batch)
    theirs = entries.visible_to(by).filter(account__is_open=True)
    free = theirs.exclude(Exists(taken)).exclude(has_open_order("account"))
    try:
        free.move(EntryState.FAILED, EntryState.WAITING, reason="")
    except IntegrityError as taken_meanwhile:
        raise TooLate("An account was taken by another request this very moment. Try again.") from taken_meanwhile


def _reopen_some(batch, chosen):
    if batch.logic == Logic.LIQUIDATE:
        raise Refused(
            "What a liquidation sells is confirmed when it is opened: remove these accounts and open it anew."
        )
    if not chosen.move(EntryState.PROPOSED, EntryState.WAITING, reason="", changed=""):
        raise TooLate(f"None of these accounts is open in {str(batch).lower()} any more.")


def _restart(batch, logic):
    batch.logic = logic
    batch.proposal_version += 1
    batch.done, batch.total = 0, Entry.objects.filter(batch=batch, state=EntryState.WAITING).count()
    batch.trouble = ""
    batch.save(update_fields=["logic", "proposal_version", "done", "total", "trouble", "priced_at"])
    assert Batch.objects.filter(pk=batch.pk).move(BatchState.PENDING_APPROVAL, BatchState.NEW, **nobodys())
    batch.state = BatchState.NEW
