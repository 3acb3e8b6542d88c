"""Proposing a batch: claims, chunks, frozen prices, and accounts that fail alone."""

from datetime import date
from decimal import Decimal

import pytest
from django.utils import timezone

from accounts.models import Account, AuditLine
from rebalancer.models import Batch, BatchPrice, Entry, LotLine, PositionLine, TradeLine
from rebalancer.services import batches, claims, proposing
from rebalancer.states import BatchState, EntryState, Logic
from tests import factories as make

from .conftest import again, drifted, opened, pending, states

pytestmark = pytest.mark.django_db
FIGURES = ("buys", "buys_value", "sells", "sells_value", "cash_after", "estimated_gain")


def line_counts():
    return [model.objects.count() for model in (PositionLine, TradeLine, LotLine)]


def proposals():
    return AuditLine.objects.filter(verb="batch.proposed").count()


def expire(batch):
    """A minute goes by without a word of the worker."""
    Batch.objects.filter(pk=batch.pk).update(claim_expires=timezone.now())


def test_a_proposed_batch_is_pending_approval(three, desk):
    batch = pending(desk, *three)
    assert (batch.state, batch.done, batch.total, batch.claim) == (BatchState.PENDING_APPROVAL, 3, 3, None)
    assert set(states(batch).values()) == {EntryState.PROPOSED}
    entry = batch.entries.first()
    assert (entry.sells_value, entry.buys_value) == (Decimal("15000.00"), Decimal("18000.00"))
    assert dict(batch.prices.values_list("symbol", "price")) == {"VTI": 100, "AGG": 50}
    assert proposals() == 1


def test_a_job_delivered_twice_changes_nothing(three, desk):
    batch = pending(desk, *three)
    lines = line_counts()
    assert batches.propose_batch(batch.pk) is False
    assert (again(batch).proposed_at, line_counts(), proposals()) == (batch.proposed_at, lines, 1)


def test_a_batch_that_is_held_is_left_to_its_holder(three, desk):
    batch = opened(desk, *three).batch
    assert claims.take(batch.pk)
    assert claims.take(batch.pk) is None
    batches.propose_batch(batch.pk)
    assert again(batch).state == BatchState.PROPOSING
    assert claims.release_expired() == 0


def test_a_claim_that_expired_is_taken_over_and_the_late_worker_writes_nothing(three, desk):
    batch = opened(desk, *three).batch
    late = claims.take(batch.pk)
    entries = list(batch.entries.all())
    expire(batch)
    with pytest.raises(claims.ClaimLost):
        claims.renew(batch.pk, late)
    assert claims.release_expired() == 1
    batches.propose_batch(batch.pk)
    lines = line_counts()
    with pytest.raises(claims.ClaimLost):
        proposing._propose_together(batch.pk, late, entries)
    assert (line_counts(), again(batch).state, proposals()) == (lines, BatchState.PENDING_APPROVAL, 1)


def test_a_cancelled_batch_takes_no_late_result(three, desk):
    batch = opened(desk, *three).batch
    late = claims.take(batch.pk)
    entries = list(batch.entries.all())
    batches.cancel(batch, by=desk)
    with pytest.raises(claims.ClaimLost):
        proposing._propose_together(batch.pk, late, entries)
    with pytest.raises(claims.ClaimLost):
        proposing._finish(batch.pk, late)
    assert again(batch).state == BatchState.CANCELLED
    assert set(states(batch).values()) == {EntryState.CANCELLED}
    assert line_counts() == [0, 0, 0]


def test_a_worker_out_of_patience_lets_the_next_one_go_on(three, desk, monkeypatch):
    monkeypatch.setattr(proposing, "ACCOUNTS_AT_ONCE", 1)
    whole = pending(desk, *three)
    figures = list(whole.entries.values_list("account_number", *FIGURES))
    batches.cancel(whole, by=desk)
    batch = opened(desk, *three).batch
    runs = 1
    while batches.propose_batch(batch.pk, patience=0):
        assert again(batch).state == BatchState.NEW
        assert again(batch).done == runs
        runs += 1
    assert runs == 4  # three chunks, then the end
    assert again(batch).state == BatchState.PENDING_APPROVAL
    assert list(batch.entries.values_list("account_number", *FIGURES)) == figures


def test_an_account_without_price_fails_alone(three, balanced, desk):
    make.lot(three[1], "NOPRICE", 10, cost=100)
    batch = pending(desk, *three)
    assert states(batch) == {"A1": EntryState.PROPOSED, "A2": EntryState.FAILED, "A3": EntryState.PROPOSED}
    assert "NOPRICE" in batch.entries.get(account_number="A2").reason
    assert [again(account).check_wanted_at is not None for account in three] == [False, True, False]


@pytest.mark.parametrize(("fields", "reason"), [
    ({"delivery_problem": "lots.csv refused in the delivery of 2026-11-20"},
     "Its delivery of 2026-11-20 is broken: lots.csv refused."),
    ({"delivered_for": None}, "The custodian has delivered nothing for it yet."),
    ({"delivered_for": date(2026, 1, 5)}, "Its last delivery is of 2026-01-05."),
])  # fmt: skip
def test_an_account_whose_delivery_does_not_count_fails_alone(three, desk, fields, reason):
    Account.objects.filter(pk=three[1].pk).update(cash=7000, **fields)
    batch = pending(desk, *three)
    assert states(batch) == {"A1": EntryState.PROPOSED, "A2": EntryState.FAILED, "A3": EntryState.PROPOSED}
    assert batch.entries.get(account_number="A2").reason == reason


def test_an_account_that_breaks_the_program_fails_alone(three, desk, monkeypatch):
    load = proposing.load

    def breaks(pks, *args, **options):
        if three[1].pk in pks:
            raise ValueError("a row that cannot be")
        return load(pks, *args, **options)

    monkeypatch.setattr(proposing, "load", breaks)
    batch = pending(desk, *three)
    assert states(batch) == {"A1": EntryState.PROPOSED, "A2": EntryState.FAILED, "A3": EntryState.PROPOSED}
    assert batch.entries.get(account_number="A2").reason == proposing.OWN_ERROR
    assert batch.done == 3


def test_when_every_account_fails_the_batch_has_failed(balanced, desk):
    account = drifted(balanced, "N1")
    make.lot(account, "NOPRICE", 10, cost=100)
    batch = pending(desk, account)
    assert (batch.state, batch.ended_at is None) == (BatchState.FAILED, False)
    assert AuditLine.objects.filter(verb="batch.failed").count() == 1
    assert opened(desk, account).accounts == 1  # the account is free again


def test_an_account_that_lost_its_portfolio_meanwhile_is_not_sold_off(three, desk):
    batch = opened(desk, *three).batch
    Account.objects.filter(pk=three[0].pk).update(portfolio=None)
    Account.objects.filter(pk=three[1].pk).update(rebalancing_on=False)
    batches.propose_batch(batch.pk)
    assert states(batch) == {"A1": EntryState.FAILED, "A2": EntryState.FAILED, "A3": EntryState.PROPOSED}
    assert "no portfolio" in batch.entries.get(account_number="A1").reason.lower()


def test_an_account_is_proposed_for_the_portfolio_it_has_now(three, desk):
    batch = opened(desk, *three).batch
    growth = make.portfolio("Growth", VTI=98)
    Account.objects.filter(pk=three[0].pk).update(portfolio=growth)
    batches.propose_batch(batch.pk)
    entry = batch.entries.get(account_number="A1")
    assert (entry.portfolio_name, entry.portfolio_version.portfolio, entry.assigns_portfolio) == (
        "Growth",
        growth,
        False,
    )


class TestPrices:
    def test_are_taken_once_for_all_chunks(self, three, desk, monkeypatch):
        monkeypatch.setattr(proposing, "ACCOUNTS_AT_ONCE", 1)
        batch = opened(desk, *three).batch
        batches.propose_batch(batch.pk, patience=0)
        make.price("VTI", 110)
        batches.propose_batch(batch.pk)
        assert set(batch.entries.values_list("sells_value", flat=True)) == {Decimal("15000.00")}

    def test_stay_when_the_logic_is_switched_and_go_when_repriced(self, three, desk):
        batch = pending(desk, *three)
        make.price("VTI", 110)
        batches.switch_logic(batch, by=desk, logic=Logic.MIN_TRANSACTION)
        batches.propose_batch(batch.pk)
        assert batch.prices.get(symbol="VTI").price == 100
        assert again(batch).logic == Logic.MIN_TRANSACTION
        batches.reprice(again(batch), by=desk)
        batches.propose_batch(batch.pk)
        assert batch.prices.get(symbol="VTI").price == 110
        assert again(batch).proposal_version == 3

    def test_only_those_the_accounts_could_need(self, three, desk):
        make.price("OTHER", 5)
        batch = pending(desk, *three)
        assert not BatchPrice.objects.filter(batch=batch, symbol="OTHER").exists()

    def test_a_questioned_one_is_not_used(self, three, desk):
        make.price("VTI", 500, state="questioned")
        assert pending(desk, *three).state == BatchState.FAILED


def test_a_new_proposal_replaces_the_lines(three, desk):
    batch = pending(desk, *three)
    lines = line_counts()
    batches.repropose(batch, by=desk)
    batches.propose_batch(batch.pk)
    assert line_counts() == lines
    assert Entry.objects.filter(batch=batch, state=EntryState.PROPOSED).count() == 3


def test_lines_belong_to_entries(three, desk):
    """The line tables have no foreign keys in the database; this looks for orphans."""
    batches.repropose(pending(desk, *three), by=desk)
    for model in (PositionLine, TradeLine, LotLine):
        assert not model.objects.exclude(entry__in=Entry.objects.all()).exists()


def test_what_is_said_while_it_works(three, desk):
    batch = opened(desk, *three).batch
    claims.take(batch.pk)
    for command in (lambda: batches.repropose(batch, by=desk), lambda: batches.reprice(batch, by=desk)):
        with pytest.raises(batches.TooLate, match="being proposed"):
            command()
    assert again(batch).proposal_version == 1


@pytest.mark.parametrize(("vti", "agg", "cash", "locked", "words"), [
    (600, 760, 2_000, False, "No trade is needed."),
    (800, 360, 2_000, True, "No trade is proposed: what is outside its band stays there, and says why."),
    (605, 780, 500, True,
     "No trade is proposed: cash is outside its threshold, and no allowed trade brings it inside."),
])  # fmt: skip
def test_without_a_trade_it_is_said_whether_none_is_needed_or_none_helps(balanced, desk, vti, agg, cash, locked, words):
    account = make.account("C1", portfolio=balanced, cash=Decimal(cash))
    make.lot(account, "VTI", vti, cost=1)
    make.lot(account, "AGG", agg, cost=1)
    for symbol in ("VTI", "AGG") if locked else ():
        make.restriction(account, symbol, "do_not_trade")
    entry = pending(desk, account).entries.get()
    assert (entry.state, entry.buys, entry.sells, entry.reason) == (EntryState.PROPOSED, 0, 0, words)
