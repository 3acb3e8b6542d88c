"""What people send to orders and tickets who mean no good, or whose browser is out of step: answered in words, on
record, and nothing is done.
"""

from contextlib import contextmanager
from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditLine
from tests import factories as make
from trading.brokers.base import FillReport
from trading.models import Allocation, Fill, Order, OrderFile, Route, Ticket
from trading.services import taking_in, watching

from .ticketing import line, market, order, quantities, staged

pytestmark = pytest.mark.django_db

LONG = "9" * 5_000  # digits: more than Python reads as a whole number
ODD_IDS = ["0", "-1", "9" * 30, LONG, "1.0", "1e5", "\0", "", "１", "x", "1_0"]
NO_QUANTITIES = [
    "", " ", "-1", "-0.5", "abc", "NaN", "sNaN", "-NaN", "NaN123", "Infinity", "-Infinity", "1e30", "9" * 30, LONG,
    "1e999999", "1e-999999", "0.1", "1 000x", "\0", "1\0", "１２x", "0x10", "--1", "1,2,3.4", "1e9999999999",
]  # fmt: skip


@pytest.fixture
def desk(db):
    return make.operations("olive")


@pytest.fixture
def olive(client, desk):
    client.force_login(desk)
    return client


@pytest.fixture
def ticket(desk):
    market()
    a1 = make.account("A1", cash=Decimal(1000))
    make.lot(a1, "AGG", 40, cost=1200)
    make.account("A2", cash=Decimal(5000))
    return staged({"A1": ["buy 8 VTI", "sell 10 AGG"], "A2": ["buy 4 VTI"]}, by=desk)


def at(ticket, rest=""):
    return f"/trading/tickets/{ticket.pk}/{rest}"


def as_it_was():
    return (
        list(Order.objects.order_by("pk").values()),
        list(Allocation.objects.order_by("pk").values()),
        list(Ticket.objects.values()),
    )


@contextmanager
def on_record(refusals):
    """So many refused commands are added to the audit trail."""
    before = AuditLine.objects.filter(verb="refused").count()
    yield
    assert AuditLine.objects.filter(verb="refused").count() == before + refusals


class TestNumbersThatAreNone:
    def test_as_shares(self, olive, ticket):
        before = as_it_was()
        fields = [f"line-{line('A1', 'buy VTI').pk}", f"order-{order('buy VTI').pk}"]
        for given in NO_QUANTITIES:
            for name in fields:
                with on_record(1):
                    assert olive.post(at(ticket, "edit/"), {"version": 1, name: given}).status_code == 400, given
        assert as_it_was() == before

    @pytest.mark.parametrize(("given", "shares"), [("-0", 0), ("0", 0), ("+2", 2), (" 3.0 ", 3)])
    def test_numbers_in_other_clothes(self, olive, ticket, given, shares):
        olive.post(at(ticket, "edit/"), {"version": 1, f"line-{line('A2', 'buy VTI').pk}": given})
        assert quantities()["A2", "buy VTI"] == shares
        assert str(quantities()["A2", "buy VTI"])[0] != "-"

    def test_as_names_of_lines(self, olive, ticket):
        before = as_it_was()
        for odd in ODD_IDS:
            for fields in (
                {f"line-{odd}": "1"}, {f"order-{odd}": "1"}, {"leave_out": f"line-{odd}"}, {"take_back": odd},
                {"leave_out": f"order-{odd}"}, {"leave_out": f"account-{odd}"}, {"execution": odd},
            ):  # fmt: skip
                answer = olive.post(at(ticket, "edit/"), {"version": 1, "algorithm": "market", **fields})
                assert answer.status_code in (302, 400, 404, 409), fields
        assert as_it_was() == before

    def test_as_what_is_shown(self, olive, ticket):
        for odd in ODD_IDS:
            asked = dict.fromkeys(("open", "page", "by", "q", "version", "order", "confirmed"), odd)
            for rest in ("", "live/", f"orders/{order('buy VTI').pk}/", "recalculate/", "preview/"):
                assert olive.get(at(ticket, rest), asked).status_code == 200, (rest, odd)
            assert olive.get(at(ticket, "execution/"), asked).status_code == 404, odd
            assert olive.get(at(ticket), asked | {"by": "account"}).status_code == 200, odd

    @pytest.mark.parametrize("rest", ["edit/", "confirm/", "preview/leave-out/"])
    def test_as_the_version_that_was_seen(self, olive, ticket, rest):
        before = as_it_was()
        fields = {"leave_out": f"line-{line('A1', 'buy VTI').pk}", "digest": "0" * 64, "numbers": '["A1"]'}
        for odd in ODD_IDS:
            if rest == "edit/" or odd not in ("1.0", "１"):  # these are 1 to a form
                with on_record(1):
                    answer = olive.post(at(ticket, rest), {"version": odd, **fields})
                    assert answer.status_code in (302, 400, 409), odd
        assert as_it_was() == before


NO_ACCOUNTS = [
    "", "[]", "{}", "null", '"A1"', "[1]", "[null]", '[["A1"]]', "[NaN]", '["A1"', '["\\u0000"]', '["A1", "\\u0000"]',
    '["\\ud800"]', "[" * 100_000, f"[{LONG}]", f'["{"x" * 100_000}"]', "\0", '["A1"]\0', '["C9"]', '["A1", "C9"]',
]  # fmt: skip


def test_accounts_to_be_left_out_that_are_none(olive, ticket):
    before = as_it_was()
    for numbers in NO_ACCOUNTS:
        with on_record(1):
            answer = olive.post(at(ticket, "preview/leave-out/"), {"version": 1, "numbers": numbers})
            assert answer.status_code in (302, 400), numbers[:20]
    assert as_it_was() == before


def test_a_digest_that_nobody_showed(olive, ticket):
    before = as_it_was()
    for digest in ("", "\0", "0" * 64, "0" * 1000, "é"):
        for still in ("", "\0", "x:y:z", "é" * 1000, "a" * 1_000_000, "." * 10):
            with on_record(1):
                answer = olive.post(at(ticket, "confirm/"), {"version": 1, "digest": digest, "still": still})
                assert answer.status_code in (302, 400), (digest, still[:10])
    assert as_it_was() == before


EXECUTIONS = [
    {"algorithm": ""}, {"algorithm": "peg"}, {"algorithm": "nav"}, {"algorithm": "limit"}, {"algorithm": "market\0"},
    *({"algorithm": "limit", "limit_price": text} for text in (
        "0", "-0", "-1", "NaN", "sNaN", "Infinity", "1e30", "1e-30", "9" * 30, LONG, "\0", "0.0000001", "abc", "")),
    *({"algorithm": "twap", "starts_at": start, "ends_at": end} for start, end in (
        ("", ""), ("25:00", "26:00"), ("\0", "1"), ("15:00", "10:00"), ("10:00", "10:00"), (LONG, LONG),
        ("00:00", "23:59"))),
    *({"algorithm": "vwap", "starts_at": "10:00", "ends_at": "15:59", "participation": text} for text in (
        "0", "-5", "101", "NaN", "1e9", "0.05", "\0", LONG)),
    {"algorithm": "market", "extended_hours": "on"}, {"algorithm": "vwap", "extended_hours": "on"},
]  # fmt: skip


@pytest.mark.parametrize("which", ["all", "one"])
def test_an_execution_that_cannot_be(olive, ticket, which):
    before = as_it_was()
    execution = "all" if which == "all" else str(order("buy VTI").pk)
    for fields in EXECUTIONS:
        answer = olive.post(at(ticket, "edit/"), {"version": 1, "execution": execution, **fields})
        assert answer.status_code == 400, fields
    assert as_it_was() == before


class TestTooMuch:
    def test_more_fields_than_any_page_sends(self, olive, ticket, settings):
        before = as_it_was()
        settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 100
        many = {f"line-{number}": "1" for number in range(200)} | {"version": 1}
        for rest in ("edit/", "confirm/", "preview/leave-out/"):
            answer = olive.post(at(ticket, rest), many)
            assert answer.status_code == 400
            assert "Nothing was done." in answer.content.decode()
        assert as_it_was() == before

    def test_fields_sent_twice(self, olive, ticket):
        """The last one counts, as with every form."""
        one = line("A1", "buy VTI").pk
        olive.post(at(ticket, "edit/"), {"version": ["x", "1"], f"line-{one}": ["abc", "7"]})
        assert quantities()["A1", "buy VTI"] == 7

    def test_lines_that_are_none_by_the_thousand(self, olive, ticket):
        before = as_it_was()
        many = {f"line-{10**6 + number}": "1" for number in range(900)}
        assert olive.post(at(ticket, "edit/"), many | {"version": 1}).status_code == 409
        assert as_it_was() == before

    def test_a_search_without_an_end(self, olive, ticket):
        for by in ("ticker", "account"):
            assert olive.get(at(ticket), {"by": by, "q": "x" * 100_000, "open": order("buy VTI").pk}).status_code == 200
        assert olive.get(reverse("trading:orders"), {"q": "x" * 100_000}).status_code in (200, 400)

    def test_open_without_an_end(self, olive, ticket):
        opened = ",".join(str(number) for number in range(20_000))
        for by in ("ticker", "account"):
            assert olive.get(at(ticket), {"by": by, "open": opened}).status_code == 200


def test_selections_of_orders_that_are_none(olive, ticket):
    before, one = as_it_was(), str(order("buy VTI").pk)
    for odd in ODD_IDS:
        for fields in ({"ids": odd}, {"shown": odd, "ids": one}, {"scope": odd}, {"scope": "all", "query": f"f={odd}"}):
            sent = {"scope": "picked", "query": "", "shown": 1, "ids": "", **fields}
            answer = olive.post(reverse("trading:cancel_orders"), sent)
            assert answer.status_code in (302, 400, 409), fields
    assert as_it_was() == before


@pytest.mark.parametrize("address", ["trading:orders", "trading:questioned"])
def test_lists_asked_for_oddly(olive, ticket, address):
    filters = ("order", "ticket", "shares", "money", "accounts", "staged_at", "symbol", "trouble")
    for odd in ODD_IDS:
        asked = [{name: odd} for name in ("page", "q", "sort", "f", "size", "export", "tile", "per_page")]
        asked += [{"f": f"{name}:{how}:{odd}"} for name in filters for how in ("is", "ge")]
        for one in asked:
            assert olive.get(reverse(address), one).status_code in (200, 400), one


@pytest.mark.parametrize("name", ["trading:ticket", "trading:finish", "rebalancer:preview", "trading:order"])
def test_ids_beyond_counting(olive, name):
    for pk in ("0", "9" * 30, "9" * 4_000, LONG):
        assert olive.get(reverse(name, args=[1]).replace("/1/", f"/{pk}/")).status_code == 404


def test_figures_that_no_page_showed(olive, ticket):
    one = order("buy VTI")
    Order.objects.update(state="working", trouble=watching.NOT_KNOWN)
    for odd in (*ODD_IDS, "1e999999999", "-1e999999999", "NaN", "sNaN", "Infinity", "7"):
        if odd != "0":
            sent = {"filled": odd, "words": "The custodian says so."}
            assert olive.post(reverse("trading:end_order", args=[one.pk]), sent).status_code == 409, odd
    assert Order.objects.get(pk=one.pk).state == "working"


def test_fills_of_a_broker_that_are_beyond_counting(ticket):
    """They are kept and questioned, and those beside them count."""
    one = order("buy VTI")
    Order.objects.filter(pk=one.pk).update(state="working", client_order_id="RB1")
    numbers = [
        Decimal(text) for text in ("1e999999999", "-1e999999999", "1e-999999999", "NaN", "sNaN", "Infinity", "3")
    ]
    told = [FillReport(f"X{at}", "RB1", number, Decimal(10), timezone.now()) for at, number in enumerate(numbers)]
    told += [FillReport(f"Y{at}", "RB1", Decimal(1), number, timezone.now()) for at, number in enumerate(numbers[:-1])]
    assert taking_in.take_in("paper", told) == len(told)
    assert list(Fill.objects.filter(state="counted").values_list("quantity")) == [(3,)]


HEADER = "client_order_id,execution_id,quantity,price,executed_at,status\n"
NO_FILES = {
    "utf-16": (HEADER + "RB1,E1,1,10,2026-11-20T10:00:00-05:00,\n").encode("utf-16"),
    "binary": bytes(range(256)) * 100,
    "nul": (HEADER + "RB1,E\0,1,10,2026-11-20T10:00:00-05:00,\n").encode(),
    "a quote that never ends": (HEADER + 'RB1,"E1' + "\n" * 50_000).encode(),
    "one cell": (HEADER + "x" * 2_000_000 + ",E1,1,10,2026-11-20T10:00:00-05:00,\n").encode(),
    "very wide": (HEADER + "," * 500_000 + "\n").encode(),
    "header twice": HEADER.encode() * 2,
    "numbers": (HEADER + f"RB1,E1,{LONG},1e99,2026-11-20T10:00:00-05:00,\n").encode(),
    "a formula": (HEADER + "RB1,\"=HYPERLINK(\"\"http://x\"\")<script>\",1,10,yesterday,\n").encode(),
    "a year beyond": (HEADER + "RB1,E1,1,10,99999-11-20T10:00:00-05:00,\n").encode(),
}  # fmt: skip


@pytest.mark.parametrize("name", NO_FILES)
def test_files_of_fills_that_are_none(olive, ticket, name):
    """Refused whole, with what is wrong in words; nothing of it is taken, and nothing of it is run by the page."""
    custodian = Route.objects.create(custodian=make.custodian("Schwab"), broker="file").custodian
    file = SimpleUploadedFile('../../"fi\r\nX-Evil: 1;lls.csv', NO_FILES[name], "text/csv")
    answer = olive.post(reverse("trading:fills"), {"custodian": custodian.pk, "file": file}, follow=True)
    assert answer.status_code == 200
    kept = OrderFile.objects.get()
    assert kept.problems
    assert "/" not in kept.name
    assert kept.name.isprintable()
    assert "<script>" not in answer.content.decode().partition("<main")[2]
    assert not Fill.objects.exists()


def test_a_file_of_fills_with_a_mark_of_its_bytes(olive, ticket):
    custodian = Route.objects.create(custodian=make.custodian("Schwab"), broker="file").custodian
    text = HEADER + "RB9,=1+1,1,10,2026-11-20T10:00:00-05:00,\n"
    file = SimpleUploadedFile("fills.csv", text.encode("utf-8-sig"), "text/csv")
    olive.post(reverse("trading:fills"), {"custodian": custodian.pk, "file": file})
    assert Fill.objects.get().state == "questioned"
    exported = olive.get(reverse("trading:questioned"), {"export": "csv"})
    cells = b"".join(exported.streaming_content if exported.streaming else [exported.content]).decode()
    assert "=1+1" in cells
    assert ",=1+1" not in cells
