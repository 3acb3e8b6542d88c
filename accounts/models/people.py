from django.contrib.auth.models import AbstractUser
from django.db import models


class Role(models.TextChoices):
    """The three roles; each is a Django group of this name, and a person can hold several."""

    ADVISOR = "Advisor"
    OPERATIONS = "Operations"
    ADMINISTRATOR = "Administrator"


class User(AbstractUser):
    def __str__(self):
        return self.get_full_name() or self.username

    @property
    def roles(self):
        """The roles this person holds, as a frozenset of Role; read once per object, or with it (PeopleBackend)."""
        if not hasattr(self, "_roles"):
            known = getattr(self, "role_names", None)
            names = set(self.groups.values_list("name", flat=True) if known is None else known)
            self._roles = frozenset(role for role in Role if role.value in names or self.is_superuser)
        return self._roles

    @property
    def sees_every_account(self):
        return bool(self.roles & {Role.OPERATIONS, Role.ADMINISTRATOR})


class Household(models.Model):
    name = models.CharField(max_length=200, unique=True)

    class Meta:
        ordering = ["name"]

    def __str__(self):
        return self.name


class Custodian(models.Model):
    name = models.CharField(max_length=200, unique=True)

    class Meta:
        ordering = ["name"]

    def __str__(self):
        return self.name
