"""Trading / Orders in a browser: the list, an order that moves by itself, cancelling, and what became of an account."""

import re
from datetime import UTC, datetime, time
from decimal import Decimal

import pytest
from playwright.sync_api import expect

from rebalancer.services import checks
from tax.models import Break
from tax.services.bookings import Trade, book
from tests import factories as make
from tests.trading.orders import changed, confirmed, question, staged
from tests.web.conftest import arrived
from tests.web.test_every_page import look
from trading import sessions
from trading.models import Allocation, Fill, OrderEvent
from trading.states import Algorithm, OrderState, Side

pytestmark = pytest.mark.django_db(transaction=True)

ASKED_EVERY = 5000  # ms


@pytest.fixture
def desk(sign_in):
    person = make.operations("olive", first_name="Olive", last_name="Ortega")
    sign_in(person)
    return person


@pytest.fixture
def accounts():
    make.price("VTI", 100)
    make.price("AGG", 50)
    balanced = make.portfolio("Balanced", VTI=60, AGG=38)
    rows = [
        make.account(f"10{index:02d}", name=f"Client {index} Trust", portfolio=balanced, cash=Decimal(9000),
                     delivered_for=sessions.last_completed_session())
        for index in range(6)
    ]  # fmt: skip
    for row in rows:
        make.lot(row, "VTI", 750, cost=60000)
        make.lot(row, "AGG", 400, cost=22000)
    return rows


@pytest.fixture
def moving(accounts):
    """60 VTI a TWAP, of which 24 are filled in two fills."""
    parts = dict(zip(accounts, (5, 5, 10, 10, 15, 15), strict=True))
    order = confirmed(staged("VTI", Side.BUY, 100, parts, label="Request 2041, Best Fit"))
    for number, (shares, price) in enumerate([(10, "100.4"), (14, "100.6")]):
        Fill.objects.create(
            broker="paper", execution_id=f"P-{order.pk}-{number}", client_order_id="T1-1", order=order, quantity=shares,
            price=Decimal(price), at=datetime(2026, 11, 20, 15, number, tzinfo=UTC),
        )  # fmt: skip
    for state, words in (
        (OrderState.SENDING, "given to the paper market as T1-1"),
        (OrderState.WORKING, "taken by the paper market as P-1"),
        (OrderState.PARTIALLY_FILLED, "24 of 60"),
    ):
        OrderEvent.objects.create(order=order, state=state, words=words)
    return changed(
        order, state=OrderState.PARTIALLY_FILLED, filled_quantity=24, filled_amount=Decimal("2412.4"),
        algorithm=Algorithm.TWAP, starts_at=time(10), ends_at=time(11), participation=10, client_order_id="T1-1",
        broker_reference="P-1", sent_at=datetime(2026, 11, 20, 15, tzinfo=UTC),
    )  # fmt: skip


@pytest.fixture
def desk_of_orders(accounts, moving):
    """Orders in every state, one in trouble, and fills that could not be matched."""
    states = [state for state in OrderState if state not in (OrderState.PARTIALLY_FILLED, OrderState.READY)]
    for number, state in enumerate(states):
        order = confirmed(
            staged(f"ETF{number}", Side.SELL if number % 2 else Side.BUY, 50, {accounts[number % 6]: 1200})
        )
        filled = 1200 if state == OrderState.FILLED else 0
        changed(
            order, state=state, filled_quantity=filled, filled_amount=filled * Decimal("50.1234"),
            trouble="The paper market does not answer; tried again soon." if state == OrderState.SENDING else "",
            end_reason={"rejected": "no such symbol", "expired": "the session has ended"}.get(state, ""),
        )  # fmt: skip
    ready = confirmed(staged("AGG", Side.SELL, 50, {accounts[0]: 3}))
    changed(ready, algorithm=Algorithm.LIMIT, limit_price=Decimal("77.25"), extended_hours=True)
    question()
    question(order=moving, words="more than was ordered")
    return ready


def test_the_list_and_an_order_look_right(page, desk, desk_of_orders, moving, accessible, screenshot):
    page.goto("/trading/orders/?f=")
    expect(page.locator("h1")).to_have_text("Orders")
    expect(page.locator("#banners")).to_contain_text("2 fills could not be matched")
    expect(page.get_by_role("link", name="Rebalance", exact=True)).to_be_visible()
    screenshot("orders")
    page.set_viewport_size({"width": 1440, "height": 900})
    table = page.locator(".listing .scroller")
    assert table.evaluate("box => box.scrollWidth <= box.clientWidth"), "the table is wider than the window"
    look(page, accessible)
    for address in (
        "/trading/orders/?f=&q=nothing",
        "/trading/orders/?f=shares:gte:many",
        "/trading/orders/questioned/?f=",
    ):
        page.goto(address)
        expect(page.locator("h1")).to_have_count(1)
        look(page, accessible)
    screenshot("questioned")
    page.goto(f"/trading/orders/{moving.pk}/?f=")
    expect(page.locator("#order-state")).to_have_text("Partially filled")
    screenshot("order")
    look(page, accessible)
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.locator("#cancel-words")).to_contain_text("24 of 60 VTI are bought and will be booked in 6 accounts.")
    accessible()


def test_no_order_yet_says_what_to_do(page, desk, accessible):
    page.goto("/trading/orders/")
    expect(page.locator(".empty")).to_contain_text("No order was staged yet.")
    look(page, accessible)
    page.goto("/trading/orders/questioned/")
    expect(page.locator(".empty")).to_contain_text("belongs to an order, or was put aside.")
    look(page, accessible)


def test_an_order_moves_by_itself_until_nothing_more_is_to_come(page, desk, moving):
    asked = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/status/") else None)
    page.clock.install()
    page.goto(f"/trading/orders/{moving.pk}/?f=")
    arrived(page, re.compile(f"Order {moving.pk}"))
    live = page.locator("#order-live")
    expect(live).to_contain_text("36 left")

    changed(moving, filled_quantity=50, filled_amount=Decimal(5020))
    page.clock.run_for(ASKED_EVERY)
    expect(live).to_contain_text("10 left")
    expect(page.locator("#cancel-words")).to_contain_text("take back the 10 that are left")

    now = datetime(2026, 11, 20, 16, tzinfo=UTC)
    changed(moving, filled_quantity=60, filled_amount=Decimal(6020), state=OrderState.FILLED, ended_at=now)
    page.clock.run_for(ASKED_EVERY)
    expect(page.locator("#order-state")).to_have_text("Filled")
    expect(page.locator("#order-actions")).to_contain_text("Cancel: It has ended.")
    Allocation.objects.filter(order=moving).update(filled_quantity=5, filled_amount=500, is_open=False)
    changed(moving, allocated_at=now)
    page.clock.run_for(ASKED_EVERY)
    expect(page.locator("#row-" + str(moving.allocations.first().pk))).to_contain_text("Booked")
    before = len(asked)
    page.clock.run_for(3 * ASKED_EVERY)
    assert len(asked) == before


def test_cancelling_one_and_some(page, desk, desk_of_orders, moving):
    page.goto(f"/trading/orders/{desk_of_orders.pk}/?f=")
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.locator("#cancel")).to_contain_text("none of its 3 AGG for 1 account will be sold.")
    page.get_by_role("button", name="Cancel order").click()
    expect(page.locator("#messages")).to_contain_text("is cancelled; it had not been sent.")
    expect(page.locator("#order-state")).to_have_text("Cancelled")

    page.goto("/trading/orders/?f=state:any:partially_filled|working")
    page.locator("#pick-page").check()
    page.get_by_role("button", name="Cancel selected orders").click()
    expect(page.locator("#cancel-selected")).to_contain_text("2 selected.")
    page.get_by_role("button", name="Cancel these orders").click()
    expect(page.locator("#messages")).to_contain_text("2 orders cancelled or asked back from the broker.")
    expect(page.locator("#selection")).to_be_hidden()


def test_an_account_says_what_is_provisional_and_a_break_is_resolved(page, desk, accounts, accessible, screenshot):
    account, session = accounts[0], sessions.last_completed_session()
    for symbol, shares, price in (("AGG", 40, 50), ("VTI", -100, 101)):
        book([Trade(
            account.pk, make.sleeve().pk, make.security(symbol).pk, shares * 1_000_000, -shares * price * 100,
            Decimal(price), sessions.today(), datetime.now(UTC), f"order {12 if shares > 0 else 13}",
        )])  # fmt: skip
    Break.objects.create(account=account, security=make.security("VTI"), session=session, expected=760, delivered=750)
    checks.analyse()
    page.goto(f"/clients/accounts/{account.pk}/")
    expect(page.locator("#banners")).to_contain_text("1 account with a reconciliation break")
    expect(page.locator("#account-status")).to_contain_text(f"VTI: 760 expected, 750 delivered for {session}")
    expect(page.locator(".positions")).to_contain_text(
        "provisional: bought 40 in order 12, until the custodian's delivery"
    )
    screenshot("account-booked")
    look(page, accessible)
    page.goto(f"/clients/accounts/{account.pk}/lots/?f=")
    expect(page.locator(".rows")).to_contain_text("provisional until the delivery of")
    screenshot("lots-booked")
    look(page, accessible)

    page.goto("/trading/rebalance/need-extra-attention/")
    page.get_by_role("link", name=re.compile("Rebalance Balanced")).click()
    page.get_by_role("link", name=re.compile("Acknowledge")).click()
    dialog = page.locator("#dialog")
    expect(dialog).to_contain_text("Reconciliation breaks")
    screenshot("break")
    accessible()
    dialog.get_by_label(re.compile("VTI: 760 expected")).last.fill("A transfer that the custodian reversed")
    dialog.get_by_role("button", name=re.compile("Resolve")).click()
    expect(page.locator("#messages")).to_contain_text("resolved “VTI: 760 expected, 750 delivered")
    assert Break.objects.get().words == "A transfer that the custodian reversed"
