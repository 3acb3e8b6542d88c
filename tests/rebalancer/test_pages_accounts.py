"""Clients / Accounts as people meet it: the list, an account's own page, its lots and transactions."""

import re
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.urls import reverse

from accounts.models import Account, Price, Restriction, Security, Transaction
from rebalancer.filters import AccountsFilters, LotFilters, TransactionFilters
from rebalancer.models import Check
from rebalancer.services import batches, checks
from rebalancer.tables import AccountsTable, LotTable, TransactionTable
from tax.selectors import days_to_long_term
from tests import factories as make
from trading import sessions

from .conftest import as_seen, drifted, pending

pytestmark = pytest.mark.django_db

LIST = "/clients/accounts/"
LIST_QUERIES = 4  # session, person; counts, rows
PAGE_QUERIES = 33
LISTS = {"account_lots": (LotTable, LotFilters), "account_transactions": (TransactionTable, TransactionFilters)}


def text(response):
    """What a page says, without its markup."""
    plain = re.sub(r"<[^>]+>", " ", response.content.decode())
    return re.sub(r"\s+", " ", plain.replace("\N{NO-BREAK SPACE}", " "))


def numbers(response):
    return [row.label.split()[0] for row in response.context["table"].drawn]


def page_of(account, name="account"):
    return reverse(f"rebalancer:{name}", args=[account.pk])


def delivered():
    """Every account has had its delivery, and is looked at."""
    Account.objects.update(delivered_for=sessions.last_completed_session())
    checks.analyse()


def lines(response):
    """{symbol, with its sleeve where that is not managed: line} of the page's positions."""
    found = response.context["holdings"].lines
    return {line.symbol if line.sleeve == "managed" else f"{line.sleeve} {line.symbol}": line for line in found}


@pytest.fixture
def book(balanced, ann):
    """Ann: A1 of the Alder family, A2 inside of its bands. Nobody: A3, off. Closed: Z9 of Ann."""
    drifted(balanced, "A1", advisor=ann, name="Alder Trust", household=make.household("Alder"))
    fine = make.account("A2", name="Berg IRA", portfolio=balanced, cash=Decimal(2000), advisor=ann)
    make.lot(fine, "VTI", 600, cost=50000)
    make.lot(fine, "AGG", 760, cost=38000)
    drifted(balanced, "A3", name="Cole Joint", rebalancing_on=False)
    make.account("Z9", name="Zeller Estate", advisor=ann, is_open=False, rebalancing_on=False)
    delivered()
    return Account.objects.get(number="A1")


class TestTheList:
    def test_operations_see_every_open_account(self, olive, book):
        assert numbers(olive.get(LIST)) == ["A1", "A2", "A3"]

    def test_an_advisor_sees_their_own(self, anns, book):
        assert numbers(anns.get(LIST)) == ["A1", "A2"]

    def test_closed_accounts_are_listed_when_asked_for(self, anns, book):
        assert numbers(anns.get(f"{LIST}?f=state:any:closed")) == ["Z9"]
        assert numbers(anns.get(f"{LIST}?f=state:any:open|closed")) == ["A1", "A2", "Z9"]

    @pytest.mark.parametrize(
        ("address", "found"),
        [
            ("?q=A3", ["A3"]),
            ("?q=berg", ["A2"]),
            ("?q=alder", ["A1"]),
            ("?q=joint+cole", ["A3"]),
            ("?f=household:any:Alder", ["A1"]),
            ("?f=status:any:8", ["A2"]),
            ("?f=status:any:7", ["A1", "A3"]),
            ("?f=rebalancing:any:no", ["A3"]),
            ("?f=market_value:gte:100,000", ["A1", "A2", "A3"]),
            ("?f=why:is:Every component is inside its threshold", ["A2"]),
            ("?sort=-number", ["A3", "A2", "A1"]),
            ("?sort=status", ["A1", "A3", "A2"]),
        ],
    )
    def test_search_filters_and_sorting(self, olive, book, address, found):
        assert numbers(olive.get(LIST + address)) == found

    def test_the_household_is_searched_by_its_name_alone(self, olive, book):
        Account.objects.filter(number="A2").update(household=make.household("Okafor"))
        assert numbers(olive.get(f"{LIST}?q=okafor")) == ["A2"]

    @pytest.mark.parametrize(
        "address", ["?f=status:any:9", "?f=state:any:ajar", "?f=market_value:gte:5k", "?tile=high_cash"]
    )
    def test_what_is_not_understood_shows_no_rows(self, olive, book, address):
        page = olive.get(LIST + address)
        assert numbers(page) == []
        assert "No rows are shown" in text(page)

    def test_every_column_can_be_shown_filtered_sorted_and_exported(self, olive, book):
        names = list(AccountsTable.base_columns)
        assert set(names) <= set(AccountsFilters.base_filters)
        olive.post(LIST, {"do": "layout", "columns": names})
        assert len(olive.get(LIST).context["headers"]) == len(names)
        rows = b"".join(olive.get(f"{LIST}?f=&export=csv").streaming_content).decode().splitlines()
        assert len(rows) == 4
        assert "Out of Tolerance" in rows[1]
        for name in filter(AccountsTable.can_sort, names):
            assert len(numbers(olive.get(f"{LIST}?sort=-{name}"))) == 3, name

    def test_an_account_never_checked_is_listed_all_the_same(self, olive, book):
        Check.objects.all().delete()
        assert numbers(olive.get(LIST)) == ["A1", "A2", "A3"]

    def test_an_empty_list_says_what_to_do(self, olive, anns):
        assert "No account is yours yet." in text(anns.get(LIST))

    @pytest.mark.parametrize(
        "address", ["?f=", "?q=a", "?f=household:any:Alder&sort=-market_value", "?f=state:any:closed"]
    )
    @pytest.mark.parametrize("more", [0, 30])
    def test_its_cost(self, anns, balanced, ann, book, more, address, django_assert_num_queries):
        Account.objects.bulk_create(
            Account(number=f"B{n:03d}", name=f"Bulk {n}", custodian=book.custodian, advisor=ann) for n in range(more)
        )
        anns.get(LIST + address)
        with django_assert_num_queries(LIST_QUERIES):
            assert anns.get(LIST + address).status_code == 200


class TestThePage:
    def test_facts_and_status(self, olive, book):
        shown = text(olive.get(page_of(book)))
        for words in (
            "A1 · Alder Trust", "Taxable", "Out of Tolerance", "VTI 3 % above its 72 % ceiling", "100,000.00",
            "5.00 %, target 2.00 %", "Alder", "Balanced", "Custodian", "The firm's", "15,000.00", "(2,000.00)",
        ):  # fmt: skip
            assert words in shown, words

    def test_positions_are_weighed_sleeve_by_sleeve(self, olive, ann):
        make.price("VTI", 100)
        make.price("AGG", 50)
        make.security("SPAXX", kind=Security.Kind.SWEEP)
        make.price("SPAXX", 1)
        income = make.model("Income", VTI=50, AGG=50)
        mixed = make.portfolio("Mixed", [make.component("VTI", 58), make.component(income, 40)])
        account = make.account("M1", portfolio=mixed, cash=Decimal(1000), set_aside_cash=Decimal(500))
        make.lot(account, "VTI", 590, cost=50000)
        make.lot(account, "AGG", 180, cost=None, sleeve_of=income)
        make.lot(account, "VTI", 300, cost=20000, sleeve_of=income)
        make.lot(account, "VTI", 10, cost=900, sleeve_of="protected")
        make.lot(account, "SPAXX", 1500, cost=1500)
        page = olive.get(page_of(account))
        holdings = page.context["holdings"]
        assert [part.name for part in holdings.parts] == ["Managed", "Model · Income", "Protected"]
        sums = [(part.value, part.weight, part.target) for part in holdings.parts]
        assert sums == [(59000, 59, 58), (39000, 39, 40), (1000, None, None)]
        assert (holdings.market_value, holdings.managed_value) == (Decimal("101500.00"), Decimal("100000.00"))
        assert holdings.cash == Decimal("2500.00")
        assert holdings.cash_on_scale.weight == Decimal(2)
        found = lines(page)
        assert (found["VTI"].on_scale.weight, found["VTI"].on_scale.flag) == (Decimal(59), "")
        bonds = found["model:Income AGG"]
        assert (bonds.on_scale.weight, bonds.on_scale.target, bonds.on_scale.flag) == (9, 20, "triggers")
        assert bonds.why == "outside threshold 16.00–24.00\N{NO-BREAK SPACE}%: 9.00\N{NO-BREAK SPACE}%"
        assert bonds.gains.both.total is None
        assert found["protected VTI"].on_scale is None
        assert found["SPAXX"].why == "counts as cash"
        assert holdings.furthest == "AGG"
        assert "2 lots" not in text(page)
        assert "1 lot of unknown cost or price not counted" in text(page)

    def test_the_pictures_share_one_scale_and_have_words(self, olive, book):
        page = olive.get(page_of(book))
        assert page.context["holdings"].reach == Decimal(20)
        titles = re.findall(r'<svg class="drift".*?<title>(.*?)</title>', page.content.decode())
        assert [title.split()[0] for title in titles] == ["VTI", "AGG", "Cash"]

    def test_what_a_restriction_holds_back_says_so(self, olive, book):
        make.restriction(book, "VTI", Restriction.Kind.NO_SELL, end=date(2099, 1, 31))
        make.restriction(book, "AGG", Restriction.Kind.NO_BUY, end=date(2021, 1, 31))
        page = olive.get(page_of(book))
        found = lines(page)
        assert found["VTI"].on_scale.flag == "kept"
        assert found["VTI"].why.endswith("no sell until 2099-01-31")
        assert found["AGG"].on_scale.flag == "triggers"
        assert [row.state for row in page.context["restrictions"]] == ["ended", "in force"]

    def test_a_substitute_and_what_it_replaces_say_so(self, olive, book):
        make.price("IVV", 500)
        make.restriction(book, "VTI", Restriction.Kind.SUBSTITUTE, substitute="IVV", end=date(2099, 1, 31))
        found = lines(olive.get(page_of(book)))
        assert found["VTI"].why == "no target; replaced by IVV until 2099-01-31"
        assert found["IVV"].why.endswith("; substitute for VTI")

    def test_a_holding_without_target_says_so(self, olive, book):
        make.price("GE", 10)
        make.lot(book, "GE", 100, cost=500)
        line = lines(olive.get(page_of(book)))["GE"]
        assert (line.why, line.on_scale.flag, line.on_scale.target) == ("no target", "triggers", 0)

    def test_a_price_that_is_missing_leaves_what_is_known(self, olive, book):
        make.lot(book, "GONE", 100, cost=500)
        page = olive.get(page_of(book))
        assert "Not weighed: no price for GONE" in text(page)
        assert page.context["holdings"].market_value is None
        assert lines(page)["VTI"].value == Decimal("75000.00")
        assert lines(page)["GONE"].value is None

    def test_a_questioned_price_is_not_used_and_an_old_one_is(self, olive, book):
        Price.objects.update(as_of="2020-01-02T16:00:00Z")
        assert lines(olive.get(page_of(book)))["VTI"].on_scale.weight == 75
        make.price("VTI", 1000, state=Price.State.QUESTIONED)
        page = olive.get(page_of(book))
        assert "Not weighed: no price for VTI until somebody confirms" in text(page)
        assert lines(page)["VTI"].value == Decimal("75000.00")

    def test_nothing_held_and_less_than_nothing(self, olive, balanced):
        empty = make.account("E1", cash=Decimal("-25.50"))
        shown = text(olive.get(page_of(empty)))
        assert "(25.50)" in shown
        assert "there is nothing to weigh" in shown
        assert "No securities are held, and none are wanted." in shown

    def test_a_closed_account_is_shown_and_nothing_of_it_changed(self, olive, book):
        closed = Account.objects.get(number="Z9")
        page = olive.get(page_of(closed))
        assert "A closed account is not checked and not rebalanced." in text(page)
        assert page.context["why_not_rebalance"] == page.context["why_not_switch"] == "The account is closed."

    def test_requests_and_orders(self, olive, desk, ann, book):
        batch = pending(desk, book)
        page = olive.get(page_of(book))
        assert f"Request {batch.pk}" in text(page)
        assert page.context["why_not_rebalance"] == f"It is in request {batch.pk} already."
        batches.approve(batch, by=desk, **as_seen(batch))
        batches.finish_approval(batch.pk)
        page = olive.get(page_of(book))
        assert {(one.order.side, one.order.security.symbol) for one in page.context["orders"]} == {
            ("sell", "VTI"), ("buy", "AGG"),
        }  # fmt: skip
        assert page.context["why_not_rebalance"] == "It has an open order."
        assert page.context["holdings"].available < page.context["holdings"].cash

    def test_the_status_leads_to_what_the_center_says_of_it(self, olive, book, balanced):
        def leads_to():
            checks.analyse()
            return olive.get(page_of(book)).context["behind"]

        assert leads_to() is None
        Account.objects.filter(pk=book.pk).update(portfolio=None)
        assert leads_to().href == "/trading/rebalance/liquidation/"
        Account.objects.filter(pk=book.pk).update(portfolio=balanced, last_rebalanced=date(2026, 1, 5))
        make.restriction(book, "VTI", Restriction.Kind.NO_SELL)
        assert leads_to().href == reverse("rebalancer:center_account", args=[book.pk])

    def test_the_status_is_asked_for_until_it_has_been_checked_again(self, olive, book):
        assert "hx-get" not in olive.get(page_of(book, "account_status")).content.decode()
        Account.objects.filter(pk=book.pk).want_check()
        answer = olive.get(page_of(book, "account_status"))
        assert "it is being checked again" in text(answer)
        assert "hx-get" in answer.content.decode()

    @pytest.mark.parametrize("holdings", [1, 40])
    def test_its_cost_does_not_depend_on_what_is_held(self, olive, book, holdings, django_assert_max_num_queries):
        for number in range(holdings):
            make.price(f"H{number}", 10)
            make.lot(book, f"H{number}", 5, cost=40)
        olive.get(page_of(book))
        with django_assert_max_num_queries(PAGE_QUERIES):
            assert len(olive.get(page_of(book)).context["holdings"].lines) == holdings + 2


class TestItsLists:
    @pytest.fixture
    def money(self, book):
        kinds = [("deposit", "5000"), ("fee", "-12.50"), ("buy", "-300")]
        for number, (kind, amount) in enumerate(kinds):
            Transaction.objects.create(
                account=book, date=date(2026, 11, 1 + number), kind=kind, amount=Decimal(amount),
                external_id=f"T{number}", security=make.security("VTI") if kind == "buy" else None,
            )  # fmt: skip
        return book

    def test_lots_with_term_and_days_to_long_term(self, olive, balanced):
        today = sessions.today()
        account = make.account("L1", portfolio=balanced)
        bought = today - timedelta(days=100)
        make.lot(account, "VTI", 10, cost=900, acquired=date(2020, 1, 2), lot_id="old")
        make.lot(account, "VTI", 10, cost=1100, acquired=bought, lot_id="new")
        make.lot(account, "VTI", "2.5", cost=None, acquired=today, lot_id="unknown")
        olive.post(page_of(account, "account_lots"), {"do": "layout", "columns": list(LotTable.base_columns)})
        left = days_to_long_term(bought, today)
        assert 260 < left < 270
        rows = b"".join(olive.get(page_of(account, "account_lots") + "?f=&export=csv").streaming_content)
        by_lot = {row.split(",")[3]: row.split(",")[4:] for row in rows.decode().splitlines()}
        old = ["2020-01-02", "10.000000", "100.000000", "1000.00", "900.00", "100.00", "Long", "0", ""]
        assert by_lot["old"] == old
        assert by_lot["new"][5:] == ["-100.00", "\"Short", f" long in {left} days\"", str(left), ""]
        assert by_lot["unknown"][3:6] == ["250.00", "", ""]

    def test_an_unknown_cost_is_a_dash(self, olive, balanced):
        account = make.account("L1", portfolio=balanced)
        make.lot(account, "VTI", 1, cost=None)
        row = olive.get(page_of(account, "account_lots")).context["table"].drawn[0]
        assert [cell for _, cell in row.cells[8:10]] == ["—", "—"]

    @pytest.mark.parametrize(
        ("address", "found"),
        [
            ("?f=term:any:yes", 2), ("?f=term:any:no", 0), ("?f=gain:lte:0", 1), ("?f=symbol:any:VTI", 1),
            ("?f=symbol:any:VTI&f=sleeve:any:managed", 1), ("?f=sleeve:any:protected", 0), ("?q=agg", 1),
        ],
    )  # fmt: skip
    def test_lots_are_filtered(self, olive, book, address, found):
        assert len(olive.get(page_of(book, "account_lots") + address).context["table"].drawn) == found

    def test_the_link_of_a_position_leads_to_its_lots(self, olive, balanced):
        model = make.model("R&D | 100%", VTI=100)
        account = make.account("L1", portfolio=make.portfolio("Odd", [make.component(model, 98)]))
        make.lot(account, "VTI", 1, cost=5, sleeve_of=model)
        make.lot(account, "VTI", 2, cost=5)
        page = olive.get(page_of(account)).content.decode()
        links = re.findall(r'href="([^"]*/lots/\?[^"]*)"', page)
        assert [len(olive.get(link.replace("&amp;", "&")).context["table"].drawn) for link in links] == [1, 1]

    def test_transactions_newest_first(self, olive, money):
        drawn = olive.get(page_of(money, "account_transactions")).context["table"].drawn
        assert [row.label for row in drawn] == ["2026-11-03 Buy", "2026-11-02 Fee", "2026-11-01 Deposit"]
        only = olive.get(page_of(money, "account_transactions") + "?f=kind:any:fee").context["table"].drawn
        assert [row.label for row in only] == ["2026-11-02 Fee"]
        assert "(12.50)" in text(olive.get(page_of(money)))

    @pytest.mark.parametrize("name", LISTS)
    def test_every_column_can_be_shown_filtered_and_sorted(self, olive, money, name):
        table, filters = LISTS[name]
        names = list(table.base_columns)
        assert set(names) - set(filters.base_filters) <= {"days"}
        olive.post(page_of(money, name), {"do": "layout", "columns": names})
        rows = len(olive.get(page_of(money, name)).context["table"].drawn)
        for column in filter(table.can_sort, names):
            assert len(olive.get(f"{page_of(money, name)}?sort=-{column}").context["table"].drawn) == rows, column

    def test_each_account_has_filters_of_its_own(self, olive, book):
        other = Account.objects.get(number="A2")
        olive.get(page_of(book, "account_lots") + "?f=symbol:any:VTI")
        assert olive.get(page_of(book, "account_lots")).status_code == 302
        assert olive.get(page_of(other, "account_lots")).status_code == 200
