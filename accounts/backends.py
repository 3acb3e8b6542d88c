"""Who is signed in, with the names of their roles and what these may do in the same query: each page asks for all."""

from axes.backends import AxesStandaloneBackend
from django.contrib.auth.backends import ModelBackend
from django.contrib.postgres.aggregates import ArrayAgg
from django.contrib.postgres.fields import ArrayField
from django.db.models import Q, Value
from django.db.models.fields import TextField
from django.db.models.functions import Concat

from accounts.models import User

PERMISSION = Concat(
    "groups__permissions__content_type__app_label", Value("."), "groups__permissions__codename",
    output_field=TextField(),
)  # fmt: skip


class WithRoles(ModelBackend):
    def get_user(self, user_id):
        users = User.objects.annotate(
            role_names=_texts("groups__name", filter=Q(groups__name__isnull=False)),
            permission_names=_texts(PERMISSION, filter=Q(groups__permissions__isnull=False)),
        )
        user = users.filter(pk=user_id).first()
        return user if user is not None and self.user_can_authenticate(user) else None

    def get_user_permissions(self, user_obj, obj=None):
        """None of their own: what a person may do comes with their roles."""
        return set()

    def get_group_permissions(self, user_obj, obj=None):
        """Those that came with the person, else by a query of their own."""
        known = getattr(user_obj, "permission_names", None)
        if known is None or user_obj.is_superuser or not user_obj.is_active or obj is not None:
            return super().get_group_permissions(user_obj, obj)
        return set(known)


def _texts(expression, **options):
    return ArrayAgg(expression, distinct=True, default=Value([], ArrayField(TextField())), **options)


class LockoutBackend(AxesStandaloneBackend, WithRoles):
    """Turns away whoever gave too many wrong passwords, before anybody looks whether this one is right: axes comes
    first, because WithRoles would let a right password in."""


class PeopleBackend(WithRoles):
    """Name and password."""
