"""A small list page over accounts, for the tests of the kit: every kind of column, tiles, search, selection."""

from django.db.models import F, Q
from django.http import HttpResponse
from django.template import Template
from django.urls import path

from accounts.listing import answers
from accounts.listing.filters import (
    AmountFilter,
    ChoiceFilter,
    CountFilter,
    DayFilter,
    FilterRefused,
    FlagFilter,
    MomentFilter,
    OptionFilter,
    PercentFilter,
    StrictFilterSet,
    TextFilter,
    Tile,
)
from accounts.listing.pages import ListPage
from accounts.listing.selection import Selection, SelectionChanged, SelectionError
from accounts.listing.tables import (
    ChoiceColumn,
    Column,
    DayColumn,
    ListTable,
    MomentColumn,
    MoneyColumn,
    badge,
)
from accounts.models import Account, TaxStatus


class AccountFilters(StrictFilterSet):
    number = TextFilter("Account")
    name = TextFilter("Name")
    custodian = ChoiceFilter("Custodian", "custodian__name")
    tax_status = ChoiceFilter("Tax status", choices=TaxStatus.choices)
    cash = AmountFilter("Cash")
    share = PercentFilter("Set aside", "set_aside_cash")
    lots = CountFilter("Lots", "id")
    last_rebalanced = DayFilter("Last rebalanced")
    checked = MomentFilter("Check wanted", "check_wanted_at")
    rebalancing = FlagFilter("Rebalancing", "rebalancing_on", yes="On", no="Off")
    conditions = OptionFilter(
        "Conditions", {"rich": ("Rich", Q(cash__gte=1000)), "first": ("First Rebalance", Q(last_rebalanced=None))}
    )

    search_fields = ("number", "name")
    search_hint = "Account number or name"
    tiles = (
        Tile("first", "First Rebalance", Q(last_rebalanced=None), note="never rebalanced since switched on"),
        Tile("rich", "High Cash", Q(cash__gte=1000), note="{} above target", adds=F("cash") - 1000),
        Tile("poor", "Low Cash", Q(cash__lt=0), note="{} below target", adds=-F("cash")),
        Tile("off", "Switched off", Q(rebalancing_on=False)),
    )


def conditions(row):
    return badge("High Cash", "info") if row["cash"] >= 1000 else badge("Position Drift")


class AccountTable(ListTable):
    number = Column("Account", link="account")
    name = Column("Name", css="clip")
    custodian = Column("Custodian", "custodian__name")
    cash = MoneyColumn("Cash $")
    tax_status = ChoiceColumn("Tax status", choices=TaxStatus.choices, badges={"taxable": "warn"})
    conditions = Column("Conditions", fields=("cash",), draw=conditions, text=lambda row: "x", orderable=False)
    last_rebalanced = DayColumn("Last rebalanced", optional=True)
    checked = MomentColumn("Check wanted", "check_wanted_at", optional=True)

    fixed = ("number", "name")
    default = ("custodian", "cash", "conditions", "last_rebalanced")
    sort = "number"
    row_fields = ("rebalancing_on",)

    def row_css(self, row):
        return "" if row["rebalancing_on"] else "muted"

    def row_selectable(self, row):
        return row["rebalancing_on"]


def act(request):
    """A command on selected rows, as every page writes it: all the checks, then the numbers of the rows."""
    try:
        selection = Selection.parse(request.POST)
        selection.require_seen(Account.objects.visible_to(request.user))
        rows = selection.rows(Account.objects.visible_to(request.user), AccountFilters).order_by("number")
        numbers = list(rows.values_list("number", flat=True))
        selection.check(len(numbers))
    except (SelectionError, FilterRefused) as error:
        return answers.refused(request, error, back="/accounts/")
    except SelectionChanged as changed:
        label = f"Act on {changed.found}"
        return answers.ask_again(request, selection, changed.found, back="/accounts/", label=label)
    return HttpResponse(f"{len(numbers)} done: {', '.join(numbers)}")


class AccountsPage(ListPage):
    area = "rebalancer"
    screen = "accounts"
    table_class = AccountTable
    filterset_class = AccountFilters
    selectable = True
    actions_template = Template(
        '<button class="btn btn-primary" type="submit" formaction="{% url "act" %}">Act</button>'
    )

    def base(self):
        return Account.objects.visible_to(self.request.user)


urlpatterns = [
    path("accounts/", AccountsPage.as_view(), name="accounts"),
    path("accounts/<int:pk>/", lambda request, pk: HttpResponse(str(pk)), name="account"),
    path("accounts/act/", act, name="act"),
    path("login/", lambda request: HttpResponse("sign in"), name="login"),
]
