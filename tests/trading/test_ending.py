"""Ending by hand: only what no broker tells the end of; what is filled is booked, what comes later is questioned."""

import re
from decimal import Decimal

import pytest
from django.core.exceptions import PermissionDenied
from django.urls import reverse

from accounts.models import AuditLine, Position
from accounts.services.refusals import Refused
from tests import factories as make
from trading.brokers.base import FillReport
from trading.models import Allocation, Fill, Order
from trading.services import ending, transmitting, watching
from trading.services.taking_in import take_in

from .sent import account, again, block, confirmed, log, minute_later, order

pytestmark = pytest.mark.django_db(transaction=True)

WORDS = "Phoned them, it never arrived"


@pytest.fixture
def desk(transactional_db):
    return make.operations("olive")


@pytest.fixture
def working(market):
    for number in ("A1", "A2"):
        account(number)
    confirmed(block("VTI", "buy", 100, A1=60, A2=40))
    assert transmitting.send(order().pk)
    return order()


@pytest.fixture
def lost(working, market):
    """30 of 100 are filled, and the broker has forgotten the order."""
    market.fill(f"RB{working.pk}", 30, 100)
    watching.watch()
    market.orders.clear()
    watching.watch()
    found = again(working)
    assert (found.state, found.filled_quantity, found.trouble) == ("partially_filled", 30, watching.NOT_KNOWN)
    return found


def end(of, by, filled=30, words=WORDS):
    ending.end_by_hand(of, by=by, filled=Decimal(filled), words=words)


def late(of):
    row = Fill.objects.filter(order=of).latest("pk")
    return FillReport("LATE", of.client_order_id, Decimal(20), Decimal(100), row.at)


def test_it_expires_and_what_is_filled_is_booked(lost, desk):
    end(lost, desk)
    row = again(lost)
    assert (row.state, row.end_reason, row.trouble) == ("expired", f"ended by hand by olive: {WORDS}", "")
    assert log(lost)[-1] == ("expired", row.end_reason)
    line = AuditLine.objects.get(verb="order.ended")
    assert (line.by, line.before["state"], line.after["state"], line.after["words"], line.after["filled"]) == (
        desk, "partially_filled", "expired", WORDS, "30",
    )  # fmt: skip
    watching.look_after(lost.pk)
    assert again(lost).allocated_at is not None
    assert dict(Position.objects.values_list("account__number", "quantity")) == {"A1": 18, "A2": 12}
    assert not Allocation.objects.filter(is_open=True).exists()


def test_what_comes_later_is_questioned_and_changes_nothing(lost, desk):
    end(lost, desk)
    watching.look_after(lost.pk)
    assert take_in("paper", [late(lost)]) == 1
    fill = Fill.objects.get(execution_id="LATE")
    assert (fill.state, fill.words) == ("questioned", "It came after the order was booked.")
    assert again(lost).filled_quantity == 30


def test_an_order_by_file_that_nobody_answers(lost, desk):
    """Nor is one whose broker is not set up any more ever told of."""
    for broker in ("file", "gone"):
        Order.objects.filter(pk=lost.pk).update(state="working", trouble="", broker=broker)
        assert ending.why_not_end(again(lost)) == ""
    end(again(lost), desk)
    assert again(lost).state == "expired"


def test_one_that_is_being_taken_back(lost, desk):
    Order.objects.filter(pk=lost.pk).update(state="pending_cancel")
    minute_later(lost)
    end(lost, desk)
    assert (again(lost).state, again(lost).claim_expires) == ("expired", None)


class TestRefused:
    def refused(self, of, by, why, **more):
        before = again(of)
        with pytest.raises(Refused, match=why):
            end(of, by, **more)
        assert (again(of).state, again(of).end_reason) == (before.state, before.end_reason)
        line = AuditLine.objects.filter(verb="refused").latest("pk")
        assert (line.by, line.after["command"]) == (by, "order.ended")

    def test_where_its_broker_tells_of_it(self, working, desk):
        self.refused(working, desk, "cancel it instead", filled=0)
        Order.objects.update(trouble="Paper market does not answer")
        self.refused(working, desk, "cancel it instead", filled=0)

    @pytest.mark.parametrize("state", ["ready", "sending"])
    def test_where_no_broker_has_it(self, lost, desk, state):
        Order.objects.update(state=state)
        self.refused(lost, desk, f"There is nothing to end by hand: the order is {state}")

    def test_the_second_comer_is_told(self, lost, desk):
        end(lost, desk)
        self.refused(lost, make.operations("otto"), "expired .ended by hand by olive: Phoned them")

    def test_when_more_is_filled_than_was_shown(self, lost, desk):
        self.refused(lost, desk, "You saw 20 shares filled; now it is 30", filled=20)

    @pytest.mark.parametrize("words", ["", " \n ", "x" * 121])
    def test_words_that_say_nothing_or_too_much(self, lost, desk, words):
        self.refused(lost, desk, "Say in a few words|longer than 120", words=words)

    @pytest.mark.parametrize("person", [make.advisor, make.administrator])
    def test_by_whom_it_is_not_for(self, lost, person):
        someone = person()
        with pytest.raises(PermissionDenied):
            end(lost, someone)
        assert again(lost).state == "partially_filled"
        assert AuditLine.objects.get(verb="refused").by == someone


# --- pages ----------------------------------------------------------------------------------------------------------


def text(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.content.decode())).strip()


def where(name, of):
    return reverse(f"trading:{name}", args=[of.pk])


class TestThePage:
    def test_it_names_the_consequence_and_does_it(self, client, lost, desk):
        client.force_login(desk)
        assert f'href="{where("end_order", lost)}">End by hand' in client.get(where("order", lost)).text
        page = client.get(where("end_order", lost))
        assert "What is filled is booked: 30 of 100 shares in 2 accounts. The 70 that are left count" in text(page)
        assert 'name="filled" value="30.000000"' in page.text
        done = client.post(where("end_order", lost), {"filled": "30.000000", "words": WORDS}, follow=True)
        assert f"Order {lost.pk} is ended. What is filled is booked: 30 of 100 shares" in text(done)
        assert again(lost).state == "expired"

    def test_it_is_not_offered_where_the_broker_tells(self, client, working, desk):
        client.force_login(desk)
        assert "End by hand" not in client.get(where("order", working)).text
        assert "cancel it instead" in text(client.get(where("end_order", working)))

    @pytest.mark.parametrize(
        "typed", [{"words": WORDS}, {"filled": "NaN", "words": WORDS}, {"filled": "29", "words": WORDS}, {"filled": 30}]
    )
    def test_what_was_tampered_with_does_nothing(self, client, lost, desk, typed):
        client.force_login(desk)
        answer = client.post(where("end_order", lost), typed)
        assert answer.status_code == 409
        assert 'role="alert"' in answer.text
        assert again(lost).state == "partially_filled"

    def test_the_second_comer_reads_who_was_first(self, client, lost, desk):
        end(lost, make.operations("otto"))
        client.force_login(desk)
        answer = client.post(where("end_order", lost), {"filled": "30", "words": "me too"})
        assert answer.status_code == 409
        assert "ended by hand by otto" in text(answer)

    def test_advisors_see_it_and_may_not(self, client, lost):
        ann = make.advisor("ann")
        lost.allocations.first().account.__class__.objects.update(advisor=ann)
        client.force_login(ann)
        assert "End by hand : Orders are ended by hand by Operations." in text(client.get(where("order", lost)))
        page = client.get(where("end_order", lost))
        assert page.status_code == 403
        assert "100" not in text(page)
        assert client.post(where("end_order", lost), {"filled": "30", "words": WORDS}).status_code == 403
        assert again(lost).state == "partially_filled"
        assert AuditLine.objects.get(verb="refused").after["command"] == "order.ended"

    def test_strangers_find_nothing(self, client, lost):
        assert client.get(where("end_order", lost)).url.startswith("/login/")
        assert client.post(where("end_order", lost)).url.startswith("/login/")
        client.force_login(make.advisor("bob"))
        assert client.get(where("end_order", lost)).status_code == 404
        assert client.post(where("end_order", lost), {"filled": "30", "words": WORDS}).status_code == 404
