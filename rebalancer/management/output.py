"""Standard output as data: what reads it may have had enough, and a disk may be full."""

import os
import sys
from contextlib import contextmanager

from django.core.management.base import CommandError

NOBODY_READS = 141  # as a shell reports a program that SIGPIPE ended


@contextmanager
def printing(out):
    """Print to a command's `stdout` in here; it is flushed at the end.

    Ends the command quietly where nobody reads on (`| head -1`), and with a CommandError where it can't be written.
    """
    try:
        yield
        out.flush()
    except BrokenPipeError:
        _let_go(out)
        raise SystemExit(NOBODY_READS) from None
    except OSError as error:
        _let_go(out)
        raise CommandError(f"The output can't be written: {error.strerror or error}.") from error


def _let_go(out):
    """What is still held back goes nowhere, so that Python's own flush at the end has nothing to complain about."""
    if out._out is sys.stdout:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
