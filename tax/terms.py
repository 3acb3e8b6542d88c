"""The holding period: when a sale is long-term. Pure numpy on days since 1970-01-01.

Source: the period begins on the day after acquisition and includes the day of sale; a capital asset is held long-term
when it is held for more than one year (26 U.S.C. 1222; IRS Publication 550, "Holding Period"; Rev. Rul. 66-7 counts by
months of the calendar: from the day after acquisition, that day of each following month begins a new month).
"""

import numpy as np

MONTHS_IN_A_YEAR = 12
LONGEST_WAIT = 368  # days from acquisition until every lot is long-term, and one to spare


def first_long_term_day(acquired):
    """First trade date on which a sale is long-term.

    `acquired`: int array of days since 1970-01-01; returns int32 days. It is one year after the day following
    acquisition; where that day is 29 February, one year after it is 1 March.
    """
    after = (np.asarray(acquired, dtype=np.int64) + 1).astype("datetime64[D]")
    month = after.astype("datetime64[M]")
    day_of_month = after - month.astype("datetime64[D]")
    return ((month + MONTHS_IN_A_YEAR).astype("datetime64[D]") + day_of_month).astype(np.int64).astype(np.int32)


def latest_long_term(trade_day):
    """The last day of acquisition whose lots are long-term when sold on `trade_day` (int days).

    The first long-term day never falls when the day of acquisition rises, so this one day parts all lots; it is sought
    among the days about a year before.
    """
    days = np.arange(trade_day - LONGEST_WAIT, trade_day)
    return days[first_long_term_day(days) <= trade_day][-1]


def is_long_term(acquired, trade_day):
    """Whether lots acquired on these days are long-term when sold on `trade_day` (int days). Returns a bool array."""
    return acquired <= latest_long_term(trade_day)
