"""Transmit All in the browser's terms: preview, Confirm, leaving accounts out, and who may do what."""

import json
from decimal import Decimal

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account, AuditLine, Price
from rebalancer.services import batches
from rebalancer.views import transmit
from tests import factories as make
from tests.rebalancer.test_pages_request import text
from trading.models import Allocation, MarketDay, Order
from trading.preview import Line
from trading.services import market_days, staging

from .conftest import again, as_seen, drifted, pending

pytestmark = pytest.mark.django_db
LOGGED_IN = 2
OF_THE_FRAME = 4


@pytest.fixture
def batch(three, desk):
    batch = pending(desk, *three)
    batches.approve(batch, by=desk, **as_seen(batch))
    assert batches.finish_approval(batch.pk)
    market_days.keep_days()
    return again(batch)


def at(name, batch):
    return reverse(f"rebalancer:{name}", args=[batch.ticket_id])


def seen(client, batch):
    """What the page's dialog sends."""
    return dict(client.get(at("preview", batch)).context["sent"])


def said(answer):
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))


class TestPreview:
    def test_it_shows_orders_sums_and_the_button(self, batch, as_desk):
        page = text(as_desk.get(at("preview", batch)))
        orders = Order.objects.count()
        assert f"Preview, request {batch.pk}" in page
        assert f"Confirm {orders} orders" in page
        assert "3 accounts" in page
        assert "Can go" in page

    def test_an_advisor_looks_at_their_accounts(self, batch, as_ann):
        answer = as_ann.get(at("preview", batch))
        assert "Operations transmits" in text(answer)
        assert answer.context["found"].totals["accounts"] == 2
        assert 'data-bs-target="#confirm"' not in answer.content.decode()
        Account.objects.filter(number="A3").update(cash=1)
        page = text(as_ann.get(at("preview", batch)))
        assert "Accounts of other advisors changed since approval." in page
        assert "A3" not in page

    def test_warnings_alike_are_one(self):
        """What is the same of four orders or more is said once, with the first three by name."""
        nav, far = "it gets the fund's next NAV.", "its limit of 3.00 is 40.00 % above the price."
        lines = [Line(f"nav:{n}", f"Buy F{n}: {nav}", n) for n in range(1, 6)]
        few = [Line("far:9", f"Sell VTI: {far}", 9), Line("closed:1", "The market is closed: it is Sunday. It waits.")]
        assert transmit.in_few([*lines, *few]) == [
            "5 orders (Buy F1, Buy F2, Buy F3 and 2 more): each gets the fund's next NAV.", f"Sell VTI: {far}",
            "The market is closed: it is Sunday. It waits.",
        ]  # fmt: skip

    def test_others_find_nothing(self, batch, client):
        client.force_login(make.advisor("bob"))
        for name in ("preview", "ticket_request"):
            assert client.get(at(name, batch)).status_code == 404
        for name in ("confirm_ticket", "leave_out"):
            assert client.post(at(name, batch)).status_code == 404

    def test_a_changed_account_is_named_and_can_be_left_out(self, batch, as_desk):
        Account.objects.filter(number="A3").update(cash=4000)
        page = as_desk.get(at("preview", batch))
        assert "1 account changed since approval." in text(page)
        assert "A3 Account A3: cash $5,000.00 → $4,000.00" in text(page)
        assert "1 thing stands in the way" in text(page)
        fields = {"version": page.context["ticket"].version, "numbers": json.dumps(["A3"])}
        left_out = as_desk.post(at("leave_out", batch), fields)
        assert left_out.url == at("preview", batch)
        assert said(left_out) == "1 account left out of the ticket."
        page = as_desk.get(at("preview", batch))
        assert "1 left out" in text(page)
        assert not page.context["refusals"]
        done = as_desk.post(at("confirm_ticket", batch), dict(page.context["sent"]))
        assert done.url == reverse("trading:finish", args=[batch.ticket_id])
        assert not Allocation.objects.filter(account__number="A3", is_open=True).exists()

    def test_one_that_ended_says_how(self, batch, as_desk):
        staging.cancel_staged(before=timezone.now(), why="end of day")
        page = text(as_desk.get(at("preview", batch)))
        assert "were cancelled (end of day)" in page
        assert "There is nothing to send." in page

    def test_its_way_back_to_the_request(self, batch, as_desk):
        assert as_desk.get(at("ticket_request", batch)).url == reverse("rebalancer:request", args=[batch.pk])

    @pytest.mark.parametrize("more", [0, 20])
    def test_its_cost_does_not_grow(self, balanced, desk, as_desk, more, django_assert_max_num_queries, monkeypatch):
        """The comparison of accounts apart, which loads them all."""
        batch = pending(desk, *[drifted(balanced, f"M{number}") for number in range(2 + more)])
        batches.approve(batch, by=desk, **as_seen(batch))
        batches.finish_approval(batch.pk)
        market_days.keep_days()
        batch = again(batch)
        as_desk.get(at("preview", batch))
        monkeypatch.setattr("rebalancer.services.changes.since_approving", lambda batch: [])
        with django_assert_max_num_queries(LOGGED_IN + 8 + 3):
            as_desk.get(at("preview", batch))


class TestConfirm:
    def test_it_leads_to_the_last_page_and_so_does_the_preview_then(self, batch, as_desk, desk):
        answer = as_desk.post(at("confirm_ticket", batch), seen(as_desk, batch))
        finish = reverse("trading:finish", args=[batch.ticket_id])
        assert answer.url == finish
        assert f"Request {batch.pk} is confirmed" in said(answer)
        assert again(batch.ticket).confirmed_by == desk
        assert as_desk.get(at("preview", batch)).url == finish

    def test_what_changed_meanwhile_is_said(self, batch, as_desk):
        fields = seen(as_desk, batch)
        make.price("VTI", 103)
        answer = as_desk.post(at("confirm_ticket", batch), fields)
        assert answer.url == at("preview", batch)
        assert "new: Sell VTI: its price has moved by 3.00" in said(answer)
        assert again(batch.ticket).confirmed_at is None

    def test_an_account_that_changed_meanwhile_is_named(self, batch, as_desk):
        fields = seen(as_desk, batch)
        Account.objects.filter(number="A3").update(set_aside_cash=Decimal(7))
        answer = as_desk.post(at("confirm_ticket", batch), fields)
        assert answer.status_code == 409
        assert "Nothing was sent: 1 account changed since approval." in text(answer)
        assert "A3 Account A3: set-aside cash $0.00 → $7.00" in text(answer)
        assert "Leave 1 account out" in text(answer)
        assert again(batch.ticket).confirmed_at is None

    def test_many_accounts_are_compared_when_it_is_confirmed(self, batch, as_desk, monkeypatch):
        monkeypatch.setattr("rebalancer.views.transmit.COMPARED_AT_ONCE", 2)
        Account.objects.filter(number="A3").update(cash=4000)
        page = as_desk.get(at("preview", batch))
        assert not page.context["refusals"]
        assert "All accounts are compared with the book when the orders are confirmed" in text(page)
        answer = as_desk.post(at("confirm_ticket", batch), dict(page.context["sent"]))
        assert answer.status_code == 409
        assert "A3 Account A3: cash $5,000.00 → $4,000.00" in text(answer)

    def test_a_price_that_is_missing_at_transmit(self, batch, as_desk):
        fields = seen(as_desk, batch)
        Price.objects.filter(security__symbol="VTI").delete()
        assert "there is no price for it" in said(as_desk.post(at("confirm_ticket", batch), fields))

    def test_an_advisor_may_not(self, batch, as_ann, ann):
        answer = as_ann.post(at("confirm_ticket", batch), _fields(batch))
        assert answer.status_code == 403
        assert "Operations transmits" in text(answer)
        line = AuditLine.objects.filter(verb="refused").latest("pk")
        assert (line.by, line.after["command"]) == (ann, "ticket.confirmed")

    def test_an_advisor_may_not_leave_out(self, batch, as_ann):
        fields = {"version": batch.ticket.version, "numbers": json.dumps(["A1"])}
        assert as_ann.post(at("leave_out", batch), fields).status_code == 403
        assert not Allocation.objects.filter(quantity=0).exists()

    @pytest.mark.parametrize("fields", [{}, {"version": "x", "digest": "y"}, {"version": 1}])
    def test_what_did_not_arrive_whole(self, batch, as_desk, fields):
        assert as_desk.post(at("confirm_ticket", batch), fields).status_code == 400
        assert as_desk.post(at("leave_out", batch), fields).status_code == 400
        assert as_desk.post(at("leave_out", batch), {"version": 1, "numbers": "[]"}).status_code == 400
        assert again(batch.ticket).confirmed_at is None

    def test_damaged_lines_name_nothing_and_change_nothing(self, batch, as_desk):
        fields = seen(as_desk, batch) | {"still": "nonsense"}
        assert as_desk.post(at("confirm_ticket", batch), fields).url.endswith("/finish/")

    def test_it_is_posted(self, batch, as_desk):
        assert as_desk.get(at("confirm_ticket", batch)).status_code == 405
        assert as_desk.get(at("leave_out", batch)).status_code == 405

    def test_signed_out(self, batch, client):
        assert client.get(at("preview", batch)).url.startswith("/login/")
        assert client.post(at("confirm_ticket", batch)).url.startswith("/login/")

    def test_the_markets_days_unknown(self, batch, as_desk):
        MarketDay.objects.all().delete()
        assert "not known yet" in text(as_desk.get(at("preview", batch)))


def _fields(batch):
    return {"version": batch.ticket.version, "digest": "0" * 32, "still": ""}


class TestTheWayIn:
    def way(self, client, batch):
        return client.get(reverse("rebalancer:request", args=[batch.pk]) + "?f=")

    def test_operations_opens_the_ticket(self, batch, as_desk):
        page = self.way(as_desk, batch)
        assert page.context["way"]["href"] == reverse("trading:ticket", args=[batch.ticket_id])
        assert "Open order ticket" in text(page)
        assert "nothing is transmitted before it is confirmed" in text(page)

    def test_an_advisor_is_told_who_transmits(self, batch, as_ann):
        page = self.way(as_ann, batch)
        assert page.context["way"]["label"] == "Order ticket"
        assert "Operations transmits" in text(page)

    def test_it_is_followed_when_it_is_confirmed(self, batch, as_desk):
        as_desk.post(at("confirm_ticket", batch), seen(as_desk, batch))
        page = self.way(as_desk, batch)
        assert page.context["way"]["href"] == reverse("trading:finish", args=[batch.ticket_id])
        assert "Follow orders" in text(page)
        order = page.context["orders"][0]
        assert (order.filled, order.badge) == (0, "quiet")

    def test_one_that_was_cancelled_has_nothing_first(self, batch, as_desk):
        staging.cancel_staged(before=timezone.now(), why="end of day")
        page = self.way(as_desk, batch)
        assert page.context["way"]["first"] is False
        assert "nothing was transmitted" in text(page)

    def test_create_order_asks_and_leads_to_the_request(self, three, desk, as_desk):
        batch = pending(desk, *three)
        page = as_desk.get(reverse("rebalancer:request_analysis", args=[batch.pk]))
        asked = f"{reverse('rebalancer:confirm_approve', args=[batch.pk])}?to=request"
        assert f'href="{asked}"' in page.content.decode()
        dialog = as_desk.get(asked).content.decode()
        assert f'name="next" value="{reverse("rebalancer:request", args=[batch.pk])}"' in dialog

    def test_create_order_says_why_not(self, three, desk, as_ann):
        batch = pending(desk, *three)
        page = text(as_ann.get(reverse("rebalancer:request_analysis", args=[batch.pk])))
        assert "Create Order : Not every open account of this request is yours." in page

    def test_one_that_is_proposed_has_no_way_on_yet(self, three, desk, as_desk):
        batch = pending(desk, *three)
        assert self.way(as_desk, batch).context["way"] is None
