"""The kit of list pages in a browser: selecting over pages, filters step by step, keys, columns, colours."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Group
from playwright.sync_api import expect

from accounts.models import Account, Custodian, User

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.accounts.listing.example")]


@pytest.fixture
def listed(page, sign_in):
    """The example page as Operations sees it: 60 accounts, numbers 1000 to 1059, cash 0 to 5,900, two custodians."""
    houses = [Custodian.objects.create(name=name) for name in ("Schwab", "Fidelity")]
    Account.objects.bulk_create(
        Account(number=f"{1000 + i}", name=f"Client {i}", custodian=houses[i % 2], cash=100 * i, rebalancing_on=i != 3)
        for i in range(60)
    )
    user = User.objects.create_user("operator")
    user.groups.add(Group.objects.get_or_create(name="Operations")[0])
    sign_in(user)
    page.goto("/accounts/?per=25")
    return page


def box(page, number):
    return page.get_by_role("checkbox", name=f"Select {number} ")


def bar(page):
    return page.locator("#selection strong")


def add_filter(page, column):
    page.get_by_text("+ Add filter").click()
    page.locator("#add-filter").get_by_role("link", name=column, exact=True).click()


def test_picks_hold_over_pages_and_are_what_the_server_gets(listed):
    box(listed, 1001).check()
    listed.get_by_role("link", name="Next page").click()
    expect(listed.locator(".pager-count")).to_have_text("26–50 of 60")
    box(listed, 1030).check()
    expect(bar(listed)).to_have_text("2 selected")
    listed.get_by_role("button", name="Act").click()
    expect(listed.locator("body")).to_have_text("2 done: 1001, 1030")


def test_the_header_box_takes_the_page_and_leaves_what_cannot_be_taken(listed):
    listed.locator("#pick-page").check()
    expect(bar(listed)).to_have_text("24 selected")
    expect(box(listed, 1003)).to_be_disabled()
    listed.get_by_role("button", name="Clear").click()
    expect(listed.locator("#selection")).to_be_hidden()


def test_all_that_match_with_exceptions(listed):
    listed.goto("/accounts/?f=cash:gte:5500&f=custodian:any:Fidelity")
    box(listed, 1055).check()
    listed.get_by_role("button", name="Select all 3 accounts that match").click()
    box(listed, 1057).uncheck()
    expect(bar(listed)).to_have_text("2 selected")
    listed.get_by_role("button", name="Act").click()
    expect(listed.locator("body")).to_have_text("2 done: 1055, 1059")


def test_all_that_match_does_not_outlive_its_filter(listed):
    listed.goto("/accounts/?f=cash:gte:5500")
    box(listed, 1055).check()
    listed.get_by_role("button", name="Select all 5 accounts that match").click()
    listed.get_by_role("link", name=re.compile("Take off")).click()
    expect(listed.locator(".pager-count")).to_have_text("1–50 of 60")
    expect(listed.locator("#selection")).to_be_hidden()
    expect(listed.locator("[data-pick]:checked")).to_have_count(0)


def test_a_list_that_has_changed_is_said_with_both_numbers(listed, provoked):
    listed.goto("/accounts/?f=cash:gte:5500")
    box(listed, 1055).check()
    listed.get_by_role("button", name="Select all 5 accounts that match").click()
    Account.objects.filter(number="1056").update(cash=0)
    listed.get_by_role("button", name="Act").click()
    expect(listed.get_by_text("5 shown, 4 now.")).to_be_visible()
    provoked("409")
    listed.get_by_role("button", name="Act on 4").click()
    expect(listed.locator("body")).to_have_text("4 done: 1055, 1057, 1058, 1059")


def test_showing_only_the_selected_and_all_again(listed):
    box(listed, 1002).check()
    box(listed, 1004).check()
    listed.get_by_role("button", name="Selected (2)").click()
    expect(listed.locator("tbody tr")).to_have_count(2)
    expect(listed.get_by_role("button", name=re.compile("Select all"))).to_have_count(0)
    listed.get_by_role("link", name="Selected (2)").click()
    expect(listed.locator(".pager-count")).to_have_text("1–25 of 60")
    expect(bar(listed)).to_have_text("2 selected")


def test_the_chip_counts_and_shows_all_that_match_but_the_exceptions(listed):
    listed.goto("/accounts/?f=cash:gte:3000&per=25")
    box(listed, 1030).check()
    listed.get_by_role("button", name="Select all 30 accounts that match").click()
    box(listed, 1031).uncheck()
    listed.get_by_role("link", name="Next page").click()
    expect(listed.get_by_role("button", name="Selected (29)")).to_be_visible()
    listed.get_by_role("button", name="Selected (29)").click()
    expect(listed.locator(".pager-count")).to_have_text("1–25 of 29")
    expect(listed.locator("[data-pick]:checked")).to_have_count(25)
    expect(box(listed, 1031)).to_have_count(0)


def test_a_filter_step_by_step(listed):
    add_filter(listed, "Custodian")
    listed.get_by_label("Fidelity").check()
    listed.get_by_role("button", name="Add", exact=True).click()
    expect(listed.locator(".pager-count")).to_have_text("1–25 of 30")
    add_filter(listed, "Cash")
    expect(listed.get_by_label("Value", exact=True)).to_be_focused()
    listed.get_by_label("Condition", exact=True).select_option("is greater than or equal to")
    listed.get_by_label("Value", exact=True).fill("5,500")
    listed.keyboard.press("Enter")
    expect(listed.locator(".chip").first).to_contain_text("Custodian is Fidelity")
    expect(listed.locator(".pager-count")).to_have_text("1–3 of 3")
    expect(listed).to_have_url(re.compile("f=cash"))
    listed.go_back()
    expect(listed.locator(".pager-count")).to_have_text("1–25 of 30")


def test_a_filter_that_stands_already_is_not_added_again(listed):
    listed.goto("/accounts/?f=cash:gte:5500")
    add_filter(listed, "Cash")
    listed.get_by_label("Condition", exact=True).select_option("is greater than or equal to")
    listed.get_by_label("Value", exact=True).fill("$5,500.00")
    listed.keyboard.press("Enter")
    expect(listed.locator("#add-filter")).to_be_hidden()
    expect(listed.locator(".chip:has(.chip-off):visible")).to_have_text(["Cash ≥ $5,500×"])


def test_a_value_not_understood_says_so_beside_its_chip(listed):
    add_filter(listed, "Cash")
    listed.get_by_label("Value", exact=True).fill("5k")
    listed.keyboard.press("Enter")
    expect(listed.locator(".chip-error")).to_have_text("Cash: “5k” is not an amount in dollars, like 10,000.00.")
    expect(listed.locator("tbody tr")).to_have_count(0)


def test_search_by_key_keeps_the_focus_while_the_list_changes(listed):
    listed.keyboard.press("/")
    listed.keyboard.type("Client 57", delay=20)
    expect(listed.locator("tbody tr")).to_have_count(1)
    expect(listed.locator("#search")).to_be_focused()
    expect(listed.locator("#search")).to_have_value("Client 57")


def test_what_is_typed_while_the_list_is_on_its_way_is_not_lost(listed):
    search, held = listed.locator("#search"), []
    listed.clock.install()
    listed.goto("/accounts/?per=25")
    listed.clock.pause_at(datetime.now(UTC) + timedelta(hours=1))  # it asks when we say so
    listed.route("**/accounts/?*q=Client*", lambda route: held.append(route) or None, times=1)
    search.press_sequentially("Client 5")
    listed.clock.run_for(400)
    while not held:
        listed.wait_for_timeout(20)
    listed.keyboard.press("ArrowLeft")
    listed.keyboard.type("1")
    held[0].continue_()
    expect(listed.locator(".pager-count")).to_have_text("1–15 of 15")
    expect(search).to_have_value("Client 15")
    listed.clock.resume()
    expect(listed.locator(".pager-count")).to_have_text("1–1 of 1")
    expect(search).to_be_focused()
    listed.keyboard.type("4")
    expect(search).to_have_value("Client 145")


def test_escape_closes_the_menu_and_gives_the_focus_back(listed):
    listed.get_by_text("+ Add filter").click()
    listed.locator("#add-filter a").first.focus()
    listed.keyboard.press("Escape")
    expect(listed.locator("#add-filter")).to_be_hidden()
    expect(listed.locator("#add-filter-button")).to_be_focused()


def test_the_focus_is_kept_over_partial_updates(listed):
    listed.get_by_role("link", name="Custodian", exact=True).press("Enter")
    expect(listed.locator("th[aria-sort=ascending]")).to_have_text("Custodian")
    expect(listed.locator("#sort-custodian")).to_be_focused()
    listed.get_by_role("link", name="Last page").press("Enter")  # is no link there any more
    expect(listed.locator(".pager-count")).to_have_text("51–60 of 60")
    expect(listed.locator("#page-first")).to_be_focused()
    listed.goto("/accounts/?f=cash:gte:5500")
    listed.get_by_role("link", name="Take off: Cash").press("Enter")
    expect(listed.locator(".pager-count")).to_have_text("1–50 of 60")
    expect(listed.locator("#add-filter-button")).to_be_focused()


def test_arrows_and_space_in_the_table(listed):
    box(listed, 1001).focus()
    listed.keyboard.press("ArrowDown")
    expect(box(listed, 1002)).to_be_focused()
    listed.keyboard.press("Space")
    expect(bar(listed)).to_have_text("1 selected")
    box(listed, 1006).click(modifiers=["Shift"])
    expect(bar(listed)).to_have_text("4 selected")  # 1003 cannot be taken


def said(page):
    return page.locator("#said")


def test_what_changes_is_said_to_who_does_not_see_it(listed):
    assert said(listed).get_attribute("role") == "status"
    listed.get_by_role("link", name="Next page").click()
    expect(said(listed)).to_have_text("Rows 26–50 of 60, Page 2 of 3")
    listed.get_by_role("link", name="Cash $", exact=True).click()
    expect(said(listed)).to_have_text("Rows 1–25 of 60, Page 1 of 3")
    box(listed, 1001).check()
    expect(said(listed)).to_have_text("1 selected")
    box(listed, 1001).uncheck()
    expect(said(listed)).to_have_text("Nothing is selected")
    listed.locator("#search").fill("nobody at all")
    expect(said(listed)).to_have_text("Nothing matches these filters.")


def open_columns(listed):
    """Open the dialog and wait until it has taken the focus, which it does a moment after it is seen."""
    listed.get_by_role("button", name="Columns").click()
    expect(listed.locator("#columns")).to_be_focused()


def test_columns_by_keyboard(listed):
    open_columns(listed)
    up = listed.get_by_role("button", name="Move Cash $ up")
    up.press("Enter")
    expect(listed.locator("#columns [role=status]")).to_have_text("Cash $: now 3 of 8")
    expect(up).to_be_focused()
    up.press("Enter")
    expect(listed.locator("#columns [role=status]")).to_have_text("Cash $ stays 3 of 8")
    listed.get_by_label("Conditions", exact=True).press("Space")
    listed.get_by_role("button", name="Show these columns").click()
    expect(listed.locator("thead th")).to_have_text(["", "Account", "Name", "Cash $", "Custodian", "Last rebalanced"])


def test_enter_shows_the_columns_ticked(listed):
    open_columns(listed)
    listed.get_by_label("Conditions", exact=True).press("Space")
    listed.get_by_label("Conditions", exact=True).press("Enter")
    expect(listed.locator("thead th")).to_have_text(["", "Account", "Name", "Custodian", "Cash $", "Last rebalanced"])
    open_columns(listed)
    back = listed.get_by_role("button", name="Back to default")
    back.focus()
    listed.keyboard.press("Tab")  # the order of the eye is the order of the keys
    expect(listed.locator("#columns .modal-footer").get_by_role("button", name="Cancel")).to_be_focused()
    back.click()
    expect(listed.locator("thead th")).to_have_count(7)


def test_columns_by_drag(listed):
    open_columns(listed)
    item = listed.locator(".column-list li")
    item.filter(has_text="Last rebalanced").drag_to(
        item.filter(has_text="Custodian"), target_position={"x": 40, "y": 2}
    )
    listed.get_by_role("button", name="Show these columns").click()
    expect(listed.locator("thead th").nth(3)).to_have_text("Last rebalanced")


def test_an_ended_session_leads_to_sign_in(listed, context):
    context.clear_cookies()
    listed.get_by_role("link", name="Next page").click()
    expect(listed).to_have_url(re.compile(r"/login/\?next=%2Faccounts%2F"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_for_people_who_do_not_see_or_point(listed, accessible, scheme):
    listed.emulate_media(color_scheme=scheme)
    box(listed, 1001).check()
    accessible()
    listed.goto("/accounts/?f=cash:gte:5k&f=custodian:any:Schwab&add=custodian")
    accessible()
    listed.goto("/accounts/?f=")
    open_columns(listed)
    expect(listed.locator("#columns")).to_be_visible()
    accessible()


def test_a_long_filter_can_be_taken_off_on_a_narrow_screen(listed):
    listed.set_viewport_size({"width": 1024, "height": 800})
    listed.goto(f"/accounts/?f=name:is:{'Endowment with Alternatives ' * 6}")
    listed.get_by_role("link", name=re.compile("Take off")).click()
    expect(listed.locator(".pager-count")).to_have_text("1–50 of 60")


def test_number_and_name_stay_in_place_on_a_narrow_screen(listed):
    listed.set_viewport_size({"width": 520, "height": 800})
    name = listed.locator("tbody td.pin-2").first
    before = name.bounding_box()["x"]
    listed.locator(".scroller").evaluate("element => { element.scrollLeft = 200 }")
    assert listed.locator(".scroller").evaluate("element => element.scrollLeft") > 50
    assert abs(name.bounding_box()["x"] - before) < 40
    assert listed.evaluate("document.documentElement.scrollWidth") <= 520
