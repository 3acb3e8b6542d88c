"""Securities, custodians, households and people; and who is asked for by role."""

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from accounts import selectors
from accounts.models import Account, AuditLine, Custodian, Household, Role, Security, User
from accounts.services import records
from accounts.services.refusals import Refused
from tests import factories as make

pytestmark = pytest.mark.django_db


def wanted():
    return set(Account.objects.exclude(check_wanted_at=None).values_list("number", flat=True))


def test_a_changed_security_wants_checks_of_who_is_concerned_and_an_unchanged_one_none():
    make.account("wants", portfolio=make.portfolio("P", VTI=90))
    make.lot(make.account("holds"), "VTI", 1)
    make.account("neither", portfolio=make.portfolio("Q", AGG=90))
    make.lot(make.account("closed", is_open=False), "VTI", 1)
    Account.objects.update(check_wanted_at=None)
    security = make.security("VTI")
    assert not records.save_security(security, by=None)
    assert wanted() == set()
    security.is_active = False
    assert records.save_security(security, by=None)
    assert wanted() == {"wants", "holds"}


def test_a_security_of_a_model_does_not_become_a_sweep():
    make.model("Growth", VTI=100)
    security = make.security("VTI")
    security.kind = Security.Kind.SWEEP
    with pytest.raises(ValidationError) as refused:
        records.save_security(security, by=None)
    assert set(refused.value.message_dict) == {"kind"}
    assert Security.objects.get().kind == Security.Kind.ETF


def test_a_name_is_there_once():
    make.custodian("Fidelity")
    with pytest.raises(ValidationError) as refused:
        records.save_record(Custodian(name="Fidelity"), by=None)
    assert set(refused.value.message_dict) == {"name"}


def test_what_the_book_speaks_of_is_not_deleted():
    custodian = make.account().custodian
    with pytest.raises(Refused, match="there are accounts of it"):
        records.delete_record(custodian, by=None)
    assert Custodian.objects.filter(pk=custodian.pk).exists()


def test_deleting_leaves_what_was():
    household = make.household("Miller")
    pk = household.pk
    records.delete_record(household, by=make.administrator())
    line = AuditLine.objects.first()
    assert (line.verb, line.object_id, line.before) == ("household.deleted", str(pk), {"id": pk, "name": "Miller"})


@pytest.mark.parametrize("role", [make.advisor, make.operations])
def test_only_administrators_keep_records(role):
    person, security = role(), make.security("VTI")
    for attempt in (
        lambda: records.save_record(Household(name="X"), by=person),
        lambda: records.save_security(security, by=person),
        lambda: records.save_person(person, list(Role), by=person),
        lambda: records.delete_record(security, by=person),
    ):
        with pytest.raises(PermissionDenied):
            attempt()
        assert AuditLine.objects.first().verb == "refused"
    assert User.objects.get(pk=person.pk).roles == person.roles
    assert (Household.objects.count(), Security.objects.count()) == (0, 1)


def test_staff_follows_the_role():
    make.administrator("boss")
    person = make.advisor("anna")
    assert records.save_person(person, [Role.ADVISOR, Role.ADMINISTRATOR], by=None)
    assert (person.is_staff, person.roles) == (True, {Role.ADVISOR, Role.ADMINISTRATOR})
    assert records.save_person(person, [Role.ADVISOR], by=None)
    assert (User.objects.get(pk=person.pk).is_staff, person.roles) == (False, {Role.ADVISOR})
    assert not records.save_person(person, [Role.ADVISOR], by=None)


def test_somebody_stays_administrator():
    boss = make.administrator("boss")
    make.administrator("gone", is_active=False)
    with pytest.raises(ValidationError, match="last active Administrator"):
        records.save_person(boss, [], by=boss)
    make.administrator("second")
    assert records.save_person(boss, [Role.OPERATIONS], by=boss)


def test_people_by_role():
    anna, ben = make.advisor("anna"), make.person("ben", Role.ADVISOR, Role.OPERATIONS)
    make.advisor("gone", is_active=False)
    root = make.person("root", is_superuser=True)
    assert list(selectors.people(Role.ADVISOR)) == [anna, ben, root]
    assert list(selectors.people(Role.OPERATIONS)) == [ben, root]


def test_reads_start_from_what_a_person_may_see():
    anna, bob = make.advisor("anna"), make.advisor("bob")
    make.account("A1", advisor=anna, custodian=make.custodian("Hers"), household=make.household("Hers"))
    his = make.account("B1", advisor=bob, custodian=make.custodian("His"), household=make.household("His"))
    make.restriction(his, "VTI", "no_buy")
    assert [account.number for account in selectors.accounts(anna)] == ["A1"]
    assert [str(one) for one in selectors.custodians(anna)] == ["Hers"]
    assert [str(one) for one in selectors.households(anna)] == ["Hers"]
    assert not selectors.restrictions(anna, his)
    assert selectors.restrictions(bob, his)
    assert selectors.accounts(make.operations()).count() == 2


def test_the_newest_version_of_each_portfolio_counts():
    one, other = make.portfolio("One", VTI=90), make.portfolio("Other", VTI=90)
    make.portfolio("One", VTI=80)
    found = selectors.newest_versions()
    assert {pk: version.number for pk, version in found.items()} == {one.pk: 2, other.pk: 1}
    assert set(selectors.newest_versions([one.pk])) == {one.pk}
