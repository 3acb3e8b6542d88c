"""Opening a batch: who gets in, who is left out and named, and what is refused whole."""

import threading
from decimal import Decimal

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.db.models import ProtectedError

from accounts.models import Account, AuditLine, Portfolio, PortfolioVersion
from rebalancer import selectors
from rebalancer.models import Batch, Entry
from rebalancer.services import batches, eligibility
from rebalancer.services.opening import OPEN_ORDER
from rebalancer.states import BatchState, EntryState, Logic
from tests import factories as make
from tests.processes import eventually
from trading.models import Order

from .conftest import again, as_seen, chosen, drifted, opened, pending, states

pytestmark = pytest.mark.django_db


def refusals(verb="batch.opened"):
    return AuditLine.objects.filter(verb="refused", after__command=verb).count()


def test_chosen_accounts_are_frozen_and_wait(three, ann):
    batch = opened(ann, *three[:2]).batch
    assert (batch.state, batch.total, batch.opened_by) == (BatchState.NEW, 2, ann)
    assert states(batch) == {"A1": EntryState.WAITING, "A2": EntryState.WAITING}
    entry = batch.entries.get(account_number="A1")
    assert (entry.portfolio_name, entry.account_name, entry.assigns_portfolio) == ("Balanced", "Account A1", False)
    line = AuditLine.objects.get(verb="batch.opened")
    assert (line.by, line.object_id, line.after["entries"]) == (ann, str(batch.pk), 2)
    assert not Order.objects.exists()


@pytest.mark.parametrize("shown", [0, 2, 4])
def test_another_number_than_shown_does_nothing(three, desk, shown):
    with pytest.raises(batches.SelectionChanged) as refusal:
        batches.open_batch(by=desk, accounts=chosen(*three), shown=shown, logic=Logic.BEST_FIT)
    assert (refusal.value.shown, refusal.value.found) == (shown, 3)
    assert not Batch.objects.exists()
    assert refusals() == 1


def test_nothing_chosen_is_never_all(three, desk):
    with pytest.raises(batches.Refused, match="No account"):
        batches.open_batch(by=desk, accounts=Account.objects.none(), shown=0, logic=Logic.BEST_FIT)
    assert not Batch.objects.exists()


def test_accounts_of_somebody_else_end_it(three, ann):
    with pytest.raises(batches.NotAllowed, match="not yours"):
        opened(ann, *three)
    assert not Batch.objects.exists()
    assert refusals() == 1


def test_an_administrator_opens_nothing(three):
    with pytest.raises(PermissionDenied):
        opened(make.administrator(), *three)
    assert not Batch.objects.exists()


def unfit(balanced):
    """Accounts that may not be proposed with Best Fit, with the reason of each."""
    cash_only = make.portfolio("Cash")
    rows = {
        "B1": ({"rebalancing_on": False}, eligibility.REBALANCING_OFF),
        "B2": ({"portfolio": None}, eligibility.NO_PORTFOLIO),
        "B3": ({"portfolio": cash_only}, eligibility.ONLY_CASH),
        "B4": ({"is_open": False}, eligibility.CLOSED),
    }
    for number, (fields, _) in rows.items():
        account = drifted(balanced, number)
        Account.objects.filter(pk=account.pk).update(**fields)
    return {number: why for number, (_, why) in rows.items()}


def test_who_may_not_be_proposed_is_left_out_and_named(three, balanced, desk):
    whys = unfit(balanced)
    result = opened(desk, *Account.objects.all())
    assert result.accounts == 3
    assert {one.account_number: one.why for one in result.left_out} == whys
    assert set(states(result.batch)) == {"A1", "A2", "A3"}


def test_nothing_is_opened_when_everybody_is_left_out(balanced, desk):
    whys = unfit(balanced)
    with pytest.raises(batches.NothingLeft) as refusal:
        opened(desk, *Account.objects.all())
    assert {one.account_number for one in refusal.value.left_out} == set(whys)
    assert not Batch.objects.exists()


def test_an_account_that_only_has_cash_and_wants_cash_may_be_proposed(desk):
    account = make.account("C1", portfolio=make.portfolio("Cash"), cash=Decimal(1000))
    batch = pending(desk, account)
    entry = batch.entries.get()
    assert (entry.state, entry.buys, entry.sells) == (EntryState.PROPOSED, 0, 0)
    assert "No trade" in entry.reason


def test_an_account_in_another_batch_is_left_out(three, desk, ann):
    first = opened(ann, three[0]).batch
    second = opened(desk, *three)
    assert [one.account_number for one in second.left_out] == ["A1"]
    assert f"request {first.pk}" in second.left_out[0].why
    with pytest.raises(batches.NothingLeft):
        opened(desk, *three)


def test_an_account_with_an_open_order_is_left_out(three, desk):
    batch = pending(desk, three[0])
    stake = selectors.stake(batch)
    batches.approve(batch, by=desk, version=1, accounts=stake.accounts, net_dollars=stake.net_dollars)
    assert batches.finish_approval(batch.pk)
    result = opened(desk, *three)
    assert [(one.account_number, one.why) for one in result.left_out] == [("A1", OPEN_ORDER)]


def test_an_account_that_is_off_by_its_own_button_only(balanced, desk):
    off, other = drifted(balanced, "D1", rebalancing_on=False), drifted(balanced, "D2", rebalancing_on=False)
    with pytest.raises(batches.NothingLeft):
        opened(desk, off)
    with pytest.raises(batches.Refused, match="one account at a time"):
        opened(desk, off, other, although_off=True)
    batch = opened(desk, off, although_off=True).batch
    batches.propose_batch(batch.pk)
    assert states(batch) == {"D1": EntryState.PROPOSED}
    batches.repropose(batch, by=desk)  # what was confirmed when it was opened still holds
    batches.propose_batch(batch.pk)
    batches.approve(batch, by=desk, **as_seen(batch))
    assert batches.finish_approval(batch.pk)


def test_another_portfolio_must_be_linked(three, desk):
    growth = make.portfolio("Growth", VTI=98)
    with pytest.raises(batches.Refused, match="not linked"):
        opened(desk, three[0], portfolio=growth)
    three[0].linked_portfolios.add(growth)
    with pytest.raises(batches.Refused, match="one account at a time"):
        opened(desk, three[0], three[1], portfolio=growth)
    entry = opened(desk, three[0], portfolio=growth).batch.entries.get()
    assert (entry.portfolio, entry.assigns_portfolio) == (growth, True)
    assert again(three[0]).portfolio.name == "Balanced"


def test_an_account_without_portfolio_may_be_proposed_into_a_linked_one(balanced, desk):
    account = drifted(balanced, "E1", linked=[balanced])
    Account.objects.filter(pk=account.pk).update(portfolio=None)
    assert pending(desk, account, portfolio=balanced).entries.get().state == EntryState.PROPOSED


class TestLiquidation:
    @pytest.fixture
    def orphan(self, balanced, ann):
        account = drifted(balanced, "L1", advisor=ann)
        Account.objects.filter(pk=account.pk).update(portfolio=None)
        return account

    def test_is_for_operations(self, orphan, ann):
        confirmed = selectors.sale_list(chosen(orphan)).digest
        with pytest.raises(batches.NotAllowed):
            opened(ann, orphan, logic=Logic.LIQUIDATE, confirmed=confirmed)

    def test_wants_the_list_confirmed_as_it_is(self, orphan, desk):
        confirmed = selectors.sale_list(chosen(orphan)).digest
        make.lot(orphan, "VTI", 1, cost=90)
        for answer in ("", confirmed):
            with pytest.raises(batches.Refused, match="confirmed"):
                opened(desk, orphan, logic=Logic.LIQUIDATE, confirmed=answer)

    def test_sells_what_was_confirmed(self, orphan, desk):
        sales = selectors.sale_list(chosen(orphan))
        assert {row["security__symbol"] for row in sales.rows} == {"VTI", "AGG"}
        entry = pending(desk, orphan, logic=Logic.LIQUIDATE, confirmed=sales.digest).entries.get()
        assert (entry.state, entry.sells, entry.buys) == (EntryState.PROPOSED, 2, 0)
        assert entry.cash_after == Decimal("100000.00")


@pytest.mark.django_db(transaction=True)
def test_two_people_open_the_same_accounts_at_once(balanced):
    people = [make.operations("one"), make.operations("two")]
    accounts = [drifted(balanced, f"R{number}") for number in range(20)]
    starting, results = threading.Barrier(2), []

    def press(person):
        try:
            starting.wait()
            results.append(opened(person, *accounts))
        except batches.NothingLeft as refusal:
            results.append(refusal)
        finally:
            connection.close()

    threads = [threading.Thread(target=press, args=[person]) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Batch.objects.count() == 1
    assert Entry.objects.count() == 20
    assert sorted(len(result.left_out) for result in results) == [0, 20]


@pytest.mark.django_db(transaction=True)
def test_who_is_taken_while_a_request_is_opened_is_left_out_and_named(balanced):
    """The second waits for the first, whose accounts it could not see yet; it keeps what is free."""
    accounts, results = [drifted(balanced, f"R{number}") for number in range(3)], []
    one, two = make.operations("one"), make.operations("two")

    def press():
        try:
            results.append(opened(two, *accounts))
        finally:
            connection.close()

    second = threading.Thread(target=press)
    with transaction.atomic():
        first = opened(one, *accounts[1:]).batch
        second.start()
        eventually(_somebody_waits)
    second.join()
    assert results[0].accounts == 1
    whys = {each.account_number: each.why for each in results[0].left_out}
    assert whys == dict.fromkeys(["R1", "R2"], f"it is in request {first.pk}")
    assert (states(results[0].batch), results[0].batch.total) == ({"R0": EntryState.WAITING}, 1)
    assert Batch.objects.count() == 2
    assert AuditLine.objects.filter(verb="batch.opened").count() == 2


def _somebody_waits():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return cursor.fetchone()[0]


@pytest.mark.parametrize("more", [1, 11])
def test_opening_costs_five_queries_whatever_the_number_of_accounts(balanced, desk, more, django_assert_num_queries):
    accounts = [drifted(balanced, f"Q{number:02d}") for number in range(more + 1)]
    opened(desk, accounts[0])  # roles and permissions are read once
    with django_assert_num_queries(5 + 2):  # firm, batch, entries, open orders, audit; a savepoint and its release
        assert opened(desk, *accounts[1:]).accounts == more


def test_who_opened_it_counts_for_four_eyes(three, desk):
    assert list(opened(desk, *three).batch.changed_by.all()) == [desk]


def test_no_entry_is_an_orphan(three, desk, ann):
    """The database does not look after an entry's batch and portfolio; whoever writes them does."""
    pending(desk, *three)
    entries = Entry.objects.all()
    assert entries.count() == 3
    assert not entries.exclude(batch__in=Batch.objects.all()).exists()
    assert not entries.exclude(portfolio__in=Portfolio.objects.all()).exists()
    assert not entries.exclude(portfolio_version__in=PortfolioVersion.objects.all()).exists()
    with pytest.raises(ProtectedError):
        three[0].portfolio.delete()
