"""What an account is held to: its portfolio flattened, changed by its restrictions, as arrays."""

from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from accounts.models import Component, Firm, ModelWeight, Portfolio, Restriction
from accounts.rules import resolved
from accounts.targets import HUNDRED, ZERO, CashTarget, ComponentRow, Defaults, Flat, Target, all_cash, flatten

KIND = Restriction.Kind
EXCLUSIONS = (KIND.EXCLUDE_TO_CASH, KIND.EXCLUDE_PRO_RATA)


@dataclass(frozen=True, slots=True)
class Plan:
    """A flattened portfolio with the settings that go with it."""

    flat: Flat
    defaults: Defaults


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """The rows that an account with this plan and these restrictions has: weights as shares of V, 0..1."""

    sleeve: tuple[str, ...]
    symbol: tuple[str, ...]
    weights: np.ndarray  # float64 (rows, 5): target, lower, upper, fit lower, fit upper
    triggers: np.ndarray  # bool (rows,)
    cash: np.ndarray  # float64 (5,), in the same order
    cash_triggers: bool
    minimum_dollars: float
    minimum_weight: float


def plans(portfolio_pks) -> dict[int | None, Plan]:
    """The plan of each portfolio; None stands for an account without one: 100 % cash."""
    firm = Firm.current()
    components: dict[int, list[ComponentRow]] = {}
    for component in Component.objects.filter(portfolio__in=portfolio_pks).select_related("security", "model"):
        components.setdefault(component.portfolio_id, []).append(ComponentRow.of(component))
    weights: dict[str, list[tuple[str, Decimal]]] = {}
    found = ModelWeight.objects.filter(model__components__portfolio__in=portfolio_pks).distinct()
    for name, symbol, weight in found.values_list("model__name", "security__symbol", "weight"):
        weights.setdefault(name, []).append((symbol, weight))
    result = {}
    for portfolio in Portfolio.objects.filter(pk__in=portfolio_pks):
        defaults = resolved(portfolio, firm)
        result[portfolio.pk] = Plan(flatten(components[portfolio.pk], defaults, weights), defaults)
    return result | {None: Plan(all_cash(resolved(firm, firm)), resolved(firm, firm))}


def restricted(flat: Flat, rules) -> tuple[CashTarget, tuple[Target, ...]]:
    """Apply weight-changing restrictions: substitutions, then exclusions to cash, then all pro-rata exclusions at once.

    `rules`: (kind, symbol, substitute symbol or "") of the restrictions in force.
    """
    instead = {symbol: other for kind, symbol, other in rules if kind == KIND.SUBSTITUTE}
    targets = _substituted(flat.targets, instead)
    to_cash = {symbol for kind, symbol, _ in rules if kind == KIND.EXCLUDE_TO_CASH}
    pro_rata = {symbol for kind, symbol, _ in rules if kind == KIND.EXCLUDE_PRO_RATA}
    cash = flat.cash
    cash = replace(cash, weight=cash.weight + sum((t.weight for t in targets if t.symbol in to_cash), ZERO))
    targets = [target for target in targets if target.symbol not in to_cash]
    freed = sum((target.weight for target in targets if target.symbol in pro_rata), ZERO)
    rest = [target for target in targets if target.symbol not in pro_rata]
    total = sum((target.weight for target in rest), ZERO)
    if not freed:
        return cash, tuple(rest)
    if not total:
        return replace(cash, weight=cash.weight + freed), tuple(rest)
    return cash, tuple(replace(target, weight=target.weight * (total + freed) / total) for target in rest)


def _substituted(targets, instead):
    """Give A's weight to B in the same sleeve; B keeps its own bands where the sleeve has it, else takes A's."""
    result: dict[tuple[str, str], Target] = {}
    for target in sorted(targets, key=lambda one: one.symbol in instead):
        symbol = instead.get(target.symbol, target.symbol)
        known = result.get((target.sleeve, symbol))
        weight = target.weight + (known.weight if known else ZERO)
        result[target.sleeve, symbol] = replace(known or target, symbol=symbol, weight=weight)
    return list(result.values())


def template(plan: Plan, rules) -> Template:
    """The arrays of a plan under these rules."""
    cash, targets = restricted(plan.flat, rules) if rules else (plan.flat.cash, plan.flat.targets)
    rows = [_shares(target.weight, target.bands.bounds(target.weight)) for target in targets]
    return Template(
        sleeve=tuple(target.sleeve for target in targets),
        symbol=tuple(target.symbol for target in targets),
        weights=np.array(rows, dtype=np.float64).reshape(len(rows), 5),
        triggers=np.array([target.triggers for target in targets], dtype=bool),
        cash=np.array(_shares(cash.weight, cash.bounds(cash.weight))),
        cash_triggers=cash.triggers,
        minimum_dollars=float(plan.defaults.minimum_trade_dollars),
        minimum_weight=float(plan.defaults.minimum_trade_percent / HUNDRED),
    )


def _shares(weight, bounds):
    return [float(one / HUNDRED) for one in (weight, bounds.lower, bounds.upper, bounds.fit_lower, bounds.fit_upper)]
