"""Files of custodians on pages: a ticket's files are downloaded, files of fills are read back, and who may do it."""

from datetime import date
from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditLine
from accounts.services.refusals import Refused
from tests import factories as make
from trading.brokers.base import Instruction, Portion
from trading.brokers.file import Files
from trading.models import Fill, Order, OrderFile, Route, Ticket
from trading.services import files as services
from trading.services import staging
from trading.states import Algorithm, OrderState, Side

pytestmark = pytest.mark.django_db

HEADER = "client_order_id,execution_id,quantity,price,executed_at,status"
AT = "2026-11-20T10:00:00-05:00"


@pytest.fixture
def desk():
    return make.operations("olive")


@pytest.fixture
def as_desk(client, desk):
    client.force_login(desk)
    return client


@pytest.fixture
def ann():
    return make.advisor("ann")


@pytest.fixture
def route():
    return Route.objects.create(custodian=make.custodian("Schwab"), broker="file")


@pytest.fixture
def ticket(route, ann):
    """Two orders at the custodian, of an account of Ann's and one of nobody."""
    accounts = [
        make.account("A1", custodian=route.custodian, advisor=ann),
        make.account("A2", custodian=route.custodian),
    ]
    blocks = [
        staging.Block(
            make.security(symbol).pk, Side.BUY, Decimal(100),
            [staging.Part(one.pk, make.sleeve().pk, Decimal(10), []) for one in accounts],
        )
        for symbol in ("VTI", "AGG")
    ]  # fmt: skip
    made = staging.stage(label="T", by=None, trade_date=date(2026, 11, 20), blocks=blocks, moves=[])
    made.confirmed_at = timezone.now()
    made.save()
    for number, order in enumerate(Order.objects.order_by("pk"), 1):
        Order.objects.filter(pk=order.pk).update(client_order_id=f"RB{number}", state=OrderState.SENDING)
    return made


def send(name):
    """The order to the broker, as a worker would."""
    order = Order.objects.get(client_order_id=name)
    parts = tuple(Portion(one.account.number, one.quantity) for one in order.allocations.all())
    Files().submit(
        Instruction(
            client_order_id=name, ticket_id=order.ticket_id, custodian_id=order.custodian_id,
            symbol=order.security.symbol, quantity_step=Decimal(1), side=Side(order.side), quantity=order.quantity,
            price=order.price, algorithm=Algorithm(order.algorithm), portions=parts,
        )
    )  # fmt: skip
    Order.objects.filter(pk=order.pk).update(state=OrderState.WORKING)


@pytest.fixture
def sent(ticket):
    for name in ("RB1", "RB2"):
        send(name)
    return ticket


def content(*rows):
    return "".join(f"{row}\r\n" for row in (HEADER, *rows)).encode()


def receive(route, desk, *rows, name="fills.csv"):
    return services.receive_fills(content(*rows), name, custodian=route.custodian, by=desk)


def bad(received):
    """[line, column, value, reason] of each bad row."""
    return received.file.problems


def upload(client, route, data, name="fills.csv"):
    file = SimpleUploadedFile(name, data, "text/csv")
    return client.post(reverse("trading:fills"), {"custodian": route.custodian_id, "file": file}, follow=True)


def verbs():
    return list(AuditLine.objects.order_by("id").values_list("verb", flat=True))


# --- a ticket's files -----------------------------------------------------------------------------------------------


def test_a_file_is_downloaded_as_it_was_written(as_desk, sent):
    file = OrderFile.objects.get(name="RB1-orders.csv")
    answer = as_desk.get(reverse("trading:ticket_file", args=[sent.pk, file.pk]))
    assert (answer.status_code, answer.content.decode()) == (200, file.text)
    assert answer["Content-Disposition"] == 'attachment; filename="RB1-orders.csv"'
    assert answer["Content-Type"] == "text/csv; charset=utf-8"


def test_all_of_a_kind_as_one(as_desk, sent, route):
    answer = as_desk.get(reverse("trading:ticket_files_of", args=[sent.pk, route.custodian_id, "allocations"]))
    rows = answer.content.decode().splitlines()
    assert rows[0] == "client_order_id,account_number,symbol,side,quantity"
    assert [row.split(",")[:3] for row in rows[1:]] == [
        ["RB1", "A1", "VTI"], ["RB1", "A2", "VTI"], ["RB2", "A1", "AGG"], ["RB2", "A2", "AGG"],
    ]  # fmt: skip


def test_not_before_all_are_there(as_desk, ticket, route, desk):
    send("RB1")
    answer = as_desk.get(reverse("trading:ticket_files_of", args=[ticket.pk, route.custodian_id, "orders"]))
    assert answer.status_code == 409
    assert "1 of its orders are still to be sent" in answer.content.decode()
    with pytest.raises(Refused):
        services.whole_file(ticket, route.custodian, "orders")
    (mine,) = services.ticket_files(desk, ticket)
    assert "still to be sent" in mine.why_not_whole


def test_not_of_several_formats(sent, route):
    OrderFile.objects.filter(name="RB1-orders.csv").update(file_format="fidelity")
    with pytest.raises(Refused, match="several formats"):
        services.whole_file(sent, route.custodian, "orders")


def test_what_could_not_be_dropped_is_not_taken_by_hand(as_desk, sent):
    OrderFile.objects.update(dropped_at=None)
    file = OrderFile.objects.first()
    assert as_desk.get(reverse("trading:ticket_file", args=[sent.pk, file.pk])).status_code == 409


def test_the_files_of_a_ticket_are_listed(desk, sent, route, django_assert_num_queries):
    desk.has_perm("trading.change_order")  # remembered by the person
    with django_assert_num_queries(2):
        (mine,) = services.ticket_files(desk, sent)
    assert [file.name for file in mine.files] == [
        "RB1-allocations.csv", "RB1-orders.csv", "RB2-allocations.csv", "RB2-orders.csv",
    ]  # fmt: skip
    assert [(one.kind, one.count) for one in mine.whole] == [("orders", 2), ("allocations", 2)]
    assert (mine.why_not_whole, mine.more, mine.folder) == ("", 0, "")


def test_the_fragment_links_them(desk, sent):
    html = render_to_string("trading/_files.html", {"ticket": sent, "files": services.ticket_files(desk, sent)})
    for file in OrderFile.objects.all():
        assert reverse("trading:ticket_file", args=[sent.pk, file.pk]) in html
    assert reverse("trading:ticket_files_of", args=[sent.pk, sent.files.first().custodian_id, "orders"]) in html
    assert not render_to_string("trading/_files.html", {"ticket": sent, "files": []}).strip()


def test_whoever_sees_the_ticket_only_is_refused_with_a_line(client, ann, sent, route):
    client.force_login(ann)
    file = OrderFile.objects.first()
    for address in (
        reverse("trading:ticket_file", args=[sent.pk, file.pk]),
        reverse("trading:ticket_files_of", args=[sent.pk, route.custodian_id, "orders"]),
    ):
        assert client.get(address).status_code == 403
        assert verbs()[-1] == "refused"
    assert services.ticket_files(ann, sent) == []


def test_whoever_does_not_see_the_ticket_finds_nothing(client, sent, as_desk):
    file = OrderFile.objects.first()
    address = reverse("trading:ticket_file", args=[sent.pk, file.pk])
    other = Ticket.objects.create(label="Other", trade_date=date(2026, 11, 20))
    assert as_desk.get(reverse("trading:ticket_file", args=[other.pk, file.pk])).status_code == 404
    client.force_login(make.advisor("charlie"))
    assert client.get(address).status_code == 404
    client.logout()
    assert client.get(address).status_code == 302


@pytest.mark.parametrize("kind", ["fills", "nothing"])
def test_there_is_no_file_of_that_kind(as_desk, sent, route, kind):
    address = reverse("trading:ticket_files_of", args=[sent.pk, route.custodian_id, kind])
    assert as_desk.get(address).status_code == 404


# --- fills ----------------------------------------------------------------------------------------------------------


def test_from_the_order_file_to_filled(as_desk, sent, route):
    """The custodian simulated: it fills each row of the order file, one half at a time."""
    text = as_desk.get(
        reverse("trading:ticket_files_of", args=[sent.pk, route.custodian_id, "orders"])
    ).content.decode()
    lines = []
    for row in text.splitlines()[1:]:
        number, _, _, quantity, *_ = row.split(",")
        half = Decimal(quantity) / 2
        lines += [
            f"{number},{number}-1,{half},99.5,{AT},partially_filled",
            f"{number},{number}-2,{half},100.5,{AT},filled",
        ]
    answer = upload(as_desk, route, content(*lines))
    assert "4: 4 new, 0 told before" in answer.content.decode()
    states = Order.objects.values_list("state", "filled_quantity", "filled_amount")
    assert set(states) == {(OrderState.FILLED, Decimal(20), Decimal(2000))}
    assert "fills.received" in verbs()


def test_the_same_file_twice_changes_nothing_and_says_so(as_desk, sent, route):
    data = content(f"RB1,E1,4,99.5,{AT},")
    upload(as_desk, route, data)
    before = list(Fill.objects.values()), list(OrderFile.objects.values()), list(Order.objects.values())
    answer = upload(as_desk, route, data, name="other-name.csv")
    assert "This file was read before: nothing has changed." in answer.content.decode()
    assert (list(Fill.objects.values()), list(OrderFile.objects.values()), list(Order.objects.values())) == before
    assert verbs()[-1] == "fills.repeated"


def test_a_growing_file_of_the_same_name(sent, route, desk):
    first = receive(route, desk, f"RB1,E1,4,99.5,{AT},")
    second = receive(route, desk, f"RB1,E1,4,99.5,{AT},", f"RB1,E2,16,99.6,{AT},filled")
    assert first.file.name == "fills.csv" != second.file.name
    found = services.outcome(second.file)
    assert (found.new, found.repeated, found.waiting, found.ended) == (1, 1, 0, 1)
    assert Order.objects.get(client_order_id="RB1").state == OrderState.FILLED


@pytest.mark.parametrize(
    ("row", "column", "reason"),
    [
        (f"RB1,E1,-4,99.5,{AT},", "quantity", "is not above 0"),
        (f"RB1,E1,NaN,99.5,{AT},", "quantity", "is not a plain decimal number"),
        (f"RB1,E1,4,0,{AT},", "price", "is not above 0"),
        (f"RB1,E1,4,99.5,{AT},done", "status", "is none of working, partially_filled, filled"),
        ("RB1,E1,4,99.5,2026-11-20 10:00,", "executed_at", "is neither a date like"),
        ("RB1,E1,4,99.5,2099-11-20T10:00:00Z,", "executed_at", "lies in the future"),
        ("RB1,E1,4,99.5,2026-11-20,", "executed_at", "has no time of day"),
        (f"RB1,,4,99.5,{AT},", "execution_id", "is empty, and the execution has the others"),
        (f"RB1,E1,4,,{AT},", "price", "is empty, and the execution has the others"),
        (f",E1,4,99.5,{AT},", "client_order_id", "is empty"),
        ("RB1,,,,,", "status", "is empty, and so is the execution"),
        (f"RBPAPER,E1,4,99.5,{AT},", "client_order_id", "is an order that does not go to Schwab by file"),
        (f"RB1,E0,5,99.5,{AT},", "execution_id", "was told before with other figures: 4 at 99.5"),
        (f"RB1,G1,1,9,{AT},", "execution_id", "the same client_order_id, execution_id as in line 2"),
        (f"RB2,G1,1,9,{AT},", "execution_id", "the same execution as in line 2, of another order"),
        ("RB1,E1", "", "has 2 fields, the header has 6"),
    ],
)
def test_bad_rows_are_named_and_nothing_is_taken(sent, route, desk, row, column, reason):
    receive(route, desk, f"RB1,E0,4,99.5,{AT},", name="before.csv")
    Order.objects.create(
        ticket=sent, security=make.security("SPY"), side="buy", quantity=1, price=1, client_order_id="RBPAPER"
    )
    before = Order.objects.get(client_order_id="RB1").filled_quantity
    received = receive(route, desk, f"RB1,G1,1,9,{AT},", row)
    assert [(line, name) for line, name, _, _ in bad(received)] == [(3, column)]
    assert bad(received)[0][3].startswith(reason) or reason in bad(received)[0][3]
    assert Order.objects.get(client_order_id="RB1").filled_quantity == before
    assert Fill.objects.count() == 1
    assert verbs()[-1] == "fills.refused"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the column is missing"),
        (b"client_order_id,quantity\r\nRB1,4\r\n", "the column is missing"),
        (content().replace(b"status", b"state"), "is no column of fills"),
        (content(), "has no rows"),
        (content("RB\0001,E1,4,99.5," + AT + ","), "NUL"),
        (HEADER.encode() + b"\r\n\xe4,E1,4,99.5," + AT.encode() + b",\r\n", "is not UTF-8"),
        (HEADER.encode() + b'\r\n"RB1,E1', "is not CSV"),
    ],
)  # fmt: skip
def test_files_that_are_none(sent, route, desk, data, words):
    received = services.receive_fills(data, "x.csv", custodian=route.custodian, by=desk)
    assert any(words in reason for *_, reason in bad(received)), bad(received)
    assert not Fill.objects.exists()


def test_a_file_that_is_too_large(sent, route, desk, monkeypatch, as_desk):
    monkeypatch.setattr(services, "LARGEST", 100)
    received = receive(route, desk, *[f"RB1,E{n},1,9,{AT}," for n in range(9)])
    assert bad(received) == [[0, "", "", "is larger than 100 bytes: send it in parts"]]


def test_the_page_names_the_bad_rows(as_desk, sent, route):
    answer = upload(as_desk, route, content(f"RB1,E1,-4,<b>,{AT},"))
    page = answer.content.decode()
    assert "is not above 0" in page
    assert "&lt;b&gt;" in page
    assert "Nothing of it was taken" in page
    assert "Refused" in as_desk.get(reverse("trading:fills")).content.decode()


def test_a_corrected_book_lets_a_refused_file_in(sent, route, desk):
    Order.objects.filter(client_order_id="RB1").update(broker="paper")
    assert bad(receive(route, desk, f"RB1,E1,4,99.5,{AT},"))
    Order.objects.filter(client_order_id="RB1").update(broker="file")
    again = receive(route, desk, f"RB1,E1,4,99.5,{AT},")
    assert (bad(again), again.again) == ([], False)
    assert OrderFile.objects.filter(kind="fills").count() == 1
    assert Order.objects.get(client_order_id="RB1").filled_quantity == 4


def test_unknown_ids_and_too_much_are_kept_and_questioned(as_desk, sent, route):
    answer = upload(
        as_desk, route, content(f"RB-nobody,E1,4,99.5,{AT},", f"RB1,E2,20,99.5,{AT},", f"RB1,E3,1,99.5,{AT},")
    )
    assert Order.objects.get(client_order_id="RB1").filled_quantity == 20
    assert dict(Fill.objects.values_list("client_order_id", "state").filter(state="questioned")) == {
        "RB-nobody": "questioned", "RB1": "questioned",
    }  # fmt: skip
    page = answer.content.decode()
    assert "No order has the number RB-nobody." in page
    assert "With it 21 were filled of 20 ordered." in page


def test_two_custodians_may_count_alike(sent, route, desk):
    other = Route.objects.create(custodian=make.custodian("Fidelity"), broker="file")
    Order.objects.filter(client_order_id="RB2").update(custodian=other.custodian)
    receive(route, desk, f"RB1,1,4,99.5,{AT},")
    receive(other, desk, f"RB2,1,5,9,{AT},")
    assert dict(Order.objects.values_list("client_order_id", "filled_quantity")) == {"RB1": 4, "RB2": 5}


def test_who_may_send_fills(client, ann, sent, route):
    client.force_login(ann)
    assert client.get(reverse("trading:fills")).status_code == 404
    assert upload(client, route, content()).status_code == 404
    client.force_login(make.administrator())
    assert b"Read the file" not in client.get(reverse("trading:fills")).content
    assert upload(client, route, content(f"RB1,E1,4,99.5,{AT},")).status_code == 403
    assert verbs()[-1] == "refused"
    client.logout()
    assert client.get(reverse("trading:fills")).status_code == 302
    assert client.post(reverse("trading:fills")).status_code == 302
    assert not OrderFile.objects.filter(kind="fills").exists()


def test_a_form_without_its_parts(as_desk, route, sent):
    answer = as_desk.post(reverse("trading:fills"), {"custodian": "999"})
    assert answer.status_code == 400
    assert "No files go to this custodian." in answer.content.decode()
    assert "Choose a file." in answer.content.decode()


def test_without_a_custodian_by_file_the_page_says_what_to_do(as_desk):
    assert "No orders go by file." in as_desk.get(reverse("trading:fills")).content.decode()


def test_a_file_of_orders_is_no_file_of_fills(as_desk, sent):
    assert as_desk.get(reverse("trading:fills_file", args=[OrderFile.objects.first().pk])).status_code == 404


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_command_reads_a_file(sent, route, tmp_path, capsys):
    path = tmp_path / "day.csv"
    path.write_bytes(content(f"RB1,E1,4,99.5,{AT},"))
    call_command("read_fills", str(path))
    assert capsys.readouterr().out == "day.csv: 1 new fill, 0 told before.\n"
    call_command("read_fills", str(path), custodian="Schwab")
    assert "was read before: nothing has changed" in capsys.readouterr().out


def test_the_command_names_what_is_wrong(sent, route, tmp_path, capsys):
    path = tmp_path / "day.csv"
    path.write_bytes(content(f"RB1,E1,-4,99.5,{AT},"))
    with pytest.raises(CommandError, match=r"Refused: day\.csv"):
        call_command("read_fills", str(path))
    assert "line 2, quantity: '-4' is not above 0" in capsys.readouterr().err
    with pytest.raises(CommandError, match="--custodian is one of those to whom files go: Schwab"):
        call_command("read_fills", str(path), custodian="Nobody")
    with pytest.raises(CommandError, match="can't be read: No such file"):
        call_command("read_fills", str(tmp_path / "none.csv"))


def test_the_round_of_watching_ends_what_the_file_ends(sent, route, desk):
    receive(route, desk, f"RB1,E1,4,99.5,{AT},", "RB1,,,,,cancelled")
    assert Files().lookup(["RB1"])["RB1"].state == OrderState.CANCELLED
