"""Why, in words: every trade, every flagged thing left alone, every account (PRODUCT 4: rules 7 and 8)."""

import re
from fractions import Fraction

OUTSIDE = re.compile(r"outside (threshold|precision) ([\d.]+)–([\d.]+) %: ([\d.]+) %")
INSIDE = re.compile(r"inside (threshold|precision) ([\d.]+)–([\d.]+) %")
RESTRICTED = {
    "no buy": {"no_buy"},
    "no sell": {"no_sell"},
    "do not trade": {"do_not_trade"},
    "excluded": {"exclude_to_cash", "exclude_pro_rata"},
}
AS_SHOWN = Fraction(1, 100)  # words round to two decimals


def check(case):
    row = case.exported.account
    case.expect(case.exported.trades or row["reason"], "", "needs no trade and does not say so")
    for key in case.keys:
        trade, position = case.exported.trades.get(key), case.exported.positions.get(key)
        if trade:
            _reason(case, key, trade["reason"])
        if position:
            _note(case, key, position["note"], bool(trade))


def _reason(case, key, reason):
    sells, target = case.traded(key) < 0, case.target(key)
    substituted = {rule.symbol: rule.substitute for rule in case.account.rules if rule.kind == "substitute"}
    if case.logic == "liquidate":
        holds = reason == "liquidation"
    elif match := OUTSIDE.fullmatch(reason):
        holds = _is_outside(case, key, *match.groups())
    elif reason in ("no target", "excluded"):
        holds = sells and not target.weight
        holds &= reason == "no target" or case.kinds.get(key[1]) in RESTRICTED["excluded"]
    elif reason == "raises cash to target":
        holds = sells and target.weight
    elif reason == "invests cash above target":
        holds = not sells and target.weight
    elif reason.startswith("substitute for "):
        holds = substituted.get(reason.removeprefix("substitute for ")) == key[1]
    elif reason.startswith("replaced by "):
        holds = sells and substituted.get(key[1]) == reason.removeprefix("replaced by ")
    else:
        holds = False
    case.expect(holds, key, f"the reason does not hold: {reason!r}")


def _is_outside(case, key, band, lower, upper, weight):
    before = case.account.held(key)
    below = case.value(key, before) < case.target(key).weight * case.managed / 100
    return (
        below == (case.traded(key) > 0)
        and case.misses(key, before, band)
        and _shown(case, key, band, lower, upper)
        and (abs(Fraction(weight) - case.weight_of(key, before)) < AS_SHOWN)
    )


def _shown(case, key, band, lower, upper):
    target = case.target(key)
    bounds = ((lower, target.bound(f"{band}_lower")), (upper, target.bound(f"{band}_upper")))
    return all(abs(Fraction(shown) - bound) < AS_SHOWN for shown, bound in bounds)


def _note(case, key, note, trades):
    if case.logic == "liquidate":
        case.expect(note or case.after[key] == 0, key, "is left and nothing says why")
        return
    left_outside = case.misses(key, case.after[key])
    case.expect(note or not left_outside, key, "ends outside its band and nothing says why")
    if note:
        case.expect(_holds(case, key, note, trades), key, f"the note does not hold: {note!r}")


def _holds(case, key, note, trades):
    after = case.after[key]
    if match := INSIDE.fullmatch(note):
        return not case.misses(key, after, match[1]) and _shown(case, key, *match.groups())
    if note in RESTRICTED:
        return case.kinds.get(key[1]) in RESTRICTED[note]
    if note == "below minimum trade":
        return not trades and case.off_target(key, after) < case.minimum + case.security(key).step_value
    if note == "at the step nearest its target":
        return case.off_target(key, after) <= case.security(key).step_value / 2
    if note == "a fraction that cannot be sold stays":
        return 0 < after < case.security(key).step
    below = case.value(key, after) < case.target(key).weight * case.managed / 100
    return note == ("not enough cash" if below else "would leave too much cash")
