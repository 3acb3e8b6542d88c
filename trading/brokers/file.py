"""The broker *file*: order and allocation files for custodians; fills come back in files.

Each block has files of its own, named by its client order id, stored before they go anywhere. Where the custodian's
route names a folder they are dropped there, else they wait on the ticket to be downloaded; `OrderFile.dropped_at` says
when they were handed over in the one way or the other. An order is known here once its files are handed over, so that
after a crash the worker submits it again, which hands over the very files that were stored.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache

from django.contrib.postgres.aggregates import ArrayAgg
from django.db import transaction
from django.db.models import Max, Q
from django.utils import timezone

from accounts.models import Custodian
from trading import formats
from trading.formats import fills as fill_files
from trading.models import Allocation, Order, OrderFile, Route
from trading.states import ENDED, Algorithm, OrderState, Side

from .base import BrokerDown, FillReport, Instruction, RefusedByBroker, Report
from .dropping import CannotDrop, drop, forget

Kind = OrderFile.Kind
NAME = "file"
AS_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*", re.ASCII)
FILES_REMEMBERED = 1_000  # read from the database and taken apart once, not at every look at the fills


class Files:
    can_cancel = False
    takes_lots = False
    is_live = False  # a session can be over long before its file comes

    def submit(self, order: Instruction) -> Report:
        """Store the order's files, the first time, and hand over those that are not yet."""
        route = _route(order.custodian_id)
        for file in _stored(order) or _store(order, route):
            if file.dropped_at is None:
                _hand_over(file, route.folder)
        return Report(
            order.client_order_id, OrderState.WORKING, reference=file_name(order.client_order_id, Kind.ORDERS)
        )

    def cancel(self, client_order_id: str) -> None:
        raise RefusedByBroker(
            "An order in a file can't be called back from here: ask the custodian, whose file of fills then says so."
        )

    def lookup(self, client_order_ids: Sequence[str]) -> dict[str, Report]:
        orders = _orders(client_order_ids)
        names = {file_name(one, kind): one for one in orders for kind in (Kind.ORDERS, Kind.ALLOCATIONS)}
        files = _files_of(orders.values()).filter(name__in=names).values_list("name", "dropped_at")
        stored = {names[name] for name, _ in files}
        waiting = {names[name] for name, dropped_at in files if dropped_at is None}
        told = _told(orders.values())
        return {one: _report(orders[one], told.get(one, _Told())) for one in stored - waiting}

    def fills(self, client_order_ids: Sequence[str]) -> list[FillReport]:
        orders = _orders(client_order_ids)
        told = _told(orders.values())
        return [fill for one in orders if one in told for fill in told[one].fills.values()]


def file_name(client_order_id: str, kind: str) -> str:
    return f"{client_order_id}-{kind}.csv"


def execution_id(custodian_id: int, own: str) -> str:
    """An execution's name among all custodians: each counts its own."""
    return f"{custodian_id}/{own}"


# --- out ------------------------------------------------------------------------------------------------------------


def _route(custodian_id):
    route = Route.objects.filter(custodian=custodian_id, broker=NAME).select_related("custodian").first()
    if route is None:
        whose = Custodian.objects.filter(pk=custodian_id).first() or "No custodian"
        raise BrokerDown(f"{whose} has no route by files any more; an Administrator can set it again.")
    return route


def _stored(order):
    """The files that an earlier try has stored."""
    names = [file_name(order.client_order_id, kind) for kind in (Kind.ORDERS, Kind.ALLOCATIONS)]
    mine = OrderFile.objects.filter(ticket=order.ticket_id, custodian=order.custodian_id, name__in=names)
    return list(mine.order_by("-kind"))  # the orders, then who gets what of them


def _store(order, route):
    """Write the order's files in the newest version of the route's format; RefusedByBroker where that can't be."""
    form = formats.newest(route.file_format)
    refuse_what_cannot_be_carried(order, form)
    texts = {Kind.ORDERS: form.orders(order)}
    if form.allocations:
        texts[Kind.ALLOCATIONS] = form.allocations(order)
    common = {
        "ticket_id": order.ticket_id, "custodian_id": order.custodian_id, "file_format": form.name,
        "column_map": form.version,
    }  # fmt: skip
    rows = [
        OrderFile(kind=kind, name=file_name(order.client_order_id, kind), text=text, **common)
        for kind, text in texts.items()
    ]
    with transaction.atomic():
        OrderFile.objects.bulk_create(rows, ignore_conflicts=True)  # two workers at once write the same
    return _stored(order)


def refuse_what_cannot_be_carried(order: Instruction, form: formats.Format) -> None:
    problems = form.problems(formats.facts_of(order))
    if not AS_FILE_NAME.fullmatch(order.client_order_id):
        problems.append(f"The client order id {order.client_order_id!r} can't name a file.")
    if not formats.covers(order):
        problems.append("The accounts' parts do not add up to the order.")
    if problems:
        raise RefusedByBroker(" ".join(problems))


def _hand_over(file, folder):
    """Drop the file where there is a folder, and note it; without one it waits on the ticket to be downloaded.

    The row is held meanwhile: a worker that was thought to be gone and the one in its place drop one after the other.
    """
    with transaction.atomic():
        held = OrderFile.objects.select_for_update(of=("self",)).get(pk=file.pk)
        if held.dropped_at is None:
            _drop(held, folder)
            OrderFile.objects.filter(pk=held.pk).update(dropped_at=timezone.now())
    if folder:
        forget(folder, file.name)


def _drop(file, folder):
    try:
        if folder:
            drop(folder, file.name, file.text)
    except CannotDrop as error:
        raise BrokerDown(str(error)) from error


# --- back -----------------------------------------------------------------------------------------------------------


@dataclass
class _Told:
    """What a custodian's files say of an order: each execution once, and what has become of the order at last."""

    fills: dict[str, FillReport] = field(default_factory=dict)
    state: OrderState | None = None
    file: str = ""


def _orders(client_order_ids) -> dict[str, Order]:
    found = Order.objects.filter(client_order_id__in=list(client_order_ids), broker=NAME)
    return {order.client_order_id: order for order in found if order.client_order_id}


def _files_of(orders: Iterable[Order]):
    tickets = {order.ticket_id for order in orders}
    return OrderFile.objects.filter(ticket__in=tickets, kind__in=[Kind.ORDERS, Kind.ALLOCATIONS])


def _told(orders: Iterable[Order]) -> dict[str, _Told]:
    """By client order id, from the accepted files of fills that came since the first of these orders was written."""
    orders = list(orders)
    first = _files_of(orders).order_by("made_at").values_list("made_at", flat=True).first()
    if first is None:
        return {}
    custodian_of = {order.client_order_id: order.custodian_id for order in orders}
    found: dict[str, _Told] = {}
    for pk, name, custodian in accepted().filter(made_at__gte=first, custodian__in=set(custodian_of.values())):
        for row in _rows(pk):
            if custodian_of.get(row.client_order_id) == custodian:
                _take_in(found.setdefault(row.client_order_id, _Told()), row, custodian, name)
    return found


def accepted():
    """(id, name, custodian) of the files of fills without problems, in the order in which they came."""
    files = OrderFile.objects.filter(kind=Kind.FILLS, problems=[])
    return files.order_by("made_at", "pk").values_list("pk", "name", "custodian")


@lru_cache(maxsize=FILES_REMEMBERED)
def _rows(pk: int) -> tuple[fill_files.Row, ...]:
    """Of an accepted file, which does not change any more."""
    return tuple(fill_files.rows(OrderFile.objects.values_list("text", flat=True).get(pk=pk)))


def _take_in(told, row, custodian, name):
    if row.execution is not None:
        fill = report_of(row, custodian)
        told.fills.setdefault(fill.execution_id, fill)
    if row.state is not None:
        told.state, told.file = row.state, name


def report_of(row: fill_files.Row, custodian_id: int) -> FillReport:
    """The fill of a row that has an execution."""
    done = row.execution
    assert done is not None
    name = execution_id(custodian_id, done.execution_id)
    return FillReport(name, row.client_order_id, done.quantity, done.price, done.at)


def _report(order, told):
    """Filled is what is filled: a custodian's word for it counts once its executions say the same."""
    filled = sum((fill.quantity for fill in told.fills.values()), Decimal(0))
    reference = file_name(order.client_order_id, Kind.ORDERS)
    if filled >= order.quantity:
        return Report(order.client_order_id, OrderState.FILLED, reference)
    if told.state == OrderState.FILLED:
        words = f"{told.file} calls it filled, but its executions are {filled:f} of {order.quantity:f}."
        return Report(order.client_order_id, OrderState.WORKING, reference, words)
    if told.state in ENDED:
        words = f"{told.state.label}, as {told.file} says."
        return Report(order.client_order_id, told.state, reference, words)
    return Report(order.client_order_id, OrderState.WORKING, reference)


# --- before it is sent ----------------------------------------------------------------------------------------------


def refusals(orders: Iterable[Order]) -> dict[int, list[str]]:
    """Why files can't carry these orders (with security and custodian), in words, by order id; one query for them all.

    What `submit` would refuse, known before the ticket is confirmed.
    """
    by_file = [order for order in orders if order.broker == NAME]
    if not by_file:
        return {}
    parts = _extremes(by_file)
    found = {order.pk: _why_not(order, parts.get(order.pk, _Extremes())) for order in by_file}
    return {pk: words for pk, words in found.items() if words}


@dataclass(frozen=True, slots=True)
class _Extremes:
    """Of an order's parts: the largest quantity, and the account numbers that something could be wrong with."""

    largest: Decimal = Decimal(0)
    numbers: tuple[str, ...] = ()


def _extremes(orders):
    suspect = Q(account__number__regex=r"^[=+@-]") | Q(account__number__regex=r"^.{21,}$")
    parts = Allocation.objects.filter(order__in=[order.pk for order in orders], quantity__gt=0)
    found = parts.values("order").annotate(
        largest=Max("quantity"), numbers=ArrayAgg("account__number", filter=suspect, distinct=True, default=[])
    )
    return {one["order"]: _Extremes(one["largest"], tuple(one["numbers"])) for one in found.order_by()}


def _why_not(order, extremes):
    route = getattr(order.custodian, "route", None)
    if route is None or route.broker != NAME:
        return [f"{order.custodian} has no route by files any more."]
    facts = formats.Facts(
        order.security.symbol, Side(order.side), Algorithm(order.algorithm), order.extended_hours, order.limit_price,
        [order.security.quantity_step, extremes.largest], extremes.numbers,
    )  # fmt: skip
    return formats.newest(route.file_format).problems(facts)
