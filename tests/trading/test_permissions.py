"""Who may do what at every address of orders and tickets: each role, by GET and by POST, and nothing written by GET."""

import json
from datetime import date
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client
from django.urls import get_resolver, reverse
from django.utils import timezone

from accounts.models import AuditLine
from rebalancer.services import batches
from tax.models import Break
from tests import factories as make
from tests.rebalancer.conftest import again, as_seen, drifted, pending
from trading.models import Fill, MarketDay, Order, OrderFile, Route, Ticket
from trading.services import market_days, watching
from trading.states import OrderState

from . import orders

pytestmark = pytest.mark.django_db

PEOPLE = ("ann", "olive", "adam")  # of the accounts: an advisor of some, Operations, an Administrator
LOOK = {"ann": 200, "olive": 200, "adam": 200}
DESK = {"ann": 403, "olive": 200, "adam": 403}
ALL_SEEING = {"ann": 404, "olive": 200, "adam": 200}
DO = {"ann": 403, "olive": 302, "adam": 403}

PAGES = {
    "trading:ticket": LOOK,
    "trading:ticket_live": LOOK,
    "trading:ticket_execution": LOOK,
    "trading:recalculate_ticket": LOOK,
    "trading:ticket_order_lines": LOOK,
    "trading:ticket_account_lines": LOOK,
    "rebalancer:preview": LOOK,
    "rebalancer:ticket_request": {"ann": 302, "olive": 302, "adam": 302},
    "trading:orders": LOOK,
    "trading:questioned": ALL_SEEING,
    "trading:order": LOOK,
    "trading:order_status": LOOK,
    "trading:ticket_file": DESK,
    "trading:ticket_files_of": DESK,
    "trading:fills": ALL_SEEING,
    "trading:fills_file": ALL_SEEING,
    "trading:finish": LOOK,
    "trading:finish_status": LOOK,
    "rebalancer:breaks": LOOK,
}
WORDS = {  # pages that ask for a word and take it: who sees them, and the verb of what they do
    "trading:questioned_fill": (ALL_SEEING, "fill.put_aside"),
    "trading:end_order": (DESK, "order.ended"),
    "rebalancer:break": (LOOK, "break.resolved"),
}
COMMANDS = {
    "trading:edit_ticket": "ticket.edited",
    "rebalancer:leave_out": "ticket.left_out",
    "rebalancer:confirm_ticket": "ticket.confirmed",
    "trading:cancel_orders": "order.cancelled",
    "trading:cancel_order": "order.cancelled",
    "trading:ask_order": "order.asked",
    "trading:cancel_ticket_orders": "order.cancelled",
    "rebalancer:resolve_break": "break.resolved",
}
LISTS = {"trading:orders", "trading:order", "trading:questioned"}  # whose layout is posted
OF_ALL = {"trading:orders", "trading:cancel_orders", "rebalancer:breaks"}  # of which everybody has one, if it is empty
QUERY = {"trading:ticket_execution": "?order=all"}


@pytest.fixture
def people():
    makers = {"ann": make.advisor, "olive": make.operations, "adam": make.administrator}
    return {name: maker(name) for name, maker in makers.items()}


@pytest.fixture
def world(people):
    """A staged ticket of Ann's A1 and of A3, nobody's; one of both that is at a custodian; and a break of A1."""
    make.price("VTI", 100)
    make.price("AGG", 50)
    portfolio = make.portfolio("Balanced", VTI=60, AGG=38)
    one, other = drifted(portfolio, "A1", advisor=people["ann"]), drifted(portfolio, "A3")
    batch = pending(people["olive"], one, other)
    batches.approve(batch, by=people["olive"], **as_seen(batch))
    batches.finish_approval(batch.pk)
    market_days.keep_days()
    custodian = make.custodian("Schwab")
    Route.objects.create(custodian=custodian, broker="file")
    later = [make.account(name, advisor=who, custodian=custodian) for name, who in (("B1", one.advisor), ("B3", None))]
    sent = orders.confirmed(orders.staged("VTI", "buy", 100, dict.fromkeys(later, 10), label="Request 8"))
    working = {"state": OrderState.WORKING, "sent_at": timezone.now(), "trouble": watching.NOT_KNOWN, "broker": "paper"}
    Order.objects.filter(pk=sent.pk).update(client_order_id="RB1", **working)
    file = {"custodian": custodian, "file_format": "generic", "text": "a,b\r\n", "column_map": 1}
    OrderFile.objects.create(ticket=sent.ticket, kind="orders", name="o.csv", dropped_at=timezone.now(), **file)
    OrderFile.objects.create(kind="fills", name="f.csv", **file)
    orders.question()
    Break.objects.create(
        account=one, session=date(2026, 11, 20), expected=40, delivered=38, security=make.security("VTI")
    )
    return SimpleNamespace(staged=again(batch).ticket, sent=sent.ticket, order=sent, account=one, custodian=custodian)


def address(name, world):
    staged, sent = world.staged, world.sent
    args = {
        "trading:ticket_order_lines": [staged.pk, staged.orders.first().pk],
        "trading:ticket_account_lines": [staged.pk, world.account.pk],
        "trading:order": [world.order.pk],
        "trading:order_status": [world.order.pk],
        "trading:cancel_order": [world.order.pk],
        "trading:ask_order": [world.order.pk],
        "trading:end_order": [world.order.pk],
        "trading:questioned_fill": [Fill.objects.get().pk],
        "rebalancer:break": [Break.objects.get().pk],
        "trading:ticket_file": [sent.pk, OrderFile.objects.get(kind="orders").pk],
        "trading:ticket_files_of": [sent.pk, world.custodian.pk, "orders"],
        "trading:fills_file": [OrderFile.objects.get(kind="fills").pk],
        "rebalancer:resolve_break": [world.account.pk, Break.objects.get().pk],
        "trading:cancel_ticket_orders": [sent.pk],
        "trading:finish": [sent.pk],
        "trading:finish_status": [sent.pk],
    }
    of_nothing = {f"trading:{one}" for one in ("orders", "questioned", "fills", "cancel_orders")} | {
        "rebalancer:breaks"
    }
    return reverse(name, args=[] if name in of_nothing else args.get(name, [staged.pk])) + QUERY.get(name, "")


def posted(name, world):
    """What the page of it sends, as somebody may who does."""
    staged = world.staged
    if name == "rebalancer:confirm_ticket":
        desk = Client()
        desk.force_login(staged.created_by)
        return dict(desk.get(reverse("rebalancer:preview", args=[staged.pk])).context["sent"])
    return {
        "trading:edit_ticket": {"version": staged.version, f"order-{staged.orders.first().pk}": "0"},
        "rebalancer:leave_out": {"version": staged.version, "numbers": json.dumps(["A1"])},
        "trading:cancel_orders": {"scope": "picked", "query": "", "shown": 1, "ids": str(world.order.pk)},
    }.get(name, {"words": "The custodian corrects it.", "filled": "0"})


def everything():
    """All that is stored of the book, its orders and who did what, table by table."""
    models = [
        one for label in ("accounts", "tax", "trading", "rebalancer") for one in apps.get_app_config(label).get_models()
    ]
    tables = {one._meta.db_table for one in models if one.__name__ != "User"}
    with connection.cursor() as cursor:
        found = {}
        for table in sorted(tables):
            cursor.execute(f"SELECT count(*), md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {table} t")
            found[table] = cursor.fetchone()
    return found


def refusals():
    return list(AuditLine.objects.filter(verb="refused").values_list("by__username", "after__command"))


def test_every_address_is_looked_at_here():
    names = {
        f"trading:{one}" for one in get_resolver().namespace_dict["trading"][1].reverse_dict if isinstance(one, str)
    }
    of_the_rebalancer = {"preview", "leave_out", "confirm_ticket", "ticket_request", "resolve_break", "breaks", "break"}
    assert set(PAGES) | set(COMMANDS) | set(WORDS) == names | {f"rebalancer:{one}" for one in of_the_rebalancer}


def test_nobody_is_led_to_the_login_and_nothing_is_done(client, world):
    sent = {name: posted(name, world) for name in {*COMMANDS, *LISTS, *WORDS, "trading:fills"}}
    before = everything()
    for name in {*PAGES, *WORDS}:
        where = address(name, world)
        assert client.get(where).headers["Location"].startswith("/login/?next="), name
    for name in sent:
        answer = client.post(address(name, world), sent[name])
        assert (answer.status_code, answer.headers["Location"][:7]) == (302, "/login/"), name
    assert everything() == before


def test_a_stranger_finds_nothing(client, world):
    client.force_login(make.advisor("stranger"))
    for name in {*PAGES, *WORDS}:
        assert client.get(address(name, world)).status_code == (200 if name in OF_ALL else 404), name
    sent = {name: posted(name, world) for name in {*COMMANDS, *WORDS} - OF_ALL}
    before = everything()
    for name in sent:
        assert client.post(address(name, world), sent[name]).status_code == 404, name
    for name in ("trading:order", "trading:questioned", "trading:fills"):
        assert client.post(address(name, world), {}).status_code == 404, name
    assert everything() == before
    assert (
        client.post(address("trading:cancel_orders", world), posted("trading:cancel_orders", world)).status_code == 403
    )


@pytest.mark.parametrize("person", PEOPLE)
def test_who_looks(client, world, people, person):
    client.force_login(people[person])
    before = everything()
    for name, answers in PAGES.items():
        assert client.get(address(name, world)).status_code == answers[person], name
        assert client.head(address(name, world)).status_code == answers[person], name
        assert client.post(address(name, world)).status_code in (200, 302, 400, 403, 404, 405), name
    changed = {table for table, now in everything().items() if before[table] != now}
    forbidden = [name for name, answers in PAGES.items() if answers[person] == 403]
    assert changed == ({"accounts_auditline"} if forbidden else set())
    assert refusals().count((person, "file.downloaded")) == 2 * len(forbidden)


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_who_does(client, world, people, person, name):
    sent = posted(name, world)
    client.force_login(people[person])
    before = everything()
    assert client.get(address(name, world)).status_code == 405
    assert everything() == before
    assert client.post(address(name, world), sent).status_code == DO[person]
    changed = {table for table, now in everything().items() if before[table] != now}
    if DO[person] == 302:
        assert not refusals()
        assert changed >= {"accounts_auditline"}
        assert changed - {"accounts_auditline"}
    else:
        assert changed == {"accounts_auditline"}
        verb = "ticket.shares_changed" if name == "trading:edit_ticket" else COMMANDS[name]
        assert refusals() == [(person, verb)]


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("name", sorted(WORDS))
def test_who_gives_their_word(client, world, people, person, name):
    sees, verb = WORDS[name]
    client.force_login(people[person])
    before = everything()
    assert client.get(address(name, world)).status_code == sees[person]
    assert everything() == before
    answer = client.post(address(name, world), posted(name, world)).status_code
    assert answer == (404 if sees[person] == 404 else DO[person])
    assert refusals() == ([(person, verb)] if answer == 403 else [])
    assert AuditLine.objects.filter(verb=verb).exists() == (answer == 302)


def test_without_its_token_nothing_is_taken(world, people):
    """As another site would have the browser of somebody of Operations send it."""
    client = Client(enforce_csrf_checks=True)
    sent = {name: posted(name, world) for name in (*COMMANDS, *LISTS, *WORDS, "trading:fills")}
    client.force_login(people["olive"])
    before = everything()
    for name, fields in sent.items():
        assert client.post(address(name, world), fields).status_code == 403, name
    assert everything() == before


# --- ids of others in one's own address or form --------------------------------------------------------------------


@pytest.fixture
def elsewhere(world):
    """Another ticket, of accounts that Ann doesn't see."""
    account = make.account("C1", cash=100_000)
    return orders.staged("VTI", "buy", 100, {account: 10}, label="Request 9")


def test_parts_of_another_ticket_are_not_found(client, world, people, elsewhere):
    client.force_login(people["olive"])
    mine, file = world.staged.pk, OrderFile.objects.get(kind="orders").pk
    custodian = world.custodian.pk
    for where in (
        reverse("trading:ticket_order_lines", args=[mine, elsewhere.pk]),
        reverse("trading:ticket_account_lines", args=[mine, elsewhere.allocations.get().account_id]),
        reverse("trading:ticket_execution", args=[mine]) + f"?order={elsewhere.pk}",
        reverse("trading:ticket_file", args=[mine, file]),
        reverse("trading:ticket_file", args=[world.sent.pk, OrderFile.objects.get(kind="fills").pk]),
        reverse("trading:ticket_files_of", args=[mine, custodian, "orders"]),
        reverse("trading:ticket_files_of", args=[world.sent.pk, custodian, "fills"]),
        reverse("trading:ticket_files_of", args=[world.sent.pk, 10**15, "orders"]),
        reverse("trading:fills_file", args=[file]),
        reverse("rebalancer:resolve_break", args=[elsewhere.allocations.get().account_id, Break.objects.get().pk]),
    ):
        assert client.get(where).status_code in (404, 405), where
        assert client.post(where, {"words": "x"}).status_code in (404, 405), where


@pytest.mark.parametrize(
    "fields",
    [
        {"line-{line}": "0"}, {"order-{order}": "0"}, {"leave_out": "line-{line}"}, {"leave_out": "order-{order}"},
        {"leave_out": "account-{account}"}, {"take_back": "line-{line}"},
        {"execution": "{order}", "algorithm": "market"},
    ],
)  # fmt: skip
def test_lines_of_another_ticket_are_not_edited(client, world, people, elsewhere, fields):
    part = elsewhere.allocations.get()
    ids = {"line": part.pk, "order": elsewhere.pk, "account": part.account_id}
    sent = {name.format(**ids): value.format(**ids) for name, value in fields.items()}
    client.force_login(people["olive"])
    before = everything()
    where = reverse("trading:edit_ticket", args=[world.staged.pk])
    assert client.post(where, {"version": world.staged.version, **sent}).status_code in (404, 409)
    assert {table for table, now in everything().items() if before[table] != now} <= {"accounts_auditline"}


def test_an_account_of_another_ticket_is_not_left_out(client, world, people, elsewhere):
    client.force_login(people["olive"])
    for numbers in (["C1"], ["A1", "C1"], ["nobody"]):
        before = Ticket.objects.get(pk=world.staged.pk).version
        sent = {"version": before, "numbers": json.dumps(numbers)}
        client.post(reverse("rebalancer:leave_out", args=[world.staged.pk]), sent)
        assert Ticket.objects.get(pk=world.staged.pk).version == before, numbers


def test_what_another_preview_showed_confirms_nothing(client, world, people, elsewhere):
    """The digest of one ticket, sent to another."""
    sent = posted("rebalancer:confirm_ticket", world)
    client.force_login(people["olive"])
    other = elsewhere.ticket
    assert client.post(reverse("rebalancer:confirm_ticket", args=[other.pk]), sent).status_code == 302
    assert again(other).confirmed_at is None


@pytest.mark.parametrize(
    "changed", [{"digest": "0" * 64}, {"digest": ""}, {"version": "2"}, {"still": "e30:1abc:x"}, {"still": ""}]
)
def test_a_preview_that_was_tampered_with(client, world, people, changed):
    """What was shown is what is confirmed; the lines only name what differs, and the version is part of the digest."""
    sent = posted("rebalancer:confirm_ticket", world)
    client.force_login(people["olive"])
    client.post(reverse("rebalancer:confirm_ticket", args=[world.staged.pk]), sent | changed)
    assert (again(world.staged).confirmed_at is None) == ("digest" in changed)
    assert MarketDay.objects.exists()
