"""A person's word on fills that could not be matched. None of them is ever made to count.

What the custodian holds its next delivery says, and what differs from our bookings is shown as a break; a fill that
was put aside stays stored as it came.
"""

from django.utils import timezone

from accounts.services import audit
from accounts.services.refusals import Refused, command
from accounts.services.said import said
from trading.models import Fill
from trading.states import FillState

from .cancelling import require_desk

WORDS_LENGTH = Fill._meta.get_field("settled_words").max_length or 0
ASKED = "Say in a few words what the fill was."


def put_aside(fill: Fill, *, by, words: str) -> None:
    """Settle a questioned fill with what was found out about it. For Operations. Raises Refused to who comes second."""
    with command(by, "fill.put_aside", fill):
        require_desk(by)
        words = said(words, WORDS_LENGTH, ASKED)
        waiting = Fill.objects.filter(pk=fill.pk, state=FillState.QUESTIONED, settled_at=None)
        if not waiting.update(settled_at=timezone.now(), settled_by=by, settled_words=words):
            raise Refused(_told(fill))
        audit.record(by, "fill.put_aside", fill, **_facts(fill), words=words)


def _told(fill):
    """What the second comer is told."""
    now = Fill.objects.select_related("settled_by").get(pk=fill.pk)
    if now.state != FillState.QUESTIONED:
        return "This fill counts; there is nothing to put aside."
    return f"{now.settled_by or 'The system'} has put this fill aside already: {now.settled_words}"


def _facts(fill):
    """A fill as its audit line names it."""
    return {
        "broker": fill.broker,
        "execution_id": fill.execution_id,
        "client_order_id": fill.client_order_id,
        "quantity": str(fill.quantity),
        "price": str(fill.price),
        "questioned": fill.words,
    }
