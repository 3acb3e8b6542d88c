"""Flat trades: what meets between the sleeves of an account goes to no market, and its lots move."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebalancer.engine import propose
from rebalancer.engine.netting import flat_part

from .building import MICRO, TODAY, Band, Lot, Row, account, book, day
from .strategies import accounts


def flat(*trades):
    """Flat shares of each sleeve, for trades of one security in sleeves 0, 1, 2 ..."""
    sleeves = np.arange(len(trades))
    return flat_part(np.zeros(len(trades), dtype=np.int64), sleeves, np.zeros_like(sleeves), np.array(trades)).tolist()


@pytest.mark.parametrize(("trades", "flats"), [
    ([+100, -60], [60, 60]),                 # 60 flat, market buy 40
    ([-100, +60], [60, 60]),                 # 60 flat, market sale 40
    ([+100, -100], [100, 100]),
    ([+100, +60], [0, 0]),
    ([-100], [0]),
    ([+30, +50, -60], [30, 30, 60]),         # buyers are served in the order of sleeves
    ([-30, -50, +60], [30, 30, 60]),         # sellers too
    ([-10, +50, -60, +5], [10, 50, 45, 5]),
    ([+50, 0, -20, 0, +50], [20, 0, 20, 0, 0]),
])  # fmt: skip
def test_what_meets(trades, flats):
    assert flat(*trades) == flats


def test_other_securities_and_other_accounts_do_not_meet():
    owner, sleeve = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    assert not flat_part(owner, sleeve, np.array([0, 1, 0, 1]), np.array([5, -5, 5, -5])).any()
    assert not flat_part(np.array([0, 1]), np.array([0, 1]), np.array([0, 0]), np.array([5, -5])).any()


def test_sellers_far_apart_in_the_rows_meet():
    """Managed A, managed B, model A, model B: the rows of one security are not neighbours."""
    found = flat_part(np.zeros(4, dtype=int), np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.array([8, -3, -6, 9]))
    assert found.tolist() == [6, 3, 6, 3]


rows = st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 2), st.integers(-9, 9))
trades = st.lists(rows, unique_by=lambda one: one[:3])


@given(trades)
def test_flat_is_the_smaller_side_handed_out_in_the_order_of_sleeves(made):
    made = sorted(made)
    owner, sleeve, security, units = (np.array(one, dtype=np.int64) for one in zip(*made, strict=True)) if made else [
        np.zeros(0, dtype=np.int64)
    ] * 4
    found = flat_part(owner, sleeve, security, units).tolist()
    for account_, security_ in {(one[0], one[2]) for one in made}:
        group = [(one[3], part) for one, part in zip(made, found, strict=True) if one[0::2] == (account_, security_)]
        buys, sells = ([(abs(units), part) for units, part in group if units * side > 0] for side in (1, -1))
        matched = min(sum(units for units, _ in buys), sum(units for units, _ in sells))
        for served in (buys, sells):
            left = matched
            for units, part in served:
                assert part == min(units, left)
                left -= part


# --- in a proposal ------------------------------------------------------------------------------------------------

WIDE = Band(50, 50, 1, 1)


def two_sleeves(*lots):
    """$100,000: the managed sleeve wants 100 VTI more, the model 60 less, at $100."""
    return account(
        Row("VTI", 100, 100, 20, WIDE),
        Row("AGG", 600, 100, 56, WIDE),
        Row("VTI", 0, 100, 18, WIDE, sleeve=1, lots=lots),
        cash=6_000,
    )


LOTS = (Lot(40, 2000, "2019-01-02"), Lot(60, 9000, "2020-01-02"), Lot(140, 12000, "2021-01-02"))


def test_managed_buys_100_the_model_sells_60():
    made = book(two_sleeves(*LOTS))
    found = propose(made, "best_fit", day(TODAY))
    assert (found.units // MICRO).tolist() == [-40, 100, -60]
    assert (found.flat_units // MICRO).tolist() == [0, 60, 60]
    assert (found.market_units // MICRO).tolist() == [-40, 40, 0]
    assert found.sold[-3:].tolist() == [0, 0, 0]
    assert (found.moved[-3:] // MICRO).tolist() == [40, 20, 0]  # oldest first


def test_lots_for_the_market_come_first_and_flat_moves_take_what_is_left_oldest_first():
    """The model sells 160, the managed sleeve takes 100 of them; HIFO sells the 60 dearest to the market."""
    one = account(
        Row("VTI", 100, 100, 20, WIDE),
        Row("AGG", 560, 100, 70, WIDE),
        Row("VTI", 0, 100, 8, WIDE, sleeve=1, lots=LOTS),
        cash=10_000,
        method=2,
    )
    found = propose(book(one), "best_fit", day(TODAY))
    assert (found.units // MICRO).tolist() == [140, 100, -160]
    assert (found.flat_units // MICRO).tolist() == [0, 100, 100]
    assert (found.sold[-3:] // MICRO).tolist() == [0, 60, 0]
    assert (found.moved[-3:] // MICRO).tolist() == [40, 0, 60]


@given(accounts(sleeves=True), st.sampled_from(["best_fit", "min_transaction", "liquidate"]))
def test_lots_give_exactly_what_their_row_gives(one, logic):
    made = book(one)
    found = propose(made, logic, day(TODAY))
    for row in range(len(made.units)):
        lots = slice(made.lot_start[row], made.lot_start[row + 1])
        sells = max(-int(found.units[row]), 0)
        flat_sale = int(found.flat_units[row]) if sells else 0
        assert found.sold[lots].sum() == sells - flat_sale
        assert found.moved[lots].sum() == flat_sale
        assert (found.sold[lots] + found.moved[lots] <= made.lot_units[lots]).all()


@given(accounts(sleeves=True), st.sampled_from(["best_fit", "min_transaction"]))
def test_what_is_flat_is_flat_on_both_sides(one, logic):
    made = book(one)
    found = propose(made, logic, day(TODAY))
    for security in set(made.security.tolist()):
        rows = made.security == security
        buys, sells = rows & (found.units > 0), rows & (found.units < 0)
        matched = min(found.units[buys].sum(), -found.units[sells].sum())
        assert found.flat_units[buys].sum() == found.flat_units[sells].sum() == matched
        market = found.market_units[rows]
        assert (market >= 0).all() or (market <= 0).all()
