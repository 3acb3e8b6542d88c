"""Restrictions change targets: substitutions, then exclusions to cash, then pro-rata exclusions all at once."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Firm, Restriction
from accounts.rules import resolved
from accounts.targets import Bands, CashTarget, Defaults, Flat, Target, Width
from rebalancer.targets import Plan, plans, restricted, template
from tests import factories as make

KIND = Restriction.Kind
DEFAULTS = Defaults(Decimal(20), Decimal(4), Decimal(1), Decimal("0.5"), Decimal(100), Decimal("0.1"))


def bands(threshold=20, precision=4, absolute=False):
    return Bands(*(Width(Decimal(one), absolute) for one in (threshold, threshold, precision, precision)))


def target(symbol, weight, sleeve="", **widths):
    return Target(sleeve, symbol, Decimal(weight), bands(**widths), True)


def flat(*targets, cash=None):
    left = 100 - sum(one.weight for one in targets) if cash is None else Decimal(cash)
    return Flat(CashTarget(left, bands(), True, Decimal(1), Decimal("0.5")), targets)


def weights(found):
    cash, targets = found
    return {"cash": cash.weight} | {f"{one.sleeve}:{one.symbol}".strip(":"): one.weight for one in targets}


THREE = flat(target("VTI", 50), target("AGG", 30), target("GLD", 18))


@pytest.mark.parametrize(("rules", "expected"), [
    ([], {"cash": 2, "VTI": 50, "AGG": 30, "GLD": 18}),
    ([(KIND.EXCLUDE_TO_CASH, "GLD", "")], {"cash": 20, "VTI": 50, "AGG": 30}),
    ([(KIND.EXCLUDE_PRO_RATA, "GLD", "")], {"cash": 2, "VTI": 61.25, "AGG": 36.75}),      # 98 / 80 of each
    ([(KIND.EXCLUDE_PRO_RATA, "GLD", ""), (KIND.EXCLUDE_PRO_RATA, "AGG", "")], {"cash": 2, "VTI": 98}),
    ([(KIND.EXCLUDE_TO_CASH, "GLD", ""), (KIND.EXCLUDE_PRO_RATA, "AGG", "")], {"cash": 20, "VTI": 80}),
    ([(KIND.EXCLUDE_PRO_RATA, one, "") for one in ("VTI", "AGG", "GLD")], {"cash": 100}),  # none remains: to cash
    ([(KIND.EXCLUDE_TO_CASH, one, "") for one in ("VTI", "AGG", "GLD")], {"cash": 100}),
    ([(KIND.SUBSTITUTE, "VTI", "SCHB")], {"cash": 2, "SCHB": 50, "AGG": 30, "GLD": 18}),
    ([(KIND.SUBSTITUTE, "VTI", "AGG")], {"cash": 2, "AGG": 80, "GLD": 18}),
    ([(KIND.SUBSTITUTE, "VTI", "IAU"), (KIND.SUBSTITUTE, "GLD", "IAU")], {"cash": 2, "IAU": 68, "AGG": 30}),
    ([(KIND.SUBSTITUTE, "VTI", "SCHB"), (KIND.EXCLUDE_PRO_RATA, "GLD", "")],
     {"cash": 2, "SCHB": 61.25, "AGG": 36.75}),
    ([(KIND.EXCLUDE_TO_CASH, "TSLA", "")], {"cash": 2, "VTI": 50, "AGG": 30, "GLD": 18}),   # no target anyway
    ([(KIND.SUBSTITUTE, "TSLA", "VTI")], {"cash": 2, "VTI": 50, "AGG": 30, "GLD": 18}),
])  # fmt: skip
def test_weights_after_restrictions(rules, expected):
    found = weights(restricted(THREE, rules))
    assert {name: float(weight) for name, weight in found.items()} == pytest.approx(expected)


def test_a_substitution_stays_in_its_sleeve():
    both = flat(target("VTI", 30), target("VTI", 40, "Growth"), target("SCHB", 10, "Growth"))
    found = weights(restricted(both, [(KIND.SUBSTITUTE, "VTI", "SCHB")]))
    assert found == {"cash": 20, "SCHB": 30, "Growth:SCHB": 50}


def test_an_exclusion_is_of_every_sleeve_and_spread_over_every_sleeve():
    both = flat(target("GLD", 10), target("VTI", 40), target("GLD", 10, "Growth"), target("VXUS", 40, "Growth"))
    found = weights(restricted(both, [(KIND.EXCLUDE_PRO_RATA, "GLD", "")]))
    assert found == {"cash": 0, "VTI": 50, "Growth:VXUS": 50}


@pytest.mark.parametrize("order", [1, -1])
def test_the_substitute_keeps_its_own_band_where_the_sleeve_has_it(order):
    two = (target("VTI", 40, threshold=10, precision=1), target("SCHB", 20, threshold=30, precision=5))
    cash, found = restricted(flat(*two[::order]), [(KIND.SUBSTITUTE, "VTI", "SCHB")])
    assert [(one.symbol, one.weight, one.bands) for one in found] == [("SCHB", 60, two[1].bands)]
    assert cash.weight == 40


def test_a_substitute_that_is_new_takes_the_band_of_what_it_replaces():
    one = target("VTI", 40, threshold=10, precision=1)
    assert restricted(flat(one), [(KIND.SUBSTITUTE, "VTI", "SCHB")])[1][0].bands == one.bands


def test_relative_bands_follow_the_new_weight_and_absolute_widths_stay():
    some = flat(target("GLD", 49), target("VTI", 24.5), target("AGG", 24.5, threshold=2, precision=1, absolute=True))
    made = template(Plan(some, DEFAULTS), [(KIND.EXCLUDE_PRO_RATA, "GLD", "")])
    assert made.symbol == ("VTI", "AGG")
    assert made.weights[0] == pytest.approx([0.49, 0.392, 0.588, 0.4704, 0.5096])
    assert made.weights[1] == pytest.approx([0.49, 0.47, 0.51, 0.48, 0.50])


def test_the_bands_of_cash_follow_what_is_excluded_to_it():
    made = template(Plan(flat(target("VTI", 100), cash=0), DEFAULTS), ())
    assert made.cash == pytest.approx([0, 0, 0.01, 0, 0.005])
    two = flat(target("VTI", 90), target("GLD", 10), cash=0)
    made = template(Plan(two, DEFAULTS), [(KIND.EXCLUDE_TO_CASH, "GLD", "")])
    assert made.cash == pytest.approx([0.10, 0.08, 0.12, 0.096, 0.104])


symbols = st.sampled_from("ABCDE")
some_targets = st.dictionaries(st.tuples(st.sampled_from(["", "M"]), symbols), st.integers(0, 20), max_size=5)
exclusions = st.dictionaries(symbols, st.sampled_from([KIND.EXCLUDE_TO_CASH, KIND.EXCLUDE_PRO_RATA, KIND.SUBSTITUTE]))


@given(some_targets, exclusions)
def test_restrictions_keep_the_sum_of_all_weights(chosen, kinds):
    made = flat(*(target(symbol, weight, sleeve) for (sleeve, symbol), weight in chosen.items()))
    rules = [(kind, symbol, "Z" if kind == KIND.SUBSTITUTE else "") for symbol, kind in kinds.items()]
    found = weights(restricted(made, rules))
    assert float(sum(found.values())) == pytest.approx(100)
    excluded = {symbol for symbol, kind in kinds.items()}
    assert not {name.split(":")[-1] for name in found if name != "cash"} & excluded


# --- from the database --------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_plans_of_portfolios_with_models():
    growth = make.model("Growth", VTI=75, VXUS=25)
    parts = [make.component(growth, 40, threshold_lower=4, band_kind="absolute"), make.component("AGG", 58)]
    portfolio = make.portfolio("Mixed", parts, settings={"minimum_trade_dollars": Decimal(250)})
    found = plans([portfolio.pk])
    made = template(found[portfolio.pk], ())
    rows = dict(zip(zip(made.sleeve, made.symbol, strict=True), made.weights.tolist(), strict=True))
    assert rows["Growth", "VXUS"] == pytest.approx([0.10, 0.09, 0.12, 0.096, 0.104])
    assert rows["", "AGG"][0] == pytest.approx(0.58)
    assert (made.minimum_dollars, made.minimum_weight) == (250, 0.001)
    assert template(found[None], ()).cash.tolist() == [1.0, 0.8, 1.2, 0.96, 1.04]


@pytest.mark.django_db
def test_defaults_are_the_portfolios_own_or_the_firms():
    make.firm(threshold_percent=Decimal(30))
    own = make.portfolio("Own", settings={"precision_percent": Decimal(1)}, VTI=98)
    assert resolved(own, Firm.current()).threshold == 30
    assert template(plans([own.pk])[own.pk], ()).weights[0] == pytest.approx([0.98, 0.686, 1.274, 0.9702, 0.9898])
