"""The three tabs as somebody of Operations uses them all morning: filters, selections and columns that stay where they
were put, History, and a request of thousands that goes on while nobody looks.
"""

import re
from datetime import timedelta
from decimal import Decimal
from urllib.parse import parse_qs

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from accounts.models import Account, Position
from rebalancer.models import Batch
from rebalancer.services import batches, checks, days
from tax.models import Lot
from tests import factories as make
from tests.rebalancer.conftest import again, as_seen, opened, pending
from trading import sessions

pytestmark = pytest.mark.django_db(transaction=True)

QUEUE, PENDING, HISTORY = "/rebalancer/", "/rebalancer/pending/", "/rebalancer/history/"
GTE, LTE = "is greater than or equal to", "is less than or equal to"
PATIENCE = 60_000  # ms
ASKED_EVERY = 5000  # ms


@pytest.fixture
def desk():
    return make.operations("olive", first_name="Olive", last_name="Ortega")


def accounts_of(number):
    """So many accounts with 75 % VTI, 20 % AGG and cash from $5,000 on in steps of $100, so worth $100,000 and more;
    even ones at Schwab, odd ones at Fidelity, the first ten never rebalanced.
    """
    make.price("VTI", 100)
    make.price("AGG", 50)
    balanced = make.portfolio("Balanced", VTI=60, AGG=38)
    houses, delivered = [make.custodian("Schwab"), make.custodian("Fidelity")], sessions.last_completed_session()
    rows = Account.objects.bulk_create(
        Account(
            number=f"{1000 + index}", name=f"Client {index} Trust", portfolio=balanced, custodian=houses[index % 2],
            cash=Decimal(5000 + 100 * (index % 100)), rebalancing_on=True, delivered_for=delivered,
            last_rebalanced=None if index < 10 else sessions.today() - timedelta(days=30),
        )
        for index in range(number)
    )  # fmt: skip
    held = [(account, make.security(symbol), quantity, cost) for account in rows
            for symbol, quantity, cost in (("VTI", 750, 60_000), ("AGG", 400, 22_000))]  # fmt: skip
    managed = make.sleeve()
    Lot.objects.bulk_create(
        Lot(account=account, sleeve=managed, security=security, lot_id="1", quantity=quantity, total_cost=cost,
            acquired_on=sessions.today() - timedelta(days=900))
        for account, security, quantity, cost in held
    )  # fmt: skip
    Position.objects.bulk_create(
        Position(account=account, sleeve=managed, security=security, quantity=quantity)
        for account, security, quantity, _ in held
    )
    return rows


@pytest.fixture
def book(desk):
    """Thirty accounts to rebalance."""
    rows = accounts_of(30)
    checks.analyse()
    return rows


def add(page, column, *choices, condition=None, value=None):
    """Add a filter as a person does: the menu, the column, then choices or a condition and a value."""
    form = page.locator("#add-filter")
    page.locator("#add-filter-button").click()
    form.get_by_role("link", name=column, exact=True).click()
    for choice in choices:
        form.get_by_label(choice, exact=True).check()
    if value is not None:
        form.get_by_label("Condition", exact=True).select_option(condition)
        form.get_by_label("Value", exact=True).fill(value)
    form.get_by_role("button", name="Add", exact=True).click()
    expect(form).to_be_hidden()


def chips(page):
    return page.locator(".chip:has(.chip-off):visible")


def rows(page):
    return page.locator(".pager-count")


def tile(page, key):
    return page.locator(f"#tile-{key} .tile-count")


def follow(page, link, title):
    """Click a link and wait until its page is there whole, with its scripts run."""
    link.click()
    expect(page).to_have_title(f"{title} · Rebalancer")
    page.wait_for_load_state()


def tab(page, name):
    follow(page, page.locator("#tabs").get_by_role("link", name=name), name)


def enter(page):
    page.goto("/login/")
    page.get_by_label("User name").fill("olive")
    page.get_by_label("Password").fill(make.PASSWORD)
    follow(page, page.get_by_role("button", name="Sign in"), "Home")
    page.goto(QUEUE)


def leave(page):
    page.get_by_role("button", name="Olive Ortega").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/login/$"))


def test_filters_and_columns_stay_over_everything_until_closed_or_signed_out(page, book, desk):
    first = pending(desk, *book[28:])
    enter(page)
    add(page, "Custodian", "Schwab")
    expect(rows(page)).to_have_text("1–14 of 14")
    add(page, "Market value", condition=GTE, value="$100,200")
    add(page, "Market value", condition=LTE, value="102,000")
    expect(rows(page)).to_have_text("1–10 of 10")
    expect(tile(page, "first_rebalance")).to_have_text("4")  # 1002 to 1008
    page.locator("#tile-first_rebalance").click()
    expect(rows(page)).to_have_text("1–4 of 4")
    expect(tile(page, "high_cash")).to_have_text("4")
    add(page, "Market value", condition=GTE, value="100200.00")  # stands already
    words = ["Custodian is Schwab×", "Market value ≥ $100,200×", "Market value ≤ $102,000×"]
    expect(chips(page)).to_have_text(words)
    show_column(page, "Custodian")

    tab(page, "Pending Approval")
    add(page, "Trade logic", "Best Fit", "Min Transaction")
    expect(rows(page)).to_have_text("1–1 of 1")
    follow(page, page.get_by_role("link", name="View Details"), f"Request {first.pk}")
    add(page, "Result", "Proposed", "Failed")
    expect(chips(page)).to_have_text(["Result is Proposed or Failed×"])
    tab(page, "History")
    add(page, "Result", "Complete")
    expect(page.locator(".empty")).to_contain_text("Nothing matches these filters.")
    follow(page, page.get_by_role("navigation", name="Sections").get_by_role("link", name="Clients"), "Accounts")
    follow(page, page.get_by_role("link", name="Rebalancer", exact=True).last, "Accounts to Rebalance")
    expect(chips(page)).to_have_text(words)
    expect(rows(page)).to_have_text("1–4 of 4")
    expect(page.locator("#sort-custodian")).to_be_visible()
    page.locator("#pick-page").check()
    follow(page, page.get_by_role("button", name="Generate Proposed Trades"), "Pending Approval")
    expect(page.get_by_role("status").first).to_contain_text("was opened for 4 accounts")
    expect(chips(page)).to_have_text(["Trade logic is Best Fit or Min Transaction×"])
    follow(page, page.locator(f"#details-{first.pk}"), f"Request {first.pk}")
    expect(chips(page)).to_have_text(["Result is Proposed or Failed×"])

    tab(page, "Accounts to Rebalance")
    page.locator("#tile-first_rebalance").click()  # taken back: six are left
    expect(rows(page)).to_have_text("1–6 of 6")
    page.locator("#pick-page").check()
    expect(page.locator("#selection strong")).to_have_text("6 selected")
    follow(page, page.get_by_role("button", name="Close Rebalancer"), "Home")
    page.goto(QUEUE)
    expect(page.locator("#selection")).to_be_hidden()
    expect(rows(page)).to_have_text("1–24 of 24")
    expect(chips(page)).to_have_count(0)
    expect(page.locator("#sort-custodian")).to_have_count(0)
    add(page, "Custodian", "Schwab", "Fidelity")
    show_column(page, "Custodian")
    expect(chips(page)).to_have_count(1)
    page.locator("#pick-page").check()
    expect(page.locator("#selection strong")).to_have_text("24 selected")
    leave(page)
    enter(page)
    expect(page.locator("#selection")).to_be_hidden()
    expect(chips(page)).to_have_count(0)
    expect(page.locator("#sort-custodian")).to_have_count(0)


def show_column(page, name):
    page.get_by_role("button", name="Columns").click()
    page.locator(".column-list").get_by_label(name, exact=True).check()
    page.get_by_role("button", name="Show these columns").click()
    expect(page.locator(f"thead th:has-text('{name}')")).to_be_visible()


def test_all_that_match_over_pages_but_one_into_a_request_and_out_of_it(page, book, desk, sign_in):
    sign_in(desk)
    page.goto(f"{QUEUE}?per=25")
    page.locator("#pick-page").check()
    expect(page.locator("#selection strong")).to_have_text("25 selected")
    page.get_by_role("button", name="Select all 30 accounts that match").click()
    page.locator("#page-next").click()
    expect(rows(page)).to_have_text("26–30 of 30")
    expect(page.locator("[data-pick]:checked")).to_have_count(5)
    page.get_by_role("checkbox", name="Select 1027 ").uncheck()
    expect(page.locator("#selection strong")).to_have_text("29 selected")
    with page.expect_request("**/rebalancer/generate/") as sent:
        page.get_by_role("button", name="Generate Proposed Trades").click()
    fields = parse_qs(sent.value.post_data)
    assert (fields["scope"], fields["shown"], fields["ids"]) == (["all"], ["30"], [str(book[27].pk)])
    expect(page.get_by_role("status").first).to_contain_text("was opened for 29 accounts")

    batch = Batch.objects.get()
    batches.propose_batch(batch.pk)
    page.goto(f"/rebalancer/requests/{batch.pk}/?per=25")
    page.locator("#pick-page").check()
    page.get_by_role("button", name="Select all 29 accounts that match").click()
    page.get_by_role("checkbox", name="Select 1000 ").uncheck()
    page.locator("#page-next").click()
    page.get_by_role("button", name="Selected (28)").click()
    expect(page.get_by_role("link", name="Selected (28)")).to_be_visible()
    page.wait_for_load_state()
    expect(rows(page)).to_have_text("1–25 of 28")
    page.get_by_role("button", name="Remove selected").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove from request").click()
    expect(page.get_by_role("status").first).to_contain_text("28 accounts removed from request")
    assert [entry.account_number for entry in batch.entries.still_open()] == ["1000"]


def test_history_by_day_result_and_person(page, book, desk, sign_in, screenshot):
    ann = make.operations("ann", first_name="Ann", last_name="Archer")
    complete = pending(desk, *book[:3])
    chosen = complete.entries.filter(account_number="1002")
    batches.remove(complete, by=desk, entries=chosen, shown=1)
    batches.approve(complete, by=ann, **as_seen(complete))
    batches.finish_approval(complete.pk)
    cancelled = pending(ann, *book[3:5])
    batches.cancel(cancelled, by=desk)
    late = opened(desk, book[5]).batch
    days.end_of_day()
    long_ago = pending(ann, book[6])
    batches.cancel(long_ago, by=ann)
    Batch.objects.filter(pk=long_ago.pk).update(opened_at=timezone.now() - timedelta(days=400))
    sign_in(desk)
    page.goto(HISTORY)
    expect(rows(page)).to_have_text("1–4 of 4")
    cells = page.locator(f"#row-{complete.pk} td")
    expect(cells.filter(has_text=re.compile(r"^\d+$"))).to_have_text(["3", "0", "2", "1"])  # accounts, failed, …
    expect(page.locator(f"#row-{late.pk}")).to_contain_text("end of day")
    screenshot("history-four")
    recent = timezone.localdate() - timedelta(days=200)
    add(page, "Requested", condition=GTE, value=recent.isoformat())
    expect(rows(page)).to_have_text("1–3 of 3")
    add(page, "Result", "Complete", "Cancelled")
    add(page, "Requested by", "Olive Ortega")
    expect(page.locator("#said")).to_have_text("Rows 1–2 of 2")
    expect(page.locator("#add-filter-button")).to_be_focused()
    page.keyboard.press("/")
    page.keyboard.type("1005")  # the account of a request of one
    expect(page.locator("#listing tbody tr")).to_have_count(1)
    expect(page.locator("#search")).to_be_focused()
    follow(page, page.get_by_role("link", name=f"Request {late.pk}", exact=True), f"Request {late.pk}")
    expect(page.locator(".titlerow")).to_contain_text("end of day")
    page.goto(f"/rebalancer/requests/{complete.pk}/")
    expect(page.locator(".meta").first).to_contain_text("by Ann Archer")
    expect(page.get_by_role("checkbox")).to_have_count(0)


def columns(page):
    return page.evaluate("[...document.querySelectorAll('thead th')].map((head) => head.getBoundingClientRect().left)")


def test_a_request_of_thousands_goes_on_while_nobody_looks(page, desk, sign_in, monkeypatch):
    """The worker's own steps, one chunk at a time: how far it is shows on the tab and on its page, and whoever left
    finds it further on, under the filter that was set.
    """
    monkeypatch.setattr("rebalancer.services.proposing.ACCOUNTS_AT_ONCE", 500)
    accounts = accounts_of(1500)
    batch = opened(desk, *accounts).batch
    sign_in(desk)
    page.clock.install()
    page.goto(PENDING)
    row = page.locator(f"#row-{batch.pk}")
    expect(row).to_contain_text("0 of 1,500")
    add(page, "Accounts", condition=GTE, value="1,000")
    places = columns(page)
    row.get_by_role("link", name=f"Request {batch.pk}", exact=True).focus()
    assert batches.propose_batch(batch.pk, patience=0)
    page.clock.fast_forward(ASKED_EVERY)
    expect(row).to_contain_text("500 of 1,500", timeout=PATIENCE)
    expect(row.locator("progress")).to_have_attribute("value", "500")
    expect(page.locator(f"#request-{batch.pk}")).to_be_focused()  # the row was drawn anew
    follow(page, row.get_by_role("link", name="View Details"), f"Request {batch.pk}")
    expect(page.locator("#work")).to_contain_text("Proposing trades: 500 of 1,500 accounts")
    page.goto("about:blank")
    assert batches.propose_batch(batch.pk, patience=0)
    page.goto(f"/rebalancer/requests/{batch.pk}/")
    expect(page.locator("#work")).to_contain_text("Proposing trades: 1,000 of 1,500 accounts")
    tab(page, "Pending Approval")
    expect(chips(page)).to_have_text(["Accounts ≥ 1,000×"])
    page.locator(f"#details-{batch.pk}").focus()
    batches.propose_batch(batch.pk)
    page.clock.fast_forward(ASKED_EVERY)
    expect(row.locator(".state")).to_have_text("Pending Approval", timeout=PATIENCE)
    expect(page.locator("#said")).to_have_text(f"Request {batch.pk}: Pending Approval")
    expect(page.locator(f"#details-{batch.pk}")).to_be_focused()
    assert columns(page) == places  # nothing jumps when a row updates
    assert again(batch).done == 1500
    follow(page, row.get_by_role("link", name="View Details"), f"Request {batch.pk}")
    expect(rows(page)).to_have_text("1–50 of 1,500")
