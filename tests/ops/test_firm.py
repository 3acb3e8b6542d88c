"""`./run`, whole: the page, a second start, Ctrl-C, a kill."""

import contextlib
import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request

import pytest

from tests.processes import ROOT, bare_environment, eventually, is_up, of, processes_of, run

from .conftest import home_of_its_own


def status(address):
    try:
        with urllib.request.urlopen(address, timeout=60) as page:
            return page.status
    except urllib.error.HTTPError as error:
        return error.code


def is_served(address):
    try:
        return status(address) < 500
    except OSError:  # it listens to nobody yet
        return False


class Firm:
    """A firm of a home, started by somebody whose PORT is taken."""

    def __init__(self, home, log, port):
        self.home, self.log, self.port = home, log, port
        self.process = None

    def up(self):
        """Started, if it is not running, and with its page there."""
        if self.process is None or self.process.poll() is not None:
            environment = bare_environment(self.home) | {"PORT": str(self.port)}
            with open(self.log, "w") as out:
                self.process = subprocess.Popen([ROOT / "run"], env=environment, stdout=out, stderr=out)
            eventually(lambda: "Ctrl-C stops everything" in self.said or self.process.poll() is not None, within=300)
            assert self.process.poll() is None, self.said
        return self

    @property
    def said(self):
        return self.log.read_text()

    @property
    def address(self):
        return next(word for word in self.said.split() if word.startswith("http://"))


@pytest.fixture(scope="module")
def _firm(tmp_path_factory):
    with home_of_its_own() as home, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        firm = Firm(home, tmp_path_factory.mktemp("firm") / "run.log", taken.getsockname()[1])
        yield firm
        if firm.process:
            firm.process.kill()
            firm.process.wait()


@pytest.fixture
def firm(_firm):
    """A firm that is up; stopped by one test, it is started again for the next."""
    return _firm.up()


def test_the_page_comes_up(firm):
    assert status(firm.address + "login/") == 200
    for word in ("gunicorn", "celery -A config worker", "celery -A config beat", "postgres", "valkey-server"):
        assert of(firm.home, word), word


def test_a_taken_port_is_left_alone(firm):
    assert f"Port {firm.port} is taken" in firm.said
    assert f":{firm.port}/" not in firm.address


def test_a_firm_is_started_once_and_its_commands_share_its_servers(firm):
    second = run(home=firm.home)
    assert second.returncode == 1
    assert firm.address in second.stderr
    assert run("manage", "check", home=firm.home).returncode == 0
    assert is_up(firm.home, "postgres")


def test_what_is_killed_comes_back(firm):
    for word in ("celery -A config worker", "celery -A config beat", "gunicorn"):
        before = of(firm.home, word)
        for pid in before:
            with contextlib.suppress(ProcessLookupError):  # it went with its parent
                os.kill(pid, signal.SIGKILL)
        eventually(lambda word=word, before=before: set(of(firm.home, word)) - set(before))
    for pid in of(firm.home, "ops.keeper"):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: all(f"{name} had ended; it is up again." in firm.said for name in ("postgres", "valkey")))
    eventually(lambda: is_served(firm.address + "login/"))


def test_a_killed_launcher_leaves_nothing_and_the_next_start_works(firm):
    firm.process.kill()
    eventually(lambda: not processes_of(firm.home))
    firm.process.wait()
    assert status(firm.up().address + "login/") == 200


def test_ctrl_c_stops_everything(firm):
    firm.process.send_signal(signal.SIGINT)
    assert firm.process.wait(120) == 0
    assert firm.said.endswith("Stopped.\n")
    assert processes_of(firm.home) == {}


def test_a_port_that_is_none_is_explained(home, environment):
    done = run(home=home, env=environment | {"PORT": "eighty"})
    assert done.returncode == 1
    assert "PORT must be a number" in done.stderr
    assert "Traceback" not in done.stderr
