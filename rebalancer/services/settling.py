"""Settling: when all orders of a request have ended and are booked, what was not traded is given back, once."""

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.services import audit
from rebalancer.models import Batch
from trading.selectors import is_under_way

from .days import give_back_untraded


def unsettled() -> QuerySet[Batch]:
    """The batches whose orders and moves have all come to their end, and that nobody has settled."""
    return Batch.objects.filter(ticket__isnull=False, settled_at=None).exclude(is_under_way()).order_by("pk")


def settle() -> int:
    """Settle all that can be; return how many were. Each takes effect once, whoever else is at it."""
    return sum(_settle(pk) for pk in list(unsettled().values_list("pk", flat=True)))


@transaction.atomic
def _settle(pk):
    """In a transaction of its own. What has ended stays so, so it need not be looked at again."""
    if not Batch.objects.filter(pk=pk, settled_at=None).update(settled_at=timezone.now()):
        return False
    batch = Batch.objects.get(pk=pk)
    not_traded = give_back_untraded([batch.ticket_id])
    audit.record(None, "batch.settled", batch, ticket=batch.ticket_id, not_traded=not_traded)
    return True
