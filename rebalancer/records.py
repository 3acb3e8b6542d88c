"""Reads of the records of what ran and what came in, for Operations and Administrators. Constant in queries."""

from dataclasses import dataclass

from django.db.models import F, Func, IntegerField, JSONField, QuerySet, Value
from django.db.models.fields.json import KeyTransform

from accounts.models import Delivery, DeliveryFile, RunRecord

ROWS_SHOWN = 200  # bad rows of a file that its record shows
SHOWN = Value(f"$[0 to {ROWS_SHOWN - 1}]")


@dataclass(frozen=True, slots=True)
class BadRow:
    """`line` 0 and an empty `column` mean the file as a whole."""

    line: int
    column: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class File:
    """A file of a delivery: taken whole, or refused whole for its bad rows, of which the first are named."""

    name: str
    taken: bool
    rows: int
    bad: list[BadRow]
    more: str  # "the first 200 of 15,000", where there are more than are shown

    @classmethod
    def of(cls, file: DeliveryFile) -> "File":
        """From a row of `files`."""
        bad = [BadRow(*row) for row in file.shown]
        more = f"the first {ROWS_SHOWN:,} of {_in_all(file)}" if file.stored > ROWS_SHOWN else ""
        return cls(file.name, file.state == DeliveryFile.State.TAKEN, file.rows, bad, more)


def _in_all(file):
    """How many bad rows a file has; where not all were stored, the last one says: "and 5 more; 10,005 in all"."""
    line, column, value, reason = file.last
    cut = (line, column, value) == (0, "", "") and reason.endswith(" in all")
    return reason.rpartition("; ")[2].removesuffix(" in all") if cut else f"{file.stored:,}"


def runs() -> QuerySet[RunRecord]:
    """What ran, with the person who started it."""
    return RunRecord.objects.select_related("started_by")


def deliveries() -> QuerySet[Delivery]:
    """What came in, with the person who received it."""
    return Delivery.objects.select_related("received_by")


def delivery_of(run: RunRecord) -> Delivery | None:
    """What an import has brought. There is only one import at a time, so it is what came in while that ran."""
    if run.kind != RunRecord.Kind.IMPORT or run.state != RunRecord.State.DONE:
        return None
    return deliveries().filter(received_at__range=(run.started_at, run.ended_at)).order_by("pk").first()


def files(delivery: Delivery) -> list[File]:
    """The files of a delivery in the order in which they were read, with the first bad rows of each refused one."""
    stored = Func(F("problems"), function="jsonb_array_length", output_field=IntegerField())
    first = Func(F("problems"), SHOWN, function="jsonb_path_query_array", output_field=JSONField(),
                 template="%(function)s(%(expressions)s::jsonpath)")  # fmt: skip
    found = DeliveryFile.objects.filter(delivery=delivery).defer("problems").order_by("pk")
    return [File.of(one) for one in found.annotate(stored=stored, shown=first, last=KeyTransform("-1", "problems"))]
