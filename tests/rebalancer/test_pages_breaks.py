"""Trading / Breaks: every difference between our bookings and a delivery is found, whatever the account's status, and
resolved there with a word.
"""

import re
from datetime import date

import pytest
from django.core.cache import cache
from django.urls import reverse

from accounts.models import Account, AuditLine
from rebalancer.models import Check
from rebalancer.services import checks
from rebalancer.states import Status
from tax.services.reconciling import resolve_break
from tests import factories as make

from .conftest import again, drifted
from .test_breaks import broken, text

pytestmark = pytest.mark.django_db

BREAKS = "/trading/breaks/"
SIGNED_IN = 2
OF_A_LIST = 2


@pytest.fixture(autouse=True)
def _nothing_kept():
    cache.clear()


@pytest.fixture
def accounts(balanced, ann):
    return [drifted(balanced, "A1", advisor=ann), drifted(balanced, "A2"), drifted(balanced, "A3", is_open=False)]


@pytest.fixture
def three(accounts, desk):
    """One of Ann's in shares, one of cash, and one of a closed account that is resolved."""
    mine, cash, old = broken(accounts[0]), broken(accounts[1], None, "1234.5", "-20"), broken(accounts[2], "AGG", 1, 2)
    resolve_break(old, by=desk, words="A gift")
    return mine, cash, again(old)


def shown(page):
    return [drawn.pk for drawn in page.context["table"].drawn]


def row(page, one):
    found = re.search(rf'<tr id="row-{one.pk}".*?</tr>', page.text, re.S)
    return found and re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found[0])).strip()


def address(one):
    return reverse("rebalancer:break", args=[one.pk])


class TestTheList:
    def test_what_is_unresolved_with_both_figures(self, as_desk, three):
        page = as_desk.get(BREAKS)
        mine, cash, _ = three
        assert shown(page) == [cash.pk, mine.pk]
        assert row(page, mine).startswith(f"A1 {mine.account.name} ann VTI 2026-11-20 40 38 −2 ")
        assert " Cash 2026-11-20 1,234.50 (20.00) (1,254.50) " in row(page, cash)
        assert "Look into it of A1, VTI" in row(page, mine)

    def test_an_account_of_an_earlier_status_is_there_too(self, as_desk, three, accounts):
        Account.objects.filter(pk=accounts[0].pk).update(delivered_for=date(2020, 1, 2))
        checks.analyse([accounts[0].pk])
        assert Check.objects.get(account=accounts[0]).status == Status.UNABLE_TO_CHECK
        assert three[0].pk in shown(as_desk.get(BREAKS))

    @pytest.mark.parametrize(
        ("asked", "found"),
        [
            ("?f=standing:any:resolved", [2]),
            ("?f=standing:any:open|resolved", [2, 1, 0]),
            ("?f=resolved_by:any:olive", [2]),
            ("?f=resolved_at:gte:2020-01-01", [2]),
            ("?f=number:is:a1", [0]),
            ("?f=what:any:Cash", [1]),
            ("?f=what:is:vti", [0]),
            ("?f=advisor:any:ann", [0]),
            ("?f=advisor:any:—", [1]),
            ("?f=session:is:2026-11-20", [1, 0]),
            ("?f=expected:gte:41", [1]),
            ("?f=delivered:is:38", [0]),
            ("?f=difference:gte:-2", [0]),
            ("?f=custodian:any:Custodian", [1, 0]),
            ("?q=vti", [0]),
            ("?q=A2", [1]),
            ("?f=standing:any:lost", []),
        ],
    )
    def test_what_can_be_found(self, as_desk, three, asked, found):
        assert shown(as_desk.get(BREAKS + asked)) == [three[place].pk for place in found]

    def test_a_file_of_it(self, as_desk, three):
        lines = b"".join(as_desk.get(f"{BREAKS}?f=&export=csv&sort=number").streaming_content).decode().splitlines()
        assert lines[0] == (
            "Account,Name,Advisor,Security,Session,Expected,Delivered,Difference,Found,Resolved by,Resolved,"
            "How it came about"
        )
        assert lines[1].startswith(f"A1,{three[0].account.name},ann,VTI,2026-11-20,40.000000,38.000000,-2.000000,")

    def test_an_advisor_sees_their_own(self, as_ann, three):
        assert shown(as_ann.get(f"{BREAKS}?f=standing:any:open|resolved")) == [three[0].pk]

    def test_none_says_so(self, as_desk, db):
        assert "No break is unresolved" in text(as_desk.get(BREAKS))

    def test_it_takes_the_same_queries_whatever_the_rows(self, as_desk, accounts, django_assert_num_queries):
        broken(accounts[0])
        as_desk.get(f"{BREAKS}?f=")
        for more in (60, 0):
            with django_assert_num_queries(OF_A_LIST + SIGNED_IN):
                as_desk.get(f"{BREAKS}?f=")
            for number in range(more):
                broken(accounts[0], f"S{number}")

    def test_the_banner_and_the_tab_lead_here(self, as_desk, three):
        page = as_desk.get("/trading/orders/").text
        assert f'<a href="{BREAKS}">Breaks</a>' in page
        assert f'<a href="{BREAKS}">See the breaks</a>' in page


class TestOne:
    def test_operations_resolve_it_with_a_word(self, as_desk, desk, three):
        mine = three[0]
        page = text(as_desk.get(address(mine)))
        assert "VTI: 40 expected, 38 delivered for 2026-11-20." in page
        assert "How did it come about?" in page
        done = as_desk.post(address(mine), {"words": "The custodian corrected it"}, follow=True)
        assert "resolved “VTI: 40 expected, 38 delivered for 2026-11-20”." in text(done)
        assert shown(done) == [three[1].pk]
        assert (again(mine).words, again(mine).resolved_by) == ("The custodian corrected it", desk)
        assert Account.objects.get(number="A1").check_wanted_at
        assert "Resolved by" not in text(as_desk.get(address(mine)))
        assert "by olive: The custodian corrected it" in text(as_desk.get(address(mine)))

    def test_cash_is_in_dollars(self, as_desk, three):
        page = text(as_desk.get(address(three[1])))
        assert "Cash: $1,234.50 expected, ($20.00) delivered" in page
        assert "Difference ($1,254.50)" in page

    @pytest.mark.parametrize("words", ["", " ", "x" * 201])
    def test_words_that_say_nothing_or_too_much_stay_to_be_mended(self, as_desk, three, words):
        answer = as_desk.post(address(three[0]), {"words": words})
        assert answer.status_code == 409
        assert f'value="{words}"' in answer.text
        assert again(three[0]).resolved_at is None

    def test_the_second_comer_reads_who_was_first(self, as_desk, three):
        resolve_break(three[0], by=make.operations("otto"), words="A split")
        answer = as_desk.post(address(three[0]), {"words": "mine"})
        assert answer.status_code == 409
        assert "otto has resolved this break already: A split" in text(answer)
        assert again(three[0]).words == "A split"

    def test_an_advisor_reads_it_and_may_not(self, as_ann, three):
        mine, cash, _ = three
        page = text(as_ann.get(address(mine)))
        assert "Reconciliation breaks are resolved by Operations." in page
        assert "How did it come about?" not in page
        answer = as_ann.post(address(mine), {"words": "mine"})
        assert answer.status_code == 403
        assert "resolved by Operations. Nothing was done." in text(answer)
        assert again(mine).resolved_at is None
        assert AuditLine.objects.get(verb="refused").after["command"] == "break.resolved"
        assert as_ann.get(address(cash)).status_code == 404
        assert as_ann.post(address(cash), {"words": "mine"}).status_code == 404

    def test_nobody_without_signing_in(self, client, three):
        for where in (BREAKS, address(three[0])):
            assert client.get(where).url.startswith("/login/")
        assert client.post(address(three[0]), {"words": "x"}).url.startswith("/login/")
        assert again(three[0]).resolved_at is None


class TestOnTheAccount:
    def test_its_open_breaks_stand_on_its_page(self, as_ann, three, accounts):
        broken(accounts[0], None, 10, 5)
        page = as_ann.get(reverse("rebalancer:account", args=[accounts[0].pk]))
        assert "2 reconciliation breaks: the custodian delivered something else" in text(page)
        assert f'<a href="{address(three[0])}">VTI: 40 expected, 38 delivered for 2026-11-20</a>' in page.text
        assert "Cash: $10.00 expected, $5.00 delivered" in text(page)

    def test_what_is_resolved_does_not(self, as_desk, three, accounts):
        page = as_desk.get(reverse("rebalancer:account", args=[accounts[2].pk]))
        assert "reconciliation break:" not in text(page).replace("with a reconciliation break:", "")
