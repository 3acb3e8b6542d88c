"""`./run`: starts a firm's web, worker and beat, watches over them, and stops everything on Ctrl-C."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from . import locks
from .console import Problem, say, tail
from .home import ROOT, Home
from .processes import kill, spawn, stop

DEFAULT_PORT = 8000
PORTS_TRIED = 50
PAGE_WITHIN = 180.0  # seconds; whoever ends meanwhile is noticed at once
LOOK_EVERY = 0.3
STOP_PATIENCE = 15.0  # for tasks under way; what is cut off is done again after the next start
RESTARTS = 5  # within RESTARTS_WITHIN seconds; then the firm gives up
RESTARTS_WITHIN = 60.0
LOG_LIMIT = 10_000_000  # bytes


def main(arguments):
    if arguments:
        raise Problem(f"start takes no arguments, but was given: {' '.join(arguments)} (try ./run --help)")
    catch_signals()
    home = Home.from_environment()
    only_one = locks.take(home.path / "firm.lock", wait=False)
    if only_one is None:
        raise Problem(
            f"this firm is running already, at {address_of(home)}. "
            "For a second one, set REBALANCER_HOME to another folder."
        )
    children = Children(home)
    try:
        run(home, children)
    except KeyboardInterrupt:
        say("\nStopping ...")
    finally:
        children.stop()
        (home.path / "address").unlink(missing_ok=True)
        home.leave()
        os.close(only_one)
    say("Stopped.")


def catch_signals():
    """All ways of asking to end do the same. A shell script's `&` leaves SIGINT ignored, so that is set too."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup
        signal.signal(signal.SIGHUP, signal.default_int_handler)


def run(home, children):
    started = time.monotonic()
    wanted = wanted_port()
    say("Starting the database and the message queue ..." if home.servers_to_embed() else "Using the servers given ...")
    embedded = home.use_servers()
    say("Preparing the database ...")
    people = prepare(home, children, seed="postgres" in embedded)
    host, port = listening_at(wanted)
    say("Starting web, worker and beat ...")
    for name, command in commands(home, host, port).items():
        children.start(name, command)
    address = f"http://localhost:{port}/"
    wait_for_page(port, children)
    (home.path / "address").write_text(address, encoding="utf-8")
    welcome(address, people, home, time.monotonic() - started)
    children.watch(embedded)


def prepare(home, children, seed):
    """Migrate and seed; return the demo sign-ins as seed_demo prints them."""
    command = [sys.executable, "-m", "ops.prepare", *(["--seed"] if seed else [])]
    child = children.add("prepare", spawn(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
    people, _ = child.communicate()
    if child.returncode:
        raise Problem("the database could not be prepared; the reason is above.")
    children.forget("prepare")
    return people.rstrip()


def wanted_port():
    try:
        return int(os.environ.get("PORT") or DEFAULT_PORT)
    except ValueError:
        raise Problem(f"PORT must be a number, not {os.environ['PORT']!r}.") from None


def listening_at(wanted):
    """Host and port of the web: this machine only, unless ALLOWED_HOSTS expects others; the first free port."""
    host = "0.0.0.0" if os.environ.get("ALLOWED_HOSTS") else "127.0.0.1"
    for port in range(wanted, wanted + PORTS_TRIED):
        if is_free(host, port):
            if port != wanted:
                say(f"Port {wanted} is taken; using {port}.")
            return host, port
    raise Problem(f"No free port from {wanted} to {wanted + PORTS_TRIED - 1}. Set PORT to another one.")


def is_free(host, port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError):
            return False
    return True


def commands(home, host, port):
    python = [sys.executable, "-m"]
    gunicorn = ["gunicorn", "config.wsgi:application", "--bind", f"{host}:{port}", "--workers", "2", "--threads", "4"]
    gunicorn += ["--no-control-socket", "--graceful-timeout", "5", "--timeout", "60"]
    if os.access("/dev/shm", os.W_OK):
        gunicorn += ["--worker-tmp-dir", "/dev/shm"]
    celery = ["celery", "-A", "config"]
    processes = str(max(2, min(os.cpu_count() or 2, 4)))
    worker = ["worker", "--loglevel", "INFO", "--concurrency", processes, "--without-gossip", "--without-mingle"]
    beat = ["beat", "--loglevel", "WARNING", "--pidfile=", "--schedule", str(home.path / "beat-schedule")]
    return {"web": python + gunicorn, "worker": python + celery + worker, "beat": python + celery + beat}


def wait_for_page(port, children):
    deadline = time.monotonic() + PAGE_WITHIN
    while not answers(port):
        children.check()
        if time.monotonic() > deadline:
            raise Problem(f"no page after {PAGE_WITHIN:.0f} s. The end of the web's log:\n{children.tail('web')}")
        time.sleep(0.1)


def answers(port):
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        line.request("GET", "/login/", headers={"Host": "localhost"})
        return line.getresponse().status > 0
    except (OSError, http.client.HTTPException):
        return False
    finally:
        line.close()


def welcome(address, people, home, seconds):
    """The one thing that goes to standard output: where to go and who one can be."""
    lines = ["", f"The rebalancer is at {address}  (up in {seconds:.0f} s)", ""]
    if people:
        lines += ["Sign in to the demo firm as", *("    " + line for line in people.splitlines()), ""]
    lines += [f"Data and logs: {home.path}", "Ctrl-C stops everything."]
    print("\n".join(lines), flush=True)


def address_of(home):
    try:
        return (home.path / "address").read_text(encoding="utf-8")
    except FileNotFoundError:
        return "an address it has not got yet"


class Children:
    """The firm's processes by name. One that ends by itself is started again, once all it had started is put away."""

    def __init__(self, home):
        self.home = home
        self.running = {}
        self.commands = {}
        self.restarts = []  # monotonic seconds

    def add(self, name, child):
        self.running[name] = child
        return child

    def forget(self, name):
        del self.running[name]

    def start(self, name, command):
        log = self.home.log(name)
        if log.exists() and log.stat().st_size > LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))
        self.commands[name] = command
        self.add(name, spawn(command, log=log, cwd=ROOT))

    def watch(self, embedded):
        """Until somebody interrupts: bring back what ends, servers included."""
        while True:
            time.sleep(LOOK_EVERY)
            for name in embedded:
                if self.home.revive(name):
                    say(f"{name} had ended; it is up again.")
            self.check()

    def check(self):
        for name, child in self.running.items():
            if child.poll() is not None:
                self._start_again(name, child)
                return

    def _start_again(self, name, child):
        now = time.monotonic()
        self.restarts = [then for then in self.restarts if now - then < RESTARTS_WITHIN] + [now]
        if len(self.restarts) > RESTARTS:
            raise Problem(f"{name} keeps ending. In {self.home.log(name)}:\n{self.tail(name)}")
        say(f"{name} ended ({child.returncode}); starting it again.")
        kill(child)
        self.start(name, self.commands[name])

    def tail(self, name):
        return tail(Path(self.home.log(name)))

    def stop(self):
        """End all, kindly first; a second Ctrl-C makes it quick."""
        try:
            stop(list(self.running.values()), patience=STOP_PATIENCE)
        except KeyboardInterrupt:
            for child in self.running.values():
                kill(child)
