"""`./run test`, `./run fuzz` and `./run bench`."""

import os
import subprocess
import sys

from . import browser
from .home import ROOT, Home


def main(arguments):
    """All tests, or those that pytest's arguments select; they start their own servers (tests/plugin_services.py)."""
    browser.ensure()
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *arguments])


def fuzz(arguments):
    """The engine's tests with many more accounts than `./run test` makes up (tests/conftest.py, profile `slow`)."""
    os.environ["HYPOTHESIS_PROFILE"] = "slow"
    main(arguments or ["tests/engine"])


def bench(arguments):
    """tests/benchmarks with the servers of a home up; standard output is the table's."""
    home = Home.from_environment()
    home.use_servers()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        command = [sys.executable, "-m", "tests.benchmarks", *arguments]
        sys.exit(subprocess.run(command, cwd=ROOT, check=False).returncode)
    finally:
        home.leave()
