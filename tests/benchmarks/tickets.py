"""An order ticket of 5,000 accounts × 25 securities: opening it, and saving what is edited of it."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from itertools import cycle

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext, setup_databases, teardown_databases

from accounts.imports.copying import copy_rows
from accounts.models import Account, Custodian, Price, Role, Security, Sleeve, User
from trading.models import Allocation, Order
from trading.services.market_days import keep_days
from trading.services.staging import Block, Part, Sold, stage
from trading.states import Side

from .report import Figure, median_seconds

ACCOUNTS, SECURITIES = 5_000, 25
HELD, TRADED, PRICE = Decimal(400), Decimal(10), Decimal(50)
RUNS = 3
MOST, OF_THE_PERSON = 8, 2  # queries; session and person come with every page of the product
ROWS_AT_ONCE = 10_000
POSITION = ("account_id", "sleeve_id", "security_id")
LOT = ("lot_id", "quantity", "total_cost", "acquired_on")
LOTS = [
    ("L0", HELD / 4, 4_000, date(2020, 1, 2)),
    ("L1", HELD / 4, 4_500, date(2022, 3, 4)),
    ("L2", HELD / 4, 5_000, date(2024, 5, 6)),
    ("L3", HELD / 4, 5_500, date(2026, 7, 8)),
]


def figures() -> Iterator[Figure]:
    old = setup_databases(verbosity=0, interactive=False)
    try:
        person = _person()
        ticket = _ticket(person)
        connection.cursor().execute("ANALYZE")
        client = Client(SERVER_NAME="localhost")
        client.force_login(person, backend=settings.AUTHENTICATION_BACKENDS[-1])
        yield from _opening(client, ticket)
        yield from _saving(client, ticket)
    finally:
        teardown_databases(old, verbosity=0)


def _person():
    person = User.objects.create_user("tickets")
    person.groups.add(Group.objects.get(name=Role.OPERATIONS))
    return person


def _ticket(person):
    """Half of the securities are bought and half are sold, by every account; each position has its lots."""
    keep_days()
    accounts, securities = _accounts(), _securities()
    sleeve = Sleeve.objects.get(kind=Sleeve.Kind.MANAGED)
    rows = [(account.pk, sleeve.pk, security.pk) for account in accounts for security in securities]
    copy_rows("accounts_position", (*POSITION, "quantity"), ((*row, HELD) for row in rows))
    copy_rows("tax_lot", (*POSITION, *LOT), ((*row, *lot) for row in rows for lot in LOTS))
    blocks = [_block(number, security, accounts, sleeve) for number, security in enumerate(securities)]
    return stage(label="Request 1", by=person, trade_date=date(2026, 11, 20), blocks=blocks, moves=[])


def _accounts():
    custodian = Custodian.objects.create(name="Custodian")
    made = [
        Account(number=f"{number:08d}", name=f"Client {number} Trust", custodian=custodian, cash=Decimal(20_000))
        for number in range(ACCOUNTS)
    ]
    return Account.objects.bulk_create(made, batch_size=ROWS_AT_ONCE)


def _securities():
    kind = Security.Kind.ETF
    securities = Security.objects.bulk_create(
        [Security(symbol=f"SEC{number:02d}", name=f"Security {number}", kind=kind) for number in range(SECURITIES)]
    )
    now = datetime.now(UTC)
    Price.objects.bulk_create([Price(security=one, price=PRICE, as_of=now, source="bench") for one in securities])
    return securities


def _block(number, security, accounts, sleeve):
    sells = number % 2 == 1
    lots = [["L0", str(TRADED)]] if sells else []
    sold = Sold(long_quantity=TRADED, long_cost=Decimal(400)) if sells else Sold()
    side = Side.SELL if sells else Side.BUY
    return Block(security.pk, side, PRICE, [Part(one.pk, sleeve.pk, TRADED, lots, sold) for one in accounts])


def _opening(client, ticket) -> Iterator[Figure]:
    at = f"/trading/tickets/{ticket.pk}/"
    order, account = Order.objects.filter(ticket=ticket).first().pk, Account.objects.first().pk
    what = {
        "Ticket of 5,000 accounts × 25 securities, opened": at,
        "… its live figures": f"{at}live/?version=1",
        "… the first 50 accounts of an order": f"{at}orders/{order}/",
        "… by account": f"{at}?by=account",
        "… all lines of an account": f"{at}accounts/{account}/",
    }
    for name, address in what.items():
        ask = partial(_ask, client, address)
        seconds = median_seconds(ask, RUNS)
        yield _figure(name, seconds, ask)


def _ask(client, address):
    assert client.get(address).status_code == 200


def _figure(name, seconds, ask):
    ask()  # what the frame of pages keeps for some seconds
    with CaptureQueriesContext(connection) as asked:
        ask()
    count = sum(one["sql"] not in ("BEGIN", "COMMIT") for one in asked) - OF_THE_PERSON
    return Figure(name, f"{seconds * 1000:,.0f} ms, {count} queries", f"≤ {MOST} queries", count <= MOST)


def _saving(client, ticket) -> Iterator[Figure]:
    """Each save changes something: shares go up and down again."""
    buys = Allocation.objects.filter(order__side=Side.BUY).order_by("order", "account__number")
    sells = Allocation.objects.filter(order__side=Side.SELL).order_by("order", "account__number")
    order = sells.first().order
    what = {
        "… one purchase saved": lambda n: {f"line-{buys.first().pk}": n},
        "… one sale saved, with its lots": lambda n: {f"line-{sells.first().pk}": n},
        "… a page of 50 sales saved": lambda n: {f"line-{pk}": n for pk in sells.values_list("pk", flat=True)[:50]},
        "… a block of 5,000 sales shared anew": lambda n: {f"order-{order.pk}": int(n) * ACCOUNTS},
    }
    for name, fields in what.items():
        yield _saved(name, client, ticket, [fields(number) for number in ("11", "10")])
    out = [{"leave_out": f"order-{order.pk}"}, {"take_back": f"order-{order.pk}"}]
    yield _saved("… a whole order left out, and back", client, ticket, out)
    prices = cycle([PRICE * Decimal("0.8"), PRICE * Decimal("1.25")])

    def move():
        price, now = next(prices), datetime.now(UTC)
        made = [Price(security=one, price=price, as_of=now, source="bench") for one in Security.objects.all()]
        Price.objects.bulk_create(made)

    move()
    post = partial(_post, client, ticket, iter(lambda: {"recalculate": "yes"}, None))
    seconds = median_seconds(post, RUNS, after=move)
    yield Figure("… all 125,000 lines recalculated", f"{seconds:.1f} s")


def _saved(name, client, ticket, fields):
    turns = iter(fields * 9)
    post = partial(_post, client, ticket, turns)
    seconds = median_seconds(post, RUNS)
    return _figure(name, seconds, post)


def _post(client, ticket, turns):
    """Send the next of these; the version is what the page has shown last, known without asking for it here."""
    fields = {"version": ticket.version, **next(turns)}
    answer = client.post(f"/trading/tickets/{ticket.pk}/edit/", fields)
    assert answer.status_code == 302, answer.content.decode()[-2000:]
    ticket.version += 1
