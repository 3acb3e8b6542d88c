"""Standing reasons of holdings: one key for each, which is another one when the reason has become another one."""

from decimal import Decimal

import pytest

from accounts.models import Account, Restriction
from rebalancer.models import Check
from rebalancer.states import Status
from tests import factories as make

from .test_checks import check_of, holding, keys

pytestmark = pytest.mark.django_db
KIND = Restriction.Kind
HELD = {"vti": 730, "agg": 540, "cash": 0, "rebalanced": False}  # VTI at 73 %, 1 point above its ceiling


def words(check):
    return [one["words"] for one in check.attention]


def accept(check):
    """Acknowledge every reason that stands."""
    Check.objects.filter(pk=check.pk).update(acknowledged=keys(check))


def set_aside(account, dollars):
    Account.objects.filter(pk=account.pk).update(set_aside_cash=Decimal(dollars))


@pytest.fixture
def held(balanced):
    """An account whose VTI a restriction keeps above its ceiling, which somebody has acknowledged."""
    account = holding(balanced, **HELD)
    make.restriction(account, "VTI", KIND.DO_NOT_TRADE)
    check = check_of(account)
    assert words(check) == ["VTI 1 % above its 72 % ceiling, kept there by a restriction: do not trade"]
    accept(check)
    return account


def test_what_a_restriction_holds_counts_again_when_it_is_much_further_out(held):
    assert check_of(held).status == Status.OUT_OF_TOLERANCE
    set_aside(held, 1000)
    assert check_of(held).status == Status.OUT_OF_TOLERANCE  # 1.74 points: the market of a week
    set_aside(held, 25_000)
    check = check_of(held)
    assert (check.status, check.acknowledged) == (Status.NEED_EXTRA_ATTENTION, [])
    assert check.reason.startswith("VTI 25.33 % above its 72 % ceiling")


def test_and_when_another_restriction_holds_it(held):
    Restriction.objects.update(kind=KIND.NO_SELL)
    assert check_of(held).status == Status.NEED_EXTRA_ATTENTION


def test_and_when_it_is_on_the_other_side(held):
    Account.objects.filter(pk=held.pk).update(cash=60_000)
    check = check_of(held)
    assert check.status == Status.NEED_EXTRA_ATTENTION
    assert check.reason.startswith("VTI 2.38 % below its 48 % floor")


# --- one security in several sleeves --------------------------------------------------------------------------------


@pytest.fixture
def mixed():
    """VTI at $100: 24 % of its own and 18 % in the model Core, AGG 18 % there, 40 % cash."""
    make.price("VTI", 100)
    make.price("AGG", 50)
    core = make.model("Core", VTI=50, AGG=50)
    return make.portfolio("Mixed", [make.component("VTI", 24), make.component(core, 36)])


def spread(portfolio, own, core, **fields):
    """$100,000 with so many VTI in the managed sleeve and in the model's, and what AGG the model asks for."""
    account = holding(portfolio, own, 0, 82_000 - 100 * (own + core), **fields)
    make.lot(account, "AGG", 360, cost=1, sleeve_of=portfolio.components.get(model__name="Core").model)
    if core:
        make.lot(account, "VTI", core, cost=1, sleeve_of=portfolio.components.get(model__name="Core").model)
    return account


@pytest.mark.parametrize(("own", "core", "expected"), [
    (420, 0, []),  # 18 points above in one sleeve, 18 below in the other: together at its target
    (0, 420, []),
    (530, 0, ["VTI 11 points above its target"]),
    (330, 200, ["VTI 11 points above its target"]),  # 9 and 2 points: far only together
    (155, 155, ["VTI 11 points below its target"]),
    (0, 0, []),  # not held
])  # fmt: skip
def test_far_from_its_target_is_a_security_over_all_sleeves(mixed, own, core, expected):
    assert words(check_of(spread(mixed, own, core))) == expected


def test_what_is_protected_is_left_out(mixed):
    account = spread(mixed, 240, 180)
    make.lot(account, "VTI", 900, cost=1, sleeve_of="protected")
    assert words(check_of(account)) == []


def test_the_sleeve_is_named_where_a_security_stands_in_several(mixed):
    check = check_of(spread(mixed, 300, 120, rebalanced=False))
    assert check.reason == (
        "VTI (Managed) 1.2 % above its 28.8 % ceiling; VTI (Model · Core) 2.4 % below its 14.4 % floor"
    )
    assert check.triggering == "VTI"


def test_each_sleeves_reason_is_acknowledged_for_itself(mixed):
    account = spread(mixed, 300, 120, rebalanced=False)
    make.restriction(account, "VTI", KIND.DO_NOT_TRADE)
    check = check_of(account)
    assert len(check.attention) == len(set(keys(check))) == 2
    accept(check)
    Check.objects.update(acknowledged=keys(check)[:1])
    assert check_of(account).reason.startswith("VTI (Model · Core) 2.4 % below its 14.4 % floor, kept there")


def test_an_unknown_cost_is_one_reason_however_many_sleeves(mixed):
    account = spread(mixed, 300, 240, rebalanced=False)
    for sleeve in ("managed", mixed.components.get(model__name="Core").model):
        make.lot(account, "VTI", 1, cost=None, sleeve_of=sleeve)
    assert words(check_of(account)) == ["VTI would be sold and its cost is unknown"]
