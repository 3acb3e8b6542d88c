"""Saving a portfolio or model in Django admin asks for no confirmation, and says how many accounts go to the queue."""

import pytest
from django.contrib.messages import get_messages

from accounts.models import Component, ModelWeight
from tests import factories as make
from tests.accounts.test_admin import Page, filled

from .test_pages_portfolios import book, core, mixed  # noqa: F401

pytestmark = pytest.mark.django_db


@pytest.fixture
def office(client):
    """The admin pages as an Administrator finds them."""
    client.force_login(make.administrator("boss"))
    return Page(client)


def saved(office, target, changes):
    """What the page says after saving a target with these changes."""
    answer = office.save(target._meta.model_name, changes, change=target.pk)
    assert answer.status_code == 302
    return " ".join(str(one) for one in get_messages(answer.wsgi_request))


def weights(office, target, rows, **wanted):
    """The fields that give these rows, {name: row}, other weights."""
    data = filled(office.get(target._meta.model_name, target.pk))
    places = {int(value): key.removesuffix("-id") for key, value in data.items() if key.endswith("-id") and value}
    return {f"{places[rows[name].pk]}-weight": weight for name, weight in wanted.items()}


def test_a_portfolio(office, mixed, book):  # noqa: F811
    rows = {str(row): row for row in Component.objects.filter(portfolio=mixed)}
    words = saved(office, mixed, weights(office, mixed, rows, VTI="58", Cash="4"))
    assert "Mixed is saved as version 2. 2 accounts to the queue as Target Update, listed there" in words


def test_a_model(office, core, mixed, book):  # noqa: F811
    rows = {row.security.symbol: row for row in ModelWeight.objects.filter(model=core).select_related("security")}
    words = saved(office, core, weights(office, core, rows, AGG="60", TIP="40"))
    assert "Core Bonds is saved as version 2. 2 accounts to the queue as Target Update" in words


def test_a_band_sends_nobody_and_saving_unchanged_says_nothing_of_accounts(office, mixed, book):  # noqa: F811
    assert "version" not in saved(office, mixed, {})
    words = saved(office, mixed, {"threshold_percent": "25"})
    assert "No account goes to the queue as Target Update; 4 accounts checked again within a minute." in words
