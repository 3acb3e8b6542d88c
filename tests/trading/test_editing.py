"""Editing staged orders: what may be changed, what is refused and in which words, and what is left of it."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.models import Account, AuditLine, Price
from accounts.services.refusals import Refused
from tests import factories as make
from trading import tickets
from trading.models import Allocation, FlatMove, Order, Ticket
from trading.services import editing, executing, recalculating
from trading.services.executing import Execution
from trading.services.lines import Chosen
from trading.states import Algorithm, OrderState

from .ticketing import line, market, order, quantities, staged

pytestmark = pytest.mark.django_db

THURSDAY_10 = datetime(2026, 11, 19, 15, 0, tzinfo=UTC)  # 10:00 in New York


@pytest.fixture
def desk(db):
    return make.operations("olive", first_name="Olive", last_name="Ortega")


@pytest.fixture
def ann(db):
    return make.advisor("ann")


@pytest.fixture
def ticket(db):
    """A1 and A2 buy and sell; A3 buys a fund. A1 holds 40 AGG in three lots, and has 600 to spare."""
    market()
    a1 = make.account("A1", cash=Decimal(1000), set_aside_cash=Decimal(100))
    make.lot(a1, "AGG", 10, cost=300, acquired=date(2020, 1, 2), lot_id="old")
    make.lot(a1, "AGG", 10, cost=700, acquired=date(2026, 6, 1), lot_id="new")
    make.lot(a1, "AGG", 20, cost=None, acquired=date(2026, 7, 1), lot_id="unknown")
    a2 = make.account("A2", cash=Decimal(5000))
    make.lot(a2, "AGG", 12, cost=600)
    make.account("A3", cash=Decimal(1000))
    return staged({
        "A1": ["buy 8 VTI", "sell 10 AGG"], "A2": ["buy 4 VTI", "sell 4 AGG"], "A3": ["buy 10.5 FUND"],
    })  # fmt: skip


def change(ticket, by, **shares):
    """change(ticket, desk, A1_buy_VTI=9)."""
    wanted = {}
    for name, quantity in shares.items():
        number, words = name.split("_", 1)
        wanted[line(number, words.replace("_", " ")).pk] = Decimal(str(quantity))
    return editing.change_shares(ticket, version(ticket), wanted, by)


def last_audit():
    return AuditLine.objects.latest("pk")


def version(ticket):
    return Ticket.objects.get(pk=ticket.pk).version


def refused(ticket, by, words, **shares):
    """Nothing is done, and the words say why."""
    before = quantities(), version(ticket)
    with pytest.raises(editing.WrongLines, match=words) as error:
        change(ticket, by, **shares)
    assert (quantities(), version(ticket)) == before
    assert last_audit().verb == "refused"
    return error.value


def test_lines_are_changed_marked_and_audited(ticket, desk):
    edited = change(ticket, desk, A1_buy_VTI=9, A2_buy_VTI=1)
    assert edited.changed == 2
    one = line("A1", "buy VTI")
    assert (one.quantity, one.approved_quantity, one.edited_by, one.edit_words) == (9, 8, desk, "changed from 8")
    assert one.edited_at
    block = order("buy VTI")
    assert (block.quantity, block.edited_by) == (10, desk)
    ticket.refresh_from_db()
    assert ticket.version == 2
    assert list(ticket.edited_by.all()) == [desk]
    audit = last_audit()
    assert (audit.verb, audit.by, audit.object_name) == ("ticket.shares_changed", desk, "Request 2041")
    assert audit.before == {"A1 Buy VTI": "8.000000", "A2 Buy VTI": "4.000000"}
    assert audit.after["A1 Buy VTI"] == "9"
    assert audit.after["version"] == 2


def test_what_is_given_as_it_is_changes_nothing(ticket, desk):
    assert change(ticket, desk, A1_buy_VTI=8).changed == 0
    assert version(ticket) == 1
    assert not AuditLine.objects.exists()


def test_back_to_what_was_approved_is_no_longer_marked(ticket, desk):
    change(ticket, desk, A1_buy_VTI=9)
    change(ticket, desk, A1_buy_VTI=8)
    assert line("A1", "buy VTI").edit_words == ""
    assert version(ticket) == 3


def test_a_second_comer_is_told_and_nothing_is_done(ticket, desk):
    change(ticket, desk, A1_buy_VTI=9)
    other = make.operations("otto")
    with pytest.raises(editing.TooLate, match="has changed since you looked"):
        editing.change_shares(ticket, 1, {line("A2", "buy VTI").pk: Decimal(1)}, other)
    assert line("A2", "buy VTI").quantity == 4
    refusal = last_audit()
    assert (refusal.verb, refusal.after["command"]) == ("refused", "ticket.shares_changed")


def test_a_confirmed_ticket_says_who_confirmed_it(ticket, desk):
    Ticket.objects.update(confirmed_at=timezone.now(), confirmed_by=desk)
    with pytest.raises(editing.TooLate, match="confirmed by Olive Ortega"):
        change(ticket, desk, A1_buy_VTI=9)


def test_orders_that_ended_are_not_changed(ticket, desk):
    Order.objects.update(state=OrderState.CANCELLED, end_reason="end of day", ended_at=timezone.now())
    Allocation.objects.update(is_open=False)
    with pytest.raises(editing.TooLate, match="end of day"):
        change(ticket, desk, A1_buy_VTI=9)


@pytest.mark.parametrize(
    "command",
    [
        lambda ticket, by: change(ticket, by, A1_buy_VTI=1),
        lambda ticket, by: editing.leave_out(ticket, 1, Chosen(orders=(order("buy VTI").pk,)), by),
        lambda ticket, by: editing.take_back(ticket, 1, Chosen(orders=(order("buy VTI").pk,)), by),
        lambda ticket, by: editing.set_sells_first(ticket, 1, True, by),
        lambda ticket, by: recalculating.recalculate(ticket, 1, by),
        lambda ticket, by: executing.set_execution(ticket, 1, "all", Execution(Algorithm.MARKET), by),
    ],
)
def test_only_operations_edits(ticket, ann, command):
    Account.objects.update(advisor=ann)
    with pytest.raises(PermissionDenied, match="Operations edits"):
        command(ticket, ann)
    assert AuditLine.objects.get().verb == "refused"
    assert version(ticket) == 1


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["-1", "NaN", "Infinity", "1e30"])
def test_what_is_no_number_of_shares(ticket, desk, given):
    refused(ticket, desk, "0 shares or more|no number of shares", A1_buy_VTI=given)


def test_whole_steps_only(ticket, desk):
    error = refused(ticket, desk, "whole steps of 1 only: 8 or 9", A1_buy_VTI="8.5")
    assert [(one.number, one.symbol, one.given) for one in error.lines] == [("A1", "VTI", "8.5")]
    assert change(ticket, desk, A3_buy_FUND="10.501").changed == 1
    refused(ticket, desk, "whole steps of 0.001 only", A3_buy_FUND="10.5001")


def test_not_more_than_held(ticket, desk):
    refused(ticket, desk, "at most 12 can be sold: that is what it holds", A2_sell_AGG=13)
    assert change(ticket, desk, A2_sell_AGG=12).changed == 1


def test_held_is_without_what_others_sell_and_what_moves(ticket, desk):
    staged({"A2": ["sell 3 AGG"]}, label="Another")
    core = make.model("Core", VTI=100)
    FlatMove.objects.create(
        ticket=ticket, account=Account.objects.get(number="A2"), security=make.security("AGG"), source=make.sleeve(),
        target=core.sleeve, quantity=2,
    )  # fmt: skip
    pk = Allocation.objects.get(order__ticket=ticket, account__number="A2", order__side="sell").pk
    with pytest.raises(editing.WrongLines, match="at most 7 can be sold"):
        editing.change_shares(ticket, 1, {pk: Decimal(8)}, desk)


def test_no_cash_below_zero(ticket, desk):
    """A1 has 900 to spend, sells for 500 and buys for 800: 600 are left."""
    assert change(ticket, desk, A1_buy_VTI=14).changed == 1
    refused(ticket, desk, r"cash would end at \(100.00\); at most 14 at 100.00", A1_buy_VTI=15)
    refused(ticket, desk, r"cash would end at \(50.00\); sell at least 10", A1_sell_AGG=9)
    assert change(ticket, desk, A1_buy_VTI=13, A1_sell_AGG=8).changed == 2


def test_cash_counts_what_is_bought_elsewhere(ticket, desk):
    staged({"A1": ["buy 10 AGG"]}, label="Another")
    pk = Allocation.objects.get(order__ticket=ticket, account__number="A1", order__side="buy").pk
    with pytest.raises(editing.WrongLines, match=r"\(100.00\); at most 9 at"):
        editing.change_shares(ticket, 1, {pk: Decimal(10)}, desk)


def test_cash_at_live_prices(ticket, desk):
    make.price("VTI", 110)
    refused(ticket, desk, r"at most 12 at 110.00", A1_buy_VTI=13)


def test_an_account_below_zero_already_may_buy_less(ticket, desk):
    Account.objects.filter(number="A1").update(cash=0)
    assert change(ticket, desk, A1_buy_VTI=7).changed == 1
    refused(ticket, desk, "cash would end at", A1_buy_VTI=8)


@pytest.mark.parametrize(
    ("kind", "name", "may"),
    [
        ("no_buy", "A1_buy_VTI", False),
        ("do_not_trade", "A1_buy_VTI", False),
        ("exclude_to_cash", "A1_buy_VTI", False),
        ("no_sell", "A1_buy_VTI", True),
        ("no_sell", "A1_sell_AGG", False),
        ("no_buy", "A1_sell_AGG", True),
        ("exclude_pro_rata", "A1_sell_AGG", True),
    ],
)
def test_restrictions_forbid_more_and_never_less(ticket, desk, kind, name, may):
    now = {"A1_buy_VTI": 8, "A1_sell_AGG": 10}[name]
    make.restriction(Account.objects.get(number="A1"), name[-3:], kind)
    assert change(ticket, desk, **{name: now - 1}).changed == 1
    if may:
        assert change(ticket, desk, **{name: now + 1}).changed == 1
    else:
        refused(ticket, desk, f"at most {now - 1}: {name[-3:]} is restricted for this account", **{name: now})


def test_a_restriction_of_yesterday_forbids_nothing(ticket, desk):
    yesterday = timezone.localdate() - timedelta(days=2)
    make.restriction(Account.objects.get(number="A1"), "VTI", "no_buy", end=yesterday)
    assert change(ticket, desk, A1_buy_VTI=9).changed == 1


def test_more_of_an_inactive_security_is_not_bought(ticket, desk):
    make.security("VTI").__class__.objects.filter(symbol="VTI").update(is_active=False)
    refused(ticket, desk, "VTI is inactive", A1_buy_VTI=9)


def test_all_or_nothing_and_each_line_is_named(ticket, desk):
    error = refused(ticket, desk, "A1 AGG, 41.*A2 AGG, 13", A1_sell_AGG=41, A2_sell_AGG=13, A2_buy_VTI=5)
    assert {one.number for one in error.lines} == {"A1", "A2"}


def test_lines_of_another_ticket(ticket, desk):
    other = staged({"A3": ["buy 1 VTI"]}, label="Another")
    stray = Allocation.objects.get(order__ticket=other)
    with pytest.raises(Refused, match="not of this ticket"):
        editing.change_shares(ticket, 1, {stray.pk: Decimal(1)}, desk)


# --- lots of sales --------------------------------------------------------------------------------------------------


def test_a_changed_sale_takes_lots_anew(ticket, desk):
    change(ticket, desk, A1_sell_AGG=25)
    sold = line("A1", "sell AGG")
    assert sold.lots == [["old", "10"], ["new", "10"], ["unknown", "5"]]
    assert (sold.long_quantity, sold.long_cost) == (10, 300)
    assert (sold.short_quantity, sold.short_cost, sold.unknown_lots) == (10, 700, 1)


def test_lots_by_the_accounts_own_method(ticket, desk):
    Account.objects.filter(number="A1").update(lot_method="hifo")
    change(ticket, desk, A1_sell_AGG=4)
    sold = line("A1", "sell AGG")
    assert (sold.lots, sold.short_cost, sold.long_quantity) == ([["new", "4"]], 280, 0)


def test_what_is_left_out_sells_no_lots(ticket, desk):
    editing.leave_out(ticket, 1, Chosen(accounts=(Account.objects.get(number="A1").pk,)), desk)
    sold = line("A1", "sell AGG")
    assert (sold.quantity, sold.lots, sold.long_quantity, sold.long_cost) == (0, [], 0, 0)
    editing.take_back(ticket, 2, Chosen(accounts=(sold.account_id,)), desk)
    sold = line("A1", "sell AGG")
    assert (sold.quantity, sold.lots, sold.long_cost) == (10, [["old", "10"]], 300)


# --- leaving out ----------------------------------------------------------------------------------------------------


def test_an_account_left_out_of_everything(ticket, desk):
    pk = Account.objects.get(number="A1").pk
    assert editing.leave_out(ticket, 1, Chosen(accounts=(pk,)), desk).changed == 2
    assert {line("A1", "buy VTI").edit_words, line("A1", "sell AGG").edit_words} == {"left out"}
    assert (order("buy VTI").quantity, order("sell AGG").quantity) == (4, 4)
    assert last_audit().verb == "ticket.left_out"
    assert editing.take_back(ticket, 2, Chosen(accounts=(pk,)), desk).changed == 2
    assert order("buy VTI").quantity == 12
    assert line("A1", "buy VTI").edit_words == ""


def test_one_line_and_a_whole_order_left_out(ticket, desk):
    editing.leave_out(ticket, 1, Chosen(lines=(line("A2", "buy VTI").pk,)), desk)
    assert order("buy VTI").quantity == 8
    editing.leave_out(ticket, 2, Chosen(orders=(order("buy VTI").pk,)), desk)
    assert order("buy VTI").quantity == 0


def test_a_sale_that_pays_for_buys_is_not_left_out_alone(ticket, desk):
    Account.objects.filter(number="A1").update(cash=600)
    with pytest.raises(editing.WrongLines, match="A1 AGG"):
        editing.leave_out(ticket, 1, Chosen(orders=(order("sell AGG").pk,)), desk)
    assert order("sell AGG").quantity == 14


def test_an_account_is_left_out_even_where_its_cash_stays_below_zero(ticket, desk):
    Account.objects.filter(number="A1").update(cash=-50)
    change(ticket, desk, A1_buy_VTI=0)
    pk = Account.objects.get(number="A1").pk
    assert editing.leave_out(ticket, 2, Chosen(accounts=(pk,)), desk).changed == 1


def test_nothing_chosen_leaves_nothing_out(ticket, desk):
    assert editing.leave_out(ticket, 1, Chosen(), desk).changed == 0
    assert version(ticket) == 1


# --- blocks ---------------------------------------------------------------------------------------------------------


def totals(ticket, by, **orders):
    wanted = {order(name.replace("_", " ")).pk: Decimal(str(total)) for name, total in orders.items()}
    return editing.change_shares(ticket, version(ticket), {}, by, orders=wanted)


@pytest.mark.parametrize(
    ("total", "shares"), [(6, (4, 2)), (7, (5, 2)), (1, (1, 0)), (0, (0, 0)), (13, (9, 4)), (20, (13, 7))]
)
def test_a_blocks_total_is_shared_pro_rata(ticket, desk, total, shares):
    """A1 has 8 and A2 has 4 of the block; A1 could buy 14."""
    totals(ticket, desk, buy_VTI=total)
    assert (line("A1", "buy VTI").quantity, line("A2", "buy VTI").quantity) == shares
    assert order("buy VTI").quantity == total


def test_a_block_left_out_gets_shares_as_approved(ticket, desk):
    editing.leave_out(ticket, 1, Chosen(orders=(order("buy VTI").pk,)), desk)
    totals(ticket, desk, buy_VTI=3)
    assert (line("A1", "buy VTI").quantity, line("A2", "buy VTI").quantity) == (2, 1)


def test_a_blocks_total_keeps_the_accounts_limits(ticket, desk):
    with pytest.raises(editing.WrongLines, match="A2 AGG, 14: at most 12 can be sold"):
        totals(ticket, desk, sell_AGG=49)
    with pytest.raises(editing.WrongLines, match=r"VTI, 3\.5: whole steps of 1 only"):
        totals(ticket, desk, buy_VTI="3.5")


def test_a_block_and_its_accounts_are_not_changed_at_once(ticket, desk):
    block = order("buy VTI")
    with pytest.raises(editing.WrongLines, match="not both at once") as error:
        editing.change_shares(ticket, 1, {line("A1", "buy VTI").pk: Decimal(1)}, desk, orders={block.pk: Decimal(5)})
    assert set(error.value.orders) == {block.pk}


# --- the newest prices ----------------------------------------------------------------------------------------------


def test_recalculated_at_the_newest_prices(ticket, desk):
    make.price("VTI", 80)
    make.price("AGG", "62.5")
    edited = recalculating.recalculate(ticket, 1, desk)
    assert (edited.changed, edited.notes) == (4, [])
    assert quantities() == {
        ("A1", "buy VTI"): 10, ("A2", "buy VTI"): 5, ("A1", "sell AGG"): 8, ("A2", "sell AGG"): 3,
        ("A3", "buy FUND"): 10.5,
    }  # fmt: skip
    assert line("A1", "buy VTI").edit_words == "recalculated at 80.00"
    assert line("A1", "sell AGG").lots == [["old", "8"]]
    assert order("buy VTI").quantity == 15
    assert last_audit().verb == "ticket.recalculated"


def test_recalculating_keeps_out_what_is_left_out_and_whole_what_is_sold_whole(ticket, desk):
    Allocation.objects.filter(pk=line("A2", "sell AGG").pk).update(quantity=12, approved_quantity=12)
    Order.objects.filter(pk=order("sell AGG").pk).update(quantity=22)
    editing.leave_out(ticket, 1, Chosen(lines=(line("A2", "buy VTI").pk,)), desk)
    make.price("AGG", 60)
    make.price("VTI", 50)
    recalculating.recalculate(ticket, 2, desk)
    assert line("A2", "sell AGG").quantity == 12
    assert line("A2", "buy VTI").quantity == 0
    assert line("A1", "buy VTI").quantity == 16


def test_recalculating_sells_no_more_than_is_held(ticket, desk):
    make.price("AGG", 26)
    recalculating.recalculate(ticket, 1, desk)
    assert line("A2", "sell AGG").quantity == 8
    Allocation.objects.filter(pk=line("A2", "sell AGG").pk).update(approved_quantity=11)
    recalculating.recalculate(ticket, 2, desk)
    assert line("A2", "sell AGG").quantity == 12


def test_recalculating_cuts_the_dearest_surplus_first(desk):
    """The dollars approved buy 3.57 and 6.67 steps: both are rounded up, one of them is not paid for."""
    market()
    make.account("A1", cash=Decimal(700))
    ticket = staged({"A1": ["buy 5 VTI", "buy 4 AGG"]})
    make.price("VTI", 140)
    make.price("AGG", 30)
    edited = recalculating.recalculate(ticket, 1, desk)
    assert quantities() == {("A1", "buy VTI"): 3, ("A1", "buy AGG"): 7}
    assert edited.notes == []


def test_recalculating_names_what_has_no_usable_price(ticket, desk):
    make.price("VTI", 180, state=Price.State.QUESTIONED)
    make.price("AGG", "62.5")
    edited = recalculating.recalculate(ticket, 1, desk)
    assert line("A1", "buy VTI").quantity == 8
    assert line("A1", "sell AGG").quantity == 8
    assert "VTI stays as it is: somebody has to confirm its price of 180" in edited.notes[0]


def test_recalculating_raises_nothing_against_a_restriction(ticket, desk):
    make.price("VTI", 80)
    make.restriction(Account.objects.get(number="A1"), "VTI", "no_buy")
    edited = recalculating.recalculate(ticket, 1, desk)
    assert (line("A1", "buy VTI").quantity, line("A2", "buy VTI").quantity) == (8, 5)
    assert edited.notes == ["A1 VTI is not raised: VTI is restricted for this account (no buy)"]


def test_recalculating_says_whose_cash_it_cannot_help(ticket, desk):
    Account.objects.filter(number="A1").update(cash=-5000)
    edited = recalculating.recalculate(ticket, 1, desk)
    assert line("A1", "buy VTI").quantity == 0
    assert edited.notes == ["A1 still ends with (4,600.00) in cash"]


# --- execution ------------------------------------------------------------------------------------------------------


def execute(ticket, by, *names, **fields):
    chosen = [order(name).pk for name in names] or "all"
    return executing.set_execution(ticket, version(ticket), chosen, Execution(**fields), by, now=THURSDAY_10)


def test_execution_of_one_order(ticket, desk):
    fields = {"starts_at": time(10, 0), "ends_at": time(15, 30), "participation": Decimal(10)}
    execute(ticket, desk, "buy VTI", algorithm=Algorithm.VWAP, **fields)
    one = order("buy VTI")
    assert (one.algorithm, one.starts_at, one.ends_at, one.participation) == ("vwap", time(10), time(15, 30), 10)
    assert one.edited_by == desk
    audit = last_audit()
    assert list(audit.before.values()) == ["Market"]
    assert audit.after[f"Buy VTI {one.pk}"] == "VWAP 10:00–15:30, ≤ 10\N{NO-BREAK SPACE}%"
    assert execute(ticket, desk, "buy VTI", algorithm=Algorithm.VWAP, **fields).changed == 0
    assert version(ticket) == 2


def test_execution_for_all_leaves_funds_their_nav(ticket, desk):
    edited = execute(ticket, desk, algorithm=Algorithm.TWAP, starts_at=time(11), ends_at=time(12))
    assert edited.changed == 2
    assert edited.notes == ["1 fund (FUND) stays a NAV order"]
    assert order("buy FUND").algorithm == Algorithm.NAV


@pytest.mark.parametrize(
    ("name", "fields", "field", "words"),
    [
        ("buy FUND", {"algorithm": "market"}, "algorithm", "FUND is a fund"),
        ("buy VTI", {"algorithm": "nav"}, "algorithm", "for funds only"),
        ("buy VTI", {"algorithm": "limit"}, "limit_price", "needs a limit price"),
        ("buy VTI", {"algorithm": "limit", "limit_price": Decimal(0)}, "limit_price", "needs a limit price"),
        ("buy VTI", {"algorithm": "twap"}, "starts_at", "needs a start and an end"),
        ("buy VTI", {"algorithm": "twap", "starts_at": time(12), "ends_at": time(12)}, "ends_at", "after the start"),
        ("buy VTI", {"algorithm": "vwap", "starts_at": time(9), "ends_at": time(12)}, "starts_at", "too early"),
        ("buy VTI", {"algorithm": "vwap", "starts_at": time(10), "ends_at": time(16, 1)}, "ends_at", "too late"),
        ("buy VTI", {"algorithm": "vwap", "starts_at": time(9, 30), "ends_at": time(10)}, "ends_at", "has passed"),
        (
            "buy VTI",
            {"algorithm": "vwap", "starts_at": time(10), "ends_at": time(12), "participation": Decimal("0.05")},
            "participation",
            "from 0.1",
        ),
        ("buy VTI", {"algorithm": "market", "extended_hours": True}, "extended_hours", "needs a limit price"),
        ("buy FUND", {"algorithm": "nav", "extended_hours": True}, "extended_hours", "needs a limit price"),
    ],
)
def test_executions_that_cannot_be(ticket, desk, name, fields, field, words):
    with pytest.raises(executing.WrongExecution) as error:
        execute(ticket, desk, name, **fields)
    assert words in error.value.fields[field]
    assert version(ticket) == 1


def test_a_limit_far_off_is_said(ticket, desk):
    assert execute(ticket, desk, "buy VTI", algorithm=Algorithm.LIMIT, limit_price=Decimal(104)).notes == []
    edited = execute(ticket, desk, "buy VTI", algorithm=Algorithm.LIMIT, limit_price=Decimal(94), extended_hours=True)
    assert "94.00 of VTI is 6.0" in edited.notes[0]
    assert order("buy VTI").extended_hours


def test_a_limit_is_forgotten_by_what_has_none(ticket, desk):
    execute(ticket, desk, "buy VTI", algorithm=Algorithm.LIMIT, limit_price=Decimal(100))
    execute(ticket, desk, "buy VTI", algorithm=Algorithm.MARKET, limit_price=Decimal(100), starts_at=time(1))
    assert (order("buy VTI").limit_price, order("buy VTI").starts_at) == (None, None)


def test_execution_of_no_order_is_refused(ticket, desk):
    for chosen in ([], [0], [order("buy VTI").pk, 0]):
        with pytest.raises(Refused, match="not of this ticket"):
            executing.set_execution(ticket, 1, chosen, Execution(Algorithm.MARKET), desk)


def test_sells_first(ticket, desk):
    assert editing.set_sells_first(ticket, 1, True, desk).changed == 1
    assert editing.set_sells_first(ticket, 2, True, desk).changed == 0
    ticket.refresh_from_db()
    assert (ticket.sells_first, ticket.version) == (True, 2)


# --- whatever is done -----------------------------------------------------------------------------------------------

LINES = [("A1", "buy VTI"), ("A1", "sell AGG"), ("A2", "buy VTI"), ("A2", "sell AGG"), ("A3", "buy FUND")]
SHARES = st.decimals(-2, 60, places=1) | st.integers(0, 45).map(Decimal)
STEPS = st.one_of(
    st.tuples(st.just("change"), st.dictionaries(st.sampled_from(LINES), SHARES, min_size=1, max_size=3)),
    st.tuples(st.just("block"), st.tuples(st.sampled_from(["buy VTI", "sell AGG", "buy FUND"]), SHARES)),
    st.tuples(st.sampled_from(["leave_out", "take_back"]), st.sampled_from(LINES)),
    st.tuples(st.sampled_from(["leave_out", "take_back"]), st.sampled_from(["A1", "A2", "A3"])),
    st.tuples(st.just("recalculate"), st.none()),
)


def do(ticket, by, what, argument):
    at = version(ticket)
    if what == "change":
        wanted = {line(*name).pk: quantity for name, quantity in argument.items()}
        editing.change_shares(ticket, at, wanted, by)
    elif what == "block":
        editing.change_shares(ticket, at, {}, by, orders={order(argument[0]).pk: argument[1]})
    elif what == "recalculate":
        recalculating.recalculate(ticket, at, by)
    elif isinstance(argument, str):
        getattr(editing, what)(ticket, at, Chosen(accounts=(Account.objects.get(number=argument).pk,)), by)
    else:
        getattr(editing, what)(ticket, at, Chosen(lines=(line(*argument).pk,)), by)


@settings(max_examples=30)
@given(steps=st.lists(STEPS, min_size=1, max_size=6))
def test_no_edits_lead_to_an_oversell_or_negative_cash(ticket, desk, steps):
    every = tuple(Account.objects.values_list("pk", flat=True))  # an earlier example has left something else
    editing.take_back(ticket, version(ticket), Chosen(accounts=every), desk)
    sides = dict(Order.objects.values_list("pk", "side"))
    for what, argument in steps:
        try:
            do(ticket, desk, what, argument)
        except Refused:
            continue
        assert dict(Order.objects.values_list("pk", "side")) == sides
        check(ticket, desk)


def check(ticket, desk):
    now = quantities()
    assert all(quantity >= 0 for quantity in now.values())
    assert now["A1", "sell AGG"] <= 40
    assert now["A2", "sell AGG"] <= 12
    rows = tickets.rows(desk, ticket)
    pks = list(Account.objects.values_list("pk", flat=True))
    for account in tickets.account_rows(desk, ticket, rows, pks):
        assert account.ending >= 0, account
    for one in Order.objects.filter(ticket=ticket).prefetch_related("allocations"):
        assert one.quantity == sum(part.quantity for part in one.allocations.all())
    for part in Allocation.objects.filter(order__side="sell"):
        assert sum(Decimal(quantity) for _, quantity in part.lots) == part.quantity
