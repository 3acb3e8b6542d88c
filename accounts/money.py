"""Quantities, prices and amounts: their database fields, and every rounding that the product does."""

from decimal import ROUND_HALF_UP, Decimal

from django.db import models

CENT = Decimal("0.01")
MICRO = Decimal("0.000001")
HUNDRED = Decimal(100)
UNITS_PER_SHARE = 1_000_000
LARGEST_VALUE = 9_000_000_000_000  # dollars that an account may be worth for `cents` to be exact


def quantity_field(**options):
    """Shares, to the millionth."""
    return models.DecimalField(max_digits=20, decimal_places=6, **options)


def price_field(**options):
    """Dollars per share, to the millionth of a dollar."""
    return models.DecimalField(max_digits=18, decimal_places=6, **options)


def amount_field(**options):
    """Dollars, to the cent."""
    return models.DecimalField(max_digits=18, decimal_places=2, **options)


def percent_field(**options):
    """A weight or a width in percent, so that 10 means 10 %."""
    return models.DecimalField(max_digits=12, decimal_places=6, **options)


def amount(value):
    """Round a Decimal to the cent, half away from zero."""
    return value.quantize(CENT, ROUND_HALF_UP)


def shares(units):
    """Turn millionths of a share (int) into shares (Decimal)."""
    return Decimal(units) / UNITS_PER_SHARE


def plain(value):
    """Write a Decimal without exponent and without needless zeros: 10.000000 is "10"."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def cents(units, price):
    """units × price in cents, half up. Both are whole numbers of millionths: ints, or int64 arrays of one shape.

    Exact in int64 as long as whole shares × price stay below 9 × 10^18, that is for positions below 9 trillion dollars:
    `rebalancer.loading` refuses accounts that are worth more.
    """
    whole, fraction = divmod(units, UNITS_PER_SHARE)
    hundreds, rest = divmod(whole * price, 10_000)
    return hundreds + (rest * 1_000_000 + fraction * price + 5_000_000_000) // 10_000_000_000


def part_of(cost, part, whole):
    """Cost in cents of `part` of a lot of `whole` units, half up; ints."""
    return (2 * cost * part + whole) // (2 * whole)
