"""A request in a browser, with a worker: from generating it to History with the same figures, and what rests when."""

import re
from decimal import Decimal

import pytest
from playwright.sync_api import expect

from accounts.models import Account, TaxStatus
from rebalancer.models import Batch, Entry
from rebalancer.services import batches, checks
from rebalancer.states import BatchState
from tests import factories as make
from tests.processes import eventually
from tests.rebalancer.conftest import again, opened, pending
from tests.web.conftest import arrived
from trading import sessions

pytestmark = pytest.mark.django_db(transaction=True)

STATUS = re.compile(r"/requests/\d+/status/")
ASKED_EVERY = 5000  # ms
SOME = "Only some of the open accounts are selected."


@pytest.fixture
def desk():
    return make.operations("olive", first_name="Olive", last_name="Ortega")


@pytest.fixture
def book():
    """Six accounts to rebalance; one of them is not taxed, and one has a lot of unknown cost."""
    make.price("VTI", 100)
    make.price("AGG", 50)
    balanced = make.portfolio("Balanced", VTI=60, AGG=38)
    rows = [client_account(index, balanced) for index in range(6)]
    checks.analyse()
    return rows


def client_account(index, portfolio):
    account = make.account(
        f"10{index:02d}",
        name=f"Client {index} Trust",
        portfolio=portfolio,
        cash=Decimal(5000 + 100 * index),
        tax_status=TaxStatus.TAX_DEFERRED if index == 2 else TaxStatus.TAXABLE,
        delivered_for=sessions.last_completed_session(),
    )
    make.lot(account, "VTI", 750, cost=None if index == 3 else 60000)
    make.lot(account, "AGG", 400, cost=22000)
    return account


@pytest.fixture
def asked(page):
    """The addresses that the page asked for again by itself."""
    found = []
    page.on("request", lambda request: found.append(request.url) if STATUS.search(request.url) else None)
    return found


def let_it_ask(page):
    """Time goes by in the page in which it asks again, if it does."""
    page.clock.run_for(ASKED_EVERY + 1000)


def worked_on(page, batch, state_then):
    """A worker brings the batch into that state, and its page asks and shows it."""
    eventually(lambda: again(batch).state == state_then)
    let_it_ask(page)
    expect(state(page)).to_have_text(state_then.label)


def at(batch):
    return f"/rebalancer/requests/{batch.pk}/"


def facts(page):
    return {
        fact.locator("dt").inner_text(): fact.locator("dd").inner_text().split("\n")[0]
        for fact in page.locator(".fact").all()
    }


def figures(page):
    """The table's rows without result and box: number to estimated gain."""
    rows = page.locator("#listing tbody tr").all()
    return [[cell.inner_text() for cell in row.locator("td:not(.box)").all()][3:] for row in rows]


def comparison(page):
    """The comparison of the trade logics: what each row says after its name."""
    rows = page.get_by_role("region", name="Compare tax impact").locator("tbody tr, tfoot tr").all()
    return {
        row.locator("th").inner_text(): [cell.inner_text() for cell in row.locator("td").all()] for row in rows
    }  # fmt: skip


def state(page):
    return page.locator(".titlerow .state").first


def pick(page, number):
    page.get_by_role("checkbox", name=f"Select {number} ").check()


def button(page, name):
    return page.locator(".titlerow").get_by_role("button", name=name)


def test_from_generating_to_history_with_the_same_figures(page, worker, book, desk, sign_in, accessible, screenshot):
    sign_in(desk)
    page.clock.install()
    page.goto("/rebalancer/")
    for number in ("1000", "1002", "1003"):
        pick(page, number)
    page.get_by_role("button", name="Generate Proposed Trades").click()
    arrived(page, "Pending Approval · Rebalancer")
    batch = Batch.objects.get()
    page.goto(at(batch))
    worked_on(page, batch, BatchState.PENDING_APPROVAL)
    expect(page.locator(".pager-count")).to_have_text("1–3 of 3")
    accessible()
    screenshot("request")
    shown, rows = facts(page), figures(page)

    page.get_by_role("link", name="1000").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("1000 · Client 0 Trust")
    page.wait_for_load_state()
    page.get_by_role("button", name=re.compile("Sell .* VTI: lots")).click()
    expect(page.get_by_text("Lots taken: VTI")).to_be_visible()
    compared = comparison(page)
    assert compared["Total"] == ["0.00", "3,000.00", "0.00", "1,400.00"]
    expect(page.locator(".compare thead")).to_contain_text("Best Fit as proposed")
    accessible()
    screenshot("request-account")
    page.get_by_role("link", name="next ›").click()
    expect(page.locator(".meta").first).to_contain_text("2 of 3 ‹ previous")
    expect(page.get_by_text("not taxable: tax deferred")).to_have_count(2)
    page.get_by_role("link", name="next ›").click()
    expect(page.locator(".compare .total")).to_contain_text("1 lot of unknown cost")
    page.get_by_role("link", name=f"Request {batch.pk}").click()
    expect(page.locator(".pager-count")).to_have_text("1–3 of 3")
    page.wait_for_load_state()

    button(page, "Approve 3 accounts").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Nothing is transmitted")
    expect(dialog).to_have_css("opacity", "1")
    accessible()
    screenshot("request-approve")
    dialog.get_by_role("button", name="Approve 3 accounts").click()
    expect(page.get_by_role("status").first).to_contain_text(f"Request {batch.pk} is approved for 3 accounts")
    page.wait_for_load_state()
    worked_on(page, batch, BatchState.COMPLETE)

    page.get_by_role("link", name="History").first.click()
    page.get_by_role("link", name="View Details").click()
    expect(page.locator(".orders summary")).to_contain_text("2 block orders · 2 ready")
    page.wait_for_load_state()
    assert facts(page) == shown
    assert figures(page) == rows
    expect(page.locator(".meta").first).to_contain_text("by Olive Ortega")
    expect(page.get_by_role("button", name=re.compile("Approve|Cancel"))).to_have_count(0)
    accessible()
    screenshot("request-complete")
    page.get_by_role("link", name="1000").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("1000 · Client 0 Trust")
    page.wait_for_load_state()
    assert comparison(page) == compared


def test_a_request_at_work_asks_until_it_is_done_and_then_no_more(page, book, desk, sign_in, asked, screenshot):
    batch = opened(desk, *book[:2]).batch
    sign_in(desk)
    page.clock.install()
    page.goto(at(batch))
    expect(page.locator("#work")).to_contain_text("Trades for 2 accounts are about to be proposed")
    expect(button(page, "Approve 2 accounts")).to_be_disabled()
    screenshot("request-at-work")
    with page.expect_response(STATUS):
        let_it_ask(page)
    batches.propose_batch(batch.pk)
    worked_on(page, batch, BatchState.PENDING_APPROVAL)
    expect(button(page, "Approve 2 accounts")).to_be_enabled()
    before = len(asked)
    let_it_ask(page)
    assert len(asked) == before


def test_nobody_looking_asks_nothing_and_a_session_that_ended_leads_to_signing_in(
    page, context, book, desk, sign_in, asked
):
    batch = opened(desk, book[0]).batch
    sign_in(desk)
    page.add_init_script("Object.defineProperty(document, 'hidden', { get: () => true, configurable: true })")
    page.clock.install()
    page.goto(at(batch))
    let_it_ask(page)
    assert asked == []
    context.clear_cookies()
    page.evaluate("delete document.hidden")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page).to_have_url(re.compile(rf"/login/\?next=.*requests%2F{batch.pk}"))


def test_with_some_selected_the_batch_buttons_rest_and_say_why(page, book, desk, sign_in):
    batch = pending(desk, *book[:3])
    sign_in(desk)
    page.goto(at(batch))
    pick(page, "1001")
    for name in ("Approve 3 accounts", "Cancel request"):
        expect(button(page, name)).to_be_disabled()
        expect(button(page, name)).to_contain_text(SOME)
    expect(page.locator("#some-selected")).to_contain_text("Approve and Cancel act on all open accounts")
    page.reload()
    expect(button(page, "Approve 3 accounts")).to_be_disabled()
    page.locator("#pick-page").check()
    expect(button(page, "Approve 3 accounts")).to_be_enabled()
    pick_off = page.get_by_role("checkbox", name="Select 1001 ")
    pick_off.uncheck()
    expect(button(page, "Approve 3 accounts")).to_be_disabled()
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(button(page, "Approve 3 accounts")).to_be_enabled()


def test_removing_asks_first_and_says_what_was_done(page, book, desk, sign_in, accessible):
    batch = pending(desk, *book[:3])
    sign_in(desk)
    page.goto(at(batch))
    pick(page, "1001")
    page.get_by_role("button", name="Remove selected").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("What is selected, 1 account, will not be rebalanced, and goes back to the queue.")
    expect(dialog).to_contain_text("The other accounts stay in the request.")
    expect(dialog.get_by_role("button", name="Keep as it is")).to_be_focused()
    expect(dialog).to_have_css("opacity", "1")
    accessible()
    dialog.get_by_role("button", name="Remove from request").click()
    expect(page.get_by_role("status").first).to_contain_text("1 account removed from request")
    expect(page.get_by_role("checkbox", name="Select 1001 ")).to_be_disabled()
    expect(page).to_have_url(re.compile(f"{at(batch)}$"))
    expect(button(page, "Approve 2 accounts")).to_be_enabled()
    page.wait_for_load_state()
    page.locator("#pick-page").check()
    page.get_by_role("button", name="Remove selected").click()
    expect(dialog).to_contain_text("No open account is left then, so the request is cancelled.")
    expect(dialog.get_by_text("The other accounts stay in the request.")).to_be_hidden()
    dialog.get_by_role("button", name="Keep as it is").click()
    expect(page.locator("#selection strong")).to_have_text("2 selected")


def test_what_was_removed_elsewhere_is_selected_no_longer(page, book, desk, sign_in):
    batch = pending(desk, *book[:3])
    sign_in(desk)
    page.goto(at(batch))
    pick(page, "1000")
    pick(page, "1001")
    selected = page.locator("#selection strong")
    page.get_by_role("link", name="1000", exact=True).click()
    arrived(page, re.compile("^1000 in Request"))
    button(page, "Remove from request").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove from request").click()
    expect(page.locator("#messages")).to_contain_text("1 account removed")
    arrived(page, re.compile("^1000 in Request"))
    page.get_by_role("link", name=f"Request {batch.pk}").click()
    arrived(page, re.compile("^Request"))
    expect(selected).to_have_text("1 selected")
    expect(page.get_by_role("button", name="Selected (1)")).to_be_visible()
    page.get_by_role("button", name="Remove selected").click()
    expect(page.get_by_role("dialog")).to_contain_text("1 account")
    batches.remove(batch, by=desk, entries=batch.entries.filter(account_number="1001"), shown=1)
    page.goto(at(batch))
    expect(page.locator("#selection")).to_be_hidden()
    expect(page.locator("#selected-chip")).to_be_hidden()
    expect(button(page, "Approve 1 account")).to_be_enabled()
    page.goto(f"{at(batch)}?f=result:any:proposed")  # the one taken out is not on this page, and stays forgotten
    expect(page.locator(".pager-count")).to_have_text("1–1 of 1")
    expect(page.locator("#selection")).to_be_hidden()


def test_what_changed_meanwhile_is_said_and_the_filters_stay(page, book, desk, sign_in):
    batch = pending(desk, *book[:3])
    sign_in(desk)
    page.goto(f"{at(batch)}?f=number:is:1000|1001")
    chosen = Entry.objects.filter(batch=batch, account_number="1002")
    batches.remove(batch, by=desk, entries=chosen, shown=1)
    button(page, "Approve 3 accounts").click()
    page.get_by_role("dialog").get_by_role("button", name="Approve 3 accounts").click()
    expect(page.locator("#messages")).to_contain_text("You saw 3 accounts")
    expect(page.locator("#messages")).to_contain_text("Nothing was approved.")
    expect(page.locator(".chip").first).to_contain_text("Account is 1000 or 1001")
    expect(button(page, "Approve 2 accounts")).to_be_enabled()
    assert again(batch).state == BatchState.PENDING_APPROVAL


def test_the_logic_is_switched_after_a_confirmation(page, worker, book, desk, sign_in):
    batch = pending(desk, *book[:2])
    sign_in(desk)
    page.clock.install()
    page.goto(at(batch))
    expect(page.get_by_role("button", name="Best Fit")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Min Transaction").click()
    page.get_by_role("dialog").get_by_role("button", name="Switch to Min Transaction").click()
    expect(page.get_by_role("button", name="Min Transaction")).to_have_attribute("aria-pressed", "true")
    page.wait_for_load_state()
    worked_on(page, batch, BatchState.PENDING_APPROVAL)
    assert again(batch).logic == "min_transaction"


def test_an_account_is_removed_from_its_page_and_can_not_be_selected_again(page, book, desk, sign_in):
    batch = pending(desk, *book[:3])
    sign_in(desk)
    page.goto(f"{at(batch)}?f=result:any:proposed")
    page.get_by_role("link", name="1001", exact=True).click()
    arrived(page, re.compile("^1001 in Request"))
    expect(page.locator(".titlerow")).to_contain_text("2 of 3 under the filter")
    button(page, "Remove from request").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("1001 Client 1 Trust will not be rebalanced, and goes back to the queue")
    dialog.get_by_role("button", name="Keep as it is").click()
    expect(dialog).to_be_hidden()
    button(page, "Remove from request").click()
    dialog.get_by_role("button", name="Remove from request").click()
    expect(page.get_by_role("status").first).to_contain_text("1 account removed from request")
    arrived(page, re.compile("^1001 in Request"))
    expect(state(page)).to_have_text("Removed")
    expect(button(page, "Remove from request")).to_have_count(0)
    expect(page.locator(".titlerow")).to_contain_text("not under the filter")
    page.get_by_role("link", name="next ›").click()
    arrived(page, re.compile("^1002 in Request"))
    page.get_by_role("link", name=f"Request {batch.pk}").click()
    arrived(page, re.compile("^Request"))
    expect(page.locator(".pager-count")).to_have_text("1–2 of 2")
    expect(page.locator(".fact").first).to_contain_text("0 failed · 1 removed")
    page.goto(f"{at(batch)}?f=")
    expect(page.locator("#listing tbody tr").nth(1)).to_contain_text("Removed")
    expect(page.get_by_role("checkbox", name="Select 1001 ")).to_be_disabled()
    page.locator("#pick-page").check()
    expect(page.locator("#selection strong")).to_have_text("2 selected")


def test_the_batch_buttons_act_on_all_open_accounts_whatever_the_filter_shows(page, book, desk, sign_in):
    cancelled, approved = pending(desk, *book[:3]), pending(desk, *book[3:])
    sign_in(desk)
    for batch, name, said in (
        (cancelled, "Cancel request", "3 accounts back in the queue"),
        (approved, "Approve 3 accounts", "is approved for 3 accounts"),
    ):
        page.goto(f"{at(batch)}?q=100{0 if batch == cancelled else 3}")
        expect(page.locator(".pager-count")).to_have_text("1–1 of 1")
        button(page, name).click()
        page.get_by_role("dialog").get_by_role("button", name=name).click()
        expect(page.locator("#messages")).to_contain_text(said)
    assert set(cancelled.entries.values_list("state", flat=True)) == {"cancelled"}
    assert again(cancelled).state == BatchState.CANCELLED
    assert again(approved).approved_by == desk


def test_accounts_that_changed_are_named_and_only_these_are_proposed_anew(page, book, desk, sign_in, accessible):
    batch = pending(desk, *book[:3])
    Account.objects.filter(pk=book[1].pk).update(cash=Decimal(9000))
    sign_in(desk)
    page.goto(at(batch))
    button(page, "Approve 3 accounts").click()
    page.get_by_role("dialog").get_by_role("button", name="Approve 3 accounts").click()
    expect(page.locator("#messages")).to_contain_text("Nothing was approved: 1 account changed since proposing.")
    arrived(page, re.compile("^Request"))
    changed = page.locator(".changed")
    expect(changed.get_by_role("listitem")).to_have_text("1001 Client 1 Trust: cash $5,100.00 → $9,000.00")
    accessible()
    changed.get_by_role("link").click()
    arrived(page, re.compile("^1001 in Request"))
    expect(changed).to_contain_text("cash $5,100.00 → $9,000.00")
    page.get_by_role("link", name=f"Request {batch.pk}").click()
    arrived(page, re.compile("^Request"))
    page.get_by_role("button", name="Propose 1 account anew").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("The other proposals stay as they are.")
    dialog.get_by_role("button", name="Propose 1 account anew").click()
    expect(page.locator("#messages")).to_contain_text("1 account of request")
    batches.propose_batch(batch.pk)
    page.goto(at(batch))
    expect(changed).to_have_count(0)
    button(page, "Approve 3 accounts").click()
    page.get_by_role("dialog").get_by_role("button", name="Approve 3 accounts").click()
    expect(page.locator("#messages")).to_contain_text("is approved for 3 accounts")
    arrived(page, re.compile("^Request"))
