"""securities.csv and prices.csv."""

from datetime import datetime
from decimal import Decimal

from accounts.models import Security
from accounts.services.prices import Quote, store_prices
from accounts.services.records import security_problems, want_checks_of

from .kinds import NO_NUMBER, Choice, Moment, Reference, Text
from .table import BookFile, Column
from .values import PRICE, QUANTITY, longest, values_of

SOURCE = "file"
STEPS = {"mutual_fund": 1_000, "sweep": 10_000}  # of kinds that have no whole shares, in millionths
WHOLE = 1_000_000
KEPT = ("name", "kind", "asset_class", "quantity_step")


def check_securities(table, world):
    """What is part of a model or portfolio may not become a sweep."""
    known = Security.objects.in_bulk(field_name="symbol")
    good = table.known("symbol", "kind")
    for number, (symbol, kind) in enumerate(table.rows("symbol", "kind")):
        if good[number] and kind == Security.Kind.SWEEP and symbol in known:
            for problem in security_problems(Security(pk=known[symbol].pk, symbol=symbol, kind=kind)):
                table.refuse([number], "kind", problem.words)


def take_securities(table, world):
    """Add new securities and update known ones; ask for a check of the accounts that a change concerns."""
    known = Security.objects.in_bulk(field_name="symbol")
    new, changed = [], []
    for security in map(_security, table.rows("symbol", "name", "kind", "asset_class", "quantity_step")):
        before = known.get(security.symbol)
        if before is None:
            new.append(security)
        elif any(getattr(before, name) != getattr(security, name) for name in KEPT):
            security.pk = before.pk
            changed.append(security)
    Security.objects.bulk_create(new)
    Security.objects.bulk_update(changed, KEPT, batch_size=500)
    want_checks_of(Security.objects.filter(pk__in=[security.pk for security in changed]))
    return len(new) + len(changed)


def _security(row):
    symbol, name, kind, asset_class, step = row
    step = STEPS.get(kind, WHOLE) if step == NO_NUMBER else step
    return Security(symbol=symbol, name=name, kind=kind, asset_class=asset_class, quantity_step=Decimal(step) / WHOLE)


def take_prices(table, world):
    """Store the prices; one that looks wrong is kept as questioned, and not used until somebody confirms it."""
    stored = store_prices(
        Quote(security, Decimal(price) / PRICE.unit, _moment(as_of, world), SOURCE)
        for security, price, as_of in table.rows("symbol", "price", "as_of")
    )
    if stored.questioned:
        world.remarks.append(f"prices.csv: {stored.questioned:,} questioned, not used until somebody confirms them")
    return stored.stored


def _moment(as_of, world):
    """The moment of a price: of a day its session's close, or now where that is still to come."""
    if as_of is None:
        return world.now
    return as_of if isinstance(as_of, datetime) else min(world.close_of(as_of), world.now)


SECURITIES = BookFile(
    "securities.csv",
    (
        Column("symbol", Text(longest(Security, "symbol"))),
        Column("name", Text(longest(Security, "name"))),
        Column("kind", Choice(values_of(Security.Kind))),
        Column("asset_class", Text(longest(Security, "asset_class")), required=False),
        Column("quantity_step", QUANTITY, required=False),
    ),
    key=("symbol",),
    check=check_securities,
    take=take_securities,
)
PRICES = BookFile(
    "prices.csv",
    (Column("symbol", Reference("security")), Column("price", PRICE), Column("as_of", Moment(), required=False)),
    key=("symbol", "as_of"),
    take=take_prices,
)
