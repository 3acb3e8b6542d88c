"""Firm settings."""

from zoneinfo import available_timezones

from accounts.models import Account, Firm, Role
from accounts.rules import MARKETS, Problem, resolved, settings_problems

from . import audit, versions
from .portfolios import lock_targets, picture_all
from .refusals import command, require_role
from .validation import check_fields, refuse

NO_MATTER_OF_CHECKS = {
    "name", "time_zone", "nightly_at", "end_of_day_at", "four_eyes", "lot_method", "price_jump_percent",
}  # fmt: skip
OLDEST_SESSIONS = 30  # about six weeks: beyond that a price or a delivery says nothing of today


def save_firm(firm, by):
    """Save the firm settings; return the new FirmVersion, or None when nothing has changed.

    Checks of all open accounts are wanted when a setting changes that they rest on. A default also makes a version of
    each portfolio that leaves it to the firm. Raises ValidationError (by field) and PermissionDenied.
    """
    with command(by, "firm.saved", firm):
        require_role(by, Role.ADMINISTRATOR)
        lock_targets()
        check_fields(firm)
        refuse(firm_problems(firm))
        before = firm.versions.first() or versions.add_firm_version(Firm.current(), None)
        firm.save()
        version = versions.add_firm_version(firm, by)
        if version is None:
            return None
        old, new = audit.differences(before.content, version.content)
        audit.record(by, "firm.saved", firm, old, new)
        if set(new) - NO_MATTER_OF_CHECKS:
            picture_all(firm, by)
            Account.objects.filter(is_open=True).want_check()
        return version


def firm_problems(firm):
    """What is wrong with firm settings whose fields are valid one by one."""
    problems = settings_problems(firm, resolved(firm, firm))
    if firm.time_zone not in available_timezones():
        problems.append(Problem(None, "time_zone", f"There is no time zone {firm.time_zone}."))
    if firm.market_calendar not in MARKETS:
        words = f"There is no market {firm.market_calendar}. New York is XNYS, London XLON, Toronto XTSE."
        problems.append(Problem(None, "market_calendar", words))
    if not firm.price_jump_percent:
        problems.append(Problem(None, "price_jump_percent", "It is above 0 %, or every price would be questioned."))
    for name in ("price_age_sessions", "delivery_age_sessions"):
        if getattr(firm, name) > OLDEST_SESSIONS:
            problems.append(Problem(None, name, f"It is {OLDEST_SESSIONS} sessions at most."))
    return problems
