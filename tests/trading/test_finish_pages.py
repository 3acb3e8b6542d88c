"""Finish: how far a ticket's orders are, of the accounts that a person sees, and asked for only while they go on."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditLine
from tests import factories as make
from tests.rebalancer.test_pages_request import text
from trading.models import Allocation, Fill, FlatMove, MarketSettings, Order, OrderEvent, Ticket
from trading.services import allocating, staging
from trading.states import OrderState

from .confirming import OPEN, block, market_days, order, ticket

pytestmark = pytest.mark.django_db
LOGGED_IN = 2
OF_THE_FRAME = 3


@pytest.fixture
def desk(db):
    return make.operations("olive")


@pytest.fixture
def ann(db):
    return make.advisor("ann")


@pytest.fixture
def confirmed(desk, ann):
    """A1 of Ann sells 10 VTI and buys 15 AGG, A2 sells 5 VTI; confirmed, nothing sent yet."""
    market_days()
    for symbol, price in (("VTI", 100), ("AGG", 50)):
        make.price(symbol, price, OPEN)
    for number, advisor in (("A1", ann), ("A2", None)):
        make.lot(make.account(number, cash=Decimal(1000), advisor=advisor), "VTI", 20, cost=1500, lot_id="one")
    staged = ticket(block("VTI", "sell", 100, A1=10, A2=5), block("AGG", "buy", 50, A1=15), by=desk)
    Allocation.objects.filter(order__side="sell").update(lots=[["one", "5"]])
    Allocation.objects.filter(order__side="sell", account__number="A1").update(lots=[["one", "10"]])
    Ticket.objects.update(confirmed_at=timezone.now(), confirmed_by=desk)
    for number, one in enumerate(Order.objects.order_by("pk")):
        Order.objects.filter(pk=one.pk).update(client_order_id=f"RB{number}")
    staged.refresh_from_db()
    return staged


@pytest.fixture
def as_desk(client, desk):
    client.force_login(desk)
    return client


@pytest.fixture
def as_ann(client, ann):
    client.force_login(ann)
    return client


def address(ticket, name="finish"):
    return reverse(f"trading:{name}", args=[ticket.pk])


def said(answer):
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))


def filled(symbol, quantity, price, state=OrderState.FILLED):
    one = order(symbol)
    Fill.objects.create(
        broker="paper", execution_id=f"{symbol}1", client_order_id=one.client_order_id, order=one, quantity=quantity,
        price=price, at=timezone.now(),
    )  # fmt: skip
    return order(
        symbol, state=state, filled_quantity=quantity, filled_amount=Decimal(quantity) * Decimal(price),
        ended_at=timezone.now() if state == OrderState.FILLED else None,
    )  # fmt: skip


def row(page, symbol):
    return next(one for one in page.context["rows"] if one["order"].security.symbol == symbol)


def test_while_it_goes_on(confirmed, as_desk):
    order("AGG", state=OrderState.WORKING, sent_at=timezone.now())
    filled("VTI", 6, "101.50", OrderState.PARTIALLY_FILLED)
    page = as_desk.get(address(confirmed))
    body = page.content.decode()
    assert 'hx-trigger="every 2s' in body
    assert "Cancel 2 orders" in text(page)
    vti, one = row(page, "VTI"), row(page, "VTI")["order"]
    assert (one.filled, vti["percent"], one.average, one.money) == (6, 40, Decimal("101.5"), 609)
    assert page.context["totals"]["sells"] == 609
    assert page.context["totals"]["ended"] == 0
    again = as_desk.get(address(confirmed, "finish_status"))
    assert "Partially filled" in text(again)
    assert 'id="finish-actions"' in again.content.decode()


def test_an_order_not_sent_says_so(confirmed, as_desk):
    assert row(as_desk.get(address(confirmed)), "VTI")["state"] == "To be sent"


def test_a_buy_that_waits_for_sells_says_so(confirmed, as_desk):
    Ticket.objects.update(sells_first=True)
    page = as_desk.get(address(confirmed))
    assert row(page, "AGG")["words"] == "waits for its accounts' sells"
    assert row(page, "VTI")["words"] != row(page, "AGG")["words"]


def test_the_figures_of_a_block_are_not_told_to_one_of_its_advisors(confirmed, client, desk, ann):
    one = order("VTI", state=OrderState.PARTIALLY_FILLED)
    OrderEvent.objects.create(order=one, state=one.state, words="6 of 15 filled at 101.50")
    for person, told in ((desk, True), (ann, False)):
        client.force_login(person)
        assert ("6 of 15 filled" in text(client.get(address(confirmed)))) is told


def test_the_paper_market_is_named_once(confirmed, as_desk):
    order("AGG", state=OrderState.WORKING, sent_at=timezone.now())
    assert text(as_desk.get(address(confirmed))).count("Paper market") == 1


def test_trouble_is_told_and_can_be_asked_about(confirmed, as_desk):
    order("AGG", state=OrderState.WORKING, trouble="The broker does not answer.")
    page = as_desk.get(address(confirmed))
    assert "The broker does not answer." in text(page)
    assert text(page).count("Ask again") == 1


def test_filled_but_not_booked_goes_on(confirmed, as_desk):
    filled("AGG", 15, 50)
    filled("VTI", 15, 100)
    page = as_desk.get(address(confirmed))
    assert page.context["live"]
    assert as_desk.get(address(confirmed, "finish_status")).headers.get("HX-Refresh") is None


def test_when_it_is_done(confirmed, as_desk):
    for symbol, quantity, price in (("AGG", 15, 50), ("VTI", 15, 100)):
        assert allocating.allocate(filled(symbol, quantity, price).pk)
    page = as_desk.get(address(confirmed))
    assert "All 2 orders are filled and booked in 2 accounts." in text(page)
    assert "every 2s" not in page.content.decode()
    assert "Cancel" not in text(page).partition("Orders of")[2]
    assert as_desk.get(address(confirmed, "finish_status")).headers["HX-Refresh"] == "true"


def test_an_open_flat_move_keeps_it_going(confirmed, as_desk):
    for symbol, quantity, price in (("AGG", 15, 50), ("VTI", 15, 100)):
        allocating.allocate(filled(symbol, quantity, price).pk)
    core = make.model("Core", VTI=100)
    move = FlatMove.objects.create(
        ticket=confirmed, account=make.Account.objects.get(number="A1"), security=make.security("VTI"),
        source=make.sleeve(), target=core.sleeve, quantity=1,
    )  # fmt: skip
    page = as_desk.get(address(confirmed))
    assert (page.context["live"], page.context["moves"]["all"]) == (True, 1)
    FlatMove.objects.filter(pk=move.pk).update(is_open=False, booked_at=timezone.now())
    page = as_desk.get(address(confirmed))
    assert "1 of 1" in text(page)
    assert not page.context["live"]


@pytest.mark.parametrize(
    ("states", "filled_of_vti", "words"),
    [
        (("rejected", "expired"), 0, "nothing was filled"),
        (("cancelled", "expired"), 6, "2 orders have ended: 0 filled, 1 in part, 1 without a fill"),
    ],
)
def test_what_became_of_it_otherwise(confirmed, as_desk, states, filled_of_vti, words):
    if filled_of_vti:
        filled("VTI", filled_of_vti, 100)
    for symbol, state in zip(("AGG", "VTI"), states, strict=True):
        one = order(symbol, state=state, ended_at=timezone.now())
        allocating.allocate(one.pk)
    assert words in text(as_desk.get(address(confirmed)))


def test_an_advisor_counts_their_part(confirmed, as_ann):
    page = as_ann.get(address(confirmed))
    assert [one["order"].shares for one in page.context["rows"]] == [15, 10]
    assert "Cancel 2 orders" not in text(page)
    assert as_ann.post(address(confirmed, "cancel_ticket_orders")).status_code == 403
    assert AuditLine.objects.get(verb="refused").after["command"] == "order.cancelled"


def test_a_stranger_finds_nothing(confirmed, client):
    client.force_login(make.advisor("bob"))
    for name in ("finish", "finish_status"):
        assert client.get(address(confirmed, name)).status_code == 404
    assert client.post(address(confirmed, "cancel_ticket_orders")).status_code == 404


def test_a_staged_ticket_is_edited_first(confirmed, as_desk):
    Ticket.objects.update(confirmed_at=None)
    assert as_desk.get(address(confirmed)).url == f"/trading/tickets/{confirmed.pk}/"


def test_one_cancelled_before_it_was_confirmed(confirmed, as_desk):
    Ticket.objects.update(confirmed_at=None)
    staging.cancel_staged(before=timezone.now() + timedelta(seconds=1), why="end of day")
    page = as_desk.get(address(confirmed))
    assert "cancelled (end of day)" in text(page)
    assert not page.context["live"]


def test_cancel_all(confirmed, as_desk):
    order("AGG", state=OrderState.WORKING, sent_at=timezone.now())
    answer = as_desk.post(address(confirmed, "cancel_ticket_orders"))
    assert answer.url == address(confirmed)
    assert "2 orders cancelled or asked back" in said(answer)
    assert {order("AGG").state, order("VTI").state} == {"pending_cancel", "cancelled"}
    Order.objects.update(state=OrderState.FILLED)
    assert "nothing to cancel" in said(as_desk.post(address(confirmed, "cancel_ticket_orders")))
    assert as_desk.get(address(confirmed, "cancel_ticket_orders")).status_code == 405


def test_what_the_paper_market_is_stands_there_while_it_is_at_work(confirmed, as_desk):
    MarketSettings.objects.update(paper_speed=60, paper_always_open=True)
    words = "Paper market: simulated, 60 times as fast, always open"
    assert words in text(as_desk.get(address(confirmed)))
    Order.objects.update(broker="file", custodian=make.custodian())
    assert words not in text(as_desk.get(address(confirmed)))


@pytest.mark.parametrize("more", [0, 12])
def test_its_cost_does_not_grow(confirmed, as_desk, more, django_assert_max_num_queries):
    for number in range(more):
        make.lot(make.account(f"M{number}"), f"S{number}", 9, cost=1)
    if more:
        blocks = [block(f"S{number}", "sell", 10, **{f"M{number}": 1}) for number in range(more)]
        confirmed = ticket(*blocks)
        Ticket.objects.filter(pk=confirmed.pk).update(confirmed_at=timezone.now())
    as_desk.get(address(confirmed))
    with django_assert_max_num_queries(LOGGED_IN + 7 + OF_THE_FRAME):
        as_desk.get(address(confirmed))
    with django_assert_max_num_queries(LOGGED_IN + 5):
        as_desk.get(address(confirmed, "finish_status"))
