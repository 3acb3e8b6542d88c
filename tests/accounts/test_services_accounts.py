"""What people do with accounts: who may, what is refused, what it leaves behind."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils import timezone

from accounts.models import Account, AuditLine, Restriction
from accounts.services import accounts
from accounts.services.refusals import Refused
from tests import factories as make

pytestmark = pytest.mark.django_db
ROLES = {"advisor": make.advisor, "operations": make.operations, "administrator": make.administrator}


@pytest.fixture
def anna():
    return make.advisor("anna")


@pytest.fixture
def account(anna):
    return make.account("A1", advisor=anna)


def fresh(account):
    return Account.objects.get(pk=account.pk)


def last_line():
    return AuditLine.objects.first()


# --- the rebalancing switch ---------------------------------------------------------------------------------------


def test_going_on_sets_since_and_wants_a_check(anna):
    off, on = make.account("A1", advisor=anna, rebalancing_on=False), make.account("A2", advisor=anna)
    before = timezone.now()
    assert accounts.switch_rebalancing(Account.objects.all(), True, by=anna) == 1
    assert fresh(off).rebalancing_since >= before
    assert fresh(off).check_wanted_at >= before
    assert (fresh(on).rebalancing_since, fresh(on).check_wanted_at) == (None, None)
    line = last_line()
    assert (line.verb, line.object_id) == ("rebalancing.switched", str(off.pk))
    assert (line.before, line.after) == ({"rebalancing_on": False}, {"rebalancing_on": True})


def test_going_off_keeps_since(account, anna):
    since = timezone.now() - timedelta(days=3)
    Account.objects.update(rebalancing_since=since)
    assert accounts.switch_rebalancing(Account.objects.all(), False, by=anna) == 1
    assert (fresh(account).rebalancing_on, fresh(account).rebalancing_since) == (False, since)
    assert accounts.switch_rebalancing(Account.objects.all(), False, by=anna) == 0


def test_an_advisor_switches_only_their_own(account):
    bob = make.advisor("bob")
    make.account("B1", advisor=bob)
    with pytest.raises(PermissionDenied):
        accounts.switch_rebalancing(Account.objects.all(), False, by=bob)
    assert Account.objects.filter(rebalancing_on=True).count() == 2
    assert (last_line().verb, last_line().by, last_line().after["command"]) == ("refused", bob, "rebalancing.switched")


@pytest.mark.parametrize("role", ["operations", "administrator"])
def test_operations_and_administrators_switch_every_account(account, role):
    assert accounts.switch_rebalancing(Account.objects.all(), False, by=ROLES[role]()) == 1


@pytest.mark.parametrize("person", [
    lambda: make.person("nobody"),
    lambda: make.operations("gone", is_active=False),
])  # fmt: skip
def test_without_a_role_or_inactive_nothing_is_done(account, person):
    with pytest.raises(PermissionDenied):
        accounts.switch_rebalancing(Account.objects.all(), False, by=person())
    assert fresh(account).rebalancing_on


def test_a_closed_account_is_not_switched_on(anna):
    make.account("A1", advisor=anna, rebalancing_on=False)
    make.account("A2", advisor=anna, rebalancing_on=False, is_open=False)
    with pytest.raises(Refused, match="closed accounts: A2"):
        accounts.switch_rebalancing(Account.objects.all(), True, by=anna)
    assert not Account.objects.filter(rebalancing_on=True).exists()


@pytest.mark.django_db(transaction=True)
def test_what_was_refused_is_kept_when_the_rest_is_rolled_back():
    """With real commits: the line is there although an outer command was rolled back with the inner one."""
    mine, bob = make.account("A1", advisor=make.advisor("anna")), make.advisor("bob")

    def outer():
        with accounts.command(bob, "outer"):
            Account.objects.update(name="changed")
            accounts.assign_portfolio(mine, None, by=bob)

    with pytest.raises(PermissionDenied):
        outer()
    assert fresh(mine).name == "Account A1"
    assert [(line.verb, line.after["command"]) for line in AuditLine.objects.all()] == [("refused", "outer")]
    assert not transaction.get_connection().in_atomic_block


# --- the portfolio ------------------------------------------------------------------------------------------------


def test_a_linked_portfolio_is_assigned(account, anna):
    portfolio = make.portfolio("Balanced", VTI=90)
    account.linked_portfolios.add(portfolio)
    assert accounts.assign_portfolio(account, portfolio, by=anna)
    assert fresh(account).portfolio == portfolio
    assert fresh(account).portfolio_since is not None
    assert fresh(account).check_wanted_at is not None
    assert (last_line().before, last_line().after) == ({"portfolio": None}, {"portfolio": "Balanced"})
    assert not accounts.assign_portfolio(account, portfolio, by=anna)


@pytest.mark.parametrize("role", ["anna", "operations"])
@pytest.mark.parametrize("chosen", ["unlinked", "none"])
def test_another_portfolio_or_none_is_refused(account, anna, role, chosen):
    linked, other = make.portfolio("Linked", VTI=90), make.portfolio("Other", VTI=90)
    account.linked_portfolios.add(linked)
    Account.objects.update(portfolio=linked)
    by = anna if role == "anna" else make.operations()
    with pytest.raises(Refused, match="linked with account A1"):
        accounts.assign_portfolio(account, other if chosen == "unlinked" else None, by=by)
    assert fresh(account).portfolio == linked


def test_an_administrator_assigns_any_portfolio_or_none(account):
    admin, portfolio = make.administrator(), make.portfolio("Other", VTI=90)
    assert accounts.assign_portfolio(account, portfolio, by=admin)
    assert accounts.assign_portfolio(account, None, by=admin)
    assert fresh(account).portfolio is None


def test_somebody_elses_account_is_not_assigned(account):
    portfolio = make.portfolio("Balanced", VTI=90)
    account.linked_portfolios.add(portfolio)
    with pytest.raises(PermissionDenied):
        accounts.assign_portfolio(account, portfolio, by=make.advisor("bob"))
    assert fresh(account).portfolio is None


# --- set-aside cash -----------------------------------------------------------------------------------------------


def test_cash_is_set_aside(account):
    person = make.operations()
    assert accounts.set_aside(account, Decimal("250.50"), by=person)
    assert fresh(account).set_aside_cash == Decimal("250.50")
    assert fresh(account).check_wanted_at is not None
    assert (last_line().before, last_line().after) == ({"amount": "0.00"}, {"amount": "250.50"})
    assert not accounts.set_aside(account, Decimal("250.5"), by=person)


@pytest.mark.parametrize("amount", [Decimal("-0.01"), Decimal("NaN"), Decimal("1.005"), Decimal("1e17"), "lots"])
def test_a_bad_amount_is_refused(account, amount):
    with pytest.raises(ValidationError) as refused:
        accounts.set_aside(account, amount, by=None)
    assert set(refused.value.message_dict) == {"set_aside_cash"}
    assert fresh(account).set_aside_cash == 0


def test_an_advisor_sets_no_cash_aside(account, anna):
    with pytest.raises(PermissionDenied):
        accounts.set_aside(account, Decimal(1), by=anna)
    assert last_line().verb == "refused"


# --- restrictions -------------------------------------------------------------------------------------------------


def restrict(account, symbol, kind, substitute=None, **days):
    substitute = substitute and make.security(substitute)
    return accounts.set_restriction(account, make.security(symbol), kind, None, substitute=substitute, **days)


def test_a_restriction_is_set_replaced_and_dropped(account):
    first = restrict(account, "VTI", "no_buy")
    assert first.start == timezone.localdate()
    Account.objects.update(check_wanted_at=None)
    restrict(account, "VTI", "no_sell", end=date(2090, 1, 1))
    assert Restriction.objects.get().kind == "no_sell"
    assert last_line().before["kind"] == "no_buy"
    assert fresh(account).check_wanted_at is not None
    accounts.drop_restriction(Restriction.objects.get(), by=None)
    assert not Restriction.objects.exists()
    with pytest.raises(Refused, match="lifted already"):
        accounts.drop_restriction(first, by=None)


def test_the_same_restriction_again_changes_nothing(account):
    restrict(account, "VTI", "no_buy", start=date(2026, 1, 1))
    Account.objects.update(check_wanted_at=None)
    lines = AuditLine.objects.count()
    restrict(account, "VTI", "no_buy", start=date(2026, 1, 1))
    assert (fresh(account).check_wanted_at, AuditLine.objects.count()) == (None, lines)


@pytest.mark.parametrize(("kind", "substitute", "days", "field"), [
    ("substitute", None, {}, "substitute"),
    ("substitute", "VTI", {}, "substitute"),
    ("no_buy", "SCHB", {}, "substitute"),
    ("sell_everything", None, {}, "kind"),
    ("no_buy", None, {"start": date(2026, 2, 1), "end": date(2026, 1, 31)}, "end"),
])  # fmt: skip
def test_a_bad_restriction_is_refused(account, kind, substitute, days, field):
    with pytest.raises(ValidationError) as refused:
        restrict(account, "VTI", kind, substitute, **days)
    assert set(refused.value.message_dict) == {field}
    assert not Restriction.objects.exists()


def test_a_sweep_is_no_substitute(account):
    make.security("SWVXX", "sweep")
    with pytest.raises(ValidationError, match="sweep"):
        restrict(account, "VTI", "substitute", "SWVXX")


JUNE, JULY = (date(2026, 6, 1), date(2026, 6, 30)), (date(2026, 7, 1), date(2026, 7, 31))
LAST_DAY = (date(2026, 6, 30), None)


@pytest.mark.parametrize(("first", "second", "refused"), [
    (JUNE, JUNE, True),
    (JUNE, LAST_DAY, True),  # both days are included
    (JUNE, JULY, False),
    ((date(2026, 1, 1), None), JULY, True),
])  # fmt: skip
@pytest.mark.parametrize("substituted_first", [True, False])
def test_a_substitute_that_is_itself_restricted_at_the_time_is_refused(
    account, first, second, refused, substituted_first
):
    entries = [("VTI", "substitute", "SCHB", first), ("SCHB", "no_sell", None, second)]
    one, other = entries if substituted_first else entries[::-1]
    restrict(account, *one[:3], start=one[3][0], end=one[3][1])
    if refused:
        with pytest.raises(ValidationError, match="SCHB, the substitute for VTI, is itself restricted"):
            restrict(account, *other[:3], start=other[3][0], end=other[3][1])
    else:
        restrict(account, *other[:3], start=other[3][0], end=other[3][1])
    assert Restriction.objects.count() == (1 if refused else 2)


def test_another_accounts_restriction_does_not_matter(account):
    restrict(make.account("A2"), "SCHB", "no_sell")
    assert restrict(account, "VTI", "substitute", "SCHB").pk


def test_an_advisor_restricts_nothing(account, anna):
    with pytest.raises(PermissionDenied):
        accounts.set_restriction(account, make.security("VTI"), "no_buy", anna)
    row = make.restriction(account, "VTI", "no_buy")
    with pytest.raises(PermissionDenied):
        accounts.drop_restriction(row, by=anna)
    assert Restriction.objects.count() == 1
