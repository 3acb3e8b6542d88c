"""The Rebalancer's tabs in a browser, with a worker: from signing in to History, and what happens on the way."""

import re
from decimal import Decimal

import pytest
from django.conf import settings
from playwright.sync_api import expect

from accounts.models import Account
from rebalancer.models import Batch
from rebalancer.services import checks
from rebalancer.states import BatchState
from tests import factories as make
from tests.processes import eventually
from tests.rebalancer.conftest import opened, pending
from tests.web.conftest import arrived
from trading import sessions

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = re.compile(r"/rebalancer/pending/rows/")
ASKED_EVERY = 5000  # ms
KEPT = "Object.keys(sessionStorage).filter((name) => name.startsWith('picks:'))"


@pytest.fixture
def ann():
    return make.advisor("ann", first_name="Ann", last_name="Archer")


@pytest.fixture
def book(ann):
    """Ten accounts of Ann with high cash, two of which were never rebalanced."""
    make.price("VTI", 100)
    make.price("AGG", 50)
    balanced = make.portfolio("Balanced", VTI=60, AGG=38)
    rows = [
        make.account(f"10{index:02d}", name=f"Client {index} Trust", portfolio=balanced, advisor=ann,
                     cash=Decimal(5000 + 100 * index), last_rebalanced=None if index < 2 else sessions.today(),
                     delivered_for=sessions.last_completed_session())
        for index in range(10)
    ]  # fmt: skip
    for account in rows:
        make.lot(account, "VTI", 750, cost=60000)
        make.lot(account, "AGG", 400, cost=22000)
    checks.analyse()
    return rows


@pytest.fixture
def asked(page):
    """The addresses that the page asked for again by itself."""
    found = []
    page.on("request", lambda request: found.append(request.url) if ROWS.search(request.url) else None)
    return found


def let_it_ask(page):
    """Time goes by in the page in which it asks again, if it does."""
    page.clock.run_for(ASKED_EVERY + 1000)


def is_in(state):
    return lambda: Batch.objects.get().state == state


def pick(page, *numbers):
    for number in numbers:
        page.get_by_role("checkbox", name=f"Select {number} ").check()


def tile(page, name):
    return page.locator(".tile").filter(has_text=name)


def row(page, batch):
    return page.locator(f"#row-{batch.pk}")


def test_from_signing_in_to_history(page, worker, book, ann, asked, accessible, screenshot):
    page.clock.install()
    page.goto("/")
    page.get_by_label("User name").fill("ann")
    page.get_by_label("Password").fill(make.PASSWORD)
    page.get_by_role("button", name="Sign in").click()

    arrived(page, "Home · Rebalancer")
    page.get_by_label("Sections").get_by_role("link", name="Rebalancer").click()
    arrived(page, "Accounts to Rebalance · Rebalancer")
    expect(tile(page, "High Cash").locator(".tile-count")).to_have_text("10")
    accessible()
    screenshot("queue")
    tile(page, "High Cash").click()
    tile(page, "First Rebalance").click()
    expect(page.locator(".pager-count")).to_have_text("1–2 of 2")
    tile(page, "First Rebalance").click()
    expect(page.locator(".pager-count")).to_have_text("1–10 of 10")
    pick(page, "1001", "1003", "1004")
    page.get_by_label("Trade logic").select_option("Min Transaction")
    screenshot("queue-selected")
    page.get_by_role("button", name="Generate Proposed Trades").click()

    arrived(page, "Pending Approval · Rebalancer")
    batch = Batch.objects.get()
    expect(page.get_by_role("status").first).to_contain_text(f"Request {batch.pk} was opened for 3 accounts")
    expect(row(page, batch)).to_have_class("fresh")
    eventually(is_in(BatchState.PENDING_APPROVAL))
    let_it_ask(page)
    expect(row(page, batch).get_by_role("link", name="Approve")).to_be_visible()
    expect(row(page, batch).locator(".state")).to_have_text("Pending Approval")
    accessible()
    screenshot("pending")
    before = len(asked)
    let_it_ask(page)
    assert len(asked) == before

    row(page, batch).get_by_role("link", name="Approve").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading")).to_have_text(f"Approve request {batch.pk}?")
    accessible()
    screenshot("confirm")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(row(page, batch).get_by_role("link", name="Approve")).to_be_focused()
    row(page, batch).get_by_role("link", name="Approve").click()
    dialog.get_by_role("button", name="Approve 3 accounts").click()
    expect(page.get_by_role("status").first).to_contain_text(f"Request {batch.pk} is approved for 3 accounts")

    page.wait_for_load_state()
    eventually(is_in(BatchState.COMPLETE))
    let_it_ask(page)
    expect(page.locator("#tabs").get_by_role("link", name="History")).to_have_text("History 1")
    page.get_by_role("link", name="History").click()
    arrived(page, "History · Rebalancer")
    expect(row(page, batch)).to_contain_text("Ann Archer")
    expect(row(page, batch).locator(".state")).to_have_text("Complete")
    accessible()
    screenshot("history")
    page.get_by_role("button", name="Ann Archer").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/login/$"))


def test_a_list_that_changed_meanwhile(page, book, ann, sign_in, provoked):
    sign_in(ann)
    page.goto("/rebalancer/?tile=high_cash")
    pick(page, "1000")
    page.get_by_role("button", name="Select all 10 accounts that match").click()
    opened(ann, book[0])
    page.get_by_role("button", name="Generate Proposed Trades").click()
    expect(page.get_by_role("alert")).to_contain_text("10 shown, 9 now. Nothing was done.")
    provoked("409")
    page.get_by_role("link", name="Back to the list").click()
    arrived(page, "Accounts to Rebalance · Rebalancer")
    expect(page.locator("#selection strong")).to_have_text("10 selected")
    page.get_by_role("button", name="Generate Proposed Trades").click()
    provoked("409")
    page.get_by_role("button", name="Generate proposed trades for 9 accounts").click()
    expect(page.get_by_role("status").first).to_contain_text("was opened for 9 accounts")
    assert page.evaluate(KEPT) == []


def test_what_is_selected_is_forgotten_only_when_it_is_done(page, context, book, ann, sign_in, provoked):
    sign_in(ann)
    page.goto("/rebalancer/?f=")
    pick(page, "1000", "1001")
    kept = page.evaluate(KEPT)
    context.clear_cookies(name=settings.SESSION_COOKIE_NAME)
    page.get_by_role("button", name="Generate Proposed Trades").click()
    page.wait_for_url(re.compile("/login/"))
    page.get_by_label("User name").fill("ann")
    page.get_by_label("Password").fill(make.PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    arrived(page, "Accounts to Rebalance · Rebalancer")
    expect(page.locator("#selection strong")).to_have_text("2 selected")
    context.route("**/generate/", lambda route: route.fulfill(status=502, body="away"))
    page.get_by_role("button", name="Generate Proposed Trades").click()
    provoked("502")
    context.unroute("**/generate/")
    page.goto("/rebalancer/?f=")
    expect(page.locator("#selection strong")).to_have_text("2 selected")
    assert page.evaluate(KEPT) == kept
    page.get_by_role("button", name="Generate Proposed Trades").click()
    arrived(page, "Pending Approval · Rebalancer")
    expect(page).to_have_url(re.compile(rf"/rebalancer/pending/#row-{Batch.objects.get().pk}$"))
    assert page.evaluate(KEPT) == []


def test_who_was_left_out_is_named(page, book, ann, sign_in):
    sign_in(ann)
    page.goto("/rebalancer/")
    pick(page, "1000", "1001", "1002")
    first = opened(ann, book[0]).batch
    page.get_by_role("button", name="Generate Proposed Trades").click()
    message = page.get_by_role("status").first
    message.get_by_text("1 account left out").click()
    expect(message.get_by_role("listitem")).to_have_text(f"1000 Client 0 Trust: it is in request {first.pk}")


def test_cancelling_from_the_list(page, book, ann, sign_in):
    batch = pending(ann, *book[:2])
    sign_in(ann)
    page.goto("/rebalancer/pending/")
    row(page, batch).get_by_role("link", name="Cancel").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("2 open accounts are dropped")
    dialog.get_by_role("button", name="Cancel request").click()
    expect(page.locator(".empty")).to_contain_text("Select from 10 accounts to rebalance")
    assert not Batch.objects.get().entries.still_open().exists()


def test_only_rows_at_work_are_asked_for(page, book, ann, sign_in, asked):
    pending(ann, book[0])
    waiting = opened(ann, book[1]).batch
    sign_in(ann)
    page.clock.install()
    page.goto("/rebalancer/pending/")
    with page.expect_request(ROWS):
        let_it_ask(page)
    assert {url.partition("?")[2] for url in asked} == {f"at={waiting.pk}"}


def test_a_page_nobody_looks_at_asks_nothing(page, book, ann, sign_in, asked):
    opened(ann, book[0])
    sign_in(ann)
    page.add_init_script("Object.defineProperty(document, 'hidden', { get: () => true })")
    page.clock.install()
    page.goto("/rebalancer/pending/")
    let_it_ask(page)
    assert asked == []


def test_a_session_that_ended_leads_to_signing_in(page, context, book, ann, sign_in):
    opened(ann, book[0])
    sign_in(ann)
    page.clock.install()
    page.goto("/rebalancer/pending/")
    context.clear_cookies()
    let_it_ask(page)
    expect(page).to_have_url(re.compile(r"/login/\?next=%2Frebalancer%2Fpending%2F"))


def test_closing_the_rebalancer_drops_its_filters(page, book, ann, sign_in):
    sign_in(ann)
    page.goto("/rebalancer/?tile=first_rebalance")
    expect(page.locator(".pager-count")).to_have_text("1–2 of 2")
    page.goto("/rebalancer/history/")
    page.get_by_role("link", name="Accounts to Rebalance").click()
    expect(page.locator(".pager-count")).to_have_text("1–2 of 2")
    page.get_by_role("button", name="Close Rebalancer").click()
    arrived(page, "Home · Rebalancer")
    page.goto("/rebalancer/")
    expect(page.locator(".pager-count")).to_have_text("1–10 of 10")


def test_by_keyboard(page, book, ann, sign_in):
    sign_in(ann)
    page.goto("/rebalancer/")
    page.keyboard.press("/")
    page.keyboard.type("Client 7")
    expect(page.locator(".pager-count")).to_have_text("1–1 of 1")
    page.get_by_role("checkbox", name="Select 1007 ").focus()
    page.keyboard.press("Space")
    expect(page.locator("#selection strong")).to_have_text("1 selected")
    assert Account.objects.get(number="1007").name == "Client 7 Trust"
