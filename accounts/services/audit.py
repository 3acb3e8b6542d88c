"""Audit lines: written with every command, never changed afterwards (the database forbids it)."""

from django.dispatch import receiver

from accounts.listing.answers import not_understood
from accounts.models import AuditLine

WRITE_AT_ONCE = 2_000


def record(by, verb, obj=None, before=None, after=None, **more):
    """Write a line: who (None: the system), what, on which object, before and after; `more` joins `after`."""
    return AuditLine.objects.create(**_line(by, verb, obj, before, after, more))


def record_many(by, verb, changes):
    """Write a line for each (object, before, after)."""
    lines = [AuditLine(**_line(by, verb, obj, before, after, {})) for obj, before, after in changes]
    AuditLine.objects.bulk_create(lines, batch_size=WRITE_AT_ONCE)


@receiver(not_understood)
def _record_not_understood(sender, request, why, **_):
    """A filter, an address or a selection that a list page refused."""
    record(request.user, "refused", command="list.asked", where=request.get_full_path()[:500], why=why[:500])


def differences(before, after):
    """The two dicts reduced to what differs between them."""
    keys = [key for key in before | after if before.get(key) != after.get(key)]
    return {key: before.get(key) for key in keys}, {key: after.get(key) for key in keys}


def _line(by, verb, obj, before, after, more):
    line = {"by": by, "verb": verb, "before": _storable(before), "after": _storable({**(after or {}), **more}) or None}
    if obj is not None:
        line |= {"object_kind": obj._meta.model_name, "object_id": str(obj.pk or ""), "object_name": str(obj)[:250]}
    return line


def _storable(value):
    """The value without NUL characters, which PostgreSQL has no place for: what a person sent may be quoted here, and
    a refusal must not fail on it."""
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if isinstance(value, dict):
        return {key: _storable(one) for key, one in value.items()}
    return [_storable(one) for one in value] if isinstance(value, list | tuple) else value
