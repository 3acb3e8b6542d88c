"""Every page of the Rebalancer, full, empty and saying no, at 1440 and 1024 px: axe finds nothing serious, nothing but
tables scrolls sideways, and no list is empty without saying what to do.
"""

import re
from decimal import Decimal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from accounts.models import Account, Delivery, DeliveryFile, RunRecord
from rebalancer.services import batches, checks
from tests import factories as make
from tests.rebalancer.conftest import again, opened, pending
from trading import sessions

pytestmark = pytest.mark.django_db(transaction=True)

EMPTY = {
    "/rebalancer/": "There are no accounts yet.",
    "/rebalancer/pending/": "No request is waiting for approval.",
    "/rebalancer/history/": "No request has ended yet.",
    "/clients/accounts/": "There are no accounts yet.",
    "/trading/rebalance/": "There are no accounts yet.",
    "/trading/orders/": "No order was staged yet.",
    "/trading/orders/questioned/": "Every fill that a broker reported belongs to an order, or was put aside.",
    "/trading/breaks/": "No break is unresolved",
    "/prices/questioned/": "No price is questioned.",
    "/portfolios/": "There are no portfolios yet.",
    "/models/": "There are no models yet.",
}
WIDTHS = (1440, 1024)


@pytest.fixture
def desk():
    return make.operations("olive", first_name="Olive", last_name="Ortega")


@pytest.fixture
def firm(desk):
    """Accounts in the queue, a request that is pending, one at work and one that was cancelled."""
    make.price("VTI", 100)
    make.price("AGG", 50)
    balanced = make.portfolio("Balanced", VTI=60, AGG=38)
    accounts = [
        make.account(f"10{index:02d}", name=f"Client {index} Trust", portfolio=balanced, cash=Decimal(9000),
                     delivered_for=sessions.last_completed_session())
        for index in range(6)
    ]  # fmt: skip
    for account in accounts:
        make.lot(account, "VTI", 750, cost=60000)
        make.lot(account, "AGG", 400, cost=22000)
    make.account("1099", name="Nobody", rebalancing_on=False, cash=Decimal(100))
    checks.analyse()
    first, ended = pending(desk, *accounts[:2]), pending(desk, accounts[2])
    batches.cancel(ended, by=desk)
    return again(first), opened(desk, accounts[3]).batch, again(ended)


def look(page, accessible):
    """What is on the screen now: at both widths, and in the dark, where only colours are others."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        accessible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.emulate_media(color_scheme="dark")
    found = Axe().run(page, options={"runOnly": ["color-contrast"]}).response["violations"]
    assert not found, f"{page.url} in the dark: {[node['html'] for rule in found for node in rule['nodes'][:5]]}"
    page.emulate_media(color_scheme="light")


@pytest.fixture
def records():
    """Addresses of the records of a run that failed and of a delivery of which a file was refused."""
    day = sessions.last_completed_session()
    run = RunRecord.objects.create(
        kind=RunRecord.Kind.PRICES, business_day=day, state=RunRecord.State.FAILED, errors=["no feed"]
    )
    delivery = Delivery.objects.create(session=day, origin="book")
    for name, problems in (("cash.csv", [[3, "amount", "abc", "is no amount"]]), ("lots.csv", [])):
        state = DeliveryFile.State.REFUSED if problems else DeliveryFile.State.TAKEN
        DeliveryFile.objects.create(delivery=delivery, name=name, state=state, rows=4, problems=problems)
    return [f"/runs/{run.pk}/", f"/deliveries/{delivery.pk}/"]


def test_pages_with_something_on_them(page, sign_in, desk, firm, accessible, records):
    sign_in(desk)
    pending_one, _, ended = firm
    requests = [f"/rebalancer/requests/{batch.pk}/" for batch in firm]
    entry, core = pending_one.entries.first(), make.model("Core", AGG=60, VTI=40)
    for address in (
        "/", *records, "/rebalancer/?f=", "/rebalancer/?f=&add=portfolio", "/rebalancer/?f=cash:gte:5k",
        "/rebalancer/?f=&page=99", "/rebalancer/?f=number:is:nobody", "/rebalancer/pending/?f=",
        "/rebalancer/history/?f=", *requests,
        f"/rebalancer/requests/{pending_one.pk}/accounts/{entry.pk}/",
        *(f"{address}analysis/" for address in requests), f"{requests[0]}analysis/accounts/?f=",
        f"/rebalancer/pending/{pending_one.pk}/approve/", f"/rebalancer/pending/{ended.pk}/cancel/",
        "/trading/rebalance/", f"/trading/rebalance/out-of-tolerance/{entry.portfolio_id}/?f=",
        "/trading/rebalance/no-portfolio/?f=", f"/trading/rebalance/accounts/{entry.account_id}/",
        "/trading/orders/?f=", "/trading/orders/questioned/?f=",
        "/portfolios/?f=", "/models/?f=", f"/portfolios/{entry.portfolio_id}/", f"/models/{core.pk}/",
        f"/portfolios/{entry.portfolio_id}/versions/1/", f"/portfolios/{entry.portfolio_id}/changes/",
    ):  # fmt: skip
        page.goto(address)
        expect(page.locator("h1")).to_have_count(1)
        look(page, accessible)


def test_the_pages_of_an_account(page, sign_in, desk, firm, accessible, provoked):
    """One with a restriction, a flat position, a lot of unknown cost and another portfolio to choose; and off."""
    account = Account.objects.get(number="1005")
    account.linked_portfolios.set([make.portfolio("Growth", VTI=90, AGG=8)])
    held = make.restriction(account, "VTI", "no_sell")
    make.lot(account, "AGG", 10, cost=None, sleeve_of="protected")
    Account.objects.filter(pk=account.pk).update(rebalancing_on=False)
    sign_in(desk)
    own = f"/clients/accounts/{account.pk}/"
    for address in (
        "/clients/accounts/?f=", "/clients/accounts/?f=state:any:closed", own, f"{own}lots/?f=",
        f"{own}transactions/?f=", f"{own}rebalance/", f"{own}portfolio/", f"{own}switch/", f"{own}set-aside/",
        f"{own}restrictions/{held.pk}/", f"{own}restrictions/{held.pk}/lift/",
    ):  # fmt: skip
        page.goto(address)
        expect(page.locator("h1")).to_have_count(1)
        look(page, accessible)
    page.goto(f"{own}restrictions/add/")
    page.get_by_role("button", name="Save restriction").click()
    expect(page.get_by_role("alert").first).to_be_visible()
    look(page, accessible)
    provoked("400")


def test_pages_with_nothing_on_them_say_what_to_do(page, sign_in, desk, accessible):
    sign_in(desk)
    for address, words in EMPTY.items():
        page.goto(address)
        expect(page.locator(".empty")).to_contain_text(words)
        expect(page.locator(".empty .hint")).not_to_be_empty()
        look(page, accessible)


def test_pages_that_say_no(page, sign_in, desk, firm, accessible, provoked):
    sign_in(desk)
    page.goto("/rebalancer/requests/999999/")
    look(page, accessible)
    page.goto("/rebalancer/?f=")
    page.locator("#pick-page").check()
    page.get_by_role("button", name=re.compile("Select all")).click()
    page.locator("#selection [name=shown]").evaluate("field => { field.value = '7' }")
    page.get_by_role("button", name="Generate Proposed Trades").click()
    expect(page.get_by_role("alert")).to_contain_text("7 shown, 3 now. Nothing was done.")
    look(page, accessible)
    page.goto("/rebalancer/?f=")
    page.locator("#pick-page").check()
    page.locator("#selection [name=ids]").evaluate("field => { field.value = 'all' }")
    page.get_by_role("button", name="Generate Proposed Trades").click()
    expect(page.get_by_role("alert")).to_contain_text("The selection was not understood.")
    look(page, accessible)
    provoked("404", "409", "400")
