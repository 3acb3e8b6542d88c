"""The order ticket in a browser: typing, leaving out, executions, recalculating, and what stays while prices move."""

import re
from datetime import date
from decimal import Decimal

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from accounts.models import Account, TaxStatus
from tests import factories as make
from tests.trading.ticketing import line, market, order, quantities, staged
from tests.web.conftest import arrived
from tests.web.test_every_page import look
from trading.models import Ticket
from trading.services import editing
from trading.services.lines import Chosen
from trading.states import Algorithm

pytestmark = pytest.mark.django_db(transaction=True)

TITLE = "Order ticket, Request 2041 · Rebalancer"
POLLED = 15_000  # ms
NAMES = ["Bergstrom Family Trust", "Dunmore IRA", "Okonkwo Family", "Vandersloot Charitable Remainder Trust", "Li"]


@pytest.fixture
def desk():
    return make.operations("olivia", first_name="Olivia", last_name="Chen")


@pytest.fixture
def ticket(desk):
    market()
    orders = {}
    for index, name in enumerate(NAMES):
        status = TaxStatus.TAX_DEFERRED if index == 1 else TaxStatus.TAXABLE
        account = make.account(f"7712-00{index:02d}", name=name, cash=Decimal(3000 + 100 * index), tax_status=status)
        make.lot(account, "AGG", 410 - index * 55, cost=None if index == 2 else 12_000, acquired=date(2024, 5, 6))
        orders[account.number] = [f"buy {20 + index} VTI", f"sell {48 - index} AGG", f"buy {30 + index}.5 FUND"]
    return staged(orders, by=desk)


@pytest.fixture
def opened(page, sign_in, desk, ticket):
    """The ticket, opened by somebody of Operations."""
    sign_in(desk)
    page.clock.install()
    page.goto(f"/trading/tickets/{ticket.pk}/")
    arrived(page, TITLE)
    return ticket


def opener(page, name):
    return page.locator(".opens", has_text=re.compile(f"^{name}$"))


def fact(page, name):
    return page.locator(".fact", has=page.locator("dt", has_text=name)).locator("dd")


def shares(page, number, symbol):
    return page.get_by_role("textbox", name=f"{number}, shares of {symbol}")


def save(page):
    page.get_by_role("button", name="Save changes").click()


def said(page, words):
    expect(page.locator("#messages")).to_contain_text(words)
    page.wait_for_load_state()


def test_shares_are_typed_saved_and_marked(page, opened, accessible, screenshot):
    expect(fact(page, "Buys")).to_contain_text("14,250.00")
    expect(page.locator("#unsaved")).to_be_hidden()
    accessible()
    screenshot("ticket")
    opener(page, "AGG").click()
    field = shares(page, "7712-0000", "AGG")
    field.fill("60")
    expect(page.locator("#unsaved")).to_contain_text("1 change is not saved yet.")
    opener(page, "VTI").click()
    shares(page, "7712-0001", "VTI").fill("10")
    expect(page.locator("#unsaved")).to_contain_text("2 changes are not saved yet.")
    screenshot("ticket-typed")
    save(page)
    said(page, "2 lines changed.")
    assert quantities()["7712-0000", "sell AGG"] == 60
    row = page.locator("tr.line", has_text="Bergstrom").filter(has_text="holds 410")
    expect(row.first).to_contain_text(re.compile(r"changed from 48 by Olivia Chen, \d\d:\d\d"))
    expect(shares(page, "7712-0001", "VTI")).to_have_value("10")  # both stay open
    expect(fact(page, "Accounts")).to_contain_text("2 lines edited")
    accessible()
    screenshot("ticket-edited")


def test_what_cannot_be_is_said_beside_the_field(page, opened, provoked, accessible, screenshot):
    opener(page, "AGG").click()
    field = shares(page, "7712-0001", "AGG")
    field.fill("999")
    field.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("7712-0001 AGG, 999: at most 355 can be sold")
    page.wait_for_load_state()
    provoked("400")
    expect(field).to_have_value("999")
    expect(field).to_have_attribute("aria-invalid", "true")
    accessible()
    screenshot("ticket-error")
    field.fill("300")
    save(page)
    said(page, "1 line changed.")


def test_leaving_out_and_taking_back(page, opened, screenshot):
    opener(page, "VTI").click()
    page.get_by_role("button", name="Leave out 7712-0002 VTI").click()
    said(page, "1 line left out.")
    row = page.locator("tr.line", has_text="Okonkwo")
    expect(row).to_contain_text("left out by Olivia Chen")
    screenshot("ticket-left-out")
    page.get_by_role("button", name="As approved: 7712-0002 VTI").click()
    said(page, "1 line back to what was approved.")
    expect(row).not_to_contain_text("left out by")
    assert quantities()["7712-0002", "buy VTI"] == 22


def test_a_twap_is_chosen_in_its_dialog(page, opened, accessible, screenshot):
    shown = page.get_by_role("link", name="Execution of buy VTI: Market")
    shown.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_have_css("opacity", "1")
    expect(dialog.get_by_label("Start")).to_be_hidden()
    dialog.get_by_label("Algorithm").select_option("limit")
    dialog.get_by_label("Limit price").fill("101.5")
    accessible()
    screenshot("ticket-execution")
    dialog.get_by_label("Outside regular trading hours").check()
    dialog.get_by_role("button", name="Set execution").click()
    said(page, "Execution of 1 order changed.")
    expect(page.get_by_role("link", name="Execution of buy VTI: Limit 101.50 · extended hours")).to_be_visible()
    one = order("buy VTI")
    assert (one.algorithm, one.limit_price, one.extended_hours) == (Algorithm.LIMIT, Decimal("101.5"), True)


def test_execution_of_all_keeps_what_was_typed_and_says_what_it_skips(page, opened, provoked, screenshot):
    opener(page, "VTI").click()
    shares(page, "7712-0000", "VTI").fill("15")
    page.get_by_role("link", name="Execution of all orders").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Algorithm").select_option("vwap")
    dialog.get_by_label("Start").fill("12:00")
    dialog.get_by_label("End").fill("11:00")
    dialog.get_by_role("button", name="Set execution").click()
    expect(page.locator(".field-error")).to_have_text("The end has to be after the start.")
    page.wait_for_load_state()
    screenshot("ticket-execution-error")
    assert quantities()["7712-0000", "buy VTI"] == 20
    page.get_by_label("Algorithm").select_option("market")
    page.get_by_role("button", name="Set execution").click()
    said(page, "1 line changed.")
    said(page, "Execution of 0 orders changed.")
    said(page, "1 fund (FUND) stays a NAV order.")
    assert quantities()["7712-0000", "buy VTI"] == 15
    provoked("400")


def test_recalculated_after_asking(page, opened, accessible, screenshot):
    make.price("VTI", 80)
    page.get_by_role("link", name="Recalculate at live prices").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Every line of 5 accounts")
    expect(dialog).to_have_css("opacity", "1")
    accessible()
    screenshot("ticket-recalculate")
    dialog.get_by_role("button", name="Recalculate").click()
    said(page, "5 lines changed at the newest prices.")
    assert quantities()["7712-0000", "buy VTI"] == 25


def test_prices_move_and_nothing_typed_is_lost(page, opened, desk):
    opener(page, "VTI").click()
    shares(page, "7712-0000", "VTI").fill("17")
    make.price("VTI", 110)
    with page.expect_response(re.compile("/live/")):
        page.clock.run_for(POLLED + 1000)
    expect(page.locator(f"#price-{order('buy VTI').pk}")).to_contain_text("110.00")
    expect(page.locator(f"#value-{order('buy VTI').pk}")).to_have_text("12,100.00")
    expect(shares(page, "7712-0000", "VTI")).to_have_value("17")
    editing.leave_out(opened, 1, Chosen(lines=(line("7712-0003", "buy VTI").pk,)), desk)
    with page.expect_response(re.compile("/live/")):
        page.clock.run_for(POLLED + 1000)
    expect(page.locator("#ticket-changed")).to_contain_text("Somebody has changed this ticket")
    expect(shares(page, "7712-0000", "VTI")).to_have_value("17")


def test_closing_and_opening_keeps_what_was_typed(page, opened):
    opener(page, "VTI").click()
    shares(page, "7712-0000", "VTI").fill("17")
    opener(page, "VTI").click()
    expect(shares(page, "7712-0000", "VTI")).to_be_hidden()
    opener(page, "VTI").click()
    expect(shares(page, "7712-0000", "VTI")).to_have_value("17")
    opener(page, "VTI").click()
    save(page)
    said(page, "1 line changed.")
    assert quantities()["7712-0000", "buy VTI"] == 17


def test_by_account(page, opened, accessible, screenshot):
    page.get_by_role("link", name="By account").click()
    expect(page.locator(".pager-count")).to_have_text("1–5 of 5 accounts")
    page.wait_for_load_state()
    opener(page, "7712-0003").click()
    shares(page, "7712-0003", "VTI").fill("2")
    accessible()
    screenshot("ticket-by-account")
    save(page)
    said(page, "1 line changed.")
    expect(shares(page, "7712-0003", "VTI")).to_have_value("2")
    page.get_by_role("button", name="Leave out 7712-0001 of the whole ticket").click()
    said(page, "3 lines left out.")
    expect(page.locator("tbody", has_text="7712-0001").first).to_contain_text("left out")
    expect(fact(page, "Accounts")).to_contain_text("1 left out")


def test_a_ticket_without_scripts(browser, opened, desk, browser_context_args, context):
    quiet = browser.new_context(**browser_context_args, java_script_enabled=False)
    quiet.add_cookies(context.cookies())
    page = quiet.new_page()
    page.goto(f"/trading/tickets/{opened.pk}/")
    opener(page, "VTI").click()
    shares(page, "7712-0000", "VTI").fill("9")
    save(page)
    expect(page.locator("#messages")).to_contain_text("1 line changed.")
    page.get_by_role("link", name="Recalculate at live prices").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Recalculate at live prices?")
    quiet.close()
    assert quantities()["7712-0000", "buy VTI"] == 9


def test_an_advisor_looks_on(page, sign_in, ticket, accessible, screenshot):
    ann = make.advisor("ann", first_name="Ann", last_name="Lee")
    Account.objects.filter(number__in=["7712-0000", "7712-0001"]).update(advisor=ann)
    sign_in(ann)
    page.goto(f"/trading/tickets/{ticket.pk}/")
    arrived(page, TITLE)
    expect(page.locator(".ticket-why")).to_have_text("Operations edits order tickets: your role looks on.")
    expect(page.get_by_role("textbox")).to_have_count(0)
    accessible()
    screenshot("ticket-advisor")
    assert Ticket.objects.get().version == 1


def test_every_page_of_a_ticket_at_both_widths_and_in_the_dark(page, opened, desk, accessible):
    """With lines edited and left out, orders of every execution, and a price that has moved."""
    block, account = order("buy VTI"), line("7712-0000", "buy VTI").account_id
    editing.leave_out(opened, 1, Chosen(lines=(line("7712-0002", "buy VTI").pk,)), desk)
    editing.leave_out(opened, 2, Chosen(orders=(order("buy FUND").pk,)), desk)
    make.price("AGG", 60)
    own = f"/trading/tickets/{opened.pk}/"
    for address in (
        own, f"{own}?open={block.pk},{order('sell AGG').pk}", f"{own}?by=account&open={account}",
        f"{own}?by=account&q=nobody", f"{own}execution/?order={block.pk}", f"{own}execution/?order=all",
        f"{own}execution/?order={order('buy FUND').pk}", f"{own}recalculate/",
    ):  # fmt: skip
        page.goto(address)
        expect(page.locator("h1")).to_have_count(1)
        look(page, accessible)
    Ticket.objects.update(confirmed_at=timezone.now(), confirmed_by=desk)
    page.goto(own)
    look(page, accessible)
    empty = staged({}, label="Request 2042")
    page.goto(f"/trading/tickets/{empty.pk}/")
    expect(page.locator(".empty .hint")).not_to_be_empty()
    look(page, accessible)
