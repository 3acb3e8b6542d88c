"""The rebalancer's arithmetic on arrays of many accounts. No Django, no database, no clock."""

from .book import Book, BookError
from .check import CASH, Drift, check, furthest
from .logics import LOGICS
from .propose import Proposal, propose
from .reasons import Reason, in_words

__all__ = [
    "CASH",
    "LOGICS",
    "Book",
    "BookError",
    "Drift",
    "Proposal",
    "Reason",
    "check",
    "furthest",
    "in_words",
    "propose",
]
