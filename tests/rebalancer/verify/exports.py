"""The four exports of a batch, read by their header."""

import csv
import io
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal

COLUMNS = {
    "accounts": "account_number, account_name, result, reason, market_value, managed_value, beginning_available_cash, "
    "ending_available_cash, buys, buys_value, sells, sells_value, flat_trades, flat_value, short_term_gain, "
    "long_term_gain, estimated_gain",
    "trades": "account_number, sleeve, symbol, side, quantity, market_quantity, flat_quantity, price, value, "
    "short_term_gain, long_term_gain, reason",
    "lots": "account_number, sleeve, symbol, lot_id, acquired_on, quantity, proceeds, cost, gain, term, use",
    "positions": "account_number, sleeve, symbol, quantity_before, quantity_after, price, weight_before, weight_after, "
    "target_weight, threshold_lower, threshold_upper, precision_lower, precision_upper, note",
}


@dataclass
class Exported:
    """What the exports say of one account; trades and positions by (sleeve, symbol), lots a list for each."""

    account: dict
    trades: dict = field(default_factory=dict)
    positions: dict = field(default_factory=dict)
    lots: dict = field(default_factory=lambda: defaultdict(list))


def rows(what, text):
    """The rows of an export as dictionaries; ValueError when its columns are not those of PRODUCT 10."""
    reader = csv.DictReader(io.StringIO(text))
    if reader.fieldnames != COLUMNS[what].split(", "):
        raise ValueError(f"{what}: the columns are {reader.fieldnames}")
    return list(reader)


def read(texts):
    """({account number: Exported}, what is wrong with the rows as such) of {what: csv text}."""
    tables = {what: rows(what, texts[what]) for what in COLUMNS}
    wrong = []
    found = {row["account_number"]: Exported(row) for row in tables["accounts"]}
    wrong += [f"{n}: stands twice in accounts" for n, c in _counts(tables["accounts"], "account_number") if c > 1]
    for what in ("trades", "positions"):
        keys = _counts(tables[what], "account_number", "sleeve", "symbol")
        wrong += [f"{key}: stands twice in {what}" for key, count in keys if count > 1]
    for what in ("trades", "lots", "positions"):
        for row in tables[what]:
            if row["account_number"] not in found:
                wrong.append(f"{row['account_number']}: in {what}, not in accounts")
                continue
            lines = getattr(found[row["account_number"]], what)
            key = (row["sleeve"], row["symbol"])
            if what == "lots":
                lines[key].append(row)
            else:
                lines[key] = row
    return found, wrong


def _counts(table, *names):
    return Counter(" ".join(row[name] for name in names) for row in table).items()


def number(text):
    """A cell as a Decimal, None when it is empty."""
    return Decimal(text) if text else None
