"""The same account gives the same bits: alone, in any batch, in any order, in any chunk."""

from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rebalancer.engine import CASH, LOGICS, Drift, Proposal, check, propose

from .building import TODAY, Row, account, book, day
from .strategies import accounts

WEIGHTS = {"managed", "cash_weight", "weight"}
ACCOUNTS = {"shortfall", "high_cash", "low_cash", "furthest", "managed", "cash_weight"}
LOTS = {"sold", "moved", "long_term"}
ROWS = {"units", "flat_units", "reason", "note", "outside", "triggers", "held_back"}
FEWER = settings(max_examples=max(10, settings.default.max_examples // 4))  # each one is many proposals
batches = st.lists(st.one_of(accounts(), accounts(sleeves=True)), min_size=1, max_size=5)


def keyed(some):
    return [replace(one, key=number) for number, one in enumerate(some)]


def bits(result, made):
    """{key of the account: {name of the array: its part of it, as bytes}} of a Proposal or a Drift and its weights."""
    arrays = {field.name: getattr(result, field.name) for field in fields(result) if field.name != "scale"}
    arrays |= {name: getattr(result.scale, name) for name in WEIGHTS}
    return {
        key: {name: _part(name, array, made, number) for name, array in arrays.items()}
        for number, key in enumerate(made.account.tolist())
    }


def _part(name, array, made, number):
    first, last = made.start[number : number + 2]
    if name == "furthest":  # a row number: count from the account's first row
        return int(array[number]) if array[number] == CASH else int(array[number] - first)
    if name in ACCOUNTS:
        return array[number].tobytes()
    lots = slice(made.lot_start[first], made.lot_start[last])
    return array[lots if name in LOTS else slice(first, last)].tobytes()


def proposed(some, logic):
    made = book(*some)
    return bits(propose(made, logic, day(TODAY)), made)


def checked(some):
    made = book(*some)
    return bits(check(made), made)


def compare(some, random, work):
    """Work on all accounts together, one by one, shuffled, and in two chunks: the bits are the same."""
    some = keyed(some)
    alone = {key: part for one in some for key, part in work([one]).items()}
    assert work(some) == alone
    random.shuffle(some)
    assert work(some) == alone
    half = len(some) // 2
    assert work(some[:half]) | work(some[half:]) == alone


@pytest.mark.parametrize("logic", LOGICS)
@FEWER
@given(batches, st.randoms(use_true_random=False))
def test_a_proposal_does_not_depend_on_its_company(logic, some, random):
    compare(some, random, lambda chosen: proposed(chosen, logic))


@given(batches, st.randoms(use_true_random=False))
def test_a_check_does_not_depend_on_its_company(some, random):
    compare(some, random, checked)


def test_every_array_of_the_results_is_compared():
    names = {field.name for kind in (Proposal, Drift) for field in fields(kind)}
    assert names | WEIGHTS == ACCOUNTS | LOTS | ROWS | WEIGHTS | {"scale"}


@pytest.mark.parametrize("logic", LOGICS)
def test_two_thousand_copies_are_all_alike(logic):
    one = account(Row("VTI", 750, 100, 60), Row("AGG", 401, "49.99", 38), Row("OLD", 3, "17.01"), cash="5000.01")
    together = proposed(keyed([one] * 2000), logic)
    assert all(part == together[0] for part in together.values())
    assert any(together[0]["units"])


def test_no_account_at_all():
    nothing = book()
    assert len(propose(nothing, "best_fit", day(TODAY)).units) == 0
    assert len(check(nothing).outside) == 0


def test_an_account_without_rows_among_others():
    empty = account(cash=1000, cash_target=100)
    full = account(Row("VTI", 750, 100, 60), cash=50_000, cash_target=40)
    for some in ([empty, full, empty], [full, empty, full], [empty]):
        assert proposed(keyed(some), "best_fit") == {
            key: part for one in keyed(some) for key, part in proposed([one], "best_fit").items()
        }
