"""A home: the folder with everything one firm keeps, and who uses its embedded servers.

    secret_key            made by the settings
    log/                  one file per process
    postgres/  valkey/    per server: its data, and
        door.lock         held while somebody comes or the keeper goes
        users.lock        shared by every command that uses the server
        keeper.lock       held by the keeper while it lives
        sockets           where the server's socket lies
        running.json      url and version, written when the server is up
"""

import fcntl
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import locks
from .console import Problem, tail

ROOT = Path(__file__).resolve().parent.parent
VARIABLES = {"postgres": "DATABASE_URL", "valkey": "REDIS_URL"}
LONGEST_SOCKET_FOLDER = 80  # bytes; a socket's whole path has 107
STARTS_WITHIN = 240.0  # seconds; should it end meanwhile, that is noticed at once


@dataclass
class Home:
    path: Path
    using: list[int] = field(default_factory=list)  # descriptors of the users.lock files we hold

    @classmethod
    def from_environment(cls):
        """REBALANCER_HOME, or var/ beside `run`; from then on the variable holds the full path."""
        path = Path(os.environ.get("REBALANCER_HOME") or ROOT / "var").expanduser().absolute()
        os.environ["REBALANCER_HOME"] = str(path)
        try:
            (path / "log").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Problem(f"{path} can't be used ({error.strerror}). Set REBALANCER_HOME to another.") from error
        if not os.access(path, os.W_OK):
            raise Problem(f"{path} can't be written to. Set REBALANCER_HOME to another folder.")
        return cls(path)

    def log(self, name):
        return self.path / "log" / f"{name}.log"

    def servers_to_embed(self):
        """The embedded servers this environment asks for: those whose address it doesn't give."""
        return [name for name, variable in VARIABLES.items() if not os.environ.get(variable)]

    def use_servers(self):
        """Start, or share, what is not given from outside, and put the addresses into the environment. Return names."""
        names = self.servers_to_embed()
        for name in names:
            os.environ[VARIABLES[name]] = self.use(name)["url"]
        return names

    def use(self, name):
        """Be a user of a server until `leave` or until this process ends; return its running.json."""
        folder = self.path / name
        folder.mkdir(exist_ok=True)
        with locks.held(folder / "door.lock"):
            self.using.append(locks.take(folder / "users.lock", fcntl.LOCK_SH))
            if locks.is_free(folder / "keeper.lock"):
                self._start_keeper(name, folder)
        return json.loads((folder / "running.json").read_text(encoding="utf-8"))

    def revive(self, name):
        """Start a server's keeper again should it have been killed; whoever calls is a user already."""
        folder = self.path / name
        if not locks.is_free(folder / "keeper.lock"):
            return False
        with locks.held(folder / "door.lock"):
            if not locks.is_free(folder / "keeper.lock"):
                return False
            self._start_keeper(name, folder)
        return True

    def _start_keeper(self, name, folder):
        (folder / "running.json").unlink(missing_ok=True)
        log = self.log(f"{name}-keeper")
        with open(log, "wb") as out:
            keeper = subprocess.Popen(
                [sys.executable, "-m", "ops.keeper", name, str(self.path)],
                cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + STARTS_WITHIN
        while not (folder / "running.json").exists():
            if keeper.poll() is not None or time.monotonic() > deadline:
                raise Problem(f"The embedded {name} did not start:\n{tail(log)}")
            time.sleep(0.02)

    def leave(self, patience=30.0):
        """Let go of the servers; where we were the last, wait until they have stopped."""
        while self.using:
            os.close(self.using.pop())
        deadline = time.monotonic() + patience
        for name in VARIABLES:
            folder = self.path / name
            while (folder / "keeper.lock").exists() and not self._settled(folder) and time.monotonic() < deadline:
                time.sleep(0.05)

    @staticmethod
    def _settled(folder):
        """Whether the server is down, or has other users to stay up for."""
        if locks.is_free(folder / "keeper.lock"):
            return True
        alone = locks.take(folder / "users.lock", wait=False)
        if alone is not None:
            os.close(alone)
        return alone is None and locks.is_free(folder / "door.lock")


def socket_folder(folder):
    """The short private folder for a server's socket; the same one again as long as it exists and is usable."""
    note = folder / "sockets"
    if note.exists():
        kept = Path(note.read_text(encoding="utf-8").strip())
        if kept.is_dir() and not kept.is_symlink() and (os.geteuid() == 0 or kept.stat().st_uid == os.geteuid()):
            return kept
    made = tempfile.mkdtemp(prefix="rebalancer-")
    if len(os.fsencode(made)) > LONGEST_SOCKET_FOLDER:
        os.rmdir(made)
        made = tempfile.mkdtemp(prefix="rebalancer-", dir="/tmp")  # TMPDIR is too long for a socket
    note.write_text(f"{made}\n", encoding="utf-8")
    return Path(made)
