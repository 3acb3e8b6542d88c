"""Which rows a person means: ids that they ticked, or every row a filter matches except some.

The browser keeps the ticks (sessionStorage, one store per table) and sends them in the body of a POST:

    scope    picked | all
    query    the filter of the page (address.py), exactly as the table's fragment drew it; needed for scope=all
    shown    how many rows matched it when the fragment was drawn
    ids      comma-joined: the picked rows, or the exceptions when scope is all

and `store`, the name it keeps them under, which comes back when the command is done (answers.done).
"""

import re
from dataclasses import dataclass, replace

from django.http import QueryDict

FIELDS = ("scope", "query", "shown", "ids")
ID = re.compile(r"[1-9]\d{0,17}", re.ASCII)
COUNT = re.compile(r"\d{1,9}", re.ASCII)


class SelectionError(Exception):
    """A selection that is empty, damaged or not this person's; its text says so in words for a page."""


class SelectionChanged(Exception):
    """More or fewer rows match now than were shown; nothing was done."""

    def __init__(self, shown, found):
        self.shown, self.found = shown, found
        super().__init__(f"{shown:,d} shown, {found:,d} now")


@dataclass(frozen=True)
class Selection:
    """What the person ticked: rows by id, or every row a filter matches except those ids."""

    ids: frozenset[int]
    query: str | None
    shown: int

    @classmethod
    def parse(cls, post):
        """Read a POST's fields, all of them or none; raises SelectionError. An empty query is never "all"."""
        fields = {name: _single(post, name) for name in FIELDS}
        ids = _ids(fields["ids"])
        if not COUNT.fullmatch(fields["shown"]):
            raise SelectionError("The number of rows shown did not arrive. Reload the page and select again.")
        if fields["scope"] == "picked":
            if not ids:
                raise SelectionError("Nothing is selected.")
            return cls(ids, None, int(fields["shown"]))
        if fields["scope"] != "all" or not fields["query"] or "selected" in QueryDict(fields["query"]):
            raise SelectionError("The selection was not understood. Reload the page and select again.")
        return cls(ids, fields["query"], int(fields["shown"]))

    @property
    def expected(self):
        """How many rows the person believes to have selected."""
        return len(self.ids) if self.query is None else max(self.shown - len(self.ids), 0)

    def rows(self, base, filterset):
        """The selected rows among `base`, the rows this person may see; raises FilterRefused on a bad query."""
        if self.query is None:
            return base.filter(pk__in=self.ids)
        return filterset(QueryDict(self.query), base).strict_qs().exclude(pk__in=self.ids)

    def require_seen(self, base):
        """Refuse ids outside `base`, the rows this person may see at all (one query; call before acting on picks)."""
        seen = base.filter(pk__in=self.ids).count()
        if seen != len(self.ids):
            raise SelectionError("The selection holds rows that you cannot see. Nothing was done.")

    def check(self, found):
        """Raise SelectionChanged when "all that match" are not the number shown; picks may well be fewer by now."""
        if self.query is not None and found != self.expected:
            raise SelectionChanged(self.expected, found)

    def grown(self, found):
        """The same selection after the person has accepted that `found` rows match now."""
        return self if self.query is None else replace(self, shown=found + len(self.ids))

    def fields(self):
        """Name and value of each hidden field that says this selection again."""
        return {
            "scope": "picked" if self.query is None else "all",
            "query": self.query or "",
            "shown": str(self.shown),
            "ids": ",".join(map(str, sorted(self.ids))),
        }


def _single(post, name):
    values = post.getlist(name)
    if len(values) != 1:
        raise SelectionError("The selection did not arrive whole. Reload the page and select again.")
    return values[0]


def _ids(text):
    texts = text.split(",") if text else []
    if not all(ID.fullmatch(one) for one in texts) or len(set(texts)) != len(texts):
        raise SelectionError("The selection was not understood. Reload the page and select again.")
    return frozenset(map(int, texts))
