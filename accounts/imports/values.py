"""From a column's array to what the database is given: text and None, row by row."""

import numpy as np

from .kinds import NO_KEY, NO_NUMBER, Number

QUANTITY = Number(places=6, digits=12, least=1)  # above 0
PRICE = Number(places=6, digits=12)  # any: a bad price is kept, and questioned
AMOUNT = Number(places=2, digits=16)
WIDTH = Number(places=6, digits=3, least=0)


def numbers(column, places):
    """Exact decimals as text that PostgreSQL reads, or None where a number is empty."""
    return [None if units == NO_NUMBER else f"{units}e-{places}" for units in column.tolist()]


def keys(column):
    return [None if key == NO_KEY else key for key in column.tolist()]


def days(column):
    return [None if np.isnat(day) else str(day) for day in column]


def longest(model, field):
    return model._meta.get_field(field).max_length


def values_of(choices):
    return tuple(choices.values)
