"""Flat moves of a confirmed ticket: booked once, the sells' lots left alone, dropped with an account left out."""

from datetime import date
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import AuditLine, Position
from tax.models import Lot
from tests import factories as make
from trading.models import Allocation, FlatMove, Ticket
from trading.services import staging
from trading.services.flat_moves import book_moves
from trading.services.staging import Block, Move, Part
from trading.states import Side

pytestmark = pytest.mark.django_db


@pytest.fixture
def core(db):
    return make.model("Core", VTI=100)


def stage(*, sells=(), buys=(), moves=()):
    """A ticket: sells and buys are parts of VTI, moves go from managed to the model's sleeve."""
    security = make.security("VTI").pk
    blocks = [
        Block(security, side, Decimal(100), list(parts))
        for side, parts in ((Side.SELL, sells), (Side.BUY, buys))
        if parts
    ]
    return staging.stage(label="T", by=None, trade_date=date(2026, 11, 20), blocks=blocks, moves=moves)


def part(account, quantity, *lots):
    return Part(account.pk, make.sleeve().pk, Decimal(quantity), [list(lot) for lot in lots])


def move(account, core, quantity):
    return Move(account.pk, make.security("VTI").pk, make.sleeve().pk, core.sleeve.pk, Decimal(quantity))


def held(account):
    rows = Lot.objects.filter(account=account).values_list("sleeve__kind", "lot_id", "quantity", "total_cost")
    return {(kind, lot): (quantity, cost) for kind, lot, quantity, cost in rows}


def two_lots(account):
    make.lot(account, "VTI", 10, cost=1000, acquired=date(2020, 1, 2), lot_id="old")
    make.lot(account, "VTI", 10, cost=2001, acquired=date(2021, 1, 4), lot_id="new")


def test_moves_of_accounts_with_orders_and_without_are_booked_once(core):
    one, two = make.account("A1"), make.account("A2")
    for account in (one, two):
        two_lots(account)
    ticket = stage(buys=[part(one, 5)], moves=[move(one, core, 12), move(two, core, 3)])
    assert [book_moves(ticket), book_moves(ticket)] == [2, 0]
    assert held(one) == {
        ("model", "old"): (10, 1000), ("model", "new"): (2, Decimal("400.20")),
        ("managed", "new"): (8, Decimal("1600.80")),
    }  # fmt: skip
    assert held(two) == {("managed", "old"): (7, 700), ("model", "old"): (3, 300), ("managed", "new"): (10, 2001)}
    positions = dict(Position.objects.filter(account=one).values_list("sleeve__kind", "quantity"))
    assert positions == {"managed": 8, "model": 12}
    assert not FlatMove.objects.filter(is_open=True).exists()
    assert not FlatMove.objects.filter(booked_at=None).exists()


def test_the_sells_have_their_lots_first(core):
    one = make.account("A1")
    two_lots(one)
    ticket = stage(sells=[part(one, 8, ("old", "8"))], moves=[move(one, core, 4)])
    assert book_moves(ticket) == 1
    assert held(one) == {
        ("managed", "old"): (8, 800), ("model", "old"): (2, 200),
        ("model", "new"): (2, Decimal("400.20")), ("managed", "new"): (8, Decimal("1600.80")),
    }  # fmt: skip


def test_moves_of_an_account_left_out_are_dropped(core):
    one, two = make.account("A1"), make.account("A2")
    for account in (one, two):
        two_lots(account)
    ticket = stage(buys=[part(one, 5), part(two, 5)], moves=[move(one, core, 3), move(two, core, 3)])
    Allocation.objects.filter(account=one).update(quantity=0)
    assert book_moves(ticket) == 1
    dropped = FlatMove.objects.get(account=one)
    assert (dropped.is_open, dropped.booked_at) == (False, None)
    assert ("model", "old") not in held(one)
    assert ("model", "old") in held(two)


def test_a_move_that_the_sleeve_cannot_give_is_dropped_and_said(core):
    one, two = make.account("A1"), make.account("A2")
    for account in (one, two):
        two_lots(account)
    ticket = stage(sells=[part(one, 15, ("old", "10"), ("new", "5"))], moves=[move(one, core, 6), move(two, core, 6)])
    assert book_moves(ticket) == 1
    assert held(one)["managed", "old"] == (10, 1000)
    line = AuditLine.objects.get(verb="flat_move.dropped")
    assert line.after["why"] == (
        "Account A1 holds 20 VTI in its sleeve managed, of which 15 are to be sold: 6 can't be moved."
    )


def test_the_number_of_queries_does_not_grow_with_the_moves(core):
    def queries(count):
        accounts = [make.account() for _ in range(count)]
        for account in accounts:
            two_lots(account)
        ticket = stage(moves=[move(account, core, 3) for account in accounts])
        with CaptureQueriesContext(
            connection,
        ) as counted:
            assert book_moves(Ticket.objects.get(pk=ticket.pk)) == count
        return len(counted)

    assert queries(2) == queries(30)
