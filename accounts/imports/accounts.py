"""accounts.csv: accounts with what they belong to. Custodians, households and advisors that are missing are made."""

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group

from accounts.models import Account, Custodian, Household, LotMethod, Role, TaxStatus, User
from accounts.services import audit

from .copying import arrive, execute, fetch, lock_accounts
from .kinds import Choice, Day, Flag, Number, Reference, References, Text, UserName
from .table import BookFile, Column
from .values import days, keys, longest, numbers, values_of

ARRIVING = {
    "number": "text", "name": "text", "custodian_id": "bigint", "advisor_id": "bigint", "household_id": "bigint",
    "tax_status": "text", "portfolio_id": "bigint", "rebalancing_on": "boolean", "last_rebalanced": "date",
    "set_aside_cash": "numeric(18,2)", "lot_method": "text",
}  # fmt: skip
SETTINGS = [name for name in ARRIVING if name not in ("number", "last_rebalanced")]  # taken over for known accounts


def _of(row, names):
    return ", ".join(f"{row}.{name}" for name in names)


KNOWN = "SELECT a.id FROM accounts_account a JOIN arriving_accounts r USING (number)"
CHANGING = f"({_of('a', SETTINGS)}) IS DISTINCT FROM ({_of('r', SETTINGS)})"
FIND_CHANGING = f"""
    SELECT a.id, a.number, {_of("a", SETTINGS)}, {_of("r", SETTINGS)}
    FROM accounts_account a JOIN arriving_accounts r USING (number) WHERE {CHANGING} ORDER BY a.id
"""
UPDATE_KNOWN = f"""
    UPDATE accounts_account a SET ({", ".join(SETTINGS)}) = ROW ({_of("r", SETTINGS)}), check_wanted_at = %(now)s,
        portfolio_since =
            CASE WHEN a.portfolio_id IS DISTINCT FROM r.portfolio_id THEN %(now)s ELSE a.portfolio_since END,
        rebalancing_since =
            CASE WHEN r.rebalancing_on AND NOT a.rebalancing_on THEN %(now)s ELSE a.rebalancing_since END
    FROM arriving_accounts r
    WHERE a.number = r.number AND {CHANGING}
"""
# An account that comes with a last rebalanced date was rebalanced to its portfolio as it is now.
INSERT_NEW = f"""
    INSERT INTO accounts_account
        ({", ".join(ARRIVING)}, rebalanced_to_id, cash, is_open, delivery_problem, check_wanted_at)
    SELECT {_of("r", ARRIVING)}, CASE WHEN r.last_rebalanced IS NOT NULL THEN v.id END,
        0, TRUE, '', %(now)s
    FROM arriving_accounts r
    LEFT JOIN (
        SELECT DISTINCT ON (portfolio_id) portfolio_id, id FROM accounts_portfolioversion
        ORDER BY portfolio_id, number DESC
    ) v USING (portfolio_id)
    WHERE NOT EXISTS (SELECT FROM accounts_account a WHERE a.number = r.number)
    ORDER BY r.number
"""
UNLINK = """
    DELETE FROM accounts_account_linked_portfolios l USING accounts_account a, arriving_accounts r
    WHERE l.account_id = a.id AND a.number = r.number AND NOT EXISTS
        (SELECT FROM arriving_links n WHERE n.number = r.number AND n.portfolio_id = l.portfolio_id)
"""
LINK = """
    INSERT INTO accounts_account_linked_portfolios (account_id, portfolio_id)
    SELECT a.id, n.portfolio_id FROM arriving_links n JOIN accounts_account a USING (number)
    ON CONFLICT DO NOTHING
"""


def take_accounts(table, world):
    """Add new accounts and update known ones; return how many were made or changed."""
    arrive("arriving_accounts", ARRIVING, _arriving(table))
    arrive("arriving_links", {"number": "text", "portfolio_id": "bigint"}, _links(table))
    lock_accounts(KNOWN)
    _record_changes()
    changed = execute(UPDATE_KNOWN, {"now": world.now}) + execute(INSERT_NEW, {"now": world.now})
    execute(UNLINK)
    execute(LINK)
    return changed


def _record_changes():
    """An audit line for each known account that the file changes."""
    changes = []
    for pk, number, *values in fetch(FIND_CHANGING):
        before, after = (
            dict(zip(SETTINGS, half, strict=True)) for half in (values[: len(SETTINGS)], values[len(SETTINGS) :])
        )
        changes.append((Account(pk=pk, number=number, name=after["name"]), *audit.differences(before, after)))
    audit.record_many(None, "account.imported", changes)


def _arriving(table):
    people = {"custodian": custodians, "advisor": advisors, "household": households}
    found = {column: make(set(table[column].tolist()) - {""}) for column, make in people.items()}
    named = {column: [names.get(name) for name in table[column].tolist()] for column, names in found.items()}
    return zip(
        table["account_number"].tolist(), table["name"].tolist(), named["custodian"], named["advisor"],
        named["household"], table["tax_status"].tolist(), keys(table["portfolio"]),
        (bool(flag) for flag in table["rebalancing_on"].tolist()), days(table["last_rebalanced"]),
        (amount or 0 for amount in numbers(table["set_aside_cash"], 2)), table["lot_method"].tolist(),
        strict=True,
    )  # fmt: skip


def _links(table):
    for number, portfolios in table.rows("account_number", "linked_portfolios"):
        yield from ((number, portfolio) for portfolio in portfolios)


def _named(model, names):
    """{name: key}, after making the rows that are missing."""
    model.objects.bulk_create([model(name=name) for name in sorted(names)], ignore_conflicts=True)
    return dict(model.objects.values_list("name", "pk"))


def custodians(names):
    return _named(Custodian, names)


def households(names):
    return _named(Household, names)


def advisors(names):
    """{username: key}, after making those that are missing: Advisors who can't sign in until they get a password."""
    known = dict(User.objects.values_list("username", "pk"))
    missing = sorted(names - known.keys())
    made = User.objects.bulk_create([User(username=name, password=make_password(None)) for name in missing])
    group, _ = Group.objects.get_or_create(name=Role.ADVISOR.value)
    group.user_set.add(*made)
    return known | {user.username: user.pk for user in made}


ACCOUNTS = BookFile(
    "accounts.csv",
    (
        Column("account_number", Text(longest(Account, "number"))),
        Column("name", Text(longest(Account, "name"))),
        Column("custodian", Text(longest(Custodian, "name"))),
        Column("advisor", UserName(longest(User, "username")), required=False),
        Column("household", Text(longest(Household, "name")), required=False),
        Column("tax_status", Choice(values_of(TaxStatus))),
        Column("portfolio", Reference("portfolio"), required=False),
        Column("linked_portfolios", References("portfolio"), required=False),
        Column("rebalancing_on", Flag()),
        Column("last_rebalanced", Day(past=True), required=False),
        Column("set_aside_cash", Number(places=2, digits=16, least=0), required=False),
        Column("lot_method", Choice(values_of(LotMethod)), required=False),
    ),
    key=("account_number",),
    take=take_accounts,
    states=True,
)
