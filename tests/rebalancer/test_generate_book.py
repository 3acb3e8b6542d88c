"""generate_book: the same arguments give the same bytes, and what is written can be read."""

import csv
import hashlib
from collections import Counter

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from accounts.models import Account, DeliveryFile, Position, Restriction
from tax.models import Lot

NAMES = ["accounts", "cash", "lots", "models", "portfolios", "prices", "restrictions", "securities", "transactions"]
WHOLE = "6344343e3d496c8d7db9c55dfbd9d6ed8eb7258e2064d4e465ae900e1989a898"


def generate(folder, accounts=40, positions=6, lots=3, seed=7):
    call_command(
        "generate_book", str(folder), accounts=accounts, positions=positions, lots=lots, seed=seed, verbosity=0
    )
    return {path.stem: path.read_bytes() for path in sorted(folder.iterdir())}


def rows(content):
    return list(csv.DictReader(content.decode().splitlines()))


def test_the_same_arguments_give_the_same_bytes(tmp_path):
    first, again = generate(tmp_path / "a"), generate(tmp_path / "b")
    assert sorted(first) == NAMES
    assert first == again
    assert generate(tmp_path / "c", seed=8)["lots"] != first["lots"]


def test_bytes_are_those_of_every_machine(tmp_path):
    """A change here changes every book that anybody refers to by its arguments."""
    whole = b"".join(generate(tmp_path / "a").values())
    assert hashlib.sha256(whole).hexdigest() == WHOLE


def test_an_account_does_not_depend_on_the_portion_it_was_made_in(tmp_path, monkeypatch):
    first = generate(tmp_path / "a")
    monkeypatch.setattr("rebalancer.book.writing.LOTS_AT_A_TIME", 60)
    assert generate(tmp_path / "b") == first


def test_a_book_holds_what_the_product_has_to_deal_with(tmp_path):
    book = {name: rows(content) for name, content in generate(tmp_path, accounts=1500, positions=15, lots=4).items()}
    accounts, held = book["accounts"], book["lots"]
    assert 1350 < len({(row["account_number"]) for row in held}) <= 1500
    per_position = Counter((row["account_number"], row["sleeve"], row["symbol"]) for row in held)
    assert Counter(per_position.values()).most_common(1)[0][0] == 4
    assert 14 <= len(per_position) / 1500 <= 16
    assert {row["tax_status"] for row in accounts} == {"taxable", "tax_deferred", "tax_exempt"}
    assert {row["lot_method"] for row in accounts} == {"fifo", "lifo", "hifo", "minimum_tax", ""}
    assert {row["kind"] for row in book["restrictions"]} == set(Restriction.Kind.values)
    assert any(row["portfolio"] == "" for row in accounts)
    assert any(row["portfolio"] == "All Cash" for row in accounts)
    assert any(row["last_rebalanced"] == "" for row in accounts)
    assert any(row["rebalancing_on"] == "false" for row in accounts)
    assert any(row["total_cost"] == "" for row in held)
    assert any("." in row["quantity"] for row in held)
    assert {row["sleeve"].partition(":")[0] for row in held} == {"managed", "model", "protected"}
    assert any(row["amount"].startswith("-") for row in book["cash"])
    assert {row["band_kind"] for row in book["portfolios"]} == {"relative", "absolute"}
    assert max(row["acquired_on"] for row in held) < "2026-11-20"


@pytest.mark.parametrize(("accounts", "positions", "lots"), [(3, 1, 1), (2, 4, 2), (5, 40, 9)])
@pytest.mark.django_db
def test_a_book_of_any_shape_can_be_imported_with_every_row(tmp_path, accounts, positions, lots):
    book = generate(tmp_path, accounts, positions, lots)
    call_command("import_book", str(tmp_path), "--as-of=2026-11-18")
    counts = dict(DeliveryFile.objects.values_list("name", "rows"))
    assert counts == {f"{name}.csv": len(rows(content)) for name, content in book.items()}
    assert Account.objects.count() == accounts
    assert Lot.objects.count() == len(rows(book["lots"]))
    assert Position.objects.count() == len({line.rsplit(b",", 4)[0] for line in book["lots"].splitlines()[1:]})


@pytest.mark.parametrize("name", ["accounts", "positions", "lots"])
def test_sizes_that_make_no_sense(tmp_path, name):
    with pytest.raises(CommandError, match=f"--{name} is 0"):
        generate(tmp_path, **{name: 0})
