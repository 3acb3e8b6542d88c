"""The feeds that need nobody else: simulated prices, and a file on the server."""

import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Price
from tests import factories as make
from trading.feeds import feed
from trading.feeds.base import FeedDown
from trading.feeds.file import FileFeed
from trading.feeds.simulated import STEP, Simulated, moved
from trading.models import MarketSettings

NOON = datetime(2026, 11, 20, 17, tzinfo=UTC)
HUNDRED = Decimal(100)


def at(seconds):
    return NOON + timedelta(seconds=seconds)


class TestMovement:
    @given(
        st.decimals("0.01", "100000", places=2), st.integers(0, 2**31), st.text(max_size=8), st.integers(0, 10**9)
    )  # fmt: skip
    def test_never_far_from_its_base(self, base, seed, symbol, seconds):
        price = moved(base, seed, symbol, at(seconds))
        assert abs(price - base) <= base * Decimal("0.015") + Decimal("0.005")
        assert price > 0

    def test_the_same_is_the_same(self):
        assert moved(HUNDRED, 7, "VTI", NOON) == moved(HUNDRED, 7, "VTI", NOON) == Decimal("99.19")

    def test_another_seed_or_symbol_is_another_price(self):
        def day(seed, symbol):
            return [moved(HUNDRED, seed, symbol, at(600 * step)) for step in range(50)]

        assert day(7, "VTI") != day(8, "VTI")
        assert day(7, "VTI") != day(7, "AGG")

    def test_it_lives_and_does_not_jump(self):
        prices = [moved(HUNDRED, 7, "VTI", at(STEP * step)) for step in range(720)]
        steps = [abs(new - old) for old, new in pairwise(prices)]
        assert max(steps) < Decimal("0.1")
        assert sum(step > 0 for step in steps) > 400
        assert moved(HUNDRED, 7, "VTI", at(1)) == moved(HUNDRED, 7, "VTI", at(STEP - 1))

    def test_it_goes_up_and_down_in_a_day(self):
        prices = [moved(HUNDRED, 7, "VTI", at(60 * step)) for step in range(24 * 60)]
        assert min(prices) < Decimal("99.2")
        assert max(prices) > Decimal("100.8")

    @pytest.mark.parametrize("base", ["0.0001", "0.000001", "0.5"])
    def test_a_tiny_price_stays_above_zero(self, base):
        assert moved(Decimal(base), 7, "VTI", NOON) > 0


@pytest.mark.django_db
class TestSimulated:
    def test_what_has_a_price_from_elsewhere_gets_none(self):
        make.price("VTI", 100, at(-7200), source="simulated")
        make.price("VTI", 90, at(-3600))
        assert Simulated().prices(["VTI"], NOON) == {}

    def test_what_was_put_aside_from_elsewhere_does_not_count(self):
        make.price("VTI", 100, at(-7200), source="simulated")
        make.price("VTI", 700, at(-30), state=Price.State.QUESTIONED)
        make.price("VTI", 800, at(-20), state=Price.State.REJECTED)
        assert Simulated().prices(["VTI"], NOON) == {"VTI": moved(HUNDRED, 7, "VTI", NOON)}

    def test_it_moves_around_the_first_that_was_simulated(self):
        make.price("VTI", 100, at(-3600), source="simulated", state=Price.State.REJECTED)
        make.price("VTI", 101, at(-60), source="simulated")
        assert Simulated().prices(["VTI"], NOON) == {"VTI": moved(HUNDRED, 7, "VTI", NOON)}

    def test_what_never_had_a_price_gets_none(self, django_assert_num_queries):
        make.security("NEW")
        make.price("BAD", 0, state=Price.State.QUESTIONED)
        for number in range(5):
            make.price(f"S{number}", 100, source="simulated")
        with django_assert_num_queries(2):
            found = Simulated().prices(["NEW", "BAD", "NOBODY", *(f"S{number}" for number in range(5))], NOON)
        assert set(found) == {f"S{number}" for number in range(5)}

    def test_the_seed_is_the_markets(self):
        make.price("VTI", 100, source="simulated")
        MarketSettings.objects.update(paper_seed=8)
        assert Simulated().prices(["VTI"], NOON) == {"VTI": moved(HUNDRED, 8, "VTI", NOON)}

    def test_a_quote_is_of_now(self):
        make.price("VTI", 100, at(-3600), source="simulated")
        before = datetime.now(UTC)
        assert before <= feed("simulated").quotes(["VTI"])["VTI"].as_of <= datetime.now(UTC)


@pytest.fixture
def prices_csv(tmp_path, db):
    """Write the feed's file, as old as it is said to be."""

    def write(text, age=60, encoding="utf-8"):
        path = tmp_path / "prices.csv"
        path.write_bytes(text.encode(encoding))
        written = datetime.now(UTC).timestamp() - age
        os.utime(path, (written, written))
        MarketSettings.objects.update(feed_file=str(path))
        return path

    return write


class TestFile:
    def test_it_knows_what_stands_in_it(self, prices_csv):
        prices_csv("as_of,symbol,price\n2026-11-19,VTI,301.07\n2026-11-20T15:30:00-05:00,AGG,98.5\n,NOBODYS,-1\n")
        found = feed("file").quotes(["VTI", "AGG", "MISSING"])
        assert {symbol: quote.price for symbol, quote in found.items()} == {
            "VTI": Decimal("301.07"), "AGG": Decimal("98.5"),
        }  # fmt: skip
        assert found["VTI"].as_of == datetime(2026, 11, 19, 21, tzinfo=UTC)  # the session's close
        assert found["AGG"].as_of == datetime(2026, 11, 20, 20, 30, tzinfo=UTC)

    def test_without_a_time_a_price_is_as_old_as_the_file(self, prices_csv):
        path = prices_csv("symbol,price,as_of\nVTI,301.07,\n", age=3600)
        as_of = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        assert FileFeed().quotes(["VTI"])["VTI"].as_of == as_of
        assert datetime.now(UTC) - as_of > timedelta(minutes=59)

    def test_a_file_from_the_future_is_of_now(self, prices_csv):
        prices_csv("symbol,price,as_of\nVTI,301.07,\n", age=-3600)
        assert FileFeed().quotes(["VTI"])["VTI"].as_of <= datetime.now(UTC)

    def test_of_several_rows_the_newest_counts(self, prices_csv):
        prices_csv("symbol,price,as_of\nVTI,2,2026-11-19\nVTI,3,2026-11-20\nVTI,1,2026-11-18\n")
        assert FileFeed().quotes(["VTI"])["VTI"].price == 3

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("symbol,price\nVTI,1\n", r"line 1, as_of: the column is missing"),
            ("symbol,price,as_of\nVTI,1,\nAGG,abc,\n", r'line 3, price: "abc" is not a plain decimal number'),
            ("symbol,price,as_of\nVTI,NaN,\n", r'"NaN" is not a plain decimal'),
            ("symbol,price,as_of\nVTI,1,2099-01-01\n", r"lies in the future"),
            ("symbol,price,as_of\nVTI,1,1950-01-03\n", r"1950-01-03"),
            ("symbol,price,as_of\nVTI,1,\nVTI,2,\n", r"the same symbol, as_of as in line 2"),
            ("symbol,price,as_of\nVTI,1\n", r"has 2 fields"),
            ('symbol,price,as_of\n"VTI', r"is not CSV"),
            ("", r"line 1, symbol: the column is missing"),
            ("symbol,price,as_of\n" + "".join(f"S{at},x,\n" for at in range(9)), r"line 4, price: .*; and 6 more"),
        ],
    )
    def test_a_bad_file_is_not_used_and_says_where_it_is_bad(self, prices_csv, text, words):
        path = prices_csv(text)
        with pytest.raises(FeedDown, match=words) as down:
            FileFeed().quotes(["VTI"])
        assert str(path) in str(down.value)

    def test_a_file_in_another_encoding(self, prices_csv):
        prices_csv("symbol,price,as_of\nVTI,1,\n", encoding="utf-16")
        with pytest.raises(FeedDown, match="is not UTF-8"):
            FileFeed().quotes(["VTI"])

    def test_a_file_that_is_not_there(self, prices_csv):
        path = prices_csv("")
        path.unlink()
        with pytest.raises(FeedDown, match=f"{path} can't be read: No such file"):
            FileFeed().quotes(["VTI"])

    def test_a_folder_is_no_file(self, prices_csv, tmp_path):
        MarketSettings.objects.update(feed_file=str(tmp_path))
        with pytest.raises(FeedDown, match="can't be read: Is a directory"):
            FileFeed().quotes(["VTI"])

    def test_no_file_is_named(self, db):
        with pytest.raises(FeedDown, match="name no file"):
            FileFeed().quotes(["VTI"])
