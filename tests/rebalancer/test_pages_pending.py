"""Pending Approval as people meet it: its rows, what is asked again, and what a decision says before it is taken."""

import re

import pytest
from django.urls import reverse

from accounts.models import Account
from rebalancer.models import Batch, Entry
from rebalancer.services import batches
from rebalancer.states import BatchState, EntryState, Logic
from tests import factories as make

from .conftest import again, as_seen, chosen, opened, pending

pytestmark = pytest.mark.django_db

PENDING = "/rebalancer/pending/"
AT_WORK = re.compile(r'data-at-work="(\d+)"')


def text(response):
    return re.sub(r"\s+", " ", response.content.decode())


def row(page, batch):
    """The cells of a request as text."""
    found = re.search(rf'<tr id="row-{batch.pk}".*?</tr>', page.content.decode(), re.S)
    return found and re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found[0])).strip()


def ask_again(client, *batches):
    return client.get(reverse("rebalancer:pending_rows"), {"at": [batch.pk for batch in batches]})


@pytest.fixture
def as_ann(client, ann):
    client.force_login(ann)
    return client


@pytest.fixture
def as_desk(client, desk):
    client.force_login(desk)
    return client


class TestRows:
    def test_one_a_request_newest_first(self, three, as_ann, ann):
        one, two = pending(ann, three[0]), opened(ann, three[1], logic=Logic.MIN_TRANSACTION).batch
        page = as_ann.get(PENDING)
        assert [drawn.pk for drawn in page.context["table"].drawn] == [two.pk, one.pk]
        assert re.fullmatch(
            rf"Request {one.pk} \d\d:\d\d ET ann A1 Best Fit Pending Approval View Details .* Approve .* Cancel .*",
            row(page, one),
        )
        assert "A2 Min Transaction Pending 0 of 1" in row(page, two)

    def test_the_file_has_what_the_page_shows_and_no_buttons(self, three, as_desk, desk):
        one, two = pending(desk, three[0]), pending(desk, *three[1:])
        Batch.objects.filter(pk=two.pk).update(trouble="The market data is gone.")
        lines = b"".join(as_desk.get(f"{PENDING}?f=&sort=request&export=csv").streaming_content).decode().splitlines()
        assert lines[0] == "Request,Requested,Requested by,Accounts,Trade logic,Status"
        cells = [line.split(",", 3) for line in lines[1:]]
        assert [(line[0], line[3]) for line in cells] == [
            (str(one.pk), "A1,Best Fit,Pending Approval"),
            (str(two.pk), "2,Best Fit,Pending Approval: The market data is gone."),
        ]

    def test_several_accounts_are_counted(self, three, as_ann, ann):
        batch = pending(ann, *three[:2])
        assert "ann 2 Best Fit" in row(as_ann.get(PENDING), batch)

    def test_at_work_the_buttons_are_disabled(self, three, as_ann, ann):
        batch = opened(ann, three[0]).batch
        page = as_ann.get(PENDING)
        assert f"{PENDING}{batch.pk}/approve/" not in text(page)
        assert "Approve : Its trades are being proposed." in row(page, batch)
        assert AT_WORK.findall(text(page)) == [str(batch.pk)]

    def test_approved_has_a_spinner_too(self, three, as_ann, ann):
        batch = pending(ann, three[0])
        batches.approve(batch, by=ann, **as_seen(batch))
        page = as_ann.get(PENDING)
        assert "Best Fit Approved View Details" in row(page, batch)
        assert AT_WORK.findall(text(page)) == [str(batch.pk)]

    def test_what_came_back_says_why(self, three, as_ann, ann):
        batch = pending(ann, three[0])
        Batch.objects.filter(pk=batch.pk).update(trouble="A1 changed since proposing")
        assert "Pending Approval A1 changed since proposing" in row(as_ann.get(PENDING), batch)

    @pytest.mark.parametrize(
        ("filtered", "found"),
        [("?f=opened_by:any:ann", 1), ("?f=opened_by:any:olive", 0), ("?f=status:any:pending", 0),
         ("?f=status:any:pending_approval|approved", 1), ("?f=accounts:gte:2", 0), ("?f=logic:any:best_fit", 1)],
    )  # fmt: skip
    def test_filters(self, three, as_ann, ann, filtered, found):
        pending(ann, three[0])
        assert len(as_ann.get(PENDING + filtered).context["table"].drawn) == found

    def test_search(self, three, as_ann, ann, desk):
        one, both = pending(ann, three[0]), pending(desk, *three[1:])
        found = {words: [drawn.pk for drawn in as_ann.get(PENDING, {"q": words}).context["table"].drawn]
                 for words in ("A1", "A2", "ann", "olive", "A3")}  # fmt: skip
        assert found == {"A1": [one.pk], "A2": [both.pk], "ann": [one.pk], "olive": [both.pk], "A3": []}

    def test_empty_it_says_what_to_do(self, as_desk):
        assert "No request is waiting for approval." in text(as_desk.get(PENDING))


class TestWhoMayDecide:
    def test_another_advisor_sees_nothing_of_it(self, three, ann, client):
        batch = pending(ann, three[0])
        client.force_login(make.advisor("bob"))
        assert client.get(PENDING).context["table"].drawn == []
        assert AT_WORK.findall(text(ask_again(client, batch))) == []
        assert row(ask_again(client, batch), batch) is None
        for what in ("approve", "cancel"):
            assert client.get(f"{PENDING}{batch.pk}/{what}/").status_code == 404

    def test_with_accounts_of_others_the_buttons_say_why_not(self, three, desk, as_ann):
        batch = pending(desk, *three)
        page = as_ann.get(PENDING)
        assert "olive 2 Best Fit" in row(page, batch)
        assert "Approve : Not every open account of this request is yours." in row(page, batch)
        words = text(as_ann.get(f"{PENDING}{batch.pk}/approve/"))
        assert "Not every open account of this request is yours. Nothing was done." in words
        assert reverse("rebalancer:approve", args=[batch.pk]) not in words

    def test_progress_of_others_accounts_is_not_counted_out(self, three, desk, as_ann):
        batch = opened(desk, *three).batch
        assert "Pending 0%" in row(as_ann.get(PENDING), batch)

    def test_four_eyes(self, three, ann, as_ann):
        make.firm(four_eyes=True)
        batch = pending(ann, three[0])
        assert "Approve : Four eyes:" in row(as_ann.get(PENDING), batch)
        assert f"{PENDING}{batch.pk}/cancel/" in text(as_ann.get(PENDING))

    def test_an_administrator_looks_only(self, three, ann, client):
        batch = pending(ann, three[0])
        client.force_login(make.administrator())
        assert "Cancel : Your role does not decide about requests." in row(client.get(PENDING), batch)

    def test_the_words_are_those_of_the_command(self, three, desk, ann, as_ann):
        batch = pending(desk, *three)
        with pytest.raises(batches.NotAllowed) as refusal:
            batches.cancel(batch, by=ann)
        assert f"Cancel : {refusal.value}" in row(as_ann.get(PENDING), batch)


class TestAskingAgain:
    def test_goes_on_while_at_work_and_ends_by_itself(self, three, ann, as_ann):
        batch = opened(ann, three[0]).batch
        answer = ask_again(as_ann, batch)
        assert 'hx-swap-oob="true"' in text(answer)
        assert AT_WORK.findall(text(answer)) == [str(batch.pk)]
        batches.propose_batch(batch.pk)
        answer = ask_again(as_ann, batch)
        assert AT_WORK.findall(text(answer)) == []
        assert f"{PENDING}{batch.pk}/approve/" in text(answer)

    def test_only_the_rows_asked_for(self, three, ann, as_ann):
        one, two = opened(ann, three[0]).batch, opened(ann, three[1]).batch
        answer = ask_again(as_ann, two)
        assert (row(answer, one), bool(row(answer, two))) == (None, True)

    def test_one_that_has_ended_stays_with_its_result_until_the_page_is_left(self, three, ann, as_ann):
        batch = pending(ann, three[0])
        batches.approve(batch, by=ann, **as_seen(batch))
        batches.finish_approval(batch.pk)
        answer = ask_again(as_ann, batch)
        assert "Complete" in row(answer, batch)
        assert "Approve : It has ended." in row(answer, batch)
        assert AT_WORK.findall(text(answer)) == []
        assert row(as_ann.get(PENDING), batch) is None

    def test_rows_have_the_columns_of_the_page(self, three, ann, as_ann):
        batch = opened(ann, three[0]).batch
        as_ann.post(PENDING, {"do": "layout", "columns": ["status"]})
        assert row(ask_again(as_ann, batch), batch) == row(as_ann.get(PENDING), batch)

    def test_the_tabs_are_counted_again(self, three, ann, as_ann):
        batch = opened(ann, three[0]).batch
        assert 'id="tabs" hx-swap-oob="true"' in text(ask_again(as_ann, batch))

    @pytest.mark.parametrize("query", ["at=x", "at=1%20OR%201", "at=-1", "&".join(["at=1"] * 201), "at=" + "9" * 40])
    def test_what_is_not_understood(self, as_ann, query):
        assert as_ann.get(f"{reverse('rebalancer:pending_rows')}?{query}").status_code == 400

    def test_its_cost_does_not_grow(self, three, ann, as_ann, django_assert_max_num_queries):
        requests = [opened(ann, account).batch for account in three[:2]]
        ask_again(as_ann, *requests)
        with django_assert_max_num_queries(5):  # session, person, permissions; rows; tabs
            ask_again(as_ann, *requests)


class TestConfirming:
    def test_names_the_consequences_in_numbers(self, three, ann, as_ann):
        batch = pending(ann, *three[:2])
        seen = as_seen(batch)
        entries = Entry.objects.filter(batch=batch)
        page = as_ann.get(f"{PENDING}{batch.pk}/approve/")
        assert "Approve 2 accounts</button>" in text(page)
        assert f"<dt>Buys</dt><dd>{sum(entry.buys for entry in entries)}</dd>" in text(page)
        fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page.content.decode()))
        assert {name: fields[name] for name in seen} == {name: str(value) for name, value in seen.items()}

    def test_in_the_page_it_is_a_dialog_alone_it_is_a_page(self, three, ann, as_ann):
        batch = pending(ann, three[0])
        assert "<html" in text(as_ann.get(f"{PENDING}{batch.pk}/cancel/"))
        alone = as_ann.get(f"{PENDING}{batch.pk}/cancel/", headers={"HX-Request": "true"})
        assert "<html" not in text(alone)
        assert "The account goes back to the queue" in text(alone)

    def test_asking_changes_nothing(self, three, ann, as_ann):
        batch = pending(ann, three[0])
        as_ann.get(f"{PENDING}{batch.pk}/approve/")
        assert again(batch).state == BatchState.PENDING_APPROVAL

    def test_whoever_comes_too_late_is_told(self, three, ann, as_ann):
        batch = pending(ann, three[0])
        batches.cancel(batch, by=ann)
        words = text(as_ann.get(f"{PENDING}{batch.pk}/approve/"))
        assert f"Request {batch.pk} is no longer pending approval: it is cancelled. Nothing was done." in words

    @pytest.mark.parametrize(("what", "state"), [("approve", "approving"), ("cancel", "cancelled")])
    def test_what_is_sent_is_done_and_leads_back(self, three, ann, as_ann, what, state):
        batch = pending(ann, three[0])
        page = as_ann.get(f"{PENDING}{batch.pk}/{what}/")
        fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page.content.decode()))
        fields.pop("csrfmiddlewaretoken")
        answer = as_ann.post(reverse(f"rebalancer:{what}", args=[batch.pk]), fields)
        assert answer.url == PENDING
        assert again(batch).state == state


def test_what_an_advisor_counts_is_theirs(three, desk, as_ann):
    batch = pending(desk, *three)
    Account.objects.filter(number="A2").update(advisor=desk)
    assert "olive A1 Best Fit" in row(as_ann.get(PENDING), batch)
    assert Entry.objects.filter(batch=batch, state=EntryState.PROPOSED).count() == len(chosen(*three))
