"""The end of the day, run once for its day, and what was approved but not traded."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from accounts.models import Account, AuditLine, RunRecord
from rebalancer.models import Batch, Check
from rebalancer.services import analysing, batches, days, runs
from rebalancer.states import BatchState, EntryState, Source, Status
from tests import factories as make
from trading import sessions
from trading.models import Allocation, FlatMove, Order, Ticket

from .conftest import again, as_seen, drifted, opened, pending, states

pytestmark = pytest.mark.django_db

FRIDAY_EVENING = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)  # 18:30 in New York
FRIDAY_NOON = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
END_OF_FRIDAY = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)


def opened_at(batch, moment):
    Batch.objects.filter(pk=batch.pk).update(opened_at=moment)


@pytest.fixture
def staged(three, desk):
    batch = pending(desk, *three)
    batches.approve(batch, by=desk, **as_seen(batch))
    assert batches.finish_approval(batch.pk)
    return again(batch)


@pytest.mark.parametrize("state", [BatchState.NEW, BatchState.PROPOSING, BatchState.PENDING_APPROVAL])
def test_what_is_not_approved_is_cancelled(three, desk, state):
    batch = pending(desk, *three)
    Batch.objects.filter(pk=batch.pk).update(state=state)
    assert days.end_of_day()["batches"] == 1
    batch = again(batch)
    assert (batch.state, batch.get_ended_how_display(), batch.ended_by) == (BatchState.CANCELLED, "end of day", None)
    assert set(states(batch).values()) == {EntryState.CANCELLED}
    assert again(three[0]).check_wanted_at
    with pytest.raises(batches.TooLate, match="end of day"):
        batches.cancel(batch, by=desk)


@pytest.mark.parametrize("state", [BatchState.APPROVING, BatchState.COMPLETE, BatchState.FAILED, BatchState.CANCELLED])
def test_what_was_approved_or_has_ended_stays(three, desk, state):
    batch = opened(desk, *three).batch
    Batch.objects.filter(pk=batch.pk).update(state=state)
    assert days.end_of_day()["batches"] == 0
    assert again(batch).state == state


def test_what_was_opened_later_belongs_to_the_next_day(three, desk):
    earlier, later = opened(desk, three[0]).batch, opened(desk, three[1]).batch
    opened_at(earlier, END_OF_FRIDAY - timedelta(seconds=1))
    opened_at(later, END_OF_FRIDAY)
    assert days.end_of_day_if_due(FRIDAY_EVENING)["batches"] == 1
    assert (again(earlier).state, again(later).state) == (BatchState.CANCELLED, BatchState.NEW)


class TestOnceADay:
    def test_it_is_not_run_again(self, three, desk):
        assert days.end_of_day_if_due(FRIDAY_EVENING) is not None
        batch = opened(desk, *three).batch
        opened_at(batch, FRIDAY_NOON)
        assert days.end_of_day_due(FRIDAY_EVENING) is None
        assert days.end_of_day_if_due(FRIDAY_EVENING) is None
        assert again(batch).state == BatchState.NEW
        run = RunRecord.objects.get()
        assert (run.kind, str(run.business_day), run.state, run.counts["batches"]) == (
            "end_of_day",
            "2026-11-20",
            "done",
            0,
        )

    def test_before_its_time_it_is_the_day_befores(self):
        days.end_of_day_if_due(FRIDAY_NOON)
        assert str(RunRecord.objects.get().business_day) == "2026-11-19"

    def test_a_missed_one_is_caught_up(self, three, desk):
        batch, later = opened(desk, three[0]).batch, opened(desk, three[1]).batch
        opened_at(batch, FRIDAY_NOON)
        opened_at(later, FRIDAY_EVENING)
        assert days.end_of_day_if_due(FRIDAY_EVENING + timedelta(hours=12))["batches"] == 1
        assert (again(batch).state, again(later).state) == (BatchState.CANCELLED, BatchState.NEW)

    def test_a_weekend_has_ends_of_days_too(self):
        assert days.end_of_day_if_due(FRIDAY_EVENING) is not None
        assert days.end_of_day_if_due(FRIDAY_EVENING + timedelta(days=1)) is not None
        assert RunRecord.objects.filter(state="done").count() == 2

    def test_its_time_is_the_firms(self):
        make.firm(end_of_day_at="16:30")
        assert days.end_of_day_due(datetime(2026, 11, 20, 21, 31, tzinfo=UTC)) == datetime(
            2026, 11, 20, 21, 30, tzinfo=UTC
        )

    def test_one_that_died_is_run_again(self, three, desk):
        runs.start(RunRecord.Kind.END_OF_DAY, sessions.today(FRIDAY_EVENING), scheduled=True)
        assert days.end_of_day_if_due(FRIDAY_EVENING) is None
        RunRecord.objects.update(alive_at=timezone.now() - runs.DEAD_AFTER - timedelta(seconds=1))
        assert days.end_of_day_if_due(FRIDAY_EVENING) is not None
        assert list(RunRecord.objects.order_by("pk").values_list("state", flat=True)) == ["failed", "done"]

    def test_one_that_failed_says_why_and_is_run_again(self, three, desk, monkeypatch):
        def fails(*_, **__):
            raise ValueError("no")

        with monkeypatch.context() as broken:
            broken.setattr(days, "_cancel_batches", fails)
            with pytest.raises(ValueError, match="no"):
                days.end_of_day_if_due(FRIDAY_EVENING)
        assert RunRecord.objects.get().errors == ["ValueError: no"]
        assert days.end_of_day_if_due(FRIDAY_EVENING) is not None

    def test_by_hand_it_runs_whenever_asked(self, three, desk):
        assert days.end_of_day_if_due() is not None
        batch = opened(desk, *three).batch
        assert days.end_of_day()["batches"] == 1
        assert again(batch).state == BatchState.CANCELLED


class TestStagedOrders:
    def test_are_cancelled_and_the_accounts_come_back(self, staged, three, desk):
        assert days.end_of_day() == {"batches": 0, "tickets": 1, "not_traded": 3}
        assert set(Order.objects.values_list("state", "end_reason")) == {("cancelled", "end of day")}
        assert not Allocation.objects.filter(is_open=True).exists()
        assert not FlatMove.objects.filter(is_open=True).exists()
        assert set(staged.entries.values_list("state", "not_traded")) == {("complete", True)}
        assert opened(desk, *three).accounts == 3
        assert again(staged).state == BatchState.COMPLETE

    def test_the_second_end_of_day_finds_nothing(self, staged):
        days.end_of_day()
        assert days.end_of_day() == {"batches": 0, "tickets": 0, "not_traded": 0}

    def test_staged_later_they_belong_to_the_next_day(self, staged):
        Ticket.objects.update(created_at=END_OF_FRIDAY + timedelta(minutes=1))
        assert days.end_of_day_if_due(FRIDAY_EVENING)["tickets"] == 0
        assert set(Order.objects.values_list("state", flat=True)) == {"ready"}


class TestNotTraded:
    @pytest.fixture
    def account(self, balanced):
        account = drifted(balanced, "T1", last_rebalanced="2026-08-03")
        Check.objects.create(
            account=account, checked_at=timezone.now(), business_day=sessions.today(), status=Status.OUT_OF_TOLERANCE,
            wanted=True, source=Source.TARGET_UPDATE, needed_since="2026-11-02",
        )  # fmt: skip
        return account

    def stage(self, by, account):
        batch = pending(by, account)
        batches.approve(batch, by=by, **as_seen(batch))
        assert batches.finish_approval(batch.pk)
        return again(batch)

    def test_date_source_and_needed_since_come_back(self, account, desk):
        self.stage(desk, account)
        assert again(account).last_rebalanced != account.last_rebalanced
        days.end_of_day()
        account = again(account)
        assert (str(account.last_rebalanced), account.last_rebalanced_at, account.rebalanced_to) == (
            "2026-08-03",
            None,
            None,
        )
        check = account.check_row
        assert (check.wanted, check.source, str(check.needed_since)) == (True, Source.TARGET_UPDATE, "2026-11-02")

    def test_a_fill_of_one_order_makes_it_traded(self, account, desk):
        batch = self.stage(desk, account)
        Order.objects.filter(side="buy").update(state="filled", filled_quantity=Decimal(1))
        Allocation.objects.filter(order__side="buy").update(is_open=False, filled_quantity=Decimal(1))
        days.end_of_day()
        assert not batch.entries.get().not_traded
        assert str(again(account).last_rebalanced) != "2026-08-03"

    def test_a_later_rebalance_keeps_its_date(self, account, desk):
        first = self.stage(desk, account)
        later = timezone.now()
        Account.objects.filter(pk=account.pk).update(last_rebalanced="2026-11-23", last_rebalanced_at=later)
        days.end_of_day()
        assert first.entries.get().not_traded
        assert (str(again(account).last_rebalanced), again(account).last_rebalanced_at) == ("2026-11-23", later)


class TestAnalysis:
    def test_is_due_on_days_of_the_market_after_its_time(self):
        friday_night = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)  # 21:00 in New York
        assert str(analysing.analysis_due(friday_night)) == "2026-11-20"
        assert str(analysing.analysis_due(friday_night - timedelta(minutes=1))) == "2026-11-19"
        assert analysing.analysis_due(friday_night + timedelta(days=1)) is None  # Saturday

    def test_runs_once_for_its_day(self, three):
        day = sessions.today()
        counts = analysing.nightly(day)
        assert sum(counts[status] for status in Status.labels) == 3
        assert analysing.nightly(day) is None
        kinds = RunRecord.objects.order_by("pk").values_list("kind", "state", "scheduled")
        assert list(kinds) == [(kind, "done", True) for kind in ("analysis", "prices", "end_of_day")]
        record = RunRecord.objects.get(kind="analysis")
        assert (record.done, record.total, record.counts) == (3, 3, counts)

    def test_on_demand_it_runs_whenever_asked(self, three):
        seen = []
        analysing.analyse(progress=lambda done, total: seen.append((done, total)))
        analysing.analyse()
        assert seen[-1] == (3, 3)
        assert RunRecord.objects.filter(kind="analysis", scheduled=False, state="done").count() == 2

    def test_accounts_of_which_a_check_is_wanted_are_checked(self, three):
        Account.objects.filter(number="A2").want_check()
        assert analysing.recheck() == 1
        assert list(Check.objects.values_list("account__number", flat=True)) == ["A2"]
        assert analysing.recheck() == 0


def test_ends_of_days_leave_an_audit_line(desk):
    days.end_of_day(by=desk)
    line = AuditLine.objects.get(verb="day.ended")
    assert (line.by, line.after["batches"]) == (desk, 0)
