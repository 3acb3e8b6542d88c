"""Two people at the buttons of one request at the same moment: one is done, the other is told what happened."""

import threading

import pytest
from django.conf import settings
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.urls import reverse

from accounts.models import AuditLine
from rebalancer import selectors
from rebalancer.models import Batch
from rebalancer.states import BatchState
from tests import factories as make

from .conftest import again, drifted, pending, states

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = range(3)


@pytest.fixture
def people():
    return [make.operations("one"), make.operations("two")]


@pytest.fixture
def batch(people, balanced):
    return pending(people[0], *[drifted(balanced, f"A{number}") for number in range(1, 4)])


def approving(batch):
    stake = selectors.stake(batch)
    seen = {"version": batch.proposal_version, "accounts": stake.accounts, "net_dollars": stake.net_dollars}
    return reverse("rebalancer:approve", args=[batch.pk]), seen


def removing(batch, *numbers):
    pks = batch.entries.filter(account_number__in=numbers).values_list("pk", flat=True)
    fields = {"scope": "picked", "query": "", "shown": len(numbers), "ids": ",".join(map(str, pks))}
    return reverse("rebalancer:remove", args=[batch.pk]), fields


def at_once(people, *posts):
    """Post each at the same moment by a person and connection of its own; what the pages said, in their order."""
    starting, said = threading.Barrier(len(posts)), {}

    def press(number, person, address, fields):
        try:
            client = Client()
            client.force_login(person, backend=settings.AUTHENTICATION_BACKENDS[-1])
            starting.wait()
            answer = client.post(address, fields)
            assert answer.status_code == 302
            said[number] = " ".join(str(message) for message in get_messages(answer.wsgi_request))
        finally:
            connection.close()

    threads = [
        threading.Thread(target=press, args=(number, person, *post))
        for number, (person, post) in enumerate(zip(people, posts, strict=True))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [said[number] for number in range(len(posts))]


@pytest.mark.parametrize("round_", ROUNDS)
def test_one_removes_while_the_other_approves(people, batch, round_):
    removed, approved = at_once(people, removing(batch, "A1"), approving(batch))
    batch = again(batch)
    if batch.approved_by:
        assert "is approved for 3 accounts" in approved
        assert "was approved by two" in removed
        assert "removed" not in states(batch).values()
    else:
        assert "1 account removed" in removed
        assert "You saw 3 accounts" in approved
        assert batch.state == BatchState.PENDING_APPROVAL
        assert states(batch) == {"A1": "removed", "A2": "proposed", "A3": "proposed"}
    assert AuditLine.objects.filter(verb__in=["batch.approved", "batch.accounts_removed"]).count() == 1


@pytest.mark.parametrize("round_", ROUNDS)
def test_both_remove_the_same_account_and_another(people, batch, round_):
    said = at_once(people, removing(batch, "A1", "A2"), removing(batch, "A2", "A3"))
    assert sorted(words.partition(" removed")[0] for words in said) == ["1 account", "2 accounts"]
    assert sum("A2 Account A2: it is removed already" in words for words in said) == 1
    assert sum("No open account was left, so the request is cancelled." in words for words in said) == 1
    batch = again(batch)
    assert (batch.state, batch.ended_how) == (BatchState.CANCELLED, Batch.EndedBy.EMPTY)
    assert set(states(batch).values()) == {"removed"}
