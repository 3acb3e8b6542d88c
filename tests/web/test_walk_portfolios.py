"""Changing a portfolio in a browser, with a worker: typed, refused, corrected, confirmed, its accounts in the queue."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from playwright.sync_api import expect

from accounts.models import Account
from rebalancer import selectors
from rebalancer.services import checks
from rebalancer.states import Source
from tests import factories as make
from tests.processes import eventually
from tests.web.conftest import arrived
from trading import sessions

pytestmark = pytest.mark.django_db(transaction=True)

LONG_AGO = datetime(2026, 5, 4, 15, tzinfo=UTC)


@pytest.fixture
def mixed():
    """60 % VTI, 38 % of a model, 2 % cash; three accounts in balance are held to it, one with rebalancing off."""
    for symbol, value in (("VTI", 100), ("AGG", 50), ("VXUS", 40)):
        make.price(symbol, value)
    bonds = make.model("Core Bonds", AGG=100)
    portfolio = make.portfolio("Mixed", [make.component("VTI", 60), make.component(bonds, 38)])
    for number in ("1001", "1002", "1003"):
        account = make.account(
            number, portfolio=portfolio, cash=Decimal(2000), rebalancing_on=number != "1003",
            last_rebalanced=LONG_AGO.date(), last_rebalanced_at=LONG_AGO, rebalanced_to=portfolio.versions.first(),
            rebalancing_since=LONG_AGO - timedelta(days=1), delivered_for=sessions.last_completed_session(),
        )  # fmt: skip
        make.lot(account, "VTI", 600, cost=50_000)
        make.lot(account, "AGG", 760, cost=38_000, sleeve_of=bonds)
    checks.analyse()
    return portfolio


def weight(page, held):
    """The weight beside what is held."""
    rows = page.locator("[data-rows] tr")
    return next(row.locator(".weight") for row in rows.all() if row.locator(".held").input_value() == held)


def sources():
    return set(selectors.in_queue(Account.objects.all()).values_list("number", "check_row__source"))


def test_edit_confirm_and_the_queue(page, worker, mixed, sign_in, accessible, screenshot, provoked):
    sign_in(make.administrator("adele", first_name="Adele", last_name="Admin"))
    page.goto("/portfolios/?f=")
    screenshot("portfolios")
    page.get_by_role("link", name="Mixed").click()
    arrived(page, "Mixed · Rebalancer")
    expect(page.get_by_role("img", name="VTI: target 60.00 %")).to_be_visible()
    screenshot("portfolio")
    page.get_by_role("link", name="Edit portfolio").click()
    arrived(page, "Edit Mixed · Rebalancer")

    together = page.locator("tfoot")
    expect(together).to_contain_text("That is exactly 100 %.")
    weight(page, "VTI").fill("54.9")
    expect(together).to_contain_text("94.9 %")
    page.get_by_role("button", name="Add a row").click()
    expect(page.locator("[data-rows] tr")).to_have_count(5)
    added = page.locator("[data-rows] tr").last
    expect(added.locator(".held")).to_be_focused()
    added.locator(".held").fill("VXUS")
    added.locator(".weight").fill("5")
    expect(together).to_contain_text("99.9 %")
    expect(together).to_contain_text("0.1 % missing to 100 %.")
    accessible()
    page.get_by_role("button", name="Check and see what it does").click()
    expect(page.get_by_role("alert")).to_contain_text("Weight: The weights add up to 99.9 %")
    provoked("400")
    page.wait_for_load_state()
    accessible()
    screenshot("portfolio-refused")
    assert weight(page, "VXUS").input_value() == "5"

    weight(page, "VTI").fill("55")
    expect(together).to_contain_text("That is exactly 100 %.")
    page.get_by_role("button", name="Check and see what it does").click()
    arrived(page, "Save Mixed? · Rebalancer")
    expect(page.locator(".outcome")).to_have_text(re.compile("2 accounts to the queue as Target Update"))
    accessible()
    screenshot("portfolio-confirmed")
    page.get_by_role("button", name="Back to editing").click()
    arrived(page, "Edit Mixed · Rebalancer")
    assert weight(page, "VXUS").input_value() == "5"
    page.get_by_role("button", name="Check and see what it does").click()
    page.get_by_role("button", name="Save, and send 2 accounts to the queue").click()
    arrived(page, "Mixed · Rebalancer")
    expect(page.locator("#messages")).to_contain_text("Mixed is saved as version 2.")

    eventually(lambda: sources() == {("1001", Source.TARGET_UPDATE), ("1002", Source.TARGET_UPDATE)})
    page.get_by_role("link", name="in the queue").click()
    arrived(page, "Accounts to Rebalance · Rebalancer")
    rows = page.locator("#listing tbody tr")
    expect(rows).to_have_count(2)
    for place in (0, 1):
        expect(rows.nth(place)).to_contain_text("Target Update")


def test_rows_are_taken_out_and_sums_are_exact(page, mixed, sign_in):
    """Three thirds of a percent with six decimals are no whole, whatever a float thinks of it."""
    sign_in(make.administrator("adele"))
    page.goto(f"/portfolios/{mixed.pk}/edit/")
    together = page.locator("tfoot")
    weight(page, "VTI").fill("59.999999")
    expect(together).to_contain_text("99.999999 %")
    expect(together).to_contain_text("0.000001 % missing to 100 %.")
    weight(page, "VTI").fill("sixty")
    expect(together).to_contain_text("One weight is no number")
    weight(page, "VTI").fill("98")
    expect(together).to_contain_text("38 % above 100 %.")
    page.locator("[data-rows] tr").filter(has=page.locator("[value='Core Bonds']")).locator("[data-drop-row]").click()
    expect(together).to_contain_text("That is exactly 100 %.")
    page.get_by_role("button", name="Check and see what it does").click()
    arrived(page, "Save Mixed? · Rebalancer")
    expect(page.locator("table")).to_contain_text("Removed")
