"""The whole line in a browser, with a worker and a beat at work: from a status of the Rebalance Center to new lots."""

import re
from datetime import date
from decimal import Decimal

import pytest
from playwright.sync_api import expect

from accounts.models import Account
from rebalancer.models import Batch
from rebalancer.services import checks
from tax.models import Booking, Lot
from tests import factories as make
from tests.processes import Beat, eventually
from tests.web.conftest import arrived
from trading import hours
from trading.models import MarketSettings, Order
from trading.services import market_days
from trading.states import Algorithm, OrderState

pytestmark = pytest.mark.django_db(transaction=True)

PAPER = {"paper_always_open": True, "paper_speed": 600, "paper_latency": 0}


@pytest.fixture
def desk():
    return make.operations("olive", first_name="Olive", last_name="Ortega")


@pytest.fixture
def firm():
    """Four accounts with too much VTI, on a paper market that is open and quick."""
    market_days.keep_days()
    MarketSettings.objects.update(**PAPER)
    make.price("VTI", 100, source="simulated")
    make.price("AGG", 50, source="simulated")
    balanced = make.portfolio("Balanced", VTI=60, AGG=38)
    for number, name in enumerate(["Bergstrom Family Trust", "Dunmore IRA", "Okonkwo Family", "Li"]):
        account = make.account(f"7712-{number:04d}", name=name, portfolio=balanced, cash=Decimal(5000),
                               lot_method="hifo")  # fmt: skip
        make.lot(account, "VTI", 500, cost=30_000, acquired=date(2021, 3, 4), lot_id="OLD")
        make.lot(account, "VTI", 250, cost=24_000, acquired=date(2022, 5, 6), lot_id="DEAR")
        make.lot(account, "AGG", 400, cost=22_000)
    checks.analyse()


@pytest.fixture
def at_work(worker, tmp_path):
    """A worker, and a beat that asks it for what is to be done every few seconds."""
    beat = Beat(tmp_path / "beat.log", tmp_path / "schedule").start()
    yield
    beat.stop()


def test_from_the_center_to_new_lots(page, sign_in, desk, firm, at_work, accessible, screenshot):
    sign_in(desk)
    page.goto("/trading/rebalance/")
    create(page)
    page.get_by_role("link", name="Analysis").first.click()
    arrived(page, re.compile("Analysis|analysis"))
    page.get_by_role("link", name="Create Order").click()
    page.get_by_role("dialog").get_by_role("button", name="Approve 4 accounts").click()
    page.get_by_role("link", name="Open order ticket").click()
    edit(page)
    screenshot("walk-ticket")
    transmit(page, accessible)
    screenshot("walk-finish")
    order = Order.objects.get(side="buy")
    assert (order.algorithm, order.state) == (Algorithm.TWAP, OrderState.FILLED)
    assert order.fills.count() > 1
    look_at_the_account(page, accessible)
    screenshot("walk-account")
    eventually(lambda: Batch.objects.filter(settled_at__isnull=False).exists())


def create(page):
    page.get_by_role("link", name="Rebalance Balanced").click()
    arrived(page, "Balanced · Out of Tolerance · Rebalancer")
    page.locator("#pick-page").check()
    page.get_by_role("button", name="Create").click()
    arrived(page, re.compile(r"Request \d+ · Rebalancer"))
    expect(page.get_by_text("Pending Approval", exact=True).last).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Approve 4 accounts")).first).to_be_enabled()


def edit(page):
    """One account's part is changed, one account left out of a sale, the buy worked off by TWAP."""
    arrived(page, re.compile("Order ticket"))
    page.locator(".opens", has_text="AGG").click()
    field = page.get_by_role("textbox", name="7712-0001, shares of AGG")
    field.fill("100")
    page.get_by_role("button", name="Save changes").click()
    expect(page.locator("#messages")).to_contain_text("1 line changed.")
    page.wait_for_load_state()
    page.get_by_role("link", name=re.compile("Execution of buy AGG")).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Algorithm").select_option("twap")
    opens, closes = window()
    dialog.get_by_label("Start").fill(opens)
    dialog.get_by_label("End").fill(closes)
    dialog.get_by_role("button", name="Set execution").click()
    expect(page.locator("#messages")).to_contain_text("Execution of 1 order changed.")
    page.wait_for_load_state()


def window():
    """The last hour of the session in which an order sent now trades: it has not passed, unless that is ending."""
    closes = hours.standing().closes_at.astimezone(hours.standing().session.zone)
    return f"{closes.hour - 1:02d}:00", f"{closes.hour:02d}:{closes.minute:02d}"


def transmit(page, accessible):
    page.get_by_role("link", name="Transmit all 2 orders").click()
    arrived(page, re.compile("Preview"))
    expect(page.get_by_role("main")).to_contain_text("TWAP")
    accessible()
    page.get_by_role("button", name="Confirm 2 orders").click()
    page.get_by_role("dialog").get_by_role("button", name=re.compile("Confirm")).click()
    arrived(page, re.compile("Finish"))
    expect(page.get_by_text("filled and booked in 4 accounts.")).to_be_visible()


def look_at_the_account(page, accessible):
    """Its positions and lots are those it had and what the orders brought, to the cent."""
    account = Account.objects.get(number="7712-0001")
    sold = Booking.objects.get(account=account, quantity__lt=0)
    bought = Booking.objects.get(account=account, quantity__gt=0)
    assert bought.quantity == 100
    assert account.cash == 5000 + sold.amount + bought.amount
    assert list(sold.booked_lots.values_list("lot_id", flat=True)) == ["DEAR"]
    left = Lot.objects.get(account=account, lot_id="DEAR")
    assert left.quantity == 250 + sold.quantity
    page.goto(f"/clients/accounts/{account.pk}/")
    main = page.get_by_role("main")
    expect(main).to_contain_text("500")
    expect(main).to_contain_text("provisional")
    expect(main).to_contain_text(f"{750 + sold.quantity:,.0f}")
    accessible()
    page.goto(f"/clients/accounts/{account.pk}/lots/")
    expect(page.get_by_role("main")).to_contain_text(f"order {bought.source.removeprefix('order ')}")
