"""The Rebalance Center as people meet it: counts, portfolios, accounts, opening a request, liquidating, reasons."""

import re
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db.models import ProtectedError
from django.urls import reverse

from accounts.models import Account, AuditLine, Restriction
from accounts.services.accounts import assign_portfolio, switch_rebalancing
from rebalancer.filters import CenterFilters
from rebalancer.models import Batch, Check, Entry
from rebalancer.services import batches, checks
from rebalancer.states import Logic, Status
from rebalancer.tables import CenterTable
from tests import factories as make
from trading import sessions
from trading.models import Order

from .conftest import chosen, drifted, opened, pending
from .test_checks import flow
from .test_pages_queue import delivered, numbers, pk, text

pytestmark = pytest.mark.django_db

CENTER = "/trading/rebalance/"
LOGGED_IN = 2  # session, person with roles and permissions
OF_THE_FRAME = 5  # kept some seconds: zone, newest price with breaks, work waiting (three)
BEFORE = {"last_rebalanced": date(2026, 1, 5)}


@pytest.fixture
def book(balanced, ann):
    """Ann's: A1, A2 and A3 (off) out of tolerance, F1 far off, D1 with a deposit, L1 to be liquidated, N1 of nothing.
    Nobody's: B1 out of tolerance.
    """
    drifted(balanced, "A1", advisor=ann, name="Alder Trust")
    drifted(balanced, "A2", advisor=ann, name="Berg IRA")
    drifted(balanced, "A3", advisor=ann, rebalancing_on=False)
    drifted(balanced, "B1")
    drifted(balanced, "F1", advisor=ann, **BEFORE)
    paid = make.account("D1", portfolio=balanced, advisor=ann, cash=Decimal(2000))
    make.lot(paid, "VTI", 600, cost=50000)
    make.lot(paid, "AGG", 760, cost=38000)
    flow(paid, "deposit", 4000, sessions.today())
    flow(paid, "deposit", 0, sessions.today(), security=make.security("VTI"), quantity=Decimal(10))
    flow(paid, "withdrawal", -500, sessions.today())
    flow(paid, "deposit", 900, sessions.today() - timedelta(days=60))
    for number, fields in (("L1", {}), ("N1", {"rebalancing_on": False})):
        account = make.account(number, portfolio=None, advisor=ann, cash=Decimal(100), **fields)
        make.lot(account, "VTI", "10.5", cost=900)
        make.lot(account, "AGG", 4, cost=200)
    delivered()
    return balanced


def at(slug, portfolio=None, command="accounts"):
    return reverse(f"rebalancer:center_{command}", args=[slug, portfolio and portfolio.pk])


def out(book, command="accounts"):
    return at("out-of-tolerance", book, command)


def send(client, address, ids=(), scope="picked", query="f=", shown=0, **more):
    fields = {"scope": scope, "query": query, "shown": shown, "ids": ",".join(map(str, ids)), "logic": "best_fit"}
    return client.post(address, fields | more)


def counts(page):
    return {tile["label"]: tile["standing"].accounts for tile in page.context["tiles"] if tile["standing"].accounts}


def hidden(answer):
    """The fields of the page's form."""
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', answer.content.decode()))
    return {name: value for name, value in fields.items() if name != "csrfmiddlewaretoken"}


def refusals(command="batch.opened"):
    return [line.after["why"] for line in AuditLine.objects.filter(verb="refused", after__command=command)]


class TestStatuses:
    def test_counts_of_accounts_and_portfolios_with_what_they_mean(self, book, as_desk):
        page = as_desk.get(CENTER)
        assert counts(page) == {
            "Out of Tolerance": 4, "Need Extra Attention": 1, "New Deposit": 1, "Liquidation": 1,
            "No Portfolio Assigned": 1,
        }  # fmt: skip
        assert len(page.context["tiles"]) == 8
        assert "Out of Tolerance: 4 accounts in 1 portfolio" in text(page)
        assert "Deposits above the limit since last rebalanced" in text(page)

    def test_an_advisor_sees_and_counts_their_own(self, book, as_ann):
        page = as_ann.get(CENTER)
        assert counts(page)["Out of Tolerance"] == 3
        (held,) = page.context["standing"].held
        assert (held.name, held.accounts, held.of) == ("Balanced", 3, 5)
        assert numbers(as_ann.get(out(book))) == ["A1", "A2", "A3"]

    def test_the_portfolios_of_a_status_as_a_file(self, book, as_desk):
        assert 'href="?export=csv"' in as_desk.get(CENTER).content.decode()
        file = as_desk.get(CENTER, {"export": "csv"})
        assert 'filename="out-of-tolerance-portfolios.csv"' in file["Content-Disposition"]
        assert b"".join(file.streaming_content).decode().splitlines() == [
            "Portfolio,Accounts,Out of Tolerance,Value $,Mostly because of,Oldest since",
            f"Balanced,6,4,400000.00,Cash +3.0 pp in 4 accounts,{sessions.today()}",
        ]

    def test_what_is_inside_needs_no_reason(self, book, as_desk):
        held = make.account("I1", portfolio=book, cash=Decimal(2000), **BEFORE)
        make.lot(held, "VTI", 600, cost=1)
        make.lot(held, "AGG", 760, cost=1)
        delivered()
        inside = reverse("rebalancer:center_status", args=["inside-of-tolerance"])
        page = text(as_desk.get(inside))
        assert "Inside of Tolerance: 1 account in 1 portfolio" in page
        assert "Mostly because of" not in page
        file = as_desk.get(inside, {"export": "csv"})
        header, line = b"".join(file.streaming_content).decode().splitlines()
        assert header == "Portfolio,Accounts,Inside of Tolerance,Value $,Oldest since"
        assert line == "Balanced,7,1,100000.00,"

    def test_the_portfolios_of_a_status_with_what_most_have_in_common(self, book, as_desk):
        other = make.portfolio("Other", VTI=60, AGG=38)
        for number in ("O1", "O2", "O3", "O4", "O5"):
            drifted(other, number)
        delivered()
        page = as_desk.get(reverse("rebalancer:center_status", args=["out-of-tolerance"]))
        assert [(one.name, one.accounts, one.of) for one in page.context["standing"].held] == [
            ("Other", 5, 5), ("Balanced", 4, 6),
        ]  # fmt: skip
        assert 'Cash <span class="quiet">+3.0 pp in 5 accounts</span>' in text(page)
        assert f'href="{out(book)}"' in text(page)

    def test_a_portfolio_is_one_row_whatever_its_accounts_are_out_by(self, book, as_desk):
        """A1, A2, A3 and B1 have 5 % cash; L2 has nearly none, and half as much of all."""
        low = make.account("L2", portfolio=book, cash=Decimal(0), last_rebalanced=None)
        make.lot(low, "VTI", 325, cost=1)
        make.lot(low, "AGG", 350, cost=1)
        delivered()
        (held,) = as_desk.get(CENTER).context["standing"].held
        assert (held.accounts, held.of, held.value) == (5, 7, 450_000)
        assert (held.because.words, held.because.accounts, held.because.points) == ("Cash", 4, 3)

    def test_reasons_of_the_other_statuses(self, book, as_desk):
        page = text(as_desk.get(reverse("rebalancer:center_status", args=["liquidation"])))
        assert "Liquidation: 1 account in 0 portfolios, 1 in none" in page
        assert "No portfolio is assigned, and securities are held" in page

    def test_another_advisor_is_told_why_there_is_nothing(self, book, client):
        client.force_login(make.advisor("bob"))
        page = client.get(CENTER)
        assert counts(page) == {}
        assert "No account is yours yet." in text(page)
        assert client.get(out(book)).status_code == 404

    def test_who_is_without_portfolio_is_listed_at_once(self, book, as_desk):
        page = as_desk.get(reverse("rebalancer:center_status", args=["no-portfolio"]))
        assert numbers(page) == ["N1"]
        assert "No portfolio is assigned, and rebalancing is off" in text(page)

    @pytest.mark.parametrize("address", ["nothing/", "nothing/none/", "no-portfolio/1/", "out-of-tolerance/999999/"])
    def test_what_is_nowhere(self, book, as_desk, address):
        assert as_desk.get(CENTER + address).status_code == 404

    def test_signed_out_leads_to_signing_in(self, client, book):
        for address in (CENTER, out(book), reverse("rebalancer:center_account", args=[pk("A1")])):
            assert client.get(address).url == f"/login/?next={address}"

    def test_a_book_that_was_never_analysed(self, balanced, as_desk):
        drifted(balanced, "A1")
        assert "1 account, none of them analysed yet." in text(as_desk.get(CENTER))

    def test_nothing_in_a_status(self, book, as_desk):
        page = as_desk.get(reverse("rebalancer:center_status", args=["new-withdrawal"]))
        assert "No account is New Withdrawal now." in text(page)


@pytest.mark.parametrize("more", [0, 12])
def test_the_cost_of_a_page(book, as_desk, more, django_assert_max_num_queries):
    for number in range(more):
        drifted(make.portfolio(f"P{number % 4}", VTI=60, AGG=38), f"M{number}")
    delivered()
    addresses = [CENTER, out(book), at("liquidation"), f"{CENTER}no-portfolio/", f"{out(book)}?f=hindrance:any:yes",
                 reverse("rebalancer:center_account", args=[pk("D1")])]  # fmt: skip
    for address in addresses:
        of_the_page = 5 if address == addresses[-1] else 4  # of one account: its breaks, too
        with django_assert_max_num_queries(LOGGED_IN + of_the_page + OF_THE_FRAME):
            as_desk.get(address)
        with django_assert_max_num_queries(LOGGED_IN + of_the_page):
            assert as_desk.get(address).status_code == 200


class TestAccounts:
    def test_rows_say_drift_reason_and_who_would_be_left_out(self, book, as_desk, desk):
        batch = opened(desk, Account.objects.get(number="B1")).batch
        page = as_desk.get(out(book))
        assert numbers(page) == ["A1", "A2", "A3", "B1"]
        shown = text(page)
        assert "<title>Cash 5.00 %, target 2.00 %, outside its band</title><desc>band 1.60–2.40 %</desc>" in shown
        assert "Cash 2.6 % above its 2.4 % ceiling; AGG 10.4 % below its 30.4 % floor; VTI 3 % above" in shown
        assert "rebalancing is off" in shown
        assert f'<a href="/rebalancer/requests/{batch.pk}/">in request {batch.pk}</a>' in shown

    @pytest.mark.parametrize(
        ("address", "found"),
        [
            ("?q=alder", ["A1"]),
            ("?f=hindrance:any:no", ["A3"]),
            ("?f=hindrance:any:yes", ["A1", "A2", "B1"]),
            ("?f=advisor:any:ann&f=drift:gte:1", ["A1", "A2", "A3"]),
            ("?f=nothing:is:1", []),
            ("?f=market_value:gte:5k", []),
        ],
    )
    def test_filters(self, book, as_desk, address, found):
        assert numbers(as_desk.get(out(book) + address)) == found

    def test_every_column_has_a_filter_and_is_exported(self, book, as_desk):
        assert set(CenterTable.base_columns) - set(CenterFilters.base_filters) == {"actions"}
        as_desk.post(out(book), {"do": "layout", "columns": list(CenterTable.base_columns)})
        answer = as_desk.get(f"{out(book)}?f=&export=csv")
        lines = b"".join(answer.streaming_content).decode().splitlines()
        assert answer["Content-Disposition"] == 'attachment; filename="out-of-tolerance.csv"'
        assert len(lines) == 5
        assert "rebalancing is off" in lines[3]
        assert "Actions" not in lines[0]

    def test_an_administrator_looks_and_opens_nothing(self, book, client):
        client.force_login(make.administrator())
        assert "Your role does not open requests." in text(client.get(out(book)))
        assert send(client, out(book, "create"), [pk("A1")]).status_code == 403
        assert refusals() == ["Your role does not open requests."]


class TestCreate:
    def test_opens_a_request_without_orders_and_goes_there(self, book, as_ann, ann):
        answer = send(as_ann, out(book, "create"), [pk("A1"), pk("A2")], logic="min_transaction")
        batch = Batch.objects.get()
        assert answer.url == f"/rebalancer/requests/{batch.pk}/"
        assert (batch.opened_by, batch.total, batch.logic) == (ann, 2, Logic.MIN_TRANSACTION)
        assert not Order.objects.exists()
        assert f"Request {batch.pk}</strong> was opened for 2 accounts" in text(as_ann.get(answer.url))

    def test_who_may_not_be_proposed_is_left_out_and_named(self, book, as_desk, desk):
        first = opened(desk, Account.objects.get(number="B1")).batch
        page = as_desk.get(send(as_desk, out(book, "create"), scope="all", shown=4).url)
        assert "was opened for 2 accounts" in text(page)
        assert "2 accounts left out" in text(page)
        assert "A3 Account A3: rebalancing is off" in text(page)
        assert f"B1 Account B1: it is in request {first.pk}" in text(page)

    def test_a_status_that_changed_since_the_list(self, book, as_desk):
        Check.objects.filter(account__number="A2").update(status=Status.NEW_WITHDRAWAL)
        answer = send(as_desk, out(book, "create"), scope="all", shown=4, logic="min_transaction")
        assert answer.status_code == 409
        assert "4 shown, 3 now." in text(answer)
        assert not Batch.objects.exists()
        as_desk.post(out(book, "create"), hidden(answer))
        assert (Batch.objects.get().total, Batch.objects.get().logic) == (2, Logic.MIN_TRANSACTION)

    def test_picked_accounts_whose_status_changed_are_left_out_and_named(self, book, as_desk):
        Check.objects.filter(account__number="A2").update(status=Status.NEW_WITHDRAWAL)
        assign_portfolio(Account.objects.get(number="B1"), make.portfolio("Other", VTI=98), by=None)
        page = as_desk.get(send(as_desk, out(book, "create"), [pk("A1"), pk("A2"), pk("B1")]).url)
        assert "was opened for 1 account;" in text(page)
        assert "A2 Berg IRA: its status is now New Withdrawal" in text(page)
        assert "B1 Account B1: its portfolio is now Other" in text(page)

    def test_an_account_that_moved_to_another_advisor(self, book, as_ann):
        assert as_ann.get(out(book)).context["able"] == 3
        Account.objects.filter(number="A2").update(advisor=make.advisor("bob"))
        picked = send(as_ann, out(book, "create"), [pk("A1"), pk("A2")])
        assert picked.status_code == 400
        assert "rows that you cannot see. Nothing was done." in text(picked)
        assert len(refusals()) == 1
        everything = send(as_ann, out(book, "create"), scope="all", shown=3)
        assert "3 shown, 2 now." in text(everything)
        assert not Batch.objects.exists()
        assert counts(as_ann.get(CENTER))["Out of Tolerance"] == 2

    def test_a_portfolio_that_is_gone(self, book, as_ann):
        other = make.portfolio("Other", VTI=60, AGG=38)
        for account in Account.objects.filter(portfolio=book):
            assign_portfolio(account, other, by=None)
        answer = send(as_ann, out(book, "create"), [pk("A1")])
        assert answer.status_code == 404
        assert "No account of yours is held to this portfolio any more" in text(answer)
        assert len(refusals()) == 1

    def test_when_none_of_those_picked_is_left_that_is_on_record(self, book, as_ann):
        Account.objects.filter(number="A1").update(is_open=False)
        answer = send(as_ann, out(book, "create"), [pk("A1")])
        assert (answer.status_code, "A1 Alder Trust: it is closed" in text(answer)) == (409, True)
        assert len(refusals()) == 1

    def test_a_portfolio_removed_while_a_request_is_open(self, book, as_ann):
        """It cannot be deleted; taken from an account, it fails that account alone, in words."""
        send(as_ann, out(book, "create"), [pk("A1"), pk("A2")])
        with pytest.raises(ProtectedError):
            book.delete()
        assign_portfolio(Account.objects.get(number="A1"), None, by=None)
        batch = Batch.objects.get()
        batches.propose_batch(batch.pk)
        entry = batch.entries.get(account_number="A1")
        assert (entry.state, "no portfolio is assigned" in entry.reason.lower()) == ("failed", True)
        assert batch.entries.get(account_number="A2").state == "proposed"
        assert "No portfolio is assigned" in text(as_ann.get(reverse("rebalancer:request", args=[batch.pk])))

    @pytest.mark.parametrize(
        "tampered",
        [{"scope": "all", "query": ""}, {"ids": ""}, {"logic": "liquidate"}, {"shown": "x"}, {"ids": "1 OR 1=1"}],
    )
    def test_what_was_tampered_with_does_nothing(self, book, as_desk, tampered):
        answer = send(as_desk, out(book, "create"), **{"ids": [pk("A1")], "shown": 4} | tampered)
        assert answer.status_code == 400
        assert len(refusals()) == 1
        assert not Batch.objects.exists()


class TestLiquidation:
    def review(self, client, *accounts, place=("liquidation",)):
        return send(client, at(*place, command="review"), [pk(number) for number in accounts])

    def test_names_what_will_be_sold_and_sells_that(self, book, as_desk):
        make.restriction(Account.objects.get(number="L1"), "AGG", Restriction.Kind.NO_SELL)
        page = self.review(as_desk, "L1")
        assert "Liquidate 1 account?" in text(page)
        assert "1 holding would be sold for about $1,000.00" in text(page)
        assert "0.5 stays, a fraction" in text(page)
        assert "stays: no sell" in text(page)
        assert not Batch.objects.exists()
        answer = as_desk.post(at("liquidation", command="liquidate"), hidden(page))
        batch = Batch.objects.get()
        assert answer.url == f"/rebalancer/requests/{batch.pk}/"
        assert (batch.logic, batch.total) == (Logic.LIQUIDATE, 1)
        batches.propose_batch(batch.pk)
        entry = Entry.objects.get()
        assert (entry.sells, entry.sells_value) == (1, Decimal("1000.00"))

    def test_a_list_that_changed_is_looked_at_again(self, book, as_desk):
        page = self.review(as_desk, "L1")
        make.lot(Account.objects.get(number="L1"), "VTI", 1, cost=90)
        answer = as_desk.post(at("liquidation", command="liquidate"), hidden(page))
        assert answer.status_code == 409
        assert "What would be sold is not what was confirmed" in text(answer)
        assert not Batch.objects.exists()

    def test_whoever_was_left_out_of_the_list_stays_out(self, book, as_desk, balanced):
        """Free again by the time it is confirmed: but nobody has confirmed what it would sell."""
        left_out = make.account("L2", portfolio=None, rebalancing_on=True)
        make.lot(left_out, "VTI", 7, cost=90)
        checks.analyse()
        switch_rebalancing(chosen(left_out), False, by=None)
        page = self.review(as_desk, "L1", "L2")
        assert "Liquidate 1 account?" in text(page)
        switch_rebalancing(chosen(left_out), True, by=None)
        assert as_desk.post(at("liquidation", command="liquidate"), hidden(page)).status_code == 302
        assert [entry.account_number for entry in Entry.objects.all()] == ["L1"]

    def test_what_was_kept_is_not_sold_when_its_restriction_is_lifted_meanwhile(self, book, as_desk):
        kept = make.restriction(Account.objects.get(number="L1"), "AGG", Restriction.Kind.DO_NOT_TRADE)
        page = self.review(as_desk, "L1")
        kept.delete()
        answer = as_desk.post(at("liquidation", command="liquidate"), hidden(page))
        assert answer.status_code == 409
        assert "What would be sold is not what was confirmed" in text(answer)
        assert not Batch.objects.exists()

    @pytest.mark.parametrize("command", ["review", "liquidate"])
    def test_is_for_operations(self, book, as_ann, command):
        shown = as_ann.get(at("liquidation"))
        assert numbers(shown) == ["L1"]
        why = "Liquidations are proposed by Operations."
        assert f'disabled>Liquidate<span class="visually-hidden">: {why}' in text(shown)
        answer = send(as_ann, at("liquidation", command=command), [pk("L1")])
        assert answer.status_code == 403
        assert refusals() == [why]

    def test_is_for_nothing_else(self, book, as_desk):
        for command in ("review", "liquidate"):
            assert send(as_desk, out(book, command), [pk("A1")]).status_code == 404
        assert send(as_desk, at("liquidation", command="create"), [pk("L1")]).status_code == 409
        assert not Batch.objects.exists()

    def test_without_portfolio_and_off_says_why_nothing_is_sold(self, book, as_desk):
        page = self.review(as_desk, "N1", place=("no-portfolio",))
        assert "Nothing would be sold" in text(page)
        assert "Left out: rebalancing is off" in text(page)
        answer = send(as_desk, at("no-portfolio", command="liquidate"), [pk("N1")], confirmed=hidden(page)["confirmed"])
        assert answer.status_code == 409
        assert not Batch.objects.exists()
        switch_rebalancing(chosen(Account.objects.get(number="N1")), True, by=None)
        page = self.review(as_desk, "N1", place=("no-portfolio",))
        assert "2 holdings would be sold for about $1,200.00" in text(page)

    def test_a_portfolio_that_is_no_longer_all_cash(self, book, as_desk):
        cash = make.portfolio("Cash")
        account = Account.objects.get(number="L1")
        assign_portfolio(account, cash, by=None)
        checks.analyse()
        assert numbers(as_desk.get(at("liquidation", cash))) == ["L1"]
        make.portfolio("Cash", components=[make.component("VTI", 60), make.component("cash", 40)])
        answer = send(as_desk, at("liquidation", cash, "review"), [account.pk])
        assert answer.status_code == 409
        assert "L1 Account L1: its target is no longer all cash" in text(answer)

    def test_more_than_anybody_reads_at_once(self, book, as_desk, monkeypatch):
        monkeypatch.setattr("rebalancer.views.center_commands.REVIEWED_AT_MOST", 0)
        answer = self.review(as_desk, "L1")
        assert answer.status_code == 409
        assert "at most 0 accounts go into one. Nothing was done; select fewer." in text(answer)

    def test_another_count_than_shown(self, book, as_desk):
        answer = send(as_desk, at("liquidation", command="review"), scope="all", shown=2)
        assert (answer.status_code, "2 shown, 1 now." in text(answer)) == (409, True)


def behind(client, number):
    return client.get(reverse("rebalancer:center_account", args=[pk(number)]))


def acknowledge(client, number, reasons, seen):
    return client.post(reverse("rebalancer:acknowledge", args=[pk(number)]), {"reason": reasons, "seen": seen})


class TestReasons:
    def test_the_transactions_that_make_up_a_deposit(self, book, as_desk):
        page = behind(as_desk, "D1")
        rows = [(row.transaction.get_kind_display(), row.dollars, row.in_kind) for row in page.context["flows"].rows]
        assert rows == [("Deposit", 4000, False), ("Deposit", 1000, True), ("Withdrawal", -500, False)]
        assert page.context["flows"].net == 4500
        assert "$4,500.00 deposited, net of withdrawals" in text(page)
        assert "against a limit of $1,000.00" in text(page)

    def test_acknowledged_reasons_no_longer_decide_until_they_change(self, book, as_ann):
        page = behind(as_ann, "F1")
        keys, seen = [reason.key for reason in page.context["reasons"]], page.context["seen"]
        assert len(keys) == 2
        assert acknowledge(as_ann, "F1", keys[:1], seen).status_code == 302
        checks.analyse()
        check = Check.objects.get(account__number="F1")
        assert (check.status, check.reason) == (Status.NEED_EXTRA_ATTENTION, "VTI 15 points above its target")
        assert "Acknowledged" in text(behind(as_ann, "F1"))
        acknowledge(as_ann, "F1", keys, seen)
        assert AuditLine.objects.filter(verb="reason.acknowledged").count() == 2
        checks.analyse()
        assert Check.objects.get(account__number="F1").status == Status.OUT_OF_TOLERANCE
        twice = "AGG 23.19 points below its target; VTI 21.48 points above its target"  # the firm's 10 points, twice
        for shares, status, reason in (
            (10, Status.OUT_OF_TOLERANCE, "Cash"), (340, Status.NEED_EXTRA_ATTENTION, twice),
        ):  # fmt: skip
            make.lot(Account.objects.get(number="F1"), "VTI", shares, cost=1)
            checks.analyse()
            check = Check.objects.get(account__number="F1")
            assert (check.status, check.reason.startswith(reason)) == (status, True)

    def test_the_account_is_looked_at_again_soon(self, book, as_ann):
        page = behind(as_ann, "F1")
        acknowledge(as_ann, "F1", [page.context["reasons"][0].key], page.context["seen"])
        check = Check.objects.get(account__number="F1")
        assert Account.objects.get(number="F1").check_wanted_at > check.checked_at

    def test_reasons_that_changed_since_somebody_looked(self, book, as_ann):
        page = behind(as_ann, "F1")
        make.lot(Account.objects.get(number="F1"), "VTI", 200, cost=1)
        checks.analyse()
        answer = acknowledge(as_ann, "F1", [one.key for one in page.context["reasons"]], page.context["seen"])
        assert answer.status_code == 409
        assert "The reasons have changed since you looked" in text(answer)
        assert Check.objects.get(account__number="F1").acknowledged == []
        assert len(refusals("reason.acknowledged")) == 1

    @pytest.mark.parametrize("keys", [[], ["open orders"]])
    def test_what_no_reason_is(self, book, as_ann, keys):
        answer = acknowledge(as_ann, "F1", keys, behind(as_ann, "F1").context["seen"])
        assert answer.status_code == 409

    def test_twice_is_too_late(self, book, as_ann):
        page = behind(as_ann, "F1")
        keys, seen = [one.key for one in page.context["reasons"]], page.context["seen"]
        acknowledge(as_ann, "F1", keys, seen)
        answer = acknowledge(as_ann, "F1", keys, seen)
        assert (answer.status_code, "This was acknowledged already." in text(answer)) == (409, True)

    def test_who_may_not(self, book, client):
        client.force_login(make.administrator())
        seen = behind(client, "F1").context["seen"]
        assert acknowledge(client, "F1", ["far AGG below 1"], seen).status_code == 403
        client.force_login(make.advisor("bob"))
        assert behind(client, "F1").status_code == 404
        assert acknowledge(client, "F1", ["far AGG below 1"], seen).status_code == 404


@pytest.mark.parametrize("command", ["create", "review", "liquidate"])
def test_commands_want_a_post_and_a_person(client, book, desk, command):
    address = out(book, command)
    assert client.post(address).url.startswith("/login/")
    client.force_login(desk)
    assert client.get(address).status_code == 405
    client.force_login(make.advisor("bob"))
    assert send(client, address, [pk("A1")]).status_code == 404


def test_filters_stay_with_their_list(book, as_desk):
    as_desk.get(f"{out(book)}?q=alder")
    assert as_desk.get(out(book)).url == f"{out(book)}?q=alder"
    assert as_desk.get(at("liquidation")).status_code == 200


def test_a_request_opened_here_is_under_way_and_back_when_cancelled(book, as_desk, desk):
    batch = pending(desk, Account.objects.get(number="A1"))
    assert f"in request {batch.pk}" in text(as_desk.get(out(book)))
    batches.cancel(batch, by=desk)
    assert f"in request {batch.pk}" not in text(as_desk.get(out(book)))
