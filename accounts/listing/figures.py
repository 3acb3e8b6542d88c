"""Figures in words: how amounts, weights, quantities and times look everywhere in the product.

Unknown (None) is "—", never 0. Negative amounts stand in parentheses, negative points carry a true minus sign.
Functions ending in `_text` give plain text; the others give HTML with the class for the style sheet.
"""

from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal

from django.utils import timezone

from .markup import markup

UNKNOWN = "—"
MINUS = "\N{MINUS SIGN}"
MODEL = "model:"
NO_BREAK = "\N{NO-BREAK SPACE}"
SLIM = Decimal("0.05")  # percent: a band too narrow for two places
ZONE_NAMES = {
    "EST": "ET", "EDT": "ET", "CST": "CT", "CDT": "CT", "MST": "MT", "MDT": "MT", "PST": "PT", "PDT": "PT",
}  # fmt: skip


def rounded(value, places):
    """The value as a Decimal of so many places, half up; floats are taken by their shortest decimal spelling."""
    exact = value if isinstance(value, Decimal) else Decimal(str(value))
    return exact.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)


def money_text(value, places=2):
    """Dollars without their sign: 1,234.50, (612.40) when negative, — when unknown."""
    if value is None:
        return UNKNOWN
    amount = rounded(value, places)
    return f"({-amount:,f})" if amount < 0 else f"{abs(amount):,f}"


def money(value, places=2):
    """`money_text`, marked red when negative."""
    return _marked(money_text(value, places))


def dollars_text(value):
    """Dollars with their sign, for running text: $1,234.50, ($612.40)."""
    text = money_text(value)
    if text == UNKNOWN:
        return text
    return f"(${text[1:]}" if text.startswith("(") else f"${text}"


def short_dollars(value):
    """Dollars at a glance, for tiles: $412, $18.4 K, $1.2 M; sums of nothing are $0."""
    size = abs(value or 0)
    for floor, letter in ((1_000_000_000, " B"), (1_000_000, " M"), (1_000, " K")):
        if size >= floor:
            return f"${rounded(size / floor, 1):,f}{letter}"
    return f"${rounded(size, 0):f}"


def count_text(value):
    """A whole number with separators: 1,342; zero is 0."""
    return UNKNOWN if value is None else f"{int(value):,d}".replace("-", MINUS)


def percent_text(value, places=2):
    """A weight in percent (3.2 is "3.20 %", its blank one that no line breaks at)."""
    return UNKNOWN if value is None else f"{_minus(rounded(value, places))}{NO_BREAK}%"


def band_text(lower, upper, places=2):
    """Two bounds in percent: "8.00–12.00 %"; with four places where two would not tell small ones apart."""
    if lower is None or upper is None:
        return UNKNOWN
    places = max(places, 4) if lower != upper and upper - lower < SLIM else places
    return f"{_minus(rounded(lower, places))}–{percent_text(upper, places)}"


def points_text(value, places=1):
    """Percentage points with their sign: +3.1 pp, −1.8 pp, 0.0 pp."""
    if value is None:
        return UNKNOWN
    points = rounded(value, places)
    return f"{'+' if points > 0 else ''}{_minus(points)} pp"


def quantity_text(value):
    """Shares with separators, fractions only as far as they go: 1,200, 0.125."""
    if value is None:
        return UNKNOWN
    text = f"{rounded(value, 6):,f}"
    return text.rstrip("0").rstrip(".").replace("-", MINUS)


def price_text(value):
    """A price with two places, or as many as it has up to six: 98.42, 10.1234."""
    if value is None:
        return UNKNOWN
    whole, _, fraction = f"{rounded(value, 6):,f}".partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"


def day_text(value):
    """A day as 2026-11-20; a moment gives the day it falls on in the firm's zone."""
    if value is None:
        return UNKNOWN
    if isinstance(value, datetime):
        value = timezone.localtime(value).date()
    assert isinstance(value, date)
    return value.isoformat()


def clock_text(value):
    """A moment in the firm's zone (the active time zone): 15:42 ET today, 2026-11-19 21:04 ET on other days."""
    if value is None:
        return UNKNOWN
    local = timezone.localtime(value)
    shown = "%H:%M" if local.date() == timezone.localdate() else "%Y-%m-%d %H:%M"
    zone = local.strftime("%Z")
    return f"{local.strftime(shown)} {ZONE_NAMES.get(zone, zone)}"


def moment_text(value):
    """A moment in the firm's zone with its day, always: 2026-11-19 21:04:12 ET. For files and histories."""
    if value is None:
        return UNKNOWN
    local = timezone.localtime(value)
    zone = local.strftime("%Z")
    return f"{local.strftime('%Y-%m-%d %H:%M:%S')} {ZONE_NAMES.get(zone, zone)}"


def sleeve_text(name):
    """A sleeve's name for people: Managed, Protected, Model · Income."""
    return f"Model · {name.removeprefix(MODEL)}" if name.startswith(MODEL) else name.capitalize()


def plural(count, one, many=None):
    """1 account, 1,342 accounts."""
    return f"{count_text(count)} {one if count == 1 else many or one + 's'}"


def _minus(number):
    return f"{abs(number) if number == 0 else number:,f}".replace("-", MINUS)


def _marked(text):
    return markup('<span class="neg">{}</span>', text) if text.startswith("(") else text
