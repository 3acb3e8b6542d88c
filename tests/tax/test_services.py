"""Lots and positions: replaced as delivered, moved between sleeves to the cent, always in step."""

from datetime import date
from decimal import ROUND_HALF_UP, Decimal

import pytest
from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Sum
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.models import Account, Position
from accounts.services.refusals import Refused
from tax.models import Lot
from tax.selectors import lots
from tax.services.lots import replace_lots
from tax.services.moving import move_lots
from tests import factories as make

pytestmark = pytest.mark.django_db


def held(account):
    """{(sleeve, symbol, lot id): (quantity, cost)}"""
    rows = Lot.objects.filter(account=account).select_related("sleeve__model", "security")
    return {(str(lot.sleeve), str(lot.security), lot.lot_id): (lot.quantity, lot.total_cost) for lot in rows}


def assert_in_step():
    sums = Lot.objects.values_list("account", "sleeve", "security").annotate(Sum("quantity"))
    assert set(sums) == set(Position.objects.values_list("account", "sleeve", "security", "quantity"))


# --- replaced -----------------------------------------------------------------------------------------------------


def row(account, symbol, lot_id, quantity, cost="100", acquired=date(2020, 1, 2), sleeve="managed"):
    return (account.pk, make.sleeve(sleeve).pk, make.security(symbol).pk, lot_id, quantity, cost, acquired)


def test_lots_are_replaced_and_positions_are_their_sums():
    one, two, other = make.account("1"), make.account("2"), make.account("3")
    for account in (one, two, other):
        make.lot(account, "VTI", 7, 70, lot_id="old")
    make.lot(one, "AGG", 1, 1, lot_id="gone")
    rows = [
        row(one, "VTI", "old", "7", "70"),
        row(one, "VTI", "new", "3.5", None),
        row(one, "VTI", "kept", "2", "20.25", sleeve="protected"),
    ]
    assert replace_lots([one.pk, two.pk], rows) == 3
    assert held(one) == {
        ("managed", "VTI", "old"): (7, 70),
        ("managed", "VTI", "new"): (Decimal("3.5"), None),
        ("protected", "VTI", "kept"): (2, Decimal("20.25")),
    }
    assert held(two) == {}
    assert held(other) == {("managed", "VTI", "old"): (7, 70)}
    assert_in_step()
    wanted = set(Account.objects.exclude(check_wanted_at=None).values_list("number", flat=True))
    assert wanted == {"1", "2"}


def test_what_stays_the_same_is_not_written_again():
    account = make.account()
    rows = [row(account, "VTI", "a", "7"), row(account, "VTI", "b", "8")]
    replace_lots([account.pk], rows)
    before = dict(Lot.objects.values_list("lot_id", "pk"))
    replace_lots([account.pk], [rows[0], row(account, "VTI", "b", "9")])
    after = dict(Lot.objects.values_list("lot_id", "pk"))
    assert before["a"] == after["a"]
    assert before["b"] != after["b"]
    assert_in_step()


def test_lots_of_an_account_that_is_not_replaced_are_our_mistake():
    one, other = make.account(), make.account()
    with pytest.raises(AssertionError, match=f"account {other.pk}"):
        replace_lots([one.pk], [row(other, "VTI", "a", "7")])
    assert not Lot.objects.exists()


def test_twice_in_one_transaction():
    account = make.account()
    replace_lots([account.pk], [row(account, "VTI", "a", "7")])
    replace_lots([account.pk], [])
    assert not Lot.objects.exists()
    assert not Position.objects.exists()


# --- moved --------------------------------------------------------------------------------------------------------


@pytest.fixture
def growth():
    return make.model("Growth", VTI=100)


def move(account, quantity, source="managed", target="protected", symbol="VTI"):
    move_lots(account, make.security(symbol), make.sleeve(source), make.sleeve(target), Decimal(str(quantity)))


def test_the_oldest_go_first_and_the_last_one_is_split():
    account = make.account()
    make.lot(account, "VTI", 10, 100, date(2021, 1, 1), "young")
    make.lot(account, "VTI", 3, "10.00", date(2020, 1, 1), "b")
    make.lot(account, "VTI", 5, 50, date(2020, 1, 1), "B")  # before "b" by bytes
    make.lot(account, "AGG", 5, 50, date(2019, 1, 1), "other")
    move(account, 6)
    assert held(account) == {
        ("protected", "VTI", "B"): (5, 50),
        ("protected", "VTI", "b"): (1, Decimal("3.33")),
        ("managed", "VTI", "b"): (2, Decimal("6.67")),
        ("managed", "VTI", "young"): (10, 100),
        ("managed", "AGG", "other"): (5, 50),
    }
    assert_in_step()
    account.refresh_from_db()
    assert account.check_wanted_at is not None


def test_half_a_cent_goes_up():
    account = make.account()
    make.lot(account, "VTI", 2, "0.05", lot_id="a")
    move(account, 1)
    assert held(account)["protected", "VTI", "a"] == (1, Decimal("0.03"))
    assert held(account)["managed", "VTI", "a"] == (1, Decimal("0.02"))


def test_unknown_cost_stays_unknown():
    account = make.account()
    make.lot(account, "VTI", 2, None, lot_id="a")
    move(account, 1)
    assert set(held(account).values()) == {(1, None)}


def test_everything_moved_leaves_no_position(growth):
    account = make.account()
    make.lot(account, "VTI", 2, 10, lot_id="a")
    move(account, 2, target=growth)
    assert held(account) == {("model:Growth", "VTI", "a"): (2, 10)}
    assert Position.objects.get().sleeve == growth.sleeve
    assert_in_step()


def test_a_part_that_comes_back_joins_its_lot():
    account = make.account()
    make.lot(account, "VTI", 3, 10, lot_id="a")
    move(account, 1)
    move(account, 1, source="protected", target="managed")
    assert held(account) == {("managed", "VTI", "a"): (3, 10)}
    assert_in_step()


@pytest.mark.parametrize("there", [
    {"acquired": date(2019, 1, 1), "cost": 5},
    {"cost": None},
])  # fmt: skip
def test_another_lot_of_that_name_is_not_mixed_up_with_it(there):
    account = make.account()
    make.lot(account, "VTI", 3, 10, lot_id="a")
    make.lot(account, "VTI", 1, lot_id="a", sleeve_of="protected", **there)
    make.lot(account, "VTI", 1, 1, date(2018, 1, 1), "a (2)", sleeve_of="protected")
    move(account, 3)
    assert held(account)["protected", "VTI", "a (3)"] == (3, 10)
    assert Lot.objects.count() == 3
    assert_in_step()


def test_a_long_lot_id_is_cut_to_stay_unique():
    account, name = make.account(), "x" * 80
    make.lot(account, "VTI", 3, 10, lot_id=name)
    make.lot(account, "VTI", 1, 1, date(2019, 1, 1), name, sleeve_of="protected")
    move(account, 3)
    assert ("protected", "VTI", "x" * 76 + " (2)") in held(account)


def test_more_than_is_there_is_refused_and_nothing_moves():
    account = make.account("A7")
    make.lot(account, "VTI", "2.5", 10, lot_id="a")
    make.lot(account, "VTI", 9, 10, lot_id="p", sleeve_of="protected")
    with pytest.raises(Refused, match=r"A7 holds 2\.5 VTI in its sleeve managed: 3 can't be moved"):
        move(account, 3)
    assert held(account)["managed", "VTI", "a"] == (Decimal("2.5"), 10)
    assert_in_step()


def test_an_account_that_is_gone():
    account = make.account()
    gone = Account.objects.get(pk=account.pk)
    account.delete()
    with pytest.raises(ObjectDoesNotExist):
        move(gone, 1)


quantities = st.integers(1, 5_000_000).map(lambda units: Decimal(units) / 1_000_000)
costs = st.none() | st.integers(0, 10_000_00).map(lambda cents: Decimal(cents) / 100)
days = st.dates(date(2019, 1, 1), date(2019, 1, 4))
one_lot = st.tuples(quantities, costs, days, st.sampled_from("abAB"))
lot_lists = st.lists(one_lot, min_size=1, max_size=4, unique_by=lambda lot: lot[3])


@settings(max_examples=40)
@given(source=lot_lists, target=lot_lists, share=st.integers(1, 1_000_000))
def test_shares_and_costs_are_kept_to_the_last(source, target, share):
    account = make.account()
    for lots_of, name in ((source, "managed"), (target, "protected")):
        for quantity, cost, day, lot_id in lots_of:
            make.lot(account, "VTI", quantity, cost, day, lot_id, sleeve_of=name)
    before = figures(account)
    total = sum(lot[0] for lot in source)
    part = max((total * share / 1_000_000).quantize(Decimal("0.000001"), ROUND_HALF_UP), Decimal("0.000001"))
    move(account, part)
    assert figures(account) == before
    left = Lot.objects.filter(account=account, sleeve__kind="managed").aggregate(left=Sum("quantity"))["left"] or 0
    assert left == total - part
    oldest_left = Lot.objects.filter(account=account, sleeve__kind="managed").order_by("acquired_on", "lot_id").first()
    if oldest_left:
        went = [lot for lot in source if (lot[2], lot[3]) < (oldest_left.acquired_on, oldest_left.lot_id)]
        assert sum(lot[0] for lot in went) <= part
    assert_in_step()


def figures(account):
    """Per day: shares, shares of unknown cost, and cost, over both sleeves."""
    rows = Lot.objects.filter(account=account).order_by()
    shares = rows.values_list("acquired_on").annotate(Sum("quantity"), Sum("total_cost"))
    unknown = rows.filter(total_cost=None).values_list("acquired_on").annotate(Sum("quantity"))
    return set(shares), set(unknown)


# --- read ---------------------------------------------------------------------------------------------------------


def test_a_stranger_sees_no_lots():
    anna = make.advisor("anna")
    account = make.account(advisor=anna)
    make.lot(account, "VTI", 2, 10, date(2021, 1, 1), "young")
    make.lot(account, "VTI", 2, 10, date(2020, 1, 1), "old")
    assert [lot.lot_id for lot in lots(anna, account)] == ["old", "young"]
    assert not lots(make.advisor("bob"), account)
