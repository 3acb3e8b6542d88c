"""Questioned prices: who decides finds them, sees what each would do, and uses or rejects the figure they saw."""

import re
from datetime import UTC, datetime

import pytest
from django.core.cache import cache
from django.urls import reverse

from accounts.models import Account, AuditLine, Price
from accounts.services.prices import confirm_price
from tests import factories as make

from .conftest import again, drifted
from .test_breaks import text

pytestmark = pytest.mark.django_db

PRICES = "/prices/questioned/"
SIGNED_IN = 2
OF_A_LIST = 2


@pytest.fixture(autouse=True)
def _nothing_kept():
    cache.clear()


def at(day):
    return datetime(2027, 1, day, 20, tzinfo=UTC)


@pytest.fixture
def odd(balanced):
    """VTI at $40 after $100, which two open accounts hold and one closed one; and AGG at 0."""
    drifted(balanced, "A1")
    drifted(balanced, "A2")
    drifted(balanced, "A3", is_open=False)
    zero = make.price("AGG", 0, as_of=at(4), state=Price.State.QUESTIONED)
    return make.price("VTI", 40, as_of=at(5), state=Price.State.QUESTIONED), zero


@pytest.fixture
def price(odd):
    return odd[0]


def shown(page):
    return [drawn.pk for drawn in page.context["table"].drawn]


def row(page, one):
    found = re.search(rf'<tr id="row-{one.pk}".*?</tr>', page.text, re.S)
    return found and re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found[0])).strip()


def address(price):
    return reverse("rebalancer:questioned_price", args=[price.pk])


def decided(client, price, decision, **more):
    return client.post(address(price), {"decision": decision, "price": str(again(price).price)} | more, follow=True)


class TestTheList:
    def test_each_beside_the_last_one_used_with_who_holds_it(self, as_desk, odd):
        page = as_desk.get(PRICES)
        assert set(shown(page)) == {one.pk for one in odd}
        assert re.match(r"VTI .*? 40\.00 100\.00 −60\.00.% 2027-01-05 .*? test 2 Decide about VTI", row(page, odd[0]))
        assert "0.00 50.00 −100.00" in row(page, odd[1])

    def test_one_that_a_newer_price_has_overtaken_waits_for_nobody(self, as_desk, odd):
        make.price("VTI", 101, as_of=at(6))
        assert shown(as_desk.get(PRICES)) == [odd[1].pk]

    @pytest.mark.parametrize(
        ("asked", "found"),
        [
            ("?f=symbol:any:VTI", [0]),
            ("?f=price:lte:0", [1]),
            ("?f=last:is:50", [1]),
            ("?f=off:gte:-60", [0]),
            ("?f=as_of:is:2027-01-05", [0]),
            ("?f=accounts:gte:3", []),
            ("?f=accounts:is:2&sort=symbol", [1, 0]),
            ("?f=source:any:test&sort=-symbol", [0, 1]),
            ("?q=agg", [1]),
        ],
    )
    def test_what_can_be_found(self, as_desk, odd, asked, found):
        assert shown(as_desk.get(PRICES + asked)) == [odd[place].pk for place in found]

    def test_a_file_of_it(self, as_desk, odd):
        lines = b"".join(as_desk.get(f"{PRICES}?f=&export=csv&sort=-symbol").streaming_content).decode().splitlines()
        assert lines[0] == "Symbol,Security,Price $,Last used $,Off by,As of,Source,Accounts"
        assert lines[1].startswith("VTI,")
        assert ",40.000000,100.000000,-60.00," in lines[1]

    def test_one_without_any_price_before_it(self, as_desk, db):
        first = make.price("NEW", 0, state=Price.State.QUESTIONED)
        assert "0.00 — —" in row(as_desk.get(PRICES), first)
        assert "none yet" in text(as_desk.get(address(first)))

    def test_none_says_so(self, as_desk):
        assert "No price is questioned." in text(as_desk.get(PRICES))

    def test_it_takes_the_same_queries_whatever_the_rows(self, as_desk, odd, django_assert_num_queries):
        as_desk.get(f"{PRICES}?f=")
        for more in (60, 0):
            with django_assert_num_queries(OF_A_LIST + SIGNED_IN):
                as_desk.get(f"{PRICES}?f=")
            for number in range(more):
                make.price(f"S{number}", 0, state=Price.State.QUESTIONED)


class TestWhereItIsFound:
    def test_home_names_it(self, as_desk, odd):
        page = as_desk.get("/")
        assert f'<a href="{PRICES}">2 prices questioned</a>' in page.text
        assert "2 prices are questioned and not used: accounts that hold" in text(page)
        assert f'<a href="{PRICES}">Decide</a>' in page.text

    def test_nobody_else_is_told(self, as_ann, odd):
        assert "questioned" not in text(as_ann.get("/"))

    def test_none_is_not_named(self, as_desk, balanced):
        assert "questioned" not in text(as_desk.get("/"))


class TestDeciding:
    def test_it_says_what_each_does(self, as_desk, price):
        page = text(as_desk.get(address(price)))
        assert "Price 40.00" in page
        assert "Off by −60.00" in page
        assert "Accounts 2" in page

    @pytest.mark.parametrize(
        ("decision", "state", "words"),
        [("use", "confirmed", "VTI of 40.00 is used."), ("reject", "rejected", "VTI of 40.00 is rejected")],
    )
    def test_use_it_or_reject_it(self, as_desk, desk, price, decision, state, words):
        Account.objects.update(check_wanted_at=None)
        done = decided(as_desk, price, decision)
        assert words in text(done)
        assert price.pk not in shown(done)
        assert again(price).state == state
        assert Account.objects.filter(check_wanted_at__isnull=False).count() >= 2
        assert AuditLine.objects.get(verb=f"price.{state}").by == desk

    def test_an_administrator_decides_too(self, client, price):
        client.force_login(make.administrator("boss"))
        decided(client, price, "use")
        assert again(price).state == "confirmed"

    def test_zero_is_only_rejected(self, as_desk, odd):
        zero = odd[1]
        assert "can only be rejected" in text(as_desk.get(address(zero)))
        answer = decided(as_desk, zero, "use")
        assert (answer.status_code, again(zero).state) == (409, "questioned")
        decided(as_desk, zero, "reject")
        assert again(zero).state == "rejected"

    def test_the_second_comer_is_told(self, as_desk, price):
        confirm_price(again(price), by=make.operations("otto"))
        answer = decided(as_desk, price, "reject")
        assert answer.status_code == 409
        assert "is not questioned: it is confirmed" in text(answer)
        assert "It is confirmed; there is nothing to decide." in text(answer)
        assert again(price).state == "confirmed"

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"price": "41"}, "is 40 now, no longer 41. Look at it again."),
            ({"price": "NaN"}, "did not arrive whole"),
            ({"price": ""}, "did not arrive whole"),
            ({"decision": "both"}, "was chosen, so nothing was done"),
        ],
    )
    def test_what_was_not_seen_or_not_chosen_is_not_done(self, as_desk, price, changes, words):
        answer = as_desk.post(address(price), {"decision": "use", "price": "40.000000"} | changes)
        assert answer.status_code == 409
        assert words in text(answer)
        assert again(price).state == "questioned"

    def test_for_an_advisor_there_is_no_such_page(self, client, price):
        for where in (PRICES, address(price)):
            assert client.get(where).url.startswith("/login/")
        assert client.post(address(price), {"decision": "use"}).url.startswith("/login/")
        client.force_login(make.advisor("ann"))
        for where in (PRICES, address(price)):
            assert client.get(where).status_code == 404
            assert client.post(where, {"decision": "use", "price": "40"}).status_code == 404
        assert again(price).state == "questioned"
