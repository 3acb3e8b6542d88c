"""Makes a written book harder: more restrictions of every kind, and lots that tie in date, in cost and in gain."""

import csv
from collections import defaultdict
from decimal import ROUND_HALF_UP, Decimal
from itertools import cycle
from pathlib import Path

KINDS = ("no_buy", "no_sell", "do_not_trade", "exclude_to_cash", "exclude_pro_rata", "substitute")
PREFIXES = ("b-", "B-", "é-", "a-", "Z-")  # so that the order of bytes is not the order of the files
DATES = (("2020-01-01", ""), ("2026-10-30", "2026-10-30"), ("2027-12-31", ""), ("2020-01-01", "2026-11-19"))


def harden(folder):
    """Rewrite `restrictions.csv` and `lots.csv` of a book."""
    folder = Path(folder)
    prices = {row["symbol"]: Decimal(row["price"]) for row in _read(folder, "prices")}
    lots = _tied(_read(folder, "lots"), prices)
    _write(folder, "lots", lots)
    _write(folder, "restrictions", _restrictions(_read(folder, "accounts"), _symbols(folder, lots)))


def _symbols(folder, lots):
    """{account number: what it holds outside protected sleeves and sweeps}, and under None all that may be held."""
    sweeps = {row["symbol"] for row in _read(folder, "securities") if row["kind"] == "sweep"}
    held = defaultdict(list)
    for row in lots:
        known = held[row["account_number"]]
        if row["sleeve"] != "protected" and row["symbol"] not in {*sweeps, *known}:
            known.append(row["symbol"])
    held[None] = [row["symbol"] for row in _read(folder, "securities") if row["symbol"] not in sweeps]
    return held


def _restrictions(accounts, symbols):
    """Up to three restrictions for two accounts of three, in turns of every kind, dates in turns too."""
    kinds, dates = cycle(KINDS), cycle(DATES)
    for place, account in enumerate(accounts):
        held = symbols[account["account_number"]]
        for symbol in held[: place % 3]:
            kind, (start, end) = next(kinds), next(dates)
            instead = _other(symbols[None], {*held, symbol}, place) if kind == "substitute" else ""
            yield {
                "account_number": account["account_number"], "symbol": symbol, "kind": kind, "substitute": instead,
                "start": start, "end": end,
            }  # fmt: skip


def _other(symbols, not_these, place):
    free = [symbol for symbol in symbols if symbol not in not_these]
    return free[place % len(free)]


def _tied(lots, prices):
    """Rename all lots; in turns leave a position's lots alone, give them one date, one cost a share, or no gain."""
    positions = defaultdict(list)
    for lot in lots:
        positions[lot["account_number"], lot["sleeve"], lot["symbol"]].append(lot)
    prefixes = cycle(PREFIXES)
    for place, ((_, _, symbol), of_one) in enumerate(positions.items()):
        for number, lot in enumerate(of_one):
            lot["lot_id"] = next(prefixes) + lot["lot_id"]
            if place % 4 in (1, 2) and number:
                lot["acquired_on"] = of_one[0]["acquired_on"]
            if place % 4 >= 2 and lot["total_cost"]:
                each = prices[symbol] if number % 2 else prices[symbol].to_integral_value(ROUND_HALF_UP)
                lot["total_cost"] = str((each * Decimal(lot["quantity"])).quantize(Decimal("0.01"), ROUND_HALF_UP))
    return lots


def _read(folder, name):
    with open(folder / f"{name}.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _write(folder, name, rows):
    rows = list(rows)
    with open(folder / f"{name}.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
