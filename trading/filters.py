"""What can be filtered on the lists of orders, and the rows that each of them lists."""

from django.db.models import (
    Case,
    CharField,
    Count,
    DecimalField,
    Exists,
    ExpressionWrapper,
    F,
    IntegerField,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Coalesce, Concat, NullIf, Round

from accounts.listing.filters import (
    AmountFilter,
    ChoiceFilter,
    CountFilter,
    FlagFilter,
    MomentFilter,
    NumberedFilter,
    NumberFilter,
    OptionFilter,
    StrictFilterSet,
    TextFilter,
    Tile,
)
from accounts.selectors import name_of
from trading.models import Allocation, Fill, Order
from trading.states import AT_BROKER, ENDED, Algorithm, FillState, OrderState, Side
from trading.words import BROKERS

SHARES = DecimalField(max_digits=20, decimal_places=6)
PRICE = DecimalField(max_digits=18, decimal_places=6)
DOLLARS = DecimalField(max_digits=20, decimal_places=2)
AT_WORK = (OrderState.SENDING, *AT_BROKER)
EVERYBODY = 0  # a viewer who sees every account
NO_SHARES = Value(0, output_field=SHARES)


# --- orders ---------------------------------------------------------------------------------------------------


def order_rows(user) -> QuerySet[Order]:
    """The orders that this person sees, as the list shows them.

    Shares, fills, money and accounts are of the parts that they see: who does not see every account counts their own,
    and what of the fills is theirs is known when the order is allocated.
    """
    seen = Order.objects.visible_to(user)
    rows = seen.annotate(**_whole() if user.sees_every_account else _parts(user))
    mine = Allocation.objects.visible_to(user).filter(order=OuterRef("pk"), quantity__gt=0)
    return rows.annotate(
        estimate=Round(F("shares") * F("price"), precision=2, output_field=DOLLARS),
        average=Round(
            ExpressionWrapper(F("filled_amount") / NullIf(F("filled_quantity"), NO_SHARES), output_field=PRICE),
            precision=6,
        ),
        accounts_count=Coalesce(_of_parts(mine, Count("account", distinct=True)), 0),
        first_number=_of_parts(mine, Min("account__number")),
        confirmer=name_of("ticket__confirmed_by"),
        viewer=Value(EVERYBODY if user.sees_every_account else user.pk, output_field=IntegerField()),
    )


def _whole():
    return {
        "shares": F("quantity"),
        "filled": F("filled_quantity"),
        "money": Round(F("filled_amount"), precision=2, output_field=DOLLARS),
    }


def _parts(user):
    mine = Allocation.objects.visible_to(user).filter(order=OuterRef("pk"))
    none = Q(filled_quantity=0)
    return {
        "shares": _of_parts(mine, Sum("quantity")),
        "filled": Case(When(none, then=NO_SHARES), default=_of_parts(mine, Sum("filled_quantity"))),
        "money": Case(
            When(none, then=Value(0, output_field=DOLLARS)), default=_of_parts(mine, Sum("filled_amount")),
            output_field=DOLLARS,
        ),
    }  # fmt: skip


def _of_parts(parts, figure):
    """A figure over the allocations of the order at hand."""
    return Subquery(parts.order_by().values("order").annotate(figure=figure).values("figure"))


def _state(*states):
    return Q(state__in=states)


CANCELLABLE = _state(OrderState.WORKING, OrderState.PARTIALLY_FILLED) | (
    _state(OrderState.READY) & Q(ticket__confirmed_at__isnull=False)
)


class OrderFilters(StrictFilterSet):
    """Trading / Orders."""

    order = NumberedFilter("Order", "pk")
    symbol = ChoiceFilter("Ticker", "security__symbol")
    security = TextFilter("Security", "security__name")
    ticket = NumberedFilter("Ticket", "ticket_id")
    staged_for = TextFilter("Staged for", "ticket__label")
    side = ChoiceFilter("Side", choices=Side.choices)
    state = ChoiceFilter("State", choices=OrderState.choices)
    shares = NumberFilter("Shares")
    filled = NumberFilter("Filled")
    average = NumberFilter("Average price $")
    money = AmountFilter("Value $")
    estimate = AmountFilter("Estimated $")
    accounts = CountFilter("Accounts", "accounts_count")
    algorithm = ChoiceFilter("Execution", choices=Algorithm.choices)
    extended = FlagFilter("Extended hours", "extended_hours")
    broker = ChoiceFilter("Broker", choices=list(BROKERS.items()))
    custodian = ChoiceFilter("Custodian", "custodian__name")
    trouble = OptionFilter("Trouble", {"yes": ("Yes", ~Q(trouble="")), "no": ("No", Q(trouble=""))})
    staged_at = MomentFilter("Staged", "ticket__created_at")
    confirmed_by = ChoiceFilter("Confirmed by", "confirmer")
    confirmed_at = MomentFilter("Confirmed", "ticket__confirmed_at")
    sent_at = MomentFilter("Sent")
    ended_at = MomentFilter("Ended")
    client_order_id = TextFilter("Client order id")
    broker_reference = TextFilter("Broker's reference")

    search_fields = ("security__symbol", "security__name", "client_order_id", "broker_reference")
    search_hint = "Ticker, order, account"
    selectable = CANCELLABLE
    tiles = (
        Tile("staged", "Staged", _state(OrderState.READY), "not sent yet"),
        Tile("at_work", "At work", _state(*AT_WORK), "sent, not ended"),
        Tile("trouble", "In trouble", ~Q(trouble="") & ~_state(*ENDED), "does not get on"),
        Tile("ended", "Ended", _state(*ENDED), "filled, cancelled, rejected, expired"),
    )

    def _word_q(self, word):
        """Also by the order's number, and by the number of an account that the person sees in it."""
        if word.casefold() == "order":
            return Q(pk__isnull=False)
        parts = Allocation.objects.filter(order=OuterRef("pk"), account__number=word)
        named = Q(Exists(parts), viewer=EVERYBODY) | Q(Exists(parts.filter(account__advisor=OuterRef("viewer"))))
        number = Q(pk=int(word)) if word.isascii() and word.isdigit() and len(word) < 19 else Q()
        return super()._word_q(word) | named | number


# --- the accounts of an order ---------------------------------------------------------------------------------


def allocation_rows(order, user) -> QuerySet[Allocation]:
    """The parts of an order that this person sees."""
    return (
        Allocation.objects.visible_to(user)
        .filter(order=order)
        .annotate(
            sleeve_name=Case(
                When(sleeve__model=None, then=F("sleeve__kind")),
                default=Concat(Value("model:"), F("sleeve__model__name")),
                output_field=CharField(),
            ),
            editor=name_of("edited_by"),
        )
    )


class AllocationFilters(StrictFilterSet):
    """The accounts of an order."""

    number = TextFilter("Account", "account__number")
    name = TextFilter("Name", "account__name")
    sleeve = ChoiceFilter("Sleeve", "sleeve_name")
    approved = NumberFilter("Approved", "approved_quantity")
    quantity = NumberFilter("Shares")
    filled = NumberFilter("Filled", "filled_quantity")
    money = AmountFilter("Money $", "filled_amount")
    left_out = OptionFilter("Left out", {"yes": ("Yes", Q(quantity=0)), "no": ("No", Q(quantity__gt=0))})
    edited_by = ChoiceFilter("Edited by", "editor")
    edited_at = MomentFilter("Edited")

    search_fields = ("account__number", "account__name")
    search_hint = "Account number or name"


# --- fills that cannot be right -------------------------------------------------------------------------------


def questioned_rows() -> QuerySet[Fill]:
    """The fills that cannot be right, also those that a person has put aside; for those who see every account."""
    return Fill.objects.filter(state=FillState.QUESTIONED).annotate(settler=name_of("settled_by"))


class QuestionedFilters(StrictFilterSet):
    """Fills that could not be matched. Those that were put aside are listed when asked for."""

    standing = OptionFilter(
        "Standing",
        {"waits": ("Waits for a word", Q(settled_at=None)), "aside": ("Put aside", Q(settled_at__isnull=False))},
    )
    broker = ChoiceFilter("Broker", choices=list(BROKERS.items()))
    order = NumberedFilter("Order", "order_id")
    symbol = ChoiceFilter("Ticker", "order__security__symbol")
    execution_id = TextFilter("Execution")
    client_order_id = TextFilter("Client order id")
    quantity = NumberFilter("Shares")
    price = NumberFilter("Price $")
    at = MomentFilter("Executed")
    received_at = MomentFilter("Received")
    settled_by = ChoiceFilter("Put aside by", "settler")
    settled_at = MomentFilter("Put aside")

    search_fields = ("execution_id", "client_order_id", "order__security__symbol")
    search_hint = "Execution, client order id or ticker"
    usually, beyond = Q(settled_at=None), ("standing", "settled_by", "settled_at")
