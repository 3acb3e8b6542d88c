"""A worker's hold on a batch: a token that expires. What is written without a valid one is dropped."""

import uuid
from datetime import datetime, timedelta

from django.utils import timezone

from rebalancer.models import Batch
from rebalancer.states import BatchState

CLAIM_LASTS = timedelta(seconds=60)
NO_CLAIM = {"claim": None, "claim_expires": None}


def nobodys() -> dict:
    """Of a new batch that nobody holds, `claim_expires` says since when."""
    return {"claim": None, "claim_expires": timezone.now()}


class ClaimLost(Exception):
    """The batch was cancelled, ended or taken over; this worker's result is dropped."""


def take(batch_id: int) -> uuid.UUID | None:
    """Claim a new batch for proposing; None when somebody else holds it, or it needs no proposing any more."""
    token = uuid.uuid4()
    moved = Batch.objects.filter(pk=batch_id).move(
        BatchState.NEW, BatchState.PROPOSING, claim=token, claim_expires=timezone.now() + CLAIM_LASTS, trouble=""
    )
    return token if moved else None


def held(batch_id: int, token: uuid.UUID):
    """The batch as long as this claim is valid, as a queryset of one or none."""
    return Batch.objects.filter(pk=batch_id, claim=token, claim_expires__gt=timezone.now())


def renew(batch_id: int, token: uuid.UUID, **changes) -> None:
    """Hold on for another minute and write the changes; the row stays locked until the transaction ends, so that
    whatever else is written in it belongs to a valid claim. Raises ClaimLost."""
    until = timezone.now() + CLAIM_LASTS
    if not held(batch_id, token).filter(state=BatchState.PROPOSING).update(claim_expires=until, **changes):
        raise ClaimLost(f"request {batch_id} is no longer held")


def give_back(batch_id: int, token: uuid.UUID) -> None:
    """Let somebody else go on where this worker stopped."""
    Batch.objects.filter(pk=batch_id, claim=token).move(BatchState.PROPOSING, BatchState.NEW, **nobodys())


def release_expired(now: datetime | None = None) -> int:
    """Turn batches whose worker has gone back into new ones; return how many."""
    expired = Batch.objects.filter(claim_expires__lte=now or timezone.now())
    return expired.move(BatchState.PROPOSING, BatchState.NEW, **NO_CLAIM)
