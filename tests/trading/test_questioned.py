"""Fills that could not be matched: Operations put them aside with a word; none is ever made to count."""

import re

import pytest
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.urls import reverse

from accounts.models import AuditLine
from accounts.services.refusals import Refused
from tests import factories as make
from trading.models import Fill
from trading.selectors_orders import questioned as waiting
from trading.services.questioned import put_aside
from trading.services.taking_in import take_in
from trading.states import Side

from .orders import question, staged

pytestmark = pytest.mark.django_db

LIST = "/trading/orders/questioned/"
WORDS = "Another firm's order, says the broker"


@pytest.fixture
def desk(db):
    return make.operations("olive")


@pytest.fixture
def as_desk(client, desk):
    client.force_login(desk)
    return client


@pytest.fixture
def fill(db):
    cache.clear()
    return question()


def again(fill):
    return Fill.objects.get(pk=fill.pk)


def address(fill):
    return reverse("trading:questioned_fill", args=[fill.pk])


def text(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.content.decode())).strip()


def shown(page):
    return [drawn.pk for drawn in page.context["table"].drawn]


class TestPuttingAside:
    def test_it_stays_stored_and_waits_no_more(self, fill, desk):
        other = question()
        put_aside(fill, by=desk, words=f"  {WORDS}\n")
        row = again(fill)
        assert (row.state, row.settled_by, row.settled_words, row.settled_at is not None) == (
            "questioned", desk, WORDS, True,
        )  # fmt: skip
        assert (waiting(), Fill.objects.get(settled_at=None)) == (1, other)
        line = AuditLine.objects.get(verb="fill.put_aside")
        assert (line.by, line.after["execution_id"], line.after["words"]) == (desk, "q0", WORDS)

    def test_told_again_it_does_not_wait_again(self, fill, desk):
        put_aside(fill, by=desk, words=WORDS)
        assert take_in(fill.broker, [again(fill)]) == 0
        assert waiting() == 0

    def test_the_second_comer_is_told(self, fill, desk):
        put_aside(fill, by=desk, words=WORDS)
        with pytest.raises(Refused, match="olive has put this fill aside already: Another firm's order"):
            put_aside(fill, by=make.operations("otto"), words="mine")
        assert again(fill).settled_words == WORDS

    def test_one_that_counts_is_not_put_aside(self, fill, desk):
        order = staged("VTI", Side.BUY, 100, {make.account("A1"): 10})
        Fill.objects.filter(pk=fill.pk).update(state="counted", order=order)
        with pytest.raises(Refused, match="This fill counts"):
            put_aside(fill, by=desk, words=WORDS)
        with pytest.raises(IntegrityError, match="only_questioned_fills"), transaction.atomic():
            Fill.objects.update(settled_at=fill.at)

    @pytest.mark.parametrize("words", ["", " \t", "x" * 201])
    def test_words_that_say_nothing_or_too_much(self, fill, desk, words):
        with pytest.raises(Refused, match=r"Say in a few words|longer than 200"):
            put_aside(fill, by=desk, words=words)
        assert again(fill).settled_at is None

    @pytest.mark.parametrize("person", [make.advisor, make.administrator])
    def test_by_whom_it_is_not_for(self, fill, person):
        with pytest.raises(PermissionDenied):
            put_aside(fill, by=person(), words=WORDS)
        assert again(fill).settled_at is None
        assert AuditLine.objects.get(verb="refused").after["command"] == "fill.put_aside"


class TestThePages:
    def test_from_the_list_and_back(self, as_desk, fill):
        page = as_desk.get(LIST)
        assert "cannot be made to: the custodian" in text(page)
        assert f'href="{address(fill)}"' in page.text
        assert "1 fill could not be matched" in text(as_desk.get("/trading/orders/"))
        assert "no order has this id" in text(as_desk.get(address(fill)))
        done = as_desk.post(address(fill), {"words": WORDS}, follow=True)
        assert "Fill q0 is put aside." in text(done)
        assert shown(done) == []
        assert "could not be matched:" not in text(as_desk.get("/trading/orders/"))

    def test_what_was_put_aside_is_found_when_asked_for(self, as_desk, desk, fill):
        other = question()
        put_aside(fill, by=desk, words=WORDS)
        assert shown(as_desk.get(f"{LIST}?f=")) == [other.pk]
        for filtered in ("standing:any:aside", "settled_by:any:olive", "settled_at:gte:2020-01-01"):
            page = as_desk.get(f"{LIST}?f={filtered}")
            assert shown(page) == [fill.pk], filtered
        assert shown(as_desk.get(f"{LIST}?f=standing:any:aside|waits")) == [other.pk, fill.pk]
        assert WORDS in as_desk.get(f"{LIST}?f=standing:any:aside").text.replace("&#x27;", "'")
        assert "Put aside" in text(as_desk.get(address(fill)))
        assert "<input class" not in as_desk.get(address(fill)).text

    def test_the_second_comer_reads_who_was_first(self, as_desk, fill):
        put_aside(fill, by=make.operations("otto"), words="Corrected")
        answer = as_desk.post(address(fill), {"words": "mine"})
        assert answer.status_code == 409
        assert "otto has put this fill aside already: Corrected" in text(answer)

    def test_an_administrator_sees_it_and_may_not(self, client, fill):
        client.force_login(make.administrator("boss"))
        assert "put aside by Operations" in text(client.get(address(fill)))
        assert client.post(address(fill), {"words": WORDS}).status_code == 403
        assert again(fill).settled_at is None

    def test_for_an_advisor_there_is_no_such_page(self, client, fill):
        assert client.get(address(fill)).url.startswith("/login/")
        assert client.post(address(fill), {"words": WORDS}).url.startswith("/login/")
        client.force_login(make.advisor("ann"))
        assert client.get(address(fill)).status_code == 404
        assert client.post(address(fill), {"words": WORDS}).status_code == 404
        assert again(fill).settled_at is None

    def test_one_that_is_not_questioned_has_no_page(self, as_desk):
        assert as_desk.get(address(Fill(pk=999_999))).status_code == 404
