"""What the book knows while files are read into it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime

import numpy as np

from accounts.models import Account, Model, Portfolio, Security, Sleeve


def _by(queryset, name):
    return dict(queryset.values_list(name, "pk"))


NAMES = {
    "security": lambda: _by(Security.objects, "symbol"),
    "model": lambda: _by(Model.objects, "name"),
    "portfolio": lambda: _by(Portfolio.objects, "name"),
    "account": lambda: _by(Account.objects, "number"),
    "sleeve": lambda: {str(sleeve): sleeve.pk for sleeve in Sleeve.objects.select_related("model")},
}


@dataclass
class World:
    """One delivery in the making: its session, the clock, and the names that the book knows by now.

    `close_of(day)` gives the moment at which that day's session closes, or the one before it.
    `delivered` are the keys of the accounts of this delivery, known once cash.csv is taken.
    """

    session: date
    today: date
    now: datetime
    close_of: Callable[[date], datetime]
    delivered: np.ndarray | None = None
    refused: set[str] = field(default_factory=set)
    remarks: list[str] = field(default_factory=list)
    _names: dict[str, dict[str, int]] = field(default_factory=dict)

    def names(self, kind):
        """{name: key} of all securities, models, portfolios, accounts or sleeves."""
        if kind not in self._names:
            self._names[kind] = NAMES[kind]()
        return self._names[kind]

    def forget(self):
        """A file has been taken: names may have come."""
        self._names.clear()
