"""Pictures of every page of a demo firm that has just been started, for docs/screenshots.

    .venv/bin/python -m tests.web.pictures http://localhost:8000/ docs/screenshots

Walks the main path as Operations (select, generate, review, approve, history), so it changes the firm it is shown.
"""

import sys
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from ops import browser
from tests.web.conftest import FLAGS

WIDTHS = (1440, 1024)
HEIGHT = 900
PASSWORD = "rebalance-demo"
PATIENCE = 60_000  # ms that a worker may take


class Walk:
    """A person in a browser who stops for a picture at each step."""

    def __init__(self, page: Page, address: str, folder: Path):
        self.page, self.address, self.folder = page, address.rstrip("/"), folder

    def picture(self, name: str) -> None:
        for width in WIDTHS:
            self.page.set_viewport_size({"width": width, "height": HEIGHT})
            self.page.screenshot(path=self.folder / f"{name}-{width}.png")
        self.page.set_viewport_size({"width": WIDTHS[0], "height": HEIGHT})

    def sign_in(self, name: str) -> None:
        self.page.goto(f"{self.address}/login/")
        self.page.get_by_label("User name").fill(name)
        self.page.get_by_label("Password").fill(PASSWORD)

    def enter(self) -> None:
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_load_state()

    def go(self, path: str) -> None:
        self.page.goto(f"{self.address}{path}")


def operations(walk: Walk) -> None:
    """The main line: from the queue to History."""
    page = walk.page
    walk.sign_in("operations")
    walk.picture("01-sign-in")
    walk.enter()
    walk.picture("02-home")
    walk.go("/rebalancer/")
    walk.picture("03-accounts-to-rebalance")
    tile = page.locator("#tile-high_cash")
    tile.click()
    expect(tile).to_have_attribute("aria-current", "true")
    walk.picture("04-one-tile")
    tile.click()
    expect(tile).not_to_have_attribute("aria-current", "true")
    page.locator("#pick-page").check()
    walk.picture("05-accounts-selected")
    page.get_by_role("button", name="Generate Proposed Trades").click()
    walk.picture("06-pending-at-work")
    approve = page.get_by_role("button", name="Approve").or_(page.get_by_role("link", name="Approve"))
    expect(approve.first).to_be_enabled(timeout=PATIENCE)
    walk.picture("07-pending-approval")
    page.get_by_role("link", name="View Details").first.click()
    walk.picture("08-request")
    request = page.url
    page.locator("#listing tbody td.pin-1 a").nth(3).click()
    walk.picture("09-account-in-a-request")
    page.locator("summary, [aria-expanded=false]").filter(has_text="Sell").first.click()
    walk.picture("10-lots-of-a-sale")
    page.goto(f"{request}analysis/")
    walk.picture("11-analysis-of-a-request")
    page.goto(request)
    page.get_by_role("button", name="Approve").first.click()
    expect(page.locator(".modal.show")).to_be_visible()
    page.wait_for_timeout(400)  # the dialog fades in
    walk.picture("12-approve-asks-first")
    page.locator(".modal.show").get_by_role("button", name="Approve").click()
    page.wait_for_timeout(PATIENCE / 6)  # staged by the worker
    walk.go("/rebalancer/history/")
    walk.picture("13-history")
    page.get_by_role("link", name="View Details").first.click()
    walk.picture("14-request-in-history")
    orders(walk)


def orders(walk: Walk) -> None:
    """From the approved request to its filled orders, and an account they were booked in."""
    page = walk.page
    page.get_by_role("link", name="Open order ticket").click()
    page.locator(".opens").first.click()
    expect(page.locator("tr.line").first).to_be_visible()
    walk.picture("24-order-ticket")
    page.locator("a.execution").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_role("dialog").get_by_label("Algorithm").select_option("vwap")
    page.wait_for_timeout(400)  # the dialog fades in
    walk.picture("25-execution")
    page.get_by_role("dialog").get_by_role("link", name="Keep as it is").click()
    page.get_by_role("link", name="Transmit all").click()
    walk.picture("26-preview")
    page.get_by_role("button", name="Confirm").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Confirm").click()
    expect(page.locator("progress, .progress, svg").first).to_be_visible()
    page.wait_for_timeout(PATIENCE / 10)  # some are filled, some are not
    walk.picture("27-finish")
    expect(page.get_by_text("filled and booked in")).to_be_visible(timeout=2 * PATIENCE)
    walk.go("/trading/orders/")
    walk.picture("28-orders")
    page.locator("#listing tbody td a").first.click()
    page.wait_for_load_state()
    walk.picture("29-an-order")
    page.locator("main a[href*='/clients/accounts/']").first.click()
    page.wait_for_load_state()
    walk.picture("30-account-after-the-fills")


def advisor(walk: Walk) -> None:
    """The Rebalance Center, clients and portfolios, as the advisor of some accounts."""
    page = walk.page
    walk.sign_in("advisor1")
    walk.enter()
    walk.go("/trading/rebalance/")
    walk.picture("15-rebalance-center")
    page.locator("td.actions-cell a").first.click()
    walk.picture("16-accounts-of-a-status")
    walk.go("/clients/accounts/")
    walk.picture("17-accounts")
    page.locator("#listing tbody td.pin-1 a").nth(4).click()
    walk.picture("18-account")
    page.get_by_role("link", name="Rebalance", exact=True).click()
    walk.picture("19-rebalance-one-account")
    walk.go("/portfolios/")
    walk.picture("20-portfolios")
    page.locator("#listing tbody td.pin-1 a").first.click()
    walk.picture("21-portfolio")


def administrator(walk: Walk) -> None:
    walk.sign_in("admin")
    walk.enter()
    walk.go("/admin/")
    walk.picture("22-administration")
    walk.go("/admin/accounts/portfolio/")
    walk.page.locator("#result_list tbody th a").first.click()
    walk.picture("23-portfolio-in-administration")


def main(address: str, folder: str) -> None:
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser.find(), args=FLAGS)
        for walk in (advisor, operations, administrator):
            walk(Walk(chromium.new_context(reduced_motion="reduce").new_page(), address, target))
        chromium.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
