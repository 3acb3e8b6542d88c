"""What is changed on an account's own page: who may, what is refused and why, and what the account is then."""

from datetime import date
from decimal import Decimal

import pytest
from django.contrib.messages import get_messages
from django.urls import get_resolver, reverse

from accounts.models import Account, AuditLine, Restriction
from rebalancer.models import Batch, Entry
from rebalancer.services import analysing, batches, checks
from rebalancer.states import EntryState, Status
from tests import factories as make
from trading import sessions

from .conftest import again, as_seen, drifted, opened
from .test_pages_accounts import page_of, text

pytestmark = pytest.mark.django_db

PAGES = {"account", "account_status", "account_lots", "account_transactions"}
CHANGES = {"account_switch", "account_portfolio", "account_rebalance"}
EDITS = {"account_set_aside", "account_restrict", "account_restriction", "account_lift"}
GONE = "This restriction is not there any more."


@pytest.fixture
def growth(balanced):
    return make.portfolio("Growth", VTI=90, AGG=8)


@pytest.fixture
def book(balanced, growth, ann):
    """Ann's account of $100,000, held to Balanced, linked with Growth too; nothing of it may be bought of GE."""
    account = drifted(balanced, "A1", advisor=ann, name="Alder Trust", linked=[balanced, growth])
    make.security("GE")
    make.restriction(account, "GE", Restriction.Kind.NO_BUY)
    Account.objects.update(delivered_for=sessions.last_completed_session())
    checks.analyse()
    return account


def address(name, account):
    if name in ("account_restriction", "account_lift"):
        return reverse(f"rebalancer:{name}", args=[account.pk, Restriction.objects.get(account=account).pk])
    return page_of(account, name)


def typed(client, where):
    """The fields of the page's form as they come filled in."""
    form = client.get(where).context["form"]
    values = {name: form[name].value() for name in form.fields}
    return {name: value for name, value in values.items() if value is not None and value is not False}


def send(client, name, account, **changed):
    """Send the page's form with some fields changed; None leaves one out."""
    where = address(name, account)
    fields = typed(client, where) | changed
    return client.post(where, {name: value for name, value in fields.items() if value is not None})


def sent_again(response):
    """What the button of a form sends that has come back."""
    form = response.context["form"]
    return {name: form[name].value() for name in form.fields if form[name].value() not in (None, False)}


def said(response):
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def errors(response):
    """{field: what is wrong with it}"""
    return {name: " ".join(lines) for name, lines in response.context["form"].errors.items()}


def refusals():
    return [line.after["why"] for line in AuditLine.objects.filter(verb="refused")]


def rechecked(account):
    """The account's check after the one that the change asked for."""
    assert again(account).check_wanted_at is not None
    analysing.recheck()
    return again(account).check_row


class TestWhoMay:
    def test_every_address_of_an_account_is_looked_at_here(self):
        names = {name for name in get_resolver().namespace_dict["rebalancer"][1].reverse_dict if isinstance(name, str)}
        assert {name for name in names if name.startswith("account_")} | {"account"} == PAGES | CHANGES | EDITS

    @pytest.mark.parametrize("name", sorted(PAGES | CHANGES | EDITS))
    def test_nobody_without_signing_in(self, client, book, name):
        where = address(name, book)
        assert client.get(where).url == f"/login/?next={where}"
        if name not in PAGES:
            assert client.post(where).url.startswith("/login/")

    @pytest.mark.parametrize("name", sorted(PAGES | CHANGES | EDITS))
    def test_a_stranger_finds_nothing(self, client, book, name):
        client.force_login(make.advisor("stranger"))
        assert client.get(address(name, book)).status_code == 404
        assert client.post(address(name, book), {"on": "no"}).status_code == 404
        assert again(book).rebalancing_on

    @pytest.mark.parametrize(
        ("person", "forbidden"),
        [("advisor", EDITS), ("operations", set()), ("administrator", {"account_rebalance"}), ("both", set())],
    )
    def test_by_role(self, client, book, ann, desk, person, forbidden):
        people = {"advisor": ann, "operations": desk, "administrator": make.administrator()}
        people["both"] = make.person("both", "Advisor", "Operations")
        client.force_login(people[person])
        for name in sorted(PAGES | CHANGES | EDITS):
            assert client.get(address(name, book)).status_code == (403 if name in forbidden else 200), name
        shown = text(client.get(page_of(book)))
        assert ("Add restriction" in shown) == ("account_restrict" not in forbidden)

    @pytest.mark.parametrize("name", sorted(EDITS))
    def test_what_an_advisor_may_not_do_is_on_record(self, anns, book, name):
        answer = anns.post(address(name, book), {"amount": "5", "seen": "0", "security": "VTI", "kind": "no_buy"})
        assert answer.status_code == 403
        assert refusals() == ["Set-aside cash and restrictions are changed by Operations and Administrators."]
        assert Restriction.objects.count() == 1
        assert again(book).set_aside_cash == 0

    def test_an_administrator_opens_no_request(self, client, book, balanced):
        client.force_login(make.administrator())
        answer = client.post(address("account_rebalance", book), {"portfolio": balanced.pk, "logic": "best_fit"})
        assert answer.status_code == 403
        assert refusals() == ["Your role does not open requests."]
        assert not Batch.objects.exists()

    @pytest.mark.parametrize("name", sorted(CHANGES))
    def test_an_account_that_went_to_another_advisor_meanwhile(self, anns, book, growth, name):
        fields = typed(anns, address(name, book))
        Account.objects.filter(pk=book.pk).update(advisor=make.advisor("bob"))
        answer = anns.post(address(name, book), fields | {"portfolio": growth.pk})
        assert answer.status_code == 404
        assert "Nothing was changed." in text(answer)
        assert again(book).rebalancing_on
        assert not Batch.objects.exists()

    def test_a_closed_account_is_left_as_it_is(self, olive, book):
        fields = typed(olive, address("account_set_aside", book))
        Account.objects.filter(pk=book.pk).update(is_open=False, rebalancing_on=False)
        answer = olive.post(address("account_set_aside", book), fields | {"amount": "5"})
        assert answer.status_code == 409
        assert "The account is closed. Nothing was done." in text(answer)
        assert again(book).set_aside_cash == 0


class TestTheSwitch:
    def test_off_and_on_again_with_the_status_that_follows(self, anns, book):
        Account.objects.filter(pk=book.pk).update(last_rebalanced=date(2026, 1, 5))
        assert "leaves the queue" in text(anns.get(address("account_switch", book)))
        answer = send(anns, "account_switch", book)
        assert (answer.url, said(answer)) == (page_of(book), "Rebalancing is switched off.")
        assert not again(book).rebalancing_on
        assert not rechecked(book).first_rebalance
        assert "counts as First Rebalance" in text(anns.get(address("account_switch", book)))
        send(anns, "account_switch", book)
        assert rechecked(book).first_rebalance

    def test_a_page_of_before_turns_it_no_other_way(self, anns, book):
        fields = typed(anns, address("account_switch", book))
        Account.objects.filter(pk=book.pk).update(rebalancing_on=False)
        assert said(anns.post(address("account_switch", book), fields)) == "Rebalancing was off already."
        assert not again(book).rebalancing_on

    def test_the_page_names_the_request_that_it_is_in(self, anns, ann, book):
        batch = opened(ann, book).batch
        assert f"It is in Request {batch.pk} now" in text(anns.get(address("account_switch", book)))

    @pytest.mark.parametrize("sent", [{}, {"on": "maybe"}, {"on": "True"}])
    def test_what_no_button_sends(self, anns, book, sent):
        assert anns.post(address("account_switch", book), sent).status_code == 400
        assert again(book).rebalancing_on

    def test_the_page_shows_that_a_check_is_on_its_way_and_then_what_it_found(self, olive, book):
        send(olive, "account_set_aside", book, amount="4,000.00")
        assert "it is being checked again" in text(olive.get(page_of(book)))
        rechecked(book)
        shown = text(olive.get(page_of(book)))
        assert "it is being checked again" not in shown
        assert "Cash 0.56 % below its 1.6 % floor" in shown


class TestSetAside:
    def test_it_is_taken_off_the_managed_value(self, olive, book):
        answer = send(olive, "account_set_aside", book, amount="$1,250.50")
        assert said(answer) == "$1,250.50 is set aside."
        assert rechecked(book).managed_value == Decimal("98749.50")
        assert "less $1,250.50 set aside" in text(olive.get(page_of(book)))

    @pytest.mark.parametrize(
        ("amount", "words"),
        [
            ("", "Type an amount; 0 for none."), ("lots", "This is not an amount"), ("NaN", "This is not an amount"),
            ("1,5", "This is not an amount"), ("10.000,00", "This is not an amount"),
            ("1e5", "This is not an amount"), ("1_000", "This is not an amount"), ("٣", "This is not an amount"),
            ("-1", "greater than or equal to 0"), ("0.001", "no more than 2 decimal places"),
            ("99999999999999999", "no more than 16 digits"),
        ],
    )  # fmt: skip
    def test_what_is_no_amount(self, olive, book, amount, words):
        answer = send(olive, "account_set_aside", book, amount=amount)
        assert answer.status_code == 400
        assert words in errors(answer)["amount"]
        assert 'aria-invalid="true"' in answer.content.decode()
        assert again(book).set_aside_cash == 0

    @pytest.mark.parametrize("seen", ["", "x", "1e999999999", None])
    def test_what_the_page_showed_has_to_arrive(self, olive, book, seen):
        answer = send(olive, "account_set_aside", book, amount="10", seen=seen)
        assert answer.status_code == 400
        assert "did not arrive whole, so nothing was done" in text(answer)
        assert again(book).set_aside_cash == 0

    def test_it_has_changed_meanwhile(self, olive, book):
        fields = typed(olive, address("account_set_aside", book))
        Account.objects.filter(pk=book.pk).update(set_aside_cash=70)
        answer = olive.post(address("account_set_aside", book), fields | {"amount": "10"})
        assert answer.status_code == 409
        assert "was 0.00 when you looked, and is 70.00 now. Nothing was changed." in text(answer)
        assert again(book).set_aside_cash == 70
        assert refusals() == ["The set-aside cash was 0.00 when you looked, and is 70.00 now. Nothing was changed."]
        assert said(olive.post(address("account_set_aside", book), sent_again(answer))) == "$10.00 is set aside."


class TestRestrictions:
    def test_added_changed_and_lifted(self, olive, book):
        sent = {"security": "vti", "kind": "no_sell", "start": "2026-01-02", "end": "2099-12-31"}
        answer = send(olive, "account_restrict", book, **sent)
        assert said(answer) == "No sell VTI from 2026-01-02 until 2099-12-31: saved."
        assert rechecked(book).status == Status.NEED_EXTRA_ATTENTION
        made = Restriction.objects.get(security__symbol="VTI")
        where = reverse("rebalancer:account_restriction", args=[book.pk, made.pk])
        answer = olive.post(where, typed(olive, where) | {"kind": "do_not_trade", "end": ""})
        assert said(answer) == "Do not trade VTI from 2026-01-02: saved."
        assert (again(made).kind, again(made).end) == ("do_not_trade", None)
        where = reverse("rebalancer:account_lift", args=[book.pk, made.pk])
        assert "Do not trade VTI from 2026-01-02" in text(olive.get(where))
        assert said(olive.post(where, typed(olive, where))) == "The restriction on VTI is lifted."
        assert rechecked(book).status == Status.OUT_OF_TOLERANCE
        verbs = AuditLine.objects.filter(verb__startswith="restriction.").values_list("verb", flat=True).order_by("pk")
        assert list(verbs) == ["restriction.set", "restriction.set", "restriction.dropped"]

    @pytest.mark.parametrize(
        ("sent", "field", "words"),
        [
            ({"security": "NOPE"}, "security", "There is no security NOPE."),
            ({"security": ""}, "security", "required"),
            ({"kind": "never"}, "kind", "not one of the available choices"),
            ({"kind": "substitute"}, "substitute", "Name the security that is held instead."),
            ({"substitute": "AGG"}, "substitute", "Only the restriction Substitute names one."),
            ({"kind": "substitute", "substitute": "VTI"}, "substitute", "own substitute"),
            ({"start": "2026-02-30"}, "start", "This is not a day."),
            ({"start": "0001-01-01"}, "start", "This is not a day between 1900 and 2199."),
            ({"end": "9999-12-31"}, "end", "This is not a day between 1900 and 2199."),
            ({"start": "2026-02-10", "end": "2026-02-09"}, "end", "The last day is before the first."),
            ({"kind": "substitute", "substitute": "GE"}, "substitute", "the substitute for VTI, is itself restricted"),
            ({"security": "a\0b"}, "security", "Null characters are not allowed."),
        ],
    )
    def test_what_cannot_be_is_said_at_its_field(self, olive, book, sent, field, words):
        answer = send(olive, "account_restrict", book, **{"security": "VTI", "kind": "no_buy"} | sent)
        assert answer.status_code == 400
        assert words in errors(answer)[field]
        assert Restriction.objects.count() == 1

    def test_a_sweep_is_not_restricted(self, olive, book):
        make.security("SPAXX", kind="sweep")
        answer = send(olive, "account_restrict", book, security="SPAXX", kind="no_buy")
        assert answer.status_code == 400
        assert "This is a sweep: it counts as cash and is never traded" in errors(answer)["security"]
        assert Restriction.objects.count() == 1

    def test_a_security_that_is_somebodys_substitute_is_not_restricted(self, olive, book):
        make.restriction(book, "VTI", Restriction.Kind.SUBSTITUTE, substitute="AGG")
        answer = olive.post(
            page_of(book, "account_restrict"),
            {"security": "AGG", "kind": "no_sell", "start": "2026-01-01", "seen": ""},
        )
        assert answer.status_code == 400
        assert "AGG, the substitute for VTI, is itself restricted" in errors(answer)["security"]
        assert Restriction.objects.count() == 2

    def test_one_that_is_there_already_is_not_written_over(self, olive, book):
        answer = send(olive, "account_restrict", book, security="GE", kind="do_not_trade")
        assert answer.status_code == 409
        assert "GE is restricted already. Now: No buy GE from 2020-01-01. Nothing was changed" in text(answer)
        assert Restriction.objects.get().kind == "no_buy"

    @pytest.mark.parametrize("name", ["account_restriction", "account_lift"])
    def test_it_has_changed_meanwhile(self, olive, book, name):
        where = address(name, book)
        fields = typed(olive, where)
        Restriction.objects.update(end=date(2099, 1, 1))
        answer = olive.post(where, fields)
        assert answer.status_code == 409
        assert "GE has changed since you looked. Now: No buy GE from 2020-01-01 until 2099-01-01." in text(answer)
        assert Restriction.objects.get().end == date(2099, 1, 1)
        assert len(refusals()) == 1
        assert olive.post(where, sent_again(answer)).status_code == 302

    @pytest.mark.parametrize("name", ["account_restriction", "account_lift"])
    def test_it_is_gone_meanwhile(self, olive, book, name):
        where = address(name, book)
        fields = typed(olive, where)
        Restriction.objects.all().delete()
        assert olive.get(where).status_code == 404
        answer = olive.post(where, fields)
        assert answer.status_code == 409
        assert GONE in text(answer)
        assert not Restriction.objects.exists()

    def test_one_of_another_account_is_not_found_here(self, olive, book, balanced):
        other = make.restriction(drifted(balanced, "B1"), "VTI", Restriction.Kind.NO_BUY)
        where = reverse("rebalancer:account_lift", args=[book.pk, other.pk])
        assert olive.get(where).status_code == 404
        assert olive.post(where, {"seen": "No buy VTI from 2020-01-01"}).status_code == 409
        assert Restriction.objects.filter(pk=other.pk).exists()


class TestRebalance:
    def test_a_request_of_one_with_its_own_portfolio(self, anns, ann, book, balanced):
        answer = send(anns, "account_rebalance", book, logic="min_transaction")
        batch = Batch.objects.get()
        assert answer.url == reverse("rebalancer:request", args=[batch.pk])
        assert (batch.logic, batch.opened_by, batch.total) == ("min_transaction", ann, 1)
        entry = batch.entries.get()
        assert (entry.portfolio, entry.assigns_portfolio) == (balanced, False)
        assert "its trades are being proposed. No order is placed." in said(answer)

    def test_another_portfolio_is_assigned_when_it_is_approved_and_not_before(self, anns, ann, book, balanced, growth):
        send(anns, "account_rebalance", book, portfolio=growth.pk)
        batch = Batch.objects.get()
        batches.propose_batch(batch.pk)
        assert again(book).portfolio == balanced
        batches.approve(again(batch), by=ann, **as_seen(batch))
        batches.finish_approval(batch.pk)
        assert again(book).portfolio == growth

    def test_off_wants_a_confirmation_that_says_so(self, anns, book):
        Account.objects.filter(pk=book.pk).update(rebalancing_on=False)
        assert "Rebalancing is off for this account." in text(anns.get(address("account_rebalance", book)))
        answer = send(anns, "account_rebalance", book)
        assert answer.status_code == 400
        assert "confirm that it is to be proposed" in errors(answer)["although_off"]
        assert not Batch.objects.exists()
        send(anns, "account_rebalance", book, although_off="on")
        batches.propose_batch(Batch.objects.get().pk)
        assert Entry.objects.get().state == EntryState.PROPOSED
        assert not again(book).rebalancing_on

    def test_it_was_switched_off_meanwhile(self, anns, book):
        fields = typed(anns, address("account_rebalance", book))
        Account.objects.filter(pk=book.pk).update(rebalancing_on=False)
        answer = anns.post(address("account_rebalance", book), fields)
        assert answer.status_code == 400
        assert not Batch.objects.exists()

    def test_a_portfolio_that_is_not_linked_any_more(self, anns, book, growth):
        fields = typed(anns, address("account_rebalance", book)) | {"portfolio": growth.pk}
        book.linked_portfolios.remove(growth)
        answer = anns.post(address("account_rebalance", book), fields)
        assert answer.status_code == 400
        assert "not linked with the account any more" in errors(answer)["portfolio"]
        assert not Batch.objects.exists()

    def test_it_was_given_another_portfolio_meanwhile(self, anns, book, balanced, growth):
        """What the page showed as its own would be assigned again at approval."""
        fields = typed(anns, address("account_rebalance", book))
        Account.objects.filter(pk=book.pk).update(portfolio=growth)
        answer = anns.post(address("account_rebalance", book), fields)
        assert answer.status_code == 409
        assert "has changed since you looked; it is Growth now. Nothing was done." in text(answer)
        assert len(refusals()) == 1
        assert not Batch.objects.exists()
        anns.post(address("account_rebalance", book), sent_again(answer))
        assert (Entry.objects.get().portfolio, Entry.objects.get().assigns_portfolio) == (balanced, True)

    @pytest.mark.parametrize("logic", ["liquidate", "", "x" * 500])
    def test_a_logic_that_is_not_offered(self, olive, book, logic):
        answer = send(olive, "account_rebalance", book, logic=logic)
        assert errors(answer)["logic"] == "Choose a trade logic."
        assert not Batch.objects.exists()

    def test_under_way_already(self, anns, desk, book):
        fields = typed(anns, address("account_rebalance", book))
        batch = opened(desk, book).batch
        answer = anns.post(address("account_rebalance", book), fields)
        assert answer.status_code == 409
        assert f"It is in request {batch.pk} already. Nothing was done." in text(answer)
        assert Batch.objects.count() == 1

    def test_all_cash_is_for_the_center(self, olive, book):
        book.linked_portfolios.add(cash := make.portfolio("All Cash"))
        answer = send(olive, "account_rebalance", book, portfolio=cash.pk)
        assert answer.status_code == 409
        assert "only a liquidation by Operations can be proposed." in text(answer)
        assert "opened from the Rebalance Center" in text(answer)
        assert not Batch.objects.exists()

    def test_where_all_cash_is_the_only_target_the_page_points_to_the_center(self, olive, book):
        book.linked_portfolios.set([cash := make.portfolio("All Cash")])
        Account.objects.filter(pk=book.pk).update(portfolio=cash)
        assert "Rebalance : Its only target is all cash while it holds securities" in text(olive.get(page_of(book)))
        assert olive.post(address("account_rebalance", book), {"portfolio": cash.pk}).status_code == 409
        assert not Batch.objects.exists()

    def test_without_a_portfolio_the_page_points_to_the_center(self, olive, book):
        book.linked_portfolios.clear()
        Account.objects.filter(pk=book.pk).update(portfolio=None)
        shown = text(olive.get(page_of(book)))
        assert "Rebalance : No portfolio is assigned or linked" in shown
        assert "Operations open from the Rebalance Center" in shown
        assert olive.post(address("account_rebalance", book), {"logic": "best_fit"}).status_code == 409

    def test_without_a_portfolio_it_is_rebalanced_into_a_linked_one(self, olive, book, growth):
        Account.objects.filter(pk=book.pk).update(portfolio=None)
        assert send(olive, "account_rebalance", book).status_code == 400
        send(olive, "account_rebalance", book, portfolio=growth.pk)
        assert Entry.objects.get().portfolio == growth


class TestAnotherPortfolio:
    def ask(self, client, book, growth, **answers):
        return send(client, "account_portfolio", book, **{"portfolio": growth.pk, "assign": None} | answers)

    def test_assigned_only(self, anns, book, growth):
        answer = self.ask(anns, book, growth, assign="on")
        assert (answer.url, said(answer)) == (page_of(book), "Growth is assigned.")
        assert again(book).portfolio == growth
        assert not Batch.objects.exists()
        assert rechecked(book).target_cash == 2

    def test_assigned_switched_on_and_rebalanced(self, anns, book, growth):
        Account.objects.filter(pk=book.pk).update(rebalancing_on=False)
        answer = self.ask(anns, book, growth, assign="on", switch_on="on", rebalance="on", logic="min_transaction")
        batch = Batch.objects.get()
        assert answer.url == reverse("rebalancer:request", args=[batch.pk])
        assert again(book).portfolio == growth
        assert again(book).rebalancing_on
        assert not batch.entries.get().assigns_portfolio
        assert "Growth is assigned. Rebalancing is switched on." in said(answer)

    def test_rebalanced_now_and_assigned_at_approval(self, anns, book, balanced, growth):
        answer = self.ask(anns, book, growth, rebalance="on")
        assert "Growth is assigned when it is approved." in said(answer)
        assert again(book).portfolio == balanced
        assert Entry.objects.get().assigns_portfolio

    def test_nothing_asked_is_nothing_done(self, anns, book, growth):
        answer = self.ask(anns, book, growth)
        assert errors(answer) == {"__all__": "Choose what is to be done with it."}

    def test_off_and_rebalanced_wants_a_word(self, anns, book, growth):
        Account.objects.filter(pk=book.pk).update(rebalancing_on=False)
        answer = self.ask(anns, book, growth, rebalance="on")
        assert "although_off" in errors(answer)
        self.ask(anns, book, growth, rebalance="on", although_off="on")
        assert not again(book).rebalancing_on
        assert Batch.objects.count() == 1

    def test_all_of_it_or_nothing(self, olive, book):
        book.linked_portfolios.add(cash := make.portfolio("All Cash"))
        answer = self.ask(olive, book, cash, assign="on", rebalance="on")
        assert answer.status_code == 409
        assert again(book).portfolio.name == "Balanced"
        assert not AuditLine.objects.filter(verb="portfolio.assigned").exists()
        assert AuditLine.objects.filter(verb="refused", after__command="portfolio.changed").count() == 1

    def test_it_was_given_another_one_meanwhile(self, anns, book, growth):
        fields = typed(anns, address("account_portfolio", book)) | {"portfolio": growth.pk}
        book.linked_portfolios.add(other := make.portfolio("Income", AGG=98))
        Account.objects.filter(pk=book.pk).update(portfolio=other)
        answer = anns.post(address("account_portfolio", book), fields)
        assert answer.status_code == 409
        assert "has changed since you looked; it is Income now. Nothing was done." in text(answer)
        assert "It is held to Income now." in text(answer)
        assert again(book).portfolio == other
        assert said(anns.post(address("account_portfolio", book), sent_again(answer))) == "Growth is assigned."

    def test_one_that_is_not_linked_any_more(self, anns, book, growth, balanced):
        book.linked_portfolios.add(make.portfolio("Income", AGG=98))
        fields = typed(anns, address("account_portfolio", book)) | {"portfolio": growth.pk}
        book.linked_portfolios.remove(growth)
        answer = anns.post(address("account_portfolio", book), fields)
        assert "not linked with the account any more" in errors(answer)["portfolio"]
        assert again(book).portfolio == balanced

    def test_none_is_linked(self, anns, book, balanced):
        book.linked_portfolios.set([balanced])
        assert "No portfolio is linked with this account." in text(anns.get(page_of(book)))
        assert anns.post(address("account_portfolio", book), {"assign": "on"}).status_code == 409

    def test_while_it_is_under_way_it_is_assigned_and_not_rebalanced(self, anns, ann, book, growth):
        batch = opened(ann, book).batch
        shown = text(anns.get(address("account_portfolio", book)))
        assert f"It cannot be rebalanced now: It is in request {batch.pk} already." in shown
        answer = self.ask(anns, book, growth, assign="on", rebalance="on", logic="best_fit")
        assert answer.status_code == 409
        assert f"it is in request {batch.pk}" in text(answer)
        assert again(book).portfolio != growth
        self.ask(anns, book, growth, assign="on")
        assert again(book).portfolio == growth
        assert Batch.objects.count() == 1


def test_the_queue_and_a_request_lead_to_the_account(anns, ann, book):
    assert f'href="{page_of(book)}"' in anns.get(reverse("rebalancer:queue")).content.decode()
    batch = opened(ann, book).batch
    batches.propose_batch(batch.pk)
    assert f'href="{page_of(book)}"' in anns.get(reverse("rebalancer:request", args=[batch.pk])).content.decode()
