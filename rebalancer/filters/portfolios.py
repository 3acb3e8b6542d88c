"""What can be filtered among portfolios and models, and the rows that their lists show."""

from django.contrib.postgres.aggregates import StringAgg
from django.db.models import (
    Count,
    FilteredRelation,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    TextField,
    Value,
)
from django.db.models.functions import Coalesce

from accounts.listing.filters import (
    AmountFilter,
    ChoiceFilter,
    CountFilter,
    MomentFilter,
    PercentFilter,
    StrictFilterSet,
    TextFilter,
)
from accounts.models import Account, Component, Model, ModelVersion, ModelWeight, Portfolio, PortfolioVersion
from accounts.models.holdings import seen_by
from accounts.selectors import name_of
from rebalancer.states import Status

from .tabs import DOLLARS

COUNTED_BY_STATUS = {"unable": Status.UNABLE_TO_CHECK, "attention": Status.NEED_EXTRA_ATTENTION}


def portfolio_rows(user) -> QuerySet[Portfolio]:
    """Every portfolio, with counts and sums over the open accounts that this person sees, from their last checks.

    Adds `accounts_count`, `on_count`, `out_count` (accounts in which something triggers a rebalance), `unable_count`,
    `attention_count`, `market_value`, `managed_value`, `cash_target`, `components_count`, `models_text` and its newest
    version: `version`, `changed_at`, `changed_by`.
    """
    seen = Q(accounts__is_open=True) & seen_by(user, "accounts__")
    counts = {f"{name}_count": _count(check_row__status=status) for name, status in COUNTED_BY_STATUS.items()}
    held = Portfolio.objects.annotate(
        seen=FilteredRelation("accounts", condition=seen),
        accounts_count=Count("seen"),
        on_count=_count(rebalancing_on=True),
        out_count=_count(check_row__triggers__gt=0),
        market_value=Coalesce(Sum("seen__check_row__market_value"), Value(0), output_field=DOLLARS),
        managed_value=Coalesce(Sum("seen__check_row__managed_value"), Value(0), output_field=DOLLARS),
        **counts,
    )
    components = Component.objects.filter(portfolio=OuterRef("pk")).order_by()
    return held.annotate(
        cash_target=Subquery(components.filter(kind=Component.Kind.CASH).values("weight")),
        components_count=_in_group(components.values("portfolio")),
        models_text=_names(components.filter(kind=Component.Kind.MODEL).values("portfolio"), "model__name"),
        **_newest(PortfolioVersion.objects.filter(portfolio=OuterRef("pk"))),
    )


def model_rows(user) -> QuerySet[Model]:
    """Every model, with where it is used and how many open accounts that this person sees are held to it.

    Adds `securities_count`, `portfolios_count`, `portfolios_text`, `accounts_count` and its newest version.
    """
    uses = Component.objects.filter(model=OuterRef("pk")).order_by().values("model")
    held = Account.objects.visible_to(user).filter(is_open=True, portfolio__components__model=OuterRef("pk"))
    return Model.objects.annotate(
        securities_count=_number(ModelWeight.objects.filter(model=OuterRef("pk")).order_by().values("model")),
        portfolios_count=_number(uses),
        portfolios_text=_names(uses, "portfolio__name"),
        accounts_count=_number(held.order_by().values("portfolio__components__model")),
        **_newest(ModelVersion.objects.filter(model=OuterRef("pk"))),
    )


def _count(**conditions):
    return Count("seen", filter=Q(**{f"seen__{name}": value for name, value in conditions.items()}))


def _in_group(grouped):
    """How many rows there are in the one group of a subquery; unknown where there is none.

    Bare subqueries are worked out for each portfolio; inside another expression, the database would do it for each of
    the accounts that are counted beside them.
    """
    return Subquery(grouped.annotate(n=Count("pk")).values("n"), output_field=IntegerField())


def _number(grouped):
    return Coalesce(_in_group(grouped), 0)


def _names(grouped, field):
    """The names of the one group of a subquery, in order: "Core, Growth"; unknown where there are none."""
    named = grouped.annotate(names=StringAgg(field, ", ", order_by=field)).values("names")
    return Subquery(named, output_field=TextField())


def _newest(versions):
    newest = versions.order_by("-number").annotate(saver=name_of("saved_by"))
    return {
        name: Subquery(newest.values(field)[:1])
        for name, field in (("version", "number"), ("changed_at", "saved_at"), ("changed_by", "saver"))
    }


class PortfolioFilters(StrictFilterSet):
    """Clients / Portfolios."""

    name = TextFilter("Portfolio")
    accounts = CountFilter("Accounts", "accounts_count")
    on = CountFilter("Rebalancing on", "on_count")
    out = CountFilter("Out of tolerance", "out_count")
    attention = CountFilter("Need attention", "attention_count")
    unable = CountFilter("Unable to check", "unable_count")
    market_value = AmountFilter("Market value")
    managed_value = AmountFilter("Managed value")
    components = CountFilter("Components", "components_count")
    cash_target = PercentFilter("Target cash")
    version = CountFilter("Version")
    changed_at = MomentFilter("Changed")
    changed_by = ChoiceFilter("Changed by")

    search_fields = ("name", "models_text")
    search_hint = "Portfolio or model"


class ModelFilters(StrictFilterSet):
    """Clients / Models."""

    name = TextFilter("Model")
    securities = CountFilter("Securities", "securities_count")
    portfolios = CountFilter("Portfolios", "portfolios_count")
    accounts = CountFilter("Accounts", "accounts_count")
    version = CountFilter("Version")
    changed_at = MomentFilter("Changed")
    changed_by = ChoiceFilter("Changed by")

    search_fields = ("name", "portfolios_text")
    search_hint = "Model or portfolio"
