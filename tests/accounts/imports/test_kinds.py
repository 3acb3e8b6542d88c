from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.imports.kinds import NO_NUMBER, Choice, Day, Flag, Moment, Number, Reference, References, Text

WORLD = SimpleNamespace(
    names=lambda kind: {"VTI": 7, "A B": 8}, today=date(2026, 11, 20), now=datetime(2026, 11, 20, 12, tzinfo=UTC)
)
AMOUNT = Number(places=2, digits=16)
KINDS = [
    Text(5), Choice(("true", "x")), Flag(), Reference("security"), References("portfolio"), AMOUNT,
    Number(places=6, digits=12, least=1), Day(past=True), Day(), Moment(),
]  # fmt: skip


def one(kind, text):
    """The value of a text, or the reason why it is none."""
    values, bad = kind.read((text,), WORLD)
    return kind.why(text) if bad[0] else values[0]


@pytest.mark.parametrize(("text", "cents"), [
    ("0", 0), ("12", 1200), ("-12.5", -1250), ("0.07", 7), ("007.10", 710), ("1.2000", 120), ("-0", 0),
    ("9999999999999999.99", 999_999_999_999_999_999), ("", NO_NUMBER),
])  # fmt: skip
def test_amounts(text, cents):
    assert one(AMOUNT, text) == cents


@pytest.mark.parametrize(("text", "reason"), [
    ("NaN", "not a plain"), ("inf", "not a plain"), ("1e3", "not a plain"), ("1,000", "not a plain"),
    ("+1", "not a plain"), ("1.", "not a plain"), (".5", "not a plain"), ("-", "not a plain"), ("1-2", "not a plain"),
    ("1.2.3", "not a plain"),
    (" 1", "not a plain"), ("١", "not a plain"), ("$5", "not a plain"), ("1.234", "more than 2 decimals"),
    ("10000000000000000", "too large"), ("0" * 60, "too large"), ("1\0", "NUL"), ("\udce9", "not UTF-8"),
])  # fmt: skip
def test_what_is_no_amount(text, reason):
    assert reason in one(AMOUNT, text)


def test_least_values():
    assert one(Number(6, 12, least=1), "0.000001") == 1
    assert one(Number(6, 12, least=1), "0") == "is not above 0"
    assert one(Number(6, 12, least=1), "-3") == "is not above 0"
    assert one(Number(2, 16, least=0), "-3") == "is negative"


@pytest.mark.parametrize(("text", "reason"), [
    ("2026-02-30", "not a day"), ("2026-11-21", "future"), ("26-1-1", "not a date"), ("2026/01/01", "not a date"),
    ("20260101", "not a date"), ("1850-01-01", "before 1900"), ("2026-11-20T00:00", "not a date"),
])  # fmt: skip
def test_what_is_no_past_day(text, reason):
    assert reason in one(Day(past=True), text)


def test_days():
    assert one(Day(past=True), "2026-11-20") == np.datetime64("2026-11-20")
    assert one(Day(), "2031-01-01") == np.datetime64("2031-01-01")
    assert np.isnat(one(Day(), ""))


def test_moments():
    assert one(Moment(), "2026-11-19") == date(2026, 11, 19)
    assert one(Moment(), "2026-11-19T16:00:00-05:00") == datetime(2026, 11, 19, 21, tzinfo=UTC)
    assert "future" in one(Moment(), "2026-11-20T13:00:00Z")
    assert "neither" in one(Moment(), "2026-11-19T16:00:00")


def test_names():
    assert one(Reference("security"), "VTI") == 7
    assert one(Reference("security"), "QQQ") == "no such security"
    assert one(References("portfolio"), "VTI; A B;VTI") == (7, 8)
    assert "does not exist" in one(References("portfolio"), "VTI;no")
    assert one(Text(5), "123456") == "has 6 characters, 5 are allowed"
    assert one(Text(5), "a\tb") == "holds a control character"
    assert one(Text(5), " ab") == "has blanks around it"


@given(st.lists(st.one_of(st.text(max_size=45), st.text("0123456789.-", max_size=30)), min_size=1, max_size=8))
def test_any_text_is_taken_or_refused_with_words(texts):
    for kind in KINDS:
        values, bad = kind.read(tuple(texts), WORLD)
        assert len(values) == len(bad) == len(texts)
        assert all(kind.why(text) for text, is_bad in zip(texts, bad, strict=True) if is_bad)


@given(st.lists(st.text("0123456789.-e", max_size=22), min_size=1, max_size=6))
def test_numbers_are_exactly_what_decimal_reads(texts):
    values, bad = AMOUNT.read(tuple(texts), WORLD)
    for text, value, is_bad in zip(texts, values.tolist(), bad, strict=True):
        if text and not is_bad:
            assert Decimal(value) / 100 == Decimal(text)
        elif text:
            assert not _plain(text)


def _plain(text):
    """Whether a text ought to be taken as an amount."""
    if "e" in text or text[-1] == "." or text.lstrip("-")[:1] in ("", "."):
        return False
    try:
        number = Decimal(text)
    except InvalidOperation:
        return False
    return abs(number) < 10**16 and number * 100 == int(number * 100)
