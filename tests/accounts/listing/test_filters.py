"""What filters understand, and that everything else is refused in words and never means "all"."""

import operator
import random
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

import pytest
from django.db.models import DecimalField, ExpressionWrapper, F
from django.http import QueryDict
from django.utils import timezone

from accounts.listing import figures
from accounts.listing.address import Address, term
from accounts.listing.filters import AmountFilter, FilterRefused, PercentFilter, PointsFilter, StrictFilterSet
from accounts.models import Account, Custodian

from .example import AccountFilters

pytestmark = pytest.mark.django_db


def filtered(*pairs, **more):
    return AccountFilters(QueryDict(urlencode(pairs)), Account.objects.order_by("number"), **more)


def numbers(filterset):
    return [account.number[-1] for account in filterset.strict_qs()]


@pytest.mark.parametrize(
    ("terms", "found"),
    [
        ([""], "012345"),
        (["cash:gte:1000"], "345"),
        (["cash:gte:$1,000.00"], "345"),
        (["cash:lte:0"], "01"),
        (["cash:is:500|1500"], "24"),
        (["cash:gte:0", "cash:lte:1000"], "123"),
        (["custodian:any:Fidelity"], "45"),
        (["custodian:any:Schwab|Fidelity", "tax_status:any:taxable"], "135"),
        (["custodian:any:Nobody"], ""),
        (["name:is:berg"], "1"),
        (["share:is:0"], "012345"),
        (["last_rebalanced:gte:2026-11-13"], "34"),
        (["rebalancing:is:no"], "0"),
        (["conditions:any:rich|first"], "345"),
    ],
)
def test_terms_and_across_or_inside(accounts, terms, found):
    filterset = filtered(*[("f", raw) for raw in terms])
    assert filterset.errors == []
    assert numbers(filterset) == list(found)


@pytest.mark.parametrize(
    "pairs",
    [
        [("f", "cash:gte:5k")],
        [("f", "cash:gte:")],
        [("f", "cash:gte")],
        [("f", "cash")],
        [("f", ":gte:5")],
        [("f", "cash:gt:5")],
        [("f", "cash:any:5")],
        [("f", "cash:gte:5|6")],
        [("f", "cash:is:5|5")],
        [("f", "cash:gte:NaN")],
        [("f", "cash:gte:1e3")],
        [("f", "cash:gte:1_000")],
        [("f", "cash:gte:٣")],
        [("f", "cash:gte:1,00")],
        [("f", "cash:gte:9999999999999999")],
        [("f", "lots:is:1.5")],
        [("f", "salary:gte:5")],
        [("f", "cash__gte:is:5")],
        [("f", "password:is:x")],
        [("f", "tax_status:any:nothing")],
        [("f", "tax_status:any:taxable|nothing")],
        [("f", "tax_status:gte:taxable")],
        [("f", "custodian:any:")],
        [("f", "name:is:")],
        [("f", "name:is:a\0b")],
        [("f", "last_rebalanced:gte:11/10/2026")],
        [("f", "last_rebalanced:gte:2026-02-30")],
        [("f", "checked:lte:9999-12-31")],
        [("f", "conditions:any:poor")],
        [("f", "cash:gte:5"), ("f", "cash:gte:5")],
        [("f", ""), ("f", "cash:gte:5")],
        [("tile", "nothing")],
        [("tile", "rich"), ("tile", "rich")],
        [("tile", "")],
        [("q", "a"), ("q", "b")],
        [("q", "x" * 201)],
        [("cash", "5")],
        [("cash__gte", "5")],
        [("F", "cash:gte:5")],
        [("selected", "1")],
        [("selected", "0")],
    ],
)
def test_what_is_not_understood_shows_words_and_no_rows(accounts, pairs):
    filterset = filtered(*pairs)
    assert not filterset.is_valid()
    assert all(words.strip() for words in filterset.errors)
    assert filterset.errors
    assert list(filterset.qs) == []
    with pytest.raises(FilterRefused):
        filterset.strict_qs()
    with pytest.raises(FilterRefused):
        filterset.counts()


def test_one_bad_part_spoils_the_good_ones(accounts):
    filterset = filtered(("f", "custodian:any:Schwab"), ("f", "cash:gte:5k"), ("tile", "rich"))
    assert list(filterset.qs) == []
    assert filterset.errors == ["Cash: “5k” is not an amount in dollars, like 10,000.00."]


def test_there_is_no_default_base():
    with pytest.raises(AssertionError):
        AccountFilters(QueryDict("f="), None)


def test_every_search_word_must_be_found(accounts):
    assert numbers(filtered(("q", "100 dun"))) == ["3"]
    assert numbers(filtered(("q", " "))) == list("012345")


def test_moments_are_days_of_the_firms_zone(accounts):
    late = datetime(2026, 11, 20, 3, 30, tzinfo=UTC)  # still the 19th in New York
    Account.objects.filter(number="1001").update(check_wanted_at=late)
    with timezone.override(ZoneInfo("America/New_York")):
        assert numbers(filtered(("f", "checked:is:2026-11-19"))) == ["1"]
        assert numbers(filtered(("f", "checked:lte:2026-11-19"))) == ["1"]
        assert numbers(filtered(("f", "checked:gte:2026-11-20"))) == []


def test_percentages_are_equal_as_shown(accounts):
    Account.objects.filter(number="1002").update(set_aside_cash="3.20")
    assert numbers(filtered(("f", "share:is:3.2%"))) == ["2"]


class Exact(StrictFilterSet):
    """Figures with six places, of which two or one are shown."""

    amount = AmountFilter("Amount", "exact")
    percent = PercentFilter("Percent", "exact")
    points = PointsFilter("Points", "exact")


@pytest.fixture
def exact():
    """Accounts with `exact`: around zero, and around the halves at which figures are rounded up."""
    draw = random.Random(7)
    near = [Decimal(n) / 100 for n in range(-20, 21)]
    cash = [draw.choice(near) + Decimal(draw.choice([-50, -1, 0, 1, 49, 50, 51])) / 10_000 for _ in range(300)]
    house = Custodian.objects.create(name="Schwab")
    rows = [Account(number=str(n), custodian=house, cash=one * 10_000) for n, one in enumerate(cash)]
    Account.objects.bulk_create(rows)
    value = ExpressionWrapper(F("cash") / 10_000, output_field=DecimalField(max_digits=20, decimal_places=6))
    return Account.objects.annotate(exact=value)


CONDITIONS = {"is": operator.eq, "gte": operator.ge, "lte": operator.le}


@pytest.mark.parametrize(("column", "places"), [("amount", 2), ("percent", 2), ("points", 1)])
def test_conditions_speak_of_figures_as_shown(exact, column, places):
    stored = dict(exact.values_list("pk", "exact"))
    draw = random.Random(11)
    for typed in [0, *(Decimal(draw.randint(-2200, 2200)) / 10_000 for _ in range(60))]:
        wanted = figures.rounded(Decimal(typed), places)
        for condition, holds in CONDITIONS.items():
            found = Exact(QueryDict(urlencode({"f": f"{column}:{condition}:{typed}"})), exact).strict_qs()
            shown = {pk for pk, value in stored.items() if holds(figures.rounded(value, places), wanted)}
            assert set(found.values_list("pk", flat=True)) == shown, (condition, typed)


@pytest.mark.parametrize(
    ("column", "typed", "value"),
    [
        ("amount", figures.money_text(Decimal(-100)), "-100.00"),
        ("amount", figures.dollars_text(Decimal("-1234.5")), "-1234.50"),
        ("amount", "1,234.50", "1234.50"),
        ("amount", "-$5", "-5.00"),
        ("amount", "$-5", "-5.00"),
        ("percent", figures.percent_text(Decimal("-3.2")), "-3.20"),
        ("points", figures.points_text(Decimal("-1.8")), "-1.8"),
        ("points", figures.points_text(Decimal("3.1")), "3.1"),
        ("points", "−5", "-5.0"),
    ],
)
def test_figures_are_understood_as_pages_write_them(column, typed, value):
    assert Exact.base_filters[column].read(typed) == Decimal(value)


@pytest.mark.parametrize("typed", ["(-5)", "((5))", "(5", "5)", "()", "--5", "-$-5", "−", "$", "%", "5 % %"])
def test_a_sign_too_many_is_no_figure(typed):
    filterset = Exact(QueryDict(urlencode({"f": f"amount:is:{typed}"})), Account.objects.all())
    assert not filterset.is_valid()


def test_what_is_typed_in_an_open_column_ignores_capitals(accounts):
    assert numbers(filtered(("f", "custodian:is:fIDELITY"))) == list("45")
    assert numbers(filtered(("f", "custodian:is:fidelity|SCHWAB"))) == numbers(
        filtered(("f", "custodian:any:Fidelity|Schwab"))
    )


def test_values_may_hold_the_signs_that_part_terms(accounts):
    Account.objects.filter(number="1001").update(custodian=Custodian.objects.create(name="A|B: 100%7C"))
    assert numbers(filtered(("f", term("custodian", "any", "A|B: 100%7C")))) == ["1"]


def test_tiles_count_what_a_click_would_show(accounts, django_assert_num_queries):
    filterset = filtered(("f", "custodian:any:Fidelity"), ("tile", "rich"))
    with django_assert_num_queries(1):
        counts = filterset.counts()
    assert counts["total"] == 2
    assert counts["tiles"] == {"first": (1, None), "rich": (2, 8500), "poor": (0, None), "off": (0, None)}
    for key, (count, _) in counts["tiles"].items():
        clicked = Address(filterset.data).plus("tile", key)
        assert AccountFilters(clicked.data(), Account.objects.all()).strict_qs().count() == count


def test_words_of_chips():
    words = [
        one.words
        for one in filtered(
            ("f", "cash:gte:10000"),
            ("f", "cash:lte:-1.50"),
            ("f", "tax_status:any:taxable|tax_exempt"),
            ("f", "conditions:any:rich"),
            ("f", "share:gte:3.2"),
            ("f", "last_rebalanced:is:2026-11-20"),
        ).terms
    ]
    assert words == [
        "Cash ≥ $10,000",
        "Cash ≤ ($1.50)",
        "Tax status is Taxable or Tax exempt",
        "Conditions is Rich",
        "Set aside ≥ 3.20\xa0%",
        "Last rebalanced is 2026-11-20",
    ]


class TestAddress:
    def at(self, query):
        return Address(QueryDict(query))

    def test_a_link_takes_one_filter_off_and_the_page_number(self):
        start = self.at("f=cash:gte:5&f=cash:lte:9&tile=rich&page=4&sort=cash")
        assert start.without("f", "cash:gte:5").query() == "f=cash%3Alte%3A9&tile=rich&sort=cash"

    def test_taking_the_last_one_off_is_not_an_empty_address(self):
        assert self.at("f=cash:gte:5").without("f", "cash:gte:5").query() == "f="
        assert self.at("").filter_query() == "f="

    def test_adding_ends_no_filter(self):
        assert self.at("f=&per=25").plus("f", "a:is:1").query() == "per=25&f=a%3Ais%3A1"

    def test_a_tile_toggles(self):
        assert self.at("tile=a&tile=b").toggled("tile", "a").query() == "tile=b"
        assert self.at("tile=b").toggled("tile", "a").query() == "tile=b&tile=a"

    def test_page_and_selection_are_not_remembered(self):
        assert self.at("f=&page=2&selected=1&q=").remembered() == ""
        assert self.at("tile=a&page=2&sort=-cash").remembered() == "tile=a&sort=-cash"

    def test_values_survive_the_address(self):
        raw = term("name", "is", "a|b&c=d%7C")
        assert self.at(f"f={quote(raw)}").values("f") == [raw]
