"""A book as its files say it: every number a Fraction, nothing interpreted yet."""

import csv
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from pathlib import Path

DEFAULT_LOT_METHOD = "fifo"  # the firm's, where an account names none


@dataclass(frozen=True)
class Security:
    symbol: str
    kind: str
    step: Fraction
    price: Fraction | None

    @property
    def is_sweep(self):
        return self.kind == "sweep"

    @property
    def step_value(self):
        return self.step * self.price


@dataclass(frozen=True)
class Lot:
    lot_id: str
    quantity: Fraction
    cost: Fraction | None
    acquired: date


@dataclass(frozen=True)
class Rule:
    """A restriction."""

    symbol: str
    kind: str
    substitute: str
    start: date
    end: date | None

    def holds_on(self, day):
        return self.start <= day and (self.end is None or day <= self.end)


@dataclass
class Account:
    number: str
    name: str
    portfolio: str
    rebalancing_on: bool
    set_aside: Fraction
    method: str
    cash: Fraction = Fraction(0)
    lots: dict = field(default_factory=lambda: defaultdict(list))  # (sleeve, symbol) → lots
    rules: list = field(default_factory=list)

    def held(self, key):
        return sum((lot.quantity for lot in self.lots.get(key, ())), Fraction(0))


@dataclass
class Book:
    securities: dict[str, Security]
    models: dict[str, list]  # name → [(symbol, weight)]
    portfolios: dict[str, list[dict]]  # name → rows of the file
    accounts: dict[str, Account]


def read(folder) -> Book:
    """The book in this folder, as of its one delivery."""
    folder = Path(folder)
    prices = {row["symbol"]: Fraction(row["price"]) for row in _rows(folder, "prices")}
    securities = {
        row["symbol"]: Security(row["symbol"], row["kind"], Fraction(row["quantity_step"]), prices.get(row["symbol"]))
        for row in _rows(folder, "securities")
    }
    models, portfolios = defaultdict(list), defaultdict(list)
    for row in _rows(folder, "models"):
        models[row["model"]].append((row["symbol"], Fraction(row["weight"])))
    for row in _rows(folder, "portfolios"):
        portfolios[row["portfolio"]].append(row)
    accounts = {row["account_number"]: _account(row) for row in _rows(folder, "accounts")}
    _fill(accounts, folder)
    return Book(securities, dict(models), dict(portfolios), accounts)


def _fill(accounts, folder):
    for row in _rows(folder, "cash"):
        accounts[row["account_number"]].cash = Fraction(row["amount"])
    for row in _rows(folder, "lots"):
        key = (row["sleeve"] or "managed", row["symbol"])
        cost = Fraction(row["total_cost"]) if row["total_cost"] else None
        lot = Lot(row["lot_id"], Fraction(row["quantity"]), cost, date.fromisoformat(row["acquired_on"]))
        accounts[row["account_number"]].lots[key].append(lot)
    for row in _rows(folder, "restrictions"):
        end = date.fromisoformat(row["end"]) if row["end"] else None
        rule = Rule(row["symbol"], row["kind"], row["substitute"], date.fromisoformat(row["start"]), end)
        accounts[row["account_number"]].rules.append(rule)


def _account(row):
    return Account(
        row["account_number"],
        row["name"],
        row["portfolio"],
        row["rebalancing_on"] == "true",
        Fraction(row["set_aside_cash"] or 0),
        row["lot_method"] or DEFAULT_LOT_METHOD,
    )


def _rows(folder, name):
    with open(folder / f"{name}.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
