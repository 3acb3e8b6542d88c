"""What may be traded, how much of it, and between which sleeves (PRODUCT 4: rules 1 and 4, flat trades)."""

from collections import defaultdict
from fractions import Fraction

from .relief import taken


def check(case):
    for key, trade in case.exported.trades.items():
        if key not in case.keys:
            case.expect(False, key, "is traded, though protected, a sweep, or neither held nor wanted")
            continue
        _quantities(case, key, trade)
        _permission(case, key)
        _minimum(case, key)
    _flat_trades(case)
    _relief(case)


def _quantities(case, key, trade):
    step = case.security(key).step
    quantity, market, flat = (Fraction(trade[f"{name}quantity"]) for name in ("", "market_", "flat_"))
    whole = all((part / step).denominator == 1 for part in (quantity, market, flat))
    case.expect(whole, key, f"{trade['quantity']} is not in whole steps of {step}")
    case.expect(quantity > 0 and market >= 0 and flat >= 0, key, "a quantity is negative, or the trade is empty")
    case.expect(quantity == market + flat, key, "quantity is not market and flat")
    case.expect(trade["side"] in ("buy", "sell"), key, f"side is {trade['side']}")
    case.expect(Fraction(trade["price"]) == case.security(key).price, key, "the price is not the book's")
    case.expect(case.account.held(key) + case.traded(key) >= 0, key, "more is sold than held")


def _permission(case, key):
    sign = 1 if case.traded(key) > 0 else -1
    kind = case.kinds.get(key[1])
    case.expect(case.may(key, sign), key, f"is {'bought' if sign > 0 else 'sold'} against its restriction {kind}")
    case.expect(sign < 0 or case.target(key).weight > 0, key, "is bought without target")
    case.expect(sign < 0 or case.logic != "liquidate", key, "is bought in a liquidation")


def _minimum(case, key):
    exits = case.after[key] < case.security(key).step and case.traded(key) < 0
    dollars = abs(case.value(key, case.traded(key)))
    case.expect(exits or dollars >= case.minimum, key, f"{float(dollars):.2f} is below {float(case.minimum):.2f}")


def _flat_trades(case):
    by_symbol = defaultdict(lambda: {"buy": [], "sell": []})
    for key in sorted(case.exported.trades, key=_order_of_sleeves):
        by_symbol[key[1]][case.exported.trades[key]["side"]].append(key)
    for sides in by_symbol.values():
        bought, sold = (sum(abs(case.traded(key)) for key in sides[side]) for side in ("buy", "sell"))
        for side in ("buy", "sell"):
            left = Fraction(min(bought, sold))
            for key in sides[side]:
                wanted = min(left, abs(case.traded(key)))
                left -= wanted
                shown = Fraction(case.exported.trades[key]["flat_quantity"])
                case.expect(shown == wanted, key, f"flat_quantity is {float(shown)}, should be {float(wanted)}")


def _order_of_sleeves(key):
    return key[0] != "managed", key[0].removeprefix("model:").encode()


def _relief(case):
    for key in sorted({*case.exported.trades, *case.exported.lots}):
        trade = case.exported.trades.get(key)
        wanted = []
        if trade and trade["side"] == "sell":
            wanted = taken(
                case.account.lots.get(key, []),
                case.account.method,
                case.security(key).price,
                case.trade_date,
                Fraction(trade["market_quantity"]),
                Fraction(trade["flat_quantity"]),
            )
        shown = sorted(_shown(lot) for lot in case.exported.lots.get(key, ()))
        wanted = sorted(_expected(lot) for lot in wanted)
        case.expect(shown == wanted, key, f"{case.account.method}: lots are {shown}, should be {wanted}")


def _shown(lot):
    return (lot["use"], lot["lot_id"], lot["acquired_on"], Fraction(lot["quantity"]),
            *(lot[name] for name in ("proceeds", "cost", "gain", "term")))  # fmt: skip


def _expected(lot):
    amounts = ("" if amount is None else f"{amount:.2f}" for amount in (lot.proceeds, lot.cost, lot.gain))
    return (lot.use, lot.lot_id, lot.acquired.isoformat(), lot.quantity, *amounts, lot.term)
