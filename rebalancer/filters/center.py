"""What can be filtered on the account lists of the Rebalance Center, and the rows they list."""

from django.db.models import Case, CharField, Q, QuerySet, Value, When
from django.db.models.functions import Cast, Concat

from accounts.listing.filters import OptionFilter
from accounts.models import Account
from accounts.selectors import name_of
from rebalancer import center
from rebalancer.states import Status

from .tabs import QueueFilters

FREE = Q(hindrance="")


def center_rows(user, status: Status, portfolio: int | None) -> QuerySet[Account]:
    """The accounts of a status held to a portfolio (None: to none), with `hindrance`: why a request leaves one out.

    It is empty for accounts that may go into one; whether a trade logic suits an account is asked when one is opened.
    """
    hindrance = Case(
        When(in_request__isnull=False, then=Concat(Value("in request "), Cast("in_request", CharField()))),
        When(ordered=True, then=Value("open order")),
        When(rebalancing_on=False, then=Value("rebalancing is off")),
        default=Value(""),
        output_field=CharField(),
    )
    return center.of_status(user, status, portfolio).annotate(advisor_name=name_of("advisor"), hindrance=hindrance)


class CenterFilters(QueueFilters):
    """Accounts of one status."""

    hindrance = OptionFilter("Free for a request", {"yes": ("Yes", FREE), "no": ("No", ~FREE)})

    tiles = ()
