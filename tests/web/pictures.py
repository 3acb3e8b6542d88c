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
    page = walk.page
    walk.sign_in("operations")
    walk.picture("01-sign-in")
    walk.enter()
    walk.picture("02-accounts-to-rebalance")
    page.locator("#tile-high_cash").click()
    expect(page.locator("#tile-high_cash")).to_have_attribute("aria-current", "true")
    walk.picture("03-one-tile")
    page.locator("#tile-high_cash").click()
    expect(page.locator("#tile-high_cash")).not_to_have_attribute("aria-current", "true")
    page.locator("#pick-page").check()
    walk.picture("04-accounts-selected")
    page.get_by_role("button", name="Generate Proposed Trades").click()
    walk.picture("05-pending-at-work")
    expect(
        page.get_by_role("button", name="Approve").or_(page.get_by_role("link", name="Approve")).first
    ).to_be_enabled(timeout=PATIENCE)
    walk.picture("06-pending-approval")
    page.get_by_role("link", name="View Details").first.click()
    walk.picture("07-request")
    page.locator("#listing tbody td.pin-1 a").nth(3).click()
    walk.picture("08-account-in-a-request")
    page.locator("summary, [aria-expanded=false]").filter(has_text="Sell").first.click()
    walk.picture("09-lots-of-a-sale")
    page.go_back()
    page.get_by_role("button", name="Approve").first.click()
    expect(page.locator(".modal.show")).to_be_visible()
    page.wait_for_timeout(400)  # the dialog fades in
    walk.picture("10-approve-asks-first")
    page.locator(".modal.show").get_by_role("button", name="Approve").click()
    page.wait_for_timeout(PATIENCE / 6)  # staged by the worker
    walk.go("/rebalancer/history/")
    walk.picture("11-history")
    page.get_by_role("link", name="View Details").first.click()
    walk.picture("12-request-in-history")


def administrator(walk: Walk) -> None:
    walk.sign_in("admin")
    walk.enter()
    walk.go("/admin/")
    walk.picture("13-administration")
    walk.go("/admin/accounts/portfolio/")
    walk.page.locator("#result_list tbody th a").first.click()
    walk.picture("14-portfolio-in-administration")


def main(address: str, folder: str) -> None:
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser.find(), args=FLAGS)
        for walk in (operations, administrator):
            walk(Walk(chromium.new_context(reduced_motion="reduce").new_page(), address, target))
        chromium.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
