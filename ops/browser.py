"""The headless browser of the tests: Debian's, Playwright's own, or one that gets installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from .console import Problem, say

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
DEBIAN = ["chromium-headless-shell", "libatomic1"]  # Playwright's node needs libatomic


def find():
    """The browser's path, or None."""
    for name in NAMES:
        found = shutil.which(name)
        if found:
            return found
    folder = os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache" / "ms-playwright"
    own = sorted(Path(folder).glob("chromium_headless_shell-*/*/*headless*shell"))
    return str(own[-1]) if own else None


def version(path):
    words = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    return words or "unknown version"


def ensure():
    """Find a browser, or install one: as root Debian's, else Playwright's own. Return its path."""
    if find() is None:
        if os.geteuid() == 0 and shutil.which("apt-get"):
            _install_debian()
        else:
            say("Fetching a browser for the tests ...")
            _run([sys.executable, "-m", "playwright", "install", "chromium", "--only-shell"])
    found = find()
    if found is None:
        raise Problem(
            "The tests need a headless browser and none could be installed. "
            "Install Debian's packages chromium-headless-shell and libatomic1, then try again."
        )
    return found


def _install_debian():
    say(f"Installing {' and '.join(DEBIAN)} for the browser tests ...")
    quiet = ["-qq", "-o", "Dpkg::Use-Pty=0"]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "--no-install-recommends", *quiet, *DEBIAN]
    if _run(install, env=environment) != 0:
        _run(["apt-get", "update", *quiet], env=environment)
        _run(install, env=environment)


def _run(command, **options):
    """Run with all output on standard error; return the exit code."""
    return subprocess.run(command, stdout=sys.stderr, check=False, **options).returncode
