"""Brokers: adapters behind one small interface, reached by the name that an order carries."""

from functools import cache

from django.conf import settings
from django.utils.module_loading import import_string

from .base import Broker


@cache
def _made(path) -> Broker:
    return import_string(path)()


def broker(name: str) -> Broker:
    """The broker of that name, as settings.BROKERS names its class. KeyError where there is none."""
    return _made(settings.BROKERS[name])
