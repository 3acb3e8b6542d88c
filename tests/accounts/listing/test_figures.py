"""Figures as people read them, and drift as a picture."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.template import Context, Template
from django.utils import timezone

from accounts.listing import figures
from accounts.listing.drift import MARGIN, WIDTH, drift_svg, scale_of


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (figures.money_text(Decimal("1234.5")), "1,234.50"),
        (figures.money_text(Decimal("-612.4")), "(612.40)"),
        (figures.money_text(Decimal("-0.001")), "0.00"),
        (figures.money_text(0), "0.00"),
        (figures.money_text(None), "—"),
        (figures.money_text(0.125), "0.13"),
        (figures.money(Decimal(-3)), '<span class="neg">(3.00)</span>'),
        (figures.dollars_text(Decimal("-1.5")), "($1.50)"),
        (figures.short_dollars(Decimal("18412345")), "$18.4 M"),
        (figures.short_dollars(None), "$0"),
        (figures.count_text(1342), "1,342"),
        (figures.count_text(0), "0"),
        (figures.percent_text(Decimal("3.205")), "3.21\xa0%"),
        (figures.percent_text(Decimal("-3.2")), "−3.20\xa0%"),
        (figures.band_text(Decimal(8), Decimal(12)), "8.00–12.00\xa0%"),
        (figures.band_text(Decimal("0.048"), Decimal("0.052")), "0.0480–0.0520\xa0%"),
        (figures.band_text(None, None), "—"),
        (figures.points_text(Decimal("3.14")), "+3.1 pp"),
        (figures.points_text(Decimal("-1.8")), "−1.8 pp"),
        (figures.points_text(Decimal("-0.01")), "0.0 pp"),
        (figures.quantity_text(Decimal("1200.000000")), "1,200"),
        (figures.quantity_text(Decimal("0.125")), "0.125"),
        (figures.price_text(Decimal("98.420000")), "98.42"),
        (figures.price_text(Decimal("10.1234")), "10.1234"),
        (figures.day_text(date(2026, 11, 20)), "2026-11-20"),
        (figures.plural(1, "account"), "1 account"),
        (figures.plural(2, "entry", "entries"), "2 entries"),
    ],
)
def test_figures(shown, text):
    assert shown == text


def test_times_are_the_firms():
    with timezone.override(ZoneInfo("America/New_York")):
        assert figures.clock_text(datetime(2020, 7, 2, 1, 4, tzinfo=UTC)) == "2020-07-01 21:04 ET"
        assert figures.day_text(datetime(2020, 7, 2, 1, 4, tzinfo=UTC)) == "2020-07-01"
        assert figures.clock_text(timezone.now()).endswith(" ET")


def test_filters_in_templates():
    template = Template("{% load figures %}{{ gain|money }} {{ gain|plural:'trade' }} {{ nothing|percent }}")
    assert template.render(Context({"gain": -2, "nothing": None})) == '<span class="neg">(2.00)</span> −2 trades —'


PLACED = ("drift-out", "drift-after")


class TestDrift:
    def test_inside_and_outside_differ_in_shape_and_words(self):
        inside = drift_svg(Decimal(10), Decimal(10), Decimal(8), Decimal(12), name="VTI")
        outside = drift_svg(Decimal(13), Decimal(10), Decimal(8), Decimal(12), name="VTI")
        assert "drift-in" in inside
        assert "drift-out" not in inside
        assert "drift-out" in outside
        assert "<title>VTI 13.00\xa0%, target 10.00\xa0%, outside its band</title>" in outside
        assert "<desc>band 8.00–12.00\xa0%</desc>" in outside

    def test_a_weight_on_the_bound_is_inside(self):
        assert "drift-in" in drift_svg(Decimal(12), Decimal(10), Decimal(8), Decimal(12))

    def test_equal_drift_is_equally_far_whatever_the_target(self):
        def middle(weight, target):
            svg = drift_svg(Decimal(weight), Decimal(target), Decimal(0), Decimal(100), reach=5)
            return svg.split('class="drift-in" cx="')[1].split('"')[0]

        assert middle(12, 10) == middle(42, 40) != middle(41, 40)

    def test_wide_bands_and_far_drift_are_drawn_where_they_are(self):
        """BNDX of 35.40 %, band 28.32–42.48 %: before 18.18 %, after on the bound."""
        reach = scale_of([Decimal("7.08"), Decimal("17.22")])
        svg = drift_svg(
            Decimal("18.18"), Decimal("35.4"), Decimal("28.32"), Decimal("42.48"), Decimal("28.32"), reach=reach
        )
        before, after = (float(re.search(rf'class="{css}" [cd]x?="M?([\d.]+)', svg)[1]) for css in PLACED)
        band = re.search(r'x="([\d.]+)" y="6" width="([\d.]+)"', svg)
        assert MARGIN < before < after == float(band[1])
        assert float(band[2]) < WIDTH - 2 * MARGIN

    @pytest.mark.parametrize("far", ["0", "0.3", "2", "4.9", "17.22", "95", "181", "400"])
    def test_a_scale_goes_a_bit_beyond_what_lies_furthest(self, far):
        least, most = (max(Decimal(far) * Decimal(times), 2) for times in ("1.1", "2"))
        assert least <= scale_of([Decimal(far), Decimal("0.1")]) <= most
        assert scale_of([]) == 2

    def test_after_is_a_ring(self):
        svg = drift_svg(Decimal(13), Decimal(10), Decimal(8), Decimal(12), after=Decimal("10.1"))
        assert "drift-after" in svg
        assert "after the trades 10.10\xa0%" in svg

    def test_unknown_weight_has_no_picture(self):
        assert "<svg" not in drift_svg(None, Decimal(10), Decimal(8), Decimal(12))

    def test_names_are_escaped_and_no_style_is_inline(self):
        svg = drift_svg(Decimal(1), Decimal(1), Decimal(0), Decimal(2), name="<b>&")
        assert "<b>" not in svg
        assert "style" not in svg
