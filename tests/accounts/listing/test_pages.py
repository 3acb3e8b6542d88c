"""The list page as a person meets it: rows, chips, memory, layout, selection, export; and what it costs."""

import csv
import io
import re

import pytest
from django.contrib.sessions.models import Session

from accounts.listing import filters
from accounts.listing.memory import KEY, close_area, is_open
from accounts.models import Account, AuditLine, User

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.accounts.listing.example")]

QUERIES_OF_A_PAGE = 4  # session; person with roles; one aggregate; the rows
FRAGMENT = {"HX-Request": "true", "HX-Target": "listing"}


def text(response):
    return re.sub(r"\s+", " ", response.content.decode())


class TestRows:
    def test_rows_under_filter_tile_search_and_sort(self, fetch):
        assert fetch().numbers == ["1000", "1001", "1002", "1003", "1004", "1005"]
        assert fetch("?f=custodian:any:Schwab&sort=-cash").numbers == ["1003", "1002", "1001", "1000"]
        assert fetch("?tile=rich&tile=first").numbers == ["1005"]
        assert fetch("?q=dun").numbers == ["1003"]
        assert fetch("?f=&sort=last_rebalanced").numbers[-1] == "1005"
        assert fetch("?f=&sort=-last_rebalanced").numbers[-1] == "1005"

    @pytest.mark.parametrize(
        "query",
        [
            "?f=cash:gte:5k",
            "?colour=red",
            "?sort=colour",
            "?sort=conditions",
            "?page=x",
            "?page=0",
            "?page=-1",
            "?page=1&page=2",
            "?per=7",
            "?per=100000",
            "?tile=nothing",
            "?selected=1",
            "?f=cash:gte:5&f=cash:gte:5",
        ],
    )
    def test_what_is_not_understood_shows_words_and_no_rows(self, fetch, query):
        response = fetch(query)
        assert response.status_code == 200
        assert response.numbers == []
        assert "No rows are shown" in text(response)
        assert 'role="alert"' in text(response)

    def test_a_page_beyond_the_end_is_the_last_one_and_says_so(self, fetch):
        response = fetch("?f=&per=25&page=9")
        assert len(response.numbers) == 6
        assert "There is no page 9 any more; this is the last one." in text(response)

    def test_the_pager_counts(self, fetch, accounts):
        more = Account.objects.get(number="1001")
        for index in range(60):
            more.pk, more.number = None, f"2{index:03d}"
            more.save()
        assert "51–66 of 66" in text(fetch("?f=&page=2"))
        assert len(fetch("?f=&page=2").numbers) == 16

    def test_all_that_match_are_as_many_as_there_are(self, fetch):
        assert "Select all 6 accounts that match" in text(fetch())
        assert "Select the one account that matches" in text(fetch("?q=dun"))

    def test_an_advisor_sees_only_their_own(self, client, accounts):
        advisor = User.objects.create_user("advisor")
        Account.objects.filter(number="1002").update(advisor=advisor)
        client.force_login(advisor)
        response = client.get("/accounts/?f=cash:gte:-100")
        assert [row.pk for row in response.context["table"].drawn] == [accounts[2].pk]
        assert response.context["pager"].total == 1

    def test_signed_out_means_sign_in(self, client, db):
        assert client.get("/accounts/").status_code == 302


class TestCost:
    @pytest.mark.parametrize(
        "query", ["?f=", "?f=custodian:any:Schwab&tile=off&q=1&sort=-cash", "?f=&page=3", "?f=cash:gte:99999", "?f=x"]
    )
    def test_queries_of_a_page(self, fetch, query, django_assert_max_num_queries):
        fetch(query)
        with django_assert_max_num_queries(QUERIES_OF_A_PAGE):
            fetch(query)

    def test_the_number_of_rows_does_not_matter(self, fetch, django_assert_max_num_queries):
        model = Account.objects.get(number="1001")
        copies = [Account(number=f"3{i:03d}", name="Copy", custodian_id=model.custodian_id) for i in range(300)]
        Account.objects.bulk_create(copies)
        fetch("?per=200")
        with django_assert_max_num_queries(QUERIES_OF_A_PAGE):
            assert len(fetch("?per=200").numbers) == 200


class TestChips:
    def test_each_leads_to_the_address_without_it(self, fetch):
        chips = fetch("?f=cash:gte:0&f=custodian:any:Schwab&page=1").context["chips"]
        assert [chip.words for chip in chips] == ["Cash ≥ $0", "Custodian is Schwab"]
        assert fetch(chips[0].off).numbers == ["1000", "1001", "1002", "1003"]

    def test_the_error_stands_beside_the_chip_that_caused_it(self, fetch):
        chips = fetch("?f=cash:gte:5k&f=custodian:any:Schwab").context["chips"]
        assert chips[0].words == "Cash ≥ 5k"
        assert [bool(chip.error) for chip in chips] == [True, False]
        assert fetch(chips[0].off).numbers == ["1000", "1001", "1002", "1003"]

    def test_adding_one_step_by_step_without_javascript(self, fetch, client):
        assert "is greater than or equal to" in text(fetch("?f=custodian:any:Schwab&add=cash"))
        response = fetch("?f=custodian%3Aany%3ASchwab&column=cash&condition=gte&value=500")
        assert response.status_code == 302
        assert client.get(response.url).context["table"].drawn[0].label == "1002 '=Castell"

    @pytest.mark.parametrize(
        "again",
        ["column=cash&condition=gte&value=$1,000.00", "column=custodian&condition=any&value=Fidelity&value=Schwab"],
    )
    def test_adding_one_that_stands_already_changes_nothing(self, fetch, again):
        standing = "f=cash%3Agte%3A1000&f=custodian%3Aany%3ASchwab%7CFidelity"
        assert fetch(f"?{standing}&{again}").url == f"/accounts/?{standing}"

    def test_the_other_bound_of_the_same_column_is_another_filter(self, fetch, client):
        added = fetch("?f=cash:gte:1000&column=cash&condition=lte&value=1000").url
        chips = client.get(added).context["chips"]
        assert [chip.words for chip in chips] == ["Cash ≥ $1,000", "Cash ≤ $1,000"]

    def test_a_choice_offers_what_the_visible_rows_hold(self, fetch):
        response = fetch("?f=&add=custodian", **{"HX-Request": "true", "HX-Target": "add-filter"})
        assert [value for value, _ in response.context["adding_choices"]] == ["Fidelity", "Schwab"]
        assert "<html" not in text(response)

    def test_too_many_choices_to_list_are_typed(self, fetch, client, monkeypatch):
        monkeypatch.setattr(filters, "LONGEST_LIST", 1)
        response = fetch("?f=&add=custodian")
        assert response.context["adding_conditions"] == [("is", "is equal to")]
        assert 'id="add-value" type="text"' in text(response)
        typed = client.get(fetch("?column=custodian&condition=is&value=Fidelity").url)
        assert [row.pk for row in typed.context["table"].drawn] == [
            account.pk for account in Account.objects.filter(custodian__name="Fidelity")
        ]

    def test_what_was_typed_badly_becomes_a_chip_with_its_error(self, fetch, client):
        response = client.get(fetch("?column=cash&condition=gte&value=5k").url)
        assert response.context["chips"][0].error
        assert response.context["table"].drawn == []

    @pytest.mark.parametrize("typed", ["column=custodian&condition=any", "column=cash&condition=gte&value=+"])
    def test_nothing_chosen_or_typed_is_said(self, fetch, client, typed):
        response = client.get(fetch(f"?{typed}").url)
        assert response.context["chips"][0].error.endswith(": no value was given.")
        assert response.context["table"].drawn == []

    def test_markup_in_an_address_stays_text(self, fetch):
        assert "<script>alert" not in text(fetch("?f=<script>alert(1)</script>&sort=<script>alert(1)</script>"))


class TestMemory:
    def test_an_address_without_query_string_is_refilled(self, fetch):
        fetch("?f=custodian:any:Schwab&page=1&sort=cash")
        response = fetch()
        assert response.status_code == 302
        assert response.url == "/accounts/?f=custodian%3Aany%3ASchwab&sort=cash"

    def test_no_filter_is_remembered_as_no_filter(self, fetch):
        fetch("?f=custodian:any:Schwab")
        fetch("?f=")
        assert fetch().status_code == 200

    def test_what_was_not_understood_is_not_remembered(self, fetch):
        fetch("?f=custodian:any:Schwab")
        fetch("?f=cash:gte:5k")
        assert "Schwab" in fetch().url

    def test_a_get_writes_only_when_the_address_changes(self, fetch, django_assert_max_num_queries):
        fetch("?tile=rich")
        before = Session.objects.get().session_data
        fetch("?tile=rich&page=1")
        assert Session.objects.get().session_data == before

    def test_closing_the_area_forgets(self, fetch, client):
        fetch("?tile=rich")
        client.post("/accounts/?tile=rich", {"do": "layout", "columns": ["cash"]})
        session = client.session
        assert is_open(session, "rebalancer")
        close_area(session, "rebalancer")
        session.save()
        assert not is_open(session, "rebalancer")
        assert fetch().status_code == 200


class TestLayout:
    def shown(self, response):
        return [head.label for head in response.context["headers"]]

    def test_default(self, fetch):
        assert self.shown(fetch("?f=")) == ["Account", "Name", "Custodian", "Cash $", "Conditions", "Last rebalanced"]

    def test_chosen_and_ordered_with_the_fixed_in_front(self, fetch, client):
        answer = client.post("/accounts/?tile=rich", {"do": "layout", "columns": ["checked", "cash", "number", "cash"]})
        assert answer.url == "/accounts/?tile=rich"
        assert self.shown(fetch("?tile=rich")) == ["Account", "Name", "Check wanted", "Cash $"]

    def test_none_chosen_leaves_the_fixed(self, fetch, client):
        client.post("/accounts/", {"do": "layout"})
        assert self.shown(fetch("?f=")) == ["Account", "Name"]
        client.post("/accounts/", {"do": "layout-default"})
        assert len(self.shown(fetch("?f="))) == 6

    def test_names_that_are_gone_are_dropped(self, fetch, client):
        fetch("?f=")
        session = client.session
        session[KEY] = {"rebalancer": {"layouts": {"accounts": {"columns": ["gone", "cash", "", "name"]}}}}
        session.save()
        assert self.shown(fetch("?f=")) == ["Account", "Name", "Cash $"]

    def test_sorting_by_a_column_that_is_hidden(self, fetch, client):
        client.post("/accounts/", {"do": "layout", "columns": ["custodian"]})
        assert fetch("?sort=-cash").numbers[0] == "1005"

    def test_another_command_is_refused(self, fetch, client):
        assert client.post("/accounts/", {"do": "anything"}).status_code == 400


class TestSelectedRows:
    def keep(self, client, at="?f=", **fields):
        return client.post(f"/accounts/{at}", {"do": "show-selected", "query": "f=", "shown": "6", **fields})

    def test_shows_only_the_picked(self, fetch, client, accounts):
        answer = self.keep(client, scope="picked", ids=f"{accounts[2].pk},{accounts[4].pk}")
        assert answer.url == "/accounts/?f=&selected=1"
        assert fetch("?f=&selected=1").numbers == ["1002", "1004"]
        assert fetch("?f=custodian:any:Schwab&selected=1").numbers == ["1002"]

    def test_shows_all_but_the_exceptions(self, fetch, client, accounts):
        self.keep(client, scope="all", query="f=cash:gte:1000", shown="3", ids=str(accounts[4].pk))
        assert fetch("?f=&selected=1").numbers == ["1003", "1005"]

    def test_a_damaged_selection_changes_nothing(self, fetch, client):
        fetch("?f=")
        assert self.keep(client, scope="all", query="", ids="").status_code == 400
        assert fetch("?selected=1").numbers == []

    def test_a_selection_of_a_filter_gone_bad_shows_nothing(self, fetch, client):
        self.keep(client, scope="all", query="f=cash:gte:5k", ids="")
        response = fetch("?selected=1")
        assert response.numbers == []
        assert "No rows are shown" in text(response)


class TestRecord:
    """What was not understood is on record: once for an address, however often it is asked for."""

    def lines(self):
        found = AuditLine.objects.filter(verb="refused", after__command="list.asked").order_by("pk")
        return [(line.by.username, line.after["where"], line.after["why"]) for line in found]

    def test_filters_by_hand(self, fetch):
        fetch("?f=cash:gte:5")
        assert self.lines() == []
        for address in ("?f=cash:gte:5k", "?f=cash:gte:5k", "?colour=red", "?f=cash:gte:5k&export=csv"):
            fetch(address)
        assert [where for _, where, _ in self.lines()] == [
            "/accounts/?f=cash:gte:5k", "/accounts/?colour=red", "/accounts/?f=cash:gte:5k&export=csv",
        ]  # fmt: skip
        assert self.lines()[0][::2] == ("operator", "Cash: “5k” is not an amount in dollars, like 10,000.00.")

    def test_a_character_that_no_text_has(self, fetch):
        assert fetch("?f=%00").numbers == []
        assert len(self.lines()) == 1

    @pytest.mark.parametrize("scope", ["picked", "all"])
    def test_rows_of_somebody_else(self, client, accounts, scope):
        advisor = User.objects.create_user("advisor")
        Account.objects.filter(number="1002").update(advisor=advisor)
        client.force_login(advisor)
        chosen = {"scope": scope, "query": "f=", "shown": "1", "ids": f"{accounts[2].pk},{accounts[4].pk}"}
        answer = client.post("/accounts/?f=", {"do": "show-selected", **chosen})
        assert answer.status_code == 400
        assert "The selection holds rows that you cannot see. Nothing was done." in text(answer)
        assert [who for who, _, _ in self.lines()] == ["advisor"]
        assert client.get("/accounts/?f=&selected=1").context["table"].drawn == []


class TestFragment:
    def test_count_query_and_shown_come_with_the_rows(self, fetch):
        body = text(fetch("?f=custodian:any:Schwab&page=1&sort=cash", **FRAGMENT))
        assert "<html" not in body
        assert body.strip().startswith('<div id="listing"')
        assert 'name="query" value="f=custodian%3Aany%3ASchwab"' in body
        assert 'name="shown" value="4"' in body
        assert "1–4 of 4" in body

    def test_the_page_includes_that_very_fragment(self, fetch):
        fragment = text(fetch("?tile=rich", **FRAGMENT)).strip()
        whole = text(fetch("?tile=rich"))
        token = re.compile(r'name="csrfmiddlewaretoken" value="\w+"')
        assert token.sub("", fragment) in token.sub("", whole)

    def test_rows_that_cannot_be_selected_have_a_dead_box(self, fetch, accounts):
        body = text(fetch("?q=Alder", **FRAGMENT))
        assert f'value="{accounts[0].pk}" data-pick aria-label="Select 1000 Alder" disabled' in body

    def test_no_inline_style_or_script_anywhere(self, fetch):
        body = text(fetch("?f=&add=cash"))
        assert "style=" not in body
        assert "<style" not in body
        assert "javascript:" not in body
        assert not re.search(r"\son\w+=", body)
        assert all(" src=" in tag for tag in re.findall(r"<script[^>]*>", body))


class TestExport:
    def rows(self, response):
        return list(csv.reader(io.StringIO(b"".join(response.streaming_content).decode())))

    def test_all_rows_under_the_filter_in_the_chosen_columns(self, fetch, client):
        client.post("/accounts/", {"do": "layout", "columns": ["last_rebalanced", "cash"]})
        rows = self.rows(fetch("?f=custodian:any:Schwab&sort=-cash&page=2&export=csv"))
        assert rows == [
            ["Account", "Name", "Last rebalanced", "Cash $"],
            ["1003", "Dunmore", "2026-11-13", "1000.00"],
            ["1002", "'=Castell", "2026-11-12", "500.00"],
            ["1001", "Berg", "2026-11-11", "0.00"],
            ["1000", "Alder", "2026-11-10", "-50.00"],
        ]

    @pytest.mark.parametrize("query", ["?f=cash:gte:5k&export=csv", "?f=&export=xls", "?sort=no&export=csv"])
    def test_a_bad_address_exports_nothing(self, fetch, query):
        response = fetch(query)
        assert response.status_code == 400
        assert b"1001" not in response.content


class TestCommand:
    def act(self, client, **fields):
        return client.post("/accounts/act/", {"scope": "all", "query": "f=", "shown": "6", "ids": "", **fields})

    def test_all_that_match(self, fetch, client):
        fetch("?f=")
        assert text(self.act(client, query="f=cash:gte:1000", shown="3")) == "3 done: 1003, 1004, 1005"

    def test_a_changed_number_does_nothing_and_offers_the_new_one(self, fetch, client):
        fetch("?f=")
        answer = self.act(client, query="f=cash:gte:1000", shown="7", logic="best_fit")
        assert answer.status_code == 409
        assert "7 shown, 3 now." in text(answer)
        assert ("logic", "best_fit") in answer.context["fields"]
        again = dict(answer.context["fields"])
        assert text(client.post("/accounts/act/", again)) == "3 done: 1003, 1004, 1005"

    @pytest.mark.parametrize(
        "damage", [{"query": ""}, {"query": "f=cash:gte:5k"}, {"scope": "picked"}, {"scope": "picked", "ids": "999999"}]
    )
    def test_a_damaged_selection_does_nothing_and_says_so(self, fetch, client, damage):
        fetch("?f=")
        answer = self.act(client, **damage)
        assert answer.status_code == 400
        assert "Nothing was done" in text(answer)
