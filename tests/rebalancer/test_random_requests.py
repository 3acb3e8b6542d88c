"""Requests with sleeves, flat moves, edits and fills at random: shares, cash and cost add up in every account."""

import random
from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db.models import Sum

from accounts.models import Account, Position, Price
from accounts.services.refusals import Refused
from tax.models import BookedLot, Booking, Lot
from tests import factories as make
from tests.trading.confirming import OPEN
from trading.models import Allocation, FlatMove, Order
from trading.preview import preview
from trading.services import editing, flat_moves, recalculating, sells_first
from trading.services.lines import Chosen

from .conftest import again
from .test_money import approved, confirmed, executed
from .test_reconciling import in_step

pytestmark = pytest.mark.django_db

PRICES = {"VTI": "231.47", "AGG": "98.13", "BND": "72.505", "FUND": "17.771"}
CENT = Decimal("0.01")


def accounts(chance):
    """Six accounts with lots of four securities in three sleeves, known and unknown cost."""
    for symbol, price in PRICES.items():
        make.security(symbol, kind="mutual_fund" if symbol == "FUND" else "etf")
        make.price(symbol, price)
    core, tilt = make.model("Core", VTI=50, BND=30, FUND=20), make.model("A tilt", VTI=30, AGG=70)
    weights = [(core, 30), (tilt, 20), ("VTI", 20), ("AGG", 20), ("FUND", 8), ("cash", 2)]
    plan = make.portfolio("Mix", [make.component(held, weight) for held, weight in weights])
    methods = ("", "fifo", "lifo", "hifo", "minimum_tax")
    for number in range(6):
        cash = Decimal(chance.randint(0, 2_000_000)).scaleb(-2)
        account = make.account(
            f"A{number}", portfolio=plan, cash=cash, set_aside_cash=chance.choice([0, 50]),
            lot_method=chance.choice(methods),
        )  # fmt: skip
        for sleeve, symbol in ((sleeve, symbol) for sleeve in ("managed", core, tilt) for symbol in PRICES):
            for lot in range(chance.randint(0, 3)):
                _lot(chance, account, sleeve, symbol, f"L{lot}")
        yield account


def _lot(chance, account, sleeve, symbol, lot_id):
    shares = chance.randint(1, 90) if symbol != "FUND" else Decimal(chance.randint(1, 900_000)).scaleb(-3)
    cost = None if chance.random() < 0.2 else Decimal(chance.randint(100, 2_000_000)).scaleb(-2)
    acquired = date(chance.randint(2020, 2026), chance.randint(1, 10), 3)
    make.lot(account, symbol, shares, cost, acquired, lot_id, sleeve)


def edit(chance, ticket, by):
    """Some edit of the ticket; whether it was possible."""
    version = again(ticket).version
    part = chance.choice(list(Allocation.objects.filter(order__ticket=ticket).select_related("order__security")))
    step, what = part.order.security.quantity_step, chance.choice(["out", "half", "prices", "block"])
    try:
        if what == "out":
            editing.leave_out(ticket, version, Chosen(accounts=(part.account_id,)), by)
        elif what == "half":
            editing.change_shares(ticket, version, {part.pk: part.quantity / 2 // step * step}, by)
        elif what == "block":
            editing.change_shares(ticket, version, {}, by, orders={part.order_id: part.order.quantity + 3 * step})
        else:
            moved = part.order.price * Decimal(chance.randint(900, 1100)) / 1000
            make.price(part.order.security.symbol, round(moved, 3), as_of=OPEN - timedelta(seconds=1))
            Price.objects.exclude(as_of=OPEN - timedelta(seconds=5)).update(as_of=OPEN - timedelta(seconds=4))
            recalculating.recalculate(ticket, version, by)
    except Refused:
        return False
    return True


def execute(chance, order):
    """Fill all of an order, a part or nothing, in some pieces near its price."""
    step = order.security.quantity_step
    total = chance.choice([order.quantity, order.quantity * Decimal(chance.random()) // step * step, Decimal(0)])
    fills, left = [], total
    while left:
        shares = min(left, max(step, total * Decimal(chance.random()) // step * step))
        fills.append((shares, round(order.price * Decimal(chance.randint(970, 1000)) / 1000, 6)))
        left -= shares
    executed(order, *fills)
    money = sum((shares * price for shares, price in fills), Decimal(0)).quantize(CENT, "ROUND_HALF_UP")
    parts = list(order.allocations.all())
    assert (sum(one.filled_quantity for one in parts), sum(one.filled_amount for one in parts)) == (total, money)
    assert all(0 <= one.filled_quantity <= one.quantity and not one.filled_quantity % step for one in parts)
    assert not any(one.is_open for one in parts)


def standing():
    """Shares and known cost by account and security, and cash by account."""
    name = ("account__number", "security__symbol")
    held = {tuple(key): one for *key, one in Position.objects.values_list(*name).annotate(held=Sum("quantity"))}
    known = Lot.objects.exclude(total_cost=None)
    cost = {tuple(key): one for *key, one in known.values_list(*name).annotate(cost=Sum("total_cost"))}
    return defaultdict(Decimal, held), defaultdict(Decimal, cost), dict(Account.objects.values_list("number", "cash"))


@pytest.mark.parametrize("seed", range(6))
def test_shares_cash_and_cost_add_up(seed, desk):
    chance = random.Random(seed)
    batch = approved(desk, *accounts(chance))
    ticket, before = batch.ticket, standing()
    for _ in range(chance.randint(0, 4)):
        edit(chance, ticket, desk)
    sell_first = bool(seed % 2)
    editing.set_sells_first(ticket, again(ticket).version, sell_first, desk)
    for line in preview(desk, again(ticket), OPEN).refusals:
        out = tuple(one.pk for one in line.accounts)
        editing.leave_out(ticket, again(ticket).version, Chosen(accounts=out), desk)
    confirmed(batch, desk)
    moves = FlatMove.objects.filter(ticket=ticket, is_open=True).count()
    assert flat_moves.book_moves(ticket) == moves > 0
    assert standing() == before
    for order in Order.objects.filter(ticket=ticket, state="ready").order_by("-side", "pk"):
        if order.side == "sell" or not sell_first or sells_first.cut_to_cash(order):
            execute(chance, again(order))
    _adds_up(before, ticket)
    if sell_first:
        for account in Account.objects.filter(allocations__order__side="buy", allocations__filled_quantity__gt=0):
            assert account.cash >= account.set_aside_cash


def _adds_up(before, ticket):
    held, cost, cash = before
    parts = Allocation.objects.filter(order__ticket=ticket, filled_quantity__gt=0)
    for part in parts.select_related("account", "order__security"):
        sign = 1 if part.order.side == "buy" else -1
        held[part.account.number, part.order.security.symbol] += sign * part.filled_quantity
        cash[part.account.number] -= sign * part.filled_amount
    for lot in BookedLot.objects.exclude(cost=None).select_related("booking__account", "booking__security"):
        sign = 1 if lot.booking.quantity > 0 else -1
        cost[lot.booking.account.number, lot.booking.security.symbol] += sign * lot.cost
    now = standing()
    assert [{key: one for key, one in row.items() if one} for row in now[:2]] == [
        {key: one for key, one in row.items() if one} for row in (held, cost)
    ]
    assert now[2] == cash
    for booking in Booking.objects.prefetch_related("booked_lots"):
        lots = booking.booked_lots.all()
        money = [one.proceeds if booking.quantity < 0 else -one.cost for one in lots]
        assert (sum(one.quantity for one in lots), sum(money)) == (abs(booking.quantity), booking.amount)
    assert in_step()
