"""Approval: what was seen must be what is there; then orders are staged, once, or the batch comes back."""

import contextlib
import threading
from decimal import Decimal

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import Account, AuditLine, Position, Restriction, Security
from rebalancer import selectors
from rebalancer.models import Batch, Check, TradeLine
from rebalancer.services import approving, batches
from rebalancer.states import BatchState, EntryState, Source, Status
from tax.models import Lot
from tax.services.lots import replace_lots
from tests import factories as make
from trading import sessions
from trading.models import Allocation, FlatMove, Order, OrderEvent, Ticket

from .conftest import again, as_seen, drifted, pending, states

pytestmark = pytest.mark.django_db


def approved(by, *accounts, **terms):
    batch = pending(by, *accounts, **terms)
    batches.approve(batch, by=by, **as_seen(batch))
    return again(batch)


def completed(by, *accounts, **terms):
    batch = approved(by, *accounts, **terms)
    assert batches.finish_approval(batch.pk), again(batch).trouble
    return again(batch)


class TestSeen:
    @pytest.mark.parametrize(
        "differs", [{"version": 2}, {"accounts": 2}, {"net_dollars": Decimal("9000.01")}, {"version": 0}]
    )
    def test_must_be_what_is_there(self, three, desk, differs):
        batch = pending(desk, *three)
        with pytest.raises(batches.ProposalChanged) as refusal:
            batches.approve(batch, by=desk, **as_seen(batch) | differs)
        assert refusal.value.now == (3, Decimal("9000.00"))
        assert again(batch).state == BatchState.PENDING_APPROVAL

    def test_net_dollars_are_buys_less_sells(self, three, desk):
        assert as_seen(pending(desk, *three)) == {"version": 1, "accounts": 3, "net_dollars": Decimal("9000.00")}

    def test_a_removal_meanwhile_is_noticed(self, three, desk):
        batch = pending(desk, *three)
        seen = as_seen(batch)
        batches.remove(batch, by=desk, entries=batch.entries.filter(account_number="A1"), shown=1)
        with pytest.raises(batches.ProposalChanged, match="You saw 3 accounts"):
            batches.approve(batch, by=desk, **seen)


def change_lots(account):
    make.lot(account, "VTI", 1, cost=90)


def change_cost(account):
    Lot.objects.filter(account=account).update(total_cost=1)


def change_restriction(account):
    make.restriction(account, "VTI", Restriction.Kind.NO_SELL)


def change(**fields):
    return lambda account: Account.objects.filter(pk=account.pk).update(**fields)


def change_portfolio(account):
    change(portfolio=make.portfolio("Growth", VTI=98))(account)


def change_model(account):
    make.portfolio("Balanced", VTI=50, AGG=48)


def change_advisor(account):
    change(advisor=make.advisor("new"))(account)


def change_sweep(account):
    make.security("SWEEP", kind=Security.Kind.SWEEP)
    make.lot(account, "SWEEP", 25, cost=25)


def change_protected(account):
    make.lot(account, "VTI", 4, cost=90, sleeve_of="protected", lot_id="P")


def change_bands(account):
    make.portfolio("Balanced", [make.component("VTI", 60, threshold_lower=10), make.component("AGG", 38)])


def change_order(account):
    ticket = Ticket.objects.create(label="By hand", created_by=make.operations("trader"), trade_date=sessions.today())
    order = Order.objects.create(
        ticket=ticket, security=make.security("VTI"), side="sell", quantity=1, price=100, state="ready"
    )
    sleeve = Position.objects.filter(account=account).first().sleeve
    Allocation.objects.create(order=order, account=account, sleeve=sleeve, quantity=1, approved_quantity=1, lots=[])


def lose_price(account):
    make.lot(account, "NOPRICE", 1, cost=1)


def close(account):
    change(is_open=False)(account)


CHANGES = {
    "VTI 750 → 751 shares": change_lots,
    "cost or dates of its lots": change_cost,
    "SWEEP 0 → 25 shares": change_sweep,
    "VTI in Protected 0 → 4 shares": change_protected,
    "cash $5,000.00 → $5,000.01": change(cash=Decimal("5000.01")),
    "set-aside cash $0.00 → $1.00": change(set_aside_cash=Decimal(1)),
    "restriction new: no sell VTI": change_restriction,
    "portfolio Balanced → Growth": change_portfolio,
    "portfolio Balanced → none": change(portfolio=None),
    "rebalancing on → off": change(rebalancing_on=False),
    "advisor ann → new": change_advisor,
    "lot method FIFO → HIFO": change(lot_method="hifo"),
    "it has an open order now": change_order,
    "its delivery of 2026-11-20 is broken: lots.csv refused": change(
        delivery_problem="lots.csv refused in the delivery of 2026-11-20"
    ),
    "the account is closed": close,
    "NOPRICE 0 → 1 shares": lose_price,
}
OF_ALL = {
    "target of VTI 60.00\xa0% → 50.00\xa0%; target of AGG 38.00\xa0% → 48.00\xa0%": change_model,
    "band of VTI 48.00–72.00\xa0% → 54.00–72.00\xa0%": change_bands,
}


@pytest.mark.parametrize("words", [*CHANGES, *OF_ALL])
def test_an_account_that_changed_since_proposing_is_named_with_what_changed(three, desk, words):
    batch = pending(desk, *three)
    seen = as_seen(batch)
    (CHANGES | OF_ALL)[words](three[1])
    with pytest.raises(batches.BookChanged) as refusal:
        batches.approve(batch, by=desk, **seen)
    changed = {one.account_number: one.why for one in refusal.value.accounts}
    assert changed == dict.fromkeys(["A2"] if words in CHANGES else ["A1", "A2", "A3"], words)
    assert dict(batch.entries.exclude(changed="").values_list("account_number", "changed")) == changed
    assert again(batch).state == BatchState.PENDING_APPROVAL
    assert AuditLine.objects.filter(verb="refused", after__command="batch.approved").count() == 1


def test_what_changed_is_forgotten_when_it_is_no_longer_so(three, desk):
    batch = pending(desk, *three)
    for cash, marked in ((6000, ["A2"]), (5000, [])):
        change(cash=Decimal(cash))(three[1])
        with contextlib.suppress(batches.BookChanged):
            batches.approve(batch, by=desk, **as_seen(batch))
        assert list(batch.entries.exclude(changed="").values_list("account_number", flat=True)) == marked
    assert again(batch).state == BatchState.APPROVING


def test_the_same_lots_delivered_again_are_no_change(three, desk):
    batch = pending(desk, *three)
    lots = Lot.objects.filter(account=three[1])
    rows = lots.values_list("account_id", "sleeve_id", "security_id", "lot_id", "quantity", "total_cost", "acquired_on")
    replace_lots([three[1].pk], list(rows))
    batches.approve(batch, by=desk, **as_seen(batch))
    assert again(batch).state == BatchState.APPROVING


def test_only_the_accounts_that_changed_are_proposed_anew(three, desk):
    batch = pending(desk, *three)
    kept = batch.entries.get(account_number="A1").fingerprint
    change(cash=Decimal(9000), rebalancing_on=False)(three[1])
    change(cash=Decimal(9000))(three[2])
    with pytest.raises(batches.BookChanged):
        batches.approve(batch, by=desk, **as_seen(batch))
    changed = batch.entries.exclude(changed="")
    with pytest.raises(batches.SelectionChanged):
        batches.repropose_some(batch, by=desk, entries=changed, shown=3)
    batches.repropose_some(batch, by=desk, entries=changed, shown=2)
    assert states(batch) == {"A1": "proposed", "A2": "waiting", "A3": "waiting"}
    batches.propose_batch(batch.pk)
    assert states(batch) == {"A1": "proposed", "A2": "failed", "A3": "proposed"}
    assert batch.entries.get(account_number="A1").fingerprint == kept
    batches.approve(again(batch), by=desk, **as_seen(batch))
    assert again(batch).state == BatchState.APPROVING


def test_a_changed_account_removed_or_proposed_anew_stops_nothing(three, desk):
    batch = pending(desk, *three)
    change_lots(three[1])
    batches.repropose(batch, by=desk)
    batches.propose_batch(batch.pk)
    batches.approve(batch, by=desk, **as_seen(batch))
    assert again(batch).state == BatchState.APPROVING


def test_one_alone_that_was_switched_off_meanwhile_is_not_staged_by_proposing_it_anew(three, desk):
    batch = pending(desk, three[0])
    change(rebalancing_on=False)(three[0])
    with pytest.raises(batches.BookChanged):
        batches.approve(batch, by=desk, **as_seen(batch))
    batches.repropose(batch, by=desk)
    batches.propose_batch(batch.pk)
    assert batch.entries.get().reason == "Rebalancing is off."
    assert (again(batch).state, states(batch)) == (BatchState.FAILED, {"A1": "failed"})
    with pytest.raises(batches.TooLate):
        batches.approve(batch, by=desk, **as_seen(batch))


def test_newer_prices_change_nothing(three, desk):
    batch = pending(desk, *three)
    make.price("VTI", 130)
    batches.approve(batch, by=desk, **as_seen(batch))
    assert again(batch).state == BatchState.APPROVING


class TestWho:
    def test_an_advisor_whose_accounts_they_all_are(self, three, desk, ann):
        batch = pending(desk, *three[:2])
        batches.approve(batch, by=ann, **as_seen(batch))
        assert again(batch).approved_by == ann

    def test_not_an_advisor_of_some(self, three, desk, ann):
        batch = pending(desk, *three)
        with pytest.raises(batches.NotAllowed, match="Not every open account"):
            batches.approve(batch, by=ann, **as_seen(batch))

    def test_nobody_else(self, three, desk):
        batch = pending(desk, *three)
        for person in (make.administrator(), make.advisor(), make.person("nobody"), make.operations(is_active=False)):
            with pytest.raises(batches.NotAllowed):
                batches.approve(batch, by=person, **as_seen(batch))
        assert again(batch).state == BatchState.PENDING_APPROVAL

    def test_not_whoever_opened_it_under_four_eyes(self, three, desk):
        make.firm(four_eyes=True)
        batch = pending(desk, *three)
        with pytest.raises(batches.NotAllowed, match="Four eyes"):
            batches.approve(batch, by=desk, **as_seen(batch))
        assert selectors.why_not_approve(batch, desk).startswith("Four eyes")
        assert selectors.why_not_decide(batch, desk) == ""

    def test_the_second_is_told_who_was_first(self, three, desk, ann):
        batch = pending(desk, *three[:2])
        seen = as_seen(batch)
        batches.approve(batch, by=ann, **seen)
        with pytest.raises(batches.TooLate, match="was approved by ann"):
            batches.approve(batch, by=desk, **seen)


class TestStaging:
    def test_blocks_hold_the_accounts_and_their_lots(self, three, desk):
        batch = completed(desk, *three)
        assert (batch.state, set(states(batch).values())) == (BatchState.COMPLETE, {EntryState.COMPLETE})
        buy, sell = Order.objects.order_by("side")
        assert (buy.security.symbol, buy.quantity, buy.price, buy.state) == ("AGG", 1080, 50, "ready")
        assert (sell.security.symbol, sell.quantity, sell.ticket) == ("VTI", 450, batch.ticket)
        parts = Allocation.objects.filter(order=sell)
        assert {part.account.number: part.quantity for part in parts} == {"A1": 150, "A2": 150, "A3": 150}
        lot = Lot.objects.get(account=three[0], security__symbol="VTI")
        assert parts.get(account=three[0]).lots == [[lot.lot_id, "150.000000"]]
        assert OrderEvent.objects.filter(state="ready").count() == 2

    def test_happens_once(self, three, desk):
        batch = completed(desk, *three)
        assert batches.finish_approval(batch.pk) is False
        assert (Ticket.objects.count(), Order.objects.count()) == (1, 2)
        assert AuditLine.objects.filter(verb="batch.completed").count() == 1

    def test_is_not_for_a_batch_nobody_approved(self, three, desk):
        batch = pending(desk, *three)
        assert batches.finish_approval(batch.pk) is False
        assert (again(batch).state, Ticket.objects.count()) == (BatchState.PENDING_APPROVAL, 0)

    def test_marks_the_accounts_rebalanced(self, three, desk):
        Check.objects.create(
            account=three[0], checked_at=timezone.now(), business_day=sessions.today(), status=Status.OUT_OF_TOLERANCE,
            wanted=True, source=Source.TARGET_UPDATE, needed_since="2026-11-02",
        )  # fmt: skip
        Account.objects.filter(pk=three[0].pk).update(last_rebalanced="2026-08-03")
        batch = completed(desk, *three)
        account = again(three[0])
        assert account.last_rebalanced == sessions.today(batch.approved_at)
        assert account.last_rebalanced_at == batch.approved_at
        assert account.rebalanced_to == batch.entries.get(account=account).portfolio_version
        assert account.check_wanted_at > batch.approved_at
        assert (account.check_row.wanted, account.check_row.source) == (False, "")
        kept = batch.entries.get(account=account).before_approval
        assert (kept["last_rebalanced"], kept["source"], kept["needed_since"]) == (
            "2026-08-03", "target_update", "2026-11-02",
        )  # fmt: skip

    def test_failed_and_removed_accounts_are_no_part_of_it(self, three, desk):
        make.lot(three[0], "NOPRICE", 1, cost=1)
        batch = pending(desk, *three)
        batches.remove(batch, by=desk, entries=batch.entries.filter(account_number="A2"), shown=1)
        batches.approve(batch, by=desk, **as_seen(batch))
        assert batches.finish_approval(batch.pk)
        assert states(batch) == {"A1": "failed", "A2": "removed", "A3": "complete"}
        assert set(Allocation.objects.values_list("account__number", flat=True)) == {"A3"}
        assert [again(account).last_rebalanced is None for account in three] == [True, True, False]

    def test_assigns_the_linked_portfolio(self, three, desk):
        growth = make.portfolio("Growth", VTI=98)
        three[0].linked_portfolios.add(growth)
        batch = completed(desk, three[0], portfolio=growth)
        account = again(three[0])
        assert (account.portfolio, account.portfolio_since) == (growth, batch.approved_at)
        assert account.rebalanced_to.portfolio == growth

    def test_an_account_without_trades_is_complete(self, balanced, desk):
        account = make.account("K1", portfolio=balanced, cash=Decimal(2000))
        make.lot(account, "VTI", 600, cost=60000)
        make.lot(account, "AGG", 760, cost=38000)
        batch = completed(desk, account)
        assert (states(batch), Order.objects.count()) == ({"K1": "complete"}, 0)
        assert again(account).last_rebalanced

    def test_a_change_behind_the_button_sends_it_back(self, three, desk):
        batch = approved(desk, *three)
        change_lots(three[1])
        assert batches.finish_approval(batch.pk) is False
        batch = again(batch)
        assert (batch.state, batch.approved_by) == (BatchState.PENDING_APPROVAL, None)
        assert "A2" in batch.trouble
        assert (Ticket.objects.count(), set(states(batch).values())) == (0, {EntryState.PROPOSED})
        assert again(three[0]).last_rebalanced is None

    def test_what_cannot_be_staged_sends_it_back_with_the_reason(self, three, desk):
        batch = approved(desk, *three)
        TradeLine.objects.filter(entry__batch=batch).update(market_quantity=-1)
        assert batches.finish_approval(batch.pk) is False
        batch = again(batch)
        assert (batch.state, Ticket.objects.count()) == (BatchState.PENDING_APPROVAL, 0)
        assert batch.trouble == approving.OWN_ERROR


class TestFlatMoves:
    @pytest.fixture
    def sleeves(self, balanced):
        """An account whose model sleeve has too much VTI, the managed one too little, by the same number of shares."""
        model = make.model("Core", VTI=100)
        portfolio = make.portfolio("Sleeves", [make.component(model, 30)], VTI=68)
        account = make.account("S1", portfolio=portfolio, cash=Decimal(2000))
        make.lot(account, "VTI", 480, cost=40000, lot_id="M")
        make.lot(account, "VTI", 300, cost=27000, lot_id="OLD", acquired="2015-01-02", sleeve_of=model)
        make.lot(account, "VTI", 200, cost=18000, lot_id="NEW", acquired="2020-01-02", sleeve_of=model)
        return account, model

    def test_are_booked_at_approval_where_there_are_no_orders(self, sleeves, desk):
        account, model = sleeves
        batch = completed(desk, account)
        move = FlatMove.objects.get()
        assert (move.quantity, move.source, move.target.kind) == (200, model.sleeve, "managed")
        assert (move.is_open, move.booked_at is None, Order.objects.count()) == (False, False, 0)
        held = dict(Position.objects.filter(account=account).values_list("sleeve__kind", "quantity"))
        assert held == {"managed": 680, "model": 300}
        assert Lot.objects.get(account=account, sleeve=model.sleeve, lot_id="OLD").quantity == 100
        assert batch.entries.get().flat_trades == 1

    def test_wait_for_the_orders_where_there_are_some(self, sleeves, desk):
        account, _ = sleeves
        Account.objects.filter(pk=account.pk).update(cash=Decimal(12000))
        completed(desk, account)
        assert FlatMove.objects.get().is_open
        assert Order.objects.exists()

    def test_are_paired_in_the_order_of_sleeves(self):
        pairs = list(approving._paired([["b", 3], ["c", 4]], [["a", 5], ["d", 2]]))
        assert pairs == [("b", "a", 3), ("c", "a", 2), ("c", "d", 2)]


@pytest.mark.django_db(transaction=True)
def test_two_workers_stage_once(balanced):
    desk = make.operations("olive")
    batch = approved(desk, *[drifted(balanced, f"A{number}") for number in range(10)])
    starting, answers = threading.Barrier(2), []

    def work():
        try:
            starting.wait()
            answers.append(batches.finish_approval(batch.pk))
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [False, True]
    assert (Ticket.objects.count(), again(batch).state) == (1, BatchState.COMPLETE)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_", range(3))
def test_two_people_approve_at_once(balanced, round_):
    people = [make.operations("one"), make.operations("two")]
    batch = pending(people[0], drifted(balanced, "A1"), drifted(balanced, "A2"))
    seen, starting, answers = as_seen(batch), threading.Barrier(2), []

    def press(person):
        try:
            starting.wait()
            batches.approve(batch, by=person, **seen)
            answers.append("done")
        except batches.TooLate as refusal:
            answers.append(str(refusal))
        finally:
            connection.close()

    threads = [threading.Thread(target=press, args=[person]) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winner = again(batch).approved_by
    assert sorted(answers)[1] == "done"
    assert f"was approved by {winner}" in sorted(answers)[0]
    assert AuditLine.objects.filter(verb="batch.approved").count() == 1
    assert Batch.objects.get().state == BatchState.APPROVING
