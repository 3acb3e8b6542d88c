"""Reads of orders. An account has an open order while an allocation or flat move of it is to be booked or dropped."""

from datetime import datetime

from django.db.models import Case, DecimalField, Exists, Max, Min, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce

from trading.models import Allocation, FlatMove, Order, Ticket
from trading.states import AT_BROKER, ENDED, OrderState


def has_open_order(account: str = "pk") -> Q:
    """The condition on rows whose field `account` is an account's id: the account has an open order."""
    allocations = Allocation.objects.filter(account=OuterRef(account), is_open=True)
    moves = FlatMove.objects.filter(account=OuterRef(account), is_open=True)
    return Q(Exists(allocations)) | Q(Exists(moves))


def has_no_open_order(account: str = "pk") -> Q:
    """The opposite, as two conditions of their own: the database answers each by one pass, whatever the rows."""
    allocations = Allocation.objects.filter(account=OuterRef(account), is_open=True)
    moves = FlatMove.objects.filter(account=OuterRef(account), is_open=True)
    return Q(~Exists(allocations)) & Q(~Exists(moves))


def accounts_with_open_orders(account_pks, but_of: int | None = None) -> set[int]:
    """Those of these accounts that have an open order; where a ticket's id is given, one of another ticket."""
    allocations = Allocation.objects.filter(account__in=account_pks, is_open=True)
    moves = FlatMove.objects.filter(account__in=account_pks, is_open=True)
    if but_of is not None:
        allocations, moves = allocations.exclude(order__ticket=but_of), moves.exclude(ticket=but_of)
    return set(allocations.values_list("account", flat=True).union(moves.values_list("account", flat=True)))


def accounts_ordered_for(rows: QuerySet) -> set[int]:
    """The accounts with an open order for which there is one of `rows`, which name the account OuterRef("account").

    The database starts from the open orders: of thousands of rows that were just written it believes there is one, and
    would go through all of them for each kind of order.
    """
    found = Subquery(rows.order_by().values("pk")[:1])
    allocations, moves = (
        kind.objects.filter(is_open=True).alias(row=found).filter(row__isnull=False).values_list("account", flat=True)
        for kind in (Allocation, FlatMove)
    )
    return set(allocations.union(moves))


def orders(ticket) -> QuerySet[Order]:
    """The block orders of a ticket, by symbol."""
    return Order.objects.filter(ticket=ticket).select_related("security").order_by("security__symbol", "side", "pk")


def allocations(account) -> QuerySet[Allocation]:
    """The parts of an account in block orders, the open ones first, then the newest."""
    found = Allocation.objects.filter(account=account)
    found = found.select_related("order__security", "order__ticket", "sleeve__model")
    return found.order_by("-is_open", "-order__ticket__created_at", "order__security__symbol", "pk")


def flat_moves(account) -> QuerySet[FlatMove]:
    """The flat moves of an account, the open ones first, then the newest."""
    found = FlatMove.objects.filter(account=account)
    found = found.select_related("security", "ticket", "source__model", "target__model")
    return found.order_by("-is_open", "-ticket__created_at", "security__symbol", "pk")


def untraded_accounts(tickets) -> set[tuple[int, int]]:
    """(ticket id, account id) of those whose orders have all ended and are booked, and brought it nothing.

    What the block brought to other accounts does not count: of a partial fill not everybody gets a share.
    """
    done = Case(When(order__state__in=ENDED, is_open=False, then=Value(1)), default=Value(0))
    got = Max(Coalesce("filled_quantity", 0, output_field=DecimalField()))
    found = (
        Allocation.objects.filter(order__ticket__in=tickets)
        .values("order__ticket", "account")
        .annotate(all_done=Min(done), got=got)
        .filter(all_done=1, got=0)
    )
    return set(found.values_list("order__ticket", "account"))


def is_under_way(ticket: str = "ticket") -> Q:
    """The condition on rows whose field `ticket` is a ticket's id: an order of it has not ended, or something of it is
    to be booked yet."""
    orders = Order.objects.filter(ticket=OuterRef(ticket)).exclude(state__in=ENDED)
    parts = Allocation.objects.filter(order__ticket=OuterRef(ticket), is_open=True)
    moves = FlatMove.objects.filter(ticket=OuterRef(ticket), is_open=True)
    return Q(Exists(orders)) | Q(Exists(parts)) | Q(Exists(moves))


def orders_lie_about(since: datetime) -> bool:
    """Whether orders were to be sent or asked about since then, and nobody has come to it.

    Not so where a broker does not answer or buys wait for sells: then somebody was there, and the order says why.
    """
    confirmed = Ticket.objects.filter(pk=OuterRef("ticket"), confirmed_at__lt=since, sells_first=False)
    ready = Q(Exists(confirmed), state=OrderState.READY, quantity__gt=0)
    begun = Q(state=OrderState.SENDING, claim_expires__lt=since)
    watched = Q(state__in=AT_BROKER, asked_at__lt=since)
    return Order.objects.filter(ready | begun | watched, allocated_at=None, trouble="").exists()
