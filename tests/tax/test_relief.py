"""Orders of relief, written as ledgers: lots as somebody would jot them down, a sale, and what each lot gives."""

from dataclasses import dataclass
from datetime import date
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tax.relief import UNKNOWN, Lots, Method, Sales, relief_key, relieve

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


def arrays(lots):
    return Lots(
        np.array([lot.units for lot in lots], dtype=np.int64),
        np.array([lot.cents for lot in lots], dtype=np.int64),
        np.array([(lot.acquired - EPOCH).days for lot in lots], dtype=np.int32),
    )


def relieved(lots, wanted, methods, price="10"):
    """What each lot gives: `lots` position by position, of each of them so many units by its method."""
    count = np.array([len(one) for one in lots], dtype=np.int64)
    sales = Sales(
        first=np.cumsum(count) - count,
        count=count,
        units=np.array(wanted, dtype=np.int64),
        method=np.array(methods, dtype=np.int8),
        price=np.full(len(lots), float(Fraction(price))),
        trade_day=(TRADE_DATE - EPOCH).days,
    )
    return relieve(arrays([lot for one in lots for lot in one]), sales).tolist()


def order_of(lots, method, price):
    """Indices of the lots of one position in the order of their relief."""
    key = relief_key(Method[method.upper()], arrays(lots), float(price), (TRADE_DATE - EPOCH).days)
    return np.argsort(key, kind="stable")


def names(lots, method, price="10"):
    return " ".join(lots[place].name for place in order_of(lots, method, Fraction(price)))


def sale(lots, method, shares, price="10"):
    """What each lot gives, in the order of relief: "a 10, b 2"."""
    given_up = relieved([lots], [int(Fraction(shares) * MICRO)], [Method[method.upper()]], price)
    order = order_of(lots, method, Fraction(price))
    parts = [(lots[place].name, Fraction(given_up[place], MICRO)) for place in order]
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


def of_units(units):
    """Lots of so many units, oldest first."""
    return [Lot(str(place), EPOCH, Fraction(unit, MICRO), None) for place, unit in enumerate(units)]


@pytest.mark.parametrize(("units", "wanted", "given_up"), [
    ([[10, 20, 5]], [12], [10, 2, 0]),
    ([[10, 20, 5]], [0], [0, 0, 0]),
    ([[10, 20, 5]], [35], [10, 20, 5]),
    ([[10], [7, 7], [1]], [4, 8, 1], [4, 7, 1, 1]),
    ([[0, 5], [5]], [5, 0], [0, 5, 0]),          # a lot that the market part has emptied
    ([[1] * 5], [3], [1, 1, 1, 0, 0]),
    ([], [], []),
])  # fmt: skip
def test_taking(units, wanted, given_up):
    assert relieved([of_units(one) for one in units], wanted, [Method.FIFO] * len(units)) == given_up


def test_positions_that_sell_nothing_need_not_be_named():
    lots = arrays(of_units([5, 6, 7, 8]))
    one = Sales(*(np.array([number]) for number in (1, 2, 9, Method.FIFO, 1.0)), (TRADE_DATE - EPOCH).days)
    assert relieve(lots, one).tolist() == [0, 6, 3, 0]


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


positions = st.tuples(
    st.one_of(st.lists(lot_lines, min_size=1, max_size=9), st.lists(lot_lines, min_size=15, max_size=40)),
    st.sampled_from(list(Method)),
    st.sampled_from([0, 1, 0.001, 0.3, 0.7]),
)


@given(st.lists(positions, max_size=6))
def test_positions_give_their_lots_in_order_and_side_by_side(drawn):
    """Whatever stands beside a position: it gives what it is asked for, and a lot only when all before it are empty."""
    ledgers = [ledger("\n".join(f"L{at:02}{line}" for at, line in enumerate(lines))) for lines, _, _ in drawn]
    wanted = [int(part * sum(lot.units for lot in lots)) for lots, (_, _, part) in zip(ledgers, drawn, strict=True)]
    given_up = iter(relieved(ledgers, wanted, [method for _, method, _ in drawn]))
    for lots, left, (_, method, _) in zip(ledgers, wanted, drawn, strict=True):
        parts = {lot.name: next(given_up) for lot in lots}
        by_name = {lot.name: lot for lot in lots}
        for name in in_words_of_the_product(lots, method.name.lower(), Fraction(10)):
            assert parts[name] == min(by_name[name].units, left)
            left -= parts[name]
