"""What can be filtered on the list of questioned prices, and the rows it lists."""

from django.db.models import Count, DecimalField, ExpressionWrapper, F, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce, Round

from accounts.listing.filters import (
    ChoiceFilter,
    CountFilter,
    MomentFilter,
    NumberFilter,
    PercentFilter,
    StrictFilterSet,
    TextFilter,
)
from accounts.models import Position, Price
from accounts.selectors import MAY_BE_USED, last_price, prices_that_stop

PERCENT = DecimalField(max_digits=30, decimal_places=2)


def price_rows() -> QuerySet[Price]:
    """The questioned prices that stop their securities, each with the last one used and the accounts that hold it."""
    return beside_the_last(prices_that_stop())


def beside_the_last(prices: QuerySet[Price]) -> QuerySet[Price]:
    """`last` price used, `last_at`, how far it is `off` that in percent (both ways), and how many open `accounts`
    hold the security."""
    used = Price.objects.filter(security=OuterRef("security"), state__in=MAY_BE_USED).order_by("-as_of", "-id")
    held = Position.objects.filter(security=OuterRef("security"), account__is_open=True).order_by()
    counted = held.values("security").annotate(count=Count("account", distinct=True)).values("count")
    off = ExpressionWrapper((F("price") - F("last")) * 100 / F("last"), output_field=PERCENT)
    return prices.annotate(
        last=last_price(),
        last_at=Subquery(used.values("as_of")[:1]),
        off=Round(off, precision=2),
        accounts=Coalesce(Subquery(counted), 0),
    )


class PriceFilters(StrictFilterSet):
    """Questioned prices."""

    symbol = ChoiceFilter("Symbol", "security__symbol")
    name = TextFilter("Security", "security__name")
    price = NumberFilter("Price $")
    last = NumberFilter("Last used $")
    off = PercentFilter("Off by")
    as_of = MomentFilter("As of")
    source = ChoiceFilter("Source")
    received_at = MomentFilter("Received")
    accounts = CountFilter("Accounts")

    search_fields = ("security__symbol", "security__name", "source")
    search_hint = "Symbol, security or source"
