"""The Rebalance Center in a browser: from a status to a portfolio, its accounts and a request; what is sold first."""

import re
from decimal import Decimal

import pytest
from playwright.sync_api import expect

from accounts.models import Account
from rebalancer.models import Batch, Check
from rebalancer.services import checks
from rebalancer.states import Logic
from tests import factories as make
from tests.web.conftest import arrived
from trading import sessions

pytestmark = pytest.mark.django_db(transaction=True)

KEPT = "Object.keys(sessionStorage).filter((name) => name.startsWith('picks:'))"
REQUEST = re.compile(r"Request \d+ · Rebalancer")


@pytest.fixture
def desk():
    return make.operations("olive")


@pytest.fixture
def book():
    """Three accounts out of tolerance, one far off that was rebalanced before, one to be liquidated."""
    make.price("VTI", 100)
    make.price("AGG", 50)
    balanced = make.portfolio("Balanced", VTI=60, AGG=38)
    delivered = {"delivered_for": sessions.last_completed_session()}
    for number, fields in {
        "1000": {}, "1001": {}, "1002": {"rebalancing_on": False}, "1003": {"last_rebalanced": sessions.today()},
        "1004": {"portfolio": None},
    }.items():  # fmt: skip
        account = make.account(number, cash=Decimal(5000), **{"portfolio": balanced} | delivered | fields)
        make.lot(account, "VTI", 750, cost=60000)
        make.lot(account, "AGG", 400, cost=22000)
    checks.analyse()


def status(page, name):
    return page.locator(".tile").filter(has=page.get_by_text(name, exact=True))


def test_from_a_status_to_a_request(page, sign_in, desk, book, accessible, screenshot):
    sign_in(desk)
    page.goto("/rebalancer/")
    page.get_by_role("link", name="Trading").click()
    expect(page).to_have_title("Out of Tolerance · Rebalance Center · Rebalancer")
    expect(status(page, "Out of Tolerance").locator(".tile-count")).to_have_text("3")
    screenshot("center")
    page.get_by_role("link", name="Rebalance Balanced").click()
    arrived(page, "Balanced · Out of Tolerance · Rebalancer")
    expect(page.locator(".pager-count")).to_have_text("1–3 of 3")
    page.locator("#pick-page").check()
    page.get_by_role("button", name="Select all 3 accounts that match").click()
    page.get_by_label("Trade logic").select_option("Min Transaction")
    accessible()
    screenshot("center-accounts")
    page.get_by_role("button", name="Create").click()
    arrived(page, REQUEST)
    batch = Batch.objects.get()
    expect(page.locator("h1")).to_have_text(f"Request {batch.pk}")
    message = page.get_by_role("status").first
    expect(message).to_contain_text("was opened for 2 accounts")
    message.get_by_text("1 account left out").click()
    expect(message.get_by_role("listitem")).to_have_text("1002 Account 1002: rebalancing is off")
    assert (batch.logic, batch.total) == (Logic.MIN_TRANSACTION, 2)


def test_a_reason_is_acknowledged_from_its_row(page, sign_in, desk, book, accessible):
    sign_in(desk)
    page.goto("/trading/rebalance/need-extra-attention/")
    page.get_by_role("link", name="Rebalance Balanced").click()
    arrived(page, "Balanced · Need Extra Attention · Rebalancer")
    opener = page.get_by_role("link", name="Acknowledge of 1003")
    opener.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading")).to_have_text("1003 Account 1003: Need Extra Attention")
    accessible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(opener).to_be_focused()
    opener.click()
    dialog.get_by_label("VTI 15 points above its target").uncheck()
    dialog.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_role("status").first).to_contain_text("acknowledged “AGG 18 points below its target”")
    assert len(Check.objects.get(account__number="1003").acknowledged) == 1


def test_a_liquidation_is_confirmed_by_what_it_sells(page, sign_in, desk, book, accessible):
    sign_in(desk)
    page.goto("/trading/rebalance/")
    status(page, "Liquidation").click()
    page.get_by_role("link", name="Liquidate No portfolio").click()
    arrived(page, "No portfolio · Liquidation · Rebalancer")
    page.get_by_role("checkbox", name=re.compile("Select 1004")).check()
    page.get_by_role("button", name="See what would be sold").click()
    arrived(page, re.compile("Liquidate"))
    expect(page.locator("h1")).to_have_text("Liquidate 1 account?")
    expect(page.locator(".panel")).to_contain_text("2 holdings would be sold for about $95,000.00")
    accessible()
    assert len(page.evaluate(KEPT)) == 1
    page.get_by_role("button", name="Liquidate 1 account").click()
    arrived(page, REQUEST)
    assert page.evaluate(KEPT) == []
    batch = Batch.objects.get()
    expect(page.locator("h1")).to_have_text(f"Request {batch.pk}")
    assert batch.logic == Logic.LIQUIDATE
    assert list(Account.objects.filter(entries__batch=batch).values_list("number", flat=True)) == ["1004"]
