"""Bands as a picture: threshold, precision within and target of a component, on one scale for a whole portfolio."""

from django.utils.html import format_html

from .figures import percent_text

WIDTH, HEIGHT, MARGIN = 240, 20, 6
MIDDLE = HEIGHT / 2


def bands_svg(weight, bounds, reach, name):
    """Draw the bands of one component; weight, bounds (lower, upper, fit_lower, fit_upper) and reach in percent of V.

    The line goes from 0 % to `reach`: give all components of a portfolio the same, so that they can be compared. The
    wide bar is the threshold, the dark one within it the precision, the tick the target.
    """
    return format_html(
        '<svg class="drift bands" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img"><title>{title}</title>'
        '<desc>{words}</desc><path class="drift-line" d="M{left} {m}H{right}"/>{threshold}{precision}'
        '<path class="drift-target" d="M{x} {top}V{bottom}"/></svg>',
        w=WIDTH, h=HEIGHT, m=f"{MIDDLE:g}", left=MARGIN, right=WIDTH - MARGIN, x=_place(weight, reach),
        top=f"{MIDDLE - 7:g}", bottom=f"{MIDDLE + 7:g}", title=f"{name}: target {percent_text(weight)}",
        words=bands_words(bounds), threshold=_bar("drift-band", bounds.lower, bounds.upper, reach, 10),
        precision=_bar("bands-fit", bounds.fit_lower, bounds.fit_upper, reach, 6),
    )  # fmt: skip


def bands_words(bounds):
    """The picture's text alternative: "threshold 48.00% to 72.00%, precision 57.60% to 62.40%"."""
    lower, upper, fit_lower, fit_upper = map(
        percent_text, (bounds.lower, bounds.upper, bounds.fit_lower, bounds.fit_upper)
    )
    return f"threshold {lower} to {upper}, precision {fit_lower} to {fit_upper}"


def _place(weight, reach):
    """Where a weight lies on the line, as the SVG writes it."""
    share = min(float(weight) / float(reach), 1.0)
    return f"{MARGIN + share * (WIDTH - 2 * MARGIN):.1f}"


def _bar(css, lower, upper, reach, height):
    left, right = float(_place(lower, reach)), float(_place(upper, reach))
    return format_html(
        '<rect class="{}" x="{}" y="{}" width="{}" height="{}" rx="2"/>',
        css, f"{left:.1f}", f"{MIDDLE - height / 2:g}", f"{max(right - left, 1):.1f}", height,
    )  # fmt: skip
