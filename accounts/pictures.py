"""What the versions of portfolios and models show, and what differs between two of them. Pure: JSON pictures in.

All figures are percent, as people enter them, but for the dollars of the minimum trade.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

from accounts.targets import BAND_NAMES, HUNDRED, Bounds, ComponentRow, Defaults, Flat, Target, flatten, widths

ADDED, REMOVED = "added", "removed"
DEFAULT = "default"
TEN = Decimal(10)
CASH, MODEL = "cash", "model"
KINDS = ("security", "model", "cash")  # the order in which components are listed
DEFAULTS = {
    "threshold": ("Default threshold", "±{} %"),
    "precision": ("Default precision", "±{} %"),
    "zero_cash_threshold": ("Threshold of a 0 % cash target", "{} %"),
    "zero_cash_precision": ("Precision of a 0 % cash target", "{} %"),
    "minimum_trade_dollars": ("Minimum trade", "${}"),
    "minimum_trade_percent": ("Minimum trade", "{} % of managed value"),
}
Content = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: of which component or setting, what of it, and how it was and is; "" for what was not there."""

    subject: str
    what: str
    before: str
    after: str

    @property
    def words(self) -> str:
        """The change as a sentence."""
        if self.what == ADDED:
            return f"{self.subject} is added with {self.after}."
        if self.what == REMOVED:
            return f"{self.subject} is removed; it had {self.before}."
        return f"{self.subject}: {self.what} {self.before} → {self.after}."


@dataclass(frozen=True, slots=True)
class Shown:
    """A component as a page lists it: its weight and bounds in percent, and its widths in words."""

    kind: str
    name: str
    weight: Decimal
    bounds: Bounds
    threshold: str
    precision: str
    triggers: bool


@dataclass(frozen=True, slots=True)
class Flattened:
    """What one sleeve is to hold of one security."""

    sleeve: str
    symbol: str
    weight: Decimal
    bounds: Bounds
    triggers: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """A version of a portfolio, read."""

    name: str
    defaults: Defaults
    components: list[Shown]
    flattened: list[Flattened]

    @property
    def reach(self) -> Decimal:
        """The end of the scale its bands are drawn on: all of them lie below it, in tens, at most 100 %."""
        highest = max(max(one.bounds.upper, one.weight) for one in self.components)
        return min(HUNDRED, TEN * max(Decimal(1), (highest / TEN).to_integral_value(ROUND_CEILING)))

    @property
    def cash(self) -> Shown:
        return next(one for one in self.components if one.kind == CASH)

    @property
    def models(self) -> list[str]:
        return [one.name for one in self.components if one.kind == MODEL]


def portfolio_picture(content: Content) -> Picture:
    """Read the content of a PortfolioVersion."""
    rows = [_row(one) for one in content["components"]]
    defaults = Defaults(**{name: Decimal(value) for name, value in content["defaults"].items()})
    models = {name: [(w["symbol"], Decimal(w["weight"])) for w in kept] for name, kept in content["models"].items()}
    flat = flatten(rows, defaults, models)
    shown = [_shown(row, flat, defaults) for row in rows]
    shown.sort(key=lambda one: (KINDS.index(one.kind), -one.weight, one.name))
    return Picture(content["name"], defaults, shown, sorted(map(_flattened, flat.targets), key=_in_sleeves))


def portfolio_changes(before: Content, after: Content) -> list[Change]:
    """What differs between two versions of a portfolio, components first, its models' weights and settings after."""
    old, new = _by_name(before), _by_name(after)
    changes = _renamed(before, after)
    for key in dict.fromkeys([*old, *new]):
        changes += _component_changes(old.get(key), new.get(key))
    for name, weights in after["models"].items():
        if name in before["models"]:
            changes += _weight_changes(before["models"][name], weights, f" in {name}")
    for name, (label, form) in DEFAULTS.items():
        was, now = (form.format(content["defaults"][name]) for content in (before, after))
        if was != now:
            changes.append(Change(label, "setting", was, now))
    return changes


def model_changes(before: Content, after: Content) -> list[Change]:
    """What differs between two versions of a model."""
    return _renamed(before, after) + _weight_changes(before["weights"], after["weights"])


def band_words(component: ComponentRow, band: str) -> str:
    """The widths of a band ("threshold", "precision") as they were entered: ±20 %, 3 points below and default above."""
    unit = "points" if component.band_kind == "absolute" else "%"
    below, above = (_width(getattr(component, f"{band}_{side}"), unit) for side in ("lower", "upper"))
    if below == above:
        return below if below == DEFAULT else f"±{below}"
    return f"{below} below, {above} above"


def _width(value, unit):
    return DEFAULT if value is None else f"{value:f} {unit}"


def _row(kept) -> ComponentRow:
    numbers = {name: None if kept[name] is None else Decimal(kept[name]) for name in ("weight", *BAND_NAMES)}
    return ComponentRow(**{**kept, **numbers})


def _shown(row: ComponentRow, flat: Flat, defaults: Defaults) -> Shown:
    bounds = flat.cash.bounds(row.weight) if row.kind == CASH else widths(row, defaults).bounds(row.weight)
    bands = (_meant(row, band, defaults) for band in ("threshold", "precision"))
    return Shown(row.kind, row.name, row.weight, bounds, *bands, row.triggers)


def _meant(row, band, defaults):
    """The widths of a band in words, with what the default is."""
    words = band_words(row, band)
    if words != DEFAULT:
        return words
    return "default for 0 %" if row.kind == CASH and not row.weight else f"default ±{getattr(defaults, band):f} %"


def _flattened(target: Target) -> Flattened:
    return Flattened(target.sleeve, target.symbol, target.weight, target.bands.bounds(target.weight), target.triggers)


def _in_sleeves(one: Flattened):
    return one.sleeve, -one.weight, one.symbol


# --- differences ----------------------------------------------------------------------------------------------


def _renamed(before, after):
    same = before["name"] == after["name"]
    return [] if same else [Change("Name", "setting", before["name"], after["name"])]


def _by_name(content) -> dict[tuple[str, str], ComponentRow]:
    rows = sorted(map(_row, content["components"]), key=lambda row: (KINDS.index(row.kind), -row.weight, row.name))
    return {(row.kind, row.name): row for row in rows}


def _component_changes(old: ComponentRow | None, new: ComponentRow | None) -> Iterable[Change]:
    if old is None or new is None:
        yield from _came_or_went(old, new)
        return
    facts = [(what, words(old), words(new)) for what, words in COMPONENT_FACTS.items()]
    yield from (Change(new.name, what, was, now) for what, was, now in facts if was != now)


def _came_or_went(old, new):
    if old is None:
        yield Change(new.name, ADDED, "", _percent(new.weight))
    else:
        yield Change(old.name, REMOVED, _percent(old.weight), "")


def _weight_changes(before, after, place="") -> list[Change]:
    old, new = ({one["symbol"]: one["weight"] for one in weights} for weights in (before, after))
    changes = []
    for symbol in dict.fromkeys([*old, *new]):
        was, now = (f"{kept[symbol]} %" if symbol in kept else "" for kept in (old, new))
        if was != now:
            what = "weight" if was and now else ADDED if now else REMOVED
            changes.append(Change(f"{symbol}{place}", what, was, now))
    return changes


def _percent(value):
    return f"{value:f} %"


COMPONENT_FACTS = {
    "weight": lambda row: _percent(row.weight),
    "threshold": lambda row: band_words(row, "threshold"),
    "precision": lambda row: band_words(row, "precision"),
    "triggers rebalance": lambda row: "yes" if row.triggers else "no",
}
