"""A home of its own for each test of the launcher, or for those of a module that leave it as it is."""

import contextlib
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.processes import bare_environment, eventually, processes_of


@contextlib.contextmanager
def home_of_its_own():
    """A folder that the database's user can reach too; what is put elsewhere on the home's word goes with it."""
    folder = Path(tempfile.mkdtemp(prefix="rebalancer-home-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    eventually(lambda: not processes_of(folder))
    for note in folder.glob("*/sockets"):  # a killed keeper's
        shutil.rmtree(note.read_text().strip(), ignore_errors=True)
    elsewhere = folder / "postgres" / "elsewhere"
    if elsewhere.exists():
        shutil.rmtree(Path(elsewhere.read_text().strip()).parent)
    shutil.rmtree(folder)


@pytest.fixture
def home():
    with home_of_its_own() as folder:
        yield folder


@pytest.fixture
def environment(home):
    return bare_environment(home)
