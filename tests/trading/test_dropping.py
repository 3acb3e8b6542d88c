"""A file is dropped once and whole, wherever the process dies, and however soon somebody takes it."""

import subprocess
import sys
from pathlib import Path

import pytest

from trading.brokers.dropping import CannotDrop, drop, forget

NAME, TEXT = "RB1-orders.csv", "client_order_id\r\nRB1\r\n"
ROOT = Path(__file__).resolve().parents[2]
# Drops the file, and dies, as by a kill, before its nth touch of the file system.
CHILD = """
import os, sys
sys.path.insert(0, {root!r})
from trading.brokers import dropping
left = {touches}
def watch(event, args):
    global left
    if event in ("open", "os.rename", "os.mkdir", "os.remove") and {folder!r} in str(args[0]):
        left -= 1
        if left < 0:
            os._exit(9)
sys.addaudithook(watch)
dropping.drop({folder!r}, {name!r}, {text!r})
"""


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "out"
    place.mkdir()
    return place


def taken(folder):
    """What the custodian finds and takes away."""
    found = [path.read_bytes() for path in folder.iterdir() if path.is_file()]
    for path in list(folder.iterdir()):
        if path.is_file():
            path.unlink()
    return found


def child(folder, touches):
    """Whether the process came to its end."""
    script = CHILD.format(root=str(ROOT), touches=touches, folder=str(folder), name=NAME, text=TEXT)
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert done.returncode in (0, 9), done.stderr
    return done.returncode == 0


def test_wherever_the_process_is_killed_the_file_is_taken_once(tmp_path):
    """Killed before each touch of the file system in turn, until there is none left to be killed at."""
    for touches in range(50):
        folder = tmp_path / str(touches)
        folder.mkdir()
        survived = child(folder, touches)
        found = taken(folder)
        drop(str(folder), NAME, TEXT)
        found += taken(folder)
        assert found == [TEXT.encode()], f"killed at touch {touches}"
        if survived:
            break
    assert survived
    assert touches >= 5


def test_after_forgetting_nothing_is_left(folder):
    drop(str(folder), NAME, TEXT)
    forget(str(folder), NAME)
    assert not list((folder / ".rebalancer").iterdir())
    assert (folder / NAME).read_bytes() == TEXT.encode()


def test_the_same_file_by_somebody_else_is_left_as_it_is(folder):
    (folder / NAME).write_bytes(TEXT.encode())
    before = (folder / NAME).stat().st_ino
    drop(str(folder), NAME, TEXT)
    assert (folder / NAME).stat().st_ino == before


def test_a_folder_that_is_a_file(tmp_path):
    place = tmp_path / "file"
    place.touch()
    with pytest.raises(CannotDrop, match="Not a directory"):
        drop(str(place), NAME, TEXT)


def test_forgetting_in_a_folder_that_is_gone_does_no_harm(tmp_path):
    forget(str(tmp_path / "gone"), NAME)
