"""The worker's side: each task asks a service to do what a row says is to be done, so a message lost or delivered twice
changes nothing. Views and beats ask for work through `enqueue` only."""

from datetime import date

from celery import shared_task

from accounts.tasks import enqueue
from rebalancer.services import analysing, batches, days, settling, upkeep
from trading.services import market_days

PATIENCE = 240.0  # seconds after which a proposing task makes room for others


@shared_task
def propose_batch(batch_id):
    if batches.propose_batch(batch_id, patience=PATIENCE):
        enqueue(propose_batch, batch_id)


@shared_task
def finish_approval(batch_id):
    batches.finish_approval(batch_id)
    enqueue(recheck)


@shared_task
def end_day():
    days.end_of_day_if_due()
    enqueue(recheck)


@shared_task
def analyse(day):
    """The nightly chain of a business day (ISO)."""
    analysing.nightly(date.fromisoformat(day))


@shared_task
def recheck():
    """Check the accounts of which a check is wanted; what is left after a full load is asked for at once."""
    if analysing.recheck() == analysing.RECHECKED_AT_ONCE:
        enqueue(recheck)


@shared_task
def settle():
    """Give back what was not traded of the requests whose orders have all ended."""
    if settling.settle():
        enqueue(recheck)


@shared_task
def tick():
    """Once a minute: write the market's days that are missing, start what is due."""
    market_days.keep_days()
    due = upkeep.due()
    if due.end_of_day:
        enqueue(end_day)
    if due.analysis_of:
        enqueue(analyse, due.analysis_of.isoformat())


@shared_task
def sweep():
    """Every 15 seconds: ask again for the work that was left lying."""
    lying = upkeep.sweep()
    for batch_id in lying.to_propose:
        enqueue(propose_batch, batch_id)
    for batch_id in lying.to_finish:
        enqueue(finish_approval, batch_id)
    if lying.to_settle:
        enqueue(settle)
    if lying.checks_wanted:
        enqueue(recheck)
