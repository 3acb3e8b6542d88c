from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models


class Version(models.Model):
    """An immutable picture of a configured thing as it was saved; a trigger forbids UPDATE and DELETE."""

    number = models.PositiveIntegerField()
    saved_at = models.DateTimeField(auto_now_add=True)
    saved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    content = models.JSONField(encoder=DjangoJSONEncoder)

    class Meta:
        abstract = True
        ordering = ["-number"]

    def __str__(self):
        return f"version {self.number}"
