"""The drift check of accounts, some thousand at a time: load, weigh, decide, store one row per account."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import date
from decimal import Decimal

import numpy as np
from django.db import connection, transaction
from django.utils import timezone
from django.utils.functional import cached_property

from accounts.bulk import one_moment
from accounts.imports.copying import arrive, exact
from accounts.listing.figures import sleeve_text
from accounts.models import (
    Account,
    Component,
    Firm,
    PortfolioVersion,
    Position,
    Security,
    Sleeve,
    Transaction,
)
from accounts.money import HUNDRED
from rebalancer import flows, quotes
from rebalancer.booked import break_key, break_words, breaks_of
from rebalancer.engine import CASH, Drift, check
from rebalancer.loading import Loaded, load
from rebalancer.models import Check, Entry
from rebalancer.states import EntryState
from rebalancer.statuses import Facts, Known, Outside, decide
from trading import sessions
from trading.selectors import accounts_with_open_orders

from . import standing
from .lateness import oldest_delivery, why_late
from .standing import Together

ACCOUNTS_AT_ONCE = 2000
TRIGGERING_LENGTH = 400
COLUMNS = {
    "account_id": "bigint", "checked_at": "timestamptz", "business_day": "date", "status": "smallint",
    "reason": "text", "attention": "jsonb", "market_value": "numeric", "managed_value": "numeric", "cash": "numeric",
    "available_cash": "numeric", "cash_weight": "numeric", "target_cash": "numeric", "drift": "numeric",
    "drift_percent": "numeric", "drift_of": "text", "drift_weight": "numeric", "drift_target": "numeric",
    "drift_lower": "numeric", "drift_upper": "numeric", "triggering": "text", "triggers": "smallint",
    "first_rebalance": "bool", "high_cash": "bool", "low_cash": "bool", "position_drift": "bool", "wanted": "bool",
    "source": "text", "needed_since": "date",
}  # fmt: skip
STILL_ACKNOWLEDGED = """, acknowledged = (
    SELECT coalesce(jsonb_agg(key), '[]') FROM jsonb_array_elements(rebalancer_check.acknowledged) key
    WHERE excluded.attention @> jsonb_build_array(jsonb_build_object('key', key))
)"""
FIGURES = (
    "market_value", "managed_value", "cash", "available_cash", "cash_weight", "target_cash", "drift", "drift_percent",
    "drift_weight", "drift_target", "drift_lower", "drift_upper",
)  # fmt: skip
NO_FIGURES = dict.fromkeys(FIGURES) | {"drift_of": "", "triggering": "", "triggers": 0}


def analyse(
    account_pks: Iterable[int] | None = None,
    as_of: date | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Check these accounts, or every open one when None is given; return how many were checked.

    `as_of`: the day for restrictions, flows and needed since (default: today in the market's zone). `progress` is told
    accounts done and accounts in all.
    """
    chosen = Account.objects.filter(is_open=True)
    if account_pks is not None:
        chosen = chosen.filter(pk__in=list(account_pks))
    pks = list(chosen.order_by("pk").values_list("pk", flat=True))
    day = as_of or sessions.today()
    prices = quotes.newest()
    Check.objects.filter(account__is_open=False).delete()
    for start in range(0, len(pks), ACCOUNTS_AT_ONCE):
        chunk = pks[start : start + ACCOUNTS_AT_ONCE]
        _store(_Chunk(chunk, day, prices).rows())
        if progress:
            progress(start + len(chunk), len(pks))
    return len(pks)


@transaction.atomic
def _store(rows):
    """Write the rows over what stands there, unless that is newer."""
    arrive("checked", COLUMNS, ([row[name] for name in COLUMNS] for row in rows))
    table = Check._meta.db_table
    columns = ", ".join(COLUMNS)
    renewed = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS if name != "account_id") + STILL_ACKNOWLEDGED
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({columns}, acknowledged) SELECT {columns}, '[]' FROM checked ORDER BY account_id "
            f"ON CONFLICT (account_id) DO UPDATE SET {renewed} WHERE {table}.checked_at <= excluded.checked_at"
        )


class _Chunk:
    """Some accounts at one moment: everything their verdicts rest on, read in a fixed number of queries."""

    def __init__(self, pks, day, prices):
        self.day = day
        self.firm = Firm.current()
        self.zone = sessions.zone()
        self.checked_at = timezone.now()
        with one_moment():
            self.loaded: Loaded = load(pks, day, prices=prices)
            self.known = {check.pk: check for check in Check.objects.filter(pk__in=pks)}
            self.ordered = accounts_with_open_orders(pks)
            self.failed = _failed_last(pks)
            self.breaks = breaks_of(pks)
            self.holding = _holding(pks)
            self.flows = _flows(pks, day, prices)
            everyone = self.loaded.facts + list(self.loaded.refused_facts.values())
            self.all_cash = set(_all_cash_portfolios())
            self.digests = _digests({fact["rebalanced_to_id"] for fact in everyone} - {None})
        self.drift: Drift = check(self.loaded.book)
        together = Together.of(self.drift.scale.owner, self.loaded.security_id)
        self.outside = self._outside(together.in_several)
        self.attention = standing.reasons(self.loaded, self.drift, self.outside, together, self.firm)

    @cached_property
    def oldest_delivery(self):
        return oldest_delivery()

    def rows(self):
        """One row of COLUMNS per account."""
        for number, fact in enumerate(self.loaded.facts):
            yield self._row(fact, "", number)
        for pk, fact in self.loaded.refused_facts.items():
            yield self._row(fact, self.loaded.refused[pk], None)

    def _row(self, fact, unable, number):
        known = self._known(fact)
        facts = self._facts(fact, unable, number)
        verdict = asdict(decide(facts, known))
        figures = NO_FIGURES if number is None else self._figures(number, facts)
        attention = [{"key": key, "words": words} for key, words in facts.attention]
        stamps = {"account_id": fact["pk"], "checked_at": self.checked_at.isoformat(), "business_day": self.day}
        return {
            **stamps, **figures, **verdict, "status": int(verdict["status"]), "reason": verdict["reason"][:400],
            "attention": json.dumps(attention),
        }  # fmt: skip

    def _late(self, fact):
        """Why the last delivery does not count, or nothing."""
        return why_late(fact["delivered_for"], fact["delivery_problem"], self.oldest_delivery)

    def _known(self, fact):
        """What lives on of the last check; a rebalance since then ends source and needed since."""
        row = self.known.get(fact["pk"])
        if row is None:
            return Known()
        at = fact["last_rebalanced_at"]
        known = Known(
            row.wanted, row.source, row.needed_since, row.high_cash, row.low_cash, row.position_drift,
            tuple(row.acknowledged),
        )  # fmt: skip
        if at is not None and at > row.checked_at:
            known.wanted, known.source, known.needed_since = False, "", None
        return known

    def _facts(self, fact, unable, number):
        since = fact["rebalancing_since"]
        managed = Decimal(0) if number is None else Decimal(int(self.loaded.managed_cents[number])) / HUNDRED
        facts = Facts(
            rebalancing_on=fact["rebalancing_on"],
            rebalancing_since=since,
            last_rebalanced=fact["last_rebalanced"],
            last_rebalanced_at=fact["last_rebalanced_at"],
            has_portfolio=fact["portfolio_id"] is not None,
            all_cash=fact["portfolio_id"] in self.all_cash,
            holds_securities=fact["pk"] in self.holding,
            target_changed_on=self._target_changed_on(fact),
            unable=unable,
            late=self._late(fact),
            business_day=self.day,
            switched_on=since.astimezone(self.zone).date() if since else None,
            attention=self._standing(fact, number),
            net_flow=self._net_flow(fact),
            flow_limit=max(self.firm.flow_dollars, self.firm.flow_percent * managed / HUNDRED),
        )
        if number is not None and not facts.late:
            facts.high_cash = bool(self.drift.high_cash[number])
            facts.low_cash = bool(self.drift.low_cash[number])
            facts.triggering = [one for one in self.outside[number] if one.triggers]
            facts.quiet = ["Cash"] if self.quiet_cash[number] else []
            facts.quiet += dict.fromkeys(one.symbol for one in self.outside[number] if not one.triggers)
        return facts

    def _target_changed_on(self, fact):
        """The day the target became another one than the account was last rebalanced to, or None."""
        version = self.loaded.versions.get(fact["portfolio_id"])
        before = self.digests.get(fact["rebalanced_to_id"])
        if version is None or before is None or before == version.target_digest:
            return None
        moments = [version.saved_at] + ([fact["portfolio_since"]] if fact["portfolio_since"] else [])
        return max(moments).astimezone(self.zone).date()

    def _net_flow(self, fact):
        """External deposits minus withdrawals that its last rebalance has not seen."""
        last = {"last_rebalanced": fact["last_rebalanced"], "approved_at": fact["last_rebalanced_at"], "day": self.day}
        amounts = (
            amount
            for on, recorded_at, amount in self.flows.get(fact["pk"], ())
            if flows.is_new(on, recorded_at, **last)
        )
        return sum(amounts, Decimal(0))

    def _standing(self, fact, number):
        """Reasons for extra attention, (key, words); a key changes when the reason does."""
        reasons = []
        if fact["pk"] in self.ordered:
            reasons.append(("open orders", "it has open orders"))
        if fact["pk"] in self.failed:
            entry, why = self.failed[fact["pk"]]
            reasons.append(
                (f"failed {entry}", f"it failed in its last request: {why[:1].lower() + why[1:]}".rstrip("."))
            )
        reasons += [(break_key(one), break_words(one)) for one in self.breaks.get(fact["pk"], ())]
        return reasons + (self.attention.get(number, []) if number is not None else [])

    def _outside(self, in_several):
        """Components outside their threshold, account by account: cash where it triggers first, then rows.

        Bands are of sleeves: where a security stands in several (bool (rows,)), its sleeve is named.
        """
        found = defaultdict(list)
        book, drift = self.loaded.book, self.drift
        for number in np.flatnonzero(drift.high_cash | drift.low_cash).tolist():
            weight, lower, upper = (_percent(one[number]) for one in self._cash_bounds())
            found[number].append(Outside("Cash", weight, lower, upper))
        for row in np.flatnonzero(drift.outside).tolist():
            weight, lower, upper = (_percent(one[row]) for one in (drift.scale.weight, book.lower, book.upper))
            sleeve = sleeve_text(self.loaded.sleeves[int(self.loaded.sleeve_id[row])]) if in_several[row] else ""
            one = Outside(
                self._symbol(row), weight, lower, upper, bool(drift.triggers[row]), int(drift.held_back[row]), sleeve
            )
            found[int(drift.scale.owner[row])].append(one)
        return found

    @cached_property
    def quiet_cash(self):
        """bool (accounts,): cash is outside its threshold and does not trigger."""
        scale, drift = self.drift.scale, self.drift
        return (scale.cash_above | scale.cash_below) & ~(drift.high_cash | drift.low_cash)

    def _cash_bounds(self):
        return self.drift.scale.cash_weight, self.loaded.book.cash_lower, self.loaded.book.cash_upper

    def _symbol(self, row):
        return self.loaded.symbols[int(self.loaded.security_id[row])]

    def _figures(self, number, facts):
        """Values, weights and the largest drift of an account, as they are stored."""
        loaded, scale, book = self.loaded, self.drift.scale, self.loaded.book
        row = int(self.drift.furthest[number])
        target, lower, upper = (
            (book.cash_target[number], book.cash_lower[number], book.cash_upper[number])
            if row == CASH
            else (book.target[row], book.lower[row], book.upper[row])
        )
        weight = scale.cash_weight[number] if row == CASH else scale.weight[row]
        drift = weight - target
        available = book.cash_cents[number] - book.set_aside_cents[number] - book.reserved_cents[number]
        symbols = list(dict.fromkeys(one.symbol for one in facts.triggering))
        return {
            "market_value": exact(int(loaded.market_cents[number]), 2),
            "managed_value": exact(int(loaded.managed_cents[number]), 2),
            "cash": exact(int(book.cash_cents[number]), 2),
            "available_cash": exact(int(available), 2),
            "cash_weight": _clipped(scale.cash_weight[number]),
            "target_cash": _percent(book.cash_target[number]),
            "drift": _clipped(drift),
            "drift_percent": _clipped(drift / target) if target > 0 else None,
            "drift_of": "Cash" if row == CASH else self._symbol(row),
            "drift_weight": _clipped(weight),
            "drift_target": _percent(target),
            "drift_lower": _percent(lower),
            "drift_upper": _percent(upper),
            "triggering": _cut(", ".join(symbols)),
            "triggers": min(len(symbols), 32767),
        }


class _Foretold(_Chunk):
    """The same for a page, which waits for no market calendar: no delivery is too old."""

    oldest_delivery = date.min


def foretell(account_pks: Iterable[int]) -> dict[int, bool]:
    """Which of these accounts a check would find a reason for, at the last prices there are; nothing is stored.

    For accounts whose last check could weigh them, and some thousand at most.
    """
    prices = quotes.last_known(Security.objects.values("pk"))
    chunk = _Foretold(list(account_pks), sessions.today(), prices)
    return {row["account_id"]: row["wanted"] for row in chunk.rows()}


def _percent(share):
    return round(float(share) * 100, 6)


def _clipped(share):
    """A share in percent that fits its column, however small V is."""
    return max(-999_999.0, min(999_999.0, _percent(share)))


def _cut(text):
    return text if len(text) <= TRIGGERING_LENGTH else text[: TRIGGERING_LENGTH - 2].rpartition(",")[0] + ", …"


def _all_cash_portfolios():
    return Component.objects.filter(kind=Component.Kind.CASH, weight=HUNDRED).values_list("portfolio", flat=True)


def _failed_last(pks):
    """{account id: (entry id, reason)} of accounts whose newest entry failed."""
    newest = Entry.objects.filter(account__in=pks).order_by("account_id", "-pk").distinct("account_id")
    return {entry.account_id: (entry.pk, entry.reason) for entry in newest if entry.state == EntryState.FAILED}


def _holding(pks):
    """Accounts that hold what a liquidation could sell."""
    held = Position.objects.filter(account__in=pks).exclude(sleeve__kind=Sleeve.Kind.PROTECTED)
    return set(held.exclude(security__kind=Security.Kind.SWEEP).values_list("account", flat=True))


def _flows(pks, day, prices):
    """External flows up to the day: {account id: [(date, recorded at, dollars)]}, in kind at the newest price."""
    found = Transaction.objects.filter(account__in=pks, kind__in=flows.EXTERNAL, date__lte=day).order_by("date", "pk")
    by_account = defaultdict(list)
    for one in found:
        quote = prices.usable.get(one.security_id)
        by_account[one.account_id].append((one.date, one.recorded_at, flows.dollars(one, quote and quote.price)))
    return by_account


def _digests(version_pks):
    return dict(PortfolioVersion.objects.filter(pk__in=version_pks).values_list("pk", "target_digest"))
