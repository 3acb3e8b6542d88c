"""From components to weights and bounds. Percent of V throughout."""

from dataclasses import dataclass
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.targets import Bands, Defaults, Width, all_cash, flatten

FIRM = Defaults(Decimal(20), Decimal(4), Decimal(1), Decimal("0.5"), Decimal(100), Decimal("0.1"))


@dataclass(frozen=True)
class Component:
    kind: str
    name: str
    weight: Decimal
    threshold_lower: Decimal | None = None
    threshold_upper: Decimal | None = None
    precision_lower: Decimal | None = None
    precision_upper: Decimal | None = None
    band_kind: str = "relative"
    triggers: bool = True


def component(name, weight, *widths, kind="security", **fields):
    names = ("threshold_lower", "threshold_upper", "precision_lower", "precision_upper")
    given_widths = {key: None if width is None else Decimal(width) for key, width in zip(names, widths, strict=False)}
    return Component("cash" if name == "cash" else kind, name, Decimal(weight), **given_widths, **fields)


def flat(*components, models=None, defaults=FIRM):
    return flatten(components, defaults, models or {})


def bounds(target):
    found = target.bands.bounds(target.weight)
    return tuple(map(float, (found.lower, found.upper, found.fit_lower, found.fit_upper)))


def cash_bounds(found):
    one = found.cash.bounds(found.cash.weight)
    return tuple(map(float, (one.lower, one.upper, one.fit_lower, one.fit_upper)))


CASH = component("cash", 2)


@pytest.mark.parametrize(("one", "expected"), [
    (component("VTI", 10), (8, 12, 9.6, 10.4)),                                       # PRODUCT 2's example
    (component("VTI", 50), (40, 60, 48, 52)),
    (component("VTI", 10, 10, 30, 2, 5), (9, 13, 9.8, 10.5)),                         # asymmetric
    (component("VTI", 10, 2, 3, 1, "0.5", band_kind="absolute"), (8, 13, 9, 10.5)),
    (component("VTI", 10, 3, None, 1, None, band_kind="absolute"), (7, 12, 9, 10.4)),  # empty: the default, relative
    (component("VTI", 10, 0, 0, 0, 0), (10, 10, 10, 10)),
    (component("VTI", 3, 5, 5, 1, 1, band_kind="absolute"), (0, 8, 2, 4)),            # never below 0
    (component("VTI", 10, 200, 20, 4, 4), (0, 12, 9.6, 10.4)),
    (component("VTI", 50, 1, 1, None, None, band_kind="absolute"), (49, 51, 49, 51)),  # the precision lies within
    (component("VTI", 0), (0, 0, 0, 0)),
])  # fmt: skip
def test_bounds_of_a_component(one, expected):
    assert bounds(flat(one, CASH).targets[0]) == pytest.approx(expected)


@pytest.mark.parametrize(("one", "expected"), [
    (component("cash", 2), (1.6, 2.4, 1.92, 2.08)),
    (component("cash", 0), (0, 1, 0, 0.5)),
    (component("cash", 0, 50, 50, 10, 10), (0, 1, 0, 0.5)),                            # relative widths of nothing
    (component("cash", 0, 1, 3, 1, 2, band_kind="absolute"), (0, 3, 0, 2)),
    (component("cash", 0, None, "0.4", None, None, band_kind="absolute"), (0, 0.4, 0, 0.4)),
    (component("cash", 5, 1, 2, "0.5", 1, band_kind="absolute"), (4, 7, 4.5, 6)),
    (component("cash", 100), (80, 120, 96, 104)),
])  # fmt: skip
def test_bounds_of_cash(one, expected):
    assert cash_bounds(flat(one)) == pytest.approx(expected)


def test_a_model_is_flattened_into_its_own_sleeve():
    """40 % of a model with 10 % in a security: 4 % in that model's sleeve."""
    models = {"Growth": [("VTI", Decimal(90)), ("VXUS", Decimal(10))]}
    found = flat(component("VTI", 58), component("Growth", 40, kind="model"), CASH, models=models)
    assert [(one.sleeve, one.symbol, one.weight) for one in found.targets] == [
        ("", "VTI", 58), ("Growth", "VTI", 36), ("Growth", "VXUS", 4),
    ]  # fmt: skip
    assert found.cash.weight == 2


def test_relative_widths_stay_and_absolute_ones_are_split_by_weight():
    models = {"Growth": [("VTI", Decimal(75)), ("VXUS", Decimal(25))]}
    whole = component("Growth", 40, 10, 20, 1, 2, kind="model")
    points = component("Growth", 40, 4, 8, 2, 1, kind="model", band_kind="absolute")
    assert bounds(flat(whole, CASH, models=models).targets[1]) == pytest.approx((9, 12, 9.9, 10.2))
    vti, vxus = flat(points, CASH, models=models).targets
    assert bounds(vti) == pytest.approx((27, 36, 28.5, 30.75))
    assert bounds(vxus) == pytest.approx((9, 12, 9.5, 10.25))


def test_an_empty_width_of_a_model_with_absolute_bands_is_relative_for_each_security():
    models = {"Growth": [("VTI", Decimal(75)), ("VXUS", Decimal(25))]}
    mixed = component("Growth", 40, 4, None, None, None, kind="model", band_kind="absolute")
    assert bounds(flat(mixed, CASH, models=models).targets[1]) == pytest.approx((9, 12, 9.6, 10.4))


def test_the_switch_goes_to_every_security_of_a_model():
    models = {"Growth": [("VTI", Decimal(75)), ("VXUS", Decimal(25))]}
    found = flat(component("Growth", 98, kind="model", triggers=False), CASH, models=models)
    assert [one.triggers for one in found.targets] == [False, False]
    assert found.cash.triggers


def test_a_portfolios_defaults_count():
    tight = Defaults(Decimal(10), Decimal(1), Decimal(3), Decimal(2), Decimal(100), Decimal("0.1"))
    assert bounds(flat(component("VTI", 10), CASH, defaults=tight).targets[0]) == pytest.approx((9, 11, 9.9, 10.1))
    assert cash_bounds(flat(component("cash", 0), defaults=tight)) == (0, 3, 0, 2)


def test_an_account_without_portfolio_is_all_cash():
    found = all_cash(FIRM)
    assert (found.targets, found.cash.weight, found.cash.triggers) == ((), 100, True)
    assert cash_bounds(found) == (80, 120, 96, 104)


# --- the digest ---------------------------------------------------------------------------------------------------

BEFORE = (component("VTI", 58), component("AGG", 40), CASH)


@pytest.mark.parametrize("after", [
    (component("AGG", 40), component("VTI", 58), CASH),                                 # another order
    (component("VTI", "58.000"), component("AGG", 40), CASH),                           # the same number
    (component("VTI", 58, 1, 1, 1, 1), component("AGG", 40), CASH),                     # only a band
    (component("VTI", 58, triggers=False), component("AGG", 40), CASH),
])  # fmt: skip
def test_the_target_is_the_same(after):
    assert flat(*after).digest() == flat(*BEFORE).digest()


@pytest.mark.parametrize("after", [
    (component("VTI", 57), component("AGG", 41), CASH),
    (component("VTI", 58), component("BND", 40), CASH),
    (component("VTI", 58), component("AGG", 39), component("cash", 3)),
    (component("VTI", 58), component("Bonds", 40, kind="model"), CASH),                 # the same, in another sleeve
])  # fmt: skip
def test_the_target_is_another(after):
    models = {"Bonds": [("AGG", Decimal(100))]}
    assert flat(*after, models=models).digest() != flat(*BEFORE).digest()


def test_a_change_of_a_model_is_a_change_of_the_target():
    growth = component("Growth", 98, kind="model")
    before = flat(growth, CASH, models={"Growth": [("VTI", Decimal(60)), ("VXUS", Decimal(40))]})
    after = flat(growth, CASH, models={"Growth": [("VTI", Decimal(61)), ("VXUS", Decimal(39))]})
    assert before.digest() != after.digest()


# --- any component ------------------------------------------------------------------------------------------------

percents = st.decimals(0, 100, places=2)
some_widths = st.builds(Width, percents, st.booleans())


@given(percents, st.builds(Bands, some_widths, some_widths, some_widths, some_widths))
def test_bounds_are_in_order_around_the_weight(weight, bands):
    found = bands.bounds(weight)
    assert 0 <= found.lower <= found.fit_lower <= weight <= found.fit_upper <= found.upper


@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), percents)
def test_the_weights_of_a_model_add_up_to_its_own(shares, weight):
    total = sum(shares)
    pairs = [(f"S{place}", Decimal(share) * 100 / total) for place, share in enumerate(shares)]
    found = flat(component("M", weight, kind="model"), CASH, models={"M": pairs})
    assert abs(sum(one.weight for one in found.targets) - weight) < Decimal("1e-20")
