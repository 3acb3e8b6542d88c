"""Goal 3: a batch from its request to Pending Approval, beside COPY of what it reads and writes, and beside Django's
usual way."""

import statistics
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from time import perf_counter

from django.contrib.auth.models import Group
from django.db import transaction

from accounts.models import Account, Role, User
from rebalancer.loading import LOTS, POSITIONS
from rebalancer.models import Batch, Entry, LotLine, PositionLine, TradeLine
from rebalancer.quotes import newest
from rebalancer.services import batches, eligibility
from rebalancer.services.proposing import ACCOUNTS_AT_ONCE
from rebalancer.states import BatchState, Logic
from rebalancer.storing import LINES

from . import floors
from .report import Figure

BOOK = {"accounts": 10_600, "positions": 25, "lots": 5, "seed": 7}  # so that 10,000 can be proposed
SIZES = (1_000, 10_000)
RUNS = 3
TIMES_FLOOR, TIMES_FASTER = 1.5, 8.0
CENT = Decimal("0.01")


def figures(book=None, sizes=SIZES) -> Iterator[Figure]:
    with floors.empty_database():
        with floors.files_of(**(book or BOOK)) as folder:
            floors.receive(folder)
        floors.settle()
        person = User.objects.create_user("bench")
        person.groups.add(Group.objects.get(name=Role.OPERATIONS))
        for size in sizes:
            yield from _sized(person, size)


def _sized(person, size) -> Iterator[Figure]:
    """The three of them in turns, on the same accounts."""
    able = eligibility.with_why_not(Account.objects.filter(is_open=True), Logic.BEST_FIT, None, False)
    chosen = list(able.filter(why_not="").order_by("pk").values_list("pk", flat=True)[:size])
    runs = [_turn(person, chosen) for _ in range(RUNS + 1)][1:]
    ours, floor, usual = (statistics.median(seconds) for seconds in zip(*runs, strict=True))
    name = f"Batch of {len(chosen):,} accounts, request to Pending Approval"
    value = f"{ours / floor:.2f}× COPY of the same rows ({ours:.2f} s, {floor:.2f} s)"
    yield Figure(name, value, "at most 1.5×", ours / floor <= TIMES_FLOOR)
    value = f"{usual / ours:.1f}× faster ({usual:.1f} s)"
    name = "… beside prefetch_related, Decimal and bulk_create"
    yield Figure(name, value, "at least 8× faster", usual / ours >= TIMES_FASTER)


def _turn(person, chosen):
    started = perf_counter()
    accounts = Account.objects.filter(pk__in=chosen)
    opened = batches.open_batch(by=person, accounts=accounts, shown=len(chosen), logic=Logic.BEST_FIT)
    batches.propose_batch(opened.batch.pk)
    ours = perf_counter() - started
    opened.batch.refresh_from_db()
    assert opened.batch.state == BatchState.PENDING_APPROVAL, opened.batch.state
    floor = _floor(opened.batch, chosen)
    started = perf_counter()
    with transaction.atomic():
        for start in range(0, len(chosen), ACCOUNTS_AT_ONCE):
            _usual(opened.batch, chosen[start : start + ACCOUNTS_AT_ONCE])
        usual = perf_counter() - started
        transaction.set_rollback(True)
    for model in LINES:
        model.objects.filter(entry__batch=opened.batch).delete()
    Batch.objects.filter(pk=opened.batch.pk).delete()
    return ours, floor, usual


def _floor(batch, chosen):
    """Seconds of COPY: positions and lots out, as they are loaded; the entries and all their lines in."""
    seconds = sum(floors.copy_out(query, [chosen])[1] for query in (POSITIONS, LOTS))
    entries = Entry._meta.db_table
    seconds += floors.copy_in(entries, f"SELECT * FROM {entries} WHERE batch_id = %s", [batch.pk])
    for model in LINES:
        table = model._meta.db_table
        of_batch = f"SELECT * FROM {table} WHERE entry_id IN (SELECT id FROM {entries} WHERE batch_id = %s)"
        seconds += floors.copy_in(table, of_batch, [batch.pk])
    return seconds


# --- the usual way --------------------------------------------------------------------------------------------


def _usual(batch, pks):
    """What one writes first: objects with everything around them, Decimal by Decimal; no bands, rules or comparison."""
    prices = {pk: quote.price for pk, quote in newest().usable.items()}
    related = ("positions__security", "positions__sleeve", "lots", "portfolio__components__security")
    accounts = Account.objects.filter(pk__in=pks).select_related("portfolio").prefetch_related(*related)
    entries = dict(Entry.objects.filter(batch=batch, account__in=pks).values_list("account", "pk"))
    positions, trades, lots = [], [], []
    for account in accounts:
        _usual_account(entries[account.pk], account, prices, positions, trades, lots)
    for model, lines in ((PositionLine, positions), (TradeLine, trades), (LotLine, lots)):
        model.objects.bulk_create(lines, batch_size=5_000)


def _usual_account(entry, account, prices, positions, trades, lots):
    held = [one for one in account.positions.all() if one.security_id in prices]
    value = account.cash + sum(one.quantity * prices[one.security_id] for one in held)
    targets = {one.security_id: one.weight for one in account.portfolio.components.all() if one.security_id}
    lots_of = defaultdict(list)
    for lot in account.lots.all():
        lots_of[lot.sleeve_id, lot.security_id].append(lot)
    for one in held:
        price, target = prices[one.security_id], targets.get(one.security_id, Decimal(4))
        weight = one.quantity * price / value * 100 if value else Decimal(0)
        shares = ((target - weight) * value / 100 / price).to_integral_value()
        shares = max(shares, -one.quantity)
        keys = {
            "entry_id": entry, "sleeve_id": one.sleeve_id, "security_id": one.security_id, "sleeve": str(one.sleeve),
            "symbol": one.security.symbol,
        }  # fmt: skip
        after = weight + shares * price / value * 100 if value else weight
        positions.append(
            PositionLine(**keys, quantity_before=one.quantity, quantity_after=one.quantity + shares, price=price,
                         weight_before=weight, weight_after=after, target_weight=target, note=0)
        )  # fmt: skip
        if shares:
            trades.append(
                TradeLine(**keys, side="buy" if shares > 0 else "sell", quantity=abs(shares),
                          market_quantity=abs(shares), flat_quantity=0, price=price,
                          value=(abs(shares) * price).quantize(CENT), reason=0)
            )  # fmt: skip
        _usual_lots(keys, lots_of[one.sleeve_id, one.security_id], -shares, price, lots)


def _usual_lots(keys, held, wanted, price, lots):
    for lot in sorted(held, key=lambda lot: -(lot.total_cost or 0) / lot.quantity):
        if wanted <= 0:
            return
        taken = min(wanted, lot.quantity)
        wanted -= taken
        cost = (lot.total_cost or 0) * taken / lot.quantity
        lots.append(
            LotLine(**keys, lot_id=lot.lot_id, acquired_on=lot.acquired_on, quantity=taken,
                    proceeds=(taken * price).quantize(CENT), cost=cost.quantize(CENT),
                    gain=(taken * price - cost).quantize(CENT), term="long", use=LotLine.Use.SALE)
        )  # fmt: skip
