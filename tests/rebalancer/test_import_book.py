"""import_book with real files: what is taken, what is refused, and what stays as it was."""

from datetime import date
from decimal import Decimal

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.core.management.base import CommandError
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.models import (
    Account,
    AuditLine,
    Delivery,
    DeliveryFile,
    Household,
    Portfolio,
    Position,
    Price,
    Restriction,
    RunRecord,
    Security,
    Transaction,
    User,
)
from tax.models import Lot
from tests.books import FILES, SESSION, deliver, write

pytestmark = pytest.mark.django_db


@pytest.fixture
def book(tmp_path):
    """The small book, imported; gives its folder."""
    assert not deliver(tmp_path, FILES).refused
    return tmp_path


def lots():
    names = ("account__number", "sleeve__kind", "security__symbol", "lot_id", "quantity", "total_cost", "acquired_on")
    return sorted(Lot.objects.values_list(*names), key=str)


# --- what is taken ----------------------------------------------------------------------------------------------


def test_accounts_come_with_everything_they_belong_to(book):
    ann, bob = Account.objects.order_by("number")
    assert (ann.name, ann.custodian.name, ann.household.name) == ("Ann Lee", "Fidelity", "Lee")
    assert (ann.tax_status, ann.lot_method) == ("taxable", "hifo")
    assert (ann.cash, ann.set_aside_cash) == (Decimal("1234.50"), 100)
    assert (ann.rebalancing_on, ann.rebalancing_since, ann.last_rebalanced) == (True, None, date(2026, 10, 1))
    assert ann.rebalanced_to == Portfolio.objects.get(name="Balanced").versions.first()
    assert [portfolio.name for portfolio in ann.linked_portfolios.all()] == ["Balanced"]
    assert (bob.portfolio, bob.advisor, bob.household, bob.rebalanced_to) == (None, None, None, None)
    assert {str(account.delivered_for) for account in (ann, bob)} == {SESSION}
    assert all(account.check_wanted_at for account in (ann, bob))


def test_missing_advisors_are_made_without_a_password(book):
    jane = User.objects.get(username="jane")
    assert not jane.has_usable_password()
    assert list(jane.groups.all()) == [Group.objects.get(name="Advisor")]
    assert Account.objects.get(number="A1").advisor == jane


def test_positions_are_the_sums_of_their_lots(book):
    found = {(str(p.sleeve), p.security.symbol): p.quantity for p in Position.objects.filter(account__number="A1")}
    assert found == {("managed", "VTI"): Decimal("15.5"), ("model:Core", "VTI"): 3}
    assert Lot.objects.get(lot_id="L2").total_cost is None
    assert Lot.objects.get(quantity=3).total_cost == Decimal("900.01")


def test_targets_get_versions_and_bands(book):
    portfolio = Portfolio.objects.get(name="Balanced")
    cash = portfolio.components.get(kind="cash")
    assert (cash.weight, cash.threshold_upper, cash.band_kind, cash.triggers) == (5, 2, "absolute", False)
    stock = portfolio.components.get(kind="security")
    assert (stock.threshold_lower, stock.band_kind, stock.triggers) == (None, "relative", True)
    assert portfolio.versions.count() == 1


def test_steps_default_by_kind(book):
    steps = dict(Security.objects.values_list("symbol", "quantity_step"))
    assert (steps["BND"], steps["VTSAX"], steps["SPAXX"]) == (1, Decimal("0.001"), Decimal("0.01"))


def test_a_restriction_without_start_begins_with_the_session(book):
    assert str(Restriction.objects.get(kind="substitute").start) == SESSION
    deliver(book, FILES, session="2026-11-19")
    assert str(Restriction.objects.get(kind="substitute").start) == SESSION


def test_an_import_leaves_its_records(book):
    delivery = Delivery.objects.get()
    assert str(delivery.session) == SESSION
    assert {file.name: file.rows for file in delivery.files.all()} == {
        "securities.csv": 4, "prices.csv": 4, "models.csv": 2, "portfolios.csv": 3, "accounts.csv": 2, "cash.csv": 2,
        "lots.csv": 4, "transactions.csv": 2, "restrictions.csv": 2,
    }  # fmt: skip
    run = RunRecord.objects.get()
    assert (run.kind, run.state, str(run.business_day), run.counts["lots.csv"]) == ("import", "done", SESSION, 4)
    assert AuditLine.objects.filter(verb="book.imported").count() == 1


def test_the_same_book_again_changes_nothing(book):
    before = (lots(), list(Position.objects.values_list()), list(Restriction.objects.values_list()))
    counts = [model.objects.count() for model in (Account, User, Household, Price, Transaction)]
    assert not deliver(book, FILES).refused
    assert before == (lots(), list(Position.objects.values_list()), list(Restriction.objects.values_list()))
    assert counts == [model.objects.count() for model in (Account, User, Household, Price, Transaction)]
    assert Portfolio.objects.get().versions.count() == 1


def test_column_order_is_free_and_a_bom_does_no_harm(tmp_path):
    shuffled = '\ufeffname,quantity_step,symbol,asset_class,kind\r\n"Fund, the first",0.001,AAA,,mutual_fund\r\n'
    assert not deliver(tmp_path, {"securities.csv": shuffled.encode()}).refused
    assert Security.objects.get().name == "Fund, the first"


def test_lots_and_restrictions_replace_everything_also_with_nothing(book):
    header = {name: FILES[name].strip().split("\n")[0] for name in ("lots.csv", "restrictions.csv")}
    one = {"cash.csv": "account_number,amount\nA1,5", **header}
    assert not deliver(book, one).refused
    assert not Restriction.objects.exists()
    assert [lot[0] for lot in lots()] == ["A2"]
    assert not Position.objects.filter(account__number="A1").exists()


def test_a_known_lot_keeps_its_sleeve_and_a_new_one_goes_to_managed(book):
    rows = """
        account_number,sleeve,symbol,lot_id,quantity,total_cost,acquired_on
        A1,,VTI,L1,13,3000,2024-02-29
        A1,,VTI,L9,4,400,2026-01-02
        A2,,VTSAX,L1,2,100,2020-01-02
    """
    assert not deliver(book, {"cash.csv": FILES["cash.csv"], "lots.csv": rows}).refused
    found = {(n, sleeve, lot): quantity for n, sleeve, _, lot, quantity, *_ in lots()}
    assert found == {
        ("A1", "managed", "L1"): 10, ("A1", "model", "L1"): 3, ("A1", "managed", "L9"): 4, ("A2", "protected", "L1"): 2
    }  # fmt: skip
    costs = Lot.objects.filter(account__number="A1", lot_id="L1").values_list("total_cost", flat=True)
    assert sum(costs) == 3000


def test_what_is_not_taken_over_for_a_known_account(book):
    Account.objects.filter(number="A1").update(last_rebalanced=date(2026, 11, 2), rebalanced_to=None)
    again = FILES["accounts.csv"].replace("Ann Lee", "Ann L. Lee").replace("false", "true")
    assert not deliver(book, {"accounts.csv": again}).refused
    ann, bob = Account.objects.order_by("number")
    assert (ann.name, ann.last_rebalanced, ann.rebalanced_to, ann.rebalancing_since) == (
        "Ann L. Lee", date(2026, 11, 2), None, None
    )  # fmt: skip
    assert bob.rebalancing_on
    assert bob.rebalancing_since is not None


def test_what_a_file_changes_of_an_account_leaves_an_audit_line(book):
    deliver(book, {"accounts.csv": FILES["accounts.csv"].replace("Pershing", "Fidelity").replace("false", "true")})
    line = AuditLine.objects.get(verb="account.imported")
    bob = Account.objects.get(number="A2")
    assert (line.object_id, line.object_name) == (str(bob.pk), "A2 Bob Lee")
    assert (line.before["rebalancing_on"], line.after["rebalancing_on"]) == (False, True)
    assert line.after["custodian_id"] == bob.custodian_id
    assert set(line.after) == {"rebalancing_on", "custodian_id"}


def test_a_restriction_without_start_is_judged_by_the_start_it_keeps(book):
    rows = FILES["restrictions.csv"].replace("no_buy,,2026-01-01,", "no_buy,,,2026-06-30")
    assert not deliver(book, {"cash.csv": FILES["cash.csv"], "restrictions.csv": rows}).refused
    kept = Restriction.objects.get(security__symbol="BND")
    assert (str(kept.start), str(kept.end)) == ("2026-01-01", "2026-06-30")
    rows = rows.replace("BND,no_buy,", "BND,no_sell,")  # another kind is a new one, which begins with the session
    assert deliver(book, {"cash.csv": FILES["cash.csv"], "restrictions.csv": rows}).refused


def test_files_with_nothing_but_a_header_are_taken(book):
    headers = {name: content.strip().split("\n")[0] for name, content in FILES.items()}
    assert not deliver(book, headers).refused
    assert Lot.objects.count() == 4


def test_a_misspelt_file_is_named(book):
    assert "lot.csv is no file of a book" in deliver(book, FILES | {"lot.csv": FILES["lots.csv"]}).said


def test_deposits_and_withdrawals_in_kind_have_no_amount(book):
    rows = "A1,2026-11-12,deposit,VTI,2,0,T8\nA1,2026-11-12,withdrawal,VTI,-2,0,T9"
    header = FILES["transactions.csv"].strip().split("\n")[0]
    assert not deliver(book, {"transactions.csv": f"{header}\n{rows}"}).refused


def test_a_transaction_is_added_once_and_corrected(book):
    first = Transaction.objects.get(external_id="T1")
    assert not deliver(book, {"transactions.csv": FILES["transactions.csv"].replace("5000", "5001")}).refused
    again = Transaction.objects.get(external_id="T1")
    assert (again.pk, again.amount, again.recorded_at) == (first.pk, 5001, first.recorded_at)
    assert Transaction.objects.count() == 2


def test_prices_that_look_wrong_are_kept_but_questioned(book):
    said = deliver(book, {"prices.csv": "symbol,price,as_of\nVTI,0,\nBND,151,\nVTSAX,149,"}).said
    states = dict(Price.objects.filter(as_of__gt="2026-11-19T00:00Z").values_list("security__symbol", "state"))
    assert states == {"VTI": "questioned", "BND": "questioned", "VTSAX": "usable"}
    assert "2 questioned" in said


def test_a_progress_bar_names_rows_and_speed(book):
    said = deliver(book, FILES).said
    assert "lots.csv          [########################] 100%  4 rows" in said
    assert "/s" in said


# --- what is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "old", "new", "line", "column", "reason"), [
    ("securities.csv", "BND,Vang", "VTI,Vang", 3, "symbol", "as in line 2"),
    ("securities.csv", "etf,US Equity", "stock,US Equity", 2, "kind", "none of"),
    ("securities.csv", "US Bonds,", "US Bonds,0", 3, "quantity_step", "not above 0"),
    ("securities.csv", "BND,", f"{'B' * 21},", 3, "symbol", "20 are allowed"),
    ("securities.csv", "BND,", ",", 3, "symbol", "is empty"),
    ("prices.csv", "BND,", "BNDX,", 3, "symbol", "no such security"),
    ("prices.csv", "75.5", "NaN", 3, "price", "plain decimal"),
    ("prices.csv", "75.5,2026-11-18", "75.5,2999-01-04", 3, "as_of", "future"),
    ("models.csv", "BND,40", "BND,39.999999", 3, "weight", "99.999999 %"),
    ("models.csv", "BND,40", "VTI,40", 3, "symbol", "as in line 2"),
    ("models.csv", "BND,40", "SPAXX,40", 3, "symbol", "sweep"),
    ("portfolios.csv", "VTI,55", "VTI,54", 4, "weight", "99 %"),
    ("portfolios.csv", "VTI,55", "QQQ,55", 2, "component", "no such security"),
    ("portfolios.csv", "model,Core", "model,Cores", 3, "component", "no such model"),
    ("portfolios.csv", "10,10,2,2", "10,10,2,11", 3, "precision_upper", "outside of the threshold"),
    ("portfolios.csv", "10,10,2,2", "10,-1,2,2", 3, "threshold_upper", "negative"),
    ("portfolios.csv", "cash,,5,1,2,0.5,0.5,absolute,false", "security,VTI,5,,,,,,", 4, "component", "as in line 2"),
    ("portfolios.csv", "cash,,5,1,2,0.5,0.5,absolute,", "security,BND,5,,,,,,", 4, "component_kind", "exactly one"),
    ("accounts.csv", "A2,Bob", "A1,Bob", 3, "account_number", "as in line 2"),
    ("accounts.csv", "2026-10-01", "2999-10-01", 2, "last_rebalanced", "future"),
    ("accounts.csv", "Balanced,Balanced", "Balanced,Balanced;Gone", 2, "linked_portfolios", "does not exist"),
    ("accounts.csv", "false", "no", 3, "rebalancing_on", "neither true nor false"),
    ("portfolios.csv", "Balanced,security", "A;B,security", 2, "portfolio", "holds a ;, which stands between names"),
    ("accounts.csv", "A1,Ann", "A\t1,Ann", 2, "account_number", "control character"),
    ("accounts.csv", "jane", "Jane Doe", 2, "advisor", "no user name: letters, digits and @ . + - _"),
    ("accounts.csv", "jane", '"Doe, Jane (NY)"', 2, "advisor", "no user name"),
    ("accounts.csv", "jane", "j" * 151, 2, "advisor", "150 are allowed"),
    ("cash.csv", "A2,-10", "A2,1e3", 3, "amount", "plain decimal"),
    ("cash.csv", "A2,-10", "A2,1.005", 3, "amount", "2 decimals"),
    ("cash.csv", "A2,-10", "A3,1", 3, "account_number", "no such account"),
    ("cash.csv", "A2,-10", "A1,1", 3, "account_number", "as in line 2"),
    ("cash.csv", "A2,-10", "A2", 3, "", "1 fields, the header has 2"),
    ("lots.csv", "L2,5.5", "L1,5.5", 3, "lot_id", "as in line 2"),
    ("lots.csv", "L2,5.5", "L2,-5.5", 3, "quantity", "not above 0"),
    ("lots.csv", "L2,5.5", "L2,0", 3, "quantity", "not above 0"),
    ("lots.csv", "L2,5.5", "L2,0.0000001", 3, "quantity", "6 decimals"),
    ("lots.csv", "2025-11-18", "2999-11-18", 3, "acquired_on", "future"),
    ("lots.csv", "model:Core", "model:Gore", 4, "sleeve", "no such sleeve"),
    ("lots.csv", "A1,managed,VTI,L2", "A1,,VTI,L1", 3, "lot_id", "no sleeve"),
    ("lots.csv", "2000,", "2\x00,", 2, "total_cost", "NUL"),
    ("transactions.csv", "deposit", "gift", 2, "kind", "none of"),
    ("transactions.csv", "5000,T1", "-5000,T1", 2, "amount", "is negative: a deposit comes into the account"),
    ("transactions.csv", "buy,VTI,2,-600", "withdrawal,,,600", 3, "amount", "a withdrawal leaves the account"),
    ("transactions.csv", "T2", "T1", 3, "external_id", "as in line 2"),
    ("transactions.csv", "T2", "", 3, "external_id", "is empty"),
    ("restrictions.csv", "substitute,VTI", "substitute,BND", 3, "substitute", "itself restricted"),
    ("restrictions.csv", "substitute,VTI", "substitute,", 3, "substitute", "hold instead"),
    ("restrictions.csv", "VTI,,2027-12-31", "VTI,,2025-12-31", 3, "end", "before the first"),
])  # fmt: skip
def test_a_bad_row_refuses_its_file_and_is_named(tmp_path, name, old, new, line, column, reason):
    assert old in FILES[name]
    result = deliver(tmp_path, FILES | {name: FILES[name].replace(old, new, 1)})
    assert result.refused
    file = DeliveryFile.objects.get(name=name)
    assert file.state == "refused"
    assert any(found[0] == line and found[1] == column and reason in found[3] for found in file.problems), file.problems
    assert f"{name}, line {line}{f', {column}' if column else ''}:" in result.said


@pytest.mark.parametrize(("name", "rows", "found"), [
    ("cash.csv", ["A1,1", "A1,2", "A2,x"], [(3, "account_number"), (4, "amount")]),
    ("cash.csv", ["A1,x", "A1,2", "A2,3"], [(2, "amount"), (3, "account_number")]),
    ("cash.csv", ["A1,1,1", "A2,2", "A2,3"], [(2, ""), (4, "account_number")]),
    # only Half and Third have all their rows, and only Half is not 100 %
    ("models.csv", ["Core,VTI,60", "Core,BND,nan", "Half,VTI,50", "Third,VTI,100", "Third,VTI,1"],
     [(3, "weight"), (4, "weight"), (6, "symbol")]),
    ("portfolios.csv", [
        "Balanced,security,VTI,x,,,,,,", "Balanced,security,BND,5,10,10,2,11,,", "Balanced,cash,,5,,,,,,",
        "Growth,security,VTI,55,,,,,,", "Growth,security,VTI,55,,,,,,", "Growth,security,QQQ,55,,,,,,",
        "Income,security,VTI,50,,,,,,", "Income,cash,,40,,,,,,"],
     [(2, "weight"), (3, "precision_upper"), (6, "component"), (7, "component"), (9, "weight")]),
    ("portfolios.csv", ["Income,security,VTI,50,,,,,,", "Income,cash,,40,,,,,,", "Income,security"], [(4, "")]),
    ("lots.csv", ["A1,managed,VTI,L1,x,,2024-02-29", "A1,managed,VTI,L2,1,,2024-02-29", "A1,,VTI,L2,1,,2024-02-29",
                  "A9,,VTI,L3,1,,2024-02-29", "A1,,VTI,L2,1,,2024-02-29"],
     [(2, "quantity"), (4, "lot_id"), (5, "account_number"), (6, "lot_id")]),
    ("restrictions.csv", ["A1,BND,no_go,,,", "A1,VTI,no_buy,,2026-02-01,2026-01-01", "A2,VTI,substitute,,,"],
     [(2, "kind"), (3, "end"), (4, "substitute")]),
])  # fmt: skip
def test_one_delivery_names_all_that_can_be_known(book, name, rows, found):
    header = FILES[name].strip().split("\n")[0].strip()
    deliver(book, {"cash.csv": FILES["cash.csv"], name: "\n".join([header, *rows])})
    file = DeliveryFile.objects.filter(name=name).last()
    assert [(line, column) for line, column, *_ in file.problems] == found, file.problems


def test_a_file_with_a_bad_cell_that_is_older_or_undelivered_says_so_too(book):
    files = {"cash.csv": "account_number,amount\nA1,1\nA2,x", "lots.csv": FILES["lots.csv"].replace("5.5", "x")}
    said = deliver(book, files, session="2026-11-17").said
    assert 'cash.csv, line 2, account_number: "A1" has a newer delivery' in said
    assert 'lots.csv, line 2, account_number: "A1" has a newer delivery' in said
    assert 'lots.csv, line 3, quantity: "x"' in said
    files = {"cash.csv": "account_number,amount\nA1,1", "lots.csv": FILES["lots.csv"].replace("5.5", "x")}
    assert 'lots.csv, line 5, account_number: "A2" has no row in cash.csv' in deliver(book, files).said


def test_a_security_of_a_model_can_not_become_a_sweep(book):
    again = FILES["securities.csv"].replace("VTI,Vanguard Total Stock Market ETF,etf", "VTI,Vanguard,sweep")
    assert 'line 2, kind: "sweep" VTI is part of a model' in deliver(book, {"securities.csv": again}).said


def test_other_files_stay_in(tmp_path):
    deliver(tmp_path, FILES | {"lots.csv": FILES["lots.csv"].replace("5.5", "nan")})
    assert not Lot.objects.exists()
    assert not Position.objects.exists()
    assert Account.objects.get(number="A1").cash == Decimal("1234.50")
    assert Restriction.objects.count() == 2


@pytest.mark.parametrize(("content", "reason"), [
    (b"account_number,amount\nA1,1\xe9\n", "is not UTF-8"),
    ("account_number,amount\nA1,1\n".encode("utf-16"), "is not UTF-8"),
    (b"account_number,amount,note\nA1,1,x\n", "note"),
    (b"account_number\nA1\n", "amount: the column is missing"),
    (b"account_number,amount,amount\nA1,1,1\n", "twice"),
    (b"", "the column is missing"),
    (b'account_number,amount\n"A1,1\n', "is not CSV"),
])  # fmt: skip
def test_a_file_that_is_no_such_file(book, content, reason):
    result = deliver(book, {"cash.csv": content})
    assert result.refused
    assert reason in result.said
    assert "0 accounts can't be checked" not in result.said


def test_accounts_left_stale_say_so_until_it_is_put_right(book):
    broken = FILES | {"lots.csv": FILES["lots.csv"].replace("L2,5.5", "L2,-5.5")}
    assert "2 accounts can't be checked" in deliver(book, broken, session="2026-11-19").said
    assert set(Account.objects.values_list("delivery_problem", flat=True)) == {
        "lots.csv refused in the delivery of 2026-11-19"
    }
    assert Lot.objects.filter(lot_id="L2", quantity=Decimal("5.5")).exists()
    deliver(book, {"cash.csv": FILES["cash.csv"]}, session="2026-11-19")
    assert Account.objects.exclude(delivery_problem="").count() == 2
    deliver(book, FILES, session="2026-11-19")
    assert not Account.objects.exclude(delivery_problem="").exists()


def test_a_refusal_that_leaves_nobody_stale_says_nothing_of_accounts(book):
    assert deliver(book, {"prices.csv": "symbol,price,as_of\nVTI,x,"}).said.endswith("\nRefused: prices.csv.")


def test_lots_need_cash(book):
    result = deliver(book, {"lots.csv": FILES["lots.csv"]})
    assert result.refused
    assert "cash.csv is not there" in result.said
    result = deliver(book, FILES | {"cash.csv": "account_number,amount\nA1,x"})
    assert "lots.csv, the file: cash.csv was refused" in result.said
    assert Account.objects.get(number="A1").delivery_problem.startswith("cash.csv, lots.csv")


def test_an_account_without_cash_row_is_no_part_of_the_delivery(book):
    result = deliver(book, {"cash.csv": "account_number,amount\nA1,1", "lots.csv": FILES["lots.csv"]})
    assert 'lots.csv, line 5, account_number: "A2" has no row in cash.csv' in result.said


def test_an_older_delivery_never_replaces_a_newer_one(book):
    before = lots()
    cash, lots_ = FILES["cash.csv"].replace("1234.5", "1"), FILES["lots.csv"].replace("5.5", "6")
    result = deliver(book, FILES | {"cash.csv": cash, "lots.csv": lots_}, session="2026-11-17")
    assert result.refused
    assert f'cash.csv, line 2, account_number: "A1" has a newer delivery, of {SESSION}' in result.said
    assert lots() == before
    ann = Account.objects.get(number="A1")
    assert (ann.cash, ann.delivery_problem) == (Decimal("1234.50"), "")


def test_a_folder_without_a_book(tmp_path):
    for folder in (tmp_path / "none", write(tmp_path / "empty", {}), write(tmp_path / "other", {"notes.csv": "a"})):
        with pytest.raises(CommandError):
            call_command("import_book", str(folder))
    assert not Delivery.objects.exists()


def test_a_day_in_the_future_is_no_delivery(tmp_path):
    assert deliver(tmp_path, FILES, session="2999-01-04").refused


def test_a_day_without_session_means_the_one_before(tmp_path):
    deliver(tmp_path, FILES, session="2026-11-15")
    assert str(Delivery.objects.get().session) == "2026-11-13"


def test_many_problems_are_counted_and_the_first_ones_named(tmp_path, monkeypatch):
    monkeypatch.setattr("accounts.imports.problems.MOST_NAMED", 3)
    rows = "\n".join(f"S{number},-,etf,,-1" for number in range(10))
    result = deliver(tmp_path, {"securities.csv": f"symbol,name,kind,asset_class,quantity_step\n{rows}"})
    assert "and 7 more; 10 in all" in result.said
    assert len(DeliveryFile.objects.get().problems) == 4


CELLS = st.one_of(
    st.text(max_size=8),
    st.text("0123456789.-", max_size=8),
    st.sampled_from(
        ["", "A1", "VTI", "Balanced", "Core", "true", "cash", "security", "2026-11-18", "1", "100", "managed"]
    ),
)
ROWS = st.lists(st.lists(CELLS, min_size=1, max_size=12), max_size=4)


@given(name=st.sampled_from(sorted(FILES)), rows=ROWS, junk=st.binary(max_size=40), width=st.booleans())
@settings(max_examples=150)
def test_any_bytes_are_taken_or_refused_with_a_place(book, name, rows, junk, width):
    """Rows of any cells, of the header's width or not, with any bytes behind them."""
    header = FILES[name].strip().split("\n")[0]
    columns = header.count(",") + 1
    cells = [(row * columns)[:columns] if width else row for row in rows]
    text = "\n".join([header, *map(",".join, cells)])
    result = deliver(book, {name: text.encode("utf-8", "surrogatepass") + junk})
    file = DeliveryFile.objects.order_by("-pk").first()
    assert (file.state == "refused") == bool(file.problems) == result.refused
    assert all(len(problem) == 4 and problem[3] for problem in file.problems)
