"""Who may be proposed (PRODUCT 4), asked when a batch is opened and again when it is proposed."""

from collections.abc import Iterable

from django.db.models import Case, F, Q, QuerySet, Value, When

from accounts.models import Account
from rebalancer import selectors
from rebalancer.states import Logic

CLOSED = "the account is closed"
REBALANCING_OFF = "rebalancing is off"
NO_PORTFOLIO = "no portfolio is assigned; only a liquidation by Operations can be proposed"
ONLY_CASH = "its portfolio is 100 % cash; only a liquidation by Operations can be proposed"


def why_not(
    account_pks: Iterable[int], logic: str, portfolio_pk: int | None = None, although_off: bool = False
) -> dict[int, str]:
    """Why accounts may not be proposed with this logic, in words by id; those that may are not in it.

    `portfolio_pk`: the portfolio they are to be held to instead of their own; `although_off`: rebalancing may be off.
    """
    accounts = with_why_not(Account.objects.filter(pk__in=account_pks), logic, portfolio_pk, although_off)
    return dict(accounts.exclude(why_not="").values_list("pk", "why_not"))


def with_why_not(
    accounts: QuerySet[Account], logic: str, portfolio_pk: int | None = None, although_off: bool = False
) -> QuerySet:
    """These accounts with `why_not`, in words; empty for those that may be proposed."""
    whys = [When(is_open=False, then=Value(CLOSED))]
    if not although_off:
        whys.append(When(rebalancing_on=False, then=Value(REBALANCING_OFF)))
    if logic != Logic.LIQUIDATE:
        only_cash = Q(selectors.only_cash("target")) & Q(selectors.holds_securities())
        whys += [When(target=None, then=Value(NO_PORTFOLIO)), When(only_cash, then=Value(ONLY_CASH))]
    target = F("portfolio") if portfolio_pk is None else Value(portfolio_pk)
    return accounts.alias(target=target).annotate(why_not=Case(*whys, default=Value("")))
