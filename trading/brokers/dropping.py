"""A file put into a folder from which somebody else takes it: whole or not at all, once, and nothing overwritten.

Whoever watches the folder may take the file the moment it is there, so that afterwards its absence proves nothing. In
the folder `.rebalancer` beside it a crash therefore leaves behind how far it came: `NAME.part` is the file before it is
moved to its place, `NAME.begun` says that the part was complete. Begun and no part: it was moved.
"""

import os
from pathlib import Path

OWN = ".rebalancer"


class CannotDrop(Exception):
    """The text says which folder and why, in words for a person."""


def drop(folder: str, name: str, text: str) -> None:
    """Have a file of that content in the folder, or have had it there; call `forget` once that is noted."""
    try:
        _drop(Path(folder), name, text.encode())
    except OSError as error:
        raise CannotDrop(f"{name} can't be written to the folder {folder}: {error.strerror or error}.") from error


def forget(folder: str, name: str) -> None:
    """The file is noted as dropped: what is left of dropping it can go, and if it can't, it does no harm."""
    try:
        _marker(Path(folder), name, "begun").unlink(missing_ok=True)
    except OSError:
        return


def _drop(folder, name, content):
    (folder / OWN).mkdir(exist_ok=True)
    part, begun = _marker(folder, name, "part"), _marker(folder, name, "begun")
    if not begun.exists():
        _write(part, content)
        _write(begun, b"")
    if part.exists():
        _move(part, folder / name, content)


def _move(part, place, content):
    if not place.exists():
        part.rename(place)
        _keep(place.parent)
    elif place.read_bytes() == content:
        part.unlink()
    else:
        raise CannotDrop(f"{place} is there already with something else in it; nothing is overwritten.")


def _marker(folder, name, kind):
    return folder / OWN / f"{name}.{kind}"


def _write(path, content):
    """On the disk, with its name, before anything is built on it."""
    with open(path, "wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    _keep(path.parent)


def _keep(folder):
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
