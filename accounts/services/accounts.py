"""What people change on accounts: the switch, the portfolio, set-aside cash, restrictions, and the record itself.

An Advisor acts on their own accounts, Operations and Administrators on every one; `by=None` is the system. Each command
asks for a new check of the accounts concerned.
"""

from datetime import date, timedelta

from django.utils import timezone

from accounts.models import Account, Restriction, Role, Security
from accounts.rules import Problem, restriction_problems

from . import audit
from .refusals import Refused, command, require_role, require_sight
from .validation import check_fields, refuse

EARLIEST_DAY = date(1900, 1, 1)
ONE_DAY = timedelta(days=1)  # it may be tomorrow already where the market is
DESK = (Role.OPERATIONS, Role.ADMINISTRATOR)
OF_A_SWEEP = "This is a sweep: it counts as cash and is never traded, so a restriction on it would do nothing."


def switch_rebalancing(accounts, on, by):
    """Switch rebalancing on or off for these accounts (a queryset); return how many changed.

    Going on sets `rebalancing_since`. Raises Refused when a closed account would go on.
    """
    with command(by, "rebalancing.switched"):
        require_role(by, *Role)
        require_sight(by, accounts)
        chosen = accounts.order_by().values("pk")
        changing = list(_locked().filter(pk__in=chosen, rebalancing_on=not on))
        closed = [account.number for account in changing if not account.is_open]
        if on and closed:
            raise Refused(f"Rebalancing can't be switched on for closed accounts: {_named(closed)}.")
        since = {"rebalancing_since": timezone.now()} if on else {}
        _update([account.pk for account in changing], rebalancing_on=on, **since)
        lines = [(account, {"rebalancing_on": not on}, {"rebalancing_on": on}) for account in changing]
        audit.record_many(by, "rebalancing.switched", lines)
        return len(changing)


def assign_portfolio(account, portfolio, by):
    """Make a portfolio the account's target; return whether that changed anything.

    Only an Administrator (and the system) may choose one that is not linked, or none: else Refused.
    """
    with command(by, "portfolio.assigned", account):
        require_role(by, *Role)
        require_sight(by, Account.objects.filter(pk=account.pk))
        locked = _locked().get(pk=account.pk)
        if locked.portfolio_id == (portfolio and portfolio.pk):
            return False
        if by is not None and Role.ADMINISTRATOR not in by.roles:
            _require_link(locked, portfolio)
        _update([locked.pk], portfolio=portfolio, portfolio_since=timezone.now())
        before, after = ({"portfolio": one and str(one)} for one in (locked.portfolio, portfolio))
        audit.record(by, "portfolio.assigned", locked, before, after)
        account.refresh_from_db(fields=["portfolio", "portfolio_since"])
        return True


def set_aside(account, amount, by, *, seen=None):
    """Set the cash that is not to be invested; return whether it changed. For Operations and Administrators.

    `seen` is the amount that the person saw; raises Refused when it is another one by now.
    """
    with command(by, "cash.set_aside", account):
        require_role(by, *DESK)
        locked = _locked().get(pk=account.pk)
        before = locked.set_aside_cash
        if seen is not None and seen != before:
            was = f"The set-aside cash was {seen:,.2f} when you looked, and is {before:,.2f} now."
            raise Refused(f"{was} Nothing was changed.")
        locked.set_aside_cash = amount
        check_fields(locked, exclude={field.name for field in Account._meta.fields} - {"set_aside_cash"}, unique=False)
        if locked.set_aside_cash == before:
            return False
        _update([locked.pk], set_aside_cash=locked.set_aside_cash)
        audit.record(by, "cash.set_aside", locked, {"amount": before}, {"amount": locked.set_aside_cash})
        account.set_aside_cash = locked.set_aside_cash
        return True


def set_restriction(account, security, kind, by, *, substitute=None, start=None, end=None, seen=None):
    """Restrict the account on a security, in place of what was there; return the Restriction.

    `start` and `end` are dates, both included; start is today unless given. `seen` is the `restriction_words` of what
    the person saw there, "" for nothing; Refused when it is something else by now. For Operations and Administrators.
    Raises ValidationError by field.
    """
    with command(by, "restriction.set", account):
        require_role(by, *DESK)
        locked = _locked().get(pk=account.pk)
        found = Restriction.objects.filter(account=locked, security=security).first()
        _require_seen(security, found, seen)
        if security.kind == Security.Kind.SWEEP:
            refuse([Problem(0, "security", OF_A_SWEEP)], [security])
        restriction = Restriction(
            pk=found.pk if found else None, account=locked, security=security, kind=kind, substitute=substitute,
            start=start or timezone.localdate(), end=end,
        )  # fmt: skip
        restriction._state.adding = found is None
        others = Restriction.objects.filter(account=locked).exclude(security=security)
        check_restrictions([restriction, *others.select_related("security", "substitute")])
        before, after = _pictured(found), _pictured(restriction)
        if before != after:
            restriction.save()
            _restrictions_changed(by, locked, "restriction.set", before, after)
        return restriction


def drop_restriction(restriction, by, *, seen=None):
    """Lift a restriction. For Operations and Administrators. Raises Refused when it is not there any more, or not as
    the person saw it (`seen`, its `restriction_words`).
    """
    with command(by, "restriction.dropped", restriction.account):
        require_role(by, *DESK)
        locked = _locked().get(pk=restriction.account_id)
        found = Restriction.objects.filter(pk=restriction.pk, account=locked)
        row = found.first()
        before = _pictured(row)
        if row is None:
            raise Refused(f"The restriction on {restriction.security} has been lifted already.")
        _require_seen(row.security, row, seen)
        found.delete()
        _restrictions_changed(by, locked, "restriction.dropped", before, None)


def restriction_words(restriction):
    """A restriction in words, "" for none: Substitute VXUS by IXUS from 2026-01-02 until 2026-12-31."""
    if restriction is None:
        return ""
    instead = f" by {restriction.substitute}" if restriction.substitute_id else ""
    until = f" until {restriction.end}" if restriction.end else ""
    return f"{restriction.get_kind_display()} {restriction.security}{instead} from {restriction.start}{until}"


def _require_seen(security, found, seen):
    if seen is None or seen == restriction_words(found):
        return
    now = restriction_words(found) or "no restriction"
    if not seen:
        raise Refused(f"{security} is restricted already. Now: {now}. Nothing was changed; change that restriction.")
    raise Refused(f"{security} has changed since you looked. Now: {now}. Nothing was changed.")


def save_account(account, by, *, linked=None, restrictions=None):
    """Save an account's record as an Administrator wrote it; return whether anything changed.

    `linked` (portfolios) and `restrictions` (Restriction objects) replace what was there; None leaves it. Moments
    (switched on since, portfolio since) are kept by the service. Raises ValidationError by field and PermissionDenied.
    """
    with command(by, "account.saved", account):
        require_role(by, Role.ADMINISTRATOR)
        found = _locked().filter(pk=account.pk).first()
        before = account_picture(found) if found else {}
        check_fields(account)
        refuse(account_problems(account))
        _keep_moments(account, found)
        account.save()
        if linked is not None:
            account.linked_portfolios.set(linked)
        if restrictions is not None:
            _replace_restrictions(account, list(restrictions))
        old, new = audit.differences(before, account_picture(account))
        if new:
            audit.record(by, "account.saved", account, old, new)
            _update([account.pk])
        return bool(new)


def account_problems(account):
    """What is wrong with an account whose fields are valid one by one."""
    problems = []
    if account.rebalancing_on and not account.is_open:
        problems.append(Problem(None, "rebalancing_on", "A closed account is not rebalanced: switch it off."))
    day = account.last_rebalanced
    if day is not None and not EARLIEST_DAY <= day <= timezone.localdate() + ONE_DAY:
        words = f"{day} lies in the future." if day > EARLIEST_DAY else f"{day} is before {EARLIEST_DAY.year}."
        problems.append(Problem(None, "last_rebalanced", words))
    return problems


def check_restrictions(restrictions):
    """Refuse (ValidationError by field) restrictions that can't all hold for one account."""
    for restriction in restrictions:
        check_fields(restriction, exclude=("account",), unique=False, named=str(restriction.security))
    refuse(restriction_problems(restrictions), [restriction.security for restriction in restrictions])


def account_picture(account):
    """An account's record in words, as audit lines compare it."""
    names = (
        "number", "name", "custodian", "advisor", "household", "tax_status", "portfolio", "rebalancing_on",
        "lot_method", "last_rebalanced", "set_aside_cash", "is_open",
    )  # fmt: skip
    picture = {name: _worded(getattr(account, name)) for name in names}
    picture["linked_portfolios"] = sorted(map(str, account.linked_portfolios.all()))
    rows = account.restrictions.select_related("security", "substitute")
    return picture | {"restrictions": [_pictured(row) for row in rows]}


def _worded(value):
    return str(value) if hasattr(value, "pk") else value


def _locked():
    return Account.objects.select_for_update(no_key=True, of=("self",)).order_by("pk")


def _update(pks, **changes):
    """Write the changes and ask for a check of the accounts, in one UPDATE."""
    Account.objects.filter(pk__in=pks).update(check_wanted_at=timezone.now(), **changes)


def _named(numbers, most=5):
    return ", ".join(numbers[:most]) + (f" and {len(numbers) - most:,d} more" if len(numbers) > most else "")


def _require_link(account, portfolio):
    if portfolio is None or not account.linked_portfolios.filter(pk=portfolio.pk).exists():
        name = portfolio or "No portfolio"
        raise Refused(f"{name} is not among the portfolios linked with account {account.number}.")


def _keep_moments(account, found):
    now = timezone.now()
    account.rebalancing_since = found and found.rebalancing_since
    account.portfolio_since = found and found.portfolio_since
    if account.rebalancing_on and not (found and found.rebalancing_on):
        account.rebalancing_since = now
    if account.portfolio_id != (found and found.portfolio_id):
        account.portfolio_since = now


def _replace_restrictions(account, restrictions):
    for restriction in restrictions:
        restriction.account = account
    check_restrictions(restrictions)
    found = account.restrictions.select_related("security", "substitute")
    if sorted(map(repr, map(_pictured, found))) == sorted(map(repr, map(_pictured, restrictions))):
        return
    account.restrictions.all().delete()
    for restriction in restrictions:
        restriction.pk, restriction._state.adding = None, True
    Restriction.objects.bulk_create(restrictions)


def _pictured(restriction):
    if restriction is None:
        return None
    return {
        "security": restriction.security.symbol,
        "kind": restriction.kind,
        "substitute": restriction.substitute and restriction.substitute.symbol,
        "start": str(restriction.start),
        "end": restriction.end and str(restriction.end),
    }


def _restrictions_changed(by, account, verb, before, after):
    audit.record(by, verb, account, before, after)
    _update([account.pk])
