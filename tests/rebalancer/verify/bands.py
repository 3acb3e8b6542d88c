"""Where components and cash end (PRODUCT 4: the logics, rules 2, 3 and 5)."""

from fractions import Fraction

from .case import HOLDS_STILL

ONE_CENT = Fraction(1, 100)


def check(case):
    if case.logic == "liquidate":
        _all_sold(case)
        return
    _ends(case)
    _cash_ends(case)
    _bands_yield_first(case)
    _nothing_needless(case)
    _no_buy_below_the_bound(case)


def is_clashing(case):
    """Whether something holds still that the logic would move: a restriction or a fraction."""
    return any(
        case.kinds.get(key[1]) in HOLDS_STILL or _fraction(case, key) for key in case.keys if not case.is_aside(key)
    )


def _fraction(case, key):
    return case.account.held(key) % case.security(key).step != 0


def _all_sold(case):
    for key in case.keys:
        stays = case.after[key] >= case.security(key).step
        case.expect(not stays or not case.may(key, -1), key, "is not sold in a liquidation")


def _ends(case):
    """Each unrestricted component ends in its band, or near enough; a holding without target is gone."""
    for key in case.keys:
        if case.kinds.get(key[1]) in HOLDS_STILL:
            continue
        if not case.target(key).weight:
            case.expect(case.after[key] < case.security(key).step, key, "has no target and is not sold")
        elif not is_clashing(case):
            near = case.near_enough(key, case.after[key]) or _is_too_small(case, key)
            case.expect(near, key, f"ends outside its {case.band}, and not within a grain: {_where(case, key)}")


def _is_too_small(case, key):
    """Whether the minimum keeps a component where it is: rule 4 leaves out what can't be enlarged inside the band."""
    held, step = case.account.held(key), case.security(key).step
    short = case.target(key).weight * case.managed / 100 - case.value(key, held)
    nearest = (abs(short) / case.security(key).step_value + Fraction(1, 2)).__floor__()
    if case.after[key] != held or nearest * case.security(key).step_value >= case.minimum:
        return False
    least = -(-case.minimum // case.security(key).step_value) * step
    return case.misses(key, held + (least if short > 0 else -least)) > 0


def _where(case, key):
    target = case.target(key)
    lower, upper = (float(target.bound(f"{case.band}_{side}")) for side in ("lower", "upper"))
    before, after = (float(case.weight_of(key, shares)) for shares in (case.account.held(key), case.after[key]))
    return f"{before:.4f} → {after:.4f} in {lower:.4f}–{upper:.4f}, grain {float(case.grain(key)):.2f}"


def _cash_ends(case):
    """Cash ends in its band, or no component could bring it nearer by a grain.

    Where something holds still, inside its threshold is enough.
    """
    missed = case.cash_misses(case.cash_after)
    if not missed or (is_clashing(case) and not case.cash_misses(case.cash_after, "threshold")):
        return
    sign = 1 if case.weight(case.cash_after) > case.cash_target.weight else -1
    for key in case.keys:
        dollars = _grain_in_steps(case, key) * case.security(key).step_value
        if dollars <= missed and _could_move(case, key, sign):
            words = f"cash ends {float(missed):.2f} outside its {case.band}, {key[1]} could move {float(dollars):.2f}"
            case.expect(False, key, words + f": {_where(case, key)}")


def _bands_yield_first(case):
    """Rule 5: where something holds still, cash is outside its threshold only if no allowed trade could help it."""
    missed = case.cash_misses(case.cash_after, "threshold")
    if not missed or not is_clashing(case):
        return
    sign = 1 if case.weight(case.cash_after) > case.cash_target.weight else -1
    for key in case.keys:
        more = _grain_in_steps(case, key)
        quantity = case.after[key] + sign * more * case.security(key).step
        dollars = more * case.security(key).step_value
        if dollars <= missed and case.may(key, sign) and case.target(key).weight and quantity >= 0:
            words = f"cash ends {float(missed):.2f} outside its threshold, {key[1]} may still move {float(dollars):.2f}"
            case.expect(False, key, words)


def _grain_in_steps(case, key):
    return -(-case.grain(key) // case.security(key).step_value)


def _could_move(case, key, sign):
    """Whether a component may be moved by a grain and still be where rules 2 and 3 want it."""
    if not case.may(key, sign) or not case.target(key).weight:
        return False
    quantity = case.after[key] + sign * _grain_in_steps(case, key) * case.security(key).step
    return quantity >= 0 and case.near_enough(key, quantity)


def _nothing_needless(case):
    """No trade for the sake of cash without which, or with a step less of which, cash would be in its band too."""
    for key in case.exported.trades:
        if key not in case.keys or not case.target(key).weight:
            continue
        if not case.misses(key, case.account.held(key)):
            without = case.cash_after + case.value(key, case.traded(key))
            case.expect(not _fine(case, without), key, f"is traded needlessly: cash is in its {case.band} without it")
        if case.logic == "min_transaction":
            _nothing_excessive(case, key)


def _nothing_excessive(case, key):
    """Min Transaction: a trade that could be smaller by more than a grain, with all in place still, is too large."""
    step = case.security(key).step * (1 if case.traded(key) > 0 else -1)
    spare = max(case.grain(other) for other in case.exported.trades if other in case.keys)
    less = (spare // case.security(key).step_value + 1) * step
    fewer = case.traded(key) - less
    same_side = fewer * step > 0 and abs(case.value(key, fewer)) >= case.minimum
    inside = not case.misses(key, case.account.held(key) + fewer)
    excessive = same_side and inside and _fine(case, case.cash_after + case.value(key, less))
    case.expect(not excessive, key, f"less would do: {_where(case, key)}, trade {float(case.traded(key))}")


def _fine(case, cash):
    return cash >= 0 and not case.cash_misses(cash)


def _no_buy_below_the_bound(case):
    lower = case.cash_target.bound("threshold_lower") * case.managed / 100
    trades = case.exported.trades.items()
    buys = [key for key, trade in trades if Fraction(trade["market_quantity"]) and case.traded(key) > 0]
    for key in buys:
        words = f"is bought, and cash ends at {float(case.cash_after):.2f}, below its lower bound {float(lower):.2f}"
        case.expect(case.cash_after >= lower - ONE_CENT, key, words)


# --- one logic beside the other ---


def compare(best_fit, min_transaction):
    """Rule 3 for one account under both logics: no more trades, and turnover at most a grain a trade above."""
    one, other = (len(case.exported.trades) for case in (min_transaction, best_fit))
    min_transaction.expect(one <= other, "", f"{one} trades, Best Fit has {other}")
    allowance = sum((min_transaction.grain(key) for key in min_transaction.exported.trades), Fraction(0))
    turnover, most = _turnover(min_transaction), _turnover(best_fit) + allowance
    min_transaction.expect(turnover <= most, "", f"turnover {float(turnover):.2f} is above {float(most):.2f}")


def _turnover(case):
    return sum((abs(case.value(key, case.traded(key))) for key in case.exported.trades), Fraction(0))
