"""How long `./run` takes until its page is up: from a bare clone, and again."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .report import Figure

ROOT = Path(__file__).resolve().parents[2]
UP = re.compile(r"\(up in (\d+) s\)")
PORT = "8400"


def figures() -> Iterator[Figure]:
    """Start times of a clone of the last commit, as ./run counts them itself plus what it did before."""
    with tempfile.TemporaryDirectory(prefix="start-") as folder:
        os.chmod(folder, 0o755)
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        for name in ("Start from a bare clone to the page", "Second start"):
            yield Figure(name, f"{_start(clone):.0f} s")
        shutil.rmtree(clone)


def _start(clone):
    """Seconds from `./run` to its greeting, which it prints once the page answers."""
    given = {"DATABASE_URL", "REDIS_URL", "REBALANCER_HOME", "PYTHONPATH", "DJANGO_SETTINGS_MODULE"}
    environment = {name: value for name, value in os.environ.items() if name not in given} | {"PORT": PORT}
    started = _now()
    with subprocess.Popen(
        [clone / "run"], cwd=clone, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as firm:
        for line in firm.stdout:
            if UP.search(line):
                seconds = _now() - started
                firm.send_signal(signal.SIGINT)
                firm.stdout.read()
                return seconds
        raise RuntimeError("the firm did not start")


def _now():
    return os.times().elapsed
