"""History as people meet it: what became of every request."""

import re

import pytest

from rebalancer.models import Batch
from rebalancer.services import batches, days
from tests import factories as make

from .conftest import as_seen, opened, pending

pytestmark = pytest.mark.django_db

HISTORY = "/rebalancer/history/"


def row(page, batch):
    found = re.search(rf'<tr id="row-{batch.pk}".*?</tr>', page.content.decode(), re.S)
    return found and re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found[0])).strip()


def shown(page):
    return [drawn.pk for drawn in page.context["table"].drawn]


@pytest.fixture
def ended(three, ann, desk):
    """Complete with one removed, cancelled by a person, cancelled at the end of the day; each of its own account(s)."""
    complete = pending(ann, *three[:2])
    batches.remove(complete, by=ann, entries=complete.entries.filter(account_number="A2"), shown=1)
    batches.approve(complete, by=ann, **as_seen(complete))
    batches.finish_approval(complete.pk)
    cancelled = pending(ann, three[1])
    batches.cancel(cancelled, by=desk)
    late = opened(desk, three[2]).batch
    days.end_of_day()
    return complete, cancelled, late


def test_how_each_ended(ended, client, desk):
    client.force_login(desk)
    page = client.get(HISTORY)
    complete, cancelled, late = ended
    assert shown(page) == [late.pk, cancelled.pk, complete.pk]
    assert re.search(r"ann 2 Best Fit Complete 0 1 1 \d\d:\d\d ET ann View Details", row(page, complete))
    assert re.search(r"ann A2 Best Fit Cancelled 0 0 0 \d\d:\d\d ET olive View Details", row(page, cancelled))
    assert re.search(r"olive A3 Best Fit Cancelled end of day 0 0 0 \d\d:\d\d ET — View Details", row(page, late))


def test_all_failed(three, desk, client):
    client.force_login(desk)
    make.price("VTI", "0.5", state="questioned")
    batch = pending(desk, three[0])
    assert re.search(r"A1 Best Fit Failed 1 0 0", row(client.get(HISTORY), batch))


def test_an_advisor_sees_and_counts_their_own(ended, three, client, ann):
    client.force_login(ann)
    page = client.get(HISTORY)
    assert shown(page) == [ended[1].pk, ended[0].pk]
    assert page.context["desk"]["history"] == 2


def test_another_advisor_sees_none(ended, client):
    client.force_login(make.advisor("bob"))
    page = client.get(HISTORY)
    assert shown(page) == []
    assert "No request has ended yet." in page.content.decode()


@pytest.mark.parametrize(
    ("filtered", "found"),
    [
        ("?f=result:any:complete", [0]),
        ("?f=result:any:cancelled", [2, 1]),
        ("?f=result:any:end_of_day|complete", [2, 0]),
        ("?f=opened_by:any:ann", [1, 0]),
        ("?f=ended_by:any:olive", [1]),
        ("?f=ended_by:any:—", [2]),
        ("?f=removed:gte:1", [0]),
        ("?f=opened_at:gte:2020-01-01&f=result:any:failed", []),
        ("?f=opened_at:lte:2020-01-01", []),
        ("?f=opened_at:gte:2020-01-01", [2, 1, 0]),
        ("?f=result:any:lost", []),
    ],
)
def test_filters(ended, client, desk, filtered, found):
    client.force_login(desk)
    assert shown(client.get(HISTORY + filtered)) == [ended[place].pk for place in found]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("ann", [1, 0]),
        ("OLIVE", [2]),
        ("A2", [1]),  # the only account of one; of the other it is one of two
        ("ann a2", [1]),
        ("nobody", []),
        ("request", [2, 1, 0]),
    ],
)
def test_search_by_person_and_by_the_account_that_is_the_only_one(ended, client, desk, words, found):
    client.force_login(desk)
    assert shown(client.get(HISTORY, {"q": words})) == [ended[place].pk for place in found]


def test_search_by_number_as_the_row_says_it(ended, client, desk):
    client.force_login(desk)
    for words in (f"{ended[1].pk}", f"Request {ended[1].pk}"):
        assert ended[1].pk in shown(client.get(HISTORY, {"q": words}))
    assert shown(client.get(HISTORY, {"q": f"{ended[2].pk}0000"})) == []


def test_search_finds_no_account_of_somebody_else(three, ann, desk, client):
    """Of a request with two, Ann sees and finds her own; the other is not given away by finding it."""
    batch = pending(desk, three[0], three[2])
    batches.cancel(batch, by=desk)
    client.force_login(ann)
    assert shown(client.get(HISTORY, {"q": "A1"})) == [batch.pk]
    assert shown(client.get(HISTORY, {"q": "A3"})) == []


def test_export(ended, client, desk):
    client.force_login(desk)
    lines = b"".join(client.get(f"{HISTORY}?f=&export=csv").streaming_content).decode().splitlines()
    assert len(lines) == 1 + Batch.objects.count()
    assert '"Cancelled, end of day"' in lines[1]
    assert (
        lines[0] == "Request,Requested,Requested by,Accounts,Trade logic,Result,Failed,Complete,Removed,Ended,Ended by"
    )
    assert [line.split(",")[3] for line in lines[1:]] == ["A3", "A2", "2"]
