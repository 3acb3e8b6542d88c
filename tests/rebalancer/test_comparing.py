"""Best Fit and Min Transaction side by side: the same figures as proposing by each, kept as they were."""

import io
import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.urls import reverse

from accounts.models import Account, TaxStatus
from rebalancer import comparing, engine, selectors, storing
from rebalancer.comparing import compared
from rebalancer.models import Alternative, Batch, Entry, TradeLine
from rebalancer.recommended import recommended
from rebalancer.services import batches, days, proposing
from rebalancer.states import OTHER_LOGIC, BatchState, EntryState, Logic
from tax.models import Lot
from tests import factories as make
from trading import sessions

from .conftest import again, chosen, drifted, opened, pending
from .verify.harder import harden

pytestmark = pytest.mark.django_db
TOTALS = [name for name in storing.ALTERNATIVE_TOTALS if name != "unknown_lots"]


def of(batch, number):
    entry = Entry.objects.select_related("alternative").get(batch=batch, account_number=number)
    return compared(entry, recommended(entry), batch.logic)


def page(client, batch, number):
    entry = Entry.objects.get(batch=batch, account_number=number)
    return client.get(reverse("rebalancer:request_account", args=[batch.pk, entry.pk]))


def card(response):
    """The comparison as the page shows it."""
    _, _, after = response.content.decode().partition("<h2>Compare tax impact</h2>")
    return after.partition("</section>")[0]


def side(comparison, logic):
    return next(one for one in comparison.sides if one.logic == logic)


def gains(comparison):
    """{symbol: (short, long, short, long)} under Best Fit and Min Transaction."""
    return {
        one.line.position.symbol: tuple(amount for gain in one.gains for amount in (gain.short_term, gain.long_term))
        for one in comparison.lines
    }


@pytest.fixture
def olive(client, desk):
    client.force_login(desk)
    return client


@pytest.fixture
def split(balanced):
    """An account whose VTI has a short-term lot; 72.5 % VTI, so that Min Transaction trades less than Best Fit."""
    return mixed(balanced, "A1")


def mixed(balanced, number, **fields):
    account = make.account(number, portfolio=balanced, cash=Decimal(2500), lot_method="hifo", **fields)
    make.lot(account, "VTI", 60, cost=7200, acquired=sessions.today() - timedelta(days=30))
    make.lot(account, "VTI", 665, cost=53200)
    make.lot(account, "AGG", 500, cost=22000)
    return account


class TestBothLogics:
    """What is kept of the other logic is, to the cent, what a request of that logic proposes at the same prices."""

    @pytest.fixture
    def book(self, tmp_path, desk):
        quiet = {"stdout": io.StringIO(), "stderr": io.StringIO()}
        call_command("generate_book", tmp_path, accounts=80, positions=10, lots=4, seed=11, **quiet)
        harden(tmp_path)
        call_command("import_book", tmp_path, **quiet)
        some = Lot.objects.order_by("pk").values_list("pk", flat=True)[::9]
        Lot.objects.filter(pk__in=list(some)).update(total_cost=None)
        return Account.objects.filter(is_open=True, portfolio__isnull=False, rebalancing_on=True)

    def proposed(self, book, desk, logic):
        batch = batches.open_batch(by=desk, accounts=book, shown=book.count(), logic=logic).batch
        batches.propose_batch(batch.pk)
        return again(batch)

    @pytest.mark.parametrize("logic", [Logic.BEST_FIT, Logic.MIN_TRANSACTION])
    def test_figures_are_those_of_a_request_of_that_logic(self, book, desk, logic):
        batch = self.proposed(book, desk, logic)
        kept = {row.entry_id: row for row in Alternative.objects.filter(entry__batch=batch)}
        assert len(kept) == Entry.objects.filter(batch=batch, state=EntryState.PROPOSED).count() > 60
        batches.switch_logic(batch, by=desk, logic=OTHER_LOGIC[logic])
        batches.propose_batch(batch.pk)
        for entry in Entry.objects.filter(pk__in=kept):
            assert kept[entry.pk].logic == OTHER_LOGIC[logic]
            assert {name: getattr(kept[entry.pk], name) for name in storing.ALTERNATIVE_TOTALS} == {
                name: getattr(entry, name) for name in storing.ALTERNATIVE_TOTALS
            }
            assert self.of_sales(entry) == {
                (sleeve, security): (short, long, short_lots + long_lots)
                for sleeve, security, short, long, short_lots, long_lots in kept[entry.pk].gains
            }

    def of_sales(self, entry):
        """{(sleeve, security): short- and long-term gain in cents, lots of unknown cost} of what went to market."""
        sold = TradeLine.objects.filter(entry=entry, side="sell", market_quantity__gt=0)
        return {
            (line.sleeve_id, line.security_id): (
                in_cents(line.short_term_gain), in_cents(line.long_term_gain), line.unknown_lots,
            )
            for line in sold
        }  # fmt: skip

    def test_both_sides_are_the_same_whichever_is_proposed(self, book, desk):
        batch = self.proposed(book, desk, Logic.BEST_FIT)
        numbers = Entry.objects.filter(batch=batch, state=EntryState.PROPOSED).values_list("account_number", flat=True)
        before = {number: of(batch, number) for number in numbers}
        batches.switch_logic(batch, by=desk, logic=Logic.MIN_TRANSACTION)
        batches.propose_batch(batch.pk)
        batch = again(batch)
        seen = set()
        for number, comparison in before.items():
            now = of(batch, number)
            assert gains(now) == gains(comparison)
            assert [one.own for one in comparison.sides] == [True, False]
            assert [one.own for one in now.sides] == [False, True]
            for one, then in zip(now.sides, comparison.sides, strict=True):
                assert (one.logic, one.total, one.traded) == (then.logic, then.total, then.traded)
                assert [getattr(one.figures, name) for name in TOTALS] == [
                    getattr(then.figures, name) for name in TOTALS
                ]
            seen |= {(one.total.unknown_short > 0, one.total.unknown_long > 0) for one in now.sides}
        assert seen == {(False, False), (True, False), (False, True), (True, True)}, "the book does not try everything"

    def test_totals_are_the_sums_of_the_positions(self, book, desk):
        batch = self.proposed(book, desk, Logic.MIN_TRANSACTION)
        for entry in Entry.objects.filter(batch=batch, state=EntryState.PROPOSED):
            comparison = of(batch, entry.account_number)
            for at, one in enumerate(comparison.sides):
                for name in ("short_term", "long_term"):
                    known = [getattr(row.gains[at], name) for row in comparison.lines]
                    known = [amount for amount in known if amount is not None]
                    assert sum(known) == (getattr(one.total, name) or 0)


def in_cents(amount):
    return None if amount is None else int(amount * 100)


class TestPage:
    def test_gains_stand_side_by_side_with_what_else_differs(self, olive, split, desk):
        batch = pending(desk, split)
        answer = page(olive, batch, "A1")
        comparison = answer.context["comparison"]
        # HIFO sells the dear lot first: 60 at $120 a share, short; the rest at $80 a share, long.
        assert gains(comparison) == {
            "VTI": (Decimal("-1200.00"), Decimal("1300.00"), Decimal("-900.00"), Decimal("0.00"))
        }
        best, fewest = comparison.sides
        assert (best.own, fewest.own) == (True, False)
        assert (best.figures.sells_value, fewest.figures.sells_value) == (Decimal("12500.00"), Decimal("4500.00"))
        shown = card(answer)
        assert shown.count("as proposed") == 1
        assert shown.index("Best Fit") < shown.index("as proposed") < shown.index("Min Transaction")
        for words in ("(1,200.00)", "1,300.00", "(900.00)", "12,500.00", "4,500.00", "1 other position", "taxable"):
            assert words in shown
        assert "not taxable" not in shown

    def test_the_logic_of_the_request_is_marked(self, olive, split, desk):
        shown = card(page(olive, pending(desk, split, logic=Logic.MIN_TRANSACTION), "A1"))
        assert shown.index("Min Transaction") < shown.index("as proposed")

    def test_unknown_cost_is_a_dash_with_the_lots_beside(self, olive, split, desk):
        Lot.objects.filter(account=split, security__symbol="VTI").update(total_cost=None)
        answer = page(olive, pending(desk, split), "A1")
        (line,) = answer.context["comparison"].lines
        assert [(gain.long_term, gain.unknown_long) for gain in line.gains] == [(None, 1), (None, 1)]
        assert "1 lot of unknown cost" in card(answer)
        assert "—" in card(answer)

    def test_a_part_that_is_known_is_summed_and_the_rest_counted(self, olive, split, desk):
        Lot.objects.filter(account=split, quantity=60).update(total_cost=None)
        Account.objects.filter(pk=split.pk).update(lot_method="lifo")
        answer = page(olive, pending(desk, split), "A1")
        best, _ = answer.context["comparison"].sides
        assert (best.total.short_term, best.total.unknown_short) == (None, 1)
        assert (best.total.long_term, best.total.unknown_long) == (Decimal("1300.00"), 0)
        assert "1 lot of unknown cost not counted" in card(answer)

    def test_gains_that_are_not_taxed_are_marked(self, olive, balanced, desk):
        batch = pending(desk, mixed(balanced, "D1", tax_status=TaxStatus.TAX_EXEMPT))
        assert "not taxable: tax exempt" in card(page(olive, batch, "D1"))

    def test_without_a_sale_it_says_so(self, olive, balanced, desk):
        calm = make.account("C1", portfolio=balanced, cash=Decimal(2000))
        make.lot(calm, "VTI", 600, cost=1)
        make.lot(calm, "AGG", 760, cost=1)
        shown = card(page(olive, pending(desk, calm), "C1"))
        assert comparing.IDLE in shown
        assert "2 positions, nothing sold at the market" in shown
        assert shown.count("none") == 2

    def test_only_one_of_them_trades(self, olive, balanced, desk):
        near = make.account("N1", portfolio=balanced, cash=Decimal(2000))
        make.lot(near, "VTI", 640, cost=51200)
        make.lot(near, "AGG", 680, cost=34000)
        batch = pending(desk, near, logic=Logic.MIN_TRANSACTION)
        comparison = page(olive, batch, "N1").context["comparison"]
        best, fewest = comparison.sides
        assert fewest.traded == "none"
        assert best.traded == "1 buy, 1 sell"
        assert gains(comparison) == {"VTI": (Decimal(0), Decimal("800.00"), Decimal(0), Decimal(0))}

    def test_a_failed_account_has_nothing_to_compare(self, olive, three, desk):
        Account.objects.filter(pk=three[2].pk).update(cash=Decimal(-500000))
        batch = pending(desk, *three)
        assert not Alternative.objects.filter(entry__account=three[2]).exists()
        assert comparing.NOT_PROPOSED in card(page(olive, batch, "A3"))

    def test_a_liquidation_is_not_compared(self, olive, three, desk):
        confirmed = selectors.sale_list(chosen(three[0])).digest
        batch = pending(desk, three[0], logic=Logic.LIQUIDATE, confirmed=confirmed)
        assert not Alternative.objects.exists()
        shown = card(page(olive, batch, "A1"))
        assert comparing.LIQUIDATION in shown
        assert "<table" not in shown

    def test_a_logic_that_cannot_propose_the_account_says_why(self, olive, split, desk):
        batch = pending(desk, split)
        nothing = dict.fromkeys(TOTALS)
        Alternative.objects.update(reason="Available cash would end 5.00 dollars below zero.", gains=[], **nothing)
        shown = card(page(olive, batch, "A1"))
        assert "By Min Transaction this account could not be proposed. Available cash would end 5.00" in shown
        assert "(1,200.00)" in shown
        assert re.findall(r"<td[^>]*>([^<]+)</td></tr>", shown) == ["—"] * 6

    def test_what_was_proposed_before_comparisons_were_kept_says_so(self, olive, split, desk):
        batch = pending(desk, split)
        Alternative.objects.all().delete()
        assert comparing.ANEW in card(page(olive, batch, "A1"))
        batches.cancel(batch, by=desk)
        assert comparing.ANEW not in card(page(olive, batch, "A1"))
        assert comparing.NOTHING_KEPT in card(page(olive, batch, "A1"))

    def test_while_it_waits_to_be_proposed_anew_nothing_is_compared(self, olive, split, desk):
        batch = pending(desk, split)
        batches.switch_logic(batch, by=desk, logic=Logic.MIN_TRANSACTION)
        assert card(page(olive, batch, "A1")) == ""

    def test_looking_writes_nothing(self, olive, split, desk):
        batch = pending(desk, split)
        before = list(Alternative.objects.values()), list(Entry.objects.values()), TradeLine.objects.count()
        page(olive, batch, "A1")
        assert (list(Alternative.objects.values()), list(Entry.objects.values()), TradeLine.objects.count()) == before

    def test_only_who_sees_the_account_sees_it(self, client, balanced, ann, desk):
        batch = pending(desk, mixed(balanced, "A1", advisor=ann), mixed(balanced, "A2"))
        client.force_login(ann)
        assert "(1,200.00)" in card(page(client, batch, "A1"))
        assert page(client, batch, "A2").status_code == 404


class TestKept:
    """Approved, cancelled or removed: what was seen then is seen now, whatever became of lots, prices and logics."""

    def upset(self, account):
        """The book changes under the request."""
        Lot.objects.filter(account=account).delete()
        Account.objects.filter(pk=account.pk).update(cash=Decimal(1), tax_status=TaxStatus.TAX_EXEMPT)
        make.price("VTI", 130)
        make.price("AGG", 60)

    def test_when_approved(self, olive, split, desk):
        batch = pending(desk, split)
        before = card(page(olive, batch, "A1"))
        stake = selectors.stake(batch)
        seen = {"version": batch.proposal_version, "accounts": 1, "net_dollars": stake.net_dollars}
        batches.approve(batch, by=desk, **seen)
        batches.finish_approval(batch.pk)
        self.upset(split)
        assert again(batch).state == BatchState.COMPLETE
        assert card(page(olive, batch, "A1")) == before
        assert "(900.00)" in before

    def test_when_cancelled(self, olive, split, desk):
        batch = pending(desk, split)
        before = card(page(olive, batch, "A1"))
        batches.cancel(batch, by=desk)
        self.upset(split)
        assert card(page(olive, batch, "A1")) == before

    def test_when_removed_before_the_logic_was_switched(self, olive, balanced, desk):
        batch = pending(desk, mixed(balanced, "A1"), mixed(balanced, "A2"))
        before = card(page(olive, batch, "A1"))
        batches.remove(batch, by=desk, entries=Entry.objects.filter(batch=batch, account_number="A1"), shown=1)
        batches.switch_logic(again(batch), by=desk, logic=Logic.MIN_TRANSACTION)
        batches.propose_batch(batch.pk)
        assert card(page(olive, batch, "A1")) == before
        assert "Best Fit · 1 buy, 1 sell" in page(olive, batch, "A1").content.decode()
        assert "Min Transaction · 1 buy, 1 sell" in page(olive, batch, "A2").content.decode()

    def test_when_the_day_ended_while_it_waited_for_another_logic(self, olive, split, desk):
        batch = pending(desk, split)
        before = card(page(olive, batch, "A1"))
        batches.switch_logic(batch, by=desk, logic=Logic.MIN_TRANSACTION)
        Batch.objects.filter(pk=batch.pk).update(opened_at="2026-01-05T12:00Z")
        days.end_of_day()
        assert card(page(olive, batch, "A1")) == before

    def test_it_is_replaced_when_proposed_anew_and_goes_with_the_entry(self, split, desk):
        batch = pending(desk, split)
        batches.repropose(batch, by=desk)
        batches.propose_batch(batch.pk)
        assert Alternative.objects.get().entry.batch == batch
        batch.delete()
        assert not Alternative.objects.exists()


def test_what_breaks_the_other_logic_breaks_no_proposal(olive, three, desk, monkeypatch):
    def broken(scale):
        raise ArithmeticError("made up")

    monkeypatch.setitem(engine.LOGICS, "min_transaction", broken)
    batch = opened(desk, *three).batch
    proposing.propose_batch(batch.pk)
    assert set(batch.entries.values_list("state", flat=True)) == {EntryState.PROPOSED}
    assert comparing.ANEW in card(page(olive, again(batch), "A1"))


def test_a_request_of_before_is_compared_once_it_is_proposed_anew(olive, balanced, desk):
    batch = pending(desk, drifted(balanced, "A1"))
    Alternative.objects.all().delete()
    batches.repropose(batch, by=desk)
    batches.propose_batch(batch.pk)
    assert of(again(batch), "A1").own.logic == Logic.BEST_FIT
