"""Django admin through the test client: what it refuses, and that nothing changes behind the services' back."""

import re
from datetime import date

import pytest
from django.contrib import admin
from django.contrib.auth.hashers import check_password
from django.urls import reverse

from accounts.models import (
    Account,
    AuditLine,
    Component,
    Custodian,
    Firm,
    FirmVersion,
    Model,
    Portfolio,
    Price,
    Security,
    Sleeve,
    User,
)
from tests import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss():
    return make.administrator("boss")


@pytest.fixture
def office(client, boss):
    """The admin pages as an Administrator finds them."""
    client.force_login(boss)
    return Page(client)


class Page:
    def __init__(self, client):
        self.client = client

    def address(self, kind, change=None):
        name = f"admin:accounts_{kind}_{'change' if change else 'add'}"
        return reverse(name, args=[change] if change else [])

    def get(self, kind, change=None):
        response = self.client.get(self.address(kind, change))
        assert response.status_code == 200
        return response

    def save(self, kind, changes=None, rows=None, change=None, prefix=None):
        """Post the form as the browser would after these changes; `rows` are further rows of the inline `prefix`."""
        data = filled(self.get(kind, change)) | (changes or {})
        for row in rows or []:
            place = int(data[f"{prefix}-TOTAL_FORMS"])
            data[f"{prefix}-TOTAL_FORMS"] = place + 1
            data |= {f"{prefix}-{place}-{name}": value for name, value in row.items()}
        return self.client.post(self.address(kind, change), data)


def filled(response):
    """The data a browser would send back from an admin form without touching it."""
    formsets = [inline.formset for inline in response.context["inline_admin_formsets"]]
    found = [response.context["adminform"].form]
    found += [form for formset in formsets for form in [formset.management_form, *formset.forms]]
    data = {}
    for form in found:
        for field in form:
            value = field.value()
            if value is None or value is False:
                continue
            value = field.field.prepare_value(value)
            data[field.html_name] = "on" if value is True else value
            if field.field.show_hidden_initial:
                data[field.html_initial_name] = value
    return data


def errors(response):
    """All errors that a refused form shows, by field, over the form and its rows."""
    assert response.status_code == 200, response
    found = dict(response.context["adminform"].form.errors)
    for inline in response.context["inline_admin_formsets"]:
        if inline.formset.non_form_errors():
            found["rows"] = inline.formset.non_form_errors()
        for row in inline.formset.errors:
            found |= row
    return {field: " ".join(words) for field, words in found.items()}


def security_row(symbol, weight, **more):
    return {"kind": "security", "security": make.security(symbol).pk, "weight": weight, "band_kind": "relative",
            "triggers": "on", **more}  # fmt: skip


def cash_row(weight, **more):
    return {"kind": "cash", "weight": weight, "band_kind": "relative", "triggers": "on", **more}


def last_verbs():
    return list(AuditLine.objects.order_by("id").values_list("verb", flat=True))


# --- who gets in --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("person", [make.advisor, make.operations, lambda: make.person("staff only", is_active=True)])
def test_only_administrators_find_it(client, person):
    client.force_login(person())
    for address in (reverse("admin:index"), reverse("admin:accounts_portfolio_changelist"), "/admin/nothing/"):
        assert client.get(address).status_code == 404


def test_staff_alone_does_not_help(client):
    someone = make.operations("someone")
    User.objects.filter(pk=someone.pk).update(is_staff=True)
    client.force_login(someone)
    assert client.get(reverse("admin:index")).status_code == 404


def test_who_is_not_signed_in_is_sent_to_the_sign_in_page(client):
    response = client.get(reverse("admin:accounts_portfolio_changelist"), follow=False)
    assert response.status_code == 302
    there = client.get(response["Location"])
    assert there["Location"] == "/login/?next=/admin/accounts/portfolio/"


def test_the_title(office):
    response = office.client.get(reverse("admin:index"))
    assert "Rebalancer administration" in response.text


# --- no page breaks, or needs what the content security policy forbids ---------------------------------------------


@pytest.fixture
def book(boss):
    growth = make.model("Growth", VTI=100)
    target = make.portfolio("Balanced", [make.component(growth, 90)])
    account = make.account("A1", portfolio=target, advisor=make.advisor("anna"), household=make.household())
    make.lot(account, "VTI", 5, 50)
    make.restriction(account, "AGG", "no_buy")
    make.price("VTI", 0, state=Price.State.QUESTIONED)
    make.firm(name="Smith & Sons")
    return account


def own_models():
    return [model for model in admin.site._registry if model._meta.app_label in ("accounts", "tax")]


@pytest.mark.parametrize("model", own_models(), ids=lambda model: model._meta.model_name)
def test_every_page_opens_and_has_nothing_inline(book, office, model):
    listed = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    first = model.objects.first()
    addresses = [listed, f"{listed}?q=a", f"{listed}{first.pk}/change/", f"{listed}999999/change/", f"{listed}add/"]
    for address in addresses:
        response = office.client.get(address, follow=True)
        assert response.status_code in (200, 403), address
        assert "unsafe" not in response.headers.get("Content-Security-Policy", "")
        assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*json)", response.text), address
        assert not re.search(r"<style|\sstyle=|\son\w+=\"", response.text), address


def search_boxes(html):
    """The search boxes of a page, each as what it asks the server with."""
    tags = re.findall(r"<select[^>]*admin-autocomplete[^>]*>", html)
    names = ("app-label", "model-name", "field-name")
    return [{name.replace("-", "_"): re.search(f'data-{name}="([^"]*)"', tag)[1] for name in names} for tag in tags]


@pytest.mark.parametrize(
    ("kind", "boxes"),
    [("portfolio", {"security", "model"}), ("model", {"security"}),
     ("account", {"custodian", "advisor", "household", "portfolio", "security", "substitute"})],
)  # fmt: skip
def test_every_search_box_finds_what_is_there(book, office, kind, boxes):
    found = search_boxes(office.client.get(reverse(f"admin:accounts_{kind}_add")).text)
    assert {box["field_name"] for box in found} >= boxes
    for box in found:
        response = office.client.get(reverse("admin:autocomplete"), box | {"term": ""})
        assert response.status_code == 200, box
        assert response.json()["results"], box


# --- portfolios ---------------------------------------------------------------------------------------------------


def add_portfolio(office, rows, **fields):
    return office.save("portfolio", {"name": "P", **fields}, rows, prefix="components")


def test_a_portfolio_is_added_by_the_service(office, boss):
    response = add_portfolio(office, [security_row("VTI", "90"), cash_row("10")])
    assert response.status_code == 302
    portfolio = Portfolio.objects.get()
    version = portfolio.versions.get()
    assert (version.saved_by, portfolio.components.count()) == (boss, 2)
    assert "portfolio.saved" in last_verbs()


BAD_ROWS = {
    "99 %": (lambda: [security_row("VTI", "89"), cash_row("10")], "rows", "add up to 99 %"),
    "no cash": (lambda: [security_row("VTI", "100")], "rows", "exactly one cash component"),
    "two of cash": (lambda: [cash_row("60"), cash_row("40")], "rows", "this one has 2"),
    "twice": (
        lambda: [security_row("VTI", "40"), security_row("VTI", "50"), cash_row("10")], "security", "VTI is in the",
    ),
    "negative width": (
        lambda: [security_row("VTI", "90", threshold_lower="-1"), cash_row("10")], "threshold_lower", "greater than",
    ),
    "wide precision": (
        lambda: [security_row("VTI", "90", threshold_lower="2", precision_lower="3"), cash_row("10")],
        "precision_lower", "outside of the threshold",
    ),
    "security missing": (
        lambda: [security_row("VTI", "90", security=""), cash_row("10")], "security", "Choose the security",
    ),
    "not a number": (lambda: [security_row("VTI", "NaN"), cash_row("10")], "weight", "Enter a number"),
    "words": (lambda: [security_row("VTI", "lots"), cash_row("10")], "weight", "Enter a number"),
    "seven decimals": (lambda: [security_row("VTI", "90.0000001"), cash_row("10")], "weight", "6 decimal places"),
    "huge": (lambda: [security_row("VTI", "1" + "0" * 40), cash_row("10")], "weight", "digits"),
    "unknown security": (lambda: [security_row("VTI", "90", security="99999"), cash_row("10")], "security", "valid"),
    "unknown kind": (lambda: [security_row("VTI", "90", kind="bond"), cash_row("10")], "kind", "valid"),
    "nothing at all": (list, "rows", "add up to 0 %"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_bad_portfolio_shows_what_is_wrong_beside_the_field(office, case):
    rows, field, words = BAD_ROWS[case]
    assert words in errors(add_portfolio(office, rows()))[field]
    assert not Portfolio.objects.exists()


@pytest.mark.parametrize(("fields", "field", "words"), [
    ({"name": ""}, "name", "required"),
    ({"precision_percent": "30"}, "precision_percent", "outside of the threshold"),
    ({"threshold_percent": "-3"}, "threshold_percent", "greater than"),
    ({"name": "x" * 201}, "name", "at most 200"),
    ({"name": "nul\x00"}, "name", "Null characters"),
    ({"name": "A;B"}, "name", "It holds a ;, which stands between names."),
    ({"name": "A\tB"}, "name", "It holds a control character."),
])  # fmt: skip
def test_bad_settings_of_a_portfolio(office, fields, field, words):
    response = add_portfolio(office, [security_row("VTI", "90"), cash_row("10")], **fields)
    assert words in errors(response)[field]


def test_saving_unchanged_makes_no_version_and_a_change_makes_one(office):
    portfolio = make.portfolio("P", VTI=90)
    account = make.account(portfolio=portfolio)
    assert office.save("portfolio", change=portfolio.pk).status_code == 302
    assert portfolio.versions.count() == 1
    cash = Component.objects.get(kind="cash").pk
    prefix = next(key[:-3] for key, value in filled(office.get("portfolio", portfolio.pk)).items() if value == cash)
    other = "components-1" if prefix == "components-0" else "components-0"
    office.save("portfolio", {f"{prefix}-weight": "20", f"{other}-weight": "80"}, change=portfolio.pk)
    assert portfolio.versions.count() == 2
    account.refresh_from_db()
    assert account.check_wanted_at is not None


def test_two_rows_may_swap_their_securities_and_a_row_may_go(office):
    portfolio = make.portfolio("P", VTI=50, AGG=30)
    data = filled(office.get("portfolio", portfolio.pk))
    vti, agg = make.security("VTI").pk, make.security("AGG").pk
    places = {data.get(f"components-{n}-security"): n for n in range(3)}
    swap = {f"components-{places[vti]}-security": agg, f"components-{places[agg]}-security": vti}
    assert office.save("portfolio", swap, change=portfolio.pk).status_code == 302
    assert {str(one): int(one.weight) for one in portfolio.components.all()} == {"AGG": 50, "VTI": 30, "Cash": 20}
    data = filled(office.get("portfolio", portfolio.pk))
    places = {data.get(f"components-{n}-security"): n for n in range(3)}
    drop = {f"components-{places[vti]}-DELETE": "on", f"components-{places[agg]}-weight": "80"}
    assert office.save("portfolio", drop, change=portfolio.pk).status_code == 302
    assert {str(one): int(one.weight) for one in portfolio.components.all()} == {"AGG": 80, "Cash": 20}


def test_a_row_of_another_portfolio_is_not_changed_from_here(office):
    mine, other = make.portfolio("Mine", VTI=90), make.portfolio("Other", VTI=90)
    theirs = other.components.first().pk
    office.save("portfolio", {"components-0-id": theirs, "components-0-triggers": ""}, change=mine.pk)
    assert set(other.components.values_list("triggers", flat=True)) == {True}
    assert (mine.components.count(), other.components.count()) == (2, 2)


def test_a_damaged_form_is_refused_in_words(office):
    data = filled(office.get("portfolio")) | {"name": "P", "components-TOTAL_FORMS": "many"}
    response = office.client.post(office.address("portfolio"), data)
    assert "ManagementForm" in errors(response)["rows"]


@pytest.mark.parametrize("kind", ["portfolio", "model", "account", "firm", "price"])
def test_what_versions_and_batches_speak_of_is_not_deleted(office, book, kind):
    model = {"portfolio": Portfolio, "model": Model, "account": Account, "firm": Firm, "price": Price}[kind]
    first = model.objects.first()
    response = office.client.post(reverse(f"admin:accounts_{kind}_delete", args=[first.pk]), {"post": "yes"})
    assert response.status_code == 403
    assert model.objects.filter(pk=first.pk).exists()
    assert last_verbs()[-1] == "refused" or kind == "price"


# --- models, securities, firm -------------------------------------------------------------------------------------


def weight_row(symbol, weight):
    return {"security": make.security(symbol).pk, "weight": weight}


def test_a_model_is_added_with_its_sleeve(office):
    rows = [weight_row("VTI", "60"), weight_row("VXUS", "40")]
    assert office.save("model", {"name": "Growth"}, rows, prefix="weights").status_code == 302
    assert Sleeve.objects.get(kind="model").model.versions.count() == 1


@pytest.mark.parametrize("kind", ["model", "custodian", "household"])
def test_a_name_that_no_file_could_give(office, kind):
    rows = {"rows": [weight_row("VTI", "100")], "prefix": "weights"} if kind == "model" else {}
    assert "control character" in errors(office.save(kind, {"name": "A\x1bB"}, **rows))["name"]


@pytest.mark.parametrize(("rows", "field", "words"), [
    ([("VTI", "60")], "rows", "add up to 60 %"),
    ([("VTI", "60"), ("VTI", "40")], "security", "VTI is in the model twice"),
    ([("VTI", "100"), ("AGG", "0")], "weight", "greater than"),
    ([("SWEEP", "100")], "security", "a model holds no cash"),
])  # fmt: skip
def test_a_bad_model(office, rows, field, words):
    make.security("SWEEP", "sweep")
    response = office.save("model", {"name": "G"}, [weight_row(*row) for row in rows], prefix="weights")
    assert words in errors(response)[field]
    assert not Model.objects.exists()


def test_a_security_in_a_target_does_not_become_a_sweep(office):
    make.portfolio("P", VTI=90)
    security = make.security("VTI")
    response = office.save("security", {"kind": "sweep"}, change=security.pk)
    assert "hold no sweeps" in errors(response)["kind"]


def test_a_security_is_changed_and_checks_are_wanted(office):
    account = make.account(portfolio=make.portfolio("P", VTI=90))
    security = make.security("VTI")
    office.save("security", {"quantity_step": "0.001"}, change=security.pk)
    account.refresh_from_db()
    assert account.check_wanted_at is not None
    line = AuditLine.objects.get(verb="security.saved")
    assert (line.before, line.after) == ({"quantity_step": "1.000000"}, {"quantity_step": "0.001"})


def test_a_bad_step(office):
    response = office.save("security", {"symbol": "X", "name": "X", "kind": "etf", "quantity_step": "0"})
    assert "greater than" in errors(response)["quantity_step"]


def test_an_unused_security_is_deleted_with_a_line_and_a_used_one_is_not(office):
    unused, used = make.security("OLD"), make.security("VTI")
    make.portfolio("P", VTI=90)
    office.client.post(reverse("admin:accounts_security_delete", args=[unused.pk]), {"post": "yes"})
    office.client.post(reverse("admin:accounts_security_delete", args=[used.pk]), {"post": "yes"})
    assert set(Security.objects.values_list("symbol", flat=True)) == {"VTI"}
    assert AuditLine.objects.get(verb="security.deleted").before["symbol"] == "OLD"


def test_the_firm_has_one_page_and_saves_by_the_service(office):
    assert office.client.get("/admin/accounts/firm/")["Location"] == "/admin/accounts/firm/1/change/"
    assert office.client.get("/admin/accounts/firm/add/").status_code == 403
    assert office.save("firm", {"name": "Smith"}, change=1).status_code == 302
    assert FirmVersion.objects.first().content["name"] == "Smith"
    response = office.save("firm", {"precision_percent": "21", "time_zone": "Mars"}, change=1)
    assert "outside of the threshold" in errors(response)["precision_percent"]
    assert "no time zone" in errors(response)["time_zone"]


# --- prices -------------------------------------------------------------------------------------------------------


def test_questioned_prices_are_confirmed_and_rejected(office):
    good = make.price("VTI", 100, state=Price.State.QUESTIONED)
    zero = make.price("AGG", 0, state=Price.State.QUESTIONED)
    listed = reverse("admin:accounts_price_changelist")
    chosen = {"action": "confirm", "_selected_action": [good.pk, zero.pk]}
    response = office.client.post(listed, chosen, follow=True)
    told = [str(message) for message in response.context["messages"]]
    assert sorted(told) == ["1 confirmed.", "A price of 0 can't be used; reject it."]
    office.client.post(listed, {"action": "reject", "_selected_action": [zero.pk]})
    assert set(Price.objects.values_list("state", flat=True)) == {"confirmed", "rejected"}
    assert {"price.confirmed", "price.rejected"} <= set(last_verbs())


# --- accounts -----------------------------------------------------------------------------------------------------


def restriction_row(symbol, kind, substitute="", start="2026-01-01", end=""):
    return {"security": make.security(symbol).pk, "kind": kind, "start": start, "end": end, "initial-start": start,
            "substitute": substitute and make.security(substitute).pk}  # fmt: skip


def test_an_account_is_changed_by_the_service(office):
    target = make.portfolio("P", VTI=90)
    account = make.account("A1", rebalancing_on=False)
    changes = {"rebalancing_on": "on", "portfolio": target.pk, "linked_portfolios": [target.pk], "set_aside_cash": "50"}
    rows = [restriction_row("VTI", "substitute", "SCHB"), restriction_row("AGG", "no_sell", end="2026-12-31")]
    response = office.save("account", changes, rows, change=account.pk, prefix="restrictions")
    assert response.status_code == 302
    account.refresh_from_db()
    assert None not in (account.rebalancing_since, account.portfolio_since, account.check_wanted_at)
    assert list(account.linked_portfolios.all()) == [target]
    assert account.restrictions.get(security__symbol="AGG").end == date(2026, 12, 31)
    line = AuditLine.objects.get(verb="account.saved")
    assert line.after["portfolio"] == "P"
    assert len(line.after["restrictions"]) == 2
    Account.objects.update(check_wanted_at=None)
    office.save("account", change=account.pk)
    account.refresh_from_db()
    assert account.check_wanted_at is None
    assert AuditLine.objects.filter(verb="account.saved").count() == 1


@pytest.mark.parametrize(("rows", "field", "words"), [
    ([("VTI", "substitute")], "substitute", "Choose the security"),
    ([("VTI", "substitute", "VTI")], "substitute", "its own substitute"),
    ([("VTI", "substitute", "SWEEP")], "substitute", "is a sweep"),
    ([("VTI", "no_buy", "AGG")], "substitute", "Only a substitution"),
    ([("VTI", "no_buy"), ("VTI", "no_sell")], "security", "VTI is restricted twice"),
    ([("VTI", "substitute", "AGG"), ("AGG", "no_buy")], "substitute", "is itself restricted"),
    ([("VTI", "no_buy", "", "2026-02-01", "2026-01-31")], "end", "before the first"),
    ([("VTI", "no_buy", "", "soon")], "start", "valid date"),
])  # fmt: skip
def test_bad_restrictions(office, rows, field, words):
    make.security("SWEEP", "sweep")
    account = make.account("A1")
    rows = [restriction_row(*row) for row in rows]
    response = office.save("account", {}, rows, change=account.pk, prefix="restrictions")
    assert words in errors(response)[field]
    assert not account.restrictions.exists()


@pytest.mark.parametrize(("changes", "field", "words"), [
    ({"is_open": ""}, "rebalancing_on", "closed account"),
    ({"set_aside_cash": "-1"}, "set_aside_cash", "greater than"),
    ({"number": "A2"}, "number", "already exists"),
    ({"number": "A\x071"}, "number", "control character"),
    ({"name": "Ann\tLee"}, "name", "control character"),
    ({"custodian": ""}, "custodian", "required"),
    ({"tax_status": "free"}, "tax_status", "valid choice"),
    ({"last_rebalanced": "2026-13-01"}, "last_rebalanced", "valid date"),
])  # fmt: skip
def test_a_bad_account(office, changes, field, words):
    account = make.account("A1")
    make.account("A2")
    response = office.save("account", changes, change=account.pk)
    assert words in errors(response)[field]


def test_a_new_account_starts_its_switch_now(office):
    changes = {"number": "N1", "name": "New", "custodian": make.custodian().pk, "rebalancing_on": "on"}
    assert office.save("account", changes).status_code == 302
    account = Account.objects.get()
    assert account.rebalancing_since is not None
    assert account.check_wanted_at is not None


# --- people and the rest ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["abc", "\0", "9" * 25, "-1", "1,2"])
def test_an_id_that_is_none_chooses_nothing_and_is_named(office, value):
    asked = office.client.get(office.address("account"), {"portfolio": value, "custodian": value})
    assert asked.status_code == 200
    assert "portfolio" in errors(office.save("account", {"number": "Z1", "name": "Zoe", "portfolio": value}))
    assert not Account.objects.exists()
    row = {"security": value, "kind": "no_buy", "start": "2026-01-01"}
    assert "security" in errors(office.save("account", {"number": "Z1", "name": "Zoe"}, [row], prefix="restrictions"))


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("app_label=accounts&model_name=account&field_name=portfolio&term=%00", 400),
        ("app_label=accounts&model_name=account&field_name=portfolio&term=a&page=x", 404),
        ("app_label=accounts&model_name=account&field_name=cash&term=a", 403),
        ("app_label=x&model_name=y&field_name=z", 403),
        ("", 403),
    ],
)
def test_a_search_for_another_record_that_is_tampered_with_is_refused_in_words(office, query, status):
    answer = office.client.get(f"/admin/autocomplete/?{query}")
    assert answer.status_code == status
    assert "Nothing was" in answer.content.decode()


def test_a_person_is_added_with_roles(office):
    password = "a long enough 1"
    fields = {"username": "carol", "password1": password, "password2": password, "roles": ["Advisor", "Administrator"]}
    assert office.save("user", fields).status_code == 302
    carol = User.objects.get(username="carol")
    assert (carol.roles, carol.is_staff, carol.is_superuser) == ({"Advisor", "Administrator"}, True, False)
    assert check_password(password, carol.password)
    assert "password" not in AuditLine.objects.get(verb="user.saved").after


@pytest.mark.parametrize(("fields", "field"), [
    ({"username": "boss"}, "username"),
    ({"password2": "another"}, "password2"),
    ({"password1": "123", "password2": "123"}, "password2"),
    ({"roles": ["King"]}, "roles"),
])  # fmt: skip
def test_a_bad_person(office, fields, field):
    good = {"username": "carol", "password1": "a long enough 1", "password2": "a long enough 1"}
    assert field in errors(office.save("user", good | fields))


def test_a_role_taken_takes_staff_with_it(office):
    carol = make.administrator("carol")
    assert office.save("user", {"roles": ["Operations"]}, change=carol.pk).status_code == 302
    carol = User.objects.get(pk=carol.pk)
    assert (carol.roles, carol.is_staff) == ({"Operations"}, False)
    line = AuditLine.objects.get(verb="roles.changed")
    assert (line.before["roles"], line.after["roles"]) == (["Administrator"], ["Operations"])


@pytest.mark.parametrize("changes", [{"roles": []}, {"is_active": ""}])
def test_the_last_administrator_stays(office, boss, changes):
    assert "last active Administrator" in errors(office.save("user", changes, change=boss.pk))["roles"]


def test_a_password_set_by_an_administrator_leaves_a_line(office):
    carol = make.advisor("carol")
    data = {"password1": "a long enough 1", "password2": "a long enough 1", "usable_password": "true"}
    address = reverse("admin:auth_user_password_change", args=[carol.pk])
    assert office.client.post(address, data | {"set-password": "1"}).status_code == 302
    assert AuditLine.objects.get(verb="password.changed").object_name == "carol"


def test_a_custodian_is_added_renamed_and_deleted(office):
    office.save("custodian", {"name": "Fidelity"})
    row = Custodian.objects.get(name="Fidelity")
    office.save("custodian", {"name": "Schwab"}, change=row.pk)
    office.client.post(reverse("admin:accounts_custodian_delete", args=[row.pk]), {"post": "yes"})
    assert not Custodian.objects.exists()
    assert [verb for verb in last_verbs() if verb.startswith("custodian")] == [
        "custodian.saved", "custodian.saved", "custodian.deleted",
    ]  # fmt: skip


def test_a_custodian_with_accounts_is_not_deleted_even_in_bulk(office):
    row = make.account().custodian
    chosen = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    office.client.post(reverse("admin:accounts_custodian_changelist"), chosen)
    assert Custodian.objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize("kind", ["auditline", "portfolioversion", "modelversion", "firmversion", "position"])
def test_records_are_only_read(office, book, kind):
    model = next(model for model in own_models() if model._meta.model_name == kind)
    first = model.objects.first()
    for action in ("add", "change", "delete"):
        address = reverse(f"admin:accounts_{kind}_{action}", args=[] if action == "add" else [first.pk])
        assert office.client.post(address, {"post": "yes"}).status_code == 403
    assert model.objects.filter(pk=first.pk).exists()
