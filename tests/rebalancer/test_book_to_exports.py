"""A book goes in by the commands, proposals come out as exports, and the rules hold on what came out."""

import csv
import io
import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from tests.processes import PATIENCE, ROOT, bare_environment, eventually, processes_of, run

from .verify import compare, judge, verify
from .verify import read as read_cases
from .verify.harder import harden

SIZE = ("--accounts", "1000", "--positions", "10", "--lots", "4")
WHAT = ("accounts", "trades", "lots", "positions")
KEYS = {"account_number", "sleeve", "symbol"}
SIDES = {"buy": "sell", "sell": "buy"}
LOGICS = ("best_fit", "min_transaction")
SOMEBODY = """
from django.contrib.auth.models import Group
from accounts.models import User
User.objects.create_user("olive").groups.add(Group.objects.get(name="Operations"))
"""
# The same commands in one process, for speed: every logic, a liquidation, and some of the accounts by themselves.
ALL_AT_ONCE = """
import io, pathlib, sys
from datetime import date
from django.core.management import call_command
from accounts.models import Account, User
from rebalancer import selectors
from rebalancer.services import batches

def export(folder, batch):
    folder.mkdir()
    for what in ("accounts", "trades", "lots", "positions"):
        for kind in ("csv", "json"):
            with open(folder / f"{{what}}.{{kind}}", "w", encoding="utf-8") as file:
                call_command("export_batch", batch, what=what, format=kind, stdout=file)
    call_command("end_of_day")

def propose(name, logic, numbers):
    (out / "numbers.txt").write_text("\\n".join(numbers))
    said = io.StringIO()
    call_command("propose", accounts=str(out / "numbers.txt"), logic=logic, user="olive", as_of=day, stdout=said)
    export(out / name, said.getvalue().splitlines()[-1])

def liquidate():
    everybody = Account.objects.all()
    opened = batches.open_batch(
        by=User.objects.get(username="olive"), accounts=everybody, shown=everybody.count(), logic="liquidate",
        trade_date=day, confirmed=selectors.sale_list(everybody).digest,
    )
    batches.propose_batch(opened.batch.pk)
    export(out / "liquidate", opened.batch.pk)

out, book, day = pathlib.Path("{out}"), "{book}", date.fromisoformat("{day}")
call_command("import_book", book)
call_command("analyse")
numbers = list(Account.objects.order_by("number").values_list("number", flat=True))
for logic in ("best_fit", "min_transaction"):
    propose(logic, logic, numbers)
    propose(logic + "_some", logic, numbers[::-9])
liquidate()
"""


@dataclass(frozen=True)
class Firm:
    """A home whose servers stay up, and a folder beside it."""

    home: Path
    folder: Path

    def manage(self, *arguments):
        """The standard output of a command that has to go well."""
        done = run("manage", *arguments, home=self.home)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def book(self, seed):
        self.manage("generate_book", str(self.folder / "book"), *SIZE, "--seed", str(seed))
        return self.folder / "book"


@pytest.fixture
def firm():
    folder = Path(tempfile.mkdtemp(prefix="rebalancer-book-", dir="/tmp"))
    folder.chmod(0o755)
    home = folder / "home"
    command = [ROOT / "run", "manage", "shell", "--no-imports", "-c", SOMEBODY + "print('up', flush=True); input()"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, env=bare_environment(home), **pipes) as keeps_up:
        assert keeps_up.stdout.readline() == "up\n"
        yield Firm(home, folder)
        keeps_up.communicate("\n", timeout=PATIENCE)
    eventually(lambda: not processes_of(home))
    elsewhere = home / "postgres" / "elsewhere"
    if elsewhere.exists():
        shutil.rmtree(Path(elsewhere.read_text().strip()).parent)
    shutil.rmtree(folder)


def test_the_commands_one_after_the_other(firm):
    book, day = firm.book(7), date(2026, 11, 20)
    firm.manage("import_book", str(book))
    assert "Out of Tolerance" in firm.manage("analyse")
    numbers = firm.folder / "numbers.txt"
    numbers.write_text("".join(f"{row['account_number']}\n" for row in rows((book / "accounts.csv").read_text())))
    texts = {}
    for logic in LOGICS:
        said = firm.manage(
            "propose", "--accounts", str(numbers), "--logic", logic, "--user", "olive", "--as-of", day.isoformat()
        )
        batch = said.splitlines()[-1]
        texts[logic] = {what: firm.manage("export_batch", batch, "--what", what) for what in WHAT}
        assert verify(book, texts[logic], logic, day) == []
        firm.manage("end_of_day")
    assert compare(book, texts["best_fit"], texts["min_transaction"], day) == []
    assert unseen(book, texts["best_fit"], day) == []


@pytest.mark.parametrize(("seed", "day"), [(11, date(2026, 10, 30)), (23, date(2027, 12, 31))])
def test_a_harder_book_under_every_logic(firm, seed, day):
    """Trade dates on which restrictions begin and end; lots that tie; some accounts by themselves, in another order."""
    book = firm.book(seed)
    harden(book)
    firm.manage("shell", "--no-imports", "-c", ALL_AT_ONCE.format(out=firm.folder, book=book, day=day))
    texts = {logic: read(firm.folder / logic) for logic in (*LOGICS, "liquidate")}
    for logic, found in texts.items():
        assert verify(book, found, logic, day) == [], logic
        for what in WHAT:
            assert_equal((firm.folder / logic / f"{what}.json").read_text(encoding="utf-8"), found[what])
    assert compare(book, texts["best_fit"], texts["min_transaction"], day) == []
    for logic in LOGICS:
        some = read(firm.folder / f"{logic}_some")
        chosen = {row["account_number"] for row in rows(some["accounts"])}
        assert len(chosen) > 10
        for what in WHAT:
            assert rows(some[what]) == [row for row in rows(texts[logic][what]) if row["account_number"] in chosen]


def unseen(book, texts, day):
    """The columns of the exports in which a wrong cell would not be noticed."""
    cases, _ = read_cases(book, texts, "best_fit", day)
    found = []
    for what in WHAT:
        for column in rows(texts[what])[0].keys() - KEYS - {"result"}:
            account = next(row["account_number"] for row in rows(texts[what]) if row[column])
            case = replace(cases[account], found=[])
            line = next(line for line in lines(case.exported, what) if line[column])
            right, line[column] = line[column], wrong(line[column])
            judge(case)
            line[column] = right
            if not case.found and (what, column) != ("accounts", "reason"):
                found.append((what, column))
    return found


def lines(exported, what):
    if what == "accounts":
        return [exported.account]
    found = getattr(exported, what).values()
    return [line for some in found for line in some] if what == "lots" else found


def wrong(cell):
    """Another number, side or text."""
    if cell in SIDES:
        return SIDES[cell]
    return str(Decimal(cell) + 1) if cell.lstrip("-").replace(".", "", 1).isdigit() else f"{cell}?"


def read(folder):
    return {what: (folder / f"{what}.csv").read_text(encoding="utf-8") for what in WHAT}


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def assert_equal(as_json, as_csv):
    """The same cells in the same order: counts are numbers in JSON, an empty cell is null."""
    found = [{name: "" if cell is None else str(cell) for name, cell in row.items()} for row in json.loads(as_json)]
    assert found == rows(as_csv)
