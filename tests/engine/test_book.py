"""What a Book refuses at its door: the field and the row are named."""

import numpy as np
import pytest

from rebalancer.engine import LOGICS, Book, BookError, Reason, check, propose

from .building import Lot, Row, account, book

TWO = (
    account(
        Row("AGG", 400, 50, 38), Row("VTI", 750, 100, 60, lots=(Lot(700, 7), Lot(50, 8, "2021-01-02"))), cash=5000
    ),
    account(Row("VTI", 10, 100, 90), cash=100, key=2),
)


def test_the_book_that_is_broken_below_is_fine():
    made = book(*TWO)
    assert made.start.tolist() == [0, 2, 3]
    assert made.lot_start.tolist() == [0, 1, 3, 4]
    assert made.units.tolist() == [400_000_000, 750_000_000, 10_000_000]


def changed(name, row, value):
    array = getattr(book(*TWO), name).copy()
    array[row] = value
    return array


@pytest.mark.parametrize(("name", "row", "value", "words"), [
    ("price", 1, np.nan, "price: row 1 is not a finite number"),
    ("price", 2, np.inf, "price: row 2 is not a finite number"),
    ("price", 0, 0.0, "price: row 0 is not above zero"),
    ("price", 2, -1.0, "price: row 2 is not above zero"),
    ("step", 1, 0, "step: row 1 is not above zero"),
    ("units", 0, -1, "units: row 0 is negative"),
    ("units", 1, 1, "units: row 1 is not the sum of its lots"),
    ("target", 1, np.nan, "target: row 1 is not a finite number"),
    ("target", 2, -0.1, "target: row 2 is negative"),
    ("target", 2, 2.0, "target: row 2 has bounds that are not in order"),
    ("lower", 0, 0.5, "target: row 0 has bounds that are not in order"),
    ("fit_upper", 1, 0.9, "target: row 1 has bounds that are not in order"),
    ("upper", 0, -np.inf, "upper: row 0 is not a finite number"),
    ("sleeve", 0, -1, "sleeve: row 0 is negative"),
    ("sleeve", 0, 1, "security: row 1 is not sorted by account, sleeve and security, or stands twice"),
    ("security", 1, 0, "security: row 1 is not sorted by account, sleeve and security, or stands twice"),
    ("cash_target", 1, np.nan, "cash_target: row 1 is not a finite number"),
    ("cash_fit_upper", 0, 0.5, "cash_target: row 0 has bounds that are not in order"),
    ("set_aside_cents", 1, -1, "set_aside_cents: row 1 is negative"),
    ("reserved_cents", 1, -1, "reserved_cents: row 1 is negative"),
    ("minimum_dollars", 0, -1.0, "minimum_dollars: row 0 is negative"),
    ("minimum_weight", 1, np.nan, "minimum_weight: row 1 is not a finite number"),
    ("lot_units", 2, 0, "lot_units: row 2 is not above zero"),
    ("method", 1, 4, "method: row 1 is no lot method"),
    ("method", 0, -1, "method: row 0 is no lot method"),
    ("why", 2, Reason.RAISES_CASH, "why: row 2 is no reason of a restriction"),
    ("why", 0, -1, "why: row 0 is no reason of a restriction"),
    ("lot_cost_cents", 3, -2, "lot_cost_cents: row 3 is negative"),
    ("lot_acquired", 2, 0, "lot_acquired: row 2 is not in age order"),
    ("start", 1, 4, "start: row 1 goes backwards"),
    ("lot_start", 1, 4, "lot_start: row 1 goes backwards"),
    ("lot_start", 3, 3, "lot_start: wants int64 (4,) from 0 to 4"),
    ("start", 0, 1, "start: wants int64 (3,) from 0 to 3"),
])  # fmt: skip
def test_a_broken_array_is_refused_by_name(name, row, value, words):
    with pytest.raises(BookError) as refusal:
        book(*TWO, **{name: changed(name, row, value)})
    assert str(refusal.value) == words


@pytest.mark.parametrize(("name", "dtype"), [
    ("units", np.float64), ("price", np.float32), ("sleeve", np.int64), ("security", np.int64), ("may_buy", np.int8),
    ("method", np.int64), ("cash_cents", np.float64), ("lot_acquired", np.int64), ("start", np.int32),
    ("why", np.int64),
])  # fmt: skip
def test_a_wrong_dtype_is_refused(name, dtype):
    array = getattr(book(*TWO), name)
    with pytest.raises(BookError, match=f"^{name}: wants {array.dtype}"):
        book(*TWO, **{name: array.astype(dtype)})


@pytest.mark.parametrize("name", ["price", "cash_cents", "lot_units", "triggers", "start", "lot_start"])
def test_a_wrong_length_is_refused(name):
    array = getattr(book(*TWO), name)
    with pytest.raises(BookError):
        book(*TWO, **{name: array[:-1]})
    with pytest.raises(BookError):
        book(*TWO, **{name: array.reshape(-1, 1)})


@pytest.mark.parametrize("cash", [-1000, -5000, -1000 + 1])
def test_an_account_without_managed_value_is_refused_by_its_row(cash):
    """Its weights have no meaning: what loads accounts keeps it out, and fails it alone."""
    made = book(*TWO, account(Row("VTI", 10, 100, 90), cash=cash, set_aside=1, key=3))
    with pytest.raises(BookError, match="account: row 2 has no managed value above zero"):
        check(made)
    for logic in LOGICS:
        with pytest.raises(BookError, match="account: row 2 has"):
            propose(made, logic, 20_777)


def test_what_was_taken_in_cannot_be_changed():
    made = book(*TWO)
    for name in Book.__slots__:
        with pytest.raises(ValueError, match="read-only"):
            getattr(made, name)[:1] = 0


def test_the_last_row_of_an_account_and_the_first_of_the_next_need_no_order():
    made = book(account(Row("VTI", 1, 100, 90), cash=10), account(Row("AGG", 1, 100, 90), cash=10, key=2))
    assert made.security.tolist() == [1, 0]
