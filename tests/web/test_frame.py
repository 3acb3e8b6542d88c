"""The browser tests' own ground: a browser that fails a test on any console error, pages under the strict policy."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.urls("tests.web.frame_urls")


def test_every_page_has_the_strict_policy(page):
    answer = page.goto("/")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    expect(page.get_by_role("heading", name="AnonymousUser")).to_be_visible()


def test_signing_in_without_the_form(page, sign_in, django_user_model):
    sign_in(django_user_model.objects.create_user("ada", password="a-long-enough-secret"))
    page.goto("/")
    expect(page.get_by_role("heading", name="ada")).to_be_visible()


def test_an_error_in_the_console_is_noticed(page, console_errors):
    page.goto("/")
    page.evaluate("console.error('seen')")
    page.evaluate("document.body.setAttribute('style', 'color: red')")
    assert console_errors[0] == "seen"
    assert any("Content Security Policy" in error for error in console_errors)
    console_errors.clear()


@pytest.fixture
def asking(page):
    """A page with a link that htmx follows."""
    page.goto("/asking/")
    return page


def test_a_request_taken_back_or_cut_off_by_leaving_is_no_error(asking):
    asking.route("**/asked/", lambda route: None)  # no answer
    with asking.expect_request("**/asked/"):
        asking.get_by_role("link").click()
    with asking.expect_event("requestfailed"), asking.expect_request("**/asked/"):
        asking.get_by_role("link").click()  # in place of the first
    with asking.expect_event("requestfailed"):
        asking.goto("/")


def test_a_request_that_fails_is_an_error(asking, provoked):
    asking.route("**/asked/", lambda route: route.abort("connectionreset"))
    asking.get_by_role("link").click()
    provoked("htmx:sendError", "ERR_CONNECTION_RESET")
    asking.unroute("**/asked/")
    asking.get_by_role("link").click()
    provoked("404", "Response Status Error Code 404")


def test_nothing_is_wrong_with_a_page_that_has_nothing_wrong(page, accessible):
    page.goto("/")
    page.evaluate("document.documentElement.lang = 'en'")
    accessible()


def test_what_axe_finds_fails_the_test(page, accessible):
    page.goto("/")
    with pytest.raises(AssertionError, match="html-has-lang"):
        accessible()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("time", ["first", "second"])
def test_what_migrations_made_is_there_in_every_test_that_commits(time, django_user_model):
    groups = django_user_model.groups.rel.model.objects.values_list("name", flat=True)
    assert sorted(groups) == ["Administrator", "Advisor", "Operations"]
