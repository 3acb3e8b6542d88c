"""Whether the last delivery of an account counts; what a missing, broken or old one says of it is not traded on."""

from collections.abc import Iterable
from datetime import date

from accounts.imports.staleness import WORD
from accounts.models import Account, Firm
from trading import sessions


def oldest_delivery() -> date:
    """The session of the oldest delivery that counts now; asks the market's calendar."""
    return sessions.sessions_before(sessions.last_completed_session(), Firm.current().delivery_age_sessions)


def why_late(delivered_for: date | None, problem: str, oldest: date = date.min) -> str:
    """Why an account's last delivery does not count, in words, or nothing. Without `oldest` its age does not matter."""
    if problem:
        files, _, session = problem.partition(WORD)
        return f"its delivery of {session} is broken: {files} refused"
    if delivered_for is None:
        return "the custodian has delivered nothing for it yet"
    return f"its last delivery is of {delivered_for}" if delivered_for < oldest else ""


def late(account_pks: Iterable[int], oldest: date = date.min) -> dict[int, str]:
    """{account id: why} of those of these accounts whose last delivery does not count; as `why_late`."""
    rows = Account.objects.filter(pk__in=account_pks).values_list("pk", "delivered_for", "delivery_problem")
    whys = {pk: why_late(delivered_for, problem, oldest) for pk, delivered_for, problem in rows}
    return {pk: why for pk, why in whys.items() if why}
