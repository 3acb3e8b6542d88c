"""Trading / Orders: all orders, one with everything that is known of it, and the fills that could not be matched."""

from decimal import Decimal

from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.db.models import Exists, OuterRef, QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404, render
from django.utils.functional import cached_property
from django.views.decorators.cache import never_cache
from django_htmx.http import HttpResponseClientRefresh

from accounts.listing.figures import plural, quantity_text
from trading import brokers
from trading import selectors_orders as selectors
from trading.filters import (
    AllocationFilters,
    OrderFilters,
    QuestionedFilters,
    allocation_rows,
    order_rows,
    questioned_rows,
)
from trading.models import Allocation, Order
from trading.services import ending
from trading.states import AT_BROKER, ENDED, OrderState
from trading.tables import STATE_BADGES, AllocationTable, OrderTable, QuestionedTable
from trading.words import broker_words, execution_words

from .tabs import TradingList

MAY_NOT_CANCEL = "Orders are cancelled by Operations."
MAY_NOT_ASK = "The broker is asked by Operations."
MAY_NOT_END = "Orders are ended by hand by Operations."
CALL = "It cannot be taken back from here: call the custodian or broker."
KEPT = 10  # seconds: how many fills are questioned, as old as what the frame of every page says
QUESTIONED_KEPT = "questioned-fills"  # the name it is kept by
LOG_SHOWN = 200  # the newest steps, and the newest fills: a TWAP of a day has some hundred


class OrdersPage(TradingList):
    screen = "orders"
    table_class = OrderTable
    filterset_class = OrderFilters
    template_name = "trading/orders.html"
    actions_template = "trading/_orders_selected.html"
    empty_template = "trading/_orders_empty.html"

    @cached_property
    def may_change(self):
        return self.request.user.has_perm("trading.change_order")

    @property
    def selectable(self):
        return self.may_change

    def base(self):
        return order_rows(self.request.user)

    def context(self):
        """Only those who see every account are told of fills without an order: nobody knows whose these are."""
        if not self.request.user.sees_every_account:
            return {"questioned": 0}
        return {"questioned": cache.get_or_set(QUESTIONED_KEPT, selectors.questioned, KEPT)}


class QuestionedPage(TradingList):
    """The fills that could not be matched; there is no such page for whoever does not see every account."""

    screen = "questioned"
    table_class = QuestionedTable
    filterset_class = QuestionedFilters
    template_name = "trading/questioned.html"
    empty_template = "trading/_questioned_empty.html"

    def base(self):
        if not self.request.user.sees_every_account:
            raise Http404
        return questioned_rows()

    def post(self, request, *args, **kwargs):
        """As any list; for whoever has no such page there is nothing to lay out either."""
        return super().post(request, *args, **kwargs) if self.base() is not None else None


# --- one order ------------------------------------------------------------------------------------------------


def orders_seen(user) -> QuerySet[Order]:
    """The orders this person sees, with their figures and `others`: it has accounts that they do not see."""
    parts = Allocation.objects.filter(order=OuterRef("pk"))
    others = parts.exclude(pk__in=Allocation.objects.visible_to(user).values("pk"))
    people = ("edited_by", "ticket__created_by", "ticket__confirmed_by")
    rows = order_rows(user).select_related("ticket", "security", "custodian", *people)
    return rows.annotate(others=Exists(others))


def is_live(order) -> bool:
    """Whether something is still to come: it has not ended, or its fills are to be booked."""
    return order.state not in ENDED or bool(order.filled_quantity and not order.allocated_at)


def live(order, user) -> dict:
    """What of an order moves while it is under way."""
    events, fills = selectors.log(order), selectors.fills(order)
    return {
        "order": order,
        "live": is_live(order),
        "state_badge": STATE_BADGES[OrderState(order.state)],
        "ended": order.state in ENDED,
        "left": left(order),
        "events": list(events[:LOG_SHOWN]),
        "fills": [] if order.others else list(fills[:LOG_SHOWN]),
        "log_shown": LOG_SHOWN,
        "execution": execution_words(
            order.algorithm, order.limit_price, order.starts_at, order.ends_at, order.participation,
            order.extended_hours,
        ),
        "broker": broker_words(order.broker, order.custodian),
        "consequence": consequence(order),
        "why_not_cancel": why_not_cancel(order, user),
        "why_not_ask": why_not_ask(order, user),
        "ends_by_hand": not ending.why_not_end(order),
        "why_not_end": why_not_end(user),
    }  # fmt: skip


def left(order) -> Decimal:
    """Shares that are not filled."""
    return order.quantity - order.filled_quantity


def consequence(order) -> str:
    """What cancelling does, in numbers."""
    symbol, shares = order.security.symbol, quantity_text(order.quantity)
    accounts = plural(order.accounts_count, "account")
    done = "sold" if order.side == "sell" else "bought"
    if order.state == OrderState.READY:
        return f"It has not been sent: none of its {shares} {symbol} for {accounts} will be {done}."
    if not order.filled_quantity:
        return (
            f"None of its {shares} {symbol} for {accounts} is filled. The broker is asked to take all of it back; what "
            "is filled until it answers is booked."
        )
    return (
        f"{quantity_text(order.filled_quantity)} of {shares} {symbol} are {done} and will be booked in {accounts}. The "
        f"broker is asked to take back the {quantity_text(left(order))} that are left; what is filled until it answers "
        "is booked, too."
    )


def why_not_cancel(order, user) -> str:
    """Why this person cannot cancel it now; empty when they can."""
    if not user.has_perm("trading.change_order"):
        return MAY_NOT_CANCEL
    if order.state in ENDED:
        return "It has ended."
    if order.state == OrderState.SENDING:
        return "It is being sent; it can be cancelled when the broker has it."
    if order.state == OrderState.READY and order.ticket.confirmed_at is None:
        return "It is not confirmed yet: leave its accounts out on the order ticket."
    if order.state == OrderState.PENDING_CANCEL:
        return "The broker has been asked to take it back."
    sent = order.state != OrderState.READY
    return CALL if sent and not _takes_back(order.broker) else ""


def _takes_back(name) -> bool:
    """Whether the broker can be asked to take an order back; one that is not set up any more cannot."""
    try:
        return brokers.broker(name).can_cancel
    except KeyError:
        return False


def why_not_ask(order, user) -> str:
    """Why this person cannot have the broker asked about it; empty when they can."""
    if not user.has_perm("trading.change_order"):
        return MAY_NOT_ASK
    if order.state in (OrderState.SENDING, *AT_BROKER):
        return ""
    return "It has ended." if order.state in ENDED else "It has not been sent."


def why_not_end(user) -> str:
    """Why this person may not end an order by hand; empty when they may."""
    return "" if user.has_perm("trading.change_order") else MAY_NOT_END


class OrderPage(TradingList):
    """An order: its facts, log and fills, which move by themselves, and the accounts it is for as a list."""

    screen = "order"
    table_class = AllocationTable
    filterset_class = AllocationFilters
    template_name = "trading/order.html"
    empty_template = "trading/_order_nobody.html"

    @cached_property
    def order(self):
        return get_object_or_404(orders_seen(self.request.user), pk=self.kwargs["pk"])

    def post(self, request, *args, **kwargs):
        """As any list; of an order that this person does not see, there is none."""
        return super().post(request, *args, **kwargs) if self.order else None

    def memory_screen(self):
        return f"order:{self.kwargs['pk']}"

    def base(self):
        return allocation_rows(self.order, self.request.user)

    def context(self):
        parts = selectors.parts_of(self.order, self.request.user)
        return live(self.order, self.request.user) | {"parts": parts}

    def list_context(self, unfiltered):
        return super().list_context(unfiltered) | {"order": self.order}

    def file_name(self):
        return f"order-{self.order.pk}"


@login_required
@never_cache
def status(request, pk):
    """What of an order moves; when nothing more is to come the page is shown anew and nothing is asked any more."""
    order = get_object_or_404(orders_seen(request.user), pk=pk)
    if not is_live(order):
        return HttpResponseClientRefresh()
    return render(request, "trading/_order_live.html", live(order, request.user) | {"again": True})
