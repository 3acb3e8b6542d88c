"""What order files look like to a custodian: a format by name, and in it versions of a column map.

A file says which version it was written by (`OrderFile.column_map`), so that an old one is always understood. A version
is never changed once files have been sent by it: what a custodian asks for anew becomes the next one.
"""

from . import fidelity, generic
from .base import LOTS, Facts, Format, covers, facts_of, joined

__all__ = ["LOTS", "Facts", "Format", "UnknownFormat", "covers", "facts_of", "joined", "newest", "of"]

FORMATS = {(one.name, one.version): one for one in (fidelity.VERSION_1, generic.VERSION_1)}


class UnknownFormat(Exception):
    """There is no such format, or no such version of it; the text says which there are."""


def of(name: str, version: int) -> Format:
    """That version of a format. Raises UnknownFormat."""
    if (name, version) not in FORMATS:
        known = ", ".join(f"{one} {number}" for one, number in sorted(FORMATS))
        raise UnknownFormat(f"There is no version {version} of the file format {name!r}. There are: {known}.")
    return FORMATS[name, version]


def newest(name: str) -> Format:
    """The version that new files of a format are written by. Raises UnknownFormat."""
    return of(name, max((version for one, version in FORMATS if one == name), default=1))
