"""docs/engine.md: its example runs, and each of its worked examples is what the engine proposes."""

import doctest
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from rebalancer.engine import Reason
from tax.relief import Lots, Method, Sales, relieve
from tax.terms import is_long_term

from .building import MICRO, TODAY, Account, Band, Row, day
from .rules import outcome

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "engine.md"
HEAD = "| security | held | price | target | rule | Best Fit | Min Transaction |"
RULES = {
    "": Reason.NONE, "no buy": Reason.NO_BUY, "no sell": Reason.NO_SELL, "do not trade": Reason.DO_NOT_TRADE,
    "excluded": Reason.EXCLUDED, "replaced": Reason.REPLACED_BY, "substitute": Reason.SUBSTITUTE_FOR,
    "inactive": Reason.INACTIVE,
}  # fmt: skip


def number(text):
    return re.sub(r"[$,%+\s]", "", text).replace("−", "-") or "0"


def examples():
    """(heading, text, cells of the table) of each worked example."""
    for part in DOCUMENT.read_text(encoding="utf-8").split("\n### ")[1:]:
        if HEAD in part:
            table = part.split(HEAD)[1].strip().split("\n\n")[0].splitlines()[1:]
            yield part.splitlines()[0], part, [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def _setting(name, text, otherwise):
    found = re.search(name + r" \$([\d,]+)", text)
    return number(found[1]) if found else otherwise


def _account(text, rows):
    cash = next(row for row in rows if row[0] == "cash")
    return Account(
        tuple(_row(text, *row[:5]) for row in rows if row[0] != "cash"),
        cash=number(cash[1]),
        cash_target=number(cash[3]),
        minimum=_setting("Minimum trade", text, 100),
        set_aside=_setting("Set aside", text, 0),
    )


def _row(text, name, held, price, target, rule):
    symbol, _, sleeve = name.partition(" in ")
    step = "0.001" if symbol.endswith("X") else 1
    band = _band(text, symbol, Fraction(number(target)))
    return Row(symbol, number(held), number(price), number(target), band, int(bool(sleeve)), step, RULES[rule])


def _band(text, symbol, target):
    """The band that the text gives a symbol ("VTI's threshold is 9–13 %, its precision 9.5–10.5 %"), or the default."""
    found = re.search(symbol + r"'s threshold is ([\d.]+)–([\d.]+) %, its precision ([\d.]+)–([\d.]+) %", text)
    if not found:
        return Band()
    lower, upper, fit_lower, fit_upper = map(Fraction, found.groups())
    return Band(target - lower, upper - target, target - fit_lower, fit_upper - target, absolute=True)


@pytest.mark.parametrize(("text", "rows"), [pytest.param(text, rows, id=head) for head, text, rows in examples()])
@pytest.mark.parametrize(("place", "logic"), [(5, "best_fit"), (6, "min_transaction")])
def test_a_worked_example(text, rows, place, logic):
    found = outcome(_account(text, rows), logic)
    said = {row[0]: float(number(row[place])) for row in rows}
    names = {0: "{}", 1: "{} in Growth"}
    made = {names[end.row.sleeve].format(end.row.symbol): float(end.trade) for end in found.ends}
    assert made | {"cash": float(found.cash)} == said, str(found)


def test_the_lots_that_go():
    text = DOCUMENT.read_text(encoding="utf-8")
    sold = int(re.search(r"(\d+) are sold on", text)[1])
    lines = text.split("| lot | shares |")[1].split("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    units, cents = (np.array([int(row[1]) * factor for row in cells]) for factor in (1, 100))
    cents = cents * np.array([int(row[2]) for row in cells])
    acquired, today = np.array([day(row[3]) for row in cells]), day(TODAY)
    assert [["short", "long"][one] for one in is_long_term(acquired, today).astype(int)] == [row[4] for row in cells]
    for place, method in enumerate(Method, start=5):
        one = (np.array([number]) for number in (0, len(cells), sold * MICRO, method, 100.0))
        taken = relieve(Lots(units * MICRO, cents, acquired), Sales(*one, trade_day=today)) // MICRO
        assert taken.tolist() == [int(row[place] or 0) for row in cells], method.name


def test_the_holding_period():
    lines = DOCUMENT.read_text(encoding="utf-8").split("| case | acquired |")[1].split("\n\n")[0].splitlines()[2:]
    assert len(lines) == 13
    for line in lines:
        acquired, begins, last_short, first_long = (day(cell.strip()) for cell in line.strip("|").split("|")[1:])
        assert begins == acquired + 1
        terms = [bool(is_long_term(np.array([acquired]), sold)[0]) for sold in (last_short, first_long)]
        assert (first_long - last_short, terms) == (1, [False, True]), line


def test_every_rule_has_its_example():
    assert len(list(examples())) >= 23
    assert {row[4] for _, _, rows in examples() for row in rows} == set(RULES)


def test_the_example_runs():
    failed, tried = doctest.testfile(str(DOCUMENT), module_relative=False, encoding="utf-8")
    assert tried
    assert not failed
