"""Arguments that several commands take."""

import argparse
from datetime import date

from trading.sessions import KNOWN_FROM, KNOWN_TO


def day(text):
    """An ISO date of the command line, in the span that the market's calendar knows."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a date like 2026-01-31") from None
    if not KNOWN_FROM <= found <= KNOWN_TO:
        raise argparse.ArgumentTypeError(f"{text} is not a date from {KNOWN_FROM} to {KNOWN_TO}")
    return found
