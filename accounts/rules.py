"""What portfolios, models and the restrictions of an account have to fulfil: the same for forms, services and files.

Each function gives a list of Problem: the place in the list that was given (None: the whole), the field, and words.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from accounts.models import (
    Account,
    Component,
    Custodian,
    Household,
    Model,
    Portfolio,
    Restriction,
    Security,
)
from accounts.money import plain
from accounts.targets import BAND_NAMES, HUNDRED, ZERO, Defaults, widths

SETTINGS = (
    "threshold_percent", "precision_percent", "zero_cash_threshold", "zero_cash_precision", "minimum_trade_dollars",
    "minimum_trade_percent",
)  # fmt: skip
# The markets that exchange_calendars knows, by their ISO 10383 codes; the library itself loads in workers only. With
# pandas 3 it fails on the calendars of Athens, Belgrade, Bucharest, Nicosia and Tel Aviv, so they are not offered.
MARKETS = frozenset({
    "AIXK", "BVMF", "XAMS", "XASX", "XBDA", "XBKK", "XBOG", "XBOM", "XBRA", "XBRU", "XBUD",
    "XBUE", "XCSE", "XDUB", "XDUS", "XETR", "XEUR", "XFRA", "XHAM", "XHEL", "XHKG", "XICE", "XIDX", "XIST",
    "XJSE", "XKAR", "XKLS", "XKRX", "XLIM", "XLIS", "XLIT", "XLJU", "XLON", "XLUX", "XMAD", "XMEX", "XMIL", "XMOS",
    "XNAS", "XNYS", "XNZE", "XOSL", "XPAR", "XPHS", "XPRA", "XRIS", "XSAU", "XSES", "XSGO", "XSHG", "XSTO", "XSTU",
    "XSWX", "XTAI", "XTAL", "XTKS", "XTSE", "XWAR", "XWBO", "XZAG",
})  # fmt: skip
# What files name records by, or write of them; the characters are those that mean something else in a file's cell.
NAMES = {
    Account: {"number": "", "name": ""},
    Custodian: {"name": ""},
    Household: {"name": ""},
    Model: {"name": ""},
    Portfolio: {"name": ";"},
    Security: {"symbol": "", "name": "", "asset_class": ""},
}
WIDER = "The precision ({inner}) would reach outside of the threshold ({outer})."


@dataclass(frozen=True, slots=True)
class Problem:
    index: int | None
    field: str | None
    words: str


def name_problems(record, exclude=()):
    """What is wrong with the names of a record (an object of any model), because no file could give them."""
    names = {field: without for field, without in NAMES.get(type(record), {}).items() if field not in exclude}
    found = {field: text_problem(getattr(record, field), without) for field, without in names.items()}
    return [Problem(None, field, f"It {words}.") for field, words in found.items() if words]


def text_problem(text, without=""):
    """Why a text can't be kept as text that files may give, without these characters; "" where it can."""
    if any("\udc80" <= letter <= "\udcff" for letter in text):
        return "is not UTF-8"
    if "\0" in text:
        return "holds a NUL character"
    if not text.isprintable():
        return "holds a control character"
    held = [letter for letter in without if letter in text]
    return f"holds a {held[0]}, which stands between names" if held else ""


def resolved(portfolio, firm):
    """The Defaults that count for a portfolio: its own settings, else the firm's."""
    own = {name: getattr(portfolio, name) for name in SETTINGS}
    return Defaults(*(getattr(firm, name) if value is None else value for name, value in own.items()))


def settings_problems(settings, defaults):
    """What is wrong with the settings of a portfolio or of the firm (then `defaults` are its own values)."""
    pairs = [
        ("precision_percent", defaults.precision, defaults.threshold),
        ("zero_cash_precision", defaults.zero_cash_precision, defaults.zero_cash_threshold),
    ]
    return [
        Problem(None, _blamed(settings, field), WIDER.format(inner=f"{plain(inner)} %", outer=f"{plain(outer)} %"))
        for field, inner, outer in pairs
        if inner > outer
    ]


def _blamed(settings, precision):
    """The precision, unless it is empty and the threshold is what was entered."""
    threshold = precision.replace("precision", "threshold")
    return threshold if getattr(settings, precision) is None and getattr(settings, threshold) is not None else precision


def component_problems(components, defaults):
    """What is wrong with a portfolio's components (Component objects whose weights are numbers)."""
    problems = _cash_problems(components) + _sum_problems(components)
    seen = set()
    for index, component in enumerate(components):
        problems += [Problem(index, field, words) for field, words in _held_problems(component, seen)]
        if component.weight >= 0:
            problems += [Problem(index, field, words) for field, words in _band_problems(component, defaults)]
    return problems


def _cash_problems(components):
    count = sum(component.kind == Component.Kind.CASH for component in components)
    if count == 1:
        return []
    return [Problem(None, "kind", f"A portfolio has exactly one cash component (it may be 0 %); this one has {count}.")]


def _sum_problems(rows):
    total = sum((row.weight for row in rows), Decimal(0))
    if total == HUNDRED:
        return []
    return [Problem(None, "weight", f"The weights add up to {plain(total)} %; they have to add up to exactly 100 %.")]


def _held_problems(component, seen):
    """(field, words) of what a component names; notes it in `seen`."""
    for field in ("security", "model"):
        held = getattr(component, field)
        if (held is not None) != (component.kind == field):
            yield field, f"A {component.kind} component names no {field}." if held else f"Choose the {field}."
        elif held is not None and (field, held.pk) in seen:
            yield field, f"{held} is in the portfolio twice."
        seen.add((field, held and held.pk))
    if component.security is not None and component.security.kind == Security.Kind.SWEEP:
        yield "security", f"{component.security} is a sweep: it counts as cash and is no component."


def _band_problems(component, defaults):
    """(field, words) of negative widths and of a precision that reaches outside of its threshold."""
    negative = [name for name in BAND_NAMES if (getattr(component, name) or 0) < 0]
    if negative:
        return [(name, "A width can't be negative.") for name in negative]
    sides = {side: _distances(component, side, defaults) for side in ("lower", "upper")}
    return [
        (f"precision_{side}", WIDER.format(inner=inner, outer=outer))
        for side, (inner, outer) in sides.items()
        if inner.value > outer.value
    ]


@dataclass(frozen=True, slots=True)
class _Distance:
    """How far a bound lies from its target, and in which unit."""

    value: Decimal
    unit: str = "percentage points"

    def __str__(self):
        return f"{plain(self.value)} {self.unit}"


def _distances(component, side, defaults):
    """How far precision and threshold reach on this side: as entered, or, with one of them empty, around the weight."""
    bands = widths(component, defaults)
    names = (f"precision_{side}", f"threshold_{side}")
    if all(getattr(component, name) is not None for name in names):
        unit = "percentage points" if component.band_kind == Component.BandKind.ABSOLUTE else "%"
        return [_Distance(getattr(component, name), unit) for name in names]
    if component.kind == Component.Kind.CASH and not component.weight:
        settings = (defaults.zero_cash_precision, defaults.zero_cash_threshold) if side == "upper" else (ZERO, ZERO)
        return [
            _Distance(getattr(bands, name).value if getattr(bands, name).absolute and side == "upper" else setting)
            for name, setting in zip(names, settings, strict=True)
        ]
    reach = [_Distance(getattr(bands, name).at(component.weight)) for name in names]
    return [_Distance(min(component.weight, one.value)) for one in reach] if side == "lower" else reach


def weight_problems(weights):
    """What is wrong with a model's weights (ModelWeight objects)."""
    problems, seen = _sum_problems(weights), set()
    for index, weight in enumerate(weights):
        if weight.weight <= 0:
            problems.append(Problem(index, "weight", "The weight of a security is above 0 %."))
        if weight.security_id in seen:
            problems.append(Problem(index, "security", f"{weight.security} is in the model twice."))
        if weight.security.kind == Security.Kind.SWEEP:
            problems.append(Problem(index, "security", f"{weight.security} is a sweep: a model holds no cash."))
        seen.add(weight.security_id)
    return problems


def restriction_problems(restrictions):
    """What is wrong with all the restrictions of one account (Restriction objects)."""
    problems, by_security = [], {}
    for index, one in enumerate(restrictions):
        if by_security.setdefault(one.security_id, one) is not one:
            problems.append(Problem(index, "security", f"{one.security} is restricted twice."))
        problems += [Problem(index, field, words) for field, words in _own_problems(one)]
    for index, one in enumerate(restrictions):
        other = by_security.get(one.substitute_id)
        if other is not None and other is not one and _overlap(one, other):
            words = f"{one.substitute}, the substitute for {one.security}, is itself restricted at that time."
            problems.append(Problem(index, "substitute", words))
    return problems


def _own_problems(restriction):
    substitutes = restriction.kind == Restriction.Kind.SUBSTITUTE
    if substitutes and restriction.substitute is None:
        yield "substitute", "Choose the security to hold instead."
    if not substitutes and restriction.substitute is not None:
        yield "substitute", f"Only a substitution names a substitute, {restriction.get_kind_display()} does not."
    if restriction.substitute is not None:
        if restriction.substitute_id == restriction.security_id:
            yield "substitute", "A security can't be its own substitute."
        elif restriction.substitute.kind == Security.Kind.SWEEP:
            yield "substitute", f"{restriction.substitute} is a sweep and can't be a substitute."
    if restriction.end is not None and restriction.end < restriction.start:
        yield "end", "The last day is before the first."


def _overlap(one, other):
    """Whether there is a day on which both count; both days of each are included."""
    return one.start <= (other.end or date.max) and other.start <= (one.end or date.max)
