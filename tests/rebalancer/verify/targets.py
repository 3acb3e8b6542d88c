"""What an account is held to, from the rows of its portfolio (PRODUCT 2 and 3). Percent of V, as Fractions."""

from dataclasses import dataclass, replace
from fractions import Fraction

NAMES = ("threshold_lower", "threshold_upper", "precision_lower", "precision_upper")
DEFAULT = dict(zip(NAMES, (20, 20, 4, 4), strict=True))
ZERO_CASH = dict(zip(NAMES, (0, 1, 0, Fraction(1, 2)), strict=True))
NOTHING = Fraction(0)


@dataclass(frozen=True)
class Target:
    """A weight with its four widths, each (value, whether absolute)."""

    weight: Fraction
    widths: tuple
    is_cash: bool = False

    def bound(self, name):
        """A bound as a weight; never below 0, the precision never outside the threshold."""
        if self.is_cash and not self.weight:
            return self._at_zero(name)
        width = self._width(name)
        if name.endswith("lower"):
            return max(NOTHING, self.weight - min(width, self._width("threshold_lower")))
        return self.weight + min(width, self._width("threshold_upper"))

    def inside(self, weight, band):
        return self.bound(f"{band}_lower") <= weight <= self.bound(f"{band}_upper")

    def _width(self, name):
        value, absolute = self.widths[NAMES.index(name)]
        return value if absolute else self.weight * value / 100

    def _at_zero(self, name):
        value, absolute = self.widths[NAMES.index(name)]
        return value if absolute and name.endswith("upper") else Fraction(ZERO_CASH[name])


NO_TARGET = Target(NOTHING, ((NOTHING, True),) * 4)
ALL_CASH = Target(Fraction(100), tuple((Fraction(DEFAULT[name]), False) for name in NAMES), is_cash=True)


def held_to(book, account, day):
    """(cash target, {(sleeve, symbol): Target}) of an account on a day, its restrictions applied."""
    cash, targets = flatten(book, account.portfolio)
    rules = [rule for rule in account.rules if rule.holds_on(day)]
    targets = _substituted(targets, {rule.symbol: rule.substitute for rule in rules if rule.kind == "substitute"})
    to_cash = {rule.symbol for rule in rules if rule.kind == "exclude_to_cash"}
    spread = {rule.symbol for rule in rules if rule.kind == "exclude_pro_rata"}
    freed = _weight(target for (_, symbol), target in targets.items() if symbol in to_cash)
    targets = {key: target for key, target in targets.items() if key[1] not in to_cash}
    extra = _weight(target for (_, symbol), target in targets.items() if symbol in spread)
    rest = {key: target for key, target in targets.items() if key[1] not in spread}
    total = _weight(rest.values())
    if not total:
        return replace(cash, weight=cash.weight + freed + extra), rest
    grown = {key: replace(one, weight=one.weight * (total + extra) / total) for key, one in rest.items()}
    return replace(cash, weight=cash.weight + freed), grown


def flatten(book, portfolio):
    """A portfolio's rows as weights by (sleeve, symbol)."""
    cash, targets = ALL_CASH, {}
    for row in book.portfolios.get(portfolio, ()):
        weight, widths = Fraction(row["weight"]), _widths(row)
        if row["component_kind"] == "cash":
            cash = Target(weight, widths, is_cash=True)
        elif row["component_kind"] == "security":
            targets["managed", row["component"]] = Target(weight, widths)
        else:
            for symbol, share in book.models[row["component"]]:
                split = tuple((value * share / 100 if absolute else value, absolute) for value, absolute in widths)
                targets[f"model:{row['component']}", symbol] = Target(weight * share / 100, split)
    return cash, targets


def _widths(row):
    absolute = row["band_kind"] == "absolute"
    return tuple((Fraction(row[name]), absolute) if row[name] else (Fraction(DEFAULT[name]), False) for name in NAMES)


def _substituted(targets, instead):
    """A's weight goes to B in the same sleeve; B keeps its own band where the sleeve has it, else takes A's."""
    result = {key: target for key, target in targets.items() if key[1] not in instead}
    for (sleeve, symbol), target in targets.items():
        if symbol in instead:
            key = (sleeve, instead[symbol])
            known = result.get(key)
            result[key] = replace(known, weight=known.weight + target.weight) if known else target
    return result


def _weight(targets):
    return sum((target.weight for target in targets), NOTHING)
