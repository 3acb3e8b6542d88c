"""An account's own page: what it holds against its target, its lots, money, restrictions, requests and orders."""

from dataclasses import dataclass

from django.contrib.auth.decorators import login_required
from django.db.models import Case, QuerySet, When
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.functional import cached_property
from django.views.decorators.cache import never_cache

from accounts import selectors as book
from accounts.listing.pages import ListPage
from accounts.models import Account, LotMethod, Restriction, Role, TaxStatus
from accounts.services.accounts import DESK
from rebalancer import booked, positions, selectors
from rebalancer.center import LIQUIDATED
from rebalancer.filters import LotFilters, TransactionFilters, lot_rows, transaction_rows
from rebalancer.states import Status
from rebalancer.statuses import capital
from rebalancer.tables import ENTRY_BADGES, STATUS_BADGES, LotTable, TransactionTable
from tax.selectors import gains
from trading import sessions
from trading.selectors import accounts_with_open_orders, allocations, flat_moves
from trading.tables import STATE_BADGES

from .accounts import SECTION
from .center import SLUGS
from .opening import MAY_NOT_OPEN

FLOWS = (Status.NEW_WITHDRAWAL, Status.NEW_DEPOSIT)
SHOWN = 10  # requests, transactions and booked trades: the newest of each
ORDERS_SHOWN = 100  # a request has one for each security that it trades
CLOSED = "The account is closed."
NOT_YOURS_TO_EDIT = "Set-aside cash and restrictions are changed by Operations and Administrators."
ONLY_CASH = (
    "Its only target is all cash while it holds securities: these are sold by a liquidation, which Operations open "
    "from the Rebalance Center."
)
NOT_YOURS_TO_SWITCH = "Your role does not switch rebalancing."
FORBIDDEN = {MAY_NOT_OPEN, NOT_YOURS_TO_EDIT, NOT_YOURS_TO_SWITCH}  # by role; any other reason may pass
NO_LINK = "No portfolio is linked with this account. An Administrator links those it may be rebalanced into."
NO_TARGET = (
    "No portfolio is assigned or linked, so there is no target. Securities are sold by a liquidation, which Operations "
    "open from the Rebalance Center."
)


def accounts_seen(user) -> QuerySet[Account]:
    """The accounts that this person sees, with their names and last check; `outdated`: a new check is on its way;
    `broken`: there is an open reconciliation break."""
    named = selectors.every_account(user).select_related("custodian", "advisor", "household", "portfolio")
    outdated = Case(When(selectors.check_outdated(), then=True), default=False)
    return named.annotate(outdated=outdated, broken=booked.has_break())


@dataclass(frozen=True)
class InForce:
    """A restriction, and whether it counts on a day: "in force", "later" or "ended"."""

    restriction: Restriction
    state: str


def frame(account, tab) -> dict:
    """What every page of an account shows around its own part."""
    check = getattr(account, "check_row", None)
    return {
        "section": SECTION,
        "account": account,
        "tab": tab,
        "check": check,
        "status_badge": STATUS_BADGES[Status(check.status)] if check else "quiet",
        "behind": behind(account, check) if check and account.is_open else None,
    }


@dataclass(frozen=True)
class Link:
    words: str
    href: str


def behind(account, check) -> Link | None:
    """Where the Rebalance Center says or does more about the account's status."""
    status = Status(check.status)
    if status in LIQUIDATED:
        return Link("Rebalance Center", reverse("rebalancer:center_status", args=[SLUGS[status]]))
    if check.attention or status in FLOWS:
        return Link("What stands behind it", reverse("rebalancer:center_account", args=[account.pk]))
    return None


def why_not_edit(account, user) -> str:
    """Why this person may not change set-aside cash and restrictions; empty when they may."""
    if not user.roles & set(DESK):
        return NOT_YOURS_TO_EDIT
    return "" if account.is_open else CLOSED


def why_not_switch(account, user) -> str:
    if not user.roles & set(Role):
        return NOT_YOURS_TO_SWITCH
    return "" if account.is_open else CLOSED


def why_not_rebalance(account, user, portfolios) -> str:
    """Why the account cannot be put in a request of its own now; `portfolios` are those it may be held to."""
    if not account.is_open:
        return CLOSED
    if not user.has_perm("rebalancer.add_batch"):
        return MAY_NOT_OPEN
    if not portfolios:
        return NO_TARGET
    if entry := selectors.open_entry(account):
        return f"It is in {str(entry.batch).lower()} already."
    if accounts_with_open_orders([account.pk]):
        return "It has an open order."
    return ONLY_CASH if selectors.only_liquidated(account, portfolios) else ""


def why_not_another(account, user, linked) -> str:
    """Why it cannot be given another portfolio; `linked` are those it may be given."""
    if why := why_not_switch(account, user):
        return why
    return "" if linked else NO_LINK


@login_required
@never_cache
def account(request, pk):
    row = get_object_or_404(accounts_seen(request.user), pk=pk)
    return render(request, "rebalancer/account.html", frame(row, "account") | _page(row, request.user))


@login_required
@never_cache
def status(request, pk):
    """The status of an account; while its check is outdated the page asks for this again."""
    row = get_object_or_404(accounts_seen(request.user), pk=pk)
    return render(request, "rebalancer/_account_status.html", frame(row, "account"))


def _page(row, user):
    day = sessions.today()
    restrictions = list(book.restrictions(user, row).order_by("security__symbol"))
    linked = list(row.linked_portfolios.all())
    provisional = booked.provisional(row)
    targets = linked + [row.portfolio] * (row.portfolio is not None and row.portfolio not in linked)
    return {
        "holdings": positions.holdings(row, _counting(restrictions, day), gains(user, row, day), provisional),
        "provisional": provisional,
        "breaks": _breaks(row),
        "trades": booked.newest_trades(user, row, SHOWN),
        "taxable": row.tax_status == TaxStatus.TAXABLE,
        "lot_method": LotMethod(row.lot_method).label if row.lot_method else "",
        "restrictions": [InForce(one, state_of(one, day)) for one in restrictions],
        "entries": [(one, ENTRY_BADGES[one.state]) for one in selectors.entries_of(row, user)[:SHOWN]],
        "orders": list(allocations(row)[:ORDERS_SHOWN]),
        "order_badges": STATE_BADGES,
        "moves": list(flat_moves(row)[:ORDERS_SHOWN]),
        "transactions": list(book.transactions(user, row)[:SHOWN]),
        "shown": SHOWN,
        "orders_shown": ORDERS_SHOWN,
        "why_not_edit": why_not_edit(row, user),
        "why_not_switch": why_not_switch(row, user),
        "why_not_another": why_not_another(row, user, [one for one in linked if one != row.portfolio]),
        "why_not_rebalance": why_not_rebalance(row, user, targets),
    }


def _breaks(row):
    """The open reconciliation breaks of an account, in words; most have none, and nothing is asked for them."""
    found = booked.breaks_of([row.pk]).get(row.pk, []) if row.broken else []
    return [{"pk": one.pk, "words": capital(booked.break_words(one))} for one in found]


def state_of(restriction, day) -> str:
    if restriction.start > day:
        return "later"
    return "ended" if restriction.end is not None and restriction.end < day else "in force"


def _counting(restrictions, day):
    return [one for one in restrictions if state_of(one, day) == "in force"]


# --- its lists ------------------------------------------------------------------------------------------------


class AccountList(ListPage):
    """A list that belongs to one account, with filters of its own for each."""

    @cached_property
    def account(self):
        return get_object_or_404(accounts_seen(self.request.user), pk=self.kwargs["pk"])

    def post(self, request, *args, **kwargs):
        """As any list; of an account that this person does not see, there is none."""
        return super().post(request, *args, **kwargs) if self.account else None

    def memory_screen(self):
        return f"{self.screen}:{self.kwargs['pk']}"

    def list_context(self, unfiltered):
        return frame(self.account, self.screen) | {"list_url": reverse("rebalancer:account", args=[self.account.pk])}


class LotsPage(AccountList):
    screen = "lots"
    table_class = LotTable
    filterset_class = LotFilters
    template_name = "rebalancer/account_lots.html"
    empty_template = "rebalancer/_account_no_lots.html"

    def base(self):
        return lot_rows(self.request.user, self.account, sessions.today())


class TransactionsPage(AccountList):
    screen = "transactions"
    table_class = TransactionTable
    filterset_class = TransactionFilters
    template_name = "rebalancer/account_transactions.html"
    empty_template = "rebalancer/_account_no_transactions.html"

    def base(self):
        return transaction_rows(self.request.user, self.account)
