"""Portfolios and models as people meet them: who sees and may change what, versions, what a change does to accounts."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import PermissionDenied
from django.urls import reverse

from accounts.models import Account, AuditLine, Portfolio
from accounts.services import portfolios
from rebalancer import selectors
from rebalancer.filters.portfolios import ModelFilters, PortfolioFilters
from rebalancer.services import analysing, batches, checks, retargeting
from rebalancer.states import Source
from rebalancer.tables.portfolios import ModelTable, PortfolioTable
from tests import factories as make
from trading import sessions

from .conftest import opened

pytestmark = pytest.mark.django_db

LIST, MODELS = "/portfolios/", "/models/"
SIGNED_IN = 2  # session, person with roles and permissions
OF_A_LIST = 2  # one aggregate, the rows
LONG_AGO = datetime(2026, 5, 4, 15, tzinfo=UTC)


def text(response):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", response.content.decode()))


def at(what, target, *more):
    return reverse(f"rebalancer:{target._meta.model_name}{what}", args=[target.pk, *more])


@pytest.fixture
def admin(db):
    return make.administrator("adele", first_name="Adele", last_name="Admin")


@pytest.fixture
def core():
    return make.model("Core Bonds", AGG=70, TIP=30)


@pytest.fixture
def mixed(core):
    """60 % VTI, 38 % of the model Core Bonds, 2 % cash."""
    for symbol, value in (("VTI", 100), ("AGG", 50), ("TIP", 25), ("VXUS", 40)):
        make.price(symbol, value)
    return make.portfolio("Mixed", [make.component("VTI", 60), make.component(core, 38)])


def held(portfolio, number, vti=600, **fields):
    """An account in balance (with 600 VTI), rebalanced to its present target long ago."""
    done = {
        "last_rebalanced": LONG_AGO.date(), "last_rebalanced_at": LONG_AGO, "cash": Decimal(2000),
        "rebalanced_to": portfolio.versions.first(), "rebalancing_since": LONG_AGO - timedelta(days=1),
        "delivered_for": sessions.last_completed_session(),
    }  # fmt: skip
    account = make.account(number, portfolio=portfolio, **done | fields)
    make.lot(account, "VTI", vti, cost=60_000)
    core = portfolio.components.get(kind="model").model
    make.lot(account, "AGG", 532, cost=26_600, sleeve_of=core)
    make.lot(account, "TIP", 456, cost=11_400, sleeve_of=core)
    return account


@pytest.fixture
def book(mixed, ann):
    """A1 and A2 of Ann in balance, A3 drifted, A4 with rebalancing off, A5 closed; all held to Mixed and checked."""
    accounts = [
        held(mixed, "A1", advisor=ann), held(mixed, "A2", advisor=ann), held(mixed, "A3", vti=1200),
        held(mixed, "A4", rebalancing_on=False), held(mixed, "A5", is_open=False),
    ]  # fmt: skip
    checks.analyse()
    return accounts


@pytest.fixture
def as_admin(client, admin):
    client.force_login(admin)
    return client


def typed(target, rows, **more):
    """What the form of a portfolio or model sends; `rows` are dicts of fields or pairs of name and weight."""
    rows = [row if isinstance(row, dict) else dict(zip(("held", "weight"), row, strict=True)) for row in rows]
    fields = {"version": target.versions.first().number, "rows-TOTAL_FORMS": len(rows), "rows-INITIAL_FORMS": 0}
    if isinstance(target, Portfolio):
        fields["name"] = target.name
        rows = [{"band_kind": "relative", "triggers": "on"} | row for row in rows]
    return fields | {f"rows-{i}-{name}": value for i, row in enumerate(rows) for name, value in row.items()} | more


LESS = [("VTI", "55"), ("Core Bonds", "43"), ("Cash", "2")]
SAME = [("VTI", "60"), ("Core Bonds", "38"), ("Cash", "2")]


def queue():
    return {
        account.number: account.check_row.source
        for account in selectors.in_queue(Account.objects.filter(is_open=True)).select_related("check_row")
    }


class TestTheLists:
    def test_accounts_and_values_are_those_the_person_sees(self, client, desk, ann, book):
        for person, accounts, on, out in ((desk, 4, 3, 1), (ann, 2, 2, 0)):
            client.force_login(person)
            row = client.get(LIST).context["table"].drawn[0]
            cells = [re.sub("<[^>]*>", "", cell) for _, cell in row.cells]
            assert cells[:3] == ["Mixed", str(accounts), str(on)]
            assert cells[4].startswith(str(out))
        assert cells[3] == "200,000.00"

    def test_a_list_takes_two_queries_beside_the_persons(self, as_admin, book, django_assert_num_queries):
        for address in (LIST, MODELS):
            as_admin.get(address)
            with django_assert_num_queries(SIGNED_IN + OF_A_LIST):
                as_admin.get(f"{address}?f=")

    @pytest.mark.parametrize("query", [
        "f=accounts:is:4", "f=out:gte:1", "f=market_value:gte:400000", "q=bonds", "f=changed_by:any:—&sort=out",
        "f=cash_target:is:2",
    ])  # fmt: skip
    def test_filters_find_it(self, as_admin, book, query):
        make.portfolio("Another", VTI=99)
        assert [row.label for row in as_admin.get(f"{LIST}?{query}").context["table"].drawn][-1:] == ["Mixed"]

    def test_every_column_can_be_filtered_sorted_and_exported(self, as_admin, book):
        for address, table, filters in ((LIST, PortfolioTable, PortfolioFilters), (MODELS, ModelTable, ModelFilters)):
            names = list(table.base_columns)
            as_admin.post(address, {"do": "layout", "columns": names})
            for name in names:
                assert as_admin.get(f"{address}?f=&sort=-{name}").context["table"].drawn
            for name in filters.base_filters:
                assert as_admin.get(f"{address}?f=&add={name}").status_code == 200
            lines = b"".join(as_admin.get(f"{address}?f=&export=csv").streaming_content).decode().splitlines()
            assert len(lines) == 2
        assert lines[1].startswith("Core Bonds,2,1,Mixed,4,1,")

    def test_a_filter_that_is_not_understood_shows_nothing(self, as_admin, book):
        page = as_admin.get(f"{LIST}?f=accounts:gte:some")
        assert "is not a number" in text(page)
        assert page.context["table"].drawn == []


class TestOne:
    def test_components_bands_and_flattened_targets(self, client, ann, book, mixed):
        client.force_login(ann)
        page = client.get(at("", mixed))
        shown = text(page)
        assert "VTI: target 60.00 % threshold 48.00 % to 72.00 %, precision 57.60 % to 62.40 %" in shown
        assert "Core Bonds: target 38.00 % threshold 30.40 % to 45.60 %" in shown
        flat = [(one.sleeve, one.symbol, one.weight) for one in page.context["picture"].flattened]
        assert flat == [("", "VTI", 60), ("Core Bonds", "AGG", Decimal("26.6")), ("Core Bonds", "TIP", Decimal("11.4"))]
        assert page.context["target"].accounts_count == 2  # her own

    def test_all_bands_are_drawn_on_one_scale(self, as_admin, mixed):
        shown = as_admin.get(at("", mixed)).content.decode()
        bars = re.findall(r'class="drift-band" x="([\d.]+)".*?width="([\d.]+)"', shown)
        ends = {round(float(x) + float(width)) for x, width in bars}
        assert max(ends) == 6 + round(228 * 0.9)  # VTI's 72 % on a scale that ends at 80 %
        cash, vti = (next(bar for bar in bars if float(bar[0]) < 20), max(bars, key=lambda bar: float(bar[1])))
        assert float(vti[1]) / float(cash[1]) == pytest.approx(24 / 0.8, rel=0.1)

    def test_a_model_says_where_it_is_used(self, client, ann, book, core):
        client.force_login(ann)
        assert "Mixed 38.00 % 2 0" in text(client.get(at("", core)))

    def test_old_versions_stay_readable(self, as_admin, mixed, core):
        portfolios.save_portfolio(mixed, [make.component("VTI", 98), make.component("cash", 2)], by=None)
        old = text(as_admin.get(at("_version", mixed, 1)))
        assert "This is version 1 as it was." in old
        assert "Core Bonds" in old
        assert "VTI: weight 60 % → 98 %." in text(as_admin.get(at("", mixed)))

    def test_any_two_versions_can_be_compared(self, as_admin, mixed, core):
        rows = [
            make.component("VTI", 50, threshold_lower=5, threshold_upper=5, precision_lower=1, precision_upper=1,
                           band_kind="absolute"),
            make.component("VXUS", 48), make.component("cash", 2, triggers=False),
        ]  # fmt: skip
        portfolios.save_portfolio(mixed, rows, by=None)
        make.firm(minimum_trade_dollars=Decimal(250))
        page = as_admin.get(f"{at('_changes', mixed)}?from=1&to=3")
        assert [one.words for one in page.context["changes"]] == [
            "VTI: weight 60 % → 50 %.",
            "VTI: threshold default → ±5 points.",
            "VTI: precision default → ±1 points.",
            "Core Bonds is removed; it had 38 %.",
            "Cash: triggers rebalance yes → no.",
            "VXUS is added with 48 %.",
            "Minimum trade: setting $100 → $250.",
        ]
        assert "Flattened weights differ" in text(page)
        assert "Nothing differs" in text(as_admin.get(f"{at('_changes', mixed)}?from=2&to=2"))
        assert as_admin.get(f"{at('_changes', mixed)}?from=2&to=4").status_code == 404
        assert as_admin.get(f"{at('_changes', mixed)}?from=x").status_code == 404

    def test_a_models_weights_are_compared_too(self, as_admin, mixed, core):
        make.model("Core Bonds", AGG=80, VXUS=20)
        words = ["AGG{}: weight 70 % → 80 %.", "TIP{} is removed; it had 30 %.", "VXUS{} is added with 20 %."]
        own = as_admin.get(at("_changes", core)).context["changes"]
        assert [one.words for one in own] == [one.format("") for one in words]
        in_portfolio = as_admin.get(at("_changes", mixed)).context["changes"]
        assert [one.words for one in in_portfolio] == [one.format(" in Core Bonds") for one in words]


class TestWhoMayWhat:
    READ = [
        LIST, MODELS, "portfolio", "portfolio_version", "portfolio_changes", "model", "model_version", "model_changes",
    ]  # fmt: skip
    WRITE = ["portfolio_edit", "portfolio_save", "model_edit", "model_save"]

    @staticmethod
    def address(name, mixed, core):
        if name.startswith("/"):
            return name
        target = mixed if name.startswith("portfolio") else core
        return reverse(f"rebalancer:{name}", args=[target.pk, *([1] if name.endswith("version") else [])])

    @pytest.mark.parametrize("name", READ)
    def test_everybody_signed_in_reads(self, client, mixed, core, name):
        page = self.address(name, mixed, core)
        assert client.get(page).url == f"/login/?next={page}"
        for person in (make.advisor(), make.operations(), make.administrator(), make.person()):
            client.force_login(person)
            assert client.get(page).status_code == 200

    @pytest.mark.parametrize("name", WRITE)
    def test_only_administrators_change_and_an_attempt_is_on_record(self, client, mixed, core, name):
        page, kind = self.address(name, mixed, core), name.partition("_")[0]
        client.post(page, {})
        for person in (make.advisor(), make.operations(), make.person()):
            client.force_login(person)
            assert client.post(page, {}).status_code == 403
            line = AuditLine.objects.first()
            assert (line.verb, line.by, line.object_kind) == ("refused", person, kind)
            assert line.after["command"] == f"{kind}.saved"
            shown = client.get(reverse(f"rebalancer:{kind}", args=page.split("/")[2:3])).content.decode()
            why = "Portfolios and models are changed by Administrators."
            assert re.search(rf'title="{why}"><button[^>]* disabled>Edit {kind}', shown)
        assert (mixed.versions.count(), core.versions.count()) == (1, 1)

    def test_the_service_asks_itself(self, desk, mixed):
        with pytest.raises(PermissionDenied, match="Only Administrator may do this"):
            retarget(mixed, [make.component("VTI", 98), make.component("cash", 2)], by=desk)
        assert AuditLine.objects.first().after["command"] == "portfolio.saved"
        assert mixed.versions.count() == 1

    def test_what_is_not_there_is_not_found(self, as_admin, mixed, core):
        for name in (*self.READ[2:], *self.WRITE):
            address = reverse(f"rebalancer:{name}", args=[999_999, *([1] if name.endswith("version") else [])])
            answer = as_admin.post(address) if name.endswith("save") else as_admin.get(address)
            assert answer.status_code == 404, name
        for address in (at("_version", mixed, 9), at("_version", mixed, 10**30), f"/portfolios/{10**30}/"):
            assert as_admin.get(address).status_code == 404

    def test_save_takes_only_posts(self, as_admin, mixed):
        assert as_admin.get(at("_save", mixed)).status_code == 405


class TestTyping:
    """What is refused names the field, and everything typed stands there again."""

    @pytest.mark.parametrize(("rows", "words"), [
        ([("VTI", "59.9"), ("Core Bonds", "38"), ("Cash", "2")],
         "Weight: The weights add up to 99.9 %; they have to add up to exactly 100 %."),
        ([("VTI", "30"), ("vti", "30"), ("Core Bonds", "38"), ("Cash", "2")],
         "vti, Component: VTI is in the portfolio twice."),
        ([{"held": "VTI", "weight": "60", "threshold_lower": "-1"}, ("Core Bonds", "38"), ("Cash", "2")],
         "VTI, Threshold below: A width can't be negative."),
        ([{"held": "VTI", "weight": "60", "precision_upper": "25"}, ("Core Bonds", "38"), ("Cash", "2")],
         "VTI, Precision above: The precision (15 percentage points) would reach outside of the threshold"),
        ([{"held": "VTI", "weight": "60", "threshold_upper": "3", "precision_upper": "4"}, ("Core Bonds", "38"),
          ("Cash", "2")],
         "VTI, Precision above: The precision (4 %) would reach outside of the threshold (3 %)."),
        ([("VTI", "62"), ("Core Bonds", "38")], "Cash: A portfolio has exactly one cash component"),
        ([("VTX", "60"), ("Core Bonds", "38"), ("Cash", "2")], "VTX, Component: There is no security or model VTX."),
        ([("", "60"), ("Core Bonds", "38"), ("Cash", "2")], "Row 1, Component: Name a security or model."),
        ([("VTI", "sixty"), ("Core Bonds", "38"), ("Cash", "2")], "VTI, Weight: Enter a number."),
        ([("VTI", "-60"), ("Core Bonds", "38"), ("Cash", "2")], "VTI, Weight: A weight can't be negative."),
        ([("VTI", "1e999999"), ("Core Bonds", "38"), ("Cash", "2")], "VTI, Weight: "),
        ([("VTI", "NaN"), ("Core Bonds", "38"), ("Cash", "2")], "VTI, Weight: Enter a number."),
    ])  # fmt: skip
    def test_a_portfolio(self, as_admin, mixed, rows, words):
        for what in ("_edit", "_save"):
            sent = typed(mixed, rows, told=0, minimum_trade_dollars="123")
            page = as_admin.post(at(what, mixed), sent)
            assert page.status_code == 400
            assert words in text(page).replace(" :", ":").replace("&#x27;", "'")
            shown = page.content.decode()
            for name, value in sent.items():
                if name.endswith(("held", "weight", "lower", "upper")) and value:
                    assert re.search(rf'name="{name}" id="id_{name}" value="{re.escape(value)}"', shown)
            assert 'value="123"' in shown
        assert mixed.versions.count() == 1

    @pytest.mark.parametrize(("rows", "words"), [
        ([("AGG", "70"), ("TIP", "29.9")], "Weight: The weights add up to 99.9 %"),
        ([("AGG", "70"), ("AGG", "30")], "AGG, Component: AGG is in the model twice."),
        ([("AGG", "100"), ("TIP", "0")], "TIP, Weight: The weight of a security is above 0 %."),
        ([("AGG", "70"), ("Core Bonds", "30")], "Core Bonds, Component: Core Bonds is a model"),
        ([("AGG", "70"), ("SWVXX", "30")], "SWVXX, Component: SWVXX is a sweep"),
        ([], "Weight: The weights add up to 0 %"),
    ])  # fmt: skip
    def test_a_model(self, as_admin, core, rows, words):
        make.security("SWVXX", "sweep")
        assert words in text(as_admin.post(at("_edit", core), typed(core, rows)))
        assert core.versions.count() == 1

    def test_a_model_of_many_securities_arrives_whole(self, as_admin, core):
        page = as_admin.post(at("_edit", core), typed(core, [(f"S{number}", "0.2") for number in range(500)]))
        assert "S499, Component: There is no security or model S499." in text(page).replace(" :", ":")

    def test_a_setting(self, as_admin, mixed):
        page = text(as_admin.post(at("_edit", mixed), typed(mixed, SAME, threshold_percent="3", name="")))
        assert "Name: This field is required." in page
        page = text(as_admin.post(at("_edit", mixed), typed(mixed, SAME, threshold_percent="3")))
        assert "Threshold, ± % of the weight: The precision (4 %) would reach outside of the threshold (3 %)." in page

    def test_what_is_set_has_no_needless_zeros(self, as_admin, mixed):
        mixed.threshold_percent, mixed.minimum_trade_dollars = Decimal("60.000000"), Decimal("12.50")
        mixed.save()
        page = as_admin.get(at("_edit", mixed)).content.decode()
        for name, shown in (("threshold_percent", "60"), ("minimum_trade_dollars", "12.5"), ("precision_percent", "")):
            assert f'name="{name}" id="id_{name}" value="{shown}"' in page

    def test_the_form_holds_what_is_saved_and_saves_it_unchanged(self, as_admin, mixed):
        page = as_admin.get(at("_edit", mixed))
        form = page.context["form"]
        names = ("held", "weight", "band_kind", "triggers")
        assert [[row[name].value() for name in names] for row in form.rows][:3] == [
            ["VTI", "60", "relative", True], ["Core Bonds", "38", "relative", True], ["Cash", "2", "relative", True],
        ]  # fmt: skip
        answer = as_admin.post(at("_edit", mixed), typed(mixed, [*SAME, ("", "")]))
        assert "Nothing has changed in Mixed, so no version was made." in text(answer)

    def test_a_model_that_is_called_like_a_security(self, as_admin, mixed):
        twin = make.model("VTI", AGG=100)
        rows = [("VTI", "60"), ("Core Bonds", "38"), ("Cash", "2")]
        assert "VTI is a security and a model" in text(as_admin.post(at("_edit", mixed), typed(mixed, rows)))
        rows = [("model:VTI", "60"), ("Core Bonds", "38"), ("Cash", "2")]
        page = as_admin.post(at("_save", mixed), typed(mixed, rows, told=0))
        assert page.status_code == 302
        assert mixed.components.filter(model=twin).exists()
        assert "model:VTI" in as_admin.get(at("_edit", mixed)).content.decode()

    @pytest.mark.parametrize(
        "sent", [{}, {"version": "x"}, {"version": 1}, {"version": 1, "rows-TOTAL_FORMS": "9" * 9}]
    )
    def test_what_does_not_arrive_whole_is_not_saved(self, as_admin, mixed, sent):
        for what in ("_edit", "_save"):
            assert as_admin.post(at(what, mixed), sent).status_code == 400
        assert mixed.versions.count() == 1

    def test_a_character_that_no_name_has(self, as_admin, mixed):
        for name in ("rows-0-held", "rows-0-weight", "name"):
            sent = typed(mixed, LESS) | {name: "a\0b"}
            assert as_admin.post(at("_edit", mixed), sent).context["problems"]


class TestWhatAChangeDoes:
    """The number that is said is the number that comes to the queue, as Target Update."""

    def confirm(self, client, target, rows, **more):
        """The confirmation page, and what its button sends."""
        page = client.post(at("_edit", target), typed(target, rows, **more))
        hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.content.decode())
        return page, {name: value for name, value in hidden if name != "csrfmiddlewaretoken"}

    def test_a_weight(self, as_admin, book, mixed):
        page, sent = self.confirm(as_admin, mixed, LESS)
        assert "2 accounts to the queue as Target Update" in text(page)
        found = page.context["sent"]
        assert (found.accounts, found.already, found.off, found.busy) == (4, 1, 1, 0)
        assert (mixed.versions.count(), queue()) == (1, {"A3": Source.DRIFT_ANALYSIS})  # nothing is saved yet
        done = as_admin.post(at("_save", mixed), sent, follow=True)
        assert "Mixed is saved as version 2. 2 accounts to the queue as Target Update" in text(done)
        assert analysing.recheck() == 4
        assert queue() == {"A1": Source.TARGET_UPDATE, "A2": Source.TARGET_UPDATE, "A3": Source.DRIFT_ANALYSIS}
        assert AuditLine.objects.filter(verb="portfolio.saved", object_id=mixed.pk).count() == 2

    def test_a_models_weight(self, as_admin, book, mixed, core):
        other = make.portfolio("Other", [make.component(core, 98)])
        held(other, "B1")
        unused = make.portfolio("Unused", VTI=60, AGG=38)
        held_elsewhere = make.account("C1", portfolio=unused)
        checks.analyse()
        before = queue()
        page, sent = self.confirm(as_admin, core, [("AGG", "75"), ("TIP", "25")])
        assert "Portfolios whose flattened weights change 2" in text(page)
        as_admin.post(at("_save", core), sent)
        assert analysing.recheck() == 5
        came = {number: source for number, source in queue().items() if number not in before}
        assert len(came) == page.context["sent"].queue == 2
        assert set(came.values()) == {Source.TARGET_UPDATE}
        assert (core.versions.count(), mixed.versions.count(), other.versions.count()) == (2, 2, 2)
        held_elsewhere.refresh_from_db()
        assert unused.versions.count() == 1

    def test_a_band_is_no_target_update_and_its_words_say_so(self, as_admin, book, mixed):
        rows = [{"held": "VTI", "weight": "60", "threshold_lower": "10", "threshold_upper": "10"}, *LESS[1:]]
        rows[1] = ("Core Bonds", "38")
        page, sent = self.confirm(as_admin, mixed, rows)
        assert "No account goes to the queue as Target Update." in text(page)
        assert "No flattened weight changes:" in text(page)
        as_admin.post(at("_save", mixed), sent)
        analysing.recheck()
        assert queue() == {"A3": Source.DRIFT_ANALYSIS}
        assert mixed.versions.count() == 2

    def test_who_joins_and_leaves_by_their_bands_is_weighed_beforehand(self, as_admin, book, mixed):
        """A6 holds 58.3 % of VTI: inside of 48 to 72 %, outside of 59 to 61 %. A3 holds 75 %: inside of 10 to 110 %."""
        held(mixed, "A6", vti=560)
        checks.analyse()
        assert queue() == {"A3": Source.DRIFT_ANALYSIS}
        narrow = {
            "held": "VTI", "weight": "60", "band_kind": "absolute", "threshold_lower": "1", "threshold_upper": "1",
            "precision_lower": "0.5", "precision_upper": "0.5",
        }  # fmt: skip
        page, sent = self.confirm(as_admin, mixed, [narrow, *SAME[1:]])
        assert "as Target Update, and 1 account as Drift Analysis." in text(page)
        found = page.context["sent"]
        assert (found.queue, found.joining, found.leaving, found.already, found.off) == (0, 1, 0, 1, 1)
        as_admin.post(at("_save", mixed), sent)
        analysing.recheck()
        assert queue() == {"A3": Source.DRIFT_ANALYSIS, "A6": Source.DRIFT_ANALYSIS}
        wide = [
            {"held": name, "weight": weight, "band_kind": "absolute", "threshold_lower": "50", "threshold_upper": "50"}
            for name, weight in SAME
        ]
        page, sent = self.confirm(as_admin, mixed, wide)
        assert (page.context["sent"].joining, page.context["sent"].leaving) == (0, 2)
        as_admin.post(at("_save", mixed), sent)
        analysing.recheck()
        assert queue() == {}

    def test_very_many_accounts_are_not_weighed_beforehand(self, as_admin, book, mixed, monkeypatch):
        monkeypatch.setattr(retargeting, "WEIGHED_AT_MOST", 3)
        page, _ = self.confirm(as_admin, mixed, LESS)
        assert "Whom the new bands bring into the queue or out of it is found by the check that follows" in text(page)
        assert page.context["sent"].queue == 2

    def test_accounts_under_way_come_when_that_ends(self, as_admin, book, mixed, desk):
        batch = opened(desk, book[0]).batch
        page, sent = self.confirm(as_admin, mixed, LESS)
        assert (page.context["sent"].queue, page.context["sent"].busy) == (1, 1)
        as_admin.post(at("_save", mixed), sent)
        analysing.recheck()
        assert set(queue()) == {"A2", "A3"}
        batches.cancel(batch, by=desk)
        assert queue()["A1"] == Source.TARGET_UPDATE

    def test_back_to_what_they_were_rebalanced_to(self, as_admin, book, mixed):
        as_admin.post(at("_save", mixed), typed(mixed, LESS, told=2))
        analysing.recheck()
        page, sent = self.confirm(as_admin, mixed, SAME)
        found = page.context["sent"]
        assert (found.queue, found.leaving, found.already) == (0, 2, 1)
        as_admin.post(at("_save", mixed), sent)
        analysing.recheck()
        assert set(queue()) == {"A3"}

    def test_a_second_change_counts_nobody_twice(self, as_admin, book, mixed):
        """Before the first change's checks have run, its accounts are due already."""
        as_admin.post(at("_save", mixed), typed(mixed, LESS, told=2))
        page, _ = self.confirm(as_admin, mixed, [("VTI", "50"), ("Core Bonds", "48"), ("Cash", "2")])
        assert page.context["sent"].queue == 0

    def test_first_rebalances_have_their_own_reason(self, as_admin, book, mixed):
        Account.objects.filter(number="A1").update(rebalancing_since=LONG_AGO + timedelta(days=1))
        page, sent = self.confirm(as_admin, mixed, LESS)
        assert page.context["sent"].queue == 1
        as_admin.post(at("_save", mixed), sent)
        checks.analyse()
        assert queue() == {"A1": Source.REBALANCER_ON, "A2": Source.TARGET_UPDATE, "A3": Source.DRIFT_ANALYSIS}

    def test_somebody_else_has_saved_meanwhile(self, as_admin, book, mixed, admin):
        _, sent = self.confirm(as_admin, mixed, LESS)
        other = make.administrator("bert", first_name="Bert", last_name="Boss")
        portfolios.save_portfolio(mixed, [make.component("VTI", 98), make.component("cash", 2)], by=other)
        for what in ("_save", "_edit"):
            page = as_admin.post(at(what, mixed), sent)
            assert page.status_code == 409
            assert "Bert Boss has saved version 2 of Mixed since you began. Nothing was saved." in text(page)
            assert f"{at('_changes', mixed)}?from=1&amp;to=2" in page.content.decode()
            assert page.context["begun"] == 2
            assert 'value="55"' in page.content.decode()
        assert mixed.versions.count() == 2
        line = AuditLine.objects.filter(verb="refused", by=admin).first()
        assert line.after["command"] == "portfolio.saved"

    def test_another_number_of_accounts_now(self, as_admin, book, mixed):
        _, sent = self.confirm(as_admin, mixed, LESS)
        Account.objects.filter(number="A2").update(rebalancing_on=False)
        page = as_admin.post(at("_save", mixed), sent)
        assert page.status_code == 409
        assert "2 to the queue when you were asked, 1 now. Nothing was saved." in text(page)
        assert mixed.versions.count() == 1
        assert page.context["sent"].queue == 1
        assert as_admin.post(at("_save", mixed), sent | {"told": 1}).status_code == 302

    def test_back_to_editing_keeps_what_was_typed(self, as_admin, book, mixed):
        _, sent = self.confirm(as_admin, mixed, LESS)
        page = as_admin.post(at("_edit", mixed), sent | {"do": "back"}).content.decode()
        assert re.search(r'name="rows-0-weight" id="id_rows-0-weight" value="55"', page)
        assert mixed.versions.count() == 1


def retarget(target, rows, by):
    return retargeting.change(target, rows, by=by, version=1, told=0)
