"""What is wrong with a file: line, column, value, reason."""

from dataclasses import dataclass, field, replace

MOST_NAMED = 10_000  # problems of one file that are named; the others are only counted
MOST_LETTERS = 80  # of a value that are shown


@dataclass(frozen=True)
class Problem:
    """Line 1 is the header; line 0 and an empty column mean the file as a whole. A value None is still to be read."""

    line: int
    column: str
    value: str | None
    reason: str

    def __str__(self):
        where = f"line {self.line}" if self.line else "the file"
        column = f", {self.column}" if self.column else ""
        value = f' "{self.value}"' if self.value else ""
        return f"{where}{column}:{value} {self.reason}"


def shown(text):
    """A bad value as it can be printed and stored anywhere."""
    letters = (letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
    cut = "".join(letters)
    return cut if len(cut) <= MOST_LETTERS else f"{cut[:MOST_LETTERS]}…"


@dataclass
class Problems:
    """The problems of one file, in the order of its lines; the first MOST_NAMED by name, all by number."""

    total: int = 0
    _named: list[Problem] = field(default_factory=list)

    def add(self, line, column, value, reason):
        self.total += 1
        if len(self._named) < MOST_NAMED:
            self._named.append(Problem(int(line), column, value if value is None else shown(value), reason))

    def room(self, found):
        """How many of `found` problems still get named; the rest is counted here and now."""
        named = min(found, MOST_NAMED - len(self._named))
        self.total += found - named
        return named

    def unread(self):
        """(line, column) of the problems whose values are still to be read."""
        return {(problem.line, problem.column) for problem in self._named if problem.value is None}

    def fill(self, texts):
        """Put in the values that were still to be read: {(line, column): text}."""
        self._named = [
            replace(problem, value=shown(texts.get((problem.line, problem.column), "")))
            if problem.value is None
            else problem
            for problem in self._named
        ]

    def __bool__(self):
        return self.total > 0

    def __iter__(self):
        return iter(sorted(self._named, key=lambda problem: (problem.line, problem.column, problem.reason)))

    @property
    def unnamed(self):
        return self.total - len(self._named)

    def listed(self):
        """As [line, column, value, reason], with a last one that counts the unnamed."""
        rows = [[problem.line, problem.column, problem.value, problem.reason] for problem in self]
        more = f"and {self.unnamed:,} more; {self.total:,} in all"
        return [*rows, [0, "", "", more]] if self.unnamed else rows
