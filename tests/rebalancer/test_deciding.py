"""Cancelling, removing and proposing anew; every command with somebody who comes too late."""

import threading

import pytest
from django.db import connection

from accounts.models import AuditLine
from rebalancer import selectors
from rebalancer.models import Batch, Entry
from rebalancer.services import batches
from rebalancer.states import BATCH_MOVES, ENTRY_MOVES, BatchState, EntryState, Logic
from tests import factories as make

from .conftest import again, as_seen, drifted, opened, pending, states

pytestmark = pytest.mark.django_db
WRONG_STATES = [state for state in BatchState if state != BatchState.PENDING_APPROVAL]


def entries(batch, *numbers):
    return Entry.objects.filter(batch=batch, account_number__in=numbers)


def remove(batch, by, *numbers):
    return batches.remove(batch, by=by, entries=entries(batch, *numbers), shown=len(numbers))


def audited(verb):
    return AuditLine.objects.filter(verb=verb).count()


COMMANDS = {
    "approve": lambda batch, by: batches.approve(batch, by=by, **as_seen(batch)),
    "remove": lambda batch, by: remove(batch, by, "A1"),
    "repropose": lambda batch, by: batches.repropose(batch, by=by),
    "switch_logic": lambda batch, by: batches.switch_logic(batch, by=by, logic=Logic.MIN_TRANSACTION),
    "reprice": lambda batch, by: batches.reprice(batch, by=by),
}


@pytest.mark.parametrize("state", WRONG_STATES)
@pytest.mark.parametrize("command", COMMANDS)
def test_only_a_batch_pending_approval_is_decided_about(three, desk, state, command):
    batch = pending(desk, *three)
    Batch.objects.filter(pk=batch.pk).update(state=state, ended_how="person")
    with pytest.raises(batches.TooLate, match=batches.what_happened(again(batch))[:-1]):
        COMMANDS[command](batch, desk)
    assert again(batch).state == state
    assert set(states(batch).values()) == {EntryState.PROPOSED}
    assert audited("refused") == 1


@pytest.mark.parametrize("state", [BatchState.APPROVING, BatchState.COMPLETE, BatchState.FAILED, BatchState.CANCELLED])
def test_what_was_approved_or_has_ended_is_not_cancelled(three, desk, state):
    batch = pending(desk, *three)
    Batch.objects.filter(pk=batch.pk).update(state=state, ended_how="end_of_day")
    with pytest.raises(batches.TooLate):
        batches.cancel(batch, by=desk)
    assert again(batch).state == state


@pytest.mark.parametrize(
    ("moves", "states_of"), [(BATCH_MOVES, BatchState), (ENTRY_MOVES, EntryState)], ids=["batch", "entry"]
)
def test_the_tables_of_moves_name_states_and_nothing_leaves_an_end(moves, states_of):
    ends = set(states_of) - set(moves)
    assert set().union(*moves.values()) <= set(states_of)
    assert ends
    assert all(target != source for source, targets in moves.items() for target in targets)


def test_a_move_that_is_none_is_our_own_mistake(three, desk):
    batch = pending(desk, *three)
    for target in set(BatchState) - BATCH_MOVES[BatchState.PENDING_APPROVAL]:
        with pytest.raises(AssertionError):
            Batch.objects.filter(pk=batch.pk).move(BatchState.PENDING_APPROVAL, target)


class TestCancel:
    @pytest.mark.parametrize("proposed", [True, False])
    def test_frees_the_accounts(self, three, desk, proposed):
        batch = pending(desk, *three) if proposed else opened(desk, *three).batch
        batches.cancel(batch, by=desk)
        batch = again(batch)
        assert (batch.state, batch.ended_by, batch.get_ended_how_display()) == (BatchState.CANCELLED, desk, "")
        assert set(states(batch).values()) == {EntryState.CANCELLED}
        assert opened(desk, *three).accounts == 3
        assert audited("batch.cancelled") == 1

    def test_the_second_is_told_who_was_first(self, three, desk, ann):
        batch = pending(desk, *three[:2])
        batches.cancel(batch, by=ann)
        with pytest.raises(batches.TooLate, match="was cancelled by ann"):
            batches.cancel(batch, by=desk)
        assert audited("batch.cancelled") == 1

    def test_needs_every_open_account(self, three, desk, ann):
        batch = pending(desk, *three)
        with pytest.raises(batches.NotAllowed, match="is yours"):
            batches.cancel(batch, by=ann)
        remove(batch, desk, "A3")
        batches.cancel(batch, by=ann)
        assert states(batch) == {"A1": "cancelled", "A2": "cancelled", "A3": "removed"}

    def test_what_was_seen_is_kept(self, three, desk):
        batch = pending(desk, *three)
        seen = selectors.summary(batch.entries.all())["sells_value"]
        batches.cancel(batch, by=desk)
        assert selectors.summary(batch.entries.all())["sells_value"] == seen


class TestRemove:
    def test_takes_accounts_out_and_raises_the_version(self, three, desk):
        batch = pending(desk, *three)
        assert remove(batch, desk, "A1", "A3") == (2, [])
        assert states(batch) == {"A1": "removed", "A2": "proposed", "A3": "removed"}
        assert again(batch).proposal_version == 2
        assert opened(desk, three[0]).accounts == 1
        assert audited("batch.accounts_removed") == 1

    def test_whoever_comes_too_late_is_told_which_are_gone(self, three, desk):
        batch = pending(desk, *three)
        remove(batch, desk, "A1")
        removed, left_out = remove(batch, desk, "A1", "A2")
        assert (removed, [one.account_number for one in left_out]) == (1, ["A1"])
        with pytest.raises(batches.TooLate, match="None of these accounts"):
            remove(batch, desk, "A1", "A2")
        assert again(batch).proposal_version == 3

    def test_the_last_one_cancels_the_batch(self, three, desk):
        batch = pending(desk, *three)
        remove(batch, desk, "A1", "A2", "A3")
        batch = again(batch)
        assert (batch.state, batch.ended_how) == (BatchState.CANCELLED, Batch.EndedBy.EMPTY)
        assert set(states(batch).values()) == {EntryState.REMOVED}

    def test_another_number_than_shown_does_nothing(self, three, desk):
        batch = pending(desk, *three)
        with pytest.raises(batches.SelectionChanged):
            batches.remove(batch, by=desk, entries=entries(batch, "A1"), shown=2)
        with pytest.raises(batches.Refused, match="No account"):
            batches.remove(batch, by=desk, entries=Entry.objects.none(), shown=0)
        assert set(states(batch).values()) == {EntryState.PROPOSED}

    def test_an_advisor_removes_their_own(self, three, desk, ann):
        batch = pending(desk, *three)
        with pytest.raises(batches.NotAllowed):
            remove(batch, ann, "A1", "A3")
        assert remove(batch, ann, "A1") == (1, [])

    def test_rows_of_another_batch_are_refused(self, three, balanced, desk):
        batch, other = pending(desk, *three), pending(desk, drifted(balanced, "Z1"))
        with pytest.raises(batches.NotAllowed):
            batches.remove(batch, by=desk, entries=entries(other, "Z1"), shown=1)
        assert states(other) == {"Z1": EntryState.PROPOSED}


class TestAnew:
    def test_failed_accounts_are_tried_again_where_free(self, three, balanced, desk):
        for account in three[:2]:
            make.lot(account, "LATE", 1, cost=10)
        batch = pending(desk, *three)
        assert states(batch) == {"A1": "failed", "A2": "failed", "A3": "proposed"}
        taken = opened(desk, three[1]).batch
        make.price("LATE", 10)
        batches.repropose(batch, by=desk)
        batch = again(batch)
        assert (batch.state, batch.total, batch.proposal_version) == (BatchState.NEW, 2, 2)
        assert states(batch) == {"A1": "waiting", "A2": "failed", "A3": "waiting"}
        assert states(taken) == {"A2": "waiting"}

    def test_removed_accounts_stay_removed(self, three, desk):
        batch = pending(desk, *three)
        remove(batch, desk, "A2")
        batches.repropose(batch, by=desk)
        batches.propose_batch(batch.pk)
        assert states(batch) == {"A1": "proposed", "A2": "removed", "A3": "proposed"}

    def test_needs_every_open_account(self, three, desk, ann):
        batch = pending(desk, *three)
        with pytest.raises(batches.NotAllowed):
            batches.switch_logic(batch, by=ann, logic=Logic.MIN_TRANSACTION)
        assert again(batch).logic == Logic.BEST_FIT

    def test_is_never_a_liquidation(self, three, desk):
        batch = pending(desk, *three)
        with pytest.raises(batches.Refused, match="Liquidations"):
            batches.switch_logic(batch, by=desk, logic=Logic.LIQUIDATE)
        assert again(batch).state == BatchState.PENDING_APPROVAL

    def test_whoever_switched_counts_for_four_eyes(self, three, desk):
        make.firm(four_eyes=True)
        other, third = make.operations("other"), make.operations("third")
        batch = pending(desk, *three)
        batches.switch_logic(batch, by=other, logic=Logic.MIN_TRANSACTION)
        batches.propose_batch(batch.pk)
        for person in (desk, other):
            with pytest.raises(batches.NotAllowed, match="Four eyes"):
                batches.approve(batch, by=person, **as_seen(batch))
        batches.approve(batch, by=third, **as_seen(batch))
        assert again(batch).approved_by == third


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("second", ["approve", "cancel", "repropose", "remove"])
def test_two_people_at_the_same_batch_at_once(balanced, second):
    """One press counts; the other is told what happened, whichever came first."""
    people = [make.operations("one"), make.operations("two")]
    batch = pending(people[0], drifted(balanced, "A1"))
    commands = COMMANDS | {"cancel": lambda batch, by: batches.cancel(batch, by=by)}
    seen = as_seen(batch)
    presses = [lambda: batches.approve(batch, by=people[0], **seen), lambda: commands[second](batch, people[1])]
    starting, answers = threading.Barrier(2), []

    def press(command):
        try:
            starting.wait()
            command()
            answers.append("done")
        except batches.Refused as refusal:
            answers.append(str(refusal))
        finally:
            connection.close()

    threads = [threading.Thread(target=press, args=[command]) for command in presses]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers.count("done") == 1
    assert audited("refused") == 1
    ended = {"approve": BatchState.APPROVING, "cancel": BatchState.CANCELLED, "repropose": BatchState.NEW,
             "remove": BatchState.CANCELLED}  # fmt: skip
    assert again(batch).state in {BatchState.APPROVING, ended[second]}
