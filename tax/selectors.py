"""Reads of lots; every one starts from the accounts that the person may see."""

from accounts.models import Account
from tax.models import Lot


def lots(user, account):
    """The lots of an account in age order, position by position, if this person may see it."""
    seen = Lot.objects.filter(account__in=Account.objects.visible_to(user).filter(pk=account.pk))
    order = ("sleeve", "security__symbol", "acquired_on", "lot_id")
    return seen.select_related("sleeve__model", "security").order_by(*order)
