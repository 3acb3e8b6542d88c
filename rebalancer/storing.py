"""From a Proposal to rows: the only way out. Its dollars are computed in `tallies`."""

import json
from dataclasses import dataclass

import numpy as np
from django.db import connection

from accounts.imports.copying import arrive, copy_rows, exact
from rebalancer.engine import CASH, Proposal, Reason, furthest
from rebalancer.loading import EPOCH, Loaded
from rebalancer.models import Alternative, Entry, LotLine, PositionLine, TradeLine
from rebalancer.states import EntryState
from rebalancer.tallies import Gains, Outcome, dollars
from tax.models import Lot

LINES = (PositionLine, TradeLine, LotLine, Alternative)
KEYS = ["entry_id", "sleeve_id", "security_id", "sleeve", "symbol"]
POSITION_COLUMNS = KEYS + [
    "quantity_before", "quantity_after", "price", "weight_before", "weight_after", "target_weight", "threshold_lower",
    "threshold_upper", "precision_lower", "precision_upper", "note", "other_symbol",
]  # fmt: skip
TRADE_COLUMNS = KEYS + [
    "side", "quantity", "market_quantity", "flat_quantity", "price", "value", "short_term_gain", "long_term_gain",
    "unknown_lots", "reason", "other_symbol",
]  # fmt: skip
ALTERNATIVE_TOTALS = [
    "cash_after", "buys", "buys_value", "sells", "sells_value", "flat_trades", "flat_value", "short_term_gain",
    "long_term_gain", "estimated_gain", "unknown_lots",
]  # fmt: skip
ALTERNATIVE_COLUMNS = ["entry_id", "logic", "reason", *ALTERNATIVE_TOTALS, "gains"]
LOT_COLUMNS = KEYS + ["lot_id", "acquired_on", "quantity", "proceeds", "cost", "gain", "term", "use"]
FIGURES = {
    "entry": "bigint", "state": "text", "reason": "text", "portfolio_version_id": "bigint", "fingerprint": "text",
    "lot_method": "text", "market_value": "numeric", "managed_value": "numeric", "cash_before": "numeric",
    "cash_after": "numeric", "cash_target": "numeric", "cash_lower": "numeric", "cash_upper": "numeric",
    "buys": "int", "buys_value": "numeric", "sells": "int", "sells_value": "numeric", "flat_trades": "int",
    "flat_value": "numeric", "short_term_gain": "numeric", "long_term_gain": "numeric", "estimated_gain": "numeric",
    "unknown_lots": "int", "drift_before": "numeric", "drift_after": "numeric", "drift_of": "text", "basis": "jsonb",
}  # fmt: skip
NO_TRADE = "No trade is needed."
NO_TRADE_HELPS = "No trade is proposed: what is outside its band stays there, and says why."
NO_TRADE_FOR_CASH = "No trade is proposed: cash is outside its threshold, and no allowed trade brings it inside."
NOTHING_WRONG = [Reason.NONE, Reason.INSIDE_THRESHOLD, Reason.INSIDE_PRECISION]  # notes of rows left alone
REASON_LENGTH = 400


class BookMoved(Exception):
    """Lots were replaced between loading and storing: load again."""


@dataclass(frozen=True, slots=True)
class Other:
    """What another logic than the batch's would do for the same accounts at the same prices."""

    logic: str
    outcome: Outcome


def store(
    entries: dict[int, int],
    loaded: Loaded,
    proposal: Proposal,
    fingerprints: dict[int, str],
    other: Other | None = None,
) -> dict[str, int]:
    """Write lines and figures of these entries ({account id: entry id}); return how many are proposed and failed.

    An earlier proposal is replaced, and so is what was kept of the other logic, now `other`. The caller holds the
    transaction and the right to write; raises BookMoved.
    """
    writer = _Writer(entries, loaded, proposal)
    figures = [writer.figures(number, fingerprints) for number in range(len(loaded.facts))]
    figures += [_refusal(entries[pk], reason) for pk, reason in loaded.refused.items()]
    failed = {row["entry"] for row in figures if row["state"] == EntryState.FAILED}
    forget(list(entries.values()))
    for model, columns, lines in (
        (PositionLine, POSITION_COLUMNS, writer.positions()),
        (TradeLine, TRADE_COLUMNS, writer.trades()),
        (LotLine, LOT_COLUMNS, writer.lots),
        (Alternative, ALTERNATIVE_COLUMNS, _alternatives(writer.entry, other) if other else ()),
    ):
        copy_rows(model._meta.db_table, columns, (line for line in lines if line[0] not in failed))
    _update_entries(figures)
    return {"proposed": len(figures) - len(failed), "failed": len(failed)}


def _alternatives(entries, other):
    """Rows of Alternative, one for each account of the book."""
    outcome = other.outcome
    gains = [[] for _ in entries]
    for row, found in outcome.gains.items():
        key = int(outcome.loaded.sleeve_id[row]), int(outcome.loaded.security_id[row])
        figures = found.short_term, found.long_term, found.unknown_short, found.unknown_long
        gains[outcome.owner[row]].append([*key, *figures])
    for number, entry in enumerate(entries):
        reason = outcome.why_not(number)
        totals = {} if reason else outcome.totals(number)
        columns = (totals.get(name, 0 if name == "unknown_lots" else None) for name in ALTERNATIVE_TOTALS)
        yield entry, other.logic, reason, *columns, json.dumps(gains[number])


def forget(entry_pks):
    """Delete the lines of entries."""
    with connection.cursor() as cursor:
        for model in LINES:
            cursor.execute(f"DELETE FROM {model._meta.db_table} WHERE entry_id = ANY(%s)", [entry_pks])


def _update_entries(figures):
    arrive("proposed", FIGURES, ([row.get(name) for name in FIGURES] for row in figures))
    assignments = ", ".join(f"{name} = proposed.{name}" for name in FIGURES if name != "entry")
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {Entry._meta.db_table} SET {assignments} FROM proposed WHERE {Entry._meta.db_table}.id = entry"
        )


def _refusal(entry, reason):
    empty = {"fingerprint": "", "lot_method": "", "unknown_lots": 0, "drift_of": ""}
    return {"entry": entry, "state": EntryState.FAILED, "reason": sentence(reason)[:REASON_LENGTH], **empty}


def sentence(words):
    return words[:1].upper() + words[1:] + ("" if words.endswith(".") else ".")


class _Writer:
    """Turns one Proposal into lines and figures."""

    def __init__(self, entries, loaded, proposal):
        self.loaded, self.proposal, self.scale = loaded, proposal, proposal.scale
        self.book = proposal.book
        self.entry = [entries[fact["pk"]] for fact in loaded.facts]
        self.outcome = Outcome(loaded, proposal)
        self.price, self.owner = self.outcome.price, self.outcome.owner
        self.lots = self._lots()
        steps = proposal.units / self.book.step
        cash_after = self.scale.cash_weight - (self.scale.cash - self.scale.cash_after(steps)) / self.scale.managed
        self.weight_after = self.scale.weight_after(steps)
        self.something_noted = np.bincount(self.owner, ~np.isin(proposal.note, NOTHING_WRONG), len(self.entry)) > 0
        self.cash_outside = self.scale.cash_above | self.scale.cash_below
        self.bases = loaded.bases()
        self.drift_before = self._largest_drift(self.scale.weight, self.scale.cash_weight)
        self.drift_after = self._largest_drift(self.weight_after, cash_after)

    def _keys(self, row):
        sleeve, security = int(self.loaded.sleeve_id[row]), int(self.loaded.security_id[row])
        entry = self.entry[self.owner[row]]
        return entry, sleeve, security, self.loaded.sleeves[sleeve], self.loaded.symbols[security]

    def _lots(self):
        """Lines of the lots taken, named as they are in the book now; raises BookMoved."""
        taken = self.outcome.taken
        number = [one.lot for one in taken]
        pks = self.loaded.lot_id[number].tolist()
        names = dict(Lot.objects.filter(pk__in=pks).values_list("pk", "lot_id"))
        if len(names) < len(pks):
            raise BookMoved("lots changed while they were being proposed")
        days = (np.datetime64(EPOCH) + self.book.lot_acquired[number]).astype(str).tolist()
        lines = []
        for one, pk, day in zip(taken, pks, days, strict=True):
            lines += self._lot_lines(one, (*self._keys(one.row), names[pk], day))
        return lines

    def _lot_lines(self, one, keys):
        """The market part of a lot, then its flat part."""
        if one.sold:
            money = dollars(one.proceeds), dollars(one.sold_cost), dollars(one.gain)
            yield *keys, exact(one.sold, 6), *money, one.term, LotLine.Use.SALE
        if one.moved:
            yield *keys, exact(one.moved, 6), None, dollars(one.moved_cost), None, "", LotLine.Use.FLAT

    def trades(self):
        for one in self.outcome.traded:
            keys = self._keys(one.row)
            gains = self.outcome.gains.get(one.row) or Gains()
            yield (
                *keys, "buy" if one.buys else "sell", exact(one.market + one.flat, 6), exact(one.market, 6),
                exact(one.flat, 6), exact(self.price[keys[2]], 6), dollars(one.value + one.flat_value),
                dollars(gains.short_term), dollars(gains.long_term), gains.unknown_lots,
                int(self.proposal.reason[one.row]), self.loaded.other.get(one.row, ""),
            )  # fmt: skip

    def figures(self, number, fingerprints):
        """The figures of an account's entry; it fails where cash >= 0 cannot be reached."""
        fact, outcome = self.loaded.facts[number], self.outcome
        version = self.loaded.versions.get(fact["target"])
        row = {
            "entry": self.entry[number],
            "state": EntryState.PROPOSED,
            "reason": "",
            "portfolio_version_id": version.pk if version else None,
            "fingerprint": fingerprints.get(fact["pk"], ""),
            "basis": json.dumps(self.bases[fact["pk"]]),
            "lot_method": fact["lot_method"],
            "market_value": dollars(int(self.loaded.market_cents[number])),
            "managed_value": dollars(int(self.loaded.managed_cents[number])),
            "cash_before": dollars(outcome.cash_before(number)),
            "unknown_lots": 0,
            "drift_of": "",
        } | self._cash_bounds(number)
        if reason := outcome.why_not(number):
            return row | {"state": EntryState.FAILED, "reason": reason}
        if outcome.is_idle(number):
            row["reason"] = self._why_idle(number)
        return row | outcome.totals(number) | self._drifts(number)

    def _why_idle(self, number):
        """Why an account has no trade: it needs none, or none helps."""
        if self.something_noted[number]:
            return NO_TRADE_HELPS
        return NO_TRADE_FOR_CASH if self.cash_outside[number] else NO_TRADE

    def _cash_bounds(self, number):
        names = ("target", "lower", "upper")
        return {f"cash_{name}": f"{getattr(self.book, f'cash_{name}')[number] * 100:.6f}" for name in names}

    def _drifts(self, number):
        before, _ = self.drift_before
        after, name = self.drift_after
        return {
            "drift_before": f"{before[number] * 100:.6f}",
            "drift_after": f"{after[number] * 100:.6f}",
            "drift_of": name[number],
        }

    def _largest_drift(self, weight, cash_weight):
        """Drift (accounts,) of the component furthest out for its band, and its symbols."""
        book = self.book
        row = furthest(self.scale, weight, cash_weight)
        is_cash = row == CASH
        at = np.where(is_cash, 0, row)
        drift = (weight - book.target)[at] if len(weight) else np.zeros(len(row))
        drift = np.where(is_cash, cash_weight - book.cash_target, drift)
        symbols = ["Cash" if cash else self.loaded.symbols[int(self.loaded.security_id[one])]
                   for one, cash in zip(row.tolist(), is_cash.tolist(), strict=True)]  # fmt: skip
        return drift, symbols

    def positions(self):
        """Lines of every position and every target, and of what is outside of V."""
        loaded, book, note = self.loaded, self.book, self.proposal.note
        before = _percents(self.scale.weight)
        after = _percents(self.weight_after)
        bounds = zip(
            *(_percents(getattr(book, name)) for name in ("target", "lower", "upper", "fit_lower", "fit_upper")),
            strict=True,
        )
        held, left = book.units.tolist(), (book.units + self.proposal.units).tolist()
        for row, (units, rest, now, then, weights) in enumerate(zip(held, left, before, after, bounds, strict=True)):
            keys = self._keys(row)
            price = exact(self.price[keys[2]], 6)
            words = (int(note[row]), loaded.other.get(row, ""))
            yield *keys, exact(units, 6), exact(rest, 6), price, now, then, *weights, *words
        yield from self._outside()

    def _outside(self):
        outside, loaded = self.loaded.outside, self.loaded
        for number, sleeve, security, units, reason in zip(
            outside.account.tolist(), outside.sleeve.tolist(), outside.security.tolist(), outside.units.tolist(),
            outside.reason.tolist(), strict=True,
        ):  # fmt: skip
            keys = (self.entry[number], sleeve, security, loaded.sleeves[sleeve], loaded.symbols[security])
            price = exact(self.price.get(security), 6)
            yield *keys, exact(units, 6), exact(units, 6), price, *(None,) * 7, reason, ""


def _percents(weights):
    return np.round(weights * 100, 6).tolist()
