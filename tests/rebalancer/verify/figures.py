"""What adds up: positions, values, weights, cash and gains (PRODUCT 3, 5 and 10)."""

from collections import Counter
from fractions import Fraction

from .case import decimal_sum
from .exports import number
from .relief import to_cent
from .targets import NAMES

HALF_A_DIGIT = Fraction(1, 10**6)  # of a percentage with six decimals, and room for a float
EMPTY_ASIDE = ("weight_before", "weight_after", "target_weight", *NAMES)


def check(case):
    _positions(case)
    _values(case)
    _counts(case)
    _cash(case)
    _gains(case)


def _positions(case):
    shown = set(case.exported.positions)
    for key in sorted(shown ^ {*case.keys, *case.aside}):
        surplus = key in shown
        needed = not surplus or case.target(key).weight or case.account.held(key)
        case.expect(not needed, key, "is in the exports, not in the book" if surplus else "is missing in positions")
    for key in sorted(shown & set(case.keys)):
        _position(case, key, case.exported.positions[key])
    for key in sorted(shown & set(case.aside)):
        row = case.exported.positions[key]
        same = Fraction(row["quantity_before"]) == Fraction(row["quantity_after"]) == case.account.held(key)
        case.expect(same, key, "protected or sweep: the quantity changes or is not the book's")
        case.expect(not any(row[name] for name in EMPTY_ASIDE), key, "protected or sweep: has weights or bounds")
        case.expect(row["note"], key, "protected or sweep: the note does not say so")


def _position(case, key, row):
    case.expect(Fraction(row["quantity_before"]) == case.account.held(key), key, "quantity_before is not the lots' sum")
    after = case.account.held(key) + case.traded(key)
    case.expect(Fraction(row["quantity_after"]) == after, key, "quantity_after is not before and trade")
    case.expect(Fraction(row["price"]) == case.security(key).price, key, "the price is not the book's")
    target = case.target(key)
    wanted = {name: target.bound(name) for name in NAMES} | {
        "target_weight": target.weight,
        "weight_before": case.weight_of(key, case.account.held(key)),
        "weight_after": case.weight_of(key, after),
    }
    for name, weight in wanted.items():
        shown = Fraction(row[name] or -1)
        case.expect(abs(shown - weight) <= HALF_A_DIGIT, key, f"{name} is {row[name]}, should be {float(weight):.6f}")


def _values(case):
    row = case.exported.account
    roundings = Fraction(len(case.keys) + len(case.aside), 200)
    for name, exact in (("managed_value", case.managed), ("market_value", case.market)):
        off = abs(Fraction(row[name]) - exact)
        case.expect(off <= roundings, "", f"{name} is {row[name]}, should be {float(exact):.2f}")
    case.expect(row["account_name"] == case.account.name, "", "the name is not the book's")


def _counts(case):
    row, trades = case.exported.account, case.exported.trades.values()
    flat = {trade["symbol"] for trade in trades if number(trade["flat_quantity"])}
    market = [trade["side"] for trade in trades if number(trade["market_quantity"])]
    for name, count in (("buys", market.count("buy")), ("sells", market.count("sell")), ("flat_trades", len(flat))):
        case.expect(int(row[name]) == count, "", f"{name} is {row[name]}, there are {count} rows")


def _cash(case):
    row = case.exported.account
    sales = decimal_sum(number(lot["proceeds"]) for lot in _lots(case, "sale"))
    buys = decimal_sum(to_cent(_market(case, key)) for key, trade in case.exported.trades.items() if _buys(trade))
    moved = Counter()
    for key, trade in case.exported.trades.items():
        moved[key[1]] += _flat(case, key) if _buys(trade) else 0
    flat = decimal_sum(to_cent(dollars) for dollars in moved.values())
    beginning, ending = number(row["beginning_available_cash"]), number(row["ending_available_cash"])
    off = abs(Fraction(beginning) - case.available_cash)
    case.expect(off <= Fraction(1, 200), "", f"beginning_available_cash is {beginning}")
    for name, value in (("sells_value", sales), ("buys_value", buys), ("flat_value", flat)):
        case.expect(number(row[name]) == value, "", f"{name} is {row[name]}, should be {value}")
    case.expect(ending == beginning + sales - buys, "", f"ending cash {ending} is not {beginning} + {sales} - {buys}")
    case.expect(ending >= 0, "", f"ending available cash is {ending}")


def _market(case, key):
    return case.value(key, Fraction(case.exported.trades[key]["market_quantity"]))


def _flat(case, key):
    return case.value(key, Fraction(case.exported.trades[key]["flat_quantity"]))


def _buys(trade):
    return trade["side"] == "buy"


def _lots(case, use):
    return [lot for lots in case.exported.lots.values() for lot in lots if lot["use"] == use]


def _gains(case):
    for key, trade in case.exported.trades.items():
        sold = [lot for lot in case.exported.lots.get(key, ()) if lot["use"] == "sale"]
        for term in ("short", "long"):
            _gain(case, key, trade, f"{term}_term_gain", [lot for lot in sold if lot["term"] == term])
        proceeds = decimal_sum(number(lot["proceeds"]) for lot in sold)
        market = to_cent(_market(case, key)) if _buys(trade) else proceeds
        value = market + to_cent(_flat(case, key))
        case.expect(number(trade["value"]) == value, key, f"value is {trade['value']}, should be {value}")
    row, sold = case.exported.account, _lots(case, "sale")
    for term in ("short", "long"):
        _gain(case, "", row, f"{term}_term_gain", [lot for lot in sold if lot["term"] == term])
    _gain(case, "", row, "estimated_gain", sold)


def _gain(case, where, row, name, lots):
    known = [number(lot["gain"]) for lot in lots if lot["gain"]]
    wanted = None if lots and not known else decimal_sum(known)
    case.expect(number(row[name]) == wanted, where, f"{name} is {row[name] or 'empty'}, the lots say {wanted}")
