"""The end of the day: what nobody approved or confirmed by then is cancelled, and what was not traded comes back."""

import logging
from datetime import datetime

from django.db import transaction
from django.db.models import BigIntegerField, CharField, DateField, DateTimeField, OuterRef, Subquery
from django.db.models.fields.json import KT
from django.db.models.functions import Cast
from django.utils import timezone

from accounts.models import Account, Firm, RunRecord
from accounts.services import audit
from rebalancer.models import Batch, Check, Entry
from rebalancer.states import CANCELLABLE, EntryState
from trading import selectors as orders
from trading import sessions
from trading.services import staging as trading

from . import runs
from .deciding import end_cancelled

log = logging.getLogger(__name__)

END_OF_DAY = Batch.EndedBy.END_OF_DAY.label
KIND = RunRecord.Kind.END_OF_DAY


def end_of_day(now: datetime | None = None, *, by=None) -> dict[str, int]:
    """End the day now: whatever was opened or staged before this moment. Return counts of what was cancelled."""
    now = now or timezone.now()
    record = runs.start(KIND, sessions.today(now), by=by)
    assert record is not None, "an unscheduled run is never refused"
    return _run(record, now, by)


def end_of_day_due(now: datetime | None = None) -> datetime | None:
    """The last moment at which a day ended, when that day's end has not been run; else None."""
    moment = sessions.latest(Firm.current().end_of_day_at, now)
    return None if runs.is_done(KIND, sessions.today(moment)) else moment


def end_of_day_if_due(now: datetime | None = None) -> dict[str, int] | None:
    """End the last day that should have ended, once; None when that has been done. A missed one is caught up."""
    moment = end_of_day_due(now)
    record = moment and runs.start(KIND, sessions.today(moment), scheduled=True)
    return _run(record, moment, None) if record and moment else None


def _run(record, moment, by):
    with runs.recorded(record):
        counts = {"batches": _cancel_batches(moment), **_cancel_orders(moment)}
        RunRecord.objects.filter(pk=record.pk).update(counts=counts)
        audit.record(by, "day.ended", record, moment=moment, **counts)
    return counts


def _cancel_batches(moment):
    opened_before = Batch.objects.filter(state__in=CANCELLABLE, opened_at__lt=moment).order_by("pk")
    return sum(_cancel(pk) for pk in list(opened_before.values_list("pk", flat=True)))


@transaction.atomic
def _cancel(pk):
    """Each in a transaction of its own; whether it was still there to cancel."""
    batch = Batch.objects.select_for_update().get(pk=pk)
    if batch.state not in CANCELLABLE:
        return False
    accounts = Account.objects.filter(pk__in=Entry.objects.filter(batch=batch).still_open().values("account"))
    accounts.want_check()
    end_cancelled(batch, how=Batch.EndedBy.END_OF_DAY)
    return True


@transaction.atomic
def _cancel_orders(moment):
    tickets = trading.cancel_staged(before=moment, why=END_OF_DAY)
    return {"tickets": len(tickets), "not_traded": give_back_untraded(tickets)}


# --- approved, but not traded ---------------------------------------------------------------------------------


@transaction.atomic
def give_back_untraded(tickets) -> int:
    """Give accounts whose orders in these tickets all ended without a fill their earlier last rebalanced date, source
    and needed since; return how many. An account rebalanced again since keeps the later date, and if that one is not
    traded either, it gets back the date from before both."""
    untraded = orders.untraded_accounts(tickets)
    found = (
        Entry.objects.select_related("batch", "account")
        .select_for_update(of=("self", "account"), no_key=True)
        .filter(batch__ticket__in=tickets, state=EntryState.COMPLETE, not_traded=False)
        .order_by("account")
    )
    entries = [entry for entry in found if (entry.batch.ticket_id, entry.account_id) in untraded]
    latest = [entry.pk for entry in entries if entry.account.last_rebalanced_at == entry.batch.approved_at]
    _restore_accounts(latest)
    _restore_checks(latest)
    _hand_on([entry for entry in entries if entry.pk not in set(latest)])
    Entry.objects.filter(pk__in=[entry.pk for entry in entries]).update(not_traded=True)
    Account.objects.filter(pk__in=[entry.account_id for entry in entries]).want_check()
    return len(entries)


def _restore_accounts(entry_pks):
    was = Entry.objects.filter(pk__in=entry_pks, account=OuterRef("pk"))
    Account.objects.filter(entries__in=entry_pks).update(
        last_rebalanced=_kept(was, "last_rebalanced", DateField()),
        last_rebalanced_at=_kept(was, "last_rebalanced_at", DateTimeField()),
        rebalanced_to=_kept(was, "rebalanced_to", BigIntegerField()),
    )


def _restore_checks(entry_pks):
    """Source and needed since; where there was no reason before, the next check says whether there is one now."""
    was = Entry.objects.filter(pk__in=entry_pks, account=OuterRef("pk"))
    wanted = Entry.objects.filter(pk__in=entry_pks).exclude(before_approval__source__in=["", None])
    Check.objects.filter(account__in=wanted.values("account")).update(
        wanted=True,
        source=_kept(was, "source", CharField()),
        needed_since=_kept(was, "needed_since", DateField()),
    )


LAST_REBALANCE = ("last_rebalanced", "last_rebalanced_at", "rebalanced_to")


def _hand_on(entries):
    """What these kept of the last rebalance goes to the entry of the same account that kept theirs as the last one."""
    for entry in entries:
        later = Entry.objects.filter(account=entry.account_id, pk__gt=entry.pk, before_approval__isnull=False)
        for one in later.select_for_update(of=("self",)).order_by("pk"):
            kept, earlier = one.before_approval or {}, entry.before_approval or {}
            at = kept.get("last_rebalanced_at")
            if at and datetime.fromisoformat(at) == entry.batch.approved_at:
                one.before_approval = kept | {name: earlier.get(name) for name in LAST_REBALANCE}
                one.save(update_fields=["before_approval"])


def _kept(was, name, field):
    """What an entry of `was` kept under this name."""
    return Subquery(was.values(kept=Cast(KT(f"before_approval__{name}"), field)))
