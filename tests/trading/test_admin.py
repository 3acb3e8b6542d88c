"""Django admin of the market: settings and routes through their services, orders only to be looked at."""

import re
from datetime import date
from decimal import Decimal

import pytest
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditLine
from accounts.services.refusals import Refused
from tests import factories as make
from tests.accounts.test_admin import errors, filled
from trading.models import Fill, MarketSettings, Order, OrderFile, Route
from trading.services import quotes, staging
from trading.services import settings as services
from trading.states import FillState, Side

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss():
    return make.administrator("boss")


@pytest.fixture
def office(client, boss):
    client.force_login(boss)
    return client


def save(client, address, **changes):
    """Post an admin form as the browser would after these changes."""
    return client.post(address, filled(client.get(address)) | changes)


def lines():
    found = AuditLine.objects.exclude(verb="person.signed_in").order_by("id")
    return list(found.values_list("verb", "before", "after"))


MARKET = "/admin/trading/marketsettings/1/change/"


# --- pages ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def order():
    """An order by file, staged, with a fill and a file."""
    route = Route.objects.create(custodian=make.custodian("Schwab"), broker="file")
    account = make.account(custodian=route.custodian)
    part = staging.Part(account.pk, make.sleeve().pk, Decimal(10), [])
    block = staging.Block(make.security("VTI").pk, Side.BUY, Decimal(100), [part])
    ticket = staging.stage(label="T", by=None, trade_date=date(2026, 11, 20), blocks=[block], moves=[])
    OrderFile.objects.create(kind="orders", ticket=ticket, custodian=route.custodian, name="x.csv", text="a")
    Fill.objects.create(
        broker="file", execution_id="E1", client_order_id="RB1", quantity=1, price=1, at=timezone.now(),
        state=FillState.QUESTIONED,
    )  # fmt: skip
    return Order.objects.get()


def models():
    return [model for model in admin.site._registry if model._meta.app_label == "trading"]


@pytest.mark.parametrize("model", models(), ids=lambda model: model._meta.model_name)
def test_every_page_opens_and_has_nothing_inline(order, office, model):
    listed = reverse(f"admin:trading_{model._meta.model_name}_changelist")
    first = model.objects.first()
    for address in (listed, f"{listed}?q=a", f"{listed}{first.pk}/change/", f"{listed}999/change/", f"{listed}add/"):
        response = office.get(address, follow=True)
        assert response.status_code in (200, 403), address
        assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*json)", response.text), address
        assert not re.search(r"<style|\sstyle=|\son\w+=\"", response.text), address


@pytest.mark.parametrize("kind", ["ticket", "order", "fill", "orderfile"])
def test_orders_are_only_looked_at(order, office, kind):
    model = {one._meta.model_name: one for one in models()}[kind]
    address = f"/admin/trading/{kind}/{model.objects.first().pk}/"
    assert office.get(f"{address}change/").status_code == 200
    assert office.post(f"{address}change/", {"state": "filled"}).status_code == 403
    assert office.post(f"{address}delete/", {"post": "yes"}).status_code == 403
    assert office.get(f"/admin/trading/{kind}/add/").status_code == 403


@pytest.mark.parametrize("person", [make.advisor, make.operations])
def test_nobody_else_finds_it(client, person):
    client.force_login(person())
    assert client.get(MARKET).status_code == 404
    assert client.get("/admin/trading/route/").status_code == 404


# --- market settings ------------------------------------------------------------------------------------------------


def test_settings_are_saved_with_an_audit_line(office):
    assert save(office, MARKET, paper_speed="60", paper_outage="on").status_code == 302
    market = MarketSettings.current()
    assert (market.paper_speed, market.paper_outage) == (60, True)
    assert lines() == [
        ("marketsettings.saved", {"paper_speed": 1, "paper_outage": False}, {"paper_speed": 60, "paper_outage": True})
    ]


def test_what_has_not_changed_leaves_no_line(office):
    assert save(office, MARKET).status_code == 302
    assert lines() == []


def test_what_a_worker_notes_meanwhile_stays(boss):
    settings = MarketSettings.current()
    MarketSettings.objects.update(feed_trouble="no answer")
    settings.paper_speed = 5
    assert services.save_market(settings, by=boss)
    assert MarketSettings.current().feed_trouble == "no answer"


@pytest.mark.parametrize(
    ("set_to", "asked"),
    [({"feed": "yahoo"}, True), ({"feed": "file", "feed_file": "/srv/prices.csv"}, True), ({"paper_seed": 8}, False)],
)
def test_another_feed_is_asked_at_once(boss, set_to, asked):
    MarketSettings.objects.update(quotes_asked_at=timezone.now(), feed_trouble="Since 10:00: no answer")
    settings = MarketSettings.current()
    for name, value in set_to.items():
        setattr(settings, name, value)
    assert services.save_market(settings, by=boss)
    market = MarketSettings.current()
    assert (market.quotes_asked_at is None, market.feed_trouble == "") == (asked, asked)
    assert quotes.refresh_due() is asked


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"feed": "file"}, "feed_file", "needs the path of a prices.csv"),
        ({"feed": "file", "feed_file": "prices.csv"}, "feed_file", "Write the whole path"),
        ({"refresh_seconds": "1"}, "refresh_seconds", "greater than or equal to 5"),
        ({"paper_rejects": "101"}, "paper_rejects", "less than or equal to 100"),
        ({"paper_speed": "0"}, "paper_speed", "greater than or equal to 1"),
        ({"feed": "nothing"}, "feed", "not one of the available choices"),
    ],
)
def test_settings_that_make_no_sense(office, changes, field, words):
    found = errors(save(office, MARKET, **changes))
    assert list(found) == [field]
    assert words in found[field]
    assert lines() == []


def test_there_is_one_market(office):
    assert office.get("/admin/trading/marketsettings/")["Location"] == MARKET
    assert office.get("/admin/trading/marketsettings/add/").status_code == 403
    assert office.post("/admin/trading/marketsettings/1/delete/", {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("person", [make.advisor, make.operations])
def test_only_administrators_set_the_market(person):
    with pytest.raises(PermissionDenied):
        services.save_market(MarketSettings.current(), by=person())
    assert lines()[-1][0] == "refused"


# --- routes ---------------------------------------------------------------------------------------------------------

ADD = "/admin/trading/route/add/"


def test_a_route_is_added_changed_and_deleted(office, tmp_path):
    schwab = make.custodian("Schwab")
    response = save(office, ADD, custodian=schwab.pk, broker="file", file_format="generic", folder=f" {tmp_path} ")
    assert response.status_code == 302
    route = Route.objects.get()
    assert (route.custodian, route.broker, route.folder) == (schwab, "file", str(tmp_path))
    address = f"/admin/trading/route/{route.pk}/"
    assert save(office, f"{address}change/", file_format="fidelity").status_code == 302
    assert office.post(f"{address}delete/", {"post": "yes"}).status_code == 302
    assert not Route.objects.exists()
    assert [verb for verb, *_ in lines()] == ["route.saved", "route.saved", "route.deleted"]
    assert lines()[1][1:] == ({"file_format": "generic"}, {"file_format": "fidelity"})


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("relative/path", "Write the whole path"),
        ("{there}/nothing", "There is no folder"),
        ("{there}/file", "There is no folder"),
    ],
)
def test_a_folder_that_can_take_no_files(office, tmp_path, folder, words):
    (tmp_path / "file").touch()
    custodian = make.custodian("Schwab").pk
    found = errors(save(office, ADD, custodian=custodian, broker="file", folder=folder.format(there=tmp_path)))
    assert list(found) == ["folder"]
    assert words in found["folder"]
    assert not Route.objects.exists()


def test_the_service_refuses_what_the_form_does(boss):
    with pytest.raises(ValidationError) as refused:
        services.save_route(Route(custodian=make.custodian(), broker="file", folder="/no/such/folder"), by=boss)
    assert "folder" in refused.value.message_dict


def test_a_custodian_has_one_route(office, order):
    found = errors(save(office, ADD, custodian=order.custodian_id, broker="paper"))
    assert "already exists" in found["custodian"]


def test_a_route_that_confirmed_orders_still_need(office, boss, order):
    route = Route.objects.get()
    type(order.ticket).objects.update(confirmed_at=timezone.now())
    found = errors(save(office, f"/admin/trading/route/{route.pk}/change/", broker="paper"))
    assert "1 confirmed order is still to be written" in found["broker"]
    answer = office.post(f"/admin/trading/route/{route.pk}/delete/", {"post": "yes"}, follow=True)
    assert "can&#x27;t be deleted" in answer.text
    with pytest.raises(Refused):
        services.delete_route(route, by=boss)
    assert Route.objects.exists()


@pytest.mark.parametrize("person", [make.advisor, make.operations])
def test_only_administrators_route(person, order):
    route = Route.objects.get()
    with pytest.raises(PermissionDenied):
        services.save_route(route, by=person())
    with pytest.raises(PermissionDenied):
        services.delete_route(route, by=person())
    assert Route.objects.exists()


def test_what_the_roles_may():
    may = {name: make.person(name, name).get_all_permissions() for name in ("Advisor", "Operations", "Administrator")}
    assert "trading.change_marketsettings" in may["Administrator"]
    assert {"trading.add_route", "trading.delete_route"} <= may["Administrator"]
    assert not any("route" in one and "view" not in one for one in may["Advisor"] | may["Operations"])
    assert all("trading.view_fill" in one for one in may.values())
    assert "trading.view_orderfile" not in may["Advisor"]
