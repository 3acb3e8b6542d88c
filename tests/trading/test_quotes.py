"""Asking the feed: for what, how often, what is kept of its answer, and what is said when there is none."""

import sys
import threading
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.utils import timezone

from accounts.models import Account, AuditLine, Price, RunRecord, Security
from accounts.selectors import last_prices, newest_prices
from accounts.services import prices
from rebalancer.services import analysing
from tests import factories as make
from trading import tasks
from trading.feeds.base import FeedDown, Quote
from trading.models import Feed, MarketDay, MarketSettings, Order, Ticket
from trading.services import quotes
from trading.states import OrderState

NOON = datetime(2026, 11, 20, 17, tzinfo=UTC)  # a Friday


class Told:
    """A feed that answers what a test says, and notes what it was asked."""

    answer, asked = {}, []

    def quotes(self, symbols):
        type(self).asked.append(list(symbols))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer() if callable(self.answer) else self.answer


@pytest.fixture
def told(monkeypatch):
    """Tell the feed Yahoo what to answer: prices by symbol (as of a moment), an exception, or a function."""

    class Mine(Told):
        asked = []

    monkeypatch.setattr(sys.modules[__name__], "Told", Mine)
    monkeypatch.setattr(django_settings, "FEEDS", django_settings.FEEDS | {"yahoo": f"{__name__}.Told"})

    def tell(answer=None, as_of=NOON, **rows):
        rows = {symbol: Quote(Decimal(str(price)), as_of) for symbol, price in rows.items()}
        Mine.answer = staticmethod(answer) if callable(answer) else (answer or rows)
        return Mine.asked

    return tell


@pytest.fixture
def market(db):
    """Yahoo is the feed."""
    MarketSettings.objects.update(feed=Feed.YAHOO)
    return MarketSettings.objects


@pytest.fixture
def held(db):
    """VTI and AGG are held."""
    account = make.account()
    make.lot(account, "VTI", 10)
    make.lot(account, "AGG", 10)


def day_of(now, *, is_open):
    hour = timedelta(hours=1)
    times = (now - hour, now + hour) if is_open else (now + hour, now + 2 * hour)
    for shift in range(-2, 3):
        day = now.date() + timedelta(days=shift)
        hours = dict(zip(("opens_at", "closes_at"), times, strict=True)) if not shift else {}
        MarketDay.objects.update_or_create(day=day, defaults={"calendar": "XNYS", **hours})


class TestWanted:
    def test_what_is_held_wanted_or_in_an_order_and_no_sweep(self, db):
        account = make.account("A")
        make.lot(account, "HELD", 1)
        make.lot(account, make.security("CASHX", kind=Security.Kind.SWEEP), 1)
        make.lot(make.account("B", is_open=False), "CLOSED", 1)
        make.portfolio("P", [make.component(make.model("M", MODEL=100), 50), make.component("DIRECT", 40)])
        make.restriction(account, "HELD", "substitute", "INSTEAD")
        make.security("NOBODYS")
        ticket = Ticket.objects.create(trade_date=NOON.date())
        for symbol, state in (("ORDERED", OrderState.WORKING), ("DONE", OrderState.FILLED)):
            Order.objects.create(
                ticket=ticket, security=make.security(symbol), side="buy", quantity=1, price=1, state=state
            )
        found = quotes.wanted_securities().values_list("symbol", flat=True)
        assert list(found) == ["DIRECT", "HELD", "INSTEAD", "MODEL", "ORDERED"]

    def test_the_feed_is_asked_for_them_at_once(self, market, held, told):
        asked = told(VTI=301)
        assert quotes.refresh(NOON) == quotes.Counts(asked=2, missing=1, stored=1, questioned=0)
        assert asked == [["AGG", "VTI"]]

    def test_nobody_is_asked_for_nothing(self, market, told):
        asked = told(FeedDown("down"))
        assert quotes.refresh(NOON) == quotes.Counts()
        assert asked == []


class TestKept:
    def test_a_quote_is_kept_with_its_time_and_source_once(self, market, held, told):
        told(VTI=301.07, as_of=NOON - timedelta(hours=3))
        quotes.refresh(NOON)
        assert quotes.refresh(NOON).stored == 0
        row = Price.objects.get()
        assert (row.price, row.as_of, row.source) == (Decimal("301.07"), NOON - timedelta(hours=3), "yahoo")

    def test_simulated_prices_are_called_simulated(self, db, held):
        make.price("VTI", 100, NOON, source="simulated")
        quotes.refresh()
        newest = newest_prices()[Security.objects.get(symbol="VTI").pk]
        assert (newest.source, newest.as_of > NOON) == ("simulated", True)

    @pytest.mark.parametrize("price", [0, -1, 150, 50, 49.99, 1000])
    def test_a_price_that_looks_wrong_waits_once_and_the_last_one_stays(self, market, held, told, price):
        vti = make.security("VTI")
        make.price("VTI", 100, NOON - timedelta(hours=1))
        told(VTI=price)
        assert quotes.refresh(NOON).questioned == 1
        for minutes in (1, 2, 3):
            told(VTI=price, as_of=NOON + timedelta(minutes=minutes))
            assert quotes.refresh(NOON + timedelta(minutes=minutes)).stored == 0
        assert last_prices([vti.pk])[vti.pk].price == 100
        assert newest_prices([vti.pk])[vti.pk].state == "questioned"

    @pytest.mark.parametrize(("price", "questioned"), [(51, 0), (149.99, 0), (190, 1)])
    def test_a_price_nearer_to_the_last_one_is_news(self, market, held, told, price, questioned):
        make.price("VTI", 100, NOON - timedelta(hours=1))
        told(VTI=1000)
        quotes.refresh(NOON)
        told(VTI=price, as_of=NOON + timedelta(minutes=1))
        again = quotes.refresh(NOON + timedelta(minutes=1))
        assert (again.stored, again.questioned) == (1, questioned)

    def test_the_first_price_of_a_security_may_follow_a_zero(self, market, held, told):
        told(VTI=0)
        assert quotes.refresh(NOON).questioned == 1
        told(VTI=100, as_of=NOON + timedelta(minutes=1))
        assert quotes.refresh(NOON) == quotes.Counts(asked=2, missing=1, stored=1, questioned=0)

    def test_what_somebody_confirmed_is_the_measure_from_then_on(self, market, held, told):
        make.price("VTI", 100, NOON - timedelta(hours=1))
        told(VTI=200)
        quotes.refresh(NOON)
        prices.confirm_price(Price.objects.get(state="questioned"), by=make.operations())
        told(VTI=201, as_of=NOON + timedelta(minutes=1))
        assert quotes.refresh(NOON) == quotes.Counts(asked=2, missing=1, stored=1, questioned=0)

    def test_no_check_is_asked_for(self, market, held, told):
        told(VTI=100)
        quotes.refresh(NOON)
        assert not Account.objects.exclude(check_wanted_at=None).exists()

    def test_a_real_answer_ends_the_simulated_prices(self, market, held, told):
        vti = make.security("VTI")
        make.price("VTI", 100, NOON, source="simulated")
        make.price("AGG", 50, NOON, source="simulated")
        make.price("AGG", 49, NOON - timedelta(days=1), source="file")
        told(VTI=99, as_of=NOON - timedelta(hours=20))
        quotes.refresh(NOON)
        assert {price.security.symbol: price.price for price in newest_prices().values()} == {"VTI": 99, "AGG": 49}
        assert newest_prices([vti.pk])[vti.pk].source == "yahoo"
        assert AuditLine.objects.filter(verb="prices.set_aside").count() == 1
        assert Account.objects.exclude(check_wanted_at=None).count() == 1
        quotes.refresh(NOON)
        assert AuditLine.objects.filter(verb="prices.set_aside").count() == 1

    def test_a_feed_that_does_not_answer_ends_nothing(self, market, held, told):
        make.price("VTI", 100, NOON, source="simulated")
        told(FeedDown("It is away."))
        with pytest.raises(FeedDown):
            quotes.refresh(NOON)
        assert Price.objects.get().state == "usable"


class TestTrouble:
    def test_it_is_said_since_when_and_what_and_cleared_when_it_answers(self, market, held, told):
        make.price("VTI", 100, NOON - timedelta(hours=1))
        told(FeedDown("Yahoo Finance did not answer in time."))
        with pytest.raises(FeedDown, match="in time"):
            quotes.refresh(NOON)
        found = MarketSettings.current()
        assert found.feed_trouble == "Since 2026-11-20 12:00:00 ET: Yahoo Finance did not answer in time."
        assert found.quotes_asked_at == NOON
        told(FeedDown("Yahoo Finance answered with error 500."))
        with pytest.raises(FeedDown):
            quotes.refresh(NOON + timedelta(hours=1))
        trouble = MarketSettings.current().feed_trouble
        assert trouble == "Since 2026-11-20 12:00:00 ET: Yahoo Finance answered with error 500."
        assert Price.objects.get().price == 100
        told(VTI=101)
        quotes.refresh(NOON + timedelta(hours=2))
        assert MarketSettings.current().feed_trouble == ""

    def test_a_feed_that_breaks_is_down(self, market, held, told):
        told(ZeroDivisionError("x"))
        with pytest.raises(FeedDown, match="yahoo broke: ZeroDivisionError"):
            quotes.refresh(NOON)
        assert "ZeroDivisionError" in MarketSettings.current().feed_trouble

    def test_long_words_are_cut_to_their_place(self, market, held, told):
        told(FeedDown("x" * 900))
        with pytest.raises(FeedDown):
            quotes.refresh(NOON)
        assert len(MarketSettings.current().feed_trouble) == 300

    def test_every_page_says_so(self, market, held, told, client):
        client.force_login(make.operations())
        make.price("VTI", 100, NOON)
        told(FeedDown("The line is cut."))
        with pytest.raises(FeedDown):
            quotes.refresh(NOON)
        page = client.get("/", follow=True).content.decode()
        assert "There are no new prices. Since 2026-11-20 12:00:00 ET: The line is cut." in page
        told(VTI=101, as_of=timezone.now())
        quotes.refresh(NOON)
        cache.clear()
        page = client.get("/", follow=True).content.decode()
        assert "no new prices" not in page
        assert "0 s old" in page or "1 s old" in page

    def test_the_task_goes_on(self, market, held, told):
        told(FeedDown("The line is cut."))
        tasks.refresh_prices()
        assert "The line is cut." in MarketSettings.current().feed_trouble

    def test_the_command_fails_and_says_why(self, market, held, told, capsys):
        told(FeedDown("The line is cut."))
        with pytest.raises(CommandError, match="The line is cut"):
            call_command("refresh_prices")
        told(VTI=100)
        call_command("refresh_prices")
        assert capsys.readouterr().out.split() == ["asked", "2", "missing", "1", "stored", "1", "questioned", "0"]


class TestPill:
    """What every page says of the prices."""

    def words(self, client):
        cache.clear()
        client.force_login(make.operations())
        page = client.get("/", follow=True).content.decode()
        return page.split('<span class="pill')[1].split("</span>")[0]

    def test_simulated_prices_are_called_so(self, db, client, held):
        make.price("AGG", 100, NOON - timedelta(days=30), source="file")
        make.price("VTI", 100, NOON - timedelta(days=40), source="simulated")
        assert "simulated" not in self.words(client)
        quotes.refresh()
        assert "· simulated" in self.words(client)

    def test_what_is_not_used_is_not_spoken_of(self, db, client):
        make.price("VTI", 100, timezone.now() - timedelta(hours=2), source="yahoo")
        make.price("VTI", 100, timezone.now(), source="simulated", state=Price.State.REJECTED)
        make.price("VTI", 0, timezone.now(), source="yahoo", state=Price.State.QUESTIONED)
        words = self.words(client)
        assert "2 h old" in words
        assert "simulated" not in words


class TestWhen:
    def due(self, after, **market):
        MarketSettings.objects.update(quotes_asked_at=NOON, **market)
        return quotes.refresh_due(NOON + timedelta(seconds=after))

    def test_at_once_where_nobody_has_asked(self, market):
        assert quotes.refresh_due(NOON)

    def test_after_so_many_seconds_while_the_market_is_open(self, market):
        day_of(NOON, is_open=True)
        assert not self.due(59)
        assert self.due(60)
        assert self.due(10, refresh_seconds=10)

    def test_rarely_while_it_is_closed(self, market):
        day_of(NOON, is_open=False)
        assert not self.due(1799)
        assert self.due(1800)
        assert not self.due(1800, refresh_seconds=7200)

    def test_as_usual_where_the_markets_days_are_not_known(self, market):
        assert self.due(60)

    def test_simulated_prices_live_on_when_the_market_is_closed(self, market):
        day_of(NOON, is_open=False)
        assert self.due(60, feed=Feed.SIMULATED)

    def test_a_feed_in_trouble_is_given_a_minute(self, market):
        assert not self.due(59, refresh_seconds=5, feed_trouble="It is away.")
        assert self.due(60, refresh_seconds=5, feed_trouble="It is away.")

    def test_it_is_not_asked_again_so_soon(self, market, held, told):
        asked = told(VTI=100)
        assert quotes.refresh_if_due(NOON) is not None
        assert quotes.refresh_if_due(NOON + timedelta(seconds=59)) is None
        assert quotes.refresh_if_due(NOON + timedelta(seconds=60)) is not None
        assert len(asked) == 2


@pytest.mark.django_db(transaction=True)
class TestAtTheSameTime:
    def test_of_many_workers_one_asks_and_in_no_transaction(self, market, held, told):
        inside = []

        def slow():
            inside.append(connection.in_atomic_block)
            time.sleep(0.3)
            return {"VTI": Quote(Decimal(100), NOON)}

        asked = told(slow)
        start = threading.Barrier(6)

        def work():
            try:
                start.wait()
                quotes.refresh_if_due(NOON)
            finally:
                connections.close_all()

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(asked), inside) == (1, [False])
        assert Price.objects.count() == 1


class TestPrune:
    def rows(self):
        found = Price.objects.order_by("as_of").values_list("as_of", "price")
        return [(f"{as_of:%d %H}", int(price)) for as_of, price in found]

    def test_of_days_gone_by_the_last_quote_stays(self, db):
        for day in (16, 17, 18, 19, 20):
            for hour in (15, 18, 20):
                make.price("VTI", day * 100 + hour, datetime(2026, 11, day, hour, tzinfo=UTC), source="yahoo")
        assert quotes.prune(NOON) == 3  # of the 16th two, but the first of all stays; of the 17th two
        assert self.rows()[:4] == [("16 15", 1615), ("16 20", 1620), ("17 20", 1720), ("18 15", 1815)]
        assert quotes.prune(NOON) == 0

    def test_a_day_is_the_markets(self, db):
        make.price("VTI", 1, datetime(2026, 11, 10, 12, tzinfo=UTC), source="yahoo")
        make.price("VTI", 2, datetime(2026, 11, 16, 22, tzinfo=UTC), source="yahoo")
        make.price("VTI", 3, datetime(2026, 11, 17, 2, tzinfo=UTC), source="yahoo")  # still the 16th in New York
        assert quotes.prune(NOON) == 1
        assert self.rows() == [("10 12", 1), ("17 02", 3)]

    def test_what_people_judged_and_what_no_feed_brought_stays(self, db):
        for hour, state in enumerate(["usable", *Price.State.values, "usable"]):
            make.price("VTI", 100, datetime(2026, 11, 10, 12 + hour, tzinfo=UTC), state=state, source="simulated")
        for hour in range(3):
            make.price("VTI", 100, datetime(2026, 11, 10, 12 + hour, tzinfo=UTC), source="file")
        assert quotes.prune(NOON) == 1
        assert Price.objects.filter(source="file").count() == 3
        kept = Price.objects.filter(source="simulated").order_by("as_of").values_list("state", flat=True)
        assert sorted(kept) == ["confirmed", "questioned", "rejected", "usable", "usable"]


@pytest.mark.django_db
class TestNight:
    def test_prices_come_before_the_analysis(self, market, held, told):
        told(VTI=100, AGG=50, as_of=timezone.now())
        day = date(2026, 11, 20)
        assert analysing.nightly(day) is not None
        record = RunRecord.objects.get(kind="prices")
        assert (record.state, record.business_day, record.scheduled) == ("done", day, True)
        assert record.counts == {"asked": 2, "missing": 0, "stored": 2, "questioned": 0, "pruned": 0}

    def test_a_feed_that_is_down_fails_its_step_and_the_chain_goes_on(self, market, told):
        account = make.account(portfolio=make.portfolio("P", VTI=60))
        make.lot(account, "VTI", 10)
        make.price("VTI", 100, timezone.now() - timedelta(days=30))
        told(FeedDown("The line is cut."))
        counts = analysing.nightly(date(2026, 11, 20))
        assert counts["Unable to Check"] == 1
        states = RunRecord.objects.values_list("kind", "state")
        assert dict(states) == {"analysis": "done", "prices": "failed", "end_of_day": "done"}
        assert RunRecord.objects.get(kind="prices").errors == ["The line is cut."]

    def test_a_worker_does_it_when_asked(self, worker, held):
        make.price("VTI", 100, timezone.now() - timedelta(days=1), source="simulated")
        tasks.refresh_prices.delay()
        deadline = time.monotonic() + 60
        while Price.objects.filter(source="simulated").count() < 2:
            assert time.monotonic() < deadline
            time.sleep(0.1)
