"""models.csv and portfolios.csv: what accounts are to hold."""

from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np
from django.core.exceptions import ValidationError

from accounts.models import Component, Firm, Model, ModelWeight, Portfolio, Security
from accounts.rules import NAMES, component_problems, resolved, weight_problems
from accounts.services import portfolios
from accounts.targets import BAND_NAMES

from .kinds import NO_NUMBER, Choice, Flag, Number, Reference, Text
from .table import BookFile, Column
from .values import WIDTH, longest, values_of

PERCENT = 1_000_000  # units of a weight of 1 %
CASH = ("", "cash")  # what a cash component may be called
COLUMN_OF = {"kind": "component_kind", "security": "component", "model": "component"}
KINDS = values_of(Component.Kind)


def percent(units):
    """A weight or a width as a Decimal, or None where it is empty."""
    return None if units == NO_NUMBER else Decimal(int(units)) / PERCENT


def _refuse_problems(table, rows, problems, column_of):
    """What the rules find wrong becomes a problem of the row it is about; what is about the whole, of its last row.

    `rows`: numbers, and whether they are the whole; of a part nothing is said about the whole.
    """
    numbers, whole = rows
    for problem in problems:
        if problem.index is not None or whole:
            number = numbers[-1 if problem.index is None else problem.index]
            table.refuse([number], column_of.get(problem.field, problem.field), problem.words)


# --- models.csv -----------------------------------------------------------------------------------------------


def check_models(table, world):
    securities = Security.objects.in_bulk()
    for name, rows in table.groups("model").items():
        weights = [
            ModelWeight(security=securities[table["symbol"][number]], weight=percent(table["weight"][number]))
            for number in rows[0]
        ]
        problems = [replace(one, words=f"{name}: {one.words}") for one in weight_problems(weights)]
        _refuse_problems(table, rows, problems, {"security": "symbol"})
        table.found[name] = weights


def take_models(table, world):
    known = Model.objects.in_bulk(field_name="name")
    for name, (numbers, _) in table.groups("model").items():
        model = known.get(name) or Model(name=name)
        with refusing(table, numbers[0], "model"):
            portfolios.save_model(model, table.found[name], by=None)
    return len(table)


# --- portfolios.csv -------------------------------------------------------------------------------------------


def check_portfolios(table, world):
    securities, models = Security.objects.in_bulk(field_name="symbol"), Model.objects.in_bulk(field_name="name")
    known, firm = Portfolio.objects.in_bulk(field_name="name"), Firm.current()
    held = {"security": securities, "model": models}
    unknown = _unknown(table, held) & table.known("component_kind", "component")
    table.refuse(unknown, "component", lambda number: _why_unknown(table["component_kind"][number]))
    for name, rows in table.groups("portfolio").items():
        components = [_component(table, number, held) for number in rows[0]]
        defaults = resolved(known.get(name) or Portfolio(name=name), firm)
        problems = [replace(one, words=f"{name}: {one.words}") for one in component_problems(components, defaults)]
        _refuse_problems(table, rows, problems, COLUMN_OF)
        table.found[name] = components


def _unknown(table, held):
    """A mask of the components that name nothing in the book, or name something where they are cash."""
    rows = table.rows("component_kind", "component")
    unknown = [name not in held[kind] if kind in held else name.lower() not in CASH for kind, name in rows]
    return np.array(unknown, dtype=bool)


def _why_unknown(kind):
    return f"no such {kind}" if kind != Component.Kind.CASH else "cash has no component: leave it empty"


def take_portfolios(table, world):
    known = Portfolio.objects.in_bulk(field_name="name")
    for name, (numbers, _) in table.groups("portfolio").items():
        portfolio = known.get(name) or Portfolio(name=name)
        with refusing(table, numbers[0], "portfolio"):
            portfolios.save_portfolio(portfolio, table.found[name], by=None)
    return len(table)


def _component(table, number, held):
    kind, name = table["component_kind"][number], table["component"][number]
    return Component(
        kind=kind,
        weight=percent(table["weight"][number]),
        band_kind=table["band_kind"][number] or Component.BandKind.RELATIVE,
        triggers=bool(table["triggers"][number]),  # an empty switch is -1: on
        **({kind: held[kind][name]} if kind in held else {}),
        **{width: percent(table[width][number]) for width in BAND_NAMES},
    )


@dataclass
class refusing:  # noqa: N801 - reads as a word: with refusing(...)
    """What a service refuses becomes a problem of the row it came from."""

    table: object
    number: int
    column: str

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if not isinstance(error, ValidationError):
            return False
        for words in error.messages:
            self.table.refuse([self.number], self.column, words)
        return True


_SYMBOL, _MODEL, _PORTFOLIO = longest(Security, "symbol"), longest(Model, "name"), longest(Portfolio, "name")
MODELS = BookFile(
    "models.csv",
    (
        Column("model", Text(_MODEL)),
        Column("symbol", Reference("security")),
        Column("weight", Number(places=6, digits=3, least=1)),
    ),
    key=("model", "symbol"),
    check=check_models,
    take=take_models,
)
PORTFOLIOS = BookFile(
    "portfolios.csv",
    (
        Column("portfolio", Text(_PORTFOLIO, NAMES[Portfolio]["name"])),
        Column("component_kind", Choice(KINDS)),
        Column("component", Text(max(_SYMBOL, _MODEL)), required=False),
        Column("weight", Number(places=6, digits=3, least=0)),
        *(Column(width, WIDTH, required=False) for width in BAND_NAMES),
        Column("band_kind", Choice(values_of(Component.BandKind)), required=False),
        Column("triggers", Flag(), required=False),
    ),
    key=("portfolio", "component_kind", "component"),
    check=check_portfolios,
    take=take_portfolios,
)
