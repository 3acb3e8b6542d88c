"""The plainer records of the book that an Administrator keeps: securities, custodians, households, people."""

from django.contrib.auth.models import Group
from django.db.models import Exists, OuterRef, ProtectedError, Q, QuerySet

from accounts.models import Account, Component, ModelWeight, Position, Restriction, Role, Security, User
from accounts.rules import Problem

from . import audit
from .refusals import Refused, command, require_role
from .validation import check_fields, refuse

LARGEST_STEP = 1_000_000  # the engine counts millionths of a share in 64 bits, and nobody trades in such steps
HIDDEN = {"password", "last_login"}


def save_record(record, by):
    """Save a custodian or household; return whether anything changed. Raises ValidationError by field."""
    with command(by, f"{record._meta.model_name}.saved", record):
        require_role(by, Role.ADMINISTRATOR)
        return _save(record, by)


def save_security(security, by):
    """Save a security; where that changed it, checks are wanted of the accounts concerned. As `save_record`."""
    with command(by, "security.saved", security):
        require_role(by, Role.ADMINISTRATOR)
        refuse(security_problems(security))
        changed = _save(security, by)
        if changed:
            want_checks_of(Security.objects.filter(pk=security.pk))
        return changed


def save_person(person, roles, by):
    """Save a person and the roles they hold; return whether anything changed.

    `is_staff` follows the role Administrator. Somebody active has to remain Administrator: else ValidationError.
    """
    with command(by, "user.saved", person):
        require_role(by, Role.ADMINISTRATOR)
        roles = {Role(role) for role in roles}
        refuse(person_problems(person, roles))
        before = {Role(name) for name in person.groups.values_list("name", flat=True)} if person.pk else set()
        person.is_staff = Role.ADMINISTRATOR in roles or person.is_superuser
        changed = _save(person, by)
        if roles != before:
            person.groups.set(Group.objects.filter(name__in=roles))
            for known in ("_roles", "role_names"):
                person.__dict__.pop(known, None)
            audit.record(by, "roles.changed", person, {"roles": sorted(before)}, {"roles": sorted(roles)})
        return changed or roles != before


def security_problems(security):
    """What is wrong with a security whose fields are valid one by one."""
    problems = []
    if security.pk and security.kind == Security.Kind.SWEEP and _is_target(security.pk):
        words = f"{security} is part of a model or portfolio, and these hold no sweeps."
        problems.append(Problem(None, "kind", words))
    if security.quantity_step > LARGEST_STEP:
        problems.append(Problem(None, "quantity_step", f"A step is at most {LARGEST_STEP:,} shares."))
    return problems


def person_problems(person, roles):
    """What is wrong with a person whose fields are valid one by one, when they are to hold these roles."""
    stays = person.is_active and (Role.ADMINISTRATOR in roles or person.is_superuser)
    is_one = Q(groups__name=Role.ADMINISTRATOR) | Q(is_superuser=True)
    administrators = User.objects.filter(is_one, is_active=True)
    if stays or not administrators.filter(pk=person.pk).exists() or administrators.exclude(pk=person.pk).exists():
        return []
    return [Problem(None, "roles", f"{person} is the last active Administrator, and there has to be one.")]


def delete_record(record, by):
    """Delete a security, custodian, household or person; Refused when the book still speaks of it."""
    with command(by, f"{record._meta.model_name}.deleted", record):
        require_role(by, Role.ADMINISTRATOR)
        before = picture(record)
        name, pk = str(record), record.pk
        try:
            record.delete()
        except ProtectedError as error:
            users = sorted({str(one._meta.verbose_name_plural) for one in error.protected_objects})
            raise Refused(f"{name} can't be deleted: there are {' and '.join(users)} of it.")
        record.pk = pk
        audit.record(by, f"{record._meta.model_name}.deleted", record, before)
        record.pk = None


def want_checks_of(securities: QuerySet[Security]):
    """Ask for new checks of the open accounts that hold, want or restrict one of these securities; return how many."""
    pks = securities.values("pk")
    portfolios = Component.objects.filter(Q(security__in=pks) | Q(model__weights__security__in=pks)).values("portfolio")
    holding = Position.objects.filter(account=OuterRef("pk"), security__in=pks)
    restricting = Restriction.objects.filter(Q(security__in=pks) | Q(substitute__in=pks), account=OuterRef("pk"))
    concerned = Q(portfolio__in=portfolios) | Exists(holding) | Exists(restricting)
    return Account.objects.filter(concerned, is_open=True).want_check()


def picture(record):
    """A record's own columns, as audit lines compare it; secrets are left out."""
    names = [field.attname for field in record._meta.concrete_fields if field.name not in HIDDEN]
    return {name: getattr(record, name) for name in names}


def _save(record, by):
    check_fields(record)
    found = type(record).objects.filter(pk=record.pk).first() if record.pk else None
    record.save()
    old, new = audit.differences(picture(found) if found else {}, picture(record))
    if new:
        audit.record(by, f"{record._meta.model_name}.saved", record, old, new)
    return bool(new)


def _is_target(security_pk):
    return (
        Component.objects.filter(security=security_pk).exists()
        or ModelWeight.objects.filter(security=security_pk).exists()
    )
