"""From an approved request to filled orders: preview, Confirm, Finish, in a browser."""

import re
from decimal import Decimal

import pytest
from playwright.sync_api import expect

from accounts.models import Account, Position
from rebalancer.models import Batch
from rebalancer.services import batches
from tests import factories as make
from tests.rebalancer.conftest import again, as_seen, drifted, pending
from tests.web.conftest import arrived
from tests.web.test_every_page import look
from trading.models import Allocation, MarketSettings, Order
from trading.services import market_days, watching

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk():
    return make.operations("olive", first_name="Olive", last_name="Ortega")


@pytest.fixture
def ann():
    return make.advisor("ann")


@pytest.fixture
def batch(desk, ann):
    make.price("VTI", 100, source="simulated")
    make.price("AGG", 50, source="simulated")
    make.price("QQQ", 600, source="simulated")
    balanced = make.portfolio("Balanced", VTI=60, AGG=30, QQQ=8)
    accounts = [
        drifted(balanced, f"7712-{number:04d}", advisor=ann if number < 3 else None, name=f"Client {number} Trust")
        for number in range(1, 6)
    ]
    market_days.keep_days()
    market = {"paper_always_open": True, "paper_speed": 10_000, "paper_latency": 0, "paper_outage": False}
    MarketSettings.objects.update_or_create(pk=1, defaults=market)
    return pending(desk, *accounts)


@pytest.fixture
def staged(batch, desk):
    batches.approve(batch, by=desk, **as_seen(batch))
    assert batches.finish_approval(batch.pk)
    return again(batch)


def worked(rounds=6):
    """What the beat has workers do every few seconds."""
    for _ in range(rounds):
        watching.watch()


def test_from_the_analysis_to_the_end(page, sign_in, desk, batch, accessible, screenshot):
    sign_in(desk)
    page.goto(f"/rebalancer/requests/{batch.pk}/analysis/")
    page.get_by_role("link", name="Create Order").click()
    page.get_by_role("dialog").get_by_role("button", name="Approve 5 accounts").click()
    arrived(page, re.compile(f"Request {batch.pk}"))
    expect(page.get_by_text("the orders are being staged")).to_be_visible()
    assert batches.finish_approval(batch.pk)
    page.reload()
    page.get_by_role("link", name="Open order ticket").click()
    page.get_by_role("link", name=re.compile("Transmit all")).click()
    arrived(page, re.compile("Preview"))
    accessible()
    screenshot("preview")
    page.get_by_role("button", name=re.compile(r"Confirm \d orders")).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("5 accounts")
    accessible()
    screenshot("preview-confirm")
    page.clock.install()
    dialog.get_by_role("button", name=re.compile("Confirm")).click()
    arrived(page, re.compile("Finish"))
    expect(page.get_by_text("Under way")).to_be_visible()
    accessible()
    screenshot("finish-begun")
    worked()
    page.clock.run_for(2500)
    expect(page.get_by_text("filled and booked in 5 accounts.")).to_be_visible()
    accessible()
    screenshot("finish-done")
    assert not Allocation.objects.filter(is_open=True).exists()
    page.get_by_role("link", name=f"Request {batch.pk}", exact=True).click()
    arrived(page, re.compile(f"Request {batch.pk}"))
    page.locator("details.orders summary").click()
    expect(page.get_by_text("confirmed")).to_be_visible()
    screenshot("request-orders")
    account = Account.objects.get(number="7712-0001")
    held = Position.objects.get(account=account, security__symbol="AGG").quantity
    page.goto(f"/clients/accounts/{account.pk}/")
    expect(page.get_by_role("main")).to_contain_text(f"{held:,.0f}")


def test_what_stands_in_the_way_and_how_it_is_left_out(page, sign_in, desk, staged, accessible, screenshot):
    Account.objects.filter(number="7712-0004").update(cash=Decimal(4000))
    make.price("VTI", 104)
    sign_in(desk)
    page.goto(f"/trading/tickets/{staged.ticket_id}/preview/")
    expect(page.get_by_text("7712-0004 Client 4 Trust: cash $5,000.00 → $4,000.00")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Confirm"))).to_be_disabled()
    look(page, accessible)
    screenshot("preview-refused")
    page.get_by_role("button", name="Leave 1 account out").click()
    arrived(page, re.compile("Preview"))
    expect(page.get_by_text("1 account left out of the ticket.")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Confirm"))).to_be_enabled()
    screenshot("preview-left-out")


def test_an_advisor_looks_on(page, sign_in, ann, staged, accessible, screenshot):
    sign_in(ann)
    page.goto(f"/trading/tickets/{staged.ticket_id}/preview/")
    expect(page.get_by_text("Operations transmits: your role looks on.", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Confirm"))).to_be_disabled()
    accessible()
    page.goto(f"/rebalancer/requests/{staged.pk}/?f=")
    expect(page.get_by_role("link", name="Order ticket")).to_be_visible()
    accessible()


def test_a_page_that_is_closed_loses_nothing(page, sign_in, desk, staged, accessible, screenshot):
    sign_in(desk)
    page.goto(f"/trading/tickets/{staged.ticket_id}/preview/")
    page.get_by_role("button", name=re.compile(r"Confirm \d orders")).click()
    page.get_by_role("dialog").get_by_role("button", name=re.compile("Confirm")).click()
    arrived(page, re.compile("Finish"))
    page.goto("/")
    Order.objects.filter(security__symbol="AGG").update(trouble="The paper market does not answer.")
    page.goto(f"/trading/tickets/{staged.ticket_id}/finish/")
    screenshot("finish-trouble")
    look(page, accessible)
    page.goto("/")
    worked()
    page.goto(f"/trading/tickets/{staged.ticket_id}/finish/")
    expect(page.get_by_text("filled and booked in 5 accounts.")).to_be_visible()
    assert Batch.objects.get(pk=staged.pk).ticket.confirmed_by == desk
