"""Rounding: half away from zero, to the cent, exactly, for ints and for arrays alike."""

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.money import amount, cents, part_of, plain, shares

MICRO = 1_000_000


@pytest.mark.parametrize(("value", "rounded"), [
    ("0.005", "0.01"), ("0.004999", "0.00"), ("1.015", "1.02"), ("2.675", "2.68"), ("-0.005", "-0.01"),
    ("-1.0049", "-1.00"), ("12", "12.00"), ("0.995", "1.00"),
])  # fmt: skip
def test_amounts_are_rounded_half_away_from_zero(value, rounded):
    assert str(amount(Decimal(value))) == rounded


@pytest.mark.parametrize(("quantity", "price", "in_cents"), [
    ("10", "12.34", 12340), ("1", "0.005", 1), ("1", "0.0049", 0), ("0.5", "0.01", 1), ("0.333333", "3", 100),
    ("0.001", "150.25", 15), ("3", "0.335", 101), ("1", "1.005", 101),     # 1.005 is less than it seems in floats
    ("123456.789", "987.654321", 12193263111),                        # 121,932,631.1126...
])  # fmt: skip
def test_quantity_times_price(quantity, price, in_cents):
    units, micros = (int(Decimal(one) * MICRO) for one in (quantity, price))
    assert cents(units, micros) == in_cents
    assert cents(np.array([units]), np.array([micros])).tolist() == [in_cents]


@given(st.integers(0, 10**13), st.integers(1, 10**10))
def test_quantity_times_price_is_what_decimal_says(units, micros):
    exact = Decimal(units) * Decimal(micros) / Decimal(10**10)
    assert cents(units, micros) == exact.quantize(Decimal(1), ROUND_HALF_UP)


@given(st.integers(0, 10**12), st.integers(1, 10**9))
def test_arrays_and_ints_agree(units, micros):
    assert cents(np.array([units]), np.array([micros]))[0] == cents(units, micros)


def test_a_position_of_a_trillion_dollars_does_not_overflow():
    units, micros = 10_000_000_000 * MICRO, 100 * MICRO
    assert cents(np.array([units]), np.array([micros])).tolist() == [100_000_000_000_000]


@pytest.mark.parametrize(("cost", "part", "whole", "taken"), [
    (1000, 1, 2, 500), (1001, 1, 2, 501), (100, 1, 3, 33), (200, 1, 3, 67), (0, 1, 3, 0), (999, 3, 3, 999),
    (1, 1, 2, 1), (1, 1, 3, 0),
])  # fmt: skip
def test_cost_of_a_part(cost, part, whole, taken):
    assert part_of(cost, part, whole) == taken


@given(st.integers(0, 10**12), st.lists(st.integers(1, 10**9), min_size=1, max_size=8))
def test_cost_of_a_part_is_half_up_and_what_is_left_is_never_negative(cost, parts):
    whole = sum(parts)
    for part in parts:
        exact = Fraction(cost) * part / whole
        assert abs(part_of(cost, part, whole) - exact) <= Fraction(1, 2)
        assert cost - part_of(cost, part, whole) >= 0


@pytest.mark.parametrize(("value", "text"), [
    ("10.000000", "10"), ("10", "10"), ("0.500000", "0.5"), ("100", "100"), ("1E+2", "100"), ("0E-6", "0"),
    ("-1.50", "-1.5"),
])  # fmt: skip
def test_plain(value, text):
    assert plain(Decimal(value)) == text


def test_shares():
    assert shares(1_500_000) == Decimal("1.5")
    assert shares(1) == Decimal("0.000001")
