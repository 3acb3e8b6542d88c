"""Price feeds behind one interface, reached by the name in the market settings."""

from django.conf import settings
from django.utils.module_loading import import_string

from .base import Feed


def feed(name: str) -> Feed:
    """The feed of that name, as settings.FEEDS names its class. KeyError where there is none."""
    return import_string(settings.FEEDS[name])()
