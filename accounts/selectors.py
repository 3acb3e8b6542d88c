"""Reads of the book. What belongs to accounts starts from `visible_to(user)`."""

from accounts.models import Account, Custodian, Household, PortfolioVersion, Price, Restriction, Role, User


def accounts(user):
    """The accounts this person may see, with what their names in a table come from."""
    return Account.objects.visible_to(user).select_related("custodian", "advisor", "household", "portfolio")


def restrictions(user, account):
    """The restrictions of an account, if this person may see it."""
    seen = Restriction.objects.filter(account__in=Account.objects.visible_to(user).filter(pk=account.pk))
    return seen.select_related("security", "substitute")


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


def newest_prices():
    """{security id: Price}: the newest quote of each security that nobody rejected; it may be questioned."""
    prices = Price.objects.exclude(state=Price.State.REJECTED).order_by("security_id", "-as_of", "-id")
    return {price.security_id: price for price in prices.distinct("security_id")}


def questioned_prices():
    """The quotes that wait for somebody's word, newest first."""
    return Price.objects.filter(state=Price.State.QUESTIONED).select_related("security").order_by("-as_of", "security")


def newest_versions(portfolio_pks=None):
    """{portfolio id: PortfolioVersion}: the version that counts of each of these portfolios, or of all."""
    versions = PortfolioVersion.objects.order_by("portfolio_id", "-number").distinct("portfolio_id")
    if portfolio_pks is not None:
        versions = versions.filter(portfolio__in=portfolio_pks)
    return {version.portfolio_id: version for version in versions}
