"""Standing reasons of Need Extra Attention that somebody has seen and accepts; each counts again when it changes."""

from collections.abc import Iterable

from accounts.models import Account
from accounts.services import audit
from rebalancer import center
from rebalancer.models import Check

from .refusals import NotAllowed, Refused, TooLate, command

MAY_NOT_ACKNOWLEDGE = "Your role does not acknowledge reasons."


def acknowledge(account: Account, *, by, keys: Iterable[str], seen: str) -> list[str]:
    """Accept these standing reasons of an account; return them in words. The account is then checked anew.

    `seen` is the `center.digest` of the reasons that the person saw. Raises Refused in one of its kinds.
    """
    with command(by, "reason.acknowledged", account):
        if not by.has_perm("rebalancer.add_batch"):
            raise NotAllowed(MAY_NOT_ACKNOWLEDGE)
        if not Account.objects.visible_to(by).filter(pk=account.pk).exists():
            raise NotAllowed("The account is not yours. Nothing was done.")
        check = Check.objects.select_for_update().get(account=account)
        chosen = _chosen(check, set(keys), seen)
        before = list(check.acknowledged)
        check.acknowledged = sorted({*before, *chosen})
        check.save(update_fields=["acknowledged"])
        Account.objects.filter(pk=account.pk).want_check()
        words = list(chosen.values())
        audit.record(by, "reason.acknowledged", account, {"acknowledged": before},
                     {"acknowledged": check.acknowledged, "reasons": words})  # fmt: skip
        return words


def _chosen(check, keys, seen) -> dict[str, str]:
    """The chosen reasons that stand and are not yet acknowledged, as {key: words}."""
    if center.digest(check) != seen:
        raise Refused("The reasons have changed since you looked, so nothing was acknowledged. Look at them again.")
    standing = {one["key"]: one["words"] for one in check.attention}
    if not keys or not keys <= standing.keys():
        raise Refused("No reason was chosen, so nothing was acknowledged.")
    chosen = {key: words for key, words in standing.items() if key in keys and key not in check.acknowledged}
    if not chosen:
        raise TooLate("This was acknowledged already.")
    return chosen
