"""From a portfolio's components to the weights an account is held to, sleeve by sleeve. Pure: Decimals in and out.

All weights and widths here are percent of the managed value, as people enter them.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

ZERO = Decimal(0)
HUNDRED = Decimal(100)
MANAGED = ""  # the name of the managed sleeve among sleeve names, which are otherwise names of models


@dataclass(frozen=True, slots=True)
class Width:
    """How far a bound lies from its target: a share of the weight (percent), or percentage points."""

    value: Decimal
    absolute: bool = False

    def at(self, weight: Decimal) -> Decimal:
        """The width in percentage points around this weight."""
        return self.value if self.absolute else weight * self.value / HUNDRED

    def part(self, share: Decimal) -> "Width":
        """The width of a security that is `share` percent of a model: only absolute widths are split."""
        return replace(self, value=self.value * share / HUNDRED) if self.absolute else self


@dataclass(frozen=True, slots=True)
class Bands:
    """The four widths of a component: of its threshold and of its precision, below and above the target."""

    threshold_lower: Width
    threshold_upper: Width
    precision_lower: Width
    precision_upper: Width

    def part(self, share: Decimal) -> "Bands":
        return Bands(*(getattr(self, name).part(share) for name in BAND_NAMES))

    def bounds(self, weight: Decimal) -> "Bounds":
        """The bounds around this weight: never below 0, the precision never outside the threshold."""
        lower = max(ZERO, weight - self.threshold_lower.at(weight))
        upper = weight + self.threshold_upper.at(weight)
        return Bounds(
            lower,
            upper,
            max(lower, weight - self.precision_lower.at(weight)),
            min(upper, weight + self.precision_upper.at(weight)),
        )


BAND_NAMES = ("threshold_lower", "threshold_upper", "precision_lower", "precision_upper")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Threshold and precision as weights, in percent."""

    lower: Decimal
    upper: Decimal
    fit_lower: Decimal
    fit_upper: Decimal


@dataclass(frozen=True, slots=True)
class Defaults:
    """What an empty setting means for a portfolio: its own setting, else the firm's. All in percent but the dollars."""

    threshold: Decimal
    precision: Decimal
    zero_cash_threshold: Decimal
    zero_cash_precision: Decimal
    minimum_trade_dollars: Decimal
    minimum_trade_percent: Decimal


@dataclass(frozen=True, slots=True)
class Target:
    """A flattened weight: what one sleeve is to hold of one security (a symbol)."""

    sleeve: str
    symbol: str
    weight: Decimal
    bands: Bands
    triggers: bool


@dataclass(frozen=True, slots=True)
class CashTarget:
    weight: Decimal
    bands: Bands
    triggers: bool
    zero_threshold: Decimal
    zero_precision: Decimal

    def bounds(self, weight: Decimal) -> Bounds:
        """Bounds around a cash weight; around 0 % a relative width says nothing, so the settings for 0 % count."""
        if weight:
            return self.bands.bounds(weight)
        upper = self._at_zero(self.bands.threshold_upper, self.zero_threshold)
        return Bounds(ZERO, upper, ZERO, min(upper, self._at_zero(self.bands.precision_upper, self.zero_precision)))

    @staticmethod
    def _at_zero(width: Width, setting: Decimal) -> Decimal:
        return width.value if width.absolute else setting


@dataclass(frozen=True, slots=True)
class Flat:
    """A portfolio flattened: its cash, and each security weight by sleeve."""

    cash: CashTarget
    targets: tuple[Target, ...]

    def digest(self) -> str:
        """Changes when a flattened weight does, and not when only a band does."""
        lines = sorted(f"{target.sleeve}\t{target.symbol}\t{target.weight.normalize():f}" for target in self.targets)
        return hashlib.sha256("\n".join([*lines, f"cash\t{self.cash.weight.normalize():f}"]).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ComponentRow:
    """A component as `flatten` takes it and a version of its portfolio shows it; `name` is a symbol or a model's."""

    kind: str
    name: str
    weight: Decimal
    band_kind: str
    threshold_lower: Decimal | None
    threshold_upper: Decimal | None
    precision_lower: Decimal | None
    precision_upper: Decimal | None
    triggers: bool

    @classmethod
    def of(cls, component) -> "ComponentRow":
        """The row of a stored component, which is called by what it holds."""
        names = ("kind", "weight", "band_kind", *BAND_NAMES, "triggers")
        return cls(name=str(component), **{name: getattr(component, name) for name in names})


def widths(component, defaults: Defaults) -> Bands:
    """The widths of a component (the four widths and `band_kind`); an empty one is the default, relative."""
    standard = dict.fromkeys(BAND_NAMES[:2], defaults.threshold) | dict.fromkeys(BAND_NAMES[2:], defaults.precision)
    absolute = component.band_kind == "absolute"
    return Bands(
        *(
            Width(standard[name]) if getattr(component, name) is None else Width(getattr(component, name), absolute)
            for name in BAND_NAMES
        )
    )


def flatten(components: Iterable, defaults: Defaults, model_weights: dict[str, list[tuple[str, Decimal]]]) -> Flat:
    """Flatten components into weights by sleeve and security.

    A component has `kind`, `name` (symbol or model), `weight`, the four widths, `band_kind` and `triggers`;
    `model_weights` gives each model's (symbol, percent). Components must hold one of cash.
    """
    targets, cash = [], None
    for component in components:
        bands = widths(component, defaults)
        if component.kind == "cash":
            cash = CashTarget(
                component.weight, bands, component.triggers, defaults.zero_cash_threshold, defaults.zero_cash_precision
            )
        elif component.kind == "security":
            targets.append(Target(MANAGED, component.name, component.weight, bands, component.triggers))
        else:
            targets += [
                Target(
                    component.name, symbol, component.weight * share / HUNDRED, bands.part(share), component.triggers
                )
                for symbol, share in model_weights[component.name]
            ]
    assert cash is not None, "a portfolio has a cash component"
    return Flat(cash, tuple(targets))


def all_cash(defaults: Defaults) -> Flat:
    """The target of an account without portfolio: 100 % cash with the firm's bands."""
    bands = Bands(*(Width(defaults.threshold),) * 2, *(Width(defaults.precision),) * 2)
    zero = (defaults.zero_cash_threshold, defaults.zero_cash_precision)
    return Flat(CashTarget(HUNDRED, bands, True, *zero), ())
