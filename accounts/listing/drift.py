"""Drift as a picture: one line with the band, the target's tick, the dot now and the ring after. Server-made SVG."""

from collections.abc import Iterable
from decimal import Decimal

from django.utils.safestring import mark_safe

from .figures import band_text, percent_text
from .markup import escaped

WIDTH, HEIGHT, MARGIN = 104, 20, 6
MIDDLE = HEIGHT / 2
REACHES = [Decimal(pp) for pp in (2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 150, 200)]
ROOM = Decimal("1.1")  # how much further than what lies furthest the line goes
NOT_KNOWN = mark_safe('<span class="drift-none" title="Drift is not known">—</span>')
FRAME = f'<svg class="drift" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img">'
TICK = f'<path class="drift-target" d="M{WIDTH / 2:g} {MIDDLE - 6:g}V{MIDDLE + 6:g}"/>'


def drift_svg(weight, target, lower, upper, after=None, reach=10, name=""):
    """Draw one component; every figure in percent of V. The line's middle is the target.

    `reach` is how many percentage points the half line stands for: give all components of one account the same,
    so that equal distances mean equal drift. What lies beyond is drawn at the line's end. Unknown weight: no picture.
    A round green dot is inside the band, a red diamond outside; the hollow ring is the weight after the trades.
    """
    if weight is None or target is None:
        return NOT_KNOWN
    place = _scale(float(target), float(reach))
    parts = [
        _line(place(0.0), place(100.0)),
        _band(place(float(lower)), place(float(upper))),
        TICK,
        _dot(place(float(weight)), inside=lower <= weight <= upper),
    ]
    if after is not None:
        parts.append(f'<circle class="drift-after" cx="{place(float(after)):.1f}" cy="{MIDDLE:g}" r="4"/>')
    title, words = (escaped(text) for text in drift_words(weight, target, lower, upper, after, name))
    return mark_safe(f"{FRAME}<title>{title}</title><desc>{words}</desc>{''.join(parts)}</svg>")


def scale_of(distances: Iterable[Decimal]) -> Decimal:
    """The `reach` of pictures that are to be compared, in percentage points: a round number.

    `distances` are how far from its target each thing lies that they draw, weights and bounds alike. So nothing is
    beyond the line's end, and of the line there is more than of any band.
    """
    furthest = max(distances, default=Decimal(0)) * ROOM
    return next((reach for reach in REACHES if furthest <= reach), furthest)


def drift_words(weight, target, lower, upper, after=None, name=""):
    """The picture in words, title and description.

    Like "VTI 28.10 %, target 24.00 %, outside its band" and "band 23.00–25.00 %, after the trades 24.02 %".
    """
    side = "inside" if lower <= weight <= upper else "outside"
    title = f"{name} {percent_text(weight)}, target {percent_text(target)}, {side} its band".strip()
    band = f"band {band_text(lower, upper)}"
    return title, band if after is None else f"{band}, after the trades {percent_text(after)}"


def _scale(target, reach):
    half = WIDTH / 2 - MARGIN
    reach = reach if reach > 0 else 1.0

    def place(weight):
        return WIDTH / 2 + half * max(-1.0, min(1.0, (weight - target) / reach))

    return place


def _line(left, right):
    return f'<path class="drift-line" d="M{left:.1f} {MIDDLE:g}H{right:.1f}"/>'


def _band(left, right):
    width = max(right - left, 0)
    return f'<rect class="drift-band" x="{left:.1f}" y="{MIDDLE - 4:g}" width="{width:.1f}" height="8" rx="2"/>'


def _dot(x, inside):
    if inside:
        return f'<circle class="drift-in" cx="{x:.1f}" cy="{MIDDLE:g}" r="4"/>'
    return f'<path class="drift-out" d="M{x:.1f} {MIDDLE - 5:g}l5 5-5 5-5-5z"/>'
