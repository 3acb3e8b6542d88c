"""A real headless browser against a live server; any error in its console fails the test.

What holds on a slow machine: a click that leads to another page is followed by `arrived`, before anything is done there
that needs the page's scripts, or is read from it at once; what a page does every few seconds is made due by its clock
(page.clock.install() before the page is opened), not waited for.
"""

import os
import time
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.test import Client
from playwright.sync_api import expect

from ops import browser as installed

FLAGS = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
FLAGS += ["--disable-default-apps", "--disable-dev-shm-usage", "--disable-gpu"]
PATIENCE = 60_000  # ms; a machine may be slow and busy, and whoever waits sees what comes earlier at once

expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="session", autouse=True)
def _playwright_beside_the_orm():
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    yield
    os.environ.pop("DJANGO_ALLOW_ASYNC_UNSAFE")


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    path = installed.find()
    assert path, "no browser: ./run test installs one, or install chromium-headless-shell and libatomic1"
    return browser_type_launch_args | {"executable_path": path, "args": FLAGS}


@pytest.fixture
def browser_context_args(browser_context_args, live_server):
    return browser_context_args | {
        "base_url": live_server.url,
        "viewport": {"width": 1440, "height": 900},
        "reduced_motion": "reduce",
        "locale": "en-US",
    }


@pytest.fixture
def console_errors():
    """What the browser complained about, as it comes in; see `provoked`."""
    return []


@pytest.fixture
def page(context, console_errors):
    """A page of the live server's; paths like `/login/` are enough. Its console must stay clean."""
    context.set_default_timeout(PATIENCE)
    context.on("page", lambda opened: listen(opened, console_errors))
    yield context.new_page()
    assert not console_errors, "the browser's console: " + "; ".join(console_errors)


@pytest.fixture
def provoked(page, console_errors):
    """provoked("409", ...): the console has complained, or is about to, with these words, in this order: as wanted."""

    def check(*words):
        deadline = time.monotonic() + PATIENCE / 1000
        while len(console_errors) < len(words) and time.monotonic() < deadline:
            page.wait_for_timeout(50)
        assert len(console_errors) == len(words), console_errors
        assert all(word in error for word, error in zip(words, console_errors, strict=True)), console_errors
        console_errors.clear()

    return check


def arrived(page, title):
    """Wait until a page of this title is there whole, with its scripts run."""
    expect(page).to_have_title(title)
    page.wait_for_load_state()


# What htmx says of a request that it has itself taken back for a newer one, or that was under way when the page was
# left: that it ended, and why. One that failed is named by another line behind the first (htmx:sendError).
CUT_OFF = ("htmx:afterRequest", "htmx:sendAbort")


def is_error(message):
    return message.type == "error" and not message.text.startswith(CUT_OFF)


def listen(page, errors):
    page.on("console", lambda message: errors.append(message.text) if is_error(message) else None)
    page.on("pageerror", lambda error: errors.append(str(error)))


@pytest.fixture
def sign_in(context, live_server):
    """sign_in(user): be that user from the next page on, without the form."""

    def become(user):
        client = Client()
        client.force_login(user, backend=settings.AUTHENTICATION_BACKENDS[-1])
        cookie = client.cookies[settings.SESSION_COOKIE_NAME]
        context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": live_server.url}])

    return become


@pytest.fixture
def accessible(page):
    """accessible(): axe finds nothing serious or critical on the page as it is now."""

    def check():
        found = Axe().run(page).response["violations"]
        serious = [rule for rule in found if rule["impact"] in ("serious", "critical")]
        places = [f"{rule['id']}: {rule['help']}: {node['html']}" for rule in serious for node in rule["nodes"][:3]]
        assert not places, f"{page.url}: " + "; ".join(places)

    return check


@pytest.fixture
def screenshot(page, request):
    """screenshot(name): the whole page at 1440 and at 1024 px, where SCREENSHOTS names a folder; else nothing."""

    def take(name):
        folder = os.environ.get("SCREENSHOTS")
        if not folder:
            return
        for width in (1440, 1024):
            page.set_viewport_size({"width": width, "height": 900})
            page.screenshot(path=Path(folder) / f"{name}-{width}.png", full_page=True)
        page.set_viewport_size({"width": 1440, "height": 900})

    return take
