"""What has become of accounts since they were proposed, in words for people: before → now.

An account is compared by its fingerprint; where that differs, the lines and grounds kept with its proposal say what.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

import numpy as np
from django.db import transaction

from accounts.imports.copying import arrive, execute
from accounts.listing import figures
from accounts.models import LotMethod, Portfolio, Position, Restriction, User
from accounts.money import MICRO
from rebalancer.loading import Loaded
from rebalancer.models import Batch, Entry, PositionLine
from rebalancer.states import BatchState, EntryState
from trading.models import Allocation
from trading.selectors import accounts_with_open_orders

from .eligibility import CLOSED
from .lateness import late
from .proposing import ACCOUNTS_AT_ONCE, load_entries
from .refusals import LeftOut

NAMED_AT_MOST = 3  # positions, targets, bands: how many of a kind are named before the others are only counted
LENGTH = Entry._meta.get_field("changed").max_length or 0
NOBODY = "nobody"
BEFORE_AN_UPDATE = "it was proposed before the program was updated"
OTHERWISE = "the minimum trade, or how its securities may be traded"
MARK = """
UPDATE rebalancer_entry SET changed = now_changed.words FROM now_changed
WHERE batch_id = %s AND account_number = now_changed.number AND state = 'proposed'
"""
BANDS = {"band": slice(1, 3), "precision": slice(3, 5)}

Key = tuple[int, int]  # sleeve id, security id


# --- keeping what was found -----------------------------------------------------------------------------------


@transaction.atomic
def mark(batch: Batch, version: int, accounts: Sequence[LeftOut]) -> None:
    """Keep with the open entries what has changed, so that the request's pages say it; earlier marks are taken off.

    Nothing is kept when the request is no longer pending in this proposal version.
    """
    now = Batch.objects.select_for_update().get(pk=batch.pk)
    if (now.state, now.proposal_version) != (BatchState.PENDING_APPROVAL, version):
        return
    unmark(batch)
    arrive("now_changed", {"number": "text", "words": "text"}, ((one.account_number, one.why) for one in accounts))
    execute(MARK, [batch.pk])


def unmark(batch: Batch) -> None:
    Entry.objects.filter(batch=batch).exclude(changed="").update(changed="")


# --- finding it -----------------------------------------------------------------------------------------------


def since_proposing(batch: Batch) -> list[LeftOut]:
    """The open accounts that are no longer what their proposals rest on, by number, each with what has changed."""
    return _changed(batch, Entry.objects.filter(batch=batch, state=EntryState.PROPOSED))


def since_approving(batch: Batch) -> list[LeftOut]:
    """The same of the accounts that have something to trade in the batch's ticket, after its approval.

    What is not traded any more, because the account is left out, is not compared. What approval itself did, the
    ticket's own orders and the portfolio it assigned, is no change.
    """
    traded = Allocation.objects.filter(order__ticket=batch.ticket_id, is_open=True, quantity__gt=0)
    entries = Entry.objects.filter(batch=batch, state=EntryState.COMPLETE, account__in=traded.values("account"))
    return _changed(batch, entries)


def _changed(batch, entries):
    changed: list[LeftOut] = []
    entries = list(entries.defer("basis").order_by("account"))
    for first in range(0, len(entries), ACCOUNTS_AT_ONCE):
        chunk = entries[first : first + ACCOUNTS_AT_ONCE]
        loaded, stopped = _as_proposed(chunk, load_entries(batch, chunk)), _stopped(chunk, batch.ticket_id)
        found = loaded.fingerprints()
        differ = [one.pk for one in chunk if one.account_id in stopped or found.get(one.account_id) != one.fingerprint]
        if differ:
            changed += _named(differ, loaded, stopped)
    return sorted(changed, key=lambda one: one.account_number)


def _as_proposed(entries, loaded):
    """The accounts as loaded; one that has been assigned the portfolio it was proposed for, by the approval, has the
    one it had before."""
    had = {entry.account_id: entry for entry in entries if entry.assigns_portfolio and entry.before_approval}
    if not had:
        return loaded
    before = dict(Entry.objects.filter(pk__in=[one.pk for one in had.values()]).values_list("account", "basis"))

    def seen(fact):
        entry, basis = had.get(fact["pk"]), before.get(fact["pk"]) or {}
        assigned = entry is not None and fact["portfolio_id"] == entry.portfolio_id
        return {**fact, "portfolio_id": basis["portfolio_id"]} if assigned and "portfolio_id" in basis else fact

    refused = {pk: seen(fact) for pk, fact in loaded.refused_facts.items()}
    return replace(loaded, facts=[seen(fact) for fact in loaded.facts], refused_facts=refused)


def _stopped(entries, ticket):
    """{account id: why nothing may be ordered for it now, whatever it holds}; orders of `ticket` stop nothing."""
    closed = Entry.objects.filter(pk__in=[one.pk for one in entries], account__is_open=False)
    pks = [one.account_id for one in entries]
    words = "it has an open order now" if ticket is None else "it has another open order now"
    ordered = dict.fromkeys(accounts_with_open_orders(pks, but_of=ticket), words)
    return late(pks) | ordered | dict.fromkeys(closed.values_list("account", flat=True), CLOSED)


def _named(pks, loaded, stopped):
    entries = list(Entry.objects.filter(pk__in=pks))
    lines = defaultdict(list)
    for line in PositionLine.objects.filter(entry__in=pks).order_by("pk"):
        lines[line.entry_id].append(line)
    now = _Now(loaded)
    people = _names(User, "advisor_id", entries, now)
    portfolios = _names(Portfolio, "portfolio_id", entries, now)
    for entry in entries:
        names = _Names(people, portfolios, loaded.symbols, loaded.sleeves)
        words = [*_words(entry, lines[entry.pk], now.sight(entry.account_id), names)]
        if entry.account_id in stopped:
            words = [stopped[entry.account_id], *(one for one in words if one != OTHERWISE)]
        yield LeftOut(entry.account_number, entry.account_name, _short("; ".join(words)))


def _short(words):
    """As one line that fits its column."""
    line = re.sub(r"[\t\r\n]", " ", words)
    return line if len(line) <= LENGTH else line[: LENGTH - 1] + "…"


# --- as it is now ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Sight:
    """An account now. `held` (shares) and `wanted` (target, threshold and precision in percent) are by Key."""

    fact: dict
    rules: list
    held: dict[Key, Decimal]
    lots: str = ""
    wanted: dict[Key, list[float]] = field(default_factory=dict)
    cash: list[float] = field(default_factory=list)  # target, lower, upper in percent
    refused: str = ""  # why it cannot be weighed, in words; then nothing is known of its lots and targets


class _Now:
    """Accounts as they have just been loaded."""

    def __init__(self, loaded: Loaded):
        self.loaded, self.bases = loaded, loaded.bases()
        self.number = {fact["pk"]: number for number, fact in enumerate(loaded.facts)}
        self.unweighed: dict[int, dict[Key, Decimal]] = defaultdict(dict)
        for one in Position.objects.filter(account__in=loaded.refused):
            self.unweighed[one.account_id][one.sleeve_id, one.security_id] = one.quantity

    def fact(self, pk):
        known = self.number.get(pk)
        return self.loaded.refused_facts.get(pk, {}) if known is None else self.loaded.facts[known]

    def sight(self, pk):
        rules = [tuple(rule) for rule in self.loaded.rules.get(pk, ())]
        number = self.number.get(pk)
        if number is None:
            return _Sight(self.fact(pk), rules, self.unweighed[pk], refused=self.loaded.refused[pk])
        book = self.loaded.book
        cash = [float(getattr(book, f"cash_{name}")[number]) * 100 for name in ("target", "lower", "upper")]
        held, wanted = self._rows(number)
        return _Sight(self.loaded.facts[number], rules, held, self.bases[pk]["lots"], wanted, cash)

    def _rows(self, number):
        book, loaded = self.loaded.book, self.loaded
        rows = slice(book.start[number], book.start[number + 1])
        keys = list(zip(loaded.sleeve_id[rows].tolist(), loaded.security_id[rows].tolist(), strict=True))
        bounds = [getattr(book, name)[rows] * 100 for name in ("target", "lower", "upper", "fit_lower", "fit_upper")]
        held = {key: units * MICRO for key, units in zip(keys, book.units[rows].tolist(), strict=True)}
        outside = loaded.outside
        for one in np.flatnonzero(outside.account == number).tolist():
            held[int(outside.sleeve[one]), int(outside.security[one])] = int(outside.units[one]) * MICRO
        return held, dict(zip(keys, np.column_stack(bounds).tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class _Names:
    """What keys are called."""

    people: dict[int, str]
    portfolios: dict[int, str]
    symbols: dict[int, str]
    sleeves: dict[int, str]

    def component(self, key):
        """VTI, or VTI in Model · Core."""
        sleeve, security = key
        name = self.sleeves.get(sleeve, "")
        where = "" if name == "managed" else f" in {figures.sleeve_text(name)}"
        return f"{self.symbols.get(security, '?')}{where}"


def _names(model, field_name, entries, now):
    pks = {(entry.basis or {}).get(field_name) for entry in entries}
    pks |= {now.fact(entry.account_id).get(field_name) for entry in entries}
    return {one.pk: str(one) for one in model.objects.filter(pk__in=pks - {None})}


# --- in words -------------------------------------------------------------------------------------------------


def _words(entry, lines, now, names) -> Iterator[str]:
    was = entry.basis or {}
    told = [*_plain_words(was, now.fact, names), *_rule_words(was, now)]
    moved = _position_words(lines, now, names)
    yield from told
    yield from moved
    if now.refused:
        yield from () if told or moved else (f"it cannot be weighed: {now.refused}",)
        return
    aimed = [] if was and _another_target(was, now) else _target_words(entry, lines, now, names)
    yield from aimed
    if not was:
        yield BEFORE_AN_UPDATE
    elif not moved and was.get("lots") != now.lots:
        yield "cost or dates of its lots"
    elif not (told or moved or aimed):
        yield OTHERWISE


def _plain_words(was, fact, names):
    """What is one value before and one now; what was not kept is not told."""
    worded = {
        "cash": ("cash", lambda value: figures.dollars_text(Decimal(value))),
        "set_aside_cash": ("set-aside cash", lambda value: figures.dollars_text(Decimal(value))),
        "portfolio_id": ("portfolio", lambda value: names.portfolios.get(value, "none")),
        "rebalancing_on": ("rebalancing", lambda value: "on" if value else "off"),
        "advisor_id": ("advisor", lambda value: names.people.get(value, NOBODY)),
        "lot_method": ("lot method", lambda value: LotMethod(value).label),
    }
    for name, (what, text) in worded.items():
        if name in was and name in fact and not _same(was[name], fact[name]):
            yield f"{what} {text(was[name])} → {text(fact[name])}"


def _same(before, after):
    return (Decimal(before) if isinstance(after, Decimal) else before) == after


def _rule_words(was, now):
    before = {tuple(rule) for rule in was.get("restrictions", ())}
    after = set(now.rules)
    for rules, what in ((after - before, "new"), (before - after, "ended")):
        for kind, symbol, substitute in sorted(rules):
            by = f" by {substitute}" if substitute else ""
            yield f"restriction {what}: {Restriction.Kind(kind).label.lower()} {symbol}{by}"


def _another_target(was, now):
    """Whether the targets differ for a reason that is told already."""
    before = {tuple(rule) for rule in was.get("restrictions", ())}
    return was.get("portfolio_id") != now.fact["portfolio_id"] or before != set(now.rules)


def _position_words(lines, now, names):
    before = {(line.sleeve_id, line.security_id): line.quantity_before for line in lines}
    differ = [key for key in sorted({*before, *now.held}) if before.get(key, 0) != now.held.get(key, 0)]
    return _some(
        (
            f"{names.component(key)} {figures.quantity_text(before.get(key, 0))} → "
            f"{figures.quantity_text(now.held.get(key, 0))} shares"
            for key in differ
        ),
        "position",
    )


def _target_words(entry, lines, now, names):
    """Targets that are others now; where they are the same, bands that are."""
    before = {(line.sleeve_id, line.security_id): _aims(line) for line in lines if line.target_weight is not None}
    pairs = {
        names.component(key): (before.get(key) or [0.0] * 5, now.wanted.get(key) or [0.0] * 5)
        for key in sorted({*before, *now.wanted})
    }
    pairs["cash"] = [float(bound or 0) for bound in (entry.cash_target, entry.cash_lower, entry.cash_upper)], now.cash
    words = _some(
        (f"target of {name} {_percents(was[:1])} → {_percents(at[:1])}" for name, (was, at) in pairs.items()
         if _differ(was[:1], at[:1])), "target",
    )  # fmt: skip
    return words or _some(
        (f"{what} of {name} {_percents(was[part])} → {_percents(at[part])}" for name, (was, at) in pairs.items()
         for what, part in BANDS.items() if _differ(was[part], at[part])), "band",
    )  # fmt: skip


def _aims(line):
    bounds = (line.threshold_lower, line.threshold_upper, line.precision_lower, line.precision_upper)
    return [float(one) for one in (line.target_weight, *bounds)]


def _differ(before, after):
    return any(abs(one - other) > 2e-6 for one, other in zip(before, after, strict=True))


def _percents(values):
    return figures.percent_text(values[0]) if len(values) == 1 else figures.band_text(*map(Decimal, values))


def _some(words, what):
    """The first few, and how many more there are."""
    words = list(words)
    more = len(words) - NAMED_AT_MOST
    return words if more <= 0 else [*words[:NAMED_AT_MOST], f"and {figures.plural(more, f'other {what}')}"]
