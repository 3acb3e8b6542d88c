"""The address of a list page: its query string is the only truth of what is filtered, sorted and paged.

f=column:condition:value|value   repeated; each an AND term, its values OR; `f=` alone means "no filter"
tile=key                         repeated; AND
q=words   sort=column or -column   page=3   per=100   selected=1 (only the rows selected, see selection.py)
"""

from urllib.parse import urlencode

from django.http import QueryDict

FILTER_KEYS = ("f", "tile", "q", "selected")
VIEW_KEYS = ("sort", "per", "page")
KEYS = FILTER_KEYS + VIEW_KEYS
REPEATABLE = frozenset({"f", "tile"})
NO_FILTER = "f="


def encode_value(text):
    """A value of a term: | parts values, so it is written %7C inside one (before the address is encoded as a whole)."""
    return str(text).replace("%", "%25").replace("|", "%7C")


def decode_value(text):
    return text.replace("%7C", "|").replace("%25", "%")


def term(column, condition, *values):
    """The text of one filter: term("custodian", "any", "Schwab", "Fidelity") is "custodian:any:Schwab|Fidelity"."""
    return f"{column}:{condition}:{'|'.join(encode_value(value) for value in values)}"


class Address:
    """A list page's query string as pairs, with the links to its neighbours. Never changed in place."""

    def __init__(self, data):
        self.pairs = [(key, value) for key, values in data.lists() for value in values]

    def data(self):
        """The same as a QueryDict."""
        return QueryDict(urlencode(self.pairs))

    def values(self, key):
        return [value for name, value in self.pairs if name == key]

    def last(self, key, default=""):
        return next((value for value in reversed(self.values(key)) if value), default)

    def only(self, *keys):
        return self._from(pair for pair in self.pairs if pair[0] in keys)

    def without_keys(self, keys):
        return self._from(pair for pair in self.pairs if pair[0] not in keys)

    def without(self, key, value=None):
        """Drop a parameter, or one value of it; the page number goes too, because other rows follow."""
        return self._from(
            pair for pair in self.pairs if pair[0] != "page" and not (pair[0] == key and value in (None, pair[1]))
        )

    def plus(self, key, value):
        """Add a value to a repeated parameter, or set a single one; "no filter" is over then."""
        if (key, value) in self.pairs:
            return self
        kept = self.without("f", "") if key in REPEATABLE else self.without(key)
        return self._from([*kept.pairs, (key, str(value))])

    def toggled(self, key, value):
        return self.without(key, value) if value in self.values(key) else self.plus(key, value)

    def query(self):
        """The query string; never empty, so that it is not refilled from memory: no filter is `f=`."""
        return urlencode(self.pairs) or NO_FILTER

    def filter_query(self):
        """What decides which rows match, and nothing else: the hidden `query` of a selection. Never empty."""
        return self.only(*FILTER_KEYS).query()

    def remembered(self):
        """What a tab keeps: filters, search, sort and page size, but neither page number nor selection. May be ""."""
        kept = self.only("f", "tile", "q", "sort", "per")
        return urlencode([pair for pair in kept.pairs if pair[1]])

    def __str__(self):
        return f"?{self.query()}"

    @staticmethod
    def _from(pairs):
        address = Address(QueryDict())
        address.pairs = list(pairs)
        return address
