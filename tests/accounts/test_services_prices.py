"""Prices as they come in: which are questioned, who decides, and what counts until then."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import PermissionDenied

from accounts.models import Account, AuditLine, Price
from accounts.selectors import newest_prices, prices_that_stop, questioned_prices
from accounts.services import prices
from accounts.services.refusals import Refused
from tests import factories as make

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)


def quote(value, days=0, symbol="VTI", source="test"):
    return prices.Quote(make.security(symbol).pk, Decimal(value), NOON + timedelta(days=days), source)


def states():
    return [price.state for price in Price.objects.order_by("as_of", "id")]


@pytest.mark.parametrize(("value", "state"), [
    ("149.99", "usable"),
    ("150", "questioned"),
    ("50.01", "usable"),
    ("50", "questioned"),
    ("0", "questioned"),
    ("-1", "questioned"),
])  # fmt: skip
def test_a_price_half_off_the_last_one_or_not_above_zero_is_questioned(value, state):
    prices.store_prices([quote("100")])
    prices.store_prices([quote(value, days=1)])
    assert states() == ["usable", state]


@pytest.mark.parametrize(("value", "state"), [("0.01", "usable"), ("0", "questioned")])
def test_the_first_price_is_only_asked_to_be_above_zero(value, state):
    assert prices.store_prices([quote(value)]) == prices.Stored(1, int(state == "questioned"))
    assert states() == [state]


def test_the_firms_setting_counts():
    make.firm(price_jump_percent=Decimal(10))
    prices.store_prices([quote("100"), quote("110", days=1)])
    assert states() == ["usable", "questioned"]


def test_it_is_measured_from_the_last_one_used():
    prices.store_prices([quote("100"), quote("200", days=1), quote("210", days=2), quote("120", days=3)])
    assert states() == ["usable", "questioned", "questioned", "usable"]


def test_a_confirmed_price_is_what_the_next_is_measured_from():
    prices.store_prices([quote("100"), quote("200", days=1)])
    prices.confirm_price(questioned_prices().get(), by=make.operations())
    prices.store_prices([quote("210", days=2)])
    assert states() == ["usable", "confirmed", "usable"]


def test_the_same_quote_again_leaves_a_decision_alone_and_a_correction_is_looked_at_again():
    prices.store_prices([quote("100"), quote("200", days=1)])
    prices.confirm_price(questioned_prices().get(), by=None)
    assert prices.store_prices([quote("200", days=1)]) == prices.Stored(0, 0)
    assert states() == ["usable", "confirmed"]
    assert prices.store_prices([quote("90", days=1)]) == prices.Stored(1, 0)
    assert [price.price for price in Price.objects.order_by("as_of")] == [100, 90]


def test_nothing_to_store():
    assert prices.store_prices([]) == prices.Stored(0, 0)


def test_the_newest_price_counts_unless_it_was_rejected():
    security = make.security("VTI")
    prices.store_prices([quote("100"), quote("200", days=1), quote("7", symbol="AGG")])
    assert newest_prices()[security.pk].price == 200
    prices.reject_price(questioned_prices().get(), by=make.administrator())
    assert newest_prices()[security.pk].price == 100
    assert len(newest_prices()) == 2


def test_a_decision_wants_checks_of_who_holds_or_wants_the_security_and_leaves_a_line():
    make.account("wants", portfolio=make.portfolio("P", VTI=90))
    make.account("wants through a model", portfolio=make.portfolio("M", [make.component(make.model("G", VTI=100), 90)]))
    make.lot(make.account("holds"), "VTI", 10)
    make.restriction(make.account("substitutes"), "AGG", "substitute", "VTI")
    make.account("neither", portfolio=make.portfolio("Q", AGG=90))
    prices.store_prices([quote("100"), quote("200", days=1)])
    Account.objects.update(check_wanted_at=None)
    person = make.operations()
    prices.confirm_price(questioned_prices().get(), by=person)
    wanted = set(Account.objects.exclude(check_wanted_at=None).values_list("number", flat=True))
    assert wanted == {"wants", "wants through a model", "holds", "substitutes"}
    line = AuditLine.objects.first()
    assert (line.verb, line.by) == ("price.confirmed", person)
    assert line.after == {"state": "confirmed", "security": "VTI"}


def test_a_price_of_zero_is_not_confirmed_but_rejected():
    prices.store_prices([quote("0")])
    row = Price.objects.get()
    with pytest.raises(Refused, match="price of 0"):
        prices.confirm_price(row, by=None)
    prices.reject_price(row, by=None)
    assert states() == ["rejected"]


@pytest.mark.parametrize("decide", [prices.confirm_price, prices.reject_price])
def test_the_second_to_decide_is_told(decide):
    prices.store_prices([quote("100"), quote("200", days=1)])
    row = questioned_prices().get()
    prices.confirm_price(Price.objects.get(pk=row.pk), by=None)
    with pytest.raises(Refused, match="VTI as of 2026-11-19 12:00 is not questioned: it is confirmed"):
        decide(row, by=None)
    assert states() == ["usable", "confirmed"]


def test_an_advisor_does_not_decide():
    prices.store_prices([quote("0")])
    with pytest.raises(PermissionDenied):
        prices.reject_price(Price.objects.get(), by=make.advisor())
    assert states() == ["questioned"]
    assert AuditLine.objects.first().verb == "refused"


@pytest.mark.parametrize("decide", [prices.confirm_price, prices.reject_price])
def test_a_price_that_became_another_since_it_was_seen_is_not_decided(decide):
    prices.store_prices([quote("100"), quote("200", days=1)])
    seen = questioned_prices().get()
    prices.store_prices([quote("300", days=1)])
    with pytest.raises(Refused, match=r"is 300 now, no longer 200. Look at it again"):
        decide(seen, by=None)
    assert states() == ["usable", "questioned"]


def test_only_the_newest_that_nobody_rejected_stops_its_security():
    prices.store_prices([quote("100"), quote("200", days=1), quote("300", days=2)])
    assert [str(price.price) for price in prices_that_stop()] == ["300.000000"]
    prices.reject_price(prices_that_stop().get(), by=None)
    assert [str(price.price) for price in prices_that_stop()] == ["200.000000"]
    prices.store_prices([quote("101", days=3)])
    assert not prices_that_stop()
    assert questioned_prices().count() == 1
