"""What can be filtered on the pages of Clients / Accounts, and the rows that each of them lists."""

from django.db.models import Case, CharField, F, Q, QuerySet, Value, When
from django.db.models.functions import Concat

from accounts import selectors as accounts_selectors
from accounts.listing.filters import (
    AmountFilter,
    ChoiceFilter,
    DayFilter,
    FlagFilter,
    MomentFilter,
    NumberFilter,
    OptionFilter,
    StrictFilterSet,
    TextFilter,
)
from accounts.models import Account, Household, Transaction
from accounts.selectors import name_of
from rebalancer import selectors
from rebalancer.booked import provisional_until
from tax.models import Lot
from tax.selectors import valued_lots

from .tabs import QueueFilters


def account_rows(user) -> QuerySet[Account]:
    """Every account of this person, closed ones too, with its last check if it has one."""
    return selectors.every_account(user).annotate(advisor_name=name_of("advisor"))


class AccountsFilters(QueueFilters):
    """Clients / Accounts: what the queue can be filtered by, and more. Closed accounts are listed when asked for."""

    rebalancing = FlagFilter("Rebalancing", "rebalancing_on", yes="On", no="Off")
    state = OptionFilter("Open or closed", {"open": ("Open", Q(is_open=True)), "closed": ("Closed", Q(is_open=False))})

    search_hint = "Number, name or household"
    tiles = ()
    usually, beyond = Q(is_open=True), ("state",)

    def _word_q(self, word):
        """The households apart: they are fewer, and the accounts are then read in their order, without a join."""
        named = Household.objects.filter(name__icontains=word)
        return super()._word_q(word) | Q(household__in=named.values("pk"))


# --- the lists of one account ---------------------------------------------------------------------------------


def lot_rows(user, account, day) -> QuerySet[Lot]:
    """The lots of an account, with what they would bring on that day."""
    return valued_lots(user, account, day).annotate(
        sleeve_name=Case(
            When(sleeve__model=None, then=F("sleeve__kind")),
            default=Concat(Value("model:"), F("sleeve__model__name")),
            output_field=CharField(),
        ),
        provisional=provisional_until(),
    )


class LotFilters(StrictFilterSet):
    """Lots of an account."""

    symbol = ChoiceFilter("Symbol", "security__symbol")
    name = TextFilter("Security", "security__name")
    sleeve = ChoiceFilter("Sleeve", "sleeve_name")
    acquired = DayFilter("Acquired", "acquired_on")
    quantity = NumberFilter("Shares")
    price = NumberFilter("Price $")
    value = AmountFilter("Value $")
    cost = AmountFilter("Cost $", "total_cost")
    gain = AmountFilter("Unrealized G&L")
    term = FlagFilter("Term", "long_term", yes="Long", no="Short")
    lot = TextFilter("Lot", "lot_id")
    provisional = DayFilter("Provisional until", "provisional")

    search_fields = ("security__symbol", "security__name", "lot_id")
    search_hint = "Symbol, security or lot"


def transaction_rows(user, account) -> QuerySet[Transaction]:
    return accounts_selectors.transactions(user, account)


class TransactionFilters(StrictFilterSet):
    """Transactions of an account."""

    date = DayFilter("Date")
    kind = ChoiceFilter("Kind", choices=Transaction.Kind.choices)
    symbol = ChoiceFilter("Symbol", "security__symbol")
    quantity = NumberFilter("Shares")
    amount = AmountFilter("Amount $")
    external_id = TextFilter("Reference")
    recorded_at = MomentFilter("Recorded")

    search_fields = ("security__symbol", "external_id")
    search_hint = "Symbol or reference"
