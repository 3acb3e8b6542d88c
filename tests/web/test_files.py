"""Fills that come back in a file, in a browser: sent, refused with every bad row named, taken, and taken once."""

from datetime import date
from decimal import Decimal

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import expect

from tests import factories as make
from trading.models import Order, OrderFile, Route
from trading.services import staging
from trading.states import OrderState, Side

pytestmark = pytest.mark.django_db(transaction=True)

HEADER = "client_order_id,execution_id,quantity,price,executed_at,status"
AT = "2026-11-20T10:00:00-05:00"


@pytest.fixture
def desk(sign_in):
    person = make.operations("olive", first_name="Olive", last_name="Ortega")
    sign_in(person)
    return person


@pytest.fixture
def ticket():
    """An order of 10 VTI that lies in Schwab's file."""
    route = Route.objects.create(custodian=make.custodian("Schwab"), broker="file")
    account = make.account("A1", custodian=route.custodian)
    part = staging.Part(account.pk, make.sleeve().pk, Decimal(10), [])
    block = staging.Block(make.security("VTI").pk, Side.BUY, Decimal(100), [part])
    made = staging.stage(label="Request 1", by=None, trade_date=date(2026, 11, 20), blocks=[block], moves=[])
    Order.objects.update(client_order_id="RB1", state=OrderState.WORKING)
    type(made).objects.update(confirmed_at=timezone.now())
    for kind in ("orders", "allocations"):
        OrderFile.objects.create(
            kind=kind, ticket=made, custodian=route.custodian, file_format="generic", name=f"RB1-{kind}.csv",
            text="client_order_id\r\nRB1\r\n", dropped_at=timezone.now(),
        )  # fmt: skip
    return made


def look(page, accessible):
    """At both widths, and in the dark, where only colours are others."""
    for width in (1440, 1024):
        page.set_viewport_size({"width": width, "height": 900})
        accessible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.emulate_media(color_scheme="dark")
    found = Axe().run(page, options={"runOnly": ["color-contrast"]}).response["violations"]
    assert not found, [node["html"] for rule in found for node in rule["nodes"][:5]]
    page.emulate_media(color_scheme="light")


def send(page, *rows):
    page.goto("/trading/fills/")
    page.get_by_label("Custodian").select_option("Schwab")
    content = "".join(f"{row}\r\n" for row in (HEADER, *rows))
    page.get_by_label("File of fills").set_input_files(
        {"name": "fills.csv", "mimeType": "text/csv", "buffer": content.encode()}
    )
    page.get_by_role("button", name="Read the file").click()
    expect(page.locator("h1")).to_contain_text("fills.csv")


def test_a_file_is_refused_corrected_taken_and_taken_once(page, desk, ticket, accessible):
    page.goto("/trading/fills/")
    look(page, accessible)
    send(page, f"RB1,X1,-10,99.5,{AT},filled")
    expect(page.get_by_role("row", name="quantity")).to_contain_text("is not above 0")
    look(page, accessible)
    send(page, f"RB1,X1,10,99.5,{AT},filled", f"RB-nobody,X2,1,9,{AT},")
    expect(page.get_by_text("2: 2 new, 0 told before")).to_be_visible()
    expect(page.get_by_role("row", name="RB-nobody")).to_contain_text("No order has the number RB-nobody.")
    look(page, accessible)
    assert Order.objects.get().state == OrderState.FILLED
    send(page, f"RB1,X1,10,99.5,{AT},filled", f"RB-nobody,X2,1,9,{AT},")
    expect(page.get_by_text("This file was read before: nothing has changed.")).to_be_visible()
    page.goto("/trading/fills/")
    expect(page.locator("tbody tr")).to_have_count(2)
    look(page, accessible)


def test_a_form_that_is_not_filled_in(page, desk, ticket, accessible, provoked):
    page.goto("/trading/fills/")
    page.get_by_role("button", name="Read the file").click()
    expect(page.get_by_role("alert")).to_contain_text("Choose a file.")
    look(page, accessible)
    provoked("400")


def test_with_nothing_by_file_the_page_says_what_to_do(page, desk, accessible):
    page.goto("/trading/fills/")
    expect(page.locator(".empty .hint")).to_contain_text("An Administrator sets a custodian's route")
    look(page, accessible)


def test_a_tickets_files_are_downloaded_from_its_last_page(page, desk, ticket, accessible):
    page.goto(f"/trading/tickets/{ticket.pk}/finish/")
    expect(page.get_by_role("heading", name="Files for Schwab")).to_be_visible()
    look(page, accessible)
    for name in ("RB1-orders.csv", "All orders as one file"):
        with page.expect_download() as download:
            page.get_by_role("link", name=name).click()
        assert download.value.path().read_text() == "client_order_id\nRB1\n"
