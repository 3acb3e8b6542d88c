"""Audit lines of signing in and out, from the signals of django.contrib.auth."""

from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver

from . import audit


@receiver(user_logged_in)
def signed_in(sender, request, user, **_):
    audit.record(user, "person.signed_in", user)


@receiver(user_logged_out)
def signed_out(sender, request, user, **_):
    if user is not None:
        audit.record(user, "person.signed_out", user)


@receiver(user_login_failed)
def sign_in_failed(sender, credentials, **_):
    name = str(credentials.get("username") or "")[:150]
    audit.record(None, "person.sign_in_failed", username=name)
