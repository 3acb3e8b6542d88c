"""A selection is what the person saw, or nothing at all."""

from urllib.parse import urlencode

import pytest
from django.http import QueryDict

from accounts.listing.filters import FilterRefused
from accounts.listing.selection import Selection, SelectionChanged, SelectionError
from accounts.models import Account

from .example import AccountFilters

GOOD = {"scope": "all", "query": "f=", "shown": "6", "ids": ""}


def posted(**changes):
    fields = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return QueryDict(urlencode(fields, doseq=True))


@pytest.mark.parametrize(
    "changes",
    [
        {"scope": ""},
        {"scope": None},
        {"scope": "everything"},
        {"scope": ["all", "picked"]},
        {"query": ""},
        {"query": None},
        {"query": ["f=", "f=cash:gte:5"]},
        {"query": "f=&selected=1"},
        {"shown": ""},
        {"shown": None},
        {"shown": "-1"},
        {"shown": "6.0"},
        {"shown": "٦"},
        {"ids": None},
        {"ids": ["1", "2"]},
        {"ids": "1,,2"},
        {"ids": "1,a"},
        {"ids": "1,1"},
        {"ids": "0"},
        {"ids": "-4"},
        {"ids": " 1"},
        {"scope": "picked", "ids": ""},
    ],
)
def test_a_damaged_selection_is_refused(changes):
    with pytest.raises(SelectionError):
        Selection.parse(posted(**changes))


def test_nothing_posted_is_refused():
    with pytest.raises(SelectionError):
        Selection.parse(QueryDict(""))


def test_picks_are_those_ids_within_the_base(accounts):
    ids = [accounts[1].pk, accounts[4].pk]
    selection = Selection.parse(posted(scope="picked", ids=",".join(map(str, ids))))
    assert selection.expected == 2
    assert {one.pk for one in selection.rows(Account.objects.all(), AccountFilters)} == set(ids)
    assert list(selection.rows(Account.objects.filter(pk=ids[0]), AccountFilters)) == [accounts[1]]


def test_all_is_the_filter_without_the_exceptions(accounts):
    selection = Selection.parse(posted(query="f=cash:gte:1000", shown="3", ids=str(accounts[4].pk)))
    assert selection.expected == 2
    rows = selection.rows(Account.objects.order_by("pk"), AccountFilters)
    assert list(rows) == [accounts[3], accounts[5]]


@pytest.mark.parametrize("query", ["f=cash:gte:5k", "f=nothing:is:1", "g=1", "tile=nothing", "f=&f=", "q=a&q=b"])
def test_all_under_a_filter_not_understood_is_nothing(accounts, query):
    selection = Selection.parse(posted(query=query))
    with pytest.raises(FilterRefused):
        selection.rows(Account.objects.all(), AccountFilters)


def test_all_cannot_reach_beyond_the_base(accounts):
    selection = Selection.parse(posted())
    assert list(selection.rows(Account.objects.none(), AccountFilters)) == []


def test_ids_of_rows_not_seen_are_refused(accounts):
    selection = Selection.parse(posted(scope="picked", ids=f"{accounts[0].pk},{accounts[1].pk}"))
    selection.require_seen(Account.objects.all())
    with pytest.raises(SelectionError):
        selection.require_seen(Account.objects.filter(pk=accounts[0].pk))


def test_a_changed_number_says_both():
    assert str(SelectionChanged(1342, 1339)) == "1,342 shown, 1,339 now"


def test_going_on_with_the_new_number(accounts):
    selection = Selection.parse(posted(shown="9", ids=str(accounts[0].pk)))
    found = selection.rows(Account.objects.all(), AccountFilters).count()
    assert found != selection.expected
    again = Selection.parse(QueryDict(urlencode(selection.grown(found).fields())))
    assert again.expected == found


def test_fields_say_the_same_selection_again(accounts):
    for post in (posted(shown="6", ids="3,2"), posted(scope="picked", ids="3,2")):
        selection = Selection.parse(post)
        assert Selection.parse(QueryDict(urlencode(selection.fields()))) == selection
