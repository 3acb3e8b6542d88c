"""`propose`, `export_batch`, `analyse` and `end_of_day`: what people script against."""

import csv
import io
import json
import os
import subprocess
import sys
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import Account, AuditLine
from rebalancer import exports
from rebalancer.models import Batch, Check
from rebalancer.services import batches, claims
from rebalancer.states import BatchState, Source, Status
from tests import factories as make
from trading import sessions

from .conftest import again, drifted, opened, pending

pytestmark = pytest.mark.django_db


def run(*arguments):
    """The command's standard output; its standard error is `run.err`."""
    out, err = io.StringIO(), io.StringIO()
    run.err = err
    call_command(*arguments, stdout=out, stderr=err)
    return out.getvalue()


def propose(*arguments, logic="best_fit", user="olive"):
    """The batch that the command opened, by the last line of what it printed."""
    printed = run("propose", *arguments, "--logic", logic, "--user", user)
    assert printed.endswith("\n")
    return Batch.objects.get(pk=printed.splitlines()[-1])


def numbers(batch):
    return sorted(batch.entries.values_list("account_number", flat=True))


def left_out():
    return [line.removeprefix("left out: ") for line in run.err.getvalue().splitlines() if line.startswith("left out")]


def checked(account, status=Status.OUT_OF_TOLERANCE, wanted=True):
    Check.objects.create(
        account=account, checked_at=timezone.now(), business_day=sessions.today(), status=status, wanted=wanted,
        source=Source.DRIFT_ANALYSIS, needed_since=sessions.today(),
    )  # fmt: skip


@pytest.fixture
def numbers_file(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "numbers.txt"
        path.write_bytes(text.encode(encoding))
        return str(path)

    return write


class TestPropose:
    def test_prints_its_id_alone_on_the_last_line_and_nothing_else(self, three, desk):
        batch = propose("--portfolio", "Balanced")
        assert (batch.state, batch.opened_by, batch.trade_date) == (BatchState.PENDING_APPROVAL, desk, sessions.today())
        assert numbers(batch) == ["A1", "A2", "A3"]
        assert run.err.getvalue()

    def test_its_date_is_the_trade_date(self, three, desk):
        assert propose("--portfolio", "Balanced", "--as-of", "2024-06-15").trade_date == date(2024, 6, 15)

    def test_its_logic(self, three, desk):
        assert propose("--portfolio", "Balanced", logic="min_transaction").logic == "min_transaction"

    @pytest.mark.parametrize("status", ["Out of Tolerance", "out_of_tolerance", "out-of-tolerance", "7"])
    def test_accounts_of_a_status(self, three, desk, status):
        checked(three[0])
        checked(three[1], Status.INSIDE_OF_TOLERANCE)
        assert numbers(propose("--status", status)) == ["A1"]

    def test_the_queue_as_the_user_sees_it(self, three, desk, ann):
        for account in three:
            checked(account, wanted=account.number != "A2")
        assert numbers(propose("--queued", user="ann")) == ["A1"]
        assert numbers(propose("--queued")) == ["A3"]

    def test_numbers_of_a_file(self, three, desk, numbers_file):
        path = numbers_file("A3\r\n\n  A1 \nA3\nUNKNOWN\n", "utf-8-sig")
        assert numbers(propose("--accounts", path)) == ["A1", "A3"]
        assert left_out() == ["UNKNOWN: there is no such account"]

    def test_somebody_elses_numbers_do_not_exist(self, three, ann, numbers_file):
        assert numbers(propose("--accounts", numbers_file("A1\nA3\n"), user="ann")) == ["A1"]
        assert left_out() == ["A3: there is no such account"]

    def test_accounts_left_out_are_named_with_reasons(self, three, desk):
        taken = opened(desk, three[0]).batch
        Account.objects.filter(pk=three[1].pk).update(rebalancing_on=False)
        propose("--portfolio", "Balanced")
        assert left_out() == [
            f"A1 Account A1: it is in request {taken.pk}",
            "A2 Account A2: rebalancing is off",
        ]

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--portfolio", "Nope", "--user", "olive"], "no portfolio Nope"),
            (["--status", "9", "--user", "olive"], "no status 9"),
            (["--accounts", "/nowhere", "--user", "olive"], "cannot be read"),
            (["--queued", "--user", "nobody"], "no user nobody"),
            (["--queued", "--user", "olive"], "No account"),
            (["--portfolio", "Balanced", "--user", "adam"], "Your role"),
            (["--portfolio", "Balanced", "--user", "olive", "--queued"], "not allowed with"),
            (["--user", "olive"], "required"),
            (["--portfolio", "Balanced", "--user", "olive", "--as-of", "tomorrow"], "not a date"),
            (["--portfolio", "Balanced", "--user", "olive", "--as-of", "0001-01-01"], "not a date from 1990"),
        ],
    )
    def test_what_cannot_be_is_an_error_in_words(self, three, desk, arguments, words):
        make.administrator("adam")
        with pytest.raises(CommandError, match=words):
            run("propose", *arguments, "--logic", "best_fit")
        assert not Batch.objects.exists()

    def test_a_file_with_a_nul_byte_is_refused_by_its_line(self, three, desk, numbers_file):
        path = numbers_file("A1\n\nA2\0\n")
        with pytest.raises(CommandError, match=f"{path}, line 3: holds a NUL character"):
            propose("--accounts", str(path))
        assert not Batch.objects.exists()

    def test_a_liquidation_is_not_offered(self, three, desk):
        with pytest.raises(CommandError, match="invalid choice"):
            propose("--portfolio", "Balanced", logic="liquidate")

    def test_nobody_left_is_an_error_that_names_them(self, three, desk):
        opened(desk, *three)
        with pytest.raises(CommandError):
            propose("--portfolio", "Balanced")
        assert len(left_out()) == 3

    def test_a_failed_batch_is_an_error_after_its_id(self, balanced, desk):
        make.lot(drifted(balanced, "N1"), "NOPRICE", 1, cost=1)
        out = io.StringIO()
        with pytest.raises(CommandError, match="failed"):
            call_command("propose", "--portfolio", "Balanced", "--logic", "best_fit", "--user", "olive", stdout=out)
        assert out.getvalue() == f"{Batch.objects.get().pk}\n"


WEEK, DAY = timedelta(days=7), timedelta(days=1)


@pytest.mark.parametrize(("command", "ahead", "words"), [
    (("analyse",), DAY, "lies in the future; today is"),
    (("propose", "--queued", "--logic", "best_fit", "--user", "olive"), WEEK + DAY, "lies more than a week ahead"),
])  # fmt: skip
def test_a_day_that_is_still_far_is_refused_in_words(three, desk, command, ahead, words):
    for days in (sessions.today() + ahead, date(2100, 12, 31)):
        with pytest.raises(CommandError, match=words):
            run(*command, f"--as-of={days}")
    assert not Batch.objects.exists()
    assert not Check.objects.exists()


def test_days_past_are_a_what_if_and_a_trade_may_be_meant_for_the_next_session(three, desk):
    assert "Out of Tolerance" in run("analyse", "--as-of=2020-01-06")
    for day in (date(2019, 1, 4), sessions.today() + WEEK):  # before the lots were acquired: gains are short-term
        batch = propose("--portfolio", "Balanced", f"--as-of={day}")
        assert batch.trade_date == day
        assert not batch.entries.exclude(long_term_gain=0).exists() or day.year > 2019
        batches.cancel(batch, by=desk)


PRINT = """
import django
django.setup()
from django.core.management.base import BaseCommand
from rebalancer.management.output import printing

class Command(BaseCommand):
    requires_system_checks = []

    def handle(self, **options):
        with printing(self.stdout):
            for _ in range(100_000):
                self.stdout.write("a line")

Command().run_from_argv(["manage.py", "print"])
"""


@pytest.mark.parametrize(("shell", "code", "said"), [
    ("| head -1 > /dev/null", 141, ""),
    ("> /dev/full", 1, "CommandError: The output can't be written: No space left on device."),
    ("> /dev/null", 0, ""),
])  # fmt: skip
def test_output_that_nobody_reads_or_that_cannot_be_written(shell, code, said):
    done = subprocess.run(
        ["bash", "-c", f'"$0" -c "$1" {shell}; exit ${{PIPESTATUS[0]}}', sys.executable, PRINT],
        check=False, capture_output=True, text=True, cwd=settings.BASE_DIR,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings"},
    )  # fmt: skip
    assert (done.returncode, done.stderr.strip()) == (code, said)


@pytest.mark.parametrize(("error", "raised"), [(BrokenPipeError(), SystemExit), (OSError(28, "full"), CommandError)])
@pytest.mark.parametrize("command", [("analyse",), ("propose", "--queued"), ("export_batch", "trades")])
def test_commands_say_so_when_their_output_breaks(three, desk, command, error, raised):
    class Broken(io.StringIO):
        def write(self, text):
            raise error

    name, *more = command
    for account in three:
        checked(account)
    arguments = {
        "analyse": (),
        "propose": (*more, "--logic", "best_fit", "--user", "olive"),
        "export_batch": (str(pending(desk, *three).pk) if name == "export_batch" else "", "--what", *more),
    }[name]
    with pytest.raises(raised):
        call_command(name, *arguments, stdout=Broken(), stderr=io.StringIO())


class TestExport:
    @pytest.fixture
    def batch(self, three, desk):
        make.lot(three[0], "GONE", 10, cost=None)
        make.price("GONE", 7)
        batch = pending(desk, *three)
        batches.remove(batch, by=desk, entries=batch.entries.filter(account_number="A2"), shown=1)
        return batch

    def table(self, batch, what):
        text = run("export_batch", str(batch.pk), "--what", what)
        assert "\r" not in text
        assert run.err.getvalue() == ""
        return list(csv.DictReader(io.StringIO(text)))

    def test_the_columns_are_the_products(self, batch):
        said = {
            "accounts": "account_number, account_name, result, reason, market_value, managed_value, "
            "beginning_available_cash, ending_available_cash, buys, buys_value, sells, sells_value, flat_trades, "
            "flat_value, short_term_gain, long_term_gain, estimated_gain",
            "trades": "account_number, sleeve, symbol, side, quantity, market_quantity, flat_quantity, price, value, "
            "short_term_gain, long_term_gain, reason",
            "lots": "account_number, sleeve, symbol, lot_id, acquired_on, quantity, proceeds, cost, gain, term, use",
            "positions": "account_number, sleeve, symbol, quantity_before, quantity_after, price, weight_before, "
            "weight_after, target_weight, threshold_lower, threshold_upper, precision_lower, precision_upper, note",
        }
        for what, columns in said.items():
            header = run("export_batch", str(batch.pk), "--what", what).splitlines()[0]
            assert header == columns.replace(" ", "")
            assert ", ".join(exports.COLUMNS[what]) == columns

    def test_accounts(self, batch):
        rows = self.table(batch, "accounts")
        assert [(row["account_number"], row["result"]) for row in rows] == [
            ("A1", "proposed"), ("A2", "removed"), ("A3", "proposed"),
        ]  # fmt: skip
        last = rows[2]
        assert (last["buys"], last["buys_value"], last["sells"], last["sells_value"]) == (
            "1",
            "18000.00",
            "1",
            "15000.00",
        )
        assert (last["beginning_available_cash"], last["ending_available_cash"]) == ("5000.00", "2000.00")
        assert {
            value for name, value in rows[1].items() if name not in ("account_number", "account_name", "result")
        } == {""}

    def test_trades_positions_and_lots(self, batch):
        trades = {(row["account_number"], row["symbol"]): row for row in self.table(batch, "trades")}
        assert set(trades) == {("A1", "AGG"), ("A1", "GONE"), ("A1", "VTI"), ("A3", "AGG"), ("A3", "VTI")}
        sale = trades["A3", "VTI"]
        assert (sale["side"], sale["quantity"], sale["market_quantity"], sale["flat_quantity"]) == (
            "sell",
            "150",
            "150",
            "0",
        )
        assert (sale["price"], sale["value"], sale["long_term_gain"]) == ("100", "15000.00", "3000.00")
        assert sale["reason"] == "outside threshold 48–72 %: 75 %"
        gone = next(row for row in self.table(batch, "lots") if row["symbol"] == "GONE")
        assert (gone["quantity"], gone["proceeds"], gone["cost"], gone["gain"], gone["use"]) == (
            "10",
            "70.00",
            "",
            "",
            "sale",
        )
        held = next(
            row for row in self.table(batch, "positions") if row["account_number"] == "A3" and row["symbol"] == "VTI"
        )
        assert (held["quantity_before"], held["quantity_after"], held["weight_before"]) == ("750", "600", "75")
        assert (held["target_weight"], held["threshold_lower"], held["precision_upper"]) == ("60", "48", "62.4")

    def test_totals_are_sums_of_lots(self, batch):
        accounts = {row["account_number"]: row for row in self.table(batch, "accounts")}
        for number in ("A1", "A3"):
            lots = [row for row in self.table(batch, "lots") if row["account_number"] == number]
            gains = sum(Decimal(row["gain"]) for row in lots if row["gain"])
            account = accounts[number]
            assert Decimal(account["estimated_gain"]) == gains
            assert Decimal(account["short_term_gain"]) + Decimal(account["long_term_gain"]) == gains
            assert Decimal(account["sells_value"]) == sum(Decimal(row["proceeds"]) for row in lots)

    @pytest.mark.parametrize("what", exports.COLUMNS)
    def test_json_says_the_same(self, batch, what):
        rows = json.loads(run("export_batch", str(batch.pk), "--what", what, "--format", "json"))
        as_text = [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]
        assert as_text == self.table(batch, what)

    @pytest.mark.parametrize("format_", ["csv", "json"])
    def test_the_same_batch_gives_the_same_bytes(self, batch, format_):
        for what in exports.COLUMNS:
            arguments = ("export_batch", str(batch.pk), "--what", what, "--format", format_)
            assert run(*arguments) == run(*arguments)

    def test_a_batch_without_lines(self, three, desk):
        batch = opened(desk, *three).batch
        assert json.loads(run("export_batch", str(batch.pk), "--what", "lots", "--format", "json")) == []
        assert len(self.table(batch, "accounts")) == 3

    def test_no_such_batch(self, db):
        with pytest.raises(CommandError, match="no batch 77"):
            run("export_batch", "77", "--what", "lots")

    def test_after_the_end_it_is_what_was_approved(self, batch, three, desk):
        before = self.table(batch, "trades")
        batches.cancel(batch, by=desk)
        make.price("VTI", 1)
        three[2].lots.all().delete()
        assert self.table(batch, "trades") == before


def test_analyse_counts_tiles_and_statuses(three):
    Account.objects.update(delivered_for=sessions.last_completed_session())
    lines = [line.split("\t") for line in run("analyse").splitlines()]
    counts = {(kind, name): int(count) for kind, name, count in lines}
    assert [name for kind, name, _ in lines if kind == "tile"] == [
        "First Rebalance", "High Cash", "Low Cash", "Position Drift",
    ]  # fmt: skip
    assert [name for kind, name, _ in lines if kind == "status"] == Status.labels
    assert counts["tile", "First Rebalance"] == 3
    assert sum(count for (kind, _), count in counts.items() if kind == "status") == 3
    assert "drift analysis" in run.err.getvalue()


def test_end_of_day_cancels_now(three, desk):
    batch = pending(desk, *three)
    assert run("end_of_day") == ""
    assert again(batch).get_ended_how_display() == "end of day"
    assert "1 batch cancelled; staged orders of 0 tickets cancelled; 0 accounts not traded" in run.err.getvalue()
    assert AuditLine.objects.filter(verb="day.ended").exists()


def test_propose_goes_on_where_a_worker_died(three, desk, monkeypatch):
    """The command waits for whoever has its batch, and takes over when the claim expires."""
    taken = []

    def quicker(batch_id, patience=None):
        if not taken:
            taken.append(claims.take(batch_id))
            Batch.objects.filter(pk=batch_id).update(claim_expires=timezone.now())
            return False
        return propose_batch(batch_id, patience)

    propose_batch = batches.propose_batch
    monkeypatch.setattr(batches, "propose_batch", quicker)
    assert propose("--portfolio", "Balanced").state == BatchState.PENDING_APPROVAL
