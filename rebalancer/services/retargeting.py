"""Changing a portfolio or model with its consequence known before: how many accounts the change sends to the queue.

A portfolio's accounts come as *Target Update* when its flattened weights are no longer those that they were last
rebalanced to. That follows from the versions alone, whatever prices do meanwhile, so the number can be said and kept.
Which others drift outside of what are their bands then is weighed by the check itself, at the last prices.
"""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count, F, Q

from accounts.listing.figures import plural
from accounts.models import Account, ModelVersion, Portfolio, PortfolioVersion
from accounts.selectors import newest_versions
from accounts.services import audit, portfolios
from rebalancer import selectors
from trading.selectors import has_no_open_order

from . import checks
from .refusals import Refused

Save = Callable[..., Any]
WEIGHED_AT_MOST = 2000
# Not a First Rebalance, which has a reason and source of its own.
NOT_FIRST = Q(last_rebalanced__isnull=False) & (
    Q(rebalancing_since=None) | Q(last_rebalanced_at__gte=F("rebalancing_since"))
)


@dataclass(frozen=True, slots=True)
class Sent:
    """What becomes of the open accounts held to the portfolios concerned, each counted in at most one place.

    `joining` and `leaving` are None where there are too many accounts to weigh them beforehand.
    """

    portfolios: int  # whose flattened weights change
    accounts: int  # held to any of the portfolios concerned
    queue: int  # go to the queue as Target Update
    already: int  # are in it, and stay with their source
    busy: int  # are in a request or have open orders: looked at again when that ends
    off: int  # rebalancing is off
    joining: int | None = None  # go to the queue as Drift Analysis, at the last prices
    leaving: int | None = None  # leave the queue: no reason is left

    @property
    def others(self) -> int:
        """Those that nothing happens to."""
        told = self.queue + self.already + self.busy + self.off + (self.joining or 0) + (self.leaving or 0)
        return self.accounts - told


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A change as it would be: its content before and after, and what it does to accounts."""

    number: int  # of the version it makes
    before: dict
    after: dict
    sent: Sent


class NothingChanged(Refused):
    def __init__(self, what):
        super().__init__(f"Nothing has changed in {what}, so no version was made.")


class ChangedMeanwhile(Refused):
    """Somebody has saved another version since the person began; `version` is the one of now."""

    def __init__(self, what, version):
        self.version = version
        who = version.saved_by or "An import"
        super().__init__(f"{who} has saved version {version.number} of {what} since you began. Nothing was saved.")


class OtherAccounts(Refused):
    """The change would send another number of accounts to the queue than the person was told."""

    def __init__(self, told, foreseen):
        self.foreseen = foreseen
        now = foreseen.sent.queue
        super().__init__(f"{told:,} to the queue when you were asked, {now:,} now. Nothing was saved.")


def foresee(target, rows, *, by, version: int) -> Foreseen:
    """What saving this portfolio (with these Component objects) or model (ModelWeight objects) would do; nothing stays.

    `version` is the number the person began with. Raises NothingChanged, ChangedMeanwhile, ValidationError (by field)
    and PermissionDenied.
    """
    with _recorded(by, target):
        with transaction.atomic():
            foreseen = _change(target, rows, by, version, tried=True)
            transaction.set_rollback(True)
    return foreseen


def change(target, rows, *, by, version: int, told: int) -> Foreseen:
    """Save it as foreseen; the accounts come to the queue with their next check, which is wanted now.

    `told` is the number of accounts the person was told. Raises OtherAccounts besides what `foresee` raises.
    """
    with _recorded(by, target):
        foreseen = _change(target, rows, by, version)
        if foreseen.sent.queue != told:
            raise OtherAccounts(told, foreseen)
    return foreseen


@dataclass(frozen=True, slots=True)
class Begun:
    """What a portfolio or model was before it is saved: its version, and the target digests by portfolio."""

    version: PortfolioVersion | ModelVersion | None
    digests: dict[int, str]


def begin(target) -> Begun:
    """Before a target is saved without having been foreseen; nobody else saves one until the transaction ends."""
    portfolios.lock_targets()
    return Begun(target.versions.first(), _digests(_concerned(target)))


def done_since(begun: Begun, target) -> Foreseen | None:
    """What saving it has done since then, in the same transaction; None when nothing has changed."""
    after = target.versions.first()
    if begun.version is None or after.number == begun.version.number:
        return None
    sent = _sent(begun.digests, _digests(_concerned(target)), weigh=False)
    return Foreseen(after.number, begun.version.content, after.content, sent)


def done_words(target, done: Foreseen) -> str:
    """What was done: the version, and where its accounts appear."""
    sent = done.sent
    words = f"{target} is saved as version {done.number}."
    if not sent.queue:
        again = plural(sent.accounts, "account")
        return f"{words} No account goes to the queue as Target Update; {again} checked again within a minute."
    return (
        f"{words} {plural(sent.queue, 'account')} to the queue as Target Update, listed there within a minute, when "
        "checked again."
    )


@contextmanager
def _recorded(by, target):
    """One transaction; a refusal undoes it and leaves an audit line."""
    try:
        with transaction.atomic():
            yield
    except (Refused, PermissionDenied) as refusal:
        audit.record(by, "refused", target, command=f"{target._meta.model_name}.saved", why=str(refusal))
        raise


def _change(target, rows, by, version, tried=False) -> Foreseen:
    begun = begin(target)
    before = begun.version
    assert before is not None, "a target comes with its first version"
    if before.number != version:
        raise ChangedMeanwhile(target, before)
    save: Save = portfolios.save_portfolio if isinstance(target, Portfolio) else portfolios.save_model
    after = save(target, rows, by=by, tried=tried)
    if after is None:
        raise NothingChanged(target)
    sent = _sent(begun.digests, _digests(_concerned(target)), weigh=tried)
    return Foreseen(after.number, before.content, after.content, sent)


def _concerned(target) -> list[int]:
    """The portfolios whose target this is, or is a part of."""
    if isinstance(target, Portfolio):
        return [target.pk]
    return list(Portfolio.objects.filter(components__model=target).order_by("pk").values_list("pk", flat=True))


def _digests(portfolio_pks) -> dict[int, str]:
    return {pk: version.target_digest for pk, version in newest_versions(portfolio_pks).items()}


def _sent(old: dict[int, str], new: dict[int, str], weigh: bool) -> Sent:
    """What becomes of the accounts when the targets of these portfolios go from the old digests to the new ones."""
    moved = [pk for pk in new if old[pk] != new[pk]]
    on, wanted = Q(rebalancing_on=True), Q(check_row__wanted=True)
    due = on & _rebalanced_to(old, moved) & NOT_FIRST
    counts = {"accounts": Q(), "off": ~on, "due": due, "come": due & ~wanted, "there": on & wanted}
    held = Account.objects.filter(portfolio__in=new, is_open=True).order_by()
    every = held.aggregate(**{name: Count("pk", filter=condition) for name, condition in counts.items()})
    free = held.exclude(selectors.has_open_entry()).filter(has_no_open_order())
    able = free.aggregate(**{name: Count("pk", filter=counts[name]) for name in ("due", "come", "there")})
    sent = Sent(
        portfolios=len(moved), accounts=every["accounts"], queue=able["come"], already=able["there"],
        busy=every["due"] - able["due"], off=every["off"],
    )  # fmt: skip
    if not weigh or sent.accounts > WEIGHED_AT_MOST:
        return sent
    return _weighed(sent, free.filter(on, check_row__managed_value__isnull=False).exclude(due & ~wanted))


def _weighed(sent: Sent, accounts) -> Sent:
    """With those of these accounts that their next check brings into the queue, or takes out of it."""
    before = dict(accounts.values_list("pk", "check_row__wanted"))
    after = checks.foretell(before)
    joining = sum(after[pk] and not was for pk, was in before.items())
    leaving = sum(was and not after[pk] for pk, was in before.items())
    return replace(sent, joining=joining, leaving=leaving, already=sent.already - leaving)


def _rebalanced_to(digests, portfolio_pks) -> Q:
    """Accounts of these portfolios that were last rebalanced to just these targets."""
    same = (Q(portfolio=pk, rebalanced_to__target_digest=digests[pk]) for pk in portfolio_pks)
    return reduce(or_, same, Q(pk=None))
