"""Portfolios, models and firm settings: what is refused, what makes a version, whose checks are wanted."""

from decimal import Decimal

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import InternalError, connection, transaction

from accounts.models import Account, AuditLine, Component, Firm, FirmVersion, Model, ModelWeight, Portfolio, Sleeve
from accounts.services import firms, portfolios
from tests import factories as make

pytestmark = pytest.mark.django_db


def wanted():
    """Numbers of the accounts whose check is wanted; forgets them."""
    numbers = set(Account.objects.filter(check_wanted_at__isnull=False).values_list("number", flat=True))
    Account.objects.update(check_wanted_at=None)
    return numbers


def fields_refused(save, *args):
    with pytest.raises(ValidationError) as refused:
        save(*args, by=None)
    return set(refused.value.message_dict)


def component(held="VTI", weight=90, **widths):
    return [make.component(held, weight, **widths), make.component("cash", 100 - weight)]


# --- what is refused ----------------------------------------------------------------------------------------------

REFUSED = {
    "99 %": (lambda: [make.component("VTI", 89), make.component("cash", 10)], {"weight"}),
    "a millionth too much": (lambda: [make.component("VTI", "90.000001"), make.component("cash", 10)], {"weight"}),
    "no cash": (lambda: [make.component("VTI", 100)], {"kind"}),
    "cash twice": (lambda: [make.component("cash", 60), make.component("cash", 40)], {"kind"}),
    "a security twice": (
        lambda: [make.component("VTI", 40), make.component("VTI", 50), make.component("cash", 10)],
        {"security"},
    ),
    "a sweep": (lambda: component(make.security("SWVXX", "sweep")), {"security"}),
    "negative weight": (
        lambda: [make.component("VTI", 110), make.component("AGG", -20), make.component("cash", 10)],
        {"weight"},
    ),
    "negative width": (lambda: component(threshold_lower=-1), {"threshold_lower"}),
    "precision wider below": (lambda: component(threshold_lower=2, precision_lower=3), {"precision_lower"}),
    "precision wider above": (lambda: component(threshold_upper=2, precision_upper=3), {"precision_upper"}),
    "default precision wider than the threshold": (lambda: component(threshold_upper=3), {"precision_upper"}),
    "absolute threshold inside of the default precision": (
        lambda: component(threshold_lower=3, band_kind="absolute"),
        {"precision_lower"},
    ),
    "absolute precision outside of the default threshold": (
        lambda: component(precision_upper=19, band_kind="absolute"),
        {"precision_upper"},
    ),
    "zero cash, absolute threshold inside of its precision": (
        lambda: [
            make.component("VTI", 100),
            make.component("cash", 0, threshold_upper="0.4", band_kind="absolute"),
        ],
        {"precision_upper"},
    ),
    "more than six decimals": (lambda: component(weight=Decimal("89.1234567")), {"weight"}),
    "not a number": (lambda: component(weight=Decimal("NaN")), {"weight"}),
    "a kind without what it names": (
        lambda: [Component(kind="security", weight=Decimal(90)), make.component("cash", 10)],
        {"security"},
    ),
    "cash with a security": (
        lambda: [Component(kind="cash", weight=Decimal(100), security=make.security("VTI"))],
        {"security"},
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_portfolio_is_refused_with_the_field_named_and_nothing_is_kept(case):
    components, fields = REFUSED[case]
    assert fields_refused(portfolios.save_portfolio, Portfolio(name="P"), components()) == fields
    assert not Portfolio.objects.exists()
    assert not AuditLine.objects.exists()


def test_the_same_model_twice_is_refused():
    growth = make.model("Growth", VTI=100)
    rows = [make.component(growth, 50), make.component(growth, 50), make.component("cash", 0)]
    assert fields_refused(portfolios.save_portfolio, Portfolio(name="P"), rows) == {"model"}


@pytest.mark.parametrize("widths", [
    {},
    {"threshold_lower": 4, "threshold_upper": 4},  # just as wide as the default precision
    {"threshold_lower": 0, "threshold_upper": 0, "precision_lower": 0, "precision_upper": 0},
    {"threshold_lower": 95, "precision_lower": 91, "band_kind": "absolute"},  # both reach 0 %
    {"triggers": False},
])  # fmt: skip
def test_good_bands_are_taken(widths):
    assert portfolios.save_portfolio(Portfolio(name="P"), component(**widths), by=None).number == 1


def test_a_precision_setting_outside_of_the_threshold_setting_is_refused():
    rows = component()
    assert fields_refused(portfolios.save_portfolio, Portfolio(name="P", threshold_percent=3), rows) == {
        "threshold_percent"
    }
    wide = Portfolio(name="P", precision_percent=21)
    assert fields_refused(portfolios.save_portfolio, wide, rows) == {"precision_percent"}


def test_a_second_portfolio_of_the_same_name_is_refused():
    make.portfolio("P", VTI=90)
    assert fields_refused(portfolios.save_portfolio, Portfolio(name="P"), component()) == {"name"}


@pytest.mark.parametrize(("weights", "fields"), [
    ({"VTI": 60}, {"weight"}),
    ({"VTI": 60, "VXUS": "40.000001"}, {"weight"}),
    ({"VTI": 100, "VXUS": 0}, {"weight"}),
    ({}, {"weight"}),
])  # fmt: skip
def test_a_bad_model_is_refused(weights, fields):
    with pytest.raises(ValidationError) as refused:
        make.model("Growth", **weights)
    assert set(refused.value.message_dict) == fields
    assert not Sleeve.objects.filter(kind="model").exists()


def test_a_model_holds_no_sweep_and_nothing_twice():
    make.security("SWVXX", "sweep")
    with pytest.raises(ValidationError, match="sweep"):
        make.model("Growth", VTI=60, SWVXX=40)
    twice = [ModelWeight(security=make.security("VTI"), weight=50) for _ in range(2)]
    assert fields_refused(portfolios.save_model, Model(name="G"), twice) == {"security"}


@pytest.mark.parametrize(("setting", "value"), [
    ("precision_percent", 21),
    ("zero_cash_precision", 2),
    ("threshold_percent", -1),
    ("time_zone", "Mars/Olympus"),
    ("price_jump_percent", 0),
    ("price_age_sessions", 31),
    ("delivery_age_sessions", 20000),
])  # fmt: skip
def test_bad_firm_settings_are_refused(setting, value):
    with pytest.raises(ValidationError) as refused:
        make.firm(**{setting: Decimal(value) if isinstance(value, int) else value})
    assert set(refused.value.message_dict) == {setting}
    assert not FirmVersion.objects.filter(number=2).exists()


@pytest.mark.parametrize("role", [make.advisor, make.operations])
def test_only_administrators_configure_and_the_attempt_is_kept(role):
    person, portfolio = role(), make.portfolio("P", VTI=90)
    for save, obj, rows in [
        (portfolios.save_portfolio, portfolio, [component("AGG")]),
        (portfolios.save_model, Model(name="M"), [[]]),
        (firms.save_firm, Firm.current(), []),
    ]:
        with pytest.raises(PermissionDenied):
            save(obj, *rows, by=person)
        line = AuditLine.objects.first()
        assert (line.verb, line.by, line.object_name) == ("refused", person, str(obj))
    assert portfolio.versions.count() == 1


# --- versions -----------------------------------------------------------------------------------------------------


def test_each_change_makes_a_version_and_an_unchanged_save_makes_none():
    portfolio = make.portfolio("P", VTI=90)
    first = portfolio.versions.get()
    assert portfolios.save_portfolio(portfolio, component(), by=None) is None
    second = portfolios.save_portfolio(portfolio, component(triggers=False), by=None)
    assert (second.number, second.target_digest) == (2, first.target_digest)  # no weight has changed
    third = portfolios.save_portfolio(portfolio, component(weight=80), by=None)
    assert third.number == 3
    assert third.target_digest != first.target_digest
    first.refresh_from_db()
    assert [row["weight"] for row in first.content["components"]] == ["10", "90"]


def test_rows_in_another_order_are_no_change():
    portfolio = make.portfolio("P", VTI=45, AGG=45)
    rows = [make.component("cash", "10.00"), make.component("AGG", "45.0"), make.component("VTI", 45)]
    assert portfolios.save_portfolio(portfolio, rows, by=None) is None


def test_a_version_holds_the_models_weights_and_the_defaults_of_then():
    growth = make.model("Growth", VTI=60, VXUS=40)
    portfolio = make.portfolio("P", [make.component(growth, 50)], settings={"precision_percent": Decimal(2)}, AGG=40)
    content = portfolio.versions.get().content
    assert content["models"] == {
        "Growth": [{"symbol": "VTI", "weight": "60"}, {"symbol": "VXUS", "weight": "40"}]
    }
    assert content["defaults"]["threshold"] == "20"
    assert content["defaults"]["precision"] == "2"
    assert content["settings"]["threshold_percent"] is None


def test_a_models_change_makes_a_version_of_each_portfolio_that_uses_it():
    growth = make.model("Growth", VTI=60, VXUS=40)
    using = make.portfolio("Using", [make.component(growth, 90)])
    other = make.portfolio("Other", VTI=90)
    for number, portfolio in [("1", using), ("2", other), ("3", None)]:
        make.account(number, portfolio=portfolio)
    wanted()
    digest = using.versions.get().target_digest
    make.model("Growth", VTI=60, VXUS=40)
    assert (growth.versions.count(), using.versions.count(), wanted()) == (1, 1, set())
    make.model("Growth", VTI=61, VXUS=39)
    assert (growth.versions.count(), using.versions.count(), other.versions.count()) == (2, 2, 1)
    assert using.versions.first().target_digest != digest
    assert wanted() == {"1"}


def test_a_model_gets_its_sleeve_once():
    growth = make.model("Growth", VTI=100)
    make.model("Growth", AGG=100)
    assert Sleeve.objects.filter(model=growth).count() == 1


def test_a_firm_default_makes_a_firm_version_and_one_of_each_portfolio_it_counts_for():
    following = make.portfolio("Following", VTI=90)
    own = make.portfolio("Own", settings={"threshold_percent": Decimal(10)}, VTI=90)
    make.account("1", portfolio=following)
    make.account("2")
    make.account("closed", is_open=False)
    wanted()
    make.firm(threshold_percent=Decimal(30))
    assert [row.content["threshold_percent"] for row in FirmVersion.objects.all()] == ["30", "20"]
    assert (following.versions.count(), own.versions.count()) == (2, 1)
    assert following.versions.first().target_digest == following.versions.last().target_digest
    assert wanted() == {"1", "2"}
    make.firm(threshold_percent=Decimal(30))
    assert FirmVersion.objects.count() == 2
    assert wanted() == set()


def test_a_setting_that_no_check_rests_on_wants_no_check():
    make.account()
    wanted()
    make.firm(name="Smith & Sons")
    assert wanted() == set()


def test_the_audit_line_says_what_was_and_what_is():
    person, portfolio = make.administrator(), make.portfolio("P", VTI=90)
    portfolio.name = "Q"
    portfolios.save_portfolio(portfolio, component(), by=person)
    line = AuditLine.objects.first()
    assert (line.verb, line.by, line.object_kind, line.object_id) == (
        "portfolio.saved", person, "portfolio", str(portfolio.pk),
    )  # fmt: skip
    assert (line.before, line.after) == ({"name": "P"}, {"name": "Q"})


@pytest.mark.parametrize("table", [
    "accounts_auditline", "accounts_firmversion", "accounts_modelversion", "accounts_portfolioversion",
])  # fmt: skip
@pytest.mark.parametrize("change", ["UPDATE {} SET id = id + 1000", "DELETE FROM {}"])
def test_records_are_neither_changed_nor_deleted(table, change):
    make.portfolio("P", [make.component(make.model("M", VTI=100), 90)])
    make.firm(name="Smith")
    with pytest.raises(InternalError, match="records"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change.format(table))
