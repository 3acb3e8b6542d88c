"""The holding period: the day after acquisition is its first, the day of sale its last, and years go by the calendar.

Sources: 26 U.S.C. 1222 (long-term: held for more than 1 year); IRS Publications 544 and 550, "Holding Period"; Rev.
Rul. 66-7 and Caspe v. United States, 694 F.2d 1116 (acquired on the last day of a month: long-term from the first day
of a month on); Rev. Rul. 66-97 and 70-598 (trade dates count, not settlement).
"""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tax.terms import first_long_term_day, is_long_term

EPOCH = date(1970, 1, 1)


def days(one):
    return (date.fromisoformat(one) if isinstance(one, str) else one).toordinal() - EPOCH.toordinal()


def long_term(acquired, sold):
    return bool(is_long_term(np.array([days(acquired)], dtype=np.int32), days(sold))[0])


@pytest.mark.parametrize(("acquired", "last_short", "first_long"), [
    ("2023-06-15", "2024-06-15", "2024-06-16"),   # Pub. 544's example
    ("2008-02-05", "2009-02-05", "2009-02-06"),   # Pub. 550's example
    ("2022-01-01", "2023-01-01", "2023-01-02"),   # no leap day between: 366 days
    ("2023-01-01", "2024-01-01", "2024-01-02"),
    ("2024-01-01", "2025-01-01", "2025-01-02"),   # a leap day between: 367 days
    ("2021-12-31", "2022-12-31", "2023-01-01"),   # the end of a year
    ("2023-01-31", "2024-01-31", "2024-02-01"),   # ends of months: from the first of a month on
    ("2023-04-30", "2024-04-30", "2024-05-01"),
    ("2023-11-30", "2024-11-30", "2024-12-01"),
    ("2022-02-28", "2023-02-28", "2023-03-01"),   # February of a common year ...
    ("2015-02-28", "2016-02-29", "2016-03-01"),   # ... and a year later it has a 29th
    ("2020-02-28", "2021-02-28", "2021-03-01"),   # the period begins on the 29th: one year later is 1 March
    ("2020-02-29", "2021-02-28", "2021-03-01"),   # it begins on 1 March
    ("2020-02-27", "2021-02-27", "2021-02-28"),
    ("2019-02-27", "2020-02-27", "2020-02-28"),
    ("2096-02-29", "2097-02-28", "2097-03-01"),
    ("2099-02-28", "2100-02-28", "2100-03-01"),   # 2100 is no leap year
    ("1999-02-28", "2000-02-29", "2000-03-01"),   # 2000 was one
    ("1968-02-29", "1969-02-28", "1969-03-01"),   # before the day from which days are counted
    ("1929-10-24", "1930-10-24", "1930-10-25"),
])  # fmt: skip
def test_long_term_begins(acquired, last_short, first_long):
    assert date.fromisoformat(last_short) + timedelta(days=1) == date.fromisoformat(first_long)
    assert not long_term(acquired, last_short)
    assert long_term(acquired, first_long)


def test_the_day_itself_and_the_day_after_are_short():
    assert not long_term("2024-03-01", "2024-03-01")
    assert not long_term("2024-03-01", "2024-03-02")


def test_many_lots_at_once():
    acquired = np.array([days(one) for one in ("2023-06-14", "2023-06-15", "2023-06-16")], dtype=np.int32)
    assert is_long_term(acquired, days("2024-06-16")).tolist() == [True, True, False]
    assert first_long_term_day(acquired).dtype == np.int32
    assert is_long_term(acquired[:0], days("2024-06-16")).tolist() == []


def a_year_later(one):
    """PRODUCT 5's words: one year after 29 February is 1 March."""
    if (one.month, one.day) == (2, 29):
        return date(one.year + 1, 3, 1)
    return one.replace(year=one.year + 1)


@given(st.dates(date(1900, 1, 1), date(2200, 1, 1)))
def test_one_year_after_the_day_following_acquisition(acquired):
    first = first_long_term_day(np.array([days(acquired)]))[0]
    assert first == days(a_year_later(acquired + timedelta(days=1)))


@given(st.dates(date(1900, 1, 1), date(2200, 1, 1)), st.integers(0, 800))
def test_who_bought_earlier_is_never_short_where_a_later_buyer_is_long(acquired, age):
    sold = acquired + timedelta(days=age)
    assert long_term(acquired - timedelta(days=1), sold) >= long_term(acquired, sold)
    assert long_term(acquired, sold + timedelta(days=1)) >= long_term(acquired, sold)
