"""What a page costs, through the product's own views on PostgreSQL."""

import statistics
from collections.abc import Iterator
from time import perf_counter

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import transaction
from django.test import Client
from django.urls import reverse

from accounts.models import Account, Role, User
from rebalancer.comparing import compared
from rebalancer.models import Alternative, Entry
from rebalancer.recommended import recommended
from rebalancer.services import batches
from rebalancer.states import EntryState, Logic

from .batches import book_in_a_database
from .report import Figure

COMPARED = 60  # accounts whose page is asked for in a run
RUNS = 5
COMPARISON_GOAL = 2.0  # times the page without


def figures() -> Iterator[Figure]:
    with book_in_a_database():
        yield from _comparison()


def _comparison() -> Iterator[Figure]:
    """An account's page in a request with and without the comparison of the trade logics, in turns."""
    client, entries = _request()
    pages = [reverse("rebalancer:request_account", args=[entry.batch_id, entry.pk]) for entry in entries]
    runs = [
        (_seconds(_compare, entries), _seconds(_ask, client, pages), _without(client, pages)) for _ in range(RUNS + 1)
    ]
    alone, shown, bare = (statistics.median(seconds) / len(pages) for seconds in zip(*runs[1:], strict=True))
    for name, seconds in (
        ("Comparison of the trade logics for one account", alone),
        ("Account in a request, its page with the comparison", shown),
    ):
        value = f"{seconds * 1000:.1f} ms, {seconds / bare:.2f} × the page without"
        yield Figure(name, value, "≤ 2 ×", seconds <= COMPARISON_GOAL * bare)


def _request():
    """Somebody of Operations in a browser, and accounts of a request of all of book S."""
    person = User.objects.create_user("pages")
    person.groups.add(Group.objects.get(name=Role.OPERATIONS))
    accounts = Account.objects.filter(is_open=True, portfolio__isnull=False, rebalancing_on=True)
    opened = batches.open_batch(by=person, accounts=accounts, shown=accounts.count(), logic=Logic.BEST_FIT)
    batches.propose_batch(opened.batch.pk)
    client = Client(SERVER_NAME="localhost")
    client.force_login(person, backend=settings.AUTHENTICATION_BACKENDS[-1])
    return client, list(Entry.objects.filter(batch=opened.batch, state=EntryState.PROPOSED)[:COMPARED])


def _compare(entries):
    for entry in entries:
        found = Entry.objects.select_related("alternative").get(pk=entry.pk)
        assert compared(found, recommended(found), Logic.BEST_FIT).sides


def _ask(client, pages, shows=True):
    for page in pages:
        assert (b"Ending available cash" in client.get(page).content) is shows


@transaction.atomic
def _without(client, pages):
    """Seconds for the same pages where no comparison is kept; it is put back."""
    Alternative.objects.all().delete()
    seconds = _seconds(_ask, client, pages, shows=False)
    transaction.set_rollback(True)
    return seconds


def _seconds(work, *arguments, **options):
    started = perf_counter()
    work(*arguments, **options)
    return perf_counter() - started
