import pytest
from django.test import Client

from accounts.models import AuditLine
from tests import factories as make

pytestmark = pytest.mark.django_db


def lines():
    return [(line.verb, line.by and line.by.username) for line in AuditLine.objects.order_by("id")]


def test_signing_in_and_out_leaves_lines(client: Client):
    anna = make.advisor("anna")
    client.force_login(anna)
    client.logout()
    assert lines() == [("person.signed_in", "anna"), ("person.signed_out", "anna")]
    assert AuditLine.objects.first().object_name == "anna"


def test_a_failed_sign_in_names_who_was_tried(client, rf):
    make.advisor("anna")
    assert not client.login(request=rf.post("/login/"), username="anna", password="wrong")
    line = AuditLine.objects.get()
    assert (line.verb, line.by, line.after) == ("person.sign_in_failed", None, {"username": "anna"})


def sign_in(client, username, password=make.PASSWORD):
    return client.post("/login/", {"username": username, "password": password})


def test_the_right_password_does_not_open_a_lock(client, settings):
    make.advisor("anna")
    for _ in range(settings.AXES_FAILURE_LIMIT):
        locked = sign_in(client, "anna", "wrong")
    assert locked.status_code == 429
    assert sign_in(client, "anna").status_code == 429
    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize("username", ["a" * 151, "a" * 10_000])
def test_an_endless_user_name_is_nobodys(client, username):
    answer = sign_in(client, username)
    assert answer.status_code == 200
    assert "Please enter a correct username and password." in answer.content.decode()
    assert not AuditLine.objects.exists()


@pytest.mark.parametrize("username", ["", "an\0na"])
def test_what_is_no_user_name_is_asked_for_in_words(client, username):
    assert "Enter your user name and your password." in sign_in(client, username).content.decode()
