"""What people send who mean no good, or whose browser is out of step: refused in words, on record, nothing done."""

import re
from datetime import date
from decimal import Decimal

import exchange_calendars
import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from accounts.models import AuditLine, Firm, Security
from accounts.rules import MARKETS
from accounts.services import records
from accounts.services.accounts import save_account
from rebalancer.models import Batch, Entry
from rebalancer.services import batches
from rebalancer.states import BatchState, EntryState
from tests import factories as make

from .conftest import again, pending, states

pytestmark = pytest.mark.django_db


def selection(*rows, **changed):
    picked = {"scope": "picked", "query": "", "shown": len(rows), "ids": ",".join(str(row.pk) for row in rows)}
    return picked | {"logic": "best_fit"} | changed


def refusals(command):
    return [line.after["why"] for line in AuditLine.objects.filter(verb="refused", after__command=command)]


class TestWhatNoTextHolds:
    """A NUL character has no place in PostgreSQL: not in a filter, and not in the line that quotes it."""

    @pytest.mark.parametrize("query", ["f=a%00b:is:1", "q=%00", "%00=1"])
    def test_in_the_filter_of_a_selection(self, client, desk, three, query):
        client.force_login(desk)
        sent = selection(scope="all", query=query, shown=3)
        assert client.post(reverse("rebalancer:generate"), sent).status_code == 400
        assert len(refusals("batch.opened")) == 1
        assert not Batch.objects.exists()

    def test_in_the_filter_of_a_removal(self, client, desk, three):
        batch = pending(desk, *three)
        client.force_login(desk)
        sent = selection(scope="all", query="f=%00", shown=3)
        assert client.post(reverse("rebalancer:remove", args=[batch.pk]), sent).status_code == 400
        assert len(refusals("batch.accounts_removed")) == 1
        assert Entry.objects.still_open().count() == 3


class TestWhatIsNotTheirs:
    def test_an_advisor_is_not_told_the_accounts_of_others_that_sent_a_request_back(self, client, desk, ann, three):
        batch = pending(desk, *three)
        Batch.objects.filter(pk=batch.pk).update(trouble="Changed since proposing. A3 Account A3: its cash.")
        pages = [reverse("rebalancer:pending"), reverse("rebalancer:request", args=[batch.pk])]
        client.force_login(desk)
        assert all(re.search(r"\bA3\b", client.get(page).content.decode()) for page in pages)
        client.force_login(ann)
        for page in pages:
            shown = client.get(page).content.decode()
            assert "Its orders could not be staged." in shown
            assert not re.search(r"\bA3\b", shown)  # as a word: tokens of forms may hold the letters

    def test_an_advisor_proposes_only_their_own_failed_accounts_again(self, ann, desk, three):
        batch = pending(desk, *three)
        entries = Entry.objects.filter(batch=batch, account_number__in=["A2", "A3"])
        entries.update(state=EntryState.FAILED, reason="no price")
        batches.repropose(batch, by=ann)
        assert states(batch) == {"A1": "waiting", "A2": "waiting", "A3": "failed"}


class TestSignedOutMeanwhile:
    """The button was pressed on a page of a session that has ended since."""

    def test_a_command_leads_back_to_the_page_it_was_on(self, client, desk, three):
        batch = pending(desk, *three)
        page = reverse("rebalancer:request", args=[batch.pk])
        for name in ("approve", "cancel", "remove", "switch_logic", "reprice", "repropose"):
            command = reverse(f"rebalancer:{name}", args=[batch.pk])
            answer = client.post(command, headers={"referer": f"http://testserver{page}?q=A1"})
            assert answer.headers["Location"] == f"/login/?next={page}%3Fq%3DA1"
        assert "so nothing was done. Sign in and do it again." in client.get("/login/").content.decode()
        assert again(batch).state == BatchState.PENDING_APPROVAL

    @pytest.mark.parametrize(
        "referer", ["", "https://elsewhere.example/rebalancer/", "http://testserver.evil.example/"]
    )
    def test_from_elsewhere_it_leads_to_the_start_page(self, client, referer):
        answer = client.post(reverse("rebalancer:generate"), headers={"referer": referer})
        assert answer.headers["Location"] == "/login/?next=/"

    def test_what_was_shown_is_kept_nowhere(self, client, desk, three):
        client.force_login(desk)
        for page in ("rebalancer:queue", "rebalancer:pending", "rebalancer:history"):
            for address in (reverse(page), f"{reverse(page)}?f=&export=csv"):
                assert "no-store" in client.get(address).headers["Cache-Control"]


@pytest.mark.parametrize("logic", ["liquidate", "", "best_fit\0", "x" * 10_000])
def test_a_trade_logic_that_is_not_offered_is_on_record(client, desk, three, logic):
    client.force_login(desk)
    sent = selection(*three, logic=logic)
    assert client.post(reverse("rebalancer:generate"), sent).status_code == 400
    assert refusals("batch.opened") == ["Choose a trade logic."]
    assert not Batch.objects.exists()


def test_more_than_any_page_sends_is_answered_in_words(client, desk, settings):
    client.force_login(desk)
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 10
    answer = client.post(reverse("rebalancer:generate"), {f"field{number}": "" for number in range(20)})
    assert answer.status_code == 400
    assert "Nothing was done." in answer.content.decode()


class TestWhatAnAdministratorMistypes:
    """One wrong setting may not stop the firm's analysis, pages or nightly chain."""

    @pytest.mark.parametrize("market", ["XXXX", "xnys", "24/7", "New York"])
    def test_a_market_that_is_none(self, market):
        with pytest.raises(ValidationError, match="There is no market"):
            make.firm(market_calendar=market)
        assert Firm.current().market_calendar == "XNYS"

    def test_every_market_offered_has_a_calendar(self):
        assert set(exchange_calendars.get_calendar_names(include_aliases=True)) >= MARKETS

    def test_a_quantity_step_beyond_counting(self, balanced):
        vti = Security.objects.get(symbol="VTI")
        vti.quantity_step = Decimal("99999999999999")
        with pytest.raises(ValidationError, match="A step is at most 1,000,000 shares"):
            records.save_security(vti, by=None)

    @pytest.mark.parametrize(
        ("day", "words"), [(date(2999, 1, 1), "lies in the future"), (date(1, 1, 1), "is before 1900")]
    )
    def test_a_day_of_rebalancing_that_cannot_have_been(self, three, day, words):
        three[0].last_rebalanced = day
        with pytest.raises(ValidationError, match=words):
            save_account(three[0], by=None)
        assert again(three[0]).last_rebalanced is None
