"""What a column of a book's file may hold. Each kind reads a whole column at once and says of each bad text why.

`read(texts, world)` returns the values as one array and a mask of the texts that are bad; an empty text is never bad
(whether a column may be empty is the column's own business). `why(text)` says of one bad text what is wrong with it.
`world` is what the book knows: `names(kind)` gives {name: key} of its rows, `today` and `now` end the past.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import ClassVar

import numpy as np

from accounts.models import User
from accounts.rules import text_problem

NO_NUMBER = np.iinfo(np.int64).min  # an empty number, in a column of int64
NO_DAY = np.datetime64("NaT", "D")
NO_KEY = 0  # an empty reference: no row of the database has this key
LONGEST_NUMBER = 40  # characters; leading and trailing zeros included
EARLIEST_DAY = np.datetime64("1900-01-01", "D")
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]{5,15}(Z|[+-][0-9]{2}:?[0-9]{2})", re.ASCII)


@dataclass(frozen=True)
class Text:
    """Printable text of at most `longest` characters without blanks around it, and `without` these characters."""

    dtype: ClassVar = object
    longest: int
    without: str = ""

    def read(self, texts, world):
        bad = [not text.isprintable() or len(text) > self.longest or text != text.strip() for text in texts]
        for letter in self.without:
            bad = [one or letter in text for one, text in zip(bad, texts, strict=True)]
        return np.array(texts, dtype=object), np.array(bad, dtype=bool)

    def why(self, text):
        if len(text) > self.longest:
            return f"has {len(text):,} characters, {self.longest} are allowed"
        return text_problem(text, self.without) or "has blanks around it"


@dataclass(frozen=True)
class UserName(Text):
    """What a person may sign in as: as Django has it, or nobody could edit the person."""

    def read(self, texts, world):
        values, bad = super().read(texts, world)
        pattern = User.username_validator.regex
        return values, bad | np.array([bool(text) and not pattern.search(text) for text in texts], dtype=bool)

    def why(self, text):
        if len(text) > self.longest or text_problem(text):
            return super().why(text)
        return "is no user name: letters, digits and @ . + - _ are allowed, and no blanks"


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    dtype: ClassVar = object
    words: tuple[str, ...]

    def read(self, texts, world):
        allowed = {"", *self.words}
        return np.array(texts, dtype=object), np.array([text not in allowed for text in texts], dtype=bool)

    def why(self, text):
        return text_problem(text) or f"is none of {', '.join(self.words)}"


@dataclass(frozen=True)
class Flag:
    """`true` or `false`, as 1 and 0; empty is -1."""

    dtype: ClassVar = np.int8
    codes: ClassVar = {"": -1, "false": 0, "true": 1}

    def read(self, texts, world):
        values = spread(texts, lambda text: self.codes.get(text, -2), np.int8)
        return values, values == -2

    def why(self, text):
        return text_problem(text) or "is neither true nor false"


@dataclass(frozen=True)
class Reference:
    """The name of something already in the book; its value is the key of that row, or NO_KEY."""

    dtype: ClassVar = np.int64
    to: str

    def read(self, texts, world):
        keys = {"": NO_KEY} | world.names(self.to)
        values = spread(texts, lambda text: keys.get(text, -1), np.int64)
        return values, values == -1

    def why(self, text):
        return text_problem(text) or f"no such {self.to}"


@dataclass(frozen=True)
class References:
    """Several names with semicolons between them; the value is a tuple of keys, each once."""

    dtype: ClassVar = object
    to: str

    def read(self, texts, world):
        keys = world.names(self.to)
        values = spread(texts, lambda text: self._keys(text, keys), object)
        return values, np.array([value is None for value in values], dtype=bool)

    def _keys(self, text, keys):
        """The keys of the names in a text, or None where a name is unknown; blanks around names don't matter."""
        parts = [part.strip() for part in text.split(";") if part.strip()]
        return tuple(dict.fromkeys(keys[part] for part in parts)) if all(part in keys for part in parts) else None

    def why(self, text):
        return text_problem(text) or f"names a {self.to} that does not exist"


@dataclass(frozen=True)
class Number:
    """A plain decimal; its value is an int64 in units of 10^-places. Excess decimals must be zeros.

    `digits`: at most so many before the point; `least`: the smallest value allowed, in units (None: any).
    """

    dtype: ClassVar = np.int64
    places: int
    digits: int
    least: int | None = None

    @property
    def unit(self):
        return 10**self.places

    def read(self, texts, world):
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        try:
            letters = np.array(texts, dtype=f"S{LONGEST_NUMBER}")  # longer ones are cut, and bad by their length
        except UnicodeEncodeError:
            letters = np.array([text if text.isascii() else "?" for text in texts], dtype=f"S{LONGEST_NUMBER}")
        width = min(int(lengths.max(initial=1)), LONGEST_NUMBER)
        matrix = letters.view(np.uint8).reshape(len(texts), LONGEST_NUMBER)[:, : max(width, 1)]
        values, bad = _decimals(matrix, lengths, self.places, self.digits)
        empty = lengths == 0
        if self.least is not None:
            bad |= values < self.least
        return np.where(empty, NO_NUMBER, values), bad & ~empty

    def why(self, text):
        if not NUMBER.fullmatch(text):
            return text_problem(text) or "is not a plain decimal number"
        whole, _, part = text.lstrip("-").partition(".")
        if len(part.rstrip("0")) > self.places:
            return f"has more than {self.places} decimals"
        if len(whole.lstrip("0")) > self.digits or len(text) > LONGEST_NUMBER:
            return f"is too large: at most {self.digits} digits before the point"
        return self._too_small()

    def _too_small(self):
        return {0: "is negative", 1: "is not above 0"}.get(self.least, "is too small")


def _decimals(matrix, lengths, places, digits):
    """Read texts, one per row of bytes, as decimals in units of 10^-places; also a mask of those that are none.

    Goes through the columns of bytes once, so its cost is the longest text's, not a Python loop over rows.
    """
    value = np.zeros(len(matrix), dtype=np.int64)
    before, after, significant = np.zeros((3, len(matrix)), dtype=np.int16)  # the last: without leading zeros
    pointed = np.zeros(len(matrix), dtype=bool)
    negative = matrix[:, 0] == ord("-")
    bad = lengths > LONGEST_NUMBER
    for at in range(matrix.shape[1]):
        letter = matrix[:, at]
        inside = at < lengths
        digit = (letter >= ord("0")) & (letter <= ord("9")) & inside
        point = (letter == ord(".")) & inside & ~pointed & (before > 0)
        bad |= inside & ~digit & ~point & ~(negative & (at == 0))
        before += digit & ~pointed
        significant += digit & ~pointed & ((significant > 0) | (letter != ord("0")))
        kept = digit & (~pointed | (after < places)) & (significant <= digits)
        bad |= digit & pointed & (after >= places) & (letter != ord("0"))
        after += digit & pointed
        value = np.where(kept, value * 10 + (letter.astype(np.int64) - ord("0")), value)
        pointed |= point
    bad |= (before == 0) | (pointed & (after == 0)) | (significant > digits)
    value *= 10 ** (places - np.minimum(after, places)).astype(np.int64)
    return np.where(negative, -value, value), bad


@dataclass(frozen=True)
class Day:
    """An ISO date from 1900 on, not after today where it is `past`."""

    dtype: ClassVar = "datetime64[D]"
    past: bool = False

    def read(self, texts, world):
        days = spread(texts, _day, "datetime64[D]")
        bad = np.isnat(days) & np.array([text != "" for text in texts], dtype=bool)
        late = days > np.datetime64(world.today, "D") if self.past else False
        return days, bad | (days < EARLIEST_DAY) | late

    def why(self, text):
        if not DAY.fullmatch(text):
            return text_problem(text) or "is not a date like 2026-01-31"
        day = _day(text)
        if np.isnat(day):
            return "is not a day of the calendar"
        return "is before 1900" if day < EARLIEST_DAY else "lies in the future"


def _day(text):
    try:
        return np.datetime64(date.fromisoformat(text), "D") if DAY.fullmatch(text) else NO_DAY
    except ValueError:
        return NO_DAY


@dataclass(frozen=True)
class Moment:
    """A past ISO date, or ISO timestamp with its offset from UTC; the value is a datetime (UTC), a date, or None."""

    dtype: ClassVar = object

    def read(self, texts, world):
        values = spread(texts, _moment, object)
        bad = [text != "" and not _is_past(value, world) for text, value in zip(texts, values, strict=True)]
        return values, np.array(bad, dtype=bool)

    def why(self, text):
        if _moment(text) is not None:
            return "lies in the future"
        return text_problem(text) or "is neither a date like 2026-01-31 nor a time like 2026-01-31T16:00:00-05:00"


def _moment(text):
    try:
        if DAY.fullmatch(text):
            return date.fromisoformat(text)
        if MOMENT.fullmatch(text):
            return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    return None


def _is_past(moment, world):
    if isinstance(moment, datetime):
        return moment <= world.now
    return moment is not None and EARLIEST_DAY <= np.datetime64(moment, "D") <= np.datetime64(world.today, "D")


def spread(texts, function, dtype):
    """Apply a function of one text to all; each distinct text is looked at once."""
    found = {text: function(text) for text in dict.fromkeys(texts)}
    if dtype is object:
        values = np.empty(len(texts), dtype=object)
        values[:] = [found[text] for text in texts]  # an array of tuples must not become a matrix
        return values
    distinct = np.array(list(found.values()), dtype=dtype)
    places = {text: place for place, text in enumerate(found)}
    return distinct[np.fromiter(map(places.__getitem__, texts), np.int64, len(texts))]
