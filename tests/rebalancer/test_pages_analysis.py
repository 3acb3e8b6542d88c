"""The analysis of a request before it is traded: figures added up by hand, what remains outside, and who sees it."""

from decimal import Decimal

import pytest
from django.urls import reverse

from rebalancer.services import batches
from rebalancer.states import BatchState
from tests import factories as make

from .conftest import again, as_seen, drifted, opened, pending

pytestmark = pytest.mark.django_db

PAGES = ("request_analysis", "request_analysis_accounts")
TICKER_QUERIES = 8  # session, person; request, accounts, tickers, trades, what remains, tabs
ACCOUNT_QUERIES = 6  # session, person; request, counts, rows, tabs


def address(name, batch):
    return reverse(f"rebalancer:{name}", args=[batch.pk])


def kept(balanced, number, **fields):
    """An account of $50,000 with 90 % VTI that may not be sold, 8 % AGG and 2 % cash.

    Of its $1,000 cash $200 go into AGG, down to the 1.6 % where the threshold of cash ends: AGG ends at 8.4 %.
    """
    account = make.account(number, portfolio=balanced, cash=Decimal(1000), **fields)
    make.lot(account, "VTI", 450, cost=30000)
    make.lot(account, "AGG", 80, cost=4000)
    make.restriction(account, "VTI", "no_sell")
    return account


def larger(desk, balanced):
    return pending(desk, *(drifted(balanced, f"B{n}") for n in range(6)))


@pytest.fixture
def batch(balanced, ann, desk):
    """Ann's A1, which ends on its target (600 VTI, 760 AGG, $2,000), and A2, which can't; A3 of nobody is as A1."""
    accounts = drifted(balanced, "A1", advisor=ann), kept(balanced, "A2", advisor=ann), drifted(balanced, "A3")
    return pending(desk, *accounts)


def tickers(page):
    found = page.context["found"]
    return {one.symbol: one for one in [*found.tickers, found.cash]}


def drawn(page):
    """{account number: [cells as HTML]} of the list."""
    return {row.label.split()[0]: [str(cell) for _, cell in row.cells] for row in page.context["table"].drawn}


class TestByTicker:
    def test_its_file(self, anns, batch):
        assert 'href="?export=csv"' in anns.get(address("request_analysis", batch)).content.decode()
        file = anns.get(address("request_analysis", batch), {"export": "csv"})
        assert f"request-{batch.pk}-analysis-by-ticker.csv" in file["Content-Disposition"]
        header, *lines = b"".join(file.streaming_content).decode().splitlines()
        assert header == (
            "Security,Name,Before %,Target %,After %,Drift before pp,Threshold lower %,Threshold upper %,"
            "Drift after pp,Bought $,Sold $,Accounts outside before,Accounts outside after"
        )
        assert [line.split(",")[0] for line in lines] == ["VTI", "AGG", "Cash"]
        assert lines[0].endswith("60.000000,70.000000,20.000000,48.000000,72.000000,10.000000,0.00,15000.00,2,1")
        assert lines[2] == "Cash,,4.000000,2.000000,1.866667,2.000000,1.600000,2.400000,-0.133333,,,1,0"

    def test_weights_are_of_all_managed_value(self, anns, batch):
        """A1 of $100,000 has 75 % VTI, 20 % AGG, 5 % cash; A2 of $50,000 has 90 %, 8 %, 2 %."""
        found = tickers(anns.get(address("request_analysis", batch)))
        assert [found[name].before for name in ("VTI", "AGG", "Cash")] == [80, 16, 4]
        assert [found[name].target for name in ("VTI", "AGG", "Cash")] == [60, 38, 2]
        assert found["VTI"].after == 70
        assert (found["VTI"].drift_before, found["VTI"].drift_after) == (20, 10)
        assert [round(found[name].after, 4) for name in ("AGG", "Cash")] == [Decimal("28.1333"), Decimal("1.8667")]

    def test_dollars_at_market_and_accounts_outside(self, anns, batch):
        found = tickers(anns.get(address("request_analysis", batch)))
        assert (found["VTI"].bought, found["VTI"].sold) == (0, 15000)
        assert found["AGG"].sold == 0
        assert {name: (one.outside_before, one.outside_after) for name, one in found.items()} == {
            "VTI": (2, 1), "AGG": (2, 1), "Cash": (1, 0),
        }  # fmt: skip

    def test_what_moves_flat_is_neither_bought_nor_sold(self, olive, desk):
        """Managed holds 80 % instead of 20 %, the model's sleeve 18 % instead of 78 %: 600 flat, nothing at market."""
        make.price("VTI", 100)
        core = make.model("Core", VTI=100)
        sleeves = make.portfolio("Sleeves", [make.component(core, 78)], VTI=20)
        account = make.account("F1", portfolio=sleeves, cash=Decimal(2000))
        make.lot(account, "VTI", 800, cost=40000)
        make.lot(account, "VTI", 180, cost=9000, sleeve_of=core)
        found = tickers(olive.get(address("request_analysis", pending(desk, account))))["VTI"]
        assert (found.bought, found.sold, found.before, found.after) == (0, 0, 98, 98)

    def test_the_tickers_add_up_to_the_request(self, olive, batch):
        page = olive.get(address("request_analysis", batch)).context["found"]
        for side in ("bought", "sold"):
            assert sum(getattr(one, side) for one in page.tickers) == page.overall[side]

    def test_over_all_accounts_for_who_sees_all(self, olive, batch):
        page = olive.get(address("request_analysis", batch))
        overall = page.context["found"].overall
        assert (overall["accounts"], overall["value"]) == (3, 250000)
        assert (overall["outside_before"], overall["outside_after"]) == (3, 1)
        assert tickers(page)["VTI"].before == 78
        assert tickers(page)["VTI"].sold == 30000
        assert overall["sold"] == 30000

    def test_what_remains_leads_to_the_accounts(self, olive, batch):
        page = olive.get(address("request_analysis", batch))
        found = {one.symbol: (one, href) for one, href in page.context["remains"]}
        assert set(found) == {"VTI", "AGG"}
        one, href = found["VTI"]
        assert (one.why, one.accounts, one.furthest) == ("no sell", 1, 30)
        assert list(drawn(olive.get(href))) == ["A2"]
        assert found["AGG"][0].why == "not enough cash"

    def test_pictures_have_one_scale_and_words(self, olive, batch):
        page = olive.get(address("request_analysis", batch))
        html = page.content.decode()
        assert "<title>VTI 78.00\N{NO-BREAK SPACE}%, target 60.00\N{NO-BREAK SPACE}%, outside its band" in html
        assert html.count("drift-after") == 3
        assert page.context["reach"] == 25

    def test_queries_do_not_grow(self, olive, batch, balanced, desk, django_assert_num_queries):
        pages = [address("request_analysis", one) for one in (batch, larger(desk, balanced))]
        olive.get(pages[0])
        for page in pages:
            with django_assert_num_queries(TICKER_QUERIES):
                olive.get(page)


class TestByAccount:
    def test_drift_with_its_component_and_why_it_remains(self, anns, batch):
        rows = drawn(anns.get(address("request_analysis_accounts", batch)))
        assert list(rows) == ["A1", "A2"]
        first, second = (" ".join(rows[number]) for number in ("A1", "A2"))
        assert "nothing" in first
        kept = "AGG 8.40 %, threshold 30.40–45.60 %: not enough cash; and 1 more component"
        assert kept in second.replace("\N{NO-BREAK SPACE}", " ")
        assert rows["A1"][6:8] + rows["A2"][6:8] == ["3", "0", "2", "2"]

    def test_filters_sort_and_search(self, olive, batch):
        page = address("request_analysis_accounts", batch)
        assert list(drawn(olive.get(page, {"f": "outside_after:gte:1"}))) == ["A2"]
        assert list(drawn(olive.get(page, {"f": "remains:any:AGG:46"}))) == []
        assert list(drawn(olive.get(page, {"f": "", "sort": "-outside_before"})))[-1] == "A2"
        refused = olive.get(page, {"f": "remains:any:VTI:never"})
        assert "there is no choice “VTI:never”" in refused.content.decode()
        assert drawn(refused) == {}

    def test_the_filter_offers_what_remains(self, olive, batch):
        page = olive.get(address("request_analysis_accounts", batch), {"f": "", "add": "remains"})
        offered = dict(page.context["adding_choices"])
        assert offered["VTI:2"] == "VTI, no sell"
        assert "Cash:above" in offered

    def test_a_file_has_the_words(self, olive, batch):
        file = olive.get(address("request_analysis_accounts", batch), {"f": "", "export": "csv"})
        assert f"request-{batch.pk}-analysis.csv" in file.headers["Content-Disposition"]
        text = b"".join(file.streaming_content).decode() if file.streaming else file.content.decode()
        assert "not enough cash; and 1 more component" in text

    def test_a_file_says_whose_drift_it_is_and_has_no_empty_column(self, olive, batch):
        file = olive.get(address("request_analysis_accounts", batch), {"f": "", "export": "csv"})
        header, first, *_ = b"".join(file.streaming_content).decode().splitlines()
        assert "Managed value $,Furthest before,Drift before,Furthest after,Drift after,Outside before" in header
        assert "Before and after" not in header
        assert first.startswith("A1,Account A1,100000.00,Cash,3.000000,Cash,0.000000,3,0,")

    def test_queries_do_not_grow(self, olive, batch, balanced, desk, django_assert_num_queries):
        pages = [address("request_analysis_accounts", one) + "?f=" for one in (batch, larger(desk, balanced))]
        for page in pages:
            olive.get(page)
        for page in pages:
            with django_assert_num_queries(ACCOUNT_QUERIES):
                olive.get(page)


class TestCash:
    def test_cash_that_stays_above_its_band_says_so(self, olive, balanced, desk):
        """Nothing may be bought: of $10,000 all stays cash, 98 pp above its target."""
        account = make.account("C1", portfolio=balanced, cash=Decimal(10000))
        for symbol in ("VTI", "AGG"):
            make.restriction(account, symbol, "do_not_trade")
        batch = pending(desk, account)
        page = olive.get(address("request_analysis", batch))
        assert (tickers(page)["Cash"].before, tickers(page)["Cash"].after) == (100, 100)
        (one, href), *_ = [pair for pair in page.context["remains"] if pair[0].symbol == "Cash"]
        assert (one.key, one.accounts) == ("Cash:above", 1)
        assert list(drawn(olive.get(href))) == ["C1"]


class TestNearestStep:
    def test_what_stands_at_the_step_nearest_its_target_is_named_but_not_outside(self, olive, balanced, desk):
        """Of $240 one share of VTI is 41.67 %, two were 83.33 %: neither is in 48–72 %, and one is nearer to 60 %."""
        account = make.account("N1", portfolio=balanced, cash=Decimal(40))
        make.lot(account, "VTI", 1, cost=90)
        make.lot(account, "AGG", 2, cost=90)
        page = olive.get(address("request_analysis", pending(desk, account)))
        assert (tickers(page)["VTI"].outside_before, tickers(page)["VTI"].outside_after) == (0, 0)
        assert [(one.symbol, one.counts, bool(href)) for one, href in page.context["remains"]] == [
            ("Cash", True, True), ("VTI", False, False),
        ]  # fmt: skip
        assert "at the step nearest its target; not counted as outside" in page.content.decode()


class TestWhenAndWho:
    def test_a_stranger_finds_nothing(self, client, batch):
        client.force_login(make.advisor("stranger"))
        for name in PAGES:
            assert client.get(address(name, batch)).status_code == 404

    def test_nobody_without_signing_in(self, client, batch):
        for name in PAGES:
            assert client.get(address(name, batch)).headers["Location"].startswith("/login/")

    def test_while_it_is_proposed_there_is_a_way_back(self, olive, balanced, desk):
        batch = opened(desk, drifted(balanced, "A1")).batch
        for name in PAGES:
            page = olive.get(address(name, batch))
            assert "is being proposed" in page.content.decode()
            assert address("request", batch) in page.content.decode()
        assert all(olive.get(address(name, batch), {"f": "", "export": "csv"}).status_code == 409 for name in PAGES)

    def test_an_ended_request_shows_what_was_seen(self, olive, batch, desk):
        seen = tickers(olive.get(address("request_analysis", batch)))
        batches.cancel(batch, by=desk)
        assert again(batch).state == BatchState.CANCELLED
        make.price("VTI", 200)
        assert tickers(olive.get(address("request_analysis", batch))) == seen

    def test_removed_accounts_are_out_of_it(self, olive, batch, desk):
        batches.remove(batch, by=desk, entries=batch.entries.filter(account_number="A2"), shown=1)
        assert as_seen(batch)["accounts"] == 2
        page = olive.get(address("request_analysis", batch))
        assert page.context["found"].overall["accounts"] == 2
        assert "Nothing remains outside its threshold." in page.content.decode()

    def test_a_request_without_figures_says_so(self, olive, balanced, desk):
        account = make.account("Z1", portfolio=balanced, cash=Decimal(0))
        batch = pending(desk, account)
        for name in PAGES:
            assert "has figures to analyse" in olive.get(address(name, batch)).content.decode()

    def test_the_request_leads_to_it(self, olive, batch):
        assert address("request_analysis", batch) in olive.get(address("request", batch)).content.decode()
