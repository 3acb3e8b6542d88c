"""List pages over 100,000 accounts beside the stock admin change list, pages that count them, and 20,000 into a batch.

The stock change list is Django's admin as it comes: the same rows, in the same columns, as many to a page; nothing in
it is tuned. Both are asked for through the test client with all middleware.
"""

from collections.abc import Iterator

from django.conf import settings
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_settings, setup_databases, teardown_databases
from django.urls import include, path

from accounts.models import Account
from rebalancer import selectors
from rebalancer.filters import QueueFilters, queue_rows
from rebalancer.models import Batch, Entry
from rebalancer.selectors import TILES
from rebalancer.states import Logic

from . import bookshelf
from .report import Figure, median_seconds

RUNS = 7
PAGE = 100  # what the admin shows by default
LIST_QUERIES, OF_THE_PERSON = 4, 2  # session and person come with every page of the product
FASTER, LAST_PAGE = 3.0, 2.0
OPEN_QUERIES, OPEN_PAGES = 5, 4.0
CHECKED = ("market_value", "cash_weight", "target_cash", "drift", "drift_of", "source", "needed_since")
QUEUE = f"/rebalancer/?f=&per={PAGE}"
ACCOUNTS = f"/clients/accounts/?f=&per={PAGE}"
FIFTH = "f=portfolio:any:" + "|".join(f"Portfolio {n:02d}" for n in range(10))  # a fifth of the accounts
FILTERED = (
    QUEUE, f"{QUEUE}&page=900", f"{QUEUE}&tile=high_cash", f"{QUEUE}&sort=-market_value",
    "/rebalancer/?f=drift:gte:2&q=client", f"/rebalancer/?{FIFTH}", "/rebalancer/pending/?f=",
    "/rebalancer/history/?f=", "/trading/rebalance/", ACCOUNTS, f"{ACCOUNTS}&q=client&page=900", "/portfolios/?f=",
    "/portfolios/?f=out:gte:1&sort=-market_value", "/models/?f=",
)  # fmt: skip
OVER_ALL = {"Home": "/", "The Rebalance Center": "/trading/rebalance/", "The account list": ACCOUNTS}


class Stock(admin.ModelAdmin):
    """What somebody writes who wants this list from the admin."""

    list_display = ("number", "name", "portfolio", *CHECKED, "conditions")

    def get_queryset(self, request):
        return selectors.in_queue(super().get_queryset(request).filter(is_open=True))

    def conditions(self, account):
        return ", ".join(name for tile, name in TILES.items() if getattr(account.check_row, tile))


def _of_check(name):
    @admin.display(description=name, ordering=f"check_row__{name}")
    def value(self, account):
        return getattr(account.check_row, name)

    return value


for _name in CHECKED:
    setattr(Stock, _name, _of_check(_name))
stock = admin.AdminSite(name="stock")
stock.register(Account, Stock)
urlpatterns = [path("stock/", stock.urls), path("", include("config.urls"))]


def figures() -> Iterator[Figure]:
    old = setup_databases(verbosity=0, interactive=False)
    try:
        person = bookshelf.fill()
        person.is_staff = person.is_superuser = True  # the stock admin asks for it
        person.save()
        with override_settings(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"]):
            client = Client()
            client.force_login(person, backend=settings.AUTHENTICATION_BACKENDS[-1])
            yield from _lists(client)
            yield from _over_all(client)
            yield from _opening(client, person)
    finally:
        teardown_databases(old, verbosity=0)


def _lists(client) -> Iterator[Figure]:
    """Goal 5: what a page asks the database, how fast it is, and what its last page costs."""
    most = max(_queries(client, address) - OF_THE_PERSON for address in FILTERED)
    goal = f"at most {LIST_QUERIES}, session and person apart"
    yield Figure("List pages over 100,000 accounts, queries", f"{most}", goal, most <= LIST_QUERIES)
    rows = bookshelf.ACCOUNTS - bookshelf.OPEN
    last = -(-rows // PAGE)
    ours, ours_last = (_seconds(client, address) for address in (QUEUE, f"{QUEUE}&page={last}"))
    theirs = _seconds(client, "/stock/accounts/account/")
    value = f"{theirs / ours:.1f}× ({ours * 1000:.0f} ms, {theirs * 1000:.0f} ms)"
    yield Figure("The queue beside the stock admin change list", value, "at least 3× faster", theirs / ours >= FASTER)
    listed = _seconds(client, ACCOUNTS)
    value = f"{theirs / listed:.1f}× ({listed * 1000:.0f} ms)"
    yield Figure("The account list beside the same", value, "at least 3× faster", theirs / listed >= FASTER)
    ratio = ours_last / ours
    value = f"{ratio:.1f}× ({ours_last * 1000:.0f} ms)"
    yield Figure("The queue's last page beside its first", value, "at most 2×", ratio <= LAST_PAGE)


def _over_all(client) -> Iterator[Figure]:
    """Pages that count over every account: what each asks the database, and how long it takes."""
    goal = f"at most {LIST_QUERIES} queries, session and person apart"
    for name, address in OVER_ALL.items():
        count = _queries(client, address) - OF_THE_PERSON
        value = f"{count} queries, {_seconds(client, address) * 1000:.0f} ms"
        yield Figure(f"{name} over 100,000 accounts", value, goal, count <= LIST_QUERIES)


def _opening(client, person) -> Iterator[Figure]:
    """Goal 6: all accounts under a filter into a batch."""
    page = f"/rebalancer/?{FIFTH}"
    chosen = QueueFilters(client.get(page).wsgi_request.GET, queue_rows(person)).counts()["total"]
    post = {"scope": "all", "query": FIFTH, "shown": chosen, "ids": "", "logic": Logic.BEST_FIT.value}

    def press():
        assert client.post("/rebalancer/generate/", post).status_code == 302

    with CaptureQueriesContext(connection) as asked:
        press()
    _forget_newest()
    commands = [one for one in asked if not one["sql"].startswith(("BEGIN", "COMMIT"))]
    count = len(commands) - OF_THE_PERSON
    name = f"Select all {chosen:,} filtered accounts into a batch"
    yield Figure(f"{name}, queries", f"{count}", "at most 5, session and person apart", count <= OPEN_QUERIES)
    view = _seconds(client, page)
    seconds = median_seconds(press, RUNS, after=_forget_newest)
    value = f"{seconds / view:.1f}× a page view ({seconds * 1000:.0f} ms, {view * 1000:.0f} ms)"
    yield Figure(name, value, "at most 4×", seconds / view <= OPEN_PAGES)


def _forget_newest():
    batch = Batch.objects.latest("pk")
    Entry.objects.filter(batch=batch).delete()
    batch.delete()


def _queries(client, address):
    client.get(address)
    with CaptureQueriesContext(connection) as asked:
        assert client.get(address).status_code == 200
    return len(asked)


def _seconds(client, address):
    return median_seconds(lambda: client.get(address), RUNS)
