"""What the launcher tells people. It talks on standard error: standard output belongs to the command that is run."""

import sys


class Problem(Exception):
    """Something a person can mend; the message says what and how."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def tail(path, lines=15):
    """The last lines of a log, indented, for an error message; empty when there is none."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join("    " + line for line in text.splitlines()[-lines:])
