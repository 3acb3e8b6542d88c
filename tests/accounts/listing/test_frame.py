"""The frame around every page, also where things went wrong."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.template.loader import render_to_string
from django.test import RequestFactory

from accounts.models import User

ALONE = [
    "400.html", "403.html", "403_csrf.html", "404.html", "405.html", "500.html", "registration/login.html",
    "registration/locked.html",
]  # fmt: skip


@pytest.mark.parametrize("name", ALONE)
def test_pages_of_trouble_can_be_drawn_with_nothing_at_hand(name):
    page = render_to_string(name)
    assert "<h1>" in page
    assert "style=" not in page
    assert "Clients" not in page


@pytest.mark.django_db
@pytest.mark.urls("tests.accounts.listing.example")
def test_the_bar_shows_only_sections_that_exist(operator):
    request = RequestFactory().get("/")
    request.user, request.session = operator, {}
    page = render_to_string("404.html", request=request)
    assert "operator · Operations" in page
    assert "Rebalancer</a>" in page  # the product's own name, not a section
    assert 'class="nav-link"' not in page


@pytest.mark.django_db
def test_people_without_a_role_are_told():
    request = RequestFactory().get("/")
    request.user, request.session = User.objects.create_user("new"), {}
    assert "new · No role" in render_to_string("404.html", request=request)


def test_somebody_not_signed_in_sees_no_sections():
    request = RequestFactory().get("/")
    request.user, request.session = AnonymousUser(), {}
    assert "nav-link" not in render_to_string("404.html", request=request)
