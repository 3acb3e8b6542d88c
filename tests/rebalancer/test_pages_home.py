"""Home: what the morning brought, of the accounts that a person sees, in a constant number of queries."""

from datetime import date
from decimal import Decimal

import pytest

from accounts.models import Account, Delivery, DeliveryFile, RunRecord
from rebalancer.models import Batch
from rebalancer.services import checks
from tests import factories as make
from tests.rebalancer.conftest import pending
from trading import sessions

pytestmark = pytest.mark.django_db

HOME = "/"
LOGGED_IN = 2  # session, person with roles and permissions
OF_THE_PAGE = 4  # the tiles, the records, the statuses, the requests
OF_THE_FRAME = 5  # kept some seconds: zone, newest price with breaks, work waiting (three)


@pytest.fixture
def firm():
    """Ann's account is far off its target and Ben's can't be checked."""
    make.price("VTI", 100)
    balanced = make.portfolio("Balanced", VTI=60, AGG=38)
    fresh = {"portfolio": balanced, "cash": Decimal(50_000)}
    ann, ben = make.advisor("ann"), make.advisor("ben")
    make.price("AGG", 50)
    drifted = make.account("A1", advisor=ann, delivered_for=sessions.last_completed_session(), **fresh)
    make.account("B1", advisor=ben, delivered_for=date(2020, 1, 2), **fresh)
    checks.analyse()
    return drifted


def signed_in(client, person):
    client.force_login(person)
    return client


def page(client):
    return " ".join(client.get(HOME).content.decode().split())


def test_everybody_signs_in_to_what_is_theirs(client, firm):
    ann = page(signed_in(client, Account.objects.get(number="A1").advisor))
    assert "of 1 to rebalance" in ann
    assert "1 account, each in one status" in ann
    assert "Unable to Check" in ann
    assert "Nothing waits for anybody." in ann
    ben = page(signed_in(client, Account.objects.get(number="B1").advisor))
    assert "1 account: Unable to Check</a>" in ben
    assert "Nothing waits" not in ben


def test_an_empty_firm_says_what_to_do(client):
    found = page(signed_in(client, make.operations()))
    assert "There are no accounts yet." in found
    assert "Nothing has run yet." in found
    assert "no delivery yet" in found


def test_accounts_that_nothing_has_checked_yet_are_there(client, db):
    make.account("A1")
    found = page(signed_in(client, make.operations()))
    assert "1 account, none of them analysed yet." in found
    assert "There are no accounts yet." not in found


def test_what_came_in_ran_and_waits(client, firm):
    desk = make.operations()
    delivery = Delivery.objects.create(session=date(2026, 11, 19))
    DeliveryFile.objects.create(delivery=delivery, name="lots.csv", state=DeliveryFile.State.REFUSED)
    day = date(2026, 11, 20)
    failed = RunRecord.objects.create(
        kind=RunRecord.Kind.IMPORT, business_day=day, state=RunRecord.State.FAILED, errors=["no"]
    )
    RunRecord.objects.create(kind=RunRecord.Kind.PRICES, business_day=day, done=3, total=8)
    request = pending(desk, firm)
    found = page(signed_in(client, desk))
    assert "last delivery of 2026-11-19" in found
    assert f'<a href="/deliveries/{delivery.pk}/">1 file refused</a>' in found
    assert f'<a href="/runs/{failed.pk}/">1 run failed</a>' in found
    assert ">3 of 8<" in found
    assert ">1 request pending</a>" in found
    assert f">Request {request.pk}</a>" in found


def test_a_failed_run_that_was_run_again_needs_nobody(client, firm):
    day = date(2026, 11, 20)
    for state in (RunRecord.State.FAILED, RunRecord.State.DONE):
        RunRecord.objects.create(kind=RunRecord.Kind.IMPORT, business_day=day, state=state)
    assert "run failed" not in page(signed_in(client, make.operations()))


def test_a_request_that_came_back_stands_first(client, firm):
    desk = make.operations()
    Batch.objects.filter(pk=pending(desk, firm).pk).update(trouble="A1 changed: cash.")
    found = page(signed_in(client, desk))
    assert ">1 request came back</a>" in found
    assert "request pending<" not in found


def test_the_cost_of_the_page(client, firm, django_assert_max_num_queries):
    desk = make.operations()
    pending(desk, firm)
    signed_in(client, desk)
    with django_assert_max_num_queries(LOGGED_IN + OF_THE_PAGE + OF_THE_FRAME):
        client.get(HOME)
    with django_assert_max_num_queries(LOGGED_IN + OF_THE_PAGE):
        client.get(HOME)
