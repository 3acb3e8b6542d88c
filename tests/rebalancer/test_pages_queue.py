"""Accounts to Rebalance as people meet it: who sees what, tiles, selection, and opening a request from it."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account, AuditLine, RunRecord
from rebalancer.filters import HistoryFilters, PendingFilters, QueueFilters, RequestFilters
from rebalancer.models import Batch, Check
from rebalancer.services import checks
from rebalancer.states import BatchState
from rebalancer.tables import HistoryTable, PendingTable, QueueTable, RequestTable
from tests import factories as make
from trading import sessions

from .conftest import drifted, opened

pytestmark = pytest.mark.django_db

QUEUE = "/rebalancer/"
LOGGED_IN = 2  # session, person with roles and permissions
OF_A_LIST = 3  # one aggregate, the rows, the desk
OF_THE_FRAME = 5  # kept some seconds: zone, newest price with breaks, work waiting (three)


def text(response):
    return re.sub(r"\s+", " ", response.content.decode())


def numbers(response):
    return [row.label.split()[0] for row in response.context["table"].drawn]


def tiles(response):
    return {tile.key: tile.count for tile in response.context["tiles"]}


def delivered():
    """Every account has had its delivery, and is looked at."""
    Account.objects.update(delivered_for=sessions.last_completed_session())
    checks.analyse()


@pytest.fixture
def queue(balanced, ann):
    """Ann: A1 high cash, A2 high cash and first, A3 drifted. Nobody: B1 low cash. B2 is in balance."""
    before = {"last_rebalanced": date(2026, 1, 5)}
    high = drifted(balanced, "A1", advisor=ann, name="Alder Trust", **before)
    drifted(balanced, "A2", advisor=ann, name="Berg IRA")
    plain = drifted(balanced, "A3", advisor=ann, **before)
    Account.objects.filter(pk=plain.pk).update(cash=Decimal("1940"))
    low = drifted(balanced, "B1", **before)
    Account.objects.filter(pk=low.pk).update(cash=Decimal("10"))
    fine = make.account("B2", portfolio=balanced, cash=Decimal(2000), **before)
    make.lot(fine, "VTI", 600, cost=50000)
    make.lot(fine, "AGG", 760, cost=38000)
    delivered()
    return high


@pytest.fixture
def as_ann(client, ann):
    client.force_login(ann)
    return client


@pytest.fixture
def as_desk(client, desk):
    client.force_login(desk)
    return client


def send(client, ids=(), scope="picked", query="f=", shown=0, logic="best_fit", **more):
    fields = {"scope": scope, "query": query, "shown": shown, "ids": ",".join(map(str, ids)), "logic": logic}
    return client.post(reverse("rebalancer:generate"), fields | more)


def pk(number):
    return Account.objects.get(number=number).pk


class TestWhoSees:
    def test_operations_see_every_account_in_need(self, queue, as_desk):
        assert numbers(as_desk.get(QUEUE)) == ["A1", "A2", "A3", "B1"]

    def test_an_advisor_sees_and_counts_their_own(self, queue, as_ann):
        page = as_ann.get(QUEUE)
        assert numbers(page) == ["A1", "A2", "A3"]
        assert page.context["desk"]["queue"] == 3
        assert not re.search(r"\bB1\b", text(page))  # as a word: tokens of forms may hold the letters

    def test_another_advisor_sees_none_and_is_told_why(self, queue, client):
        client.force_login(make.advisor("bob"))
        page = client.get(QUEUE)
        assert numbers(page) == []
        assert "No account is yours yet." in text(page)

    @pytest.mark.parametrize("name", ["queue", "pending", "history", "pending_rows"])
    def test_signed_out_leads_to_signing_in(self, client, db, name):
        address = reverse(f"rebalancer:{name}")
        assert client.get(address).url == f"/login/?next={address}"

    @pytest.mark.parametrize(
        "name", ["generate", "close", "approve", "cancel", "remove", "switch_logic", "reprice", "repropose"]
    )
    def test_commands_want_a_post_and_a_person(self, client, desk, name):
        address = reverse(f"rebalancer:{name}", args=[] if name in ("generate", "close") else [1])
        assert client.post(address).url.startswith("/login/")
        client.force_login(desk)
        answer = client.get(address)
        assert (answer.status_code, answer["Allow"]) == (405, "POST")
        assert "This address belongs to a button on a page" in text(answer)

    def test_an_administrator_looks_and_opens_nothing(self, queue, client):
        client.force_login(make.administrator())
        assert "Your role does not open requests." in text(client.get(QUEUE))
        assert send(client, [queue.pk]).status_code == 403
        assert not Batch.objects.exists()
        assert AuditLine.objects.filter(verb="refused").count() == 1


class TestTiles:
    def test_counts(self, queue, as_desk):
        found = tiles(as_desk.get(QUEUE))
        assert found == {"first_rebalance": 1, "high_cash": 2, "low_cash": 1, "position_drift": 1}

    def test_they_combine_and_a_second_click_takes_back(self, queue, as_desk):
        page = as_desk.get(f"{QUEUE}?tile=high_cash&tile=first_rebalance")
        assert numbers(page) == ["A2"]
        back = next(tile.href for tile in page.context["tiles"] if tile.key == "first_rebalance")
        assert numbers(as_desk.get(QUEUE + back)) == ["A1", "A2"]

    def test_the_number_is_what_a_click_shows(self, queue, as_desk):
        for address in ("?f=", "?tile=high_cash", "?q=A", "?f=number:is:A2"):
            page = as_desk.get(QUEUE + address)
            for tile in page.context["tiles"]:
                clicked = tile.href if not tile.chosen else address
                assert len(numbers(as_desk.get(QUEUE + clicked))) == tile.count, (address, tile.key)

    def test_dollars_above_and_below_target(self, queue, as_desk):
        notes = {tile.key: tile.note for tile in as_desk.get(QUEUE).context["tiles"]}
        assert notes["high_cash"] == "$6.0 K above target"  # twice 5,000 of 100,000, target 2 %
        assert notes["low_cash"] == "$1.9 K below target"


class TestFilters:
    @pytest.mark.parametrize(
        ("address", "found"),
        [
            ("?q=alder", ["A1"]),
            ("?f=portfolio:any:Balanced", ["A1", "A2", "A3", "B1"]),
            ("?f=advisor:any:ann", ["A1", "A2", "A3"]),
            ("?f=advisor:any:—", ["B1"]),
            ("?f=conditions:any:low_cash|first_rebalance", ["A2", "B1"]),
            ("?f=triggering:is:vti&f=number:is:A1", ["A1"]),
            ("?f=triggering:is:vt", []),
            ("?f=cash_weight:lte:1", ["B1"]),
            ("?f=source:any:drift_analysis", ["A1", "A2", "A3", "B1"]),
            ("?f=source:any:target_update", []),
        ],
    )
    def test_columns(self, queue, as_desk, address, found):
        assert numbers(as_desk.get(QUEUE + address)) == found

    @pytest.mark.parametrize("address", ["?f=cash:gte:5k", "?f=nothing:is:1", "?tile=rich", "?x=1"])
    def test_what_is_not_understood_shows_no_rows(self, queue, as_desk, address):
        page = as_desk.get(QUEUE + address)
        assert (page.status_code, numbers(page)) == (200, [])
        assert "No rows are shown" in text(page)

    def test_every_column_can_be_shown_and_exported(self, queue, as_desk):
        names = list(QueueTable.base_columns)
        as_desk.post(QUEUE, {"do": "layout", "columns": names})
        assert len(as_desk.get(QUEUE).context["headers"]) == len(names)
        lines = b"".join(as_desk.get(f"{QUEUE}?f=&export=csv").streaming_content).decode().splitlines()
        assert len(lines) == 5
        assert "High Cash" in lines[1]
        for name in filter(QueueTable.can_sort, names):
            assert len(numbers(as_desk.get(f"{QUEUE}?sort=-{name}"))) == 4, name


    @pytest.mark.parametrize(
        ("table", "filters"),
        [
            (QueueTable, QueueFilters),
            (PendingTable, PendingFilters),
            (HistoryTable, HistoryFilters),
            (RequestTable, RequestFilters),
        ],
    )
    def test_every_column_has_a_filter(self, table, filters):
        assert set(table.base_columns) - set(filters.base_filters) <= {"actions"}

    @pytest.mark.parametrize(
        ("address", "found"),
        [
            ("?f=lot_method:any:firm", ["A1", "A2", "A3", "B1"]),
            ("?f=lot_method:any:fifo", []),
            ("?f=checked_at:gte:2020-01-01", ["A1", "A2", "A3", "B1"]),
            ("?f=checked_at:lte:2020-01-01", []),
            ("?f=why:is:nothing", []),
        ],
    )
    def test_columns_shown_on_demand(self, queue, as_desk, address, found):
        assert numbers(as_desk.get(QUEUE + address)) == found

    def test_times_in_a_file_are_the_firms(self, queue, as_desk):
        Check.objects.update(checked_at=datetime(2026, 1, 15, 3, 30, tzinfo=UTC))
        as_desk.post(QUEUE, {"do": "layout", "columns": ["checked_at"]})
        lines = b"".join(as_desk.get(f"{QUEUE}?f=&export=csv").streaming_content).decode().splitlines()
        assert lines[1].split(",")[-1] == "2026-01-14T22:30:00-05:00"


class TestMeta:
    def test_says_when_it_was_analysed_and_what_is_outdated(self, queue, as_desk):
        assert "No whole analysis yet" in text(as_desk.get(QUEUE))
        ended = timezone.now()
        RunRecord.objects.create(kind="analysis", business_day=ended.date(), state="done", ended_at=ended)
        assert f"Analysed {ended.astimezone(ZoneInfo('America/New_York')):%H:%M} ET" in text(as_desk.get(QUEUE))
        Account.objects.filter(number="B2").want_check()
        assert "1 check outdated" in text(as_desk.get(QUEUE))

    def test_an_empty_queue_says_what_to_do(self, as_desk):
        assert "There are no accounts yet." in text(as_desk.get(QUEUE))
        account = make.account("C1", portfolio=make.portfolio("Cash"), cash=Decimal(50), rebalancing_on=False)
        assert "none of them analysed yet" in text(as_desk.get(QUEUE))
        delivered()
        assert "Rebalancing is off for every account here (1)." in text(as_desk.get(QUEUE))
        Account.objects.filter(pk=account.pk).update(rebalancing_on=True, last_rebalanced=date(2026, 1, 5))
        delivered()
        assert "Nothing needs a rebalance." in text(as_desk.get(QUEUE))

    @pytest.mark.parametrize("name", ["queue", "pending", "history"])
    def test_the_cost_of_a_page(self, queue, three_requests, as_ann, name, django_assert_max_num_queries):
        address = reverse(f"rebalancer:{name}")
        as_ann.get(address)
        with django_assert_max_num_queries(LOGGED_IN + OF_A_LIST + OF_THE_FRAME):
            assert as_ann.get(address).status_code == 200
        with django_assert_max_num_queries(LOGGED_IN + OF_A_LIST):
            assert as_ann.get(address).status_code == 200


@pytest.fixture
def three_requests(queue, ann):
    for number in ("A1", "A2", "A3"):
        opened(ann, Account.objects.get(number=number))


class TestGenerate:
    def test_opens_a_request_and_says_so_on_pending_approval(self, queue, as_ann, ann):
        answer = send(as_ann, [pk("A1"), pk("A3")], logic="min_transaction")
        batch = Batch.objects.get()
        assert answer.url == f"/rebalancer/pending/#row-{batch.pk}"
        assert (batch.state, batch.logic, batch.opened_by, batch.total) == ("new", "min_transaction", ann, 2)
        page = as_ann.get(answer.url)
        assert f"Request {batch.pk}</strong> was opened for 2 accounts" in text(page)
        assert page.context["table"].drawn[0].css == "fresh"

    def test_every_account_that_matches_but_one(self, queue, as_desk):
        send(as_desk, [pk("A1")], scope="all", query="tile=high_cash", shown=2)
        assert [entry.account_number for entry in Batch.objects.get().entries.all()] == ["A2"]

    def test_accounts_taken_meanwhile_are_left_out_and_named(self, queue, as_ann, desk):
        first = opened(desk, queue).batch
        page = as_ann.get(send(as_ann, [pk("A1"), pk("A3")]).url)
        assert "1 account left out" in text(page)
        assert f"A1 Alder Trust: it is in request {first.pk}" in text(page)

    def test_accounts_no_longer_in_the_queue_are_left_out_and_named(self, queue, as_desk):
        page = as_desk.get(send(as_desk, [pk("A1"), pk("B2")]).url)
        assert "B2 Account B2: it is no longer in the queue" in text(page)
        assert Batch.objects.get().total == 1

    def test_nothing_is_opened_when_all_are_left_out(self, queue, as_desk):
        answer = send(as_desk, [pk("B2")])
        assert answer.status_code == 409
        assert "no longer in the queue" in text(answer)
        assert not Batch.objects.exists()

    def test_another_count_than_shown_does_nothing_and_goes_on_with_the_new(self, queue, as_desk):
        answer = send(as_desk, scope="all", query="tile=high_cash", shown=3, logic="min_transaction")
        assert answer.status_code == 409
        assert "3 shown, 2 now." in text(answer)
        assert not Batch.objects.exists()
        fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', answer.content.decode()))
        fields.pop("csrfmiddlewaretoken")
        as_desk.post(reverse("rebalancer:generate"), fields)
        assert (Batch.objects.get().total, Batch.objects.get().logic) == (2, "min_transaction")

    def test_accounts_of_somebody_else_end_it_with_a_line(self, queue, as_ann):
        answer = send(as_ann, [pk("A1"), pk("B1")])
        assert answer.status_code == 400
        assert "rows that you cannot see" in text(answer)
        assert not Batch.objects.exists()
        assert AuditLine.objects.get(verb="refused").after["command"] == "batch.opened"

    @pytest.mark.parametrize(
        "tampered",
        [
            {"scope": "all", "query": "", "shown": 3},
            {"scope": "all", "query": "tile=everything", "shown": 3},
            {"scope": "all", "query": "f=cash:gte:5k", "shown": 0},
            {"scope": "everything"},
            {"ids": "1,x"},
            {"ids": "1,1"},
            {"ids": ""},
            {"ids": "1 OR 1=1"},
            {"shown": "-1"},
            {"logic": "liquidate"},
            {"logic": ""},
        ],
    )
    def test_what_was_tampered_with_does_nothing(self, queue, as_ann, tampered):
        fields = {"scope": "picked", "query": "f=", "shown": 3, "ids": str(queue.pk), "logic": "best_fit"}
        answer = as_ann.post(reverse("rebalancer:generate"), fields | tampered)
        assert answer.status_code == 400
        assert 'role="alert"' in text(answer)
        assert not Batch.objects.exists()

    def test_what_is_in_a_request_leaves_the_queue(self, queue, as_ann):
        send(as_ann, [queue.pk])
        assert numbers(as_ann.get(QUEUE)) == ["A2", "A3"]
        assert Batch.objects.get().state == BatchState.NEW


def test_closing_forgets_filters_and_layouts(queue, as_desk):
    as_desk.get(f"{QUEUE}?tile=high_cash")
    assert as_desk.get(QUEUE).status_code == 302
    as_desk.post(reverse("rebalancer:close"))
    assert as_desk.get(QUEUE).status_code == 200


def test_filters_and_layouts_go_on_signing_out(queue, as_desk, desk):
    as_desk.get(f"{QUEUE}?tile=high_cash")
    assert as_desk.post("/logout/").url == "/login/"
    as_desk.force_login(desk)
    assert as_desk.get(QUEUE).status_code == 200
