"""A block's fill → its accounts: by hand, against a slow reference in fractions, and what always holds."""

import random
import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.allocate import allocate

SHARE = 1_000_000


def shares(*quantities):
    return [round(quantity * SHARE) for quantity in quantities]


class TestByHand:
    def test_a_full_fill_follows_the_statement(self):
        found = allocate(shares(10, 5.5, 0), SHARE, round(15.5 * SHARE), 155_001, "abc")
        assert found.units == shares(10, 5.5, 0)
        assert found.cents == [100_001, 55_000, 0]  # 100,000.645 and 55,000.354: the cent goes to the larger rest

    def test_a_partial_one_goes_pro_rata_in_whole_steps(self):
        # 7 of 20: 3.5, 2.45 and 1.05; one left goes to the largest rest
        assert allocate(shares(10, 7, 3), SHARE, 7 * SHARE, 700, "abc").units == shares(4, 2, 1)

    def test_ties_go_by_key(self):
        assert allocate(shares(1, 1, 1), SHARE, 2 * SHARE, 200, ["A3", "A1", "A2"]).units == shares(0, 1, 1)
        assert allocate(shares(1, 1, 1), SHARE, 3 * SHARE, 100, ["A3", "A1", "A2"]).cents == [33, 34, 33]

    def test_funds_go_by_their_own_step(self):
        found = allocate(shares(1, 1, 1), 1000, SHARE, 1000, "abc")
        assert found.units == shares(0.334, 0.333, 0.333)
        assert found.cents == [334, 333, 333]

    def test_nothing_filled(self):
        found = allocate(shares(1, 2), SHARE, 0, 0, "ab")
        assert (found.units, found.cents) == ([0, 0], [0, 0])

    def test_a_fraction_that_is_wanted_is_the_most_that_is_given(self):
        # 0.9 of 2.5 and 2.5: 2.25 each; two whole steps each, and the half that is left goes on by key
        assert allocate(shares(2.5, 2.5), SHARE, round(4.5 * SHARE), 0, "ba").units == shares(2, 2.5)

    def test_a_fraction_that_is_filled_is_somebodys(self):
        assert allocate(shares(3, 3), SHARE, round(2.5 * SHARE), 0, "ab").units == shares(1.5, 1)

    def test_more_than_was_asked_for(self):
        with pytest.raises(ValueError, match="3000000 units are filled, and 2000000 were asked for"):
            allocate(shares(2), SHARE, 3 * SHARE, 0, "a")

    def test_quantities_beyond_64_bits(self):
        wanted = [9 * 10**13, 6 * 10**13]  # 150 million shares
        found = allocate(wanted, SHARE, 10**14, 10**15, "ab")
        assert found.units == [6 * 10**13, 4 * 10**13]
        assert found.cents == [6 * 10**14, 4 * 10**14]


@st.composite
def blocks(draw):
    """(steps wanted, step, steps filled, cents, keys)"""
    wanted = draw(st.lists(st.integers(0, 5_000), min_size=1, max_size=25).filter(sum))
    keys = draw(st.permutations([f"A{number:02d}" for number in range(len(wanted))]))
    step = draw(st.sampled_from([1, 1000, SHARE]))
    return wanted, step, draw(st.integers(0, sum(wanted))), draw(st.integers(0, 10**9)), keys


def run(block):
    wanted, step, filled, cents, keys = block
    found = allocate([one * step for one in wanted], step, filled * step, cents if filled else 0, keys)
    return found.units, found.cents


def slowly(total, weights, keys):
    """Largest remainder in fractions: whole parts of `total` by weight."""
    exact = [Fraction(total * weight, sum(weights)) for weight in weights]
    given_ = [int(one) for one in exact]
    order = sorted(range(len(weights)), key=lambda i: (given_[i] - exact[i], keys[i]))
    for number in order[: total - sum(given_)]:
        given_[number] += 1
    return given_


@given(blocks())
def test_it_is_the_largest_remainder(block):
    wanted, step, filled, cents, keys = block
    units, money = run(block)
    assert [one // step for one in units] == slowly(filled, wanted, keys)
    assert money == (slowly(cents, units, keys) if filled else [0] * len(wanted))


@given(blocks())
def test_sums_and_bounds(block):
    wanted, step, filled, cents, _ = block
    units, money = run(block)
    assert sum(units) == filled * step
    assert sum(money) == (cents if filled else 0)
    for want, got, paid in zip(wanted, units, money, strict=True):
        assert 0 <= got <= want * step
        assert not got % step
        assert abs(Fraction(want * filled, sum(wanted)) - got // step) < 1
        assert paid >= 0
        assert got or not paid


@given(blocks())
def test_who_wants_more_gets_no_less(block):
    wanted, _, _, _, keys = block
    units, money = run(block)
    order = sorted(range(len(wanted)), key=lambda i: (-wanted[i], keys[i]))
    assert [units[i] for i in order] == sorted(units, reverse=True)
    order = sorted(range(len(wanted)), key=lambda i: (-units[i], keys[i]))
    assert [money[i] for i in order] == sorted(money, reverse=True)


@given(blocks(), st.randoms())
def test_the_order_they_come_in_is_immaterial(block, chance):
    wanted, step, filled, cents, keys = block
    units, money = run(block)
    order = list(range(len(wanted)))
    chance.shuffle(order)
    mixed = run(([wanted[i] for i in order], step, filled, cents, [keys[i] for i in order]))
    assert mixed == ([units[i] for i in order], [money[i] for i in order])


@given(
    st.lists(st.integers(0, 5_000), min_size=1, max_size=25).filter(sum), st.integers(1, 300), st.floats(0, 1),
    st.integers(0, 10**6),
)  # fmt: skip
def test_fractions_are_bounded_and_summed_up_too(wanted, step, part, cents):
    filled = int(sum(wanted) * part)
    found = allocate(wanted, step, filled, cents if filled else 0, range(len(wanted)))
    assert sum(found.units) == filled
    assert sum(found.cents) == (cents if filled else 0)
    assert all(0 <= got <= want for got, want in zip(found.units, wanted, strict=True))
    whole = filled % step == 0 and all(want % step == 0 for want in wanted)
    assert not whole or all(got % step == 0 for got in found.units)


def test_ten_thousand_accounts_take_no_time():
    chance = random.Random(7)
    wanted = [chance.randrange(1, 500) * SHARE for _ in range(10_000)]
    keys = [(f"A{number:05d}", 0, "") for number in range(10_000)]
    filled = sum(wanted) // SHARE // 3 * SHARE
    started = time.perf_counter()
    found = allocate(wanted, SHARE, filled, filled * 123 // SHARE, keys)
    assert time.perf_counter() - started < 1  # on any machine; the benchmark has the goal
    assert sum(found.units) == filled
