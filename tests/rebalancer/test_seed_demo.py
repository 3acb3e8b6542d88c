"""seed_demo: a firm that shows everything, brought in once."""

import pytest
from django.core.management import call_command
from django.db.models import Count

from accounts.models import Account, AuditLine, Delivery, Price, Restriction, Role, User
from rebalancer.book.demo import STORIES
from rebalancer.models import Check
from rebalancer.services.demo import PASSWORD, PEOPLE
from rebalancer.states import Source, Status
from tax.models import Lot
from trading import hours

pytestmark = pytest.mark.django_db


@pytest.fixture
def sign_ins(capsys):
    call_command("seed_demo")
    return capsys.readouterr().out.splitlines()


def test_every_status_tile_and_source_occurs(sign_ins):
    checks = Check.objects.all()
    assert checks.count() == Account.objects.count() == len(STORIES) >= 60
    assert set(checks.values_list("status", flat=True)) == {status.value for status in Status}
    assert set(checks.filter(wanted=True).values_list("source", flat=True)) == set(Source.values)
    for tile in ("first_rebalance", "high_cash", "low_cash", "position_drift"):
        assert checks.filter(**{tile: True}, account__rebalancing_on=True).count() >= 4
    assert checks.filter(first_rebalance=True, high_cash=True).exists()
    assert checks.filter(first_rebalance=True, low_cash=True).exists()
    assert not checks.filter(reason="").exists()


def test_the_book_has_lots_restrictions_and_simulated_prices(sign_ins):
    assert set(Restriction.objects.values_list("kind", flat=True)) == set(Restriction.Kind.values)
    assert set(Price.objects.values_list("source", flat=True)) == {"simulated"}
    per_position = Lot.objects.values("account", "sleeve", "security").annotate(lots=Count("pk"))
    assert per_position.filter(lots=3).count() > 0.9 * per_position.count()
    assert Account.objects.filter(cash__lt=0).exists()
    assert Lot.objects.filter(total_cost=None).exists()
    assert {sleeve for (sleeve,) in Lot.objects.values_list("sleeve__kind")} == {"managed", "model", "protected"}
    advised = Account.objects.exclude(advisor=None).values_list("advisor__username").annotate(n=Count("pk"))
    assert sorted(name for name, _ in advised) == ["advisor1", "advisor2", "advisor3"]
    assert min(count for _, count in advised) >= 15


def test_the_markets_hours_are_known_at_once(sign_ins):
    assert hours.standing().known


def test_people_sign_in_with_what_is_printed(sign_ins, client):
    assert [line.split()[:3] for line in sign_ins] == [
        [name, PASSWORD, role.value] for name, (_, _, role) in PEOPLE.items()
    ]
    for name, (_, _, role) in PEOPLE.items():
        person = User.objects.get(username=name)
        assert person.check_password(PASSWORD)
        assert person.roles == {role}
        assert person.is_staff == (role == Role.ADMINISTRATOR)


def test_twice_is_once(sign_ins, capsys):
    before = [model.objects.count() for model in (Account, Lot, User, Delivery, Price, AuditLine)]
    call_command("seed_demo")
    call_command("seed_demo", if_empty=True)
    assert [model.objects.count() for model in (Account, Lot, User, Delivery, Price, AuditLine)] == before
    assert capsys.readouterr().out.splitlines() == sign_ins * 2


def test_a_firm_with_accounts_is_left_alone_and_shows_no_sign_ins(tmp_path, capsys):
    call_command("generate_book", str(tmp_path), accounts=2, positions=2, lots=1, seed=1)
    call_command("import_book", str(tmp_path), "--as-of=2026-11-18")
    call_command("seed_demo", if_empty=True)
    assert capsys.readouterr().out == ""
    assert Account.objects.count() == 2
