"""The order ticket as a page: what it shows to whom, what it costs, and what its buttons answer."""

import html
from datetime import time
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Account, AuditLine, TaxStatus
from tests import factories as make
from trading.models import Allocation, Order, Ticket
from trading.services import editing
from trading.services.lines import Chosen
from trading.states import Algorithm, OrderState

from .ticketing import line, market, order, quantities, staged

pytestmark = pytest.mark.django_db

OF_THE_PERSON = 2  # session and person come with every page
MOST = 8


@pytest.fixture
def ann(db):
    return make.advisor("ann")


@pytest.fixture
def desk(db):
    return make.operations("olive", first_name="Olive", last_name="Ortega")


@pytest.fixture
def olive(client, desk):
    client.force_login(desk)
    return client


@pytest.fixture
def anns(client, ann):
    client.force_login(ann)
    return client


@pytest.fixture
def ticket(ann, desk):
    market()
    a1 = make.account("A1", name="Bergstrom Trust", advisor=ann, cash=Decimal(1000))
    make.lot(a1, "AGG", 40, cost=1200)
    a2 = make.account("A2", name="Dunmore IRA", cash=Decimal(5000), tax_status=TaxStatus.TAX_DEFERRED)
    make.lot(a2, "AGG", 12, cost=None)
    return staged({"A1": ["buy 8 VTI", "sell 10 AGG"], "A2": ["buy 4 VTI", "sell 4 AGG", "buy 5 FUND"]}, by=desk)


def at(ticket, rest=""):
    return f"/trading/tickets/{ticket.pk}/{rest}"


def text(answer):
    return answer.content.decode()


def facts(answer):
    return answer.context["totals"]


def post(client, ticket, **fields):
    fields = {name.replace("_", "-", 1) if name[:5] in ("line_", "order") else name: v for name, v in fields.items()}
    version = fields.pop("version", Ticket.objects.get(pk=ticket.pk).version)
    return client.post(at(ticket, "edit/"), {"version": version, **fields})


def shares(number, words):
    return f"line-{line(number, words).pk}"


# --- what is shown --------------------------------------------------------------------------------------------------


def test_the_ticket_with_its_totals(olive, ticket):
    answer = olive.get(at(ticket))
    page, found = text(answer), facts(answer)
    assert (found.buys, found.sells, found.net_cash) == (1300, 700, -600)
    assert (found.accounts, found.left_out) == (2, 0)
    assert (found.lowest, found.lowest_cash) == ("A1", 700)
    assert (found.long_gain, found.short_gain, found.unknown_lots) == (200, 0, 1)
    assert (found.gain, found.taxable_gain) == (200, 200)
    assert "Order ticket, request 2041" in page
    assert "approved" in page
    assert "by Olive Ortega" in page
    assert "Execution of buy VTI: Market" in page
    assert "1 lot of unknown cost not counted" in page
    assert "NAV" in page


def test_figures_follow_the_newest_price(olive, ticket):
    make.price("AGG", 60)
    found = facts(olive.get(at(ticket)))
    assert (found.sells, found.long_gain) == (840, 300)
    assert "50.00 at approval" in text(olive.get(at(ticket)))


def test_an_advisor_sees_and_counts_their_own_part_and_edits_nothing(anns, ticket):
    answer = anns.get(at(ticket))
    page, found = text(answer), facts(answer)
    assert (found.buys, found.sells, found.accounts, found.lowest) == (800, 500, 1, "A1")
    assert "Operations edits order tickets" in page
    assert 'name="order-' not in page
    assert "FUND" not in page
    lines = text(anns.get(at(ticket, f"orders/{order('buy VTI').pk}/")))
    assert "Bergstrom" in lines
    assert "Dunmore" not in lines
    assert "Dunmore" not in text(anns.get(at(ticket, "?by=account")))


def test_who_may_not_see_it_finds_nothing(client, ticket, ann):
    assert client.get(at(ticket)).status_code == 302
    client.force_login(make.advisor("bea"))
    block, one = order("buy VTI").pk, line("A1", "buy VTI").account_id
    for rest in ("", "live/", f"execution/?order={block}", "recalculate/", f"orders/{block}/", f"accounts/{one}/"):
        assert client.get(at(ticket, rest)).status_code == 404, rest
    assert post(client, ticket).status_code == 404
    client.force_login(ann)
    assert client.get(at(ticket, f"orders/{order('buy FUND').pk}/")).status_code == 404
    assert client.get(at(ticket, f"accounts/{line('A2', 'buy VTI').account_id}/")).status_code == 404
    assert client.get(at(ticket, f"execution/?order={order('buy FUND').pk}")).status_code == 404


def test_an_advisors_edit_is_refused_and_audited(anns, ticket):
    answer = post(anns, ticket, **{shares("A1", "buy VTI"): "3"})
    assert answer.status_code == 403
    assert "Operations edits order tickets" in text(answer)
    assert quantities()["A1", "buy VTI"] == 8
    assert AuditLine.objects.get(verb="refused").after["command"] == "ticket.shares_changed"


def test_lines_of_an_order_and_of_an_account(olive, ticket, desk):
    editing.leave_out(ticket, 1, Chosen(lines=(line("A2", "buy VTI").pk,)), desk)
    page = text(olive.get(at(ticket, f"?open={order('buy VTI').pk}")))
    assert "Bergstrom Trust" in page
    assert "left out by Olive Ortega" in page
    assert text(olive.get(at(ticket, f"orders/{order('buy VTI').pk}/?q=berg"))).count('class="line') == 2
    lines = text(olive.get(at(ticket, f"accounts/{line('A1', 'buy VTI').account_id}/")))
    assert "holds 40" in lines


def test_by_account_with_search(olive, ticket):
    page = olive.get(at(ticket, "?by=account"))
    rows = {row["account"].number: row["account"] for row in page.context["accounts"]}
    assert {number: (row.cash, row.ending) for number, row in rows.items()} == {"A1": (1000, 700), "A2": (5000, 4700)}
    found = olive.get(at(ticket, "?by=account&q=dunmore"))
    assert [row["account"].number for row in found.context["accounts"]] == ["A2"]
    assert 'name="line-' in text(found)
    assert "No account of this ticket" in text(olive.get(at(ticket, "?by=account&q=nobody")))


def test_a_ticket_without_orders(olive):
    empty = staged({})
    assert "No order is on this ticket" in text(olive.get(at(empty)))


def test_a_confirmed_ticket_is_frozen(olive, ticket, desk):
    Ticket.objects.update(confirmed_at=timezone.now(), confirmed_by=desk)
    Order.objects.filter(pk=order("buy VTI").pk).update(state=OrderState.WORKING)
    page = text(olive.get(at(ticket)))
    assert 'class="form-control shares' not in page
    assert "Working" in page
    assert "confirmed" in page
    answer = post(olive, ticket, **{shares("A1", "buy VTI"): "3"})
    assert answer.status_code == 409
    assert "confirmed by Olive Ortega" in text(answer)


def test_windows_that_have_passed_are_said(olive, ticket):
    Order.objects.filter(pk=order("buy VTI").pk).update(algorithm="vwap", starts_at=time(0, 0), ends_at=time(0, 1))
    page = text(olive.get(at(ticket)))
    standing = olive.get(at(ticket)).context["market"]
    assert standing in page
    assert ("VWAP of VTI until 00:01 has passed" in page) is ("closes" in standing)


# --- what the buttons answer ----------------------------------------------------------------------------------------


def test_shares_are_saved_and_the_place_is_kept(olive, ticket):
    block = order("buy VTI")
    answer = post(olive, ticket, open=str(block.pk), **{shares("A1", "buy VTI"): " 9 ", f"order-{block.pk}": "12"})
    assert answer.status_code == 302
    assert answer.url == at(ticket, f"?open={block.pk}")
    assert quantities()["A1", "buy VTI"] == 9
    page = text(olive.get(answer.url))
    assert "1 line changed." in page
    assert "changed from 8 by Olive Ortega" in page


def test_separators_are_understood(olive, ticket):
    Account.objects.update(cash=Decimal(10_000_000))
    post(olive, ticket, **{shares("A1", "buy VTI"): "1,250"})
    assert quantities()["A1", "buy VTI"] == 1250


@pytest.mark.parametrize(
    ("given", "words"),
    [("abc", "no number"), ("", "no number"), ("8.5", "whole steps"), ("-3", "0 shares or more"), ("99", "at most")],
)
def test_errors_stand_beside_the_field_with_what_was_typed(olive, ticket, given, words):
    name, other = shares("A1", "buy VTI"), shares("A2", "buy VTI")
    answer = post(olive, ticket, **{name: given, other: "3"})
    page = text(answer)
    assert answer.status_code == 400
    assert f'name="{name}" value="{given}"' in page
    assert f'id="{name}-error"' in page
    assert words in page
    assert f'name="{other}" value="3"' in page
    assert quantities()["A2", "buy VTI"] == 4


@pytest.mark.parametrize(
    ("given", "quoted"),
    [("abc", '"abc"'), ("1,5", '"1,5"'), ("12,50", '"12,50"'), ("1e1", '"1e1"'), ("", "nothing typed")],
)
def test_what_is_no_number_is_quoted_and_never_guessed(olive, ticket, given, quoted):
    words = f"{quoted}: that is no number of shares"
    by_line = text(post(olive, ticket, **{shares("A1", "buy VTI"): given}))
    by_block = text(post(olive, ticket, **{f"order-{order('buy VTI').pk}": given}))
    assert f"A1 VTI, {words}" in html.unescape(by_line)
    assert f"VTI, {words}" in html.unescape(by_block)
    assert quantities()["A1", "buy VTI"] == 8


def test_errors_by_account(olive, ticket):
    name = shares("A1", "buy VTI")
    page = text(post(olive, ticket, by="account", **{name: "99"}))
    assert f'name="{name}" value="99"' in page
    assert f'id="{name}-error"' in page


def test_a_blocks_error_names_the_account(olive, ticket):
    name = f"order-{order('sell AGG').pk}"
    page = text(post(olive, ticket, **{name: "50"}))
    assert f'name="{name}" value="50"' in page
    assert "A2, 14: at most 12 can be sold" in page


def test_the_second_comer_keeps_what_was_typed(olive, ticket, desk):
    editing.set_sells_first(ticket, 1, True, desk)
    name = shares("A1", "buy VTI")
    answer = post(olive, ticket, version=1, **{name: "9"})
    assert answer.status_code == 409
    assert "has changed since you looked" in text(answer)
    assert f'name="{name}" value="9"' in text(answer)
    assert quantities()["A1", "buy VTI"] == 8


def test_a_button_saves_what_was_typed_too_or_nothing_at_all(olive, ticket):
    one = line("A2", "buy VTI")
    post(olive, ticket, leave_out=f"line-{one.pk}", **{shares("A1", "buy VTI"): "9"})
    assert (quantities()["A1", "buy VTI"], quantities()["A2", "buy VTI"]) == (9, 0)
    answer = post(olive, ticket, take_back=f"line-{one.pk}", **{shares("A1", "buy VTI"): "99"})
    assert answer.status_code == 400
    assert quantities()["A2", "buy VTI"] == 0
    post(olive, ticket, take_back=f"line-{one.pk}")
    assert quantities()["A2", "buy VTI"] == 4


def test_sells_first_and_recalculating(olive, ticket):
    post(olive, ticket, sells_first="on")
    assert Ticket.objects.get().sells_first
    make.price("VTI", 80)
    assert "Every line of 2 accounts" in text(olive.get(at(ticket, "recalculate/")))
    answer = post(olive, ticket, recalculate="yes")
    assert "2 lines changed at the newest prices." in text(olive.get(answer.url))
    assert quantities()["A1", "buy VTI"] == 10


def test_execution_of_one_and_of_all(olive, ticket):
    block = order("buy VTI")
    form = text(olive.get(at(ticket, f"execution/?order={block.pk}")))
    assert "Execution of buy VTI" in form
    post(olive, ticket, execution=str(block.pk), algorithm="limit", limit_price="90")
    assert (order("buy VTI").algorithm, order("buy VTI").limit_price) == (Algorithm.LIMIT, 90)
    answer = post(olive, ticket, execution="all", algorithm="twap", starts_at="10:00", ends_at="15:00")
    if answer.status_code == 302:
        assert "1 fund (FUND) stays a NAV order" in text(olive.get(answer.url))
        assert order("sell AGG").algorithm == Algorithm.TWAP
    else:  # the window may have passed at this hour
        assert "has passed" in text(answer)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"algorithm": "limit"}, "needs a limit price"),
        ({"algorithm": "limit", "limit_price": "x"}, "Not a price."),
        ({"algorithm": "twap", "starts_at": "10", "ends_at": "11:00"}, "Not a time"),
        ({"algorithm": "twap", "starts_at": "12:00", "ends_at": "11:00"}, "after the start"),
        ({"algorithm": "market", "extended_hours": "on"}, "needs a limit price and takes no algorithm"),
        ({"algorithm": "nav"}, "Choose one of these"),
        ({"algorithm": "bribe"}, "Choose one of these"),
    ],
)
def test_an_execution_that_cannot_be_is_shown_again(olive, ticket, fields, words):
    answer = post(olive, ticket, execution=str(order("buy VTI").pk), **fields)
    assert answer.status_code == 400
    assert words in text(answer)
    assert order("buy VTI").algorithm == Algorithm.MARKET


@pytest.mark.parametrize(
    "fields", [{"leave_out": "x"}, {"leave_out": "line-9999999"}, {"version": "x"}, {"version": ""}]
)
def test_damaged_commands_do_nothing(olive, ticket, fields):
    before = quantities()
    assert post(olive, ticket, **fields).status_code == 409
    assert quantities() == before


def test_commands_are_posted(olive, ticket):
    assert olive.get(at(ticket, "edit/")).status_code == 405


def test_live_figures_and_what_somebody_else_changed(olive, ticket, desk):
    make.price("VTI", 110)
    answer = text(olive.get(at(ticket, "live/?version=1")))
    assert f'id="value-{order("buy VTI").pk}" hx-swap-oob="true">1,320.00' in answer
    assert "Somebody has changed" not in answer
    editing.set_sells_first(ticket, 1, True, desk)
    assert "Somebody has changed" in text(olive.get(at(ticket, "live/?version=1")))
    Ticket.objects.update(confirmed_at=timezone.now())
    assert olive.get(at(ticket, "live/?version=2"))["HX-Refresh"] == "true"


# --- what it costs --------------------------------------------------------------------------------------------------


@pytest.fixture
def many(desk):
    market()
    orders = {}
    for index in range(60):
        account = make.account(f"M{index:03d}", cash=Decimal(5000))
        make.lot(account, "AGG", 40, cost=1200)
        orders[account.number] = ["buy 8 VTI", "sell 10 AGG", "buy 5 FUND"]
    return staged(orders, by=desk)


def queries(client, ask):
    ask()  # what pages keep for some seconds
    with CaptureQueriesContext(
        connection,
    ) as found:
        answer = ask()
    asked = [one["sql"] for one in found if "SAVEPOINT" not in one["sql"]]  # the test's own transaction is around
    return answer, len(asked) - OF_THE_PERSON, asked


@pytest.mark.parametrize("rest", ["", "live/?version=1"])
def test_it_opens_with_few_queries(olive, many, rest):
    _, count, asked = queries(olive, lambda: olive.get(at(many, rest)))
    assert count <= MOST, asked


def test_lines_come_in_pages(olive, many):
    block = order("buy VTI").pk
    answer, count, asked = queries(olive, lambda: olive.get(at(many, f"orders/{block}/")))
    assert count <= MOST, asked
    assert "1–50 of 60 lines" in text(answer)
    assert "51–60 of 60 lines" in text(olive.get(at(many, f"orders/{block}/?page=2")))
    assert "51–60 of 60 lines" in text(olive.get(at(many, f"?open={block}&page=2")))


def test_by_account_in_pages(olive, many):
    answer, count, asked = queries(olive, lambda: olive.get(at(many, "?by=account")))
    assert count <= MOST, asked
    assert len(answer.context["accounts"]) == 50
    assert len(olive.get(at(many, "?by=account&page=9")).context["accounts"]) == 10


@pytest.mark.parametrize("words", ["buy VTI", "sell AGG"])
def test_it_saves_with_few_queries(olive, many, words):
    pks = list(Allocation.objects.filter(order=order(words)).values_list("pk", flat=True))
    amounts = iter(["7", "6"])

    def save():
        amount = next(amounts)
        return post(olive, many, **{f"line-{pk}": amount for pk in pks})

    answer, count, asked = queries(olive, save)
    assert answer.status_code == 302
    assert set(Allocation.objects.filter(pk__in=pks).values_list("quantity", flat=True)) == {6}
    assert count - 1 <= MOST, asked  # the test asks for the version
