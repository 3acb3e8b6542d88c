"""Lots as a custodian delivers them.

The modules beside it are the only writers of lots and positions: a position is the sum of its lots, always.
"""

from django.db import transaction

from accounts.imports.copying import arrive, execute, fetch
from accounts.models import Account
from tax.models import Lot

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


LONGEST_ID = Lot._meta.get_field("lot_id").max_length or 0


def free_id(lot_id, taken):
    """The lot id, or, where it is taken by another lot, with the lowest free number after it: "L7 (2)"."""
    number, free = 2, lot_id
    while free in taken:
        mark = f" ({number})"
        free, number = lot_id[: LONGEST_ID - len(mark)] + mark, number + 1
    return free
