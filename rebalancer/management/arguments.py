"""Arguments that several commands take."""

import argparse
from datetime import date, timedelta

from trading import sessions
from trading.sessions import KNOWN_FROM, KNOWN_TO

A_WEEK = timedelta(days=7)


def day(text):
    """An ISO date of the command line, in the span that the market's calendar knows."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a date like 2026-01-31") from None
    if not KNOWN_FROM <= found <= KNOWN_TO:
        raise argparse.ArgumentTypeError(f"{text} is not a date from {KNOWN_FROM} to {KNOWN_TO}")
    return found


def business_day(text):
    """A `day` that is not later than today in the market's zone."""
    return _not_after(day(text), sessions.today(), "lies in the future")


def trade_day(text):
    """A `day` that is a week ahead at most: orders may be meant for the next session, and never for a later year."""
    return _not_after(day(text), sessions.today() + A_WEEK, "lies more than a week ahead")


def _not_after(found, last, words):
    if found > last:
        raise argparse.ArgumentTypeError(f"{found} {words}; today is {sessions.today()}")
    return found
