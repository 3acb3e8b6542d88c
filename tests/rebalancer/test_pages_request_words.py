"""What the page of a request says of one account and of several, and of counts that are 0."""

import re

import pytest
from django.urls import reverse
from django.utils.html import strip_tags

from accounts.models import Account, TaxStatus
from rebalancer import selectors
from rebalancer.services import batches

from .conftest import drifted, pending

pytestmark = pytest.mark.django_db


def words(response):
    return " ".join(strip_tags(response.content.decode()).split())


def page_of(client, batch):
    return words(client.get(reverse("rebalancer:request", args=[batch.pk])))


def post(client, command, batch, data):
    return words(client.post(reverse(f"rebalancer:{command}", args=[batch.pk]), data, follow=True))


@pytest.fixture
def one(balanced, desk):
    return pending(desk, drifted(balanced, "A1"))


def test_dialogs_of_one_account_speak_of_one(olive, one):
    page = page_of(olive, one)
    assert "The proposal of the 1 open account is dropped. The account goes back to the queue; no order" in page
    assert page.count("The 1 open account is proposed anew") == 3
    assert not re.search(r"\b1 (open|failed) account are\b|all 1 open", page, re.IGNORECASE)


def test_dialogs_of_several_speak_of_all(olive, three, desk):
    page = page_of(olive, pending(desk, *three))
    assert "The proposals of all 3 open accounts are dropped. The accounts go back to the queue; no order" in page
    assert page.count("All 3 open accounts are proposed anew") == 3


def test_one_account_is_proposed_anew(olive, one):
    assert f"1 account of request {one.pk} is being proposed anew" in post(olive, "repropose", one, {})


def test_several_accounts_are_proposed_anew(olive, three, desk):
    batch = pending(desk, *three)
    assert f"3 accounts of request {batch.pk} are being proposed anew" in post(olive, "repropose", batch, {})


def test_the_one_that_changed_is_proposed_anew(olive, three, desk):
    batch = pending(desk, *three)
    Account.objects.filter(number="A1").update(cash=9000)
    stake = selectors.stake(batch)
    post(olive, "approve", batch, {"version": 1, "accounts": stake.accounts, "net_dollars": stake.net_dollars})
    words_of_dialog = "The 1 account that changed is proposed anew at the same prices, as it is now. The other"
    assert words_of_dialog in page_of(olive, batch)


def test_an_ended_request_always_has_the_three_counts(olive, three, desk):
    batch = pending(desk, *three)
    assert "0 complete" not in page_of(olive, batch)
    batches.cancel(batch, by=desk)
    assert "0 complete · 3 cancelled · 0 failed · 0 removed" in page_of(olive, batch)


def test_where_nothing_is_taxed_the_taxable_gains_are_zero(olive, three, desk):
    Account.objects.update(tax_status=TaxStatus.TAX_EXEMPT)
    page = page_of(olive, pending(desk, *three))
    assert page.count("taxable 0.00") == 3
    assert "taxable —" not in page
    assert re.search(r"Taxable short-term G&amp;L ?\$0\.00", page)
