"""Deliveries and trades of our own: confirmed, put on top again, or shown as a break; nothing lost, nothing twice."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from accounts.models import Account, AuditLine, Model, Position
from accounts.services.refusals import Refused
from tax.models import BookedLot, Booking, Break, Lot
from tax.services.reconciling import resolve_break
from tests import factories as make
from tests.books import FILES, deliver
from tests.trading.ended import ended, part
from trading.models import Order
from trading.services.allocating import allocate
from trading.states import Side

pytestmark = pytest.mark.django_db

WEDNESDAY, THURSDAY, FRIDAY = "2026-11-18", "2026-11-19", "2026-11-20"
ON_THURSDAY = datetime(2026, 11, 19, 15, tzinfo=UTC)
ON_FRIDAY = datetime(2026, 11, 20, 15, tzinfo=UTC)
CASH = FILES["cash.csv"]
LOTS = """
    account_number,sleeve,symbol,lot_id,quantity,total_cost,acquired_on
    A1,,VTI,L1,10,2000,2024-02-29
    A1,,VTI,L2,5,,2025-11-18
"""


def cash(amount):
    return f"""
        account_number,amount
        A1,{amount}
        A2,-10
    """


def lots_csv(*rows):
    return "\n".join(["account_number,sleeve,symbol,lot_id,quantity,total_cost,acquired_on", *rows])


OLD = ("A1,,VTI,L1,10,2000,2024-02-29", "A1,,VTI,L2,5,,2025-11-18")


def lots():
    rows = Lot.objects.filter(account__number="A1").order_by("lot_id", "sleeve__kind")
    return [(lot.lot_id, lot.sleeve.kind, lot.quantity, lot.total_cost) for lot in rows.select_related("sleeve")]


def balance():
    return Account.objects.get(number="A1").cash


def breaks():
    rows = Break.objects.filter(resolved_at=None).order_by("security__symbol")
    return [(row.security and row.security.symbol, row.expected, row.delivered) for row in rows]


def provisional():
    return list(Booking.objects.order_by("pk").values_list("is_provisional", flat=True))


def in_step():
    sums = {}
    for row in Lot.objects.values_list("account", "sleeve", "security", "quantity"):
        sums[row[:3]] = sums.get(row[:3], 0) + row[3]
    return sums == {
        row[:3]: row[3] for row in Position.objects.values_list("account", "sleeve", "security", "quantity")
    }


@pytest.fixture
def book(tmp_path):
    """A1 with 10 VTI of L1, 5 of L2 in managed and 1,234.50 of cash, delivered for Wednesday."""
    assert not deliver(tmp_path, FILES | {"lots.csv": LOTS}).refused
    return tmp_path


def account():
    return Account.objects.get(number="A1")


def sell(quantity, *taken, at=ON_THURSDAY, price=300, sleeve="managed"):
    order = ended(
        Side.SELL, part(account(), quantity, taken, sleeve=sleeve), fills=[(quantity, price)], at=at, price=price
    )
    assert allocate(order.pk), Order.objects.get(pk=order.pk).trouble
    return order


def buy(quantity, at=ON_THURSDAY, price=100, sleeve="managed"):
    order = ended(Side.BUY, part(account(), quantity, sleeve=sleeve), fills=[(quantity, price)], at=at, price=price)
    assert allocate(order.pk)
    return order


class TestConfirmed:
    def test_what_is_delivered_as_booked_is_provisional_no_more(self, book):
        sell(4, ("L1", "4"))
        assert balance() == Decimal("2434.50")
        done = deliver(
            book,
            {"cash.csv": cash("2434.50"), "lots.csv": lots_csv("A1,,VTI,L1,6,1200,2024-02-29", OLD[1])},
            THURSDAY,
        )
        assert "1 of our own trades are confirmed" in done.said
        assert (provisional(), breaks(), balance()) == ([False], [], Decimal("2434.50"))
        assert lots() == [("L1", "managed", 6, 1200), ("L2", "managed", 5, None)]
        assert in_step()

    def test_a_difference_in_shares_and_cash_is_a_break_each_and_the_delivery_wins(self, book):
        sell(4, ("L1", "4"))
        done = deliver(
            book, {"cash.csv": cash("2134.50"), "lots.csv": lots_csv("A1,,VTI,L1,7,1400,2024-02-29", OLD[1])}, THURSDAY
        )
        assert "2 reconciliation breaks" in done.said
        assert breaks() == [("VTI", 11, 12), (None, Decimal("2434.50"), Decimal("2134.50"))]
        assert (provisional(), balance()) == ([False], Decimal("2134.50"))
        assert lots()[0] == ("L1", "managed", 7, 1400)

    def test_new_transactions_that_are_no_trades_explain_cash(self, book):
        sell(4, ("L1", "4"))
        transactions = """
            account_number,date,kind,symbol,quantity,amount,external_id
            A1,2026-11-10,deposit,,,5000,T1
            A1,2026-11-19,sell,VTI,-4,1200,T3
            A1,2026-11-19,dividend,VTI,,12.34,T4
            A1,2026-11-19,fee,,,-2,T5
        """
        lots_ = lots_csv("A1,,VTI,L1,6,1200,2024-02-29", OLD[1])
        deliver(book, {"cash.csv": cash("2444.84"), "lots.csv": lots_, "transactions.csv": transactions}, THURSDAY)
        assert breaks() == []

    def test_accounts_without_bookings_of_ours_have_no_breaks(self, book):
        deliver(book, {"cash.csv": cash("7"), "lots.csv": lots_csv("A1,,VTI,L9,1,1,2024-02-29")}, THURSDAY)
        assert breaks() == []

    def test_the_same_delivery_again_changes_nothing(self, book):
        sell(4, ("L1", "4"))
        files = {"cash.csv": cash("2134.50"), "lots.csv": lots_csv("A1,,VTI,L1,7,1400,2024-02-29", OLD[1])}
        deliver(book, files, THURSDAY)
        before = (lots(), breaks(), balance(), provisional())
        deliver(book, files, THURSDAY)
        assert (lots(), breaks(), balance(), provisional()) == before


class TestOnTop:
    def test_later_trades_come_on_top_of_an_earlier_session(self, book):
        sell(4, ("L2", "4"), at=ON_FRIDAY)
        bought = buy(3, at=ON_FRIDAY)
        after = (lots(), balance())
        done = deliver(book, {"cash.csv": CASH, "lots.csv": lots_csv(*OLD)}, THURSDAY)
        assert "2 of our own trades of later sessions stay on top" in done.said
        assert (lots(), balance()) == after
        assert after[0] == [
            ("L1", "managed", 10, 2000),
            ("L2", "managed", 1, None),
            (f"order {bought.pk}", "managed", 3, 300),
        ]
        assert (provisional(), breaks()) == ([True, True], [])
        assert BookedLot.objects.count() == 2
        assert in_step()

    def test_what_they_did_to_lots_follows_the_delivered_cost(self, book):
        sell(4, ("L2", "4"), at=ON_FRIDAY)
        assert BookedLot.objects.get().gain is None
        deliver(book, {"cash.csv": CASH, "lots.csv": lots_csv(OLD[0], "A1,,VTI,L2,5,1000.01,2025-11-18")}, THURSDAY)
        assert (BookedLot.objects.get().cost, BookedLot.objects.get().gain) == (Decimal("800.01"), Decimal("399.99"))
        assert ("L2", "managed", 1, 200) in lots()

    def test_trades_of_both_sides_of_the_session(self, book):
        sell(4, ("L1", "4"), at=ON_THURSDAY)
        sell(6, ("L1", "6"), at=ON_FRIDAY)
        assert lots() == [("L2", "managed", 5, None)]
        deliver(
            book, {"cash.csv": cash("2434.50"), "lots.csv": lots_csv("A1,,VTI,L1,6,1200,2024-02-29", OLD[1])}, THURSDAY
        )
        assert lots() == [("L2", "managed", 5, None)]
        assert (provisional(), breaks(), balance()) == ([False, True], [], Decimal("4234.50"))

    def test_two_trades_of_one_position_go_one_after_the_other(self, book):
        first = buy(5, at=ON_FRIDAY)
        sell(20, ("L1", "10"), ("L2", "5"), (f"order {first.pk}", "5"), at=ON_FRIDAY)
        assert lots() == []
        deliver(book, {"cash.csv": CASH, "lots.csv": lots_csv(*OLD)}, THURSDAY)
        assert (lots(), breaks(), provisional()) == ([], [], [True, True])
        assert in_step()

    def test_a_lot_with_another_name_gives_instead(self, book):
        sell(4, ("L1", "4"), at=ON_FRIDAY)
        deliver(book, {"cash.csv": CASH, "lots.csv": lots_csv("A1,,VTI,X1,10,2000,2024-02-29", OLD[1])}, THURSDAY)
        assert lots() == [("L2", "managed", 5, None), ("X1", "managed", 6, 1200)]
        assert (provisional(), BookedLot.objects.get().lot_id) == ([True], "X1")

    def test_shares_that_are_not_there_are_a_break(self, book):
        sell(12, ("L1", "10"), ("L2", "2"), at=ON_FRIDAY)
        deliver(book, {"cash.csv": CASH, "lots.csv": lots_csv("A1,,VTI,L2,5,,2025-11-18")}, THURSDAY)
        assert breaks() == [("VTI", 15, 5)]
        assert (provisional(), balance()) == ([False], Decimal("1234.50"))
        assert lots() == [("L2", "managed", 5, None)]
        assert in_step()


class TestHalfADelivery:
    def test_cash_alone_gets_later_trades_on_top_and_lots_stay(self, book):
        sell(4, ("L1", "4"), at=ON_FRIDAY)
        before = lots()
        deliver(book, {"cash.csv": cash("1000")}, THURSDAY)
        assert (lots(), balance(), provisional(), breaks()) == (before, 2200, [True], [])

    def test_lots_that_are_refused_leave_cash_and_lots_right(self, book):
        sell(4, ("L1", "4"), at=ON_FRIDAY)
        before = lots()
        done = deliver(book, {"cash.csv": cash("1000"), "lots.csv": lots_csv("A1,,NONE,L1,10,1,2020-01-02")}, THURSDAY)
        assert done.refused
        assert (lots(), balance(), provisional(), breaks()) == (before, 2200, [True], [])
        deliver(book, {"cash.csv": cash("1000"), "lots.csv": lots_csv(*OLD)}, THURSDAY)
        assert (lots(), balance(), provisional(), breaks()) == (before, 2200, [True], [])

    def test_cash_of_the_trades_own_session_confirms_nothing_until_its_lots_come(self, book):
        sell(4, ("L1", "4"))
        deliver(book, {"cash.csv": cash("2434.50")}, THURSDAY)
        assert (balance(), provisional(), breaks()) == (Decimal("2434.50"), [True], [])
        lots_ = lots_csv("A1,,VTI,L1,6,1200,2024-02-29", OLD[1])
        deliver(book, {"cash.csv": cash("2434.50"), "lots.csv": lots_}, THURSDAY)
        assert (balance(), provisional(), breaks()) == (Decimal("2434.50"), [False], [])

    def test_refused_cash_changes_nothing(self, book):
        sell(4, ("L1", "4"), at=ON_FRIDAY)
        before = (lots(), balance())
        deliver(book, {"cash.csv": cash("much"), "lots.csv": lots_csv(*OLD)}, THURSDAY)
        assert ((lots(), balance()), provisional()) == (before, [True])


def test_fills_that_come_after_their_delivery_are_noted_and_not_booked_twice(book):
    lots_ = lots_csv("A1,,VTI,L1,6,1200,2024-02-29", OLD[1])
    deliver(book, {"cash.csv": cash("2434.50"), "lots.csv": lots_}, THURSDAY)
    sell(4, ("L1", "4"))
    assert (balance(), provisional(), breaks()) == (Decimal("2434.50"), [False], [])
    assert lots() == [("L1", "managed", 6, 1200), ("L2", "managed", 5, None)]


class TestSleeves:
    def delivered(self, book, *rows, session=THURSDAY, amount="0"):
        deliver(book, {"cash.csv": cash(amount), "lots.csv": lots_csv(*OLD, *rows)}, session)
        return [lot for lot in lots() if lot[0] not in ("L1", "L2")]

    def test_a_buy_of_a_model_comes_back_into_its_sleeve(self, book):
        buy(3, sleeve=Model.objects.get(name="Core"))
        assert self.delivered(book, "A1,,VTI,N1,3,300,2026-11-19", amount="934.50") == [("N1", "model", 3, 300)]
        assert breaks() == []

    def test_dated_when_it_was_settled(self, book):
        buy(3, sleeve=Model.objects.get(name="Core"))
        found = self.delivered(book, "A1,,VTI,N1,3,300,2026-11-20", session=FRIDAY, amount="934.50")
        assert found == [("N1", "model", 3, 300)]

    def test_two_sleeves_in_one_lot_or_in_two(self, book):
        core = Model.objects.get(name="Core")
        buy(3, sleeve=core)
        buy(5)
        assert self.delivered(book, "A1,,VTI,N1,8,800,2026-11-19") == [
            ("N1", "managed", 5, 500),
            ("N1", "model", 3, 300),
        ]

    def test_each_lot_of_a_buy_that_came_in_pieces(self, book):
        buy(8, sleeve=Model.objects.get(name="Core"))
        found = self.delivered(book, "A1,,VTI,N1,3,300,2026-11-19", "A1,,VTI,N2,5,500,2026-11-19")
        assert found == [("N1", "model", 3, 300), ("N2", "model", 5, 500)]

    def test_other_new_lots_go_to_managed(self, book):
        buy(3, sleeve=Model.objects.get(name="Core"))
        found = self.delivered(book, "A1,,VTI,N1,4,400,2026-11-19", "A1,,VTI,N2,3,300,2026-11-18")
        assert found == [("N1", "managed", 4, 400), ("N2", "managed", 3, 300)]

    def test_what_a_model_sold_later_is_known_to_have_been_there(self, book):
        core = Model.objects.get(name="Core")
        whole = FILES["lots.csv"]
        deliver(book, {"cash.csv": CASH, "lots.csv": whole}, WEDNESDAY)
        sell(3, ("L1", "3"), at=ON_FRIDAY, sleeve=core)
        after = lots()
        rows = ("A1,,VTI,L1,13,2900.01,2024-02-29", "A1,,VTI,L2,5.5,,2025-11-18")
        deliver(book, {"cash.csv": CASH, "lots.csv": lots_csv(*rows)}, THURSDAY)
        assert [lot[:3] for lot in lots()] == [lot[:3] for lot in after]
        assert (provisional(), breaks()) == ([True], [])


class TestResolving:
    @pytest.fixture
    def gap(self, db):
        return Break.objects.create(
            account=make.account("A1"),
            security=make.security("VTI"),
            session=date(2026, 11, 19),
            expected=1,
            delivered=2,
        )

    def test_once_with_words_and_an_audit_line(self, gap):
        desk, other = make.operations("olivia"), make.operations("oscar")
        resolve_break(gap, by=desk, words=" the custodian corrects it ")
        gap.refresh_from_db()
        assert (gap.resolved_by, gap.words, gap.resolved_at is None) == (desk, "the custodian corrects it", False)
        assert AuditLine.objects.get(verb="break.resolved").after["words"] == "the custodian corrects it"
        with pytest.raises(Refused, match="olivia has resolved this break already: the custodian corrects it"):
            resolve_break(gap, by=other, words="me too")

    @pytest.mark.parametrize("words", ["", "  ", "x" * 201])
    def test_words_are_needed(self, gap, words):
        with pytest.raises(Refused):
            resolve_break(gap, by=make.operations(), words=words)
        assert Break.objects.get().resolved_at is None

    def test_by_operations_only(self, gap):
        with pytest.raises(Exception, match="Only Operations may do this"):
            resolve_break(gap, by=make.advisor(), words="fine")
        assert AuditLine.objects.filter(verb="refused").exists()
