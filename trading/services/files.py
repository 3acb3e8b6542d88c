"""Files of custodians: those of a ticket, to be downloaded, and the files of fills that come back."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from accounts.imports.table import Table, read
from accounts.models import Custodian
from accounts.services import audit
from accounts.services.refusals import Refused, command
from trading import formats
from trading.brokers.base import FillReport
from trading.brokers.file import NAME, execution_id, report_of
from trading.formats import fills as fill_files
from trading.models import Fill, Order, OrderFile, Route
from trading.states import FillState, OrderState

from .cancelling import require_desk
from .taking_in import take_in

Kind = OrderFile.Kind
LARGEST = 10_000_000  # bytes of a file of fills: some 100,000 executions
LISTED_AT_MOST = 50  # files of a custodian that a ticket lists one by one
NAMED_AT_MOST = 200  # fills that a page names
ROWS_AT_ONCE = 2000
BEFORE_SENT = [OrderState.READY, OrderState.SENDING]
NOT_ORDERED = "is an order that does not go to {custodian} by file"
OTHERWISE = "was told before with other figures: {quantity} at {price}"


# --- of a ticket ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Whole:
    """All files of a kind that a ticket has for a custodian, as one."""

    kind: str
    label: str
    count: int


@dataclass(frozen=True, slots=True)
class OfCustodian:
    """A ticket's files for one custodian. `why_not_whole` says in words why they can't be had as one yet."""

    custodian: Custodian
    folder: str
    files: list[OrderFile]  # the first ones, without their texts
    more: int
    whole: list[Whole]
    why_not_whole: str


def ticket_files(user, ticket) -> list[OfCustodian]:
    """The files of a ticket by custodian, for those who work with orders; nobody else is shown any."""
    if not user.has_perm("trading.change_order"):
        return []
    by_custodian: dict[Custodian, list[OrderFile]] = defaultdict(list)
    for file in _of_ticket(ticket).defer("text").select_related("custodian__route").order_by("name", "-kind"):
        if file.custodian is not None:
            by_custodian[file.custodian].append(file)
    waiting = _waiting(ticket)
    found = [_of_custodian(one, files, waiting.get(one.pk, 0)) for one, files in by_custodian.items()]
    return sorted(found, key=lambda one: one.custodian.name)


def _of_ticket(ticket) -> QuerySet[OrderFile]:
    return OrderFile.objects.filter(ticket=ticket, kind__in=[Kind.ORDERS, Kind.ALLOCATIONS])


def _waiting(ticket) -> dict[int, int]:
    """How many orders still have to be sent, by custodian."""
    orders = Order.objects.filter(ticket=ticket, broker=NAME, state__in=BEFORE_SENT, quantity__gt=0)
    return dict(orders.values("custodian").annotate(count=Count("pk")).values_list("custodian", "count"))


def _of_custodian(custodian, files, waiting) -> OfCustodian:
    route = getattr(custodian, "route", None)
    counts = {kind: sum(file.kind == kind for file in files) for kind in (Kind.ORDERS, Kind.ALLOCATIONS)}
    return OfCustodian(
        custodian=custodian,
        folder=route.folder if route else "",
        files=files[:LISTED_AT_MOST],
        more=max(len(files) - LISTED_AT_MOST, 0),
        whole=[Whole(kind.value, kind.label, count) for kind, count in counts.items() if count],
        why_not_whole=_why_not_whole(files, waiting),
    )


def _why_not_whole(files: Iterable[OrderFile], waiting) -> str:
    """A file for all orders is had once it is complete: who sent two of them would send some orders twice."""
    if waiting:
        return f"{waiting:,} of its orders are still to be sent; then there is one file of them all."
    if any(file.dropped_at is None for file in files):
        return "Some of its files could not be dropped yet; then there is one file of them all."
    if len({(file.file_format, file.column_map) for file in files}) > 1:
        return "Its files are of several formats, which can't be one file: take each."
    return ""


def whole_file(ticket, custodian: Custodian, kind: str) -> str:
    """All of a ticket's files of a kind for a custodian as one, by client order id. Raises Refused."""
    files = list(_of_ticket(ticket).filter(custodian=custodian).order_by("name"))
    if why := _why_not_whole(files, _waiting(ticket).get(custodian.pk, 0)):
        raise Refused(why)
    return formats.joined([file.text for file in files if file.kind == kind])


# --- fills ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Received:
    """A file of fills, kept; `again`: it had been read before, so nothing was done."""

    file: OrderFile
    again: bool


@dataclass(frozen=True, slots=True)
class Clock:
    """All that the kit of the book's files asks of the world: a file of fills names nothing of the book."""

    today: date
    now: datetime


def receive_fills(content: bytes, name: str, *, custodian: Custodian, by) -> Received:
    """Read a custodian's file of fills: whole, or not at all with every bad row in its `problems`.

    The same content again changes nothing. What has become of orders besides their fills, the next round of watching
    finds in the file. PermissionDenied unless `by` is Operations, or nobody (a command).
    """
    with command(by, "fills.received", custodian):
        require_desk(by)
        Custodian.objects.select_for_update().get(
            pk=custodian.pk
        )  # two at once with the same file: one after the other
        text = content[:LARGEST].decode("utf-8-sig", errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
        known = OrderFile.objects.filter(kind=Kind.FILLS, custodian=custodian, text=text).first()
        again = known is not None and not known.problems
        file = known if known is not None and again else _keep(known, content, text, name, custodian, by)
        verb = "fills.repeated" if again else "fills.refused" if file.problems else "fills.received"
        audit.record(by, verb, file, custodian=custodian.name, problems=len(file.problems))
    if not file.problems:
        take_in(NAME, _reports(file))
    return Received(file, again)


def _keep(known, content, text, name, custodian, by) -> OrderFile:
    """Read it and keep it with its problems; a file that was refused is read anew, for the book may know more now."""
    file = known or OrderFile(
        kind=Kind.FILLS,
        custodian=custodian,
        file_format="generic",
        name=_free_name(name, content, custodian),
        text=text,
    )
    file.problems = _problems(content, custodian)
    file.made_at, file.made_by = timezone.now(), by
    file.save()
    return file


def _free_name(name, content, custodian) -> str:
    """The file's own name; where there was another file of that name, its content tells them apart."""
    clean = "".join(letter for letter in Path(name).name if letter.isprintable()).strip() or "fills.csv"
    if not OrderFile.objects.filter(kind=Kind.FILLS, custodian=custodian, name=clean[:120]).exists():
        return clean[:120]
    return f"{blake2b(content, digest_size=6).hexdigest()} {clean}"[:120]


def _reports(file) -> list[FillReport]:
    return [report_of(row, file.custodian_id) for row in fill_files.rows(file.text) if row.execution is not None]


# --- what is wrong with a file of fills -----------------------------------------------------------------------------


def _problems(content, custodian) -> list[list]:
    """As [line, column, value, reason]; none for a file that can be taken."""
    if len(content) > LARGEST:
        return [[0, "", "", f"is larger than {LARGEST:,} bytes: send it in parts"]]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "fills.csv"
        path.write_bytes(content)
        table = read(fill_files.FILE, path, Clock(timezone.localdate(), timezone.now()), lambda *_: None)
        if table.is_read:
            _refuse_others_orders(table, custodian)
            _refuse_other_figures(table, custodian)
            _refuse_nothing(table)
        table.name_values()
    return table.problems.listed()


def _refuse_nothing(table: Table):
    if not len(table) and not table.problems:
        table.problems.add(0, "", "", "has no rows")


def _refuse_others_orders(table: Table, custodian):
    """An order that is not this custodian's is a mistake; one that nobody knows is stored, and questioned."""
    wanted = sorted(set(table["client_order_id"][table.good].tolist()))
    others = Order.objects.filter(client_order_id__in=wanted).exclude(broker=NAME, custodian=custodian)
    strange = set(others.values_list("client_order_id", flat=True))
    if strange:
        where = np.array([one in strange for one in table["client_order_id"]], dtype=bool) & table.good
        table.refuse(where, "client_order_id", NOT_ORDERED.format(custodian=custodian))


def _refuse_other_figures(table: Table, custodian):
    """An execution is told once and for all: figures that differ are a correction, which a person has to look at."""
    own = {at: table["execution_id"][at] for at in np.flatnonzero(table.good).tolist()}
    numbers = {execution_id(custodian.pk, one): at for at, one in own.items() if one}
    before = Fill.objects.filter(broker=NAME, execution_id__in=list(numbers))
    for fill in before.only("execution_id", "client_order_id", "quantity", "price"):
        at = numbers[fill.execution_id]
        if not _is_the_same(table, at, fill):
            words = OTHERWISE.format(quantity=f"{fill.quantity.normalize():f}", price=f"{fill.price.normalize():f}")
            table.refuse([at], "execution_id", words)


def _is_the_same(table, at, fill):
    micros = int(fill.quantity * 1_000_000), int(fill.price * 1_000_000)
    return table["client_order_id"][at] == fill.client_order_id and micros == (
        int(table["quantity"][at]), int(table["price"][at]),
    )  # fmt: skip


# --- what has become of it ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a file of fills has brought: executions that were new, told before, or still to be taken in."""

    new: int = 0
    repeated: int = 0
    waiting: int = 0
    ended: int = 0  # orders that it says have ended
    questioned: list[Fill] = field(default_factory=list)

    @property
    def executions(self) -> int:
        return self.new + self.repeated + self.waiting


def outcome(file: OrderFile) -> Outcome:
    """Of an accepted file; nothing of one that was refused."""
    if file.problems:
        return Outcome()
    rows = list(fill_files.rows(file.text))
    ids = [execution_id(file.custodian_id or 0, row.execution.execution_id) for row in rows if row.execution]
    fills = Fill.objects.filter(broker=NAME, execution_id__in=ids)
    since = Q(received_at__gte=file.made_at)
    new, known = fills.filter(since).count(), fills.count()
    questioned = fills.filter(state=FillState.QUESTIONED).select_related("order__security").order_by("at", "pk")
    ended = {row.client_order_id for row in rows if row.state not in (None, OrderState.WORKING)}
    return Outcome(new, known - new, len(ids) - known, len(ended), list(questioned[:NAMED_AT_MOST]))


def fill_files_received() -> QuerySet[OrderFile]:
    """The files of fills, the newest first, without their texts."""
    files = OrderFile.objects.filter(kind=Kind.FILLS).defer("text")
    return files.select_related("custodian", "made_by").order_by("-made_at", "-pk")


def custodians_by_file() -> QuerySet[Custodian]:
    """Those to whom files go, or have gone."""
    routed = Route.objects.filter(broker=NAME).values("custodian")
    sent = OrderFile.objects.filter(custodian__isnull=False).values("custodian")
    return Custodian.objects.filter(Q(pk__in=routed) | Q(pk__in=sent)).order_by("name")
