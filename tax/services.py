"""The only writer of lots and positions: a position is the sum of its lots, always."""

from decimal import Decimal

from django.db import transaction
from django.db.models import Sum

from accounts.imports.copying import arrive, execute, fetch
from accounts.models import Account, Position
from accounts.money import amount, plain
from accounts.services.refusals import Refused
from tax.models import Lot

# --- lots as a custodian delivers them ----------------------------------------------------------------------------

ARRIVING = {
    "account_id": "bigint", "sleeve_id": "bigint", "security_id": "bigint", "lot_id": 'text COLLATE "C"',
    "quantity": "numeric(20,6)", "total_cost": "numeric(18,2)", "acquired_on": "date",
}  # fmt: skip
COLUMNS = ", ".join(ARRIVING)
SAME_POSITION = "(a.account_id, a.sleeve_id, a.security_id) = (was.account_id, was.sleeve_id, was.security_id)"
LOCK = "SELECT 1 FROM accounts_account WHERE id = ANY(%(accounts)s) ORDER BY id FOR NO KEY UPDATE"
STRAY = "SELECT DISTINCT account_id FROM arriving_lots EXCEPT SELECT unnest(%(accounts)s::bigint[])"
REMOVE_LOTS = f"""
    DELETE FROM tax_lot was WHERE account_id = ANY(%(accounts)s) AND NOT EXISTS (
        SELECT FROM arriving_lots a WHERE {SAME_POSITION} AND a.lot_id = was.lot_id AND a.quantity = was.quantity
        AND a.total_cost IS NOT DISTINCT FROM was.total_cost AND a.acquired_on = was.acquired_on)
"""
ADD_LOTS = f"""
    INSERT INTO tax_lot ({COLUMNS}) SELECT {COLUMNS} FROM arriving_lots a
    WHERE NOT EXISTS (SELECT FROM tax_lot was WHERE {SAME_POSITION} AND a.lot_id = was.lot_id)
    ORDER BY account_id, sleeve_id, security_id, acquired_on, lot_id
"""
SUM_UP = """
    CREATE TEMPORARY TABLE arriving_positions ON COMMIT DROP AS
    SELECT account_id, sleeve_id, security_id, sum(quantity) AS quantity FROM arriving_lots
    GROUP BY account_id, sleeve_id, security_id ORDER BY account_id, sleeve_id, security_id
"""
REMOVE_POSITIONS = f"""
    DELETE FROM accounts_position was WHERE account_id = ANY(%(accounts)s) AND NOT EXISTS (
        SELECT FROM arriving_positions a WHERE {SAME_POSITION} AND a.quantity = was.quantity)
"""
ADD_POSITIONS = f"""
    INSERT INTO accounts_position (account_id, sleeve_id, security_id, quantity)
    SELECT account_id, sleeve_id, security_id, quantity FROM arriving_positions a
    WHERE NOT EXISTS (SELECT FROM accounts_position was WHERE {SAME_POSITION})
"""


@transaction.atomic
def replace_lots(account_pks, rows):
    """Make these rows all the lots of these accounts, and their positions the sums; return how many lots there are.

    A row is (account_id, sleeve_id, security_id, lot_id, quantity, total_cost or None, acquired_on), the numbers in
    any form that PostgreSQL reads. An account without rows ends up with no lots. Lots that stay the same are not
    written again. Asks for checks of the accounts.
    """
    accounts = {"accounts": sorted(int(pk) for pk in account_pks)}
    count = arrive("arriving_lots", ARRIVING, rows)
    stray = fetch(STRAY, accounts)
    assert not stray, f"lots of account {stray[0][0]}, which is not among those replaced"
    execute(LOCK, accounts)
    execute(REMOVE_LOTS, accounts)
    execute(ADD_LOTS)
    execute("DROP TABLE IF EXISTS arriving_positions")
    execute(SUM_UP)
    execute("ANALYZE arriving_positions")
    execute(REMOVE_POSITIONS, accounts)
    execute(ADD_POSITIONS)
    Account.objects.filter(pk__in=accounts["accounts"]).want_check()
    return count


# --- shares that change the sleeve --------------------------------------------------------------------------------

LONGEST_ID = Lot._meta.get_field("lot_id").max_length or 0


@transaction.atomic
def move_lots(account, security, source, target, quantity):
    """Move shares of a security from one sleeve of an account to another, oldest lots first, with cost and date.

    A lot of which only a part goes is split: the part takes cost × part / quantity, rounded half up to the cent, the
    rest keeps what is left. Raises Refused when the source holds less than `quantity` (Decimal shares, above 0).
    """
    assert quantity > 0, "a move has shares"
    assert source != target, "a move has two sleeves"
    Account.objects.select_for_update(no_key=True, of=("self",)).get(pk=account.pk)
    lots = Lot.objects.select_for_update().filter(account=account, security=security)
    leaving = list(lots.filter(sleeve=source).order_by("acquired_on", "lot_id"))
    there = {lot.lot_id: lot for lot in lots.filter(sleeve=target)}
    held = sum((lot.quantity for lot in leaving), Decimal(0))
    if held < quantity:
        raise Refused(
            f"Account {account.number} holds {plain(held)} {security} in its sleeve {source}: "
            f"{plain(quantity)} can't be moved."
        )
    for lot in leaving:
        part = min(lot.quantity, quantity)
        if not part:
            break
        _move(lot, part, target, there)
        quantity -= part
    for sleeve in (source, target):
        _sum_up(account, security, sleeve)
    Account.objects.filter(pk=account.pk).want_check()


def _move(lot, part, target, there):
    """Move a part of a lot, or all of it, to the target sleeve; `there` are the lots of that sleeve by id."""
    cost = None if lot.total_cost is None else amount(lot.total_cost * part / lot.quantity)
    _take_off(lot, part, cost)
    same = there.get(lot.lot_id)
    if same and same.acquired_on == lot.acquired_on and (same.total_cost is None) == (cost is None):
        same.quantity += part
        same.total_cost = None if cost is None else same.total_cost + cost
        same.save()
        return
    lot_id = _free_id(lot.lot_id, there)
    there[lot_id] = Lot.objects.create(
        account_id=lot.account_id, sleeve=target, security_id=lot.security_id, lot_id=lot_id, quantity=part,
        total_cost=cost, acquired_on=lot.acquired_on,
    )  # fmt: skip


def _take_off(lot, part, cost):
    if part == lot.quantity:
        lot.delete()
        return
    lot.quantity -= part
    lot.total_cost = None if cost is None else lot.total_cost - cost
    lot.save()


def _free_id(lot_id, taken):
    """The lot id, or, where it is taken by another lot, with the lowest free number after it: "L7 (2)"."""
    number, free = 2, lot_id
    while free in taken:
        mark = f" ({number})"
        free, number = lot_id[: LONGEST_ID - len(mark)] + mark, number + 1
    return free


def _sum_up(account, security, sleeve):
    """Make the position the sum of its lots again."""
    at = {"account": account, "security": security, "sleeve": sleeve}
    held = Lot.objects.filter(**at).aggregate(held=Sum("quantity"))["held"]
    if held:
        Position.objects.update_or_create(**at, defaults={"quantity": held})
    else:
        Position.objects.filter(**at).delete()
