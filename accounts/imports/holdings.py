"""cash.csv, transactions.csv and restrictions.csv: how accounts stand, as their custodians say."""

import numpy as np

from accounts.models import Restriction, Security, Transaction
from accounts.rules import restriction_problems
from accounts.sweeps import swept

from .copying import arrive, execute, fetch, lock_accounts
from .kinds import Choice, Day, Number, Reference, Text
from .table import BookFile, Column
from .values import AMOUNT, days, keys, longest, numbers, values_of

# --- cash.csv: an account has a row here in every delivery it is part of ---------------------------------------

TAKE_CASH = """
    UPDATE accounts_account a SET cash = r.amount, delivered_for = %(session)s, check_wanted_at = %(now)s
    FROM arriving_cash r WHERE a.id = r.account_id
"""
KEEP_CASH = f"""
    DROP TABLE IF EXISTS cash_before;
    CREATE TEMPORARY TABLE cash_before ON COMMIT DROP AS
    SELECT a.id AS account_id, a.cash + COALESCE(s.cash, 0) AS cash
    FROM accounts_account a JOIN arriving_cash r ON a.id = r.account_id
    LEFT JOIN ({swept("SELECT account_id FROM arriving_cash")}) s ON s.account_id = a.id
"""


def take_cash(table, world):
    """Set the balances; from here on the delivery's accounts are known, and their old balances, sweeps included, in
    `cash_before`."""
    world.delivered = np.sort(table["account_number"])
    columns = {"account_id": "bigint", "amount": "numeric(18,2)"}
    arrive("arriving_cash", columns, zip(keys(table["account_number"]), numbers(table["amount"], 2), strict=True))
    lock_accounts("SELECT account_id FROM arriving_cash")
    execute(KEEP_CASH)
    return execute(TAKE_CASH, {"now": world.now, "session": world.session})


def refuse_undelivered(table, world):
    """Lots and restrictions replace what an account has, so each account must be part of the delivery."""
    if world.delivered is None:
        why = "was refused" if "cash.csv" in world.refused else "is not there"
        table.problems.add(0, "", "", f"cash.csv {why}, and it says which accounts are part of the delivery")
        return
    undelivered = ~np.isin(table["account_number"], world.delivered) & table.known("account_number")
    table.refuse(undelivered, "account_number", "has no row in cash.csv")


# --- transactions.csv: added, and updated where the custodian corrects one -------------------------------------

TRANSACTION = {
    "account_id": "bigint", "date": "date", "kind": "text", "security_id": "bigint", "quantity": "numeric(20,6)",
    "amount": "numeric(18,2)", "external_id": "text",
}  # fmt: skip
CORRECTED = ("date", "kind", "security_id", "quantity", "amount")
TAKE_TRANSACTIONS = f"""
    WITH taken AS (
        INSERT INTO accounts_transaction AS t ({", ".join(TRANSACTION)}, recorded_at)
        SELECT {", ".join(TRANSACTION)}, %(now)s FROM arriving_transactions
        ON CONFLICT (account_id, external_id) DO UPDATE
            SET {", ".join(f"{name} = excluded.{name}" for name in CORRECTED)}
            WHERE ({", ".join(f"t.{name}" for name in CORRECTED)})
                IS DISTINCT FROM ({", ".join(f"excluded.{name}" for name in CORRECTED)})
        RETURNING account_id
    ), concerned AS (
        UPDATE accounts_account SET check_wanted_at = %(now)s WHERE id IN (SELECT account_id FROM taken)
    )
    SELECT count(*) FROM taken
"""


def check_transactions(table, world):
    """What comes from outside is positive and what goes there negative; in kind the amount is 0."""
    known = table.known("kind", "amount")
    for kind, wrong, words in (
        (Transaction.Kind.DEPOSIT, table["amount"] < 0, "is negative: a deposit comes into the account"),
        (Transaction.Kind.WITHDRAWAL, table["amount"] > 0, "is positive: a withdrawal leaves the account"),
    ):
        table.refuse(known & wrong & (table["kind"] == kind.value), "amount", words)


def take_transactions(table, world):
    rows = zip(
        keys(table["account_number"]), days(table["date"]), table["kind"].tolist(), keys(table["symbol"]),
        numbers(table["quantity"], 6), numbers(table["amount"], 2), table["external_id"].tolist(),
        strict=True,
    )  # fmt: skip
    arrive("arriving_transactions", TRANSACTION, rows)
    return fetch(TAKE_TRANSACTIONS, {"now": world.now})[0][0]


# --- restrictions.csv: replaces everything for each account of the delivery ------------------------------------

RESTRICTION = {
    "account_id": "bigint", "security_id": "bigint", "kind": "text", "substitute_id": "bigint", "start": "date",
    "end_": "date",
}  # fmt: skip
COLUMN_OF = {"security": "symbol"}
# Without a start a restriction keeps the one it has, and a new one begins with the delivery's session.
FILL_START = """
    UPDATE arriving_restrictions r SET start = COALESCE(
        (SELECT k.start FROM accounts_restriction k
         WHERE k.account_id = r.account_id AND k.security_id = r.security_id AND k.kind = r.kind),
        %(session)s)
    WHERE r.start IS NULL
"""
SAME = """k.account_id = r.account_id AND k.security_id = r.security_id AND
    (k.kind, k.substitute_id, k.start, k."end") IS NOT DISTINCT FROM (r.kind, r.substitute_id, r.start, r.end_)"""
DROP_OLD = f"""
    DELETE FROM accounts_restriction k WHERE k.account_id = ANY(%(delivered)s)
        AND NOT EXISTS (SELECT FROM arriving_restrictions r WHERE {SAME})
"""
ADD_NEW = f"""
    INSERT INTO accounts_restriction (account_id, security_id, kind, substitute_id, start, "end")
    SELECT r.account_id, r.security_id, r.kind, r.substitute_id, r.start, r.end_ FROM arriving_restrictions r
    WHERE NOT EXISTS (SELECT FROM accounts_restriction k WHERE {SAME})
"""


def check_restrictions(table, world):
    refuse_undelivered(table, world)
    securities, kept = Security.objects.in_bulk(), _starts(table)
    for rows, _ in table.groups("account_number").values():
        rules = [_restriction(table, row, securities, kept, world) for row in rows]
        for problem in restriction_problems(rules):
            table.refuse([rows[problem.index]], COLUMN_OF.get(problem.field, problem.field), problem.words)


def _starts(table):
    """{(account, security, kind): first day} that rows without start keep; as FILL_START fills them."""
    accounts = np.unique(table["account_number"][np.isnat(table["start"])]).tolist()
    rows = Restriction.objects.filter(account__in=accounts) if accounts else Restriction.objects.none()
    return {tuple(key): start for *key, start in rows.values_list("account", "security", "kind", "start")}


def _restriction(table, number, securities, kept, world):
    start, end, kind = (table[name][number] for name in ("start", "end", "kind"))
    known = kept.get((table["account_number"][number], table["symbol"][number], kind), world.session)
    return Restriction(
        security=securities[table["symbol"][number]],
        kind=kind,
        substitute=securities.get(table["substitute"][number]),
        start=known if np.isnat(start) else start.item(),
        end=None if np.isnat(end) else end.item(),
    )


def take_restrictions(table, world):
    rows = zip(
        keys(table["account_number"]), keys(table["symbol"]), table["kind"].tolist(), keys(table["substitute"]),
        days(table["start"]), days(table["end"]),
        strict=True,
    )  # fmt: skip
    arrive("arriving_restrictions", RESTRICTION, rows)
    execute(FILL_START, {"session": world.session})
    dropped = execute(DROP_OLD, {"delivered": world.delivered.tolist()})
    return dropped + execute(ADD_NEW)


CASH = BookFile(
    "cash.csv",
    (Column("account_number", Reference("account")), Column("amount", AMOUNT)),
    key=("account_number",),
    take=take_cash,
    states=True,
)
TRANSACTIONS = BookFile(
    "transactions.csv",
    (
        Column("account_number", Reference("account")),
        Column("date", Day(past=True)),
        Column("kind", Choice(values_of(Transaction.Kind))),
        Column("symbol", Reference("security"), required=False),
        Column("quantity", Number(places=6, digits=12), required=False),
        Column("amount", AMOUNT),
        Column("external_id", Text(longest(Transaction, "external_id"))),
    ),
    key=("account_number", "external_id"),
    check=check_transactions,
    take=take_transactions,
)
RESTRICTIONS = BookFile(
    "restrictions.csv",
    (
        Column("account_number", Reference("account")),
        Column("symbol", Reference("security")),
        Column("kind", Choice(values_of(Restriction.Kind))),
        Column("substitute", Reference("security"), required=False),
        Column("start", Day(), required=False),
        Column("end", Day(), required=False),
    ),
    key=("account_number", "symbol"),
    check=check_restrictions,
    take=take_restrictions,
    states=True,
)
