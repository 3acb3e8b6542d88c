"""lots.csv: replaces the lots, and so the positions, of every account of the delivery."""

from collections import defaultdict

import numpy as np

from accounts.imports.copying import fetch
from accounts.imports.holdings import refuse_undelivered
from accounts.imports.kinds import NO_KEY, NO_NUMBER, Day, Number, Reference, Text
from accounts.imports.table import BookFile, Column, suspects
from accounts.imports.values import QUANTITY, longest, numbers
from accounts.models import Sleeve
from tax.models import Lot
from tax.services import reconciling
from tax.services.lots import replace_lots

# A known lot that is not, or not only, in the managed sleeve: its parts, the managed one last.
KNOWN_ELSEWHERE = """
    SELECT l.account_id, l.security_id, l.lot_id, l.sleeve_id, (l.quantity * 1000000)::bigint
    FROM tax_lot l JOIN accounts_sleeve s ON s.id = l.sleeve_id
    WHERE l.account_id = ANY(%(accounts)s) AND EXISTS (
        SELECT FROM tax_lot o WHERE o.account_id = l.account_id AND o.security_id = l.security_id
            AND o.lot_id = l.lot_id AND o.sleeve_id <> %(managed)s)
    ORDER BY l.account_id, l.security_id, l.lot_id, s.kind = 'managed', s.kind <> 'protected', l.sleeve_id
"""


def check_lots(table, world):
    refuse_undelivered(table, world)
    if (table["sleeve"] == NO_KEY).any():
        _refuse_twice_without_sleeve(table)


def _refuse_twice_without_sleeve(table):
    """A lot without sleeve may not stand beside the same lot with one: together they would be one lot twice."""
    first = {}
    rows, columns = table.rows_of(table.good, "account_number", "symbol", "lot_id")
    for number in rows[suspects(columns)].tolist():
        key = (table["account_number"][number], table["symbol"][number], table["lot_id"][number])
        other = first.setdefault(key, number)
        if other != number and NO_KEY in (table["sleeve"][number], table["sleeve"][other]):
            table.refuse([number], "lot_id", f"the same lot as in line {table.line[other]}, where one has no sleeve")


def take_lots(table, world):
    reconciling.remember(world.delivered.tolist(), world.session)
    return replace_lots(world.delivered.tolist(), _rows(table, world))


def _rows(table, world):
    """What `replace_lots` takes, lot by lot in the file's order."""
    named = (table[name].tolist() for name in ("account_number", "sleeve", "symbol", "lot_id"))
    days = np.datetime_as_string(table["acquired_on"]).tolist()
    if (table["sleeve"] == NO_KEY).any():
        return _placed(table, world, days)
    return zip(*named, numbers(table["quantity"], 6), numbers(table["total_cost"], 2), days, strict=True)


def _placed(table, world, days):
    """The same where some rows have no sleeve: a known lot keeps its own, a new one goes to managed.

    What bookings of later sessions have sold of a lot is known, too; and a new one that a buy of ours has made goes
    where that was for.
    """
    parts, bought = _parts_elsewhere(table, world), reconciling.Bought.until(_without_sleeve(table), world.session)
    managed = world.names("sleeve")[Sleeve.Kind.MANAGED.value]
    columns = ("account_number", "sleeve", "symbol", "lot_id", "quantity", "total_cost")
    for (account, sleeve, security, lot_id, units, cost), day in zip(table.rows(*columns), days, strict=True):
        if sleeve == NO_KEY:
            known = parts.get((account, security, lot_id)) or bought.parts(account, security, lot_id, units, day)
            known = known or [(managed, units)]
        else:
            known = [(sleeve, units)]
        for part, taken, its_cost in shared(known, units, None if cost == NO_NUMBER else cost):
            its_cost = None if its_cost is None else f"{its_cost}e-2"
            yield account, part, security, lot_id, f"{taken}e-6", its_cost, day


def _parts_elsewhere(table, world):
    """{(account, security, lot id): [(sleeve, units), ...]} of lots in the book that are not simply managed."""
    accounts = _without_sleeve(table)
    managed = world.names("sleeve")[Sleeve.Kind.MANAGED.value]
    parts = defaultdict(list)
    for account, security, lot_id, sleeve, units in fetch(KNOWN_ELSEWHERE, {"accounts": accounts, "managed": managed}):
        parts[account, security, lot_id].append((sleeve, units))
    return parts | reconciling.sold_later(accounts, world.session)


def _without_sleeve(table):
    """The accounts with a row that has no sleeve."""
    return np.unique(table["account_number"][table["sleeve"] == NO_KEY]).tolist()


def shared(parts, units, cost):
    """Share a lot among the sleeves that had it: [(sleeve, units, cost)].

    Each keeps what it had, the first ones first; what is more or less than before is the last one's. Costs go by units,
    half up to the cent, and the last takes what is left.
    """
    found, left, cost_left = [], units, cost
    for sleeve, had in parts:
        taken = left if (sleeve, had) == parts[-1] else min(had, left)
        if not taken:
            continue
        its_cost = None if cost is None else cost_left if taken == left else (2 * cost * taken + units) // (2 * units)
        found.append((sleeve, taken, its_cost))
        left -= taken
        cost_left = None if cost is None else cost_left - its_cost
    return found


LOTS = BookFile(
    "lots.csv",
    (
        Column("account_number", Reference("account")),
        Column("sleeve", Reference("sleeve"), required=False),
        Column("symbol", Reference("security")),
        Column("lot_id", Text(longest(Lot, "lot_id"))),
        Column("quantity", QUANTITY),
        Column("total_cost", Number(places=2, digits=16, least=0), required=False),
        Column("acquired_on", Day(past=True)),
    ),
    key=("account_number", "sleeve", "symbol", "lot_id"),
    check=check_lots,
    take=take_lots,
    states=True,
)
