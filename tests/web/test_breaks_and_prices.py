"""What waits for somebody of Operations, in a browser: breaks, questioned prices and fills, an order without an end."""

import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.core.cache import cache
from playwright.sync_api import expect

from accounts.models import Price
from rebalancer.services import checks
from tax.models import Break
from tests import factories as make
from tests.trading.orders import changed, confirmed, question, staged
from tests.web.test_every_page import look
from trading import sessions
from trading.models import Fill
from trading.services.watching import NOT_KNOWN
from trading.states import OrderState, Side

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(sign_in):
    person = make.operations("olive", first_name="Olive", last_name="Ortega")
    sign_in(person)
    cache.clear()
    return person


@pytest.fixture
def accounts():
    make.price("VTI", 100)
    make.price("AGG", 50)
    balanced = make.portfolio("Balanced", VTI=60, AGG=38)
    ann = make.advisor("ann", first_name="Ann", last_name="Archer")
    rows = [
        make.account(f"10{index:02d}", name=f"Client {index} Trust", portfolio=balanced, cash=Decimal(9000),
                     advisor=ann, delivered_for=sessions.last_completed_session())
        for index in range(6)
    ]  # fmt: skip
    for row in rows:
        make.lot(row, "VTI", 750, cost=60000)
        make.lot(row, "AGG", 400, cost=22000)
    return rows


@pytest.fixture
def breaks(accounts):
    session = sessions.last_completed_session()
    for account, (expected, delivered) in zip(accounts, [(760, 750), (40, 0), (12.5, 13), (8, 9)], strict=False):
        Break.objects.create(
            account=account, security=make.security("VTI"), session=session, expected=Decimal(str(expected)),
            delivered=delivered,
        )  # fmt: skip
    Break.objects.create(account=accounts[0], session=session, expected=Decimal("9120.55"), delivered=Decimal(9000))
    checks.analyse()
    return Break.objects.order_by("pk")


def test_breaks_are_found_and_resolved(page, desk, accounts, breaks, accessible, screenshot):
    page.goto(f"/clients/accounts/{accounts[0].pk}/")
    expect(page.get_by_label("Reconciliation breaks")).to_contain_text("VTI: 760 expected, 750 delivered")
    screenshot("account-breaks")
    look(page, accessible)
    page.get_by_role("link", name="See the breaks").click()
    expect(page.locator("h1")).to_have_text("Reconciliation breaks")
    screenshot("breaks")
    look(page, accessible)
    page.set_viewport_size({"width": 1440, "height": 900})
    table = page.locator(".listing .scroller")
    assert table.evaluate("box => box.scrollWidth <= box.clientWidth"), "the table is wider than the window"
    page.locator(f"#row-{breaks[0].pk}").get_by_role("link", name=re.compile("Look into it")).click()
    expect(page.locator("h1")).to_contain_text("VTI of")
    screenshot("one-break")
    look(page, accessible)
    page.get_by_label("How did it come about?").fill("A transfer that the custodian reversed")
    page.get_by_role("button", name="Resolve").click()
    expect(page.locator("#messages")).to_contain_text("resolved “VTI: 760 expected, 750 delivered")
    expect(page.locator(f"#row-{breaks[0].pk}")).to_have_count(0)
    page.goto("/trading/breaks/?f=standing:any:resolved")
    expect(page.locator(f"#row-{breaks[0].pk}")).to_contain_text("A transfer that the custodian reversed")
    screenshot("breaks-resolved")
    look(page, accessible)


def test_a_price_is_decided(page, desk, accounts, accessible, screenshot):
    price = make.price("VTI", 40, as_of=datetime(2027, 1, 5, 20, tzinfo=UTC), state=Price.State.QUESTIONED)
    make.price("AGG", 0, as_of=datetime(2027, 1, 5, 20, tzinfo=UTC), state=Price.State.QUESTIONED)
    checks.analyse()
    page.goto("/")
    screenshot("home-prices")
    page.get_by_role("link", name="2 prices questioned").click()
    expect(page.locator("h1")).to_have_text("Questioned prices")
    screenshot("prices")
    look(page, accessible)
    page.locator(f"#row-{price.pk}").get_by_role("link", name=re.compile("Decide")).click()
    expect(page.locator("h1")).to_have_text("Price of VTI")
    screenshot("one-price")
    look(page, accessible)
    page.get_by_role("button", name="Reject it").click()
    expect(page.locator("#messages")).to_contain_text("The price of VTI of 40.00 is rejected")
    expect(page.locator(f"#row-{price.pk}")).to_have_count(0)
    assert Price.objects.get(pk=price.pk).state == "rejected"


def test_a_fill_is_put_aside(page, desk, accounts, accessible, screenshot):
    order = staged("VTI", Side.BUY, 100, {accounts[0]: 10}, label="Request 7")
    fill = question(order=order, words="It came after the order was booked.")
    page.goto("/trading/orders/questioned/")
    page.get_by_role("link", name=fill.execution_id, exact=True).click()
    screenshot("one-fill")
    look(page, accessible)
    page.get_by_label("What was it?").fill("Told twice under another number")
    page.get_by_role("button", name="Put aside").click()
    expect(page.locator("#messages")).to_contain_text("is put aside")
    expect(page.locator(".empty")).to_contain_text("or was put aside")
    assert Fill.objects.get().settled_by == desk


def test_an_order_is_ended_by_hand(page, desk, accounts, accessible, screenshot):
    order = confirmed(staged("VTI", Side.BUY, 100, dict.fromkeys(accounts, 10), label="Request 7"))
    changed(
        order, state=OrderState.PARTIALLY_FILLED, filled_quantity=24, filled_amount=2400, client_order_id="RB7",
        trouble=NOT_KNOWN,
    )  # fmt: skip
    page.goto(f"/trading/orders/{order.pk}/?f=")
    screenshot("order-lost")
    look(page, accessible)
    page.get_by_role("link", name="End by hand").click()
    expect(page.locator("main")).to_contain_text("24 of 60 shares in 6 accounts")
    screenshot("order-end")
    look(page, accessible)
    page.get_by_label("How do you know?").fill("Phoned them, it never arrived")
    page.get_by_role("button", name="End by hand").click()
    expect(page.locator("#order-state")).to_have_text("Expired")
    expect(page.locator("#order-live")).to_contain_text("ended by hand by Olive Ortega: Phoned them, it never arrived")
