"""Writes a synthetic book as the nine files of PRODUCT: the same arguments give the same bytes, on any machine."""

from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import numpy as np

from accounts.models import Restriction

from .accounts import (
    ALL_CASH,
    ANCHOR,
    CUSTODIANS,
    FIRST_NAMES,
    KINDS,
    LAST_NAMES,
    METHODS,
    NOBODY,
    PROTECTED,
    SWEEP,
    Shape,
    make_lots,
    make_portion,
)
from .catalogue import SWEEPS, listed
from .draws import Dice
from .targets import ALL_CASH as ALL_CASH_NAME
from .targets import GRAINS, LEGACY, Component, make_models, make_portfolios, percent

LOTS_AT_A_TIME = 200_000
COLUMNS = {
    "securities": "symbol,name,kind,asset_class,quantity_step",
    "prices": "symbol,price,as_of",
    "models": "model,symbol,weight",
    "portfolios": "portfolio,component_kind,component,weight,threshold_lower,threshold_upper,precision_lower,"
    "precision_upper,band_kind,triggers",
    "accounts": "account_number,name,custodian,advisor,household,tax_status,portfolio,linked_portfolios,rebalancing_on,"
    "last_rebalanced,set_aside_cash,lot_method",
    "lots": "account_number,sleeve,symbol,lot_id,quantity,total_cost,acquired_on",
    "cash": "account_number,amount",
    "transactions": "account_number,date,kind,symbol,quantity,amount,external_id",
    "restrictions": "account_number,symbol,kind,substitute,start,end",
}
DAYS = [ANCHOR - timedelta(days=age) for age in range(4_000)]
ISO = [day.isoformat() for day in DAYS]
SHORT = [day.strftime("%y%m%d") for day in DAYS]


class Book:
    """A synthetic book of `accounts` accounts with about `positions` positions of `lots` lots each.

    A position has exactly `lots` lots, or as many as it has steps where these are fewer.
    """

    def __init__(self, accounts, positions, lots, seed):
        self.accounts, self.dice = accounts, Dice(seed)
        self.securities = [*listed(max(160, 2 * positions + 2 * LEGACY), self.dice), *SWEEPS]
        tradable = [security.symbol for security in self.securities[: -len(SWEEPS)]]
        self.models = make_models(len(tradable) - LEGACY, positions, self.dice)
        self.portfolios = make_portfolios(tradable, self.models, positions, self.dice)
        self.shape = Shape(
            self.portfolios,
            np.array([int(float(security.step) * 1000) for security in self.securities]),
            np.array([security.price for security in self.securities]),
            positions,
            lots,
            len(tradable),
        )

    def write(self, folder, progress=lambda done: None):
        """Write the files; `progress(accounts done)` is called as it goes. Returns {file: number of rows}."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            files = {name: _File(stack.enter_context(_opened(folder, name)), name) for name in COLUMNS}
            self._write_firm(files)
            at_a_time = max(1, LOTS_AT_A_TIME // (self.shape.positions * self.shape.lots))
            for first in range(0, self.accounts, at_a_time):
                last = min(first + at_a_time, self.accounts)
                self._write_accounts(files, make_portion(first, last, self.shape, self.dice))
                progress(last)
        return {name: file.rows for name, file in files.items()}

    # --- what is there once ---

    def _write_firm(self, files):
        files["securities"].lines(
            f"{one.symbol},{one.name},{one.kind},{one.asset_class},{one.step}" for one in self.securities
        )
        files["prices"].lines(f"{one.symbol},{one.price:.2f}," for one in self.securities)
        files["models"].lines(
            f"{model.name},{self.securities[number].symbol},{percent(grains)}"
            for model in self.models
            for number, grains in zip(model.securities.tolist(), model.grains.tolist(), strict=True)
        )
        all_cash = (ALL_CASH_NAME, [Component("cash", "", GRAINS)])
        for name, components in [*((one.name, one.components) for one in self.portfolios), all_cash]:
            files["portfolios"].lines(_component_line(name, component) for component in components)

    # --- what each account has ---

    def _write_accounts(self, files, portion):
        numbers = [f"{10_000_001 + index}" for index in portion.index.tolist()]
        files["accounts"].lines(self._account_lines(numbers, portion))
        files["cash"].lines(
            f"{number},{_dollars(cents)}" for number, cents in zip(numbers, portion.cash.tolist(), strict=True)
        )
        files["lots"].lines(self._lot_lines(numbers, portion))
        files["transactions"].lines(self._transaction_lines(numbers, portion))
        files["restrictions"].lines(self._restriction_lines(numbers, portion))

    def _account_lines(self, numbers, portion):
        index, dice = portion.index, self.dice
        kind = dice.whole("kind", index, len(KINDS))
        last_name = dice.whole("last name", index // 2, len(LAST_NAMES))
        advisors = max(3, min(60, self.accounts // 250))
        never, since = dice.chance("never", index, 0.06), 20 + dice.whole("since", index, 340)
        choices = {
            "name": [f"{FIRST_NAMES[a]} {LAST_NAMES[b]} {KINDS[c][0]}" for a, b, c in zip(
                dice.whole("first name", index, len(FIRST_NAMES)), last_name, kind, strict=True)],
            "custodian": [CUSTODIANS[one] for one in dice.whole("custodian", index, len(CUSTODIANS))],
            "advisor": ["" if nobody else f"advisor{1 + one:02d}" for nobody, one in zip(
                dice.chance("nobody", index, 0.01), dice.whole("advisor", index // 2, advisors), strict=True)],
            "household": [f"{LAST_NAMES[b]} household {1 + at // 2}" for b, at in zip(last_name, index, strict=True)],
            "tax_status": [KINDS[one][1] for one in kind],
            "portfolio": [self._portfolio_name(one) for one in portion.portfolio],
            "linked": [self._linked(at, one) for at, one in zip(index, portion.portfolio, strict=True)],
            "on": ["false" if off else "true" for off in dice.chance("off", index, 0.04)],
            "last_rebalanced": ["" if no else ISO[age] for no, age in zip(never, since, strict=True)],
            "set_aside": ["" if not cents else _dollars(cents) for cents in portion.set_aside.tolist()],
            "method": [METHODS[one] for one in dice.whole("method", index, len(METHODS))],
        }  # fmt: skip
        return map(",".join, zip(numbers, *choices.values(), strict=True))

    def _portfolio_name(self, number):
        return {NOBODY: "", ALL_CASH: ALL_CASH_NAME}.get(int(number)) or (
            self.portfolios[number].name if number >= 0 else ""
        )

    def _linked(self, index, portfolio):
        """Up to two other portfolios beside the account's own."""
        count = int(self.dice.whole("links", index, 3))
        others = [int(self.dice.whole(f"link {one}", index, len(self.portfolios))) for one in range(count)]
        names = [self._portfolio_name(portfolio), *(self.portfolios[one].name for one in others)]
        return ";".join(dict.fromkeys(name for name in names if name))

    def _lot_lines(self, numbers, portion):
        lots = make_lots(portion, self.shape, self.dice)
        symbols = [security.symbol for security in self.securities]
        sleeves = {0: "managed", PROTECTED: "protected", SWEEP: "managed"}
        sleeves |= {1 + number: f"model:{model.name}" for number, model in enumerate(self.models)}
        held = portion.security[lots.row, lots.column].tolist()
        where = portion.sleeve[lots.row, lots.column].tolist()
        rows = zip(
            lots.row.tolist(), where, held, lots.number.tolist(), lots.quantity.tolist(), lots.cost.tolist(),
            lots.age.tolist(), strict=True,
        )  # fmt: skip
        for row, sleeve, security, number, quantity, cost, age in rows:
            paid = "" if cost < 0 else f"{cost // 100}.{cost % 100:02d}"
            shares = str(quantity // 1000) if quantity % 1000 == 0 else f"{quantity // 1000}.{quantity % 1000:03d}"
            yield (
                f"{numbers[row]},{sleeves[sleeve]},{symbols[security]},{SHORT[age]}-{number},{shares},{paid},{ISO[age]}"
            )

    def _transaction_lines(self, numbers, portion):
        dice = self.dice
        for number, index, value, column in zip(
            numbers, portion.index.tolist(), portion.value.tolist(), portion.security[:, 0].tolist(), strict=True
        ):
            for place, (kind, chance, share, youngest, days) in enumerate(TRANSACTIONS):
                at = index * len(TRANSACTIONS) + place
                if dice.chance("transaction", at, chance):
                    amount = int(value * share * 100 * float(dice.between("amount", at, 0.5, 1.5)))
                    day = ISO[youngest + int(dice.whole("transaction day", at, days))]
                    yield _transaction(number, day, kind, self.securities[column], amount, f"{index}-{place}")

    def _restriction_lines(self, numbers, portion):
        dice, kinds = self.dice, Restriction.Kind.values
        for row in np.flatnonzero(dice.chance("restricted", portion.index, 0.04)).tolist():
            index = int(portion.index[row])
            kind = kinds[int(dice.whole("restriction", index, len(kinds)))]
            column = int(dice.whole("restricted column", index, self.shape.positions))
            security = self.securities[portion.security[row, column]].symbol
            substitute = self.securities[portion.security[row, -4]].symbol if kind == "substitute" else ""
            start = ISO[10 + int(dice.whole("restricted since", index, 190))]
            end = ("2027-12-31", "2026-10-30", "", "", "", "")[int(dice.whole("restricted until", index, 6))]
            yield f"{numbers[row]},{security},{kind},{substitute},{min(start, end) if end else start},{end}"


# kind, how many accounts have one, share of the account's value, days before the anchor: at least, and within
TRANSACTIONS = (
    ("deposit", 0.05, 0.04, 3, 25),
    ("withdrawal", 0.05, -0.04, 3, 25),
    ("deposit", 0.1, 0.03, 120, 400),
    ("dividend", 0.5, 0.003, 5, 90),
    ("interest", 0.1, 0.0005, 5, 90),
    ("fee", 0.3, -0.0025, 10, 80),
    ("buy", 0.1, -0.01, 30, 300),
    ("sell", 0.1, 0.01, 30, 300),
    ("journal", 0.01, 0.001, 30, 300),
)


def _transaction(number, day, kind, security, amount, external_id):
    """A row; only trades and dividends name a security, only trades have shares."""
    named = kind in ("buy", "sell", "dividend")
    shares = ""
    if kind in ("buy", "sell"):
        count = max(1, abs(amount) // max(1, round(security.price * 100)))
        shares = str(count if kind == "buy" else -count)
        amount = (-1 if kind == "buy" else 1) * count * round(security.price * 100)
    return f"{number},{day},{kind},{security.symbol if named else ''},{shares},{_dollars(amount)},T{external_id}"


def _component_line(name, one):
    return ",".join([name, one.kind, one.name, percent(one.grains), *one.bands, one.band_kind, one.triggers])


def _dollars(cents):
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def _opened(folder, name):
    return open(folder / f"{name}.csv", "w", encoding="utf-8", newline="")


class _File:
    """A file being written, its header first; counts its rows."""

    def __init__(self, handle, name):
        self.rows, self._handle = 0, handle
        handle.write(COLUMNS[name] + "\n")

    def lines(self, lines):
        lines = list(lines)
        self._handle.writelines(f"{line}\n" for line in lines)
        self.rows += len(lines)
