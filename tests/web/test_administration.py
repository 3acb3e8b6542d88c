"""Django admin in a browser, under the product's content security policy: the console has to stay clean."""

import pytest
from playwright.sync_api import expect

from accounts.models import Portfolio
from tests import factories as make

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def boss(sign_in):
    boss = make.administrator("boss")
    sign_in(boss)
    return boss


def test_a_portfolio_is_put_together_and_told_what_is_wrong(page, boss):
    make.security("VTI")
    page.goto("/admin/accounts/portfolio/add/")
    page.fill("#id_name", "Balanced")
    page.get_by_text("Add another Component").click()
    page.locator("#components-0 .field-security .select2-selection").click()
    page.locator(".select2-search__field").fill("VT")
    page.locator(".select2-results__option", has_text="VTI").click()
    page.fill("#id_components-0-weight", "90")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("exactly one cash component")).to_be_visible()
    expect(page.get_by_text("add up to 90 %")).to_be_visible()
    page.get_by_text("Add another Component").click()
    page.select_option("#id_components-1-kind", "cash")
    page.fill("#id_components-1-weight", "10")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".messagelist .success")).to_contain_text("was added successfully")
    assert {str(one): int(one.weight) for one in Portfolio.objects.get().components.all()} == {"VTI": 90, "Cash": 10}


@pytest.mark.parametrize("address", [
    "/admin/", "/admin/accounts/account/", "/admin/accounts/account/add/", "/admin/accounts/firm/1/change/",
    "/admin/accounts/price/", "/admin/accounts/user/add/", "/admin/accounts/auditline/",
    "/admin/trading/marketsettings/1/change/", "/admin/trading/route/add/", "/admin/trading/order/",
])  # fmt: skip
def test_pages_leave_the_console_clean(page, boss, address):
    make.account("A1", portfolio=make.portfolio("P", VTI=90))
    page.goto(address)
    assert "Rebalancer administration" in page.title()
