"""Order files as custodians read them: written without a database, and refused before they say something else."""

import csv
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO

import pytest

from trading import formats
from trading.brokers.base import Instruction, Portion
from trading.states import Algorithm, Side

D = Decimal
ORDER = Instruction(
    client_order_id="RB1-aa", ticket_id=1, custodian_id=1, symbol="VTI", quantity_step=D(1), side=Side.BUY,
    quantity=D(30), price=D("99.5"), algorithm=Algorithm.MARKET,
    portions=(Portion("Z20", D(20)), Portion("A10", D(4)), Portion("A10", D(6))),
)  # fmt: skip
FIDELITY, GENERIC = formats.newest("fidelity"), formats.newest("generic")


def read(text):
    return list(csv.reader(StringIO(text, newline="")))


def problems(form, **changes):
    return form.problems(formats.facts_of(replace(ORDER, **changes)))


def test_fidelity_has_a_row_for_each_account():
    text = FIDELITY.orders(ORDER)
    assert text == (
        "Account Number,Account Type,Order Action,Quantity,Symbol,Price Type,Time In Force,Stop/Limit Price\r\n"
        "A10,1,B,10,VTI,M,D,\r\n"
        "Z20,1,B,20,VTI,M,D,\r\n"
    )
    assert FIDELITY.allocations is None


def test_fidelity_limit_and_fund():
    limit = replace(ORDER, side=Side.SELL, algorithm=Algorithm.LIMIT, limit_price=D("101.250000"))
    assert read(FIDELITY.orders(limit))[1] == ["A10", "1", "S", "10", "VTI", "L", "D", "101.25"]
    fund = replace(ORDER, algorithm=Algorithm.NAV, quantity=D("1.5"), portions=(Portion("A1", D("1.500000")),))
    assert read(FIDELITY.orders(fund))[1] == ["A1", "1", "B", "1.5", "VTI", "M", "D", ""]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"algorithm": Algorithm.TWAP}, "can't carry TWAP orders: make it a market or a limit order"),
        ({"algorithm": Algorithm.VWAP}, "can't carry VWAP orders"),
        ({"extended_hours": True, "algorithm": Algorithm.LIMIT, "limit_price": D(9)}, "outside regular hours"),
        ({"portions": (Portion("A1", D("29.1234")), Portion("A2", D("0.8766")))}, "3 decimals of a share; 29.1234"),
        ({"portions": (Portion("9" * 21, D(30)),)}, "20 characters of an account number"),
        ({"quantity": D("12345678.125")}, "10 characters of a figure; 12345678.125"),
        ({"limit_price": D("12345.678901"), "algorithm": Algorithm.LIMIT}, "10 characters of a figure"),
        ({"symbol": "X" * 31}, "30 characters of a symbol"),
    ],
)
def test_what_fidelity_cannot_carry(changes, words):
    (why,) = problems(FIDELITY, **changes)
    assert words in why
    assert not problems(FIDELITY)


def test_generic_orders_and_allocations():
    twap = replace(
        ORDER, algorithm=Algorithm.TWAP, limit_price=D("100.10"), participation=D("12.5"), extended_hours=True,
        starts_at=datetime(2026, 11, 20, 15, tzinfo=UTC), ends_at=datetime(2026, 11, 20, 16, 30, tzinfo=UTC),
    )  # fmt: skip
    assert read(GENERIC.orders(twap)) == [
        ["client_order_id", "symbol", "side", "quantity", "order_type", "limit_price", "algorithm", "start", "end",
         "participation", "extended_hours", "time_in_force"],
        ["RB1-aa", "VTI", "buy", "30", "limit", "100.1", "twap", "2026-11-20T15:00:00Z", "2026-11-20T16:30:00Z",
         "12.5", "true", "day"],
    ]  # fmt: skip
    assert read(GENERIC.orders(ORDER))[1] == ["RB1-aa", "VTI", "buy", "30", "market", *[""] * 5, "false", "day"]
    assert read(GENERIC.allocations(ORDER)) == [
        ["client_order_id", "account_number", "symbol", "side", "quantity"],
        ["RB1-aa", "A10", "VTI", "buy", "10"],
        ["RB1-aa", "Z20", "VTI", "buy", "20"],
    ]
    assert not problems(GENERIC, algorithm=Algorithm.VWAP, extended_hours=True)


@pytest.mark.parametrize("form", [FIDELITY, GENERIC])
@pytest.mark.parametrize("number", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_a_name_that_a_spreadsheet_would_run_is_refused(form, number):
    (why,) = problems(form, portions=(Portion(number, D(30)),))
    assert why.startswith(f"{number} begins with {number[0]}")


@pytest.mark.parametrize("number", ["A,1", 'A"1', "0012", "Ä 1"])
def test_odd_account_numbers_arrive_as_they_are(number):
    order = replace(ORDER, portions=(Portion(number, D(30)),))
    assert read(FIDELITY.orders(order))[1][0] == number
    assert read(GENERIC.allocations(order))[1][1] == number


def test_files_are_joined_under_one_header():
    other = GENERIC.orders(replace(ORDER, client_order_id="RB2-bb"))
    rows = read(formats.joined([GENERIC.orders(ORDER), other]))
    assert [row[0] for row in rows] == ["client_order_id", "RB1-aa", "RB2-bb"]
    assert formats.joined([]) == ""


@pytest.mark.parametrize(("name", "version"), [("fidelity", 2), ("schwab", 1), ("", 0)])
def test_an_unknown_format_or_version(name, version):
    with pytest.raises(formats.UnknownFormat, match=r"There are: fidelity 1, generic 1\."):
        formats.of(name, version)


def test_an_unknown_format_has_no_newest_version():
    with pytest.raises(formats.UnknownFormat):
        formats.newest("schwab")


def test_parts_that_are_not_the_whole():
    assert formats.covers(ORDER)
    assert not formats.covers(replace(ORDER, quantity=D(31)))
