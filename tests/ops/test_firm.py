"""`./run`, whole: the page, a second start, Ctrl-C, a kill."""

import contextlib
import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request

import pytest

from tests.processes import ROOT, eventually, is_up, of, processes_of, run


def status(address):
    try:
        with urllib.request.urlopen(address) as page:
            return page.status
    except urllib.error.HTTPError as error:
        return error.code


def is_served(address):
    try:
        return status(address) < 500
    except OSError:  # it listens to nobody yet
        return False


class Firm:
    def __init__(self, environment, log):
        self.log = log
        with open(log, "w") as out:
            self.process = subprocess.Popen([ROOT / "run"], env=environment, stdout=out, stderr=out)

    @property
    def said(self):
        return self.log.read_text()

    def wait_until_up(self):
        eventually(lambda: "Ctrl-C stops everything" in self.said or self.process.poll() is not None, within=300)
        assert self.process.poll() is None, self.said
        return self

    @property
    def address(self):
        return next(word for word in self.said.split() if word.startswith("http://"))


@pytest.fixture
def firm(home, environment, tmp_path):
    started = []

    def start(**changes):
        started.append(Firm(environment | changes, tmp_path / f"run-{len(started)}.log"))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()


def test_the_page_comes_up_and_ctrl_c_stops_everything(home, firm):
    one = firm().wait_until_up()
    assert status(one.address + "login/") < 500
    for word in ("gunicorn", "celery -A config worker", "celery -A config beat", "postgres", "valkey-server"):
        assert of(home, word), word
    one.process.send_signal(signal.SIGINT)
    assert one.process.wait(120) == 0
    assert one.said.endswith("Stopped.\n")
    assert processes_of(home) == {}


def test_a_killed_launcher_leaves_nothing_and_the_next_start_works(home, firm):
    one = firm().wait_until_up()
    one.process.kill()
    eventually(lambda: not processes_of(home))
    firm().wait_until_up()


def test_a_firm_is_started_once_and_its_commands_share_its_servers(home, firm):
    one = firm().wait_until_up()
    second = run(home=home)
    assert second.returncode == 1
    assert one.address in second.stderr
    assert run("manage", "check", home=home).returncode == 0
    assert is_up(home, "postgres")


def test_what_is_killed_comes_back(home, firm):
    one = firm().wait_until_up()
    for word in ("celery -A config worker", "celery -A config beat", "gunicorn"):
        before = of(home, word)
        for pid in before:
            with contextlib.suppress(ProcessLookupError):  # it went with its parent
                os.kill(pid, signal.SIGKILL)
        eventually(lambda word=word, before=before: set(of(home, word)) - set(before))
    for pid in of(home, "ops.keeper"):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: all(f"{name} had ended; it is up again." in one.said for name in ("postgres", "valkey")))
    eventually(lambda: is_served(one.address + "login/"))


def test_a_taken_port_is_left_alone(firm):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        one = firm(PORT=str(port)).wait_until_up()
        assert f"Port {port} is taken" in one.said
        assert f":{port}/" not in one.address


def test_a_port_that_is_none_is_explained(home, environment):
    done = run(home=home, env=environment | {"PORT": "eighty"})
    assert done.returncode == 1
    assert "PORT must be a number" in done.stderr
    assert "Traceback" not in done.stderr
