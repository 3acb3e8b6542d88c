"""Reads of the book. What belongs to accounts starts from `visible_to(user)`."""

from django.db.models import CharField, Exists, F, OuterRef, Q, Subquery, Value
from django.db.models.functions import Coalesce, Concat, NullIf, Trim

from accounts.models import (
    Account,
    Custodian,
    Household,
    PortfolioVersion,
    Price,
    Restriction,
    Role,
    Security,
    Transaction,
    User,
)

MAY_BE_USED = (Price.State.USABLE, Price.State.CONFIRMED)


def name_of(person) -> Coalesce:
    """A person's name as the product shows it: the full name, else the user name; empty for nobody."""
    full = Trim(Concat(f"{person}__first_name", Value(" "), f"{person}__last_name"))
    return Coalesce(NullIf(full, Value("")), F(f"{person}__username"), output_field=CharField())


def accounts(user):
    """The accounts this person may see, with what their names in a table come from."""
    return Account.objects.visible_to(user).select_related("custodian", "advisor", "household", "portfolio")


def restrictions(user, account):
    """The restrictions of an account, if this person may see it."""
    seen = Restriction.objects.filter(account__in=Account.objects.visible_to(user).filter(pk=account.pk))
    return seen.select_related("security", "substitute")


def transactions(user, account):
    """The transactions of an account, newest first, if this person may see it."""
    seen = Transaction.objects.filter(account__in=Account.objects.visible_to(user).filter(pk=account.pk))
    return seen.select_related("security").order_by("-date", "-pk")


def custodians(user):
    """The custodians of the accounts this person may see."""
    return Custodian.objects.filter(accounts__in=Account.objects.visible_to(user)).distinct()


def households(user):
    """The households of the accounts this person may see."""
    return Household.objects.filter(accounts__in=Account.objects.visible_to(user)).distinct()


def people(role):
    """The active people who hold a role (superusers hold each)."""
    held = User.objects.filter(groups__name=Role(role)) | User.objects.filter(is_superuser=True)
    return held.filter(is_active=True).distinct().order_by("last_name", "first_name", "username")


def newest_prices(securities=None):
    """{security id: Price}: the newest quote of each of these securities, or of all, that nobody rejected; it may be
    questioned.
    """
    return _newest(Price.objects.exclude(state=Price.State.REJECTED), securities)


def last_prices(securities):
    """{security id: Price}: the newest quote of each of these securities that may be used, however old it is."""
    return _newest(Price.objects.filter(state__in=MAY_BE_USED), securities)


def last_price(security="security"):
    """The same as a column, on rows whose field `security` is a security."""
    found = Price.objects.filter(security=OuterRef(security), state__in=MAY_BE_USED).order_by("-as_of", "-id")
    return Subquery(found.values("price")[:1])


def _newest(prices, securities):
    """One look into the index for each security: a feed leaves thousands of quotes of it."""
    of_one = prices.filter(security=OuterRef("pk")).order_by("-as_of", "-id").values("pk")[:1]
    chosen = Security.objects.all() if securities is None else Security.objects.filter(pk__in=securities)
    newest = chosen.order_by().annotate(newest=Subquery(of_one)).values("newest")
    return {price.security_id: price for price in Price.objects.filter(pk__in=newest)}


def questioned_prices():
    """The quotes that wait for somebody's word, newest first."""
    return Price.objects.filter(state=Price.State.QUESTIONED).select_related("security").order_by("-as_of", "security")


def prices_that_stop():
    """Those of them that stop their security: no newer quote of it has come that nobody rejected."""
    later = Q(as_of__gt=OuterRef("as_of")) | Q(as_of=OuterRef("as_of"), pk__gt=OuterRef("pk"))
    newer = Price.objects.filter(later, security=OuterRef("security")).exclude(state=Price.State.REJECTED)
    return questioned_prices().filter(~Exists(newer))


def newest_versions(portfolio_pks=None):
    """{portfolio id: PortfolioVersion}: the version that counts of each of these portfolios, or of all."""
    versions = PortfolioVersion.objects.order_by("portfolio_id", "-number").distinct("portfolio_id")
    if portfolio_pks is not None:
        versions = versions.filter(portfolio__in=portfolio_pks)
    return {version.portfolio_id: version for version in versions}
