"""Reconciliation breaks as people meet them: a reason for extra attention, a banner, and a word that resolves them."""

import re
from datetime import date
from decimal import Decimal

import pytest
from django.core.cache import cache
from django.urls import reverse

from accounts.models import Account, AuditLine
from rebalancer.models import Check
from rebalancer.services import checks
from rebalancer.states import Status
from tax.models import Break
from tests import factories as make

from .conftest import again, drifted

pytestmark = pytest.mark.django_db

SESSION = date(2026, 11, 20)


@pytest.fixture
def account(balanced, ann):
    return drifted(balanced, "A1", advisor=ann)


def broken(account, symbol="VTI", expected=40, delivered=38, **fields):
    security = make.security(symbol) if symbol else None
    return Break.objects.create(
        account=account, security=security, session=SESSION, expected=Decimal(str(expected)),
        delivered=Decimal(str(delivered)), **fields,
    )  # fmt: skip


def check_of(account):
    checks.analyse([account.pk])
    return Check.objects.get(account=account)


def text(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.content.decode())).strip()


def behind(account):
    return reverse("rebalancer:center_account", args=[account.pk])


def resolving(one):
    return reverse("rebalancer:resolve_break", args=[one.account_id, one.pk])


class TestTheReason:
    def test_it_is_one_for_extra_attention_in_words(self, account):
        broken(account)
        check = check_of(account)
        assert check.status == Status.NEED_EXTRA_ATTENTION
        assert check.reason == "VTI: 40 expected, 38 delivered for 2026-11-20"

    def test_cash_is_in_dollars(self, account):
        broken(account, None, "1234.5", "-20")
        assert check_of(account).reason == "Cash: $1,234.50 expected, ($20.00) delivered for 2026-11-20"

    def test_one_that_is_resolved_is_none(self, account, desk):
        broken(account, resolved_at="2026-11-21T10:00Z", resolved_by=desk, words="a split")
        assert check_of(account).status == Status.OUT_OF_TOLERANCE

    def test_acknowledged_it_counts_again_when_it_changes(self, account):
        one = broken(account)
        check = check_of(account)
        Check.objects.update(acknowledged=[reason["key"] for reason in check.attention])
        assert check_of(account).status == Status.OUT_OF_TOLERANCE
        Break.objects.filter(pk=one.pk).update(delivered=37)
        assert check_of(account).reason == "VTI: 40 expected, 37 delivered for 2026-11-20"

    def test_each_is_a_reason_of_its_own(self, account):
        broken(account)
        broken(account, "AGG", 0, 5)
        assert check_of(account).reason == (
            "AGG: 0 expected, 5 delivered for 2026-11-20; VTI: 40 expected, 38 delivered for 2026-11-20"
        )


class TestTheBanner:
    def test_who_sees_every_account_is_told_how_many_and_led_on(self, client, account, desk, ann, balanced):
        broken(account)
        broken(account, "AGG")
        broken(drifted(balanced, "A2"))
        closed = drifted(balanced, "A3", is_open=False)
        broken(closed)
        client.force_login(desk)
        page = client.get("/trading/orders/")
        assert "2 accounts with a reconciliation break: the custodian delivered something else." in text(page)
        assert 'href="/trading/breaks/">See the breaks' in page.content.decode()
        client.force_login(ann)
        assert "reconciliation break" not in text(client.get("/"))

    def test_none_is_not_told(self, as_desk, account):
        assert "reconciliation break" not in text(as_desk.get("/"))

    def test_the_frame_takes_one_query_however_many(self, as_desk, account, django_assert_max_num_queries):
        for number in range(20):
            broken(account, f"S{number}")
        cache.clear()
        with django_assert_max_num_queries(9):  # a page of nothing but frame and form, with nothing kept
            as_desk.get(reverse("rebalancer:account_switch", args=[account.pk]))


class TestResolving:
    @pytest.fixture
    def one(self, account):
        found = broken(account)
        check_of(account)
        return found

    def test_the_page_behind_the_status_says_what_and_takes_the_words(self, as_desk, account, one):
        assert "VTI: 40 expected, 38 delivered for 2026-11-20" in text(as_desk.get(behind(account)))
        page = as_desk.post(resolving(one), {"words": "Corrected by the custodian"}, follow=True)
        assert "resolved “VTI: 40 expected, 38 delivered for 2026-11-20”." in text(page)
        assert (again(one).words, again(one).resolved_by.username) == ("Corrected by the custodian", "olive")
        assert "Reconciliation breaks" not in text(as_desk.get(behind(account)))
        assert Account.objects.get(pk=account.pk).check_wanted_at
        assert AuditLine.objects.filter(verb="break.resolved").count() == 1

    @pytest.mark.parametrize("words", ["", "  ", "x" * 201])
    def test_words_that_say_nothing_or_too_much_resolve_nothing(self, as_desk, one, words):
        assert as_desk.post(resolving(one), {"words": words}).status_code == 409
        assert again(one).resolved_at is None

    def test_the_second_is_told_who_was_first(self, as_desk, one):
        as_desk.post(resolving(one), {"words": "a split"})
        answer = as_desk.post(resolving(one), {"words": "something else"})
        assert (answer.status_code, again(one).words) == (409, "a split")
        assert "olive has resolved this break already: a split" in text(answer)

    def test_an_advisor_sees_it_and_may_not(self, as_ann, account, one):
        page = text(as_ann.get(behind(account)))
        assert "Resolve : Reconciliation breaks are resolved by Operations." in page
        assert as_ann.post(resolving(one), {"words": "mine"}).status_code == 403
        assert again(one).resolved_at is None
        assert AuditLine.objects.get(verb="refused").after["command"] == "break.resolved"

    def test_a_stranger_finds_nothing(self, client, one, desk, balanced):
        assert client.post(resolving(one)).url.startswith("/login/")
        client.force_login(make.advisor("bob"))
        assert client.post(resolving(one), {"words": "x"}).status_code == 404
        client.force_login(desk)
        other = drifted(balanced, "A2")
        elsewhere = reverse("rebalancer:resolve_break", args=[other.pk, one.pk])
        assert client.post(elsewhere, {"words": "x"}).status_code == 404
        assert client.get(resolving(one)).status_code == 405
