"""Trading / Orders as people meet it: who sees which orders and how much of them, what is found, what can be done."""

import re
from datetime import UTC, datetime, time
from decimal import Decimal

import pytest
from django.core.cache import cache
from django.urls import reverse

from accounts.models import AuditLine
from tests import factories as make
from trading.models import Allocation, Fill, Order, OrderEvent
from trading.states import Algorithm, OrderState, Side
from trading.words import execution_words

from .orders import changed, confirmed, question, staged

pytestmark = pytest.mark.django_db

ORDERS = "/trading/orders/"
SIGNED_IN = 2  # session, person with roles and permissions
OF_A_LIST = 2


@pytest.fixture
def ann(db):
    return make.advisor("ann")


@pytest.fixture
def desk(db):
    return make.operations("olive")


@pytest.fixture
def as_desk(client, desk):
    client.force_login(desk)
    return client


@pytest.fixture
def as_ann(client, ann):
    client.force_login(ann)
    return client


@pytest.fixture
def accounts(ann):
    return [make.account("A1", advisor=ann), make.account("A2", advisor=ann), make.account("B1")]


@pytest.fixture
def mixed(accounts):
    """60 VTI for Ann's A1 and A2 and for B1, of which 24 are filled."""
    order = staged("VTI", Side.BUY, 100, dict(zip(accounts, (10, 20, 30), strict=True)))
    Fill.objects.create(
        broker="paper", execution_id="x1", client_order_id="R7-1", order=order, quantity=24, price=Decimal("100.5"),
        at=datetime(2026, 11, 20, 15, tzinfo=UTC),
    )  # fmt: skip
    OrderEvent.objects.create(order=order, state=OrderState.WORKING, words="taken by the paper market as P-1")
    return changed(
        order, state=OrderState.PARTIALLY_FILLED, filled_quantity=24, filled_amount=Decimal("2412"),
        client_order_id="R7-1", broker_reference="P-1",
    )  # fmt: skip


@pytest.fixture
def anns(accounts):
    """Ann's sell of 5 AGG, a TWAP, all filled and booked."""
    order = staged("AGG", Side.SELL, 50, {accounts[0]: 5}, label="Request 8")
    Allocation.objects.filter(order=order).update(is_open=False, filled_quantity=5, filled_amount=Decimal("250.25"))
    return changed(
        order, state=OrderState.FILLED, filled_quantity=5, filled_amount=Decimal("250.25"), algorithm=Algorithm.TWAP,
        starts_at=time(10), ends_at=time(11), participation=10, ended_at=datetime(2026, 11, 20, 16, tzinfo=UTC),
        allocated_at=datetime(2026, 11, 20, 16, tzinfo=UTC),
    )  # fmt: skip


@pytest.fixture
def others(accounts):
    """B1's order of 7 BND, rejected."""
    order = staged("BND", Side.BUY, 70, {accounts[2]: 7}, label="Request 9")
    return changed(
        order, state=OrderState.REJECTED, end_reason="no such symbol", trouble="The broker has not answered."
    )


@pytest.fixture
def book(mixed, anns, others):
    return mixed, anns, others


def shown(page):
    return [drawn.pk for drawn in page.context["table"].drawn]


def text(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.content.decode())).strip()


def row(page, order):
    found = re.search(rf'<tr id="row-{order.pk}".*?</tr>', page.content.decode(), re.S)
    return found and re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found[0])).strip()


class TestTheList:
    def test_operations_see_all_the_newest_first_with_the_whole_blocks(self, as_desk, book):
        page = as_desk.get(ORDERS)
        mixed, anns, others = book
        assert shown(page) == [others.pk, anns.pk, mixed.pk]
        assert row(page, mixed).startswith(
            f"Order {mixed.pk} VTI Buy 60 24 100.50 2,412.00 Market Paper market 3 Partially filled —"
        )
        assert "TWAP 10:00–11:00, ≤ 10 % Paper market A1 Filled" in row(page, anns).replace("\xa0", " ")
        assert "Rejected no such symbol Ticket" in row(page, others)

    def test_an_advisor_sees_and_counts_only_their_own_parts(self, as_ann, book):
        page = as_ann.get(ORDERS)
        mixed, anns, _ = book
        assert shown(page) == [anns.pk, mixed.pk]
        # What of the 24 is Ann's is not known before it is allocated.
        assert row(page, mixed).startswith(f"Order {mixed.pk} VTI Buy 30 — 100.50 — Market Paper market 2 Partially")
        assert row(page, anns).startswith(f"Order {anns.pk} AGG Sell 5 5 50.05 250.25 ")
        assert "60" not in row(page, mixed)

    def test_nothing_filled_is_0_for_an_advisor_too(self, as_ann, accounts):
        order = staged("VTI", Side.BUY, 100, {accounts[0]: 10, accounts[2]: 5})
        assert row(as_ann.get(ORDERS), order).startswith(f"Order {order.pk} VTI Buy 10 0 — 0.00 ")

    def test_a_stranger_sees_none_and_is_told_where_orders_come_from(self, client, book):
        client.force_login(make.advisor("bob"))
        page = client.get(ORDERS)
        assert shown(page) == []
        assert "No order was staged yet. Orders come from approved requests." in text(page)

    def test_nobody_without_signing_in(self, client, mixed):
        for where in (ORDERS, f"{ORDERS}{mixed.pk}/", f"{ORDERS}{mixed.pk}/status/", f"{ORDERS}questioned/"):
            assert client.get(where).url == f"/login/?next={where}"

    @pytest.mark.parametrize(
        "filtered", ["", "?f=&sort=-shares", "?f=accounts:gte:1&tile=at_work", "?q=A1", "?f=&page=2"]
    )
    @pytest.mark.parametrize("who", ["desk", "ann"])
    def test_it_takes_the_same_queries_whatever_the_rows(
        self, client, book, accounts, request, who, filtered, django_assert_num_queries
    ):
        client.force_login(request.getfixturevalue(who))
        client.get(ORDERS + (filtered or "?f="))  # what the page keeps for some seconds is kept now
        for _ in range(2):
            where = ORDERS + (filtered or "?f=")
            with django_assert_num_queries(OF_A_LIST + SIGNED_IN):
                assert client.get(where).status_code == 200
            for number in range(60):
                staged(f"S{number}", Side.BUY, 10, {accounts[0]: 1, accounts[2]: 2})

    @pytest.mark.parametrize(
        ("filtered", "found"),
        [
            ("?f=state:any:filled|rejected", [2, 1]),
            ("?f=side:any:sell", [1]),
            ("?f=symbol:any:VTI", [0]),
            ("?f=shares:gte:7", [2, 0]),
            ("?f=filled:is:5", [1]),
            ("?f=average:lte:60", [1]),
            ("?f=money:gte:250.25", [1, 0]),
            ("?f=estimate:gte:490", [2, 0]),
            ("?f=accounts:gte:2", [0]),
            ("?f=algorithm:any:twap", [1]),
            ("?f=broker:any:paper", [2, 1, 0]),
            ("?f=trouble:any:yes", [2]),
            ("?f=staged_for:is:request 8", [1]),
            ("?f=staged_at:gte:2020-01-01", [2, 1, 0]),
            ("?f=ended_at:lte:2026-11-20", [1]),
            ("?f=confirmed_by:any:—", [2, 1, 0]),
            ("?f=client_order_id:is:R7-1", [0]),
            ("?tile=at_work", [0]),
            ("?tile=ended", [2, 1]),
            ("?tile=trouble", []),
            ("?f=state:any:lost", []),
            ("?q=bnd", [2]),
            ("?q=B1", [2, 0]),
            ("?q=R7-1", [0]),
            ("?q=order", [2, 1, 0]),
        ],
    )
    def test_what_can_be_found(self, as_desk, book, filtered, found):
        assert shown(as_desk.get(ORDERS + filtered)) == [book[place].pk for place in found]

    def test_by_ticket_and_by_the_order_as_its_row_says_it(self, as_desk, book):
        order = book[1]
        assert shown(as_desk.get(f"{ORDERS}?f=ticket:is:{order.ticket_id}")) == [order.pk]
        assert order.pk in shown(as_desk.get(ORDERS, {"q": f"Order {order.pk}"}))

    def test_nobody_finds_an_order_by_an_account_they_do_not_see(self, as_ann, book):
        assert shown(as_ann.get(ORDERS, {"q": "A2"})) == [book[0].pk]
        assert shown(as_ann.get(ORDERS, {"q": "B1"})) == []

    def test_figures_are_sorted_as_they_are_shown(self, as_ann, book):
        mixed, anns, _ = book
        assert shown(as_ann.get(f"{ORDERS}?f=&sort=shares")) == [anns.pk, mixed.pk]
        assert shown(as_ann.get(f"{ORDERS}?f=&sort=-filled")) == [anns.pk, mixed.pk]  # unknown comes last

    def test_a_file_of_it(self, as_desk, book):
        lines = b"".join(as_desk.get(f"{ORDERS}?f=&export=csv").streaming_content).decode().splitlines()
        assert lines[0] == (
            "Order,Ticker,Side,Shares,Filled,Average $,Value $,Execution,Broker,Accounts,State,Remarks,Ticket,Staged"
        )
        assert len(lines) == 4
        assert lines[3].startswith(
            f"{book[0].pk},VTI,Buy,60.000000,24.000000,100.500000,2412.00,Market,Paper market,3,Partially filled,,"
        )


class TestAnOrder:
    def page(self, client, order):
        return client.get(reverse("trading:order", args=[order.pk]))

    def test_everything_that_is_known_of_it(self, as_desk, mixed):
        page = text(self.page(as_desk, mixed))
        for words in (
            "Shares 60 proposed at 100.00", "Filled 24 36 left", "Average price 100.50",
            "Value 2,412.00 estimated 6,000.00", "Execution Market", "Broker Paper market", "Client order id R7-1",
            "Broker's reference P-1", "Working System taken by the paper market as P-1", "24 100.50 x1 Counted",
        ):  # fmt: skip
            assert words in page, words
        assert len(shown(self.page(as_desk, mixed))) == 3

    def test_an_advisor_is_not_told_what_others_have_in_it(self, as_ann, mixed):
        page = text(self.page(as_ann, mixed))
        assert "Shares of your accounts 30" in page
        assert "Filled — known when it is allocated" in page
        assert "B1" not in page
        assert "60" not in re.sub(r"\d\d:\d\d(:\d\d)?", "", page)
        assert "taken by the paper market" not in page
        assert "The fills are of a block with accounts of other advisors" in page

    def test_an_advisor_is_told_all_of_an_order_that_is_only_theirs(self, as_ann, anns):
        page = text(self.page(as_ann, anns))
        assert "Value 250.25" in page
        assert "A1 Account A1 Managed 5 5 5 250.25 Booked" in page

    def test_accounts_that_were_edited_or_left_out_are_marked(self, as_desk, mixed, desk):
        part = mixed.allocations.order_by("account__number")
        Allocation.objects.filter(pk=part[1].pk).update(
            quantity=0,
            edited_by=desk,
            edited_at=datetime(2026, 11, 20, 14, tzinfo=UTC),
            edit_words="asked by the client",
        )
        page = text(self.page(as_desk, mixed))
        assert "2 accounts, 1 left out, 1 line edited" in page
        assert "20 0 — — Left out olive" in page
        assert "asked by the client" in page

    def test_questioned_fills_say_why(self, as_desk, mixed):
        question(order=mixed, words="more than was ordered")
        assert "Questioned more than was ordered" in text(self.page(as_desk, mixed))

    def test_a_stranger_finds_nothing(self, client, book):
        client.force_login(make.advisor("bob"))
        for order in book:
            for name in ("order", "order_status"):
                assert client.get(reverse(f"trading:{name}", args=[order.pk])).status_code == 404
        assert client.post(reverse("trading:order", args=[book[0].pk]), {"do": "layout"}).status_code == 404

    def test_its_accounts_are_a_list_with_a_search_and_a_file(self, as_desk, mixed):
        where = reverse("trading:order", args=[mixed.pk])
        found = as_desk.get(where, {"q": "A2"})
        assert [drawn.cells[0][1] for drawn in found.context["table"].drawn] == [
            f'<a href="/clients/accounts/{mixed.allocations.get(account__number="A2").account_id}/">A2</a>'
        ]
        lines = b"".join(as_desk.get(f"{where}?f=&export=csv").streaming_content).decode().splitlines()
        assert lines[1].startswith("A1,Account A1,Managed,10.000000,10.000000,,,Open")

    def test_its_cost_does_not_grow_with_its_accounts(self, as_desk, ann, django_assert_max_num_queries):
        order = staged("VTI", Side.BUY, 100, {make.account(advisor=ann): 1 for _ in range(300)})
        where = f"{reverse('trading:order', args=[order.pk])}?f="
        as_desk.get(where)
        # order; its log, fills and parts; counts and rows of its accounts
        with django_assert_max_num_queries(SIGNED_IN + 4 + OF_A_LIST):
            page = as_desk.get(where)
        assert len(page.context["table"].drawn) == 50

    def test_it_asks_again_until_nothing_more_is_to_come(self, as_desk, mixed):
        page = self.page(as_desk, mixed).content.decode()
        assert 'hx-trigger="every 5s' in page
        status = reverse("trading:order_status", args=[mixed.pk])
        assert "HX-Refresh" not in as_desk.get(status).headers
        changed(mixed, state=OrderState.CANCELLED)
        assert "HX-Refresh" not in as_desk.get(status).headers  # its fills are still to be booked
        changed(mixed, allocated_at=datetime(2026, 11, 20, 16, tzinfo=UTC))
        assert as_desk.get(status).headers["HX-Refresh"] == "true"
        assert "every 5s" not in self.page(as_desk, mixed).content.decode()

    def test_what_cancelling_does_is_said_in_numbers(self, as_desk, mixed, accounts):
        assert (
            "24 of 60 VTI are bought and will be booked in 3 accounts. The broker is asked to take back the 36 that "
            "are left;" in text(self.page(as_desk, mixed))
        )
        ready = staged("AGG", Side.SELL, 50, {accounts[0]: 3})
        assert "Cancel : It is not confirmed yet: leave its accounts out on the order ticket." in text(
            self.page(as_desk, ready)
        )
        confirmed(ready)
        assert "It has not been sent: none of its 3 AGG for 1 account will be sold." in text(self.page(as_desk, ready))

    @pytest.mark.parametrize("broker", ["file", "closed-down"])
    def test_what_cannot_be_asked_back_says_whom_to_call(self, as_desk, mixed, broker):
        changed(mixed, broker=broker)
        assert "Cancel : It cannot be taken back from here: call the custodian or broker." in text(
            self.page(as_desk, mixed)
        )

    def test_buttons_say_why_they_cannot_be_pressed(self, client, desk, ann, book):
        client.force_login(ann)
        assert "Cancel : Orders are cancelled by Operations." in text(self.page(client, book[0]))
        client.force_login(desk)
        assert "Cancel : It has ended." in text(self.page(client, book[1]))
        changed(book[0], state=OrderState.PENDING_CANCEL)
        assert "Cancel : The broker has been asked to take it back." in text(self.page(client, book[0]))


# --- what can be done -----------------------------------------------------------------------------------------


def post(client, name, order):
    return client.post(reverse(f"trading:{name}", args=[order.pk]), follow=True)


def again(order):
    return Order.objects.get(pk=order.pk)


class TestCommands:
    def test_one_that_waits_to_be_sent_is_cancelled_at_once(self, as_desk, accounts):
        order = confirmed(staged("VTI", Side.BUY, 100, {accounts[0]: 10}))
        assert f"Order {order.pk} is cancelled; it had not been sent." in text(post(as_desk, "cancel_order", order))
        assert again(order).state == OrderState.CANCELLED
        assert "It is too late: the order is cancelled" in text(post(as_desk, "cancel_order", order))

    def test_of_one_at_a_broker_what_is_left_is_asked_back(self, as_desk, mixed):
        assert "The broker is asked to take back what is left of order" in text(post(as_desk, "cancel_order", mixed))
        assert again(mixed).state == OrderState.PENDING_CANCEL

    def test_what_is_not_confirmed_is_changed_on_its_ticket(self, as_desk, accounts):
        order = staged("VTI", Side.BUY, 100, {accounts[0]: 10})
        assert "leave its accounts out on the order ticket" in text(post(as_desk, "cancel_order", order))
        assert again(order).state == OrderState.READY

    def test_a_broker_is_asked_again(self, as_desk, mixed, others):
        changed(mixed, trouble="The broker has not answered.")
        assert "The broker is asked about order" in text(post(as_desk, "ask_order", mixed))
        assert again(mixed).trouble == ""
        assert "There is nothing to ask: the order is rejected (no such symbol)." in text(
            post(as_desk, "ask_order", others)
        )

    @pytest.mark.parametrize(("name", "verb"), [("cancel_order", "order.cancelled"), ("ask_order", "order.asked")])
    def test_advisors_may_not_and_that_is_on_record(self, as_ann, anns, mixed, name, verb):
        answer = post(as_ann, name, mixed)
        assert answer.status_code == 403
        assert "by Operations. Nothing was done." in text(answer)
        assert again(mixed).state == OrderState.PARTIALLY_FILLED
        line = AuditLine.objects.get(verb="refused")
        assert (line.after["command"], line.object_id) == (verb, str(mixed.pk))

    @pytest.mark.parametrize("name", ["cancel_order", "ask_order"])
    def test_a_stranger_finds_nothing_and_nobody_gets_in(self, client, mixed, name):
        where = reverse(f"trading:{name}", args=[mixed.pk])
        assert client.post(where).url.startswith("/login/")
        client.force_login(make.advisor("bob"))
        assert client.post(where).status_code == 404
        assert client.get(where).status_code == 405


def selected(*orders, **fields):
    picks = {"scope": "picked", "query": "", "shown": "3", "ids": ",".join(str(order.pk) for order in orders)}
    return picks | {"store": "trading:orders"} | fields


class TestCancellingTheSelected:
    WHERE = f"{ORDERS}cancel/"

    def test_each_for_itself_and_those_that_cannot_be_are_named(self, as_desk, mixed, anns, accounts):
        ready = confirmed(staged("BND", Side.BUY, 70, {accounts[0]: 1}))
        page = text(as_desk.post(self.WHERE, selected(mixed, anns, ready), follow=True))
        assert "2 orders cancelled or asked back from the broker." in page
        assert f"Not cancelled: Order {anns.pk}: It is too late: the order is filled." in page
        assert (again(mixed).state, again(ready).state) == (OrderState.PENDING_CANCEL, OrderState.CANCELLED)

    def test_all_that_match_are_those_that_can_be_cancelled(self, as_desk, book):
        fields = selected(scope="all", query="f=&q=VTI", shown="1")
        assert "1 order cancelled" in text(as_desk.post(self.WHERE, fields, follow=True))
        assert again(book[0]).state == OrderState.PENDING_CANCEL

    def test_another_number_than_was_shown_does_nothing(self, as_desk, book):
        answer = as_desk.post(self.WHERE, selected(scope="all", query="f=", shown="2"))
        assert answer.status_code == 409
        assert "Cancel 1 order" in text(answer)
        assert again(book[0]).state == OrderState.PARTIALLY_FILLED

    def test_not_by_an_advisor(self, as_ann, book):
        assert as_ann.post(self.WHERE, selected(book[0])).status_code == 403
        assert AuditLine.objects.filter(verb="refused", after__command="order.cancelled").count() == 1
        assert again(book[0]).state == OrderState.PARTIALLY_FILLED
        assert 'id="selection"' not in as_ann.get(ORDERS).content.decode()

    def test_what_is_not_understood_does_nothing(self, as_desk, book):
        for fields in (selected(ids="1,x"), selected(scope="all", query=""), selected(ids="999999999"), {}):
            assert as_desk.post(self.WHERE, fields).status_code == 400
        assert again(book[0]).state == OrderState.PARTIALLY_FILLED


# --- fills that could not be matched --------------------------------------------------------------------------


class TestQuestionedFills:
    def test_operations_are_told_and_led_to_them(self, as_desk, mixed):
        assert "could not be matched" not in text(as_desk.get(ORDERS))
        question()
        question(order=mixed, words="more than was ordered")
        cache.clear()  # some seconds go by
        assert "2 fills could not be matched: they count for no order" in text(as_desk.get(ORDERS))
        page = as_desk.get(f"{ORDERS}questioned/")
        assert "q2 Order" in text(page)
        assert "q1 Unknown — 3 10.00 no order has this id Paper market nobody&#x27;s" in text(page)
        assert len(shown(as_desk.get(f"{ORDERS}questioned/?f=symbol:any:VTI"))) == 1

    def test_an_advisor_is_not_told_and_has_no_such_page(self, as_ann, mixed):
        question(order=mixed)
        assert "could not be matched" not in text(as_ann.get(ORDERS))
        assert as_ann.get(f"{ORDERS}questioned/").status_code == 404
        assert as_ann.post(f"{ORDERS}questioned/", {"do": "layout"}).status_code == 404

    def test_none_is_said_in_words(self, as_desk):
        assert "belongs to an order, or was put aside." in text(as_desk.get(f"{ORDERS}questioned/"))


# --- words ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ({"algorithm": "market"}, "Market"),
        ({"algorithm": "nav"}, "NAV"),
        ({"algorithm": "limit", "limit_price": Decimal("77.25"), "extended": True}, "Limit 77.25 · extended hours"),
        ({"algorithm": "twap", "starts_at": time(10), "ends_at": time(11), "participation": Decimal("10.000")},
         "TWAP 10:00–11:00, ≤ 10 %"),
        ({"algorithm": "vwap", "participation": Decimal("2.5")}, "VWAP ≤ 2.5 %"),
        ({"algorithm": "vwap", "limit_price": Decimal("5"), "starts_at": time(9, 30), "ends_at": time(16)},
         "VWAP 5.00 09:30–16:00"),
    ],
)  # fmt: skip
def test_execution_in_words(order, words):
    assert execution_words(**order).replace("\N{NO-BREAK SPACE}", " ") == words
