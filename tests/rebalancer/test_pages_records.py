"""The record of a run and of a delivery: what was refused can be followed from Home to the row that is wrong."""

from datetime import date

import pytest

from accounts.models import Delivery, DeliveryFile, RunRecord
from tests import factories as make
from tests.books import FILES, deliver

pytestmark = pytest.mark.django_db
LOGGED_IN = 2  # session, person with roles and permissions
OF_THE_PAGE = 3  # the run, its delivery, the files
OF_THE_FRAME = 5  # kept some seconds: zone, newest price with breaks, work waiting (three)
BAD = FILES | {
    "transactions.csv": """
        account_number,date,kind,symbol,quantity,amount,external_id
        A1,2026-11-10,deposit,,,5000,T1
        Z9,2026-11-10,deposit,,,5000,T2
        A2,2026-11-11,deposit,,,abc,T3
    """,
}


@pytest.fixture
def refused(tmp_path):
    """The record of an import of which one file was refused."""
    assert deliver(tmp_path, BAD).refused
    return RunRecord.objects.get(kind=RunRecord.Kind.IMPORT)


def text(client, address):
    page = client.get(address)
    assert page.status_code == 200, address
    return " ".join(page.content.decode().split())


def test_from_home_to_the_row_that_is_wrong(olive, refused):
    home = text(olive, "/")
    delivery = Delivery.objects.get()
    assert f'<a href="/deliveries/{delivery.pk}/">1 file refused</a>' in home
    assert f'<a href="/runs/{refused.pk}/">Import</a>' in home
    assert '<span class="state state-warn">1 file refused</span>' in home
    for address in (f"/deliveries/{delivery.pk}/", f"/runs/{refused.pk}/"):
        found = text(olive, address)
        assert "8 taken, 1 refused" in found
        assert "What is wrong with transactions.csv" in found
        assert '<td class="num">3</td><td>account_number</td><td class="clip" title="Z9">Z9</td>' in found
        assert '<td class="num">4</td><td>amount</td><td class="clip" title="abc">abc</td>' in found


def test_an_import_that_took_everything(olive, tmp_path):
    deliver(tmp_path, FILES)
    home = text(olive, "/")
    assert "refused" not in home
    assert ">Done<" in home
    found = text(olive, f"/runs/{RunRecord.objects.get().pk}/")
    assert "9 taken, 0 refused" in found
    assert "What is wrong" not in found


def test_many_bad_rows_are_cut_and_counted(olive):
    delivery = Delivery.objects.create(session=date(2026, 11, 19))
    rows = [[line, "amount", "x", f"is no number {line}"] for line in range(2, 10_002)]
    last = [0, "", "", "and 5,000 more; 15,000 in all"]
    kept = {"delivery": delivery, "state": DeliveryFile.State.REFUSED}
    DeliveryFile.objects.create(name="lots.csv", problems=[*rows, last], **kept)
    DeliveryFile.objects.create(name="cash.csv", problems=rows[:300], **kept)
    DeliveryFile.objects.create(name="prices.csv", problems=[[0, "", "", "is no text"]], **kept)
    found = text(olive, f"/deliveries/{delivery.pk}/")
    assert "the first 200 of 15,000. " in found
    assert "the first 200 of 300. " in found
    assert "is no number 201<" in found
    assert "is no number 202<" not in found
    assert '<td class="num">whole file</td>' in found


def test_other_runs_say_what_they_counted_or_why_they_failed(olive):
    day = {"business_day": date(2026, 11, 20)}
    done = RunRecord.objects.create(
        kind=RunRecord.Kind.ANALYSIS, state=RunRecord.State.DONE, counts={"high_cash": 3}, **day
    )
    failed = RunRecord.objects.create(
        kind=RunRecord.Kind.PRICES, state=RunRecord.State.FAILED, errors=["OSError: no feed"], **day
    )
    running = RunRecord.objects.create(kind=RunRecord.Kind.IMPORT, done=2, total=9, **day)
    assert '>High cash</th><td class="num">3</td>' in text(olive, f"/runs/{done.pk}/")
    assert "<li>OSError: no feed</li>" in text(olive, f"/runs/{failed.pk}/")
    assert "It is under way." in text(olive, f"/runs/{running.pk}/")


def test_advisors_are_told_and_not_shown(client, ann, refused):
    """Bad rows name accounts of everybody."""
    client.force_login(ann)
    home = text(client, "/")
    assert "<strong>1 file refused</strong>" in home
    assert "/runs/" not in home
    for address in (f"/runs/{refused.pk}/", f"/deliveries/{Delivery.objects.get().pk}/"):
        assert client.get(address).status_code == 404
        client.logout()
        assert client.get(address).status_code == 302
        client.force_login(ann)


def test_administrators_see_them_and_nobody_sees_what_is_not_there(client, refused):
    client.force_login(make.administrator())
    text(client, f"/runs/{refused.pk}/")
    assert client.get("/runs/999999/").status_code == client.get("/deliveries/999999/").status_code == 404


def test_the_cost_of_the_page(olive, refused, django_assert_max_num_queries):
    with django_assert_max_num_queries(LOGGED_IN + OF_THE_PAGE + OF_THE_FRAME):
        olive.get(f"/runs/{refused.pk}/")
