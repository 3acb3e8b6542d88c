"""The embedded servers of a home: shared by its commands, stopped by the last, separate from other homes'."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg2
import pytest

from tests.processes import PATIENCE, ROOT, bare_environment, eventually, is_up, of, processes_of, run

from .conftest import home_of_its_own

WRITE = "from accounts.models import Household; Household.objects.create(name='Here')"
COUNT = "from accounts.models import Household; print(Household.objects.count())"


def shell(code, home, **options):
    return run("manage", "shell", "--no-imports", "-c", code, home=home, **options)


def running(home, name):
    return json.loads((home / name / "running.json").read_text())


@contextlib.contextmanager
def keeping_up(home):
    """A command that keeps a home's servers in use until its standard input is closed."""
    process = subprocess.Popen(
        [ROOT / "run", "manage", "shell", "--no-imports", "-c", "print('ready', flush=True); input()"],
        env=bare_environment(home), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n", process.stderr.read()
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def long_command(home):
    with keeping_up(home) as process:
        yield process


@pytest.fixture(scope="module")
def open_home():
    """A home whose servers are up, for tests that leave it as it is."""
    with home_of_its_own() as home, keeping_up(home):
        yield home


def test_a_command_says_its_data_on_standard_output_and_nothing_else(home):
    first = shell(COUNT, home)
    assert (first.returncode, first.stdout) == (0, "0\n"), first.stderr
    assert not is_up(home, "postgres")
    assert not is_up(home, "valkey")
    assert processes_of(home) == {}


def test_the_exit_code_is_the_commands(open_home):
    assert shell("raise SystemExit(7)", open_home).returncode == 7
    assert run("manage", "no_such_command", home=open_home).returncode == 1


def test_two_homes_are_two_firms(home):
    assert shell(f"{WRITE}; {COUNT}", home).stdout == "1\n"
    assert shell(COUNT, home / "other").stdout == "0\n"


def test_commands_of_one_home_share_its_servers_and_the_last_one_stops_them(home, long_command):
    before = running(home, "postgres"), processes_of(home)
    assert shell(WRITE, home).returncode == 0
    assert is_up(home, "postgres")
    assert (running(home, "postgres"), processes_of(home)) == before
    long_command.communicate("\n", timeout=PATIENCE)
    assert long_command.returncode == 0
    assert processes_of(home) == {}


def test_the_first_command_may_go_before_the_second(home, environment, long_command):
    second = subprocess.Popen(
        [ROOT / "run", "manage", "shell", "--no-imports", "-c", f"print('up', flush=True); input(); {COUNT}"],
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert second.stdout.readline() == "up\n"
    long_command.kill()
    time.sleep(0.5)
    assert second.communicate("\n", timeout=PATIENCE)[0] == "0\n"
    assert processes_of(home) == {}


def test_a_killed_command_leaves_nothing(home, long_command):
    long_command.kill()
    eventually(lambda: not processes_of(home))


def test_a_killed_keeper_takes_its_server_along_and_the_next_start_is_clean(home, long_command):
    assert shell(WRITE, home).returncode == 0
    keepers = of(home, "ops.keeper")
    assert len(keepers) == 2
    for pid in keepers:
        os.kill(pid, signal.SIGKILL)
    long_command.kill()
    assert shell(COUNT, home).stdout == "1\n"
    assert processes_of(home) == {}


def test_a_database_in_the_middle_of_a_recovery_stops_too(home, long_command):
    """Its orderly shutdown hangs then."""
    (backend,) = of(home, "postgres: checkpointer")
    os.kill(backend, signal.SIGKILL)
    long_command.kill()
    eventually(lambda: not processes_of(home))
    assert shell(COUNT, home).stdout == "0\n"


def test_a_server_that_dies_is_started_again(home, long_command):
    (before,) = of(home, "valkey-server ")
    os.kill(before, signal.SIGKILL)
    eventually(lambda: of(home, "valkey-server ") not in ([], [before]))


def test_commands_started_at_once_share_too(home, environment):
    command = [ROOT / "run", "manage", "shell", "--no-imports", "-c", COUNT]
    several = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate(timeout=600)[0] for process in several] == ["0\n"] * 3
    assert processes_of(home) == {}


def test_an_outside_database_takes_the_embedded_ones_place(home, tmp_path):
    """The tests' own server plays the one outside; the message queue is embedded still."""
    given = os.environ["DATABASE_URL"]
    code = "import os; from django.db import connection; connection.ensure_connection(); print(os.environ['REDIS_URL'])"
    done = shell(code, home, env=os.environ | {"REBALANCER_HOME": str(home), "REDIS_URL": "", "DATABASE_URL": given})
    assert done.stdout.startswith("unix://"), done.stderr
    assert not (home / "postgres").exists()
    assert (home / "valkey").exists()


def test_the_socket_is_in_a_private_folder_and_no_port_is_open(open_home):
    url = running(open_home, "postgres")["url"]
    folder = Path(url.partition("host=")[2])
    assert folder.stat().st_mode & 0o777 == 0o700
    with psycopg2.connect(url.replace("@:5432/", "@/")) as line, line.cursor() as cursor:
        cursor.execute("SHOW listen_addresses")
        assert cursor.fetchone() == ("",)


def test_a_home_that_can_not_be_made_is_explained(tmp_path):
    file = tmp_path / "file"
    file.touch()
    done = run("manage", "check", home=file)
    assert done.returncode == 1
    assert "REBALANCER_HOME" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("variable", "value", "said"), [
    ("DATABASE_URL", "sqlite:///x.db", "DATABASE_URL must begin with postgres://"),
    ("REDIS_URL", "amqp://localhost", "REDIS_URL must begin with redis://"),
])  # fmt: skip
def test_an_address_of_another_kind_is_refused(home, environment, variable, value, said):
    done = shell(COUNT, home, env=environment | {variable: value})
    assert done.returncode != 0
    assert said in done.stderr


class TestAsRoot:
    """The database runs as somebody else, who gets neither into root's home nor, perhaps, into this checkout."""

    @pytest.fixture
    def hidden(self):
        folder = Path(tempfile.mkdtemp(prefix="rebalancer-hidden-", dir="/tmp"))  # 0700
        yield folder / "home"
        elsewhere = folder / "home" / "postgres" / "elsewhere"
        if elsewhere.exists():
            shutil.rmtree(Path(elsewhere.read_text().strip()).parent)
        shutil.rmtree(folder)

    def test_a_home_that_only_we_can_reach_works_and_keeps_its_data(self, hidden):
        assert shell(WRITE, hidden).returncode == 0
        assert shell(COUNT, hidden).stdout == "1\n"
        assert (hidden / "postgres" / "elsewhere").exists() == (os.geteuid() == 0)
