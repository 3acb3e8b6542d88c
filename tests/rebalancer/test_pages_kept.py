"""What stays where while somebody works: filters on their tab and request, a layout for each table; and what addresses
by hand and sessions of earlier releases bring.
"""

import pytest
from django.urls import reverse

from accounts.listing.memory import KEY
from rebalancer.models import Batch
from rebalancer.services import batches
from tests import factories as make

from .conftest import again, as_seen, drifted, opened, pending

pytestmark = pytest.mark.django_db

TABS = ("queue", "pending", "history")


@pytest.fixture
def olive(client, desk):
    client.force_login(desk)
    return client


@pytest.fixture
def requests(balanced, desk):
    """Two pending requests of three accounts each, and one that was cancelled."""
    accounts = [drifted(balanced, f"K{number}") for number in range(9)]
    found = [pending(desk, *accounts[start : start + 3]) for start in (0, 3, 6)]
    batches.cancel(found[2], by=desk)
    return [again(batch) for batch in found]


def at(name, batch=None):
    return reverse(f"rebalancer:{name}", args=[batch.pk] if batch else [])


def kept(client, address):
    """What the page shows when one comes back to it by its link."""
    answer = client.get(address)
    return answer.url.partition("?")[2] if answer.status_code == 302 else ""


def shown(client, address):
    return [head.name for head in client.get(f"{address}?f=").context["headers"]]


def numbers(page):
    return [row.label.split()[0] for row in page.context["table"].drawn]


@pytest.fixture
def filtered(olive, requests):
    """A filter on each tab and on the first request, with where it was set."""
    places = {
        at("queue"): "f=market_value%3Agte%3A10",
        at("pending"): "f=logic%3Aany%3Abest_fit",
        at("history"): "f=result%3Aany%3Acancelled",
        at("request", requests[0]): "f=sells%3Agte%3A1",
    }
    for address, query in places.items():
        assert olive.get(f"{address}?{query}").status_code == 200
    return places


def all_kept(client, places):
    return {address: kept(client, address) for address in places} == places


class TestFilters:
    def test_stay_over_other_tabs_paging_removing_and_approving(self, olive, filtered, requests, desk):
        first, second, _ = requests
        assert all_kept(olive, filtered)
        assert kept(olive, at("request", second)) == ""  # a request's filters are its own
        olive.get(f"{at('request', first)}?f=sells%3Agte%3A1&page=2")
        entry = first.entries.first()
        post = {"scope": "picked", "query": "", "shown": "1", "ids": str(entry.pk)}
        assert olive.post(at("remove", first), post).status_code == 302
        assert all_kept(olive, filtered)
        seen = as_seen(first)
        post = {**seen, "net_dollars": f"{seen['net_dollars']:.2f}"}
        assert olive.post(at("approve", first), post).status_code == 302
        assert all_kept(olive, filtered)

    def test_go_on_closing_the_rebalancer(self, olive, filtered):
        olive.post(at("close"))
        assert [kept(olive, address) for address in filtered] == [""] * len(filtered)

    def test_go_on_signing_out(self, olive, filtered, desk):
        olive.post("/logout/")
        olive.force_login(desk)
        assert [kept(olive, address) for address in filtered] == [""] * len(filtered)

    def test_are_nobody_elses(self, client, filtered):
        client.force_login(make.operations())
        assert [kept(client, address) for address in filtered] == [""] * len(filtered)


class TestLayouts:
    def test_one_for_each_table_over_requests_tabs_and_removing(self, olive, requests):
        first, second, ended = requests
        olive.post(at("queue"), {"do": "layout", "columns": ["why", "source"]})
        olive.post(at("request", first), {"do": "layout", "columns": ["buys", "result"]})
        olive.post(at("request", ended), {"do": "layout", "columns": ["advisor"]})
        post = {"scope": "picked", "query": "", "shown": "1", "ids": str(first.entries.first().pk)}
        olive.post(at("remove", first), post)
        for address, columns in (
            (at("queue"), ["why", "source"]),
            (at("request", first), ["buys", "result"]),
            (at("request", second), ["buys", "result"]),
            (at("request", ended), ["advisor"]),
        ):
            assert shown(olive, address) == ["number", "name", *columns]
        olive.post(at("close"))
        assert "why" not in shown(olive, at("queue"))

    @pytest.mark.parametrize("name", [*TABS, "request"])
    def test_columns_that_are_gone_are_dropped(self, olive, requests, name):
        address = at(name, requests[0] if name == "request" else None)
        screen = "pending_request" if name == "request" else name
        session = olive.session
        session[KEY] = {"rebalancer": {"layouts": {screen: {"columns": ["gone", "logic", "buys", "", "source"]}}}}
        session.save()
        assert "gone" not in shown(olive, address)


class TestByHand:
    @pytest.mark.parametrize("name", [*TABS, "request"])
    @pytest.mark.parametrize(
        "query",
        ["f=x", "f=x:is:1", "f=opened_at:gte:x", "tile=x", "colour=red", "sort=x", "page=0", "page=-1", "per=7"],
    )
    def test_what_is_not_understood_shows_words_and_no_rows(self, olive, requests, name, query):
        page = olive.get(f"{at(name, requests[0] if name == 'request' else None)}?{query}")
        assert (page.status_code, numbers(page)) == (200, [])
        assert 'role="alert"' in page.content.decode()

    @pytest.mark.parametrize("name", [*TABS, "request"])
    def test_a_page_beyond_the_end_is_the_last_one(self, olive, requests, name):
        page = olive.get(f"{at(name, requests[0] if name == 'request' else None)}?f=&page=99999999")
        assert (page.status_code, page.context["pager"].number) == (200, 1)

    @pytest.mark.parametrize("value", ["999999999999999", "-999999999999999", "0.000001"])
    def test_figures_beyond_any_column_find_nothing_or_all_but_never_fail(self, olive, requests, value):
        for name in ("buys", "market_value", "drift_before", "cash_weight_after", "unknown_lots"):
            for condition in ("is", "gte", "lte"):
                page = olive.get(f"{at('request', requests[0])}?f={name}:{condition}:{value}")
                assert page.status_code == 200, (name, condition)
        for condition in ("is", "gte", "lte"):
            assert olive.get(f"{at('history')}?f=failed:{condition}:{value}").status_code == 200

    def test_a_remembered_address_that_is_no_longer_understood_is_told_and_can_be_taken_off(self, olive, requests):
        session = olive.session
        session[KEY] = {"rebalancer": {"queries": {"queue": "f=gone%3Ais%3A1"}}}
        session.save()
        page = olive.get(at("queue"), follow=True)
        assert numbers(page) == []
        (chip,) = page.context["chips"]
        assert chip.error
        assert olive.get(at("queue") + chip.off).context["valid"]


def test_a_search_for_a_request_by_its_number(olive, requests):
    page = olive.get(f"{at('pending')}?f=request:is:{requests[0].pk}")
    assert [row.pk for row in page.context["table"].drawn] == [requests[0].pk]
    assert page.context["chips"][0].words == f"Request is {requests[0].pk}"


def test_every_table_can_be_exported_under_its_filter(olive, requests, desk, balanced):
    opened(desk, drifted(balanced, "L1"))
    for address, rows in (
        (f"{at('pending')}?f=status:any:pending_approval", 2),
        (f"{at('history')}?f=result:any:cancelled", 1),
        (f"{at('request', requests[2])}?f=number:is:K7", 1),
    ):
        lines = b"".join(olive.get(f"{address}&export=csv").streaming_content).decode().splitlines()
        assert len(lines) == rows + 1, address
    assert Batch.objects.count() == 4
