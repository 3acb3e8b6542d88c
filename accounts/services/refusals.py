"""What stops a command, and what is left of it."""

from contextlib import contextmanager

from django.core.exceptions import PermissionDenied
from django.db import transaction

from . import audit


class Refused(Exception):
    """The state of things does not allow the command; the text says why, in words for a person."""


@contextmanager
def command(by, verb, obj=None):
    """One transaction; usable as a decorator's body or around several services.

    When it is refused, because the person may not do it or the state of things does not allow it, everything is rolled
    back and a line "refused" is kept. Commands may be nested: the outermost one keeps the line.
    """
    try:
        with transaction.atomic():
            yield
    except (PermissionDenied, Refused) as refusal:
        audit.record(by, "refused", obj, command=verb, why=str(refusal))
        raise


def require_role(by, *roles):
    """Let pass who holds one of the roles, and the system (None); else raise PermissionDenied."""
    if by is None or (by.is_active and by.roles & set(roles)):
        return
    raise PermissionDenied(f"Only {' or '.join(role.value for role in roles)} may do this.")


def require_sight(by, accounts):
    """Let pass who may see every one of these accounts, and the system (None); else raise PermissionDenied."""
    if by is None:
        return
    if accounts.exclude(pk__in=accounts.model.objects.visible_to(by).values("pk")).exists():
        raise PermissionDenied("Some of these accounts belong to another advisor.")
