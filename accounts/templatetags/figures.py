"""Figures in templates: {{ entry.gain|money }}, {{ weight|percent }}, {{ batch.opened_at|clock }}."""

from django import template

from accounts.listing import figures
from accounts.listing.bands import bands_svg
from accounts.listing.drift import drift_svg

register = template.Library()

register.filter("money", figures.money)
register.filter("dollars", figures.dollars_text)
register.filter("count", figures.count_text)
register.filter("percent", figures.percent_text)
register.filter("points", figures.points_text)
register.filter("quantity", figures.quantity_text)
register.filter("price", figures.price_text)
register.filter("sleeve", lambda sleeve: figures.sleeve_text(str(sleeve)))
register.filter("day", figures.day_text)
register.filter("clock", figures.clock_text)
register.filter("moment", figures.moment_text)
register.filter("plural", figures.plural)
register.simple_tag(figures.band_text, name="band")
register.simple_tag(drift_svg, name="drift")
register.simple_tag(bands_svg, name="bands")
