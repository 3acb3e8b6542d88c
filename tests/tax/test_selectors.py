"""What lots would bring: values and gains to the cent, known sums beside unknown ones, and the days until long-term."""

from datetime import date
from decimal import Decimal

import pytest

from accounts.models import Price
from tax.selectors import days_to_long_term, gains, valued_lots
from tests import factories as make

DAY = date(2024, 6, 15)


@pytest.mark.parametrize(
    ("acquired", "day", "left"),
    [
        (date(2023, 6, 15), date(2024, 6, 15), 1),  # sold that day: short
        (date(2023, 6, 15), date(2024, 6, 16), 0),
        (date(2015, 2, 28), date(2016, 2, 29), 1),
        (date(2023, 2, 28), date(2023, 2, 28), 367),  # to 1 March 2024, over a leap day
        (date(2020, 1, 2), date(2024, 1, 2), 0),
    ],
)
def test_days_to_long_term(acquired, day, left):
    assert days_to_long_term(acquired, day) == left


@pytest.mark.django_db
class TestValued:
    @pytest.fixture
    def olive(self):
        return make.operations("olive")

    @pytest.fixture
    def account(self):
        make.price("VTI", "10.005")
        return make.account("A1")

    def test_value_and_gain_are_rounded_half_up_at_the_lot(self, olive, account):
        make.lot(account, "VTI", 1, cost=10, lot_id="a")
        make.lot(account, "VTI", 3, cost=40, lot_id="b")
        rows = valued_lots(olive, account, DAY).order_by("lot_id").values_list("value", "gain")
        assert list(rows) == [(Decimal("10.01"), Decimal("0.01")), (Decimal("30.02"), Decimal("-9.98"))]

    def test_a_price_somebody_questions_or_rejects_is_passed_over(self, olive, account):
        make.lot(account, "VTI", 2, cost=10)
        for state in (Price.State.QUESTIONED, Price.State.REJECTED):
            make.price("VTI", 99, state=state, source=state)
        assert valued_lots(olive, account, DAY).get().value == Decimal("20.01")
        make.price("VTI", 11, state=Price.State.CONFIRMED, source="later")
        assert valued_lots(olive, account, DAY).get().value == Decimal("22.00")

    def test_gains_are_the_sum_of_known_lots_by_term(self, olive, account):
        make.lot(account, "VTI", 1, cost=8, acquired=date(2023, 6, 14))  # long on the day
        make.lot(account, "VTI", 1, cost=11, acquired=date(2023, 6, 15))  # short by a day
        make.lot(account, "VTI", 1, cost=None, acquired=date(2024, 1, 2))
        make.lot(account, "NOPRICE", 1, cost=5)
        found = gains(olive, account, DAY)
        vti, unpriced = (found[make.sleeve().pk, make.security(symbol).pk] for symbol in ("VTI", "NOPRICE"))
        assert (vti.lots, vti.long.total, vti.short.total) == (3, Decimal("2.01"), Decimal("-0.99"))
        assert (vti.both.total, vti.both.unknown) == (Decimal("1.02"), 1)
        assert (unpriced.both.total, unpriced.both.unknown, unpriced.short.total) == (None, 1, 0)
        assert (vti + unpriced).both.unknown == 2
        assert (vti + unpriced).both.total == Decimal("1.02")

    def test_of_an_account_that_is_not_theirs_there_is_nothing(self, account):
        make.lot(account, "VTI", 1, cost=8)
        assert gains(make.advisor("stranger"), account, DAY) == {}
