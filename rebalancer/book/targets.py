"""Models and portfolios of a synthetic book, each flattening to the same number of positions."""

from dataclasses import dataclass

import numpy as np

PORTFOLIOS, MODELS = 24, 8
GRAINS = 2_000  # a weight is a multiple of 0.05 %
LEGACY = 20  # securities that no target names: accounts hold them from former times
RISKS = ("Conservative", "Income", "Balanced", "Moderate Growth", "Growth", "Aggressive")
STYLES = ("Core", "Index", "Tax-Aware", "Sustainable")
MODEL_NAMES = ("Global Equity Core", "US Large Blend", "Dividend Income", "Bond Ladder", "Inflation Guard",
               "Small Cap Tilt", "Emerging Growth", "Sector Rotation")  # fmt: skip
CASH = (0, 10, 20, 40, 60, 100)  # grains
ALL_CASH = "All Cash"


@dataclass(frozen=True)
class Component:
    """A line of a portfolio; `name` is a symbol or a model, `bands` are the four widths as text."""

    kind: str
    name: str
    grains: int
    bands: tuple[str, str, str, str] = ("", "", "", "")
    band_kind: str = "relative"
    triggers: str = "true"


@dataclass(frozen=True)
class Model:
    name: str
    securities: np.ndarray  # numbers of the catalogue
    grains: np.ndarray


@dataclass(frozen=True)
class Portfolio:
    """Flattened: `securities`, `sleeves` (0: managed, else 1 + the model's number) and `weights` (0..1)."""

    name: str
    components: tuple[Component, ...]
    cash: float
    securities: np.ndarray
    sleeves: np.ndarray
    weights: np.ndarray


def percent(grains):
    """Grains as percent: 1 is 0.05."""
    return f"{grains * 5 // 100}.{grains * 5 % 100:02d}".rstrip("0").rstrip(".")


def shared(total, parts):
    """Split a whole number by these parts (positive ints) into whole numbers above 0 that add up to it."""
    left = total - len(parts)
    found = 1 + left * parts // parts.sum()
    found[-1] += total - found.sum()
    return found


def make_models(securities, positions, dice):
    """The models that portfolios of so many positions have room for: none below five."""
    if positions < 5:
        return []
    models = []
    for number in range(MODELS):
        size = min(3 + number % 4, positions // 3 + 1)
        chosen = dice.order(f"model {number}", securities)[:size]
        parts = 1 + dice.whole(f"model weight {number}", np.arange(size), 9)
        models.append(Model(MODEL_NAMES[number], chosen, shared(GRAINS, parts)))
    return models


def make_portfolios(symbols, models, positions, dice):
    return [_portfolio(number, symbols, models, positions, dice) for number in range(PORTFOLIOS)]


def _portfolio(number, symbols, models, positions, dice):
    used = _models_of(number, models, positions)
    cash = CASH[int(dice.whole("target cash", number, len(CASH)))]
    model_grains = [int(200 + 20 * dice.whole(f"model share {number}", one, 16)) for one in used]
    direct = _direct(number, symbols, [models[one] for one in used], positions, dice)
    parts = 2 + dice.whole(f"weight {number}", np.arange(len(direct)), 9)
    grains = shared(GRAINS - cash - sum(model_grains), parts)
    components = [
        *(_component("security", symbols[one], int(part), (number, place), dice)
          for place, (one, part) in enumerate(zip(direct, grains, strict=True))),
        *(_component("model", models[one].name, part, (number, 500 + one), dice)
          for one, part in zip(used, model_grains, strict=True)),
        Component("cash", "", cash),
    ]  # fmt: skip
    pieces = [models[one].grains * (part / GRAINS / GRAINS) for one, part in zip(used, model_grains, strict=True)]
    return Portfolio(
        f"{STYLES[number % 4]} {RISKS[number // 4]}",
        tuple(components),
        cash / GRAINS,
        np.concatenate([direct, *(models[one].securities for one in used)]),
        np.concatenate([np.zeros(len(direct), np.int64), *(np.full(len(models[one].grains), 1 + one) for one in used)]),
        np.concatenate([grains / GRAINS, *pieces]),
    )


def _models_of(number, models, positions):
    """A third of the portfolios uses no model, a third one, a third two; each leaves room for direct holdings."""
    if not models:
        return []
    wanted = [number % MODELS, (number + 3) % MODELS][: number % 3]
    room = positions - 2
    return [one for place, one in enumerate(wanted) if sum(len(models[m].grains) for m in wanted[: place + 1]) <= room]


def _direct(number, symbols, models, positions, dice):
    """Securities held directly; up to two of them are in the portfolio's models as well, so that flat trades occur."""
    count = positions - sum(len(model.grains) for model in models)
    both = np.unique([model.securities[0] for model in models]).astype(np.int64)
    others = dice.order(f"portfolio {number}", len(symbols) - LEGACY)
    mixed = np.concatenate([both, others[~np.isin(others, both)]])
    return np.sort(mixed[:count])


def _component(kind, name, grains, key, dice):
    index = key[0] * 1000 + key[1]
    triggers = "false" if dice.chance("triggers", index, 0.03) else "true"
    style = float(dice.share("band", index))
    if style < 0.6:
        return Component(kind, name, grains, triggers=triggers)
    if style < 0.8:
        threshold = 10 + int(dice.whole("threshold", index, 21))
        precision = 2 + int(dice.whole("precision", index, 5))
        bands = (str(threshold), str(threshold + 5), str(precision), str(precision))
        return Component(kind, name, grains, bands, "relative", triggers)
    threshold = max(2, grains * (15 + int(dice.whole("threshold", index, 26))) // 100)
    precision = percent(max(1, threshold // 5))
    return Component(kind, name, grains, (percent(threshold),) * 2 + (precision,) * 2, "absolute", triggers)
