"""An account in a browser, with a worker: from the queue to its page, a change with the status that follows, and its
own Rebalance button to a request of one.
"""

import re
from decimal import Decimal

import pytest
from playwright.sync_api import expect

from rebalancer.models import Batch
from rebalancer.services import checks
from tests import factories as make
from trading import sessions

pytestmark = pytest.mark.django_db(transaction=True)

WORKED = 60_000  # ms that a worker may take


@pytest.fixture
def ann():
    return make.person("ann", "Advisor", "Operations", first_name="Ann", last_name="Osei")


@pytest.fixture
def account(ann):
    make.price("VTI", 100)
    make.price("AGG", 50)
    balanced, growth = make.portfolio("Balanced", VTI=60, AGG=38), make.portfolio("Growth", VTI=90, AGG=8)
    row = make.account(
        "1001", name="Alder Family Trust", portfolio=balanced, linked=[balanced, growth], advisor=ann,
        cash=Decimal(5000), delivered_for=sessions.last_completed_session(), household=make.household("Alder"),
    )  # fmt: skip
    make.lot(row, "VTI", 750, cost=60000)
    make.lot(row, "AGG", 400, cost=22000)
    checks.analyse()
    return row


def test_from_the_queue_over_a_change_to_a_request_of_one(page, worker, account, ann, sign_in, provoked):
    sign_in(ann)
    page.goto("/rebalancer/?f=")
    page.get_by_role("link", name="1001").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("1001 · Alder Family Trust")
    status = page.locator("#account-status")
    expect(status).to_contain_text("Cash 2.6 % above its 2.4 % ceiling")

    page.get_by_role("link", name="Change set-aside cash").click()
    amount = page.get_by_label("Set-aside cash, in dollars")
    amount.fill("three thousand")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_have_text("This is not an amount, like 10,000.00.")
    expect(amount).to_have_attribute("aria-invalid", "true")
    provoked("400")
    amount.fill("4,000")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#messages")).to_contain_text("$4,000.00 is set aside.")
    expect(status).to_contain_text("Cash 0.56 % below its 1.6 % floor", timeout=WORKED)
    expect(status).not_to_contain_text("being checked again", timeout=WORKED)

    page.get_by_role("link", name="Rebalance", exact=True).click()
    page.get_by_label("Growth").check()
    page.get_by_label("Min Transaction").check()
    page.get_by_role("button", name="Open a request of 1 account").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("Request "))
    batch = Batch.objects.get()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Request {batch.pk}")
    expect(page.locator(".titlerow .state").first).to_have_text("Pending Approval", timeout=WORKED)
    expect(page.locator("#listing tbody tr")).to_have_count(1)
    page.get_by_role("link", name="Alder Family Trust").click()
    expect(page.locator(".facts.record")).to_contain_text("Balanced")
    expect(page.get_by_role("region", name="Requests")).to_contain_text("Growth")
    expect(page.get_by_role("button", name="Rebalance")).to_be_disabled()


def test_the_list_is_searched_by_household_from_the_keyboard(page, account, ann, sign_in):
    other = make.account("1002", name="Berg IRA", advisor=ann)
    sign_in(ann)
    page.goto("/clients/accounts/")
    expect(page.locator("#listing tbody tr")).to_have_count(2)
    page.keyboard.press("/")
    page.keyboard.type("alder")
    expect(page.locator("#listing tbody tr")).to_have_count(1)
    expect(page.locator(f"#row-{other.pk}")).to_have_count(0)
    page.get_by_role("link", name="1001").press("Enter")
    expect(page.get_by_role("region", name="Positions")).to_contain_text("outside threshold")
