"""Orders of relief, written as ledgers: lots as somebody would jot them down, a sale, and what each lot gives."""

from dataclasses import dataclass
from datetime import date
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tax.relief import UNKNOWN, Method, relief_order, take

EPOCH = date(1970, 1, 1)
MICRO = 1_000_000
TRADE_DATE = date(2026, 11, 20)  # long-term is what was bought by 2025-11-19


@dataclass(frozen=True)
class Lot:
    """`name acquired shares @ cost per share`, or `?` where nobody knows the cost."""

    name: str
    acquired: date
    shares: Fraction
    each: Fraction | None

    @classmethod
    def read(cls, line):
        name, acquired, shares, _, each = line.split()
        return cls(name, date.fromisoformat(acquired), Fraction(shares), None if each == "?" else Fraction(each))

    @property
    def units(self):
        return int(self.shares * MICRO)

    @property
    def cents(self):
        return UNKNOWN if self.each is None else int(self.each * self.shares * 100)


def ledger(text):
    """The lots of a position in age order, as the engine is given them: acquired, then lot id by bytes."""
    lots = [Lot.read(line) for line in text.strip().splitlines()]
    return sorted(lots, key=lambda lot: (lot.acquired, lot.name.encode()))


def order_of(lots, method, price):
    """Indices of the lots of one position in the order of their relief."""
    return relief_order(
        np.zeros(len(lots), dtype=np.int64),
        np.full(len(lots), Method[method.upper()], dtype=np.int8),
        np.array([lot.units for lot in lots], dtype=np.int64),
        np.array([lot.cents for lot in lots], dtype=np.int64),
        np.array([(lot.acquired - EPOCH).days for lot in lots], dtype=np.int32),
        np.full(len(lots), float(price)),
        (TRADE_DATE - EPOCH).days,
    )


def names(lots, method, price="10"):
    return " ".join(lots[place].name for place in order_of(lots, method, Fraction(price)))


def sale(lots, method, shares, price="10"):
    """What each lot gives, in the order of relief: "a 10, b 2"."""
    order = order_of(lots, method, Fraction(price))
    units = np.array([lots[place].units for place in order], dtype=np.int64)
    given_up = take(np.array([0]), units, np.array([int(Fraction(shares) * MICRO)]))
    parts = [(lots[place].name, Fraction(int(part), MICRO)) for place, part in zip(order, given_up, strict=True)]
    return ", ".join(f"{name} {float(part):g}" for name, part in parts if part)


# --- the plain methods --------------------------------------------------------------------------------------------

THREE = """
    a 2020-01-02 10 @ 8
    b 2021-03-04 20 @ 12
    c 2026-05-06  5 @ 9
"""


@pytest.mark.parametrize(("method", "shares", "given_up"), [
    ("fifo", "10", "a 10"),
    ("fifo", "12", "a 10, b 2"),
    ("lifo", "12", "c 5, b 7"),
    ("hifo", "23", "b 20, c 3"),
    ("minimum_tax", "26", "b 20, a 6"),       # the long loss, then the long gain; the short-term gain stays
    ("fifo", "35", "a 10, b 20, c 5"),
    ("lifo", "35", "c 5, b 20, a 10"),
    ("fifo", "0.001", "a 0.001"),
    ("hifo", "20.000001", "b 20, c 1e-06"),
])  # fmt: skip
def test_three_lots(method, shares, given_up):
    price = "11" if method == "minimum_tax" else "10"
    assert sale(ledger(THREE), method, shares, price) == given_up


def test_hifo_compares_cost_per_share_not_cost():
    lots = ledger("""
        big   2020-01-02 1000 @ 5
        small 2020-01-03    1 @ 6
    """)
    assert names(lots, "hifo") == "small big"


# --- minimum tax, category by category ----------------------------------------------------------------------------

EVERY_CATEGORY = """
    LG-large  2019-01-02 10 @ 4
    LG-small  2019-01-03 10 @ 9
    LN        2019-01-04 10 @ 10
    LL-small  2019-01-05 10 @ 11
    LL-large  2019-01-06 10 @ 15
    unknown   2019-01-07 10 @ ?
    SG-large  2026-01-02 10 @ 3
    SG-small  2026-01-05 10 @ 8
    SN        2026-01-06 10 @ 10
    SL-small  2026-01-07 10 @ 12
    SL-large  2026-01-08 10 @ 14
"""


def test_minimum_tax_goes_through_its_categories():
    assert names(ledger(EVERY_CATEGORY), "minimum_tax") == (
        "SL-large SL-small LL-large LL-small SN LN LG-small LG-large SG-small SG-large unknown"
    )


def test_a_cent_decides_between_gain_and_loss():
    lots = ledger("""
        gain 2019-01-02 10 @ 9.999
        none 2019-01-03 10 @ 10
        loss 2019-01-04 10 @ 10.001
    """)
    assert names(lots, "minimum_tax", "10") == "loss none gain"


def test_no_gain_is_exact_where_floats_would_not_be():
    lots = ledger("""
        gain 2019-01-02 3 @ 0.09
        none 2019-01-03 3 @ 0.10
    """)
    assert 3 * 0.1 > 0.3
    assert names(lots, "minimum_tax", "0.1") == "none gain"


def test_a_lot_is_long_term_from_the_day_on():
    lots = ledger("""
        long  2025-11-19 10 @ 8
        short 2025-11-20 10 @ 9
    """)
    assert names(lots, "minimum_tax") == "long short"


# --- unknown cost and ties ----------------------------------------------------------------------------------------

ONE_UNKNOWN = """
    a 2020-01-02 10 @ ?
    b 2021-01-02 10 @ 1
    c 2022-01-03 10 @ ?
    d 2023-01-03 10 @ 20
"""


@pytest.mark.parametrize(("method", "order"), [
    ("fifo", "a b c d"),
    ("lifo", "d c b a"),
    ("hifo", "d b a c"),           # last, and among themselves the earlier acquired first
    ("minimum_tax", "d b a c"),
])  # fmt: skip
def test_unknown_cost_is_relieved_last_except_by_age(method, order):
    assert names(ledger(ONE_UNKNOWN), method) == order


SAME_DAY = """
    a10 2020-01-02 10 @ 8
    a9  2020-01-02 10 @ 8
    B   2020-01-02 10 @ 8
    é   2020-01-02 10 @ 8
    z   2020-01-02 10 @ 8
"""


@pytest.mark.parametrize("method", ["fifo", "lifo", "hifo", "minimum_tax"])
@pytest.mark.parametrize("price", ["7", "8", "9"])
def test_ties_go_to_the_lower_lot_id_by_bytes(method, price):
    assert names(ledger(SAME_DAY), method, price) == "B a10 a9 z é"


@pytest.mark.parametrize("method", ["hifo", "minimum_tax"])
def test_equal_costs_go_to_the_earlier_acquired(method):
    lots = ledger("""
        young 2022-01-02 10 @ 12
        old   2020-01-02 10 @ 12
        third 2021-01-02 30 @ 12
    """)
    assert names(lots, method) == "old third young"


def test_equal_costs_per_share_of_lots_of_different_size_are_equal():
    """A third of a dollar has no exact float; 1/3 and 2/6 still tie, and age decides."""
    lots = ledger("""
        a 2020-01-02 3 @ 1/3
        b 2020-01-03 6 @ 1/3
        c 2020-01-04 9 @ 1/3
    """)
    assert [lot.cents for lot in lots] == [100, 200, 300]
    assert names(lots, "hifo", "1") == "a b c"


# --- taking -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lots", "wanted", "given_up"), [
    ([[10, 20, 5]], [12], [10, 2, 0]),
    ([[10, 20, 5]], [0], [0, 0, 0]),
    ([[10, 20, 5]], [35], [10, 20, 5]),
    ([[10], [7, 7], [1]], [4, 8, 1], [4, 7, 1, 1]),
    ([[0, 5], [5]], [5, 0], [0, 5, 0]),          # a lot that the market part has emptied
    ([[1] * 5], [3], [1, 1, 1, 0, 0]),
])  # fmt: skip
def test_taking(lots, wanted, given_up):
    starts = np.cumsum([0] + [len(one) for one in lots[:-1]])
    units = np.array([unit for one in lots for unit in one], dtype=np.int64)
    assert take(starts, units, np.array(wanted)).tolist() == given_up


def test_nothing_to_take():
    none = np.zeros(0, dtype=np.int64)
    assert take(none, none, none).tolist() == []


segments = st.lists(
    st.tuples(st.lists(st.integers(0, 50), min_size=1, max_size=6), st.integers(0, 100)), min_size=1, max_size=6
)


@given(segments)
def test_taking_conserves_and_takes_in_order(given_segments):
    """Each segment gives what it is asked for; a lot is touched only when all before it are empty."""
    lots = [units for units, _ in given_segments]
    wanted = [min(part, sum(units)) for units, part in given_segments]
    starts = np.cumsum([0] + [len(one) for one in lots[:-1]])
    flat = np.array([unit for one in lots for unit in one], dtype=np.int64)
    given_up = np.split(take(starts, flat, np.array(wanted)), starts[1:])
    for units, total, parts in zip(lots, wanted, given_up, strict=True):
        assert parts.sum() == total
        left = total
        for unit, part in zip(units, parts, strict=True):
            assert part == min(unit, left)
            left -= part


# --- against the words of PRODUCT 5, slowly -----------------------------------------------------------------------


def is_long(lot):
    following = lot.acquired.toordinal() + 1
    start = date.fromordinal(following)
    leap_day = (start.month, start.day) == (2, 29)
    return (date(start.year + 1, 3, 1) if leap_day else start.replace(year=start.year + 1)) <= TRADE_DATE


def in_words_of_the_product(lots, method, price):
    """Names in the order of relief; exact fractions, one lot at a time."""

    def minimum_tax(lot):
        gain, long = price - lot.each, is_long(lot)
        if gain < 0:
            return (1, gain) if not long else (2, gain)
        if gain == 0:
            return (3, 0) if not long else (4, 0)
        return (5, gain) if long else (6, gain)

    keys = {
        "fifo": lambda lot: (),
        "lifo": lambda lot: (-lot.acquired.toordinal(),),
        "hifo": lambda lot: (9,) if lot.each is None else (1, -lot.each),
        "minimum_tax": lambda lot: (9,) if lot.each is None else minimum_tax(lot),
    }
    lots = sorted(lots, key=lambda lot: (lot.acquired, lot.name.encode()))
    return [lot.name for lot in sorted(lots, key=keys[method])]


lot_lines = st.builds(
    "{} {} {} @ {}".format,
    st.just("x"),
    st.sampled_from(["2019-02-28", "2024-02-28", "2024-02-29", "2025-11-18", "2025-11-19", "2025-11-20", "2026-03-01"]),
    st.sampled_from(["1", "2", "3", "10", "0.5"]),
    st.sampled_from(["?", "8", "9.98", "10", "10.02", "12"]),
)


@given(st.lists(lot_lines, min_size=1, max_size=9), st.sampled_from(list(Method)), st.sampled_from(["8", "10", "11.5"]))
def test_the_order_agrees_with_the_words(lines, method, price):
    lots = ledger("\n".join(f"{chr(97 + place)}{line}" for place, line in enumerate(lines)))
    name = method.name.lower()
    assert names(lots, name, price).split() == in_words_of_the_product(lots, name, Fraction(price))


@pytest.mark.parametrize("method", ["fifo", "lifo", "hifo", "minimum_tax"])
@settings(max_examples=10)
@given(st.data())
def test_positions_of_many_lots_too(method, data):
    size = data.draw(st.sampled_from([15, 16, 17, 31, 32, 33, 64, 65, 130]))
    lines = data.draw(st.lists(lot_lines, min_size=size, max_size=size))
    lots = ledger("\n".join(f"L{place:03}{line}" for place, line in enumerate(lines)))
    assert names(lots, method).split() == in_words_of_the_product(lots, method, Fraction(10))


@given(st.lists(st.tuples(st.lists(lot_lines, min_size=1, max_size=9), st.sampled_from(list(Method))), max_size=6))
def test_positions_side_by_side_do_not_touch_each_other(positions):
    """Each position of a book is relieved as if it were alone, whatever the method of its neighbour's account."""
    ledgers = [
        (ledger("\n".join(f"{chr(97 + at)}{line}" for at, line in enumerate(lines))), m) for lines, m in positions
    ]
    lots = [lot for one, _ in ledgers for lot in one]
    repeat = [len(one) for one, _ in ledgers]
    order = relief_order(
        np.repeat(np.arange(len(ledgers)), repeat),
        np.repeat(np.array([method for _, method in ledgers], dtype=np.int8), repeat),
        np.array([lot.units for lot in lots], dtype=np.int64),
        np.array([lot.cents for lot in lots], dtype=np.int64),
        np.array([(lot.acquired - EPOCH).days for lot in lots], dtype=np.int32),
        np.full(len(lots), 10.0),
        (TRADE_DATE - EPOCH).days,
    )
    alone = [place + sum(repeat[:at]) for at, (one, m) in enumerate(ledgers) for place in order_of(one, m.name, 10)]
    assert order.tolist() == alone
