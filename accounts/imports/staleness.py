"""Which accounts a file speaks of, which of them it may not touch, and which are left stale when it is refused."""

from collections import defaultdict

from accounts.models import Account

from .copying import execute, fetch

NUMBER = "account_number"
WORD = " refused in the delivery of "  # after the names of files in Account.delivery_problem
REPLACING = ("lots.csv", "restrictions.csv")  # speak of every account of the delivery, with a row or without
UPDATE = "UPDATE accounts_account SET delivery_problem = %s, check_wanted_at = %s WHERE id = ANY(%s)"


def refuse_older(table, world):
    """An older delivery never replaces a newer one: name the accounts that have one."""
    rows = fetch("SELECT number, id, delivered_for FROM accounts_account WHERE delivered_for > %s", [world.session])
    newer = {key: day for number, account, day in rows for key in (number, account)}
    accounts = table[NUMBER].tolist() if newer else []
    known = table.known(NUMBER)
    where = [number for number, account in enumerate(accounts) if account in newer and known[number]]
    table.refuse(where, NUMBER, lambda number: f"has a newer delivery, of {newer[accounts[number]]}")


def concerned(table, world):
    """The keys of the accounts in the book that a file speaks of, whether it was taken or not."""
    named = table[NUMBER].tolist() if len(table) and NUMBER in table.file.names else []
    known = world.names("account")
    found = {known.get(account, 0) if isinstance(account, str) else account for account in named}
    if table.file.name in REPLACING or not len(table):
        found |= _delivered(world)
    return {account for account in found if account > 0}


def _delivered(world):
    """The delivery's accounts; where cash.csv does not say, every account that was ever delivered may be meant."""
    if world.delivered is not None:
        return set(world.delivered.tolist())
    return set(Account.objects.exclude(delivered_for=None).values_list("pk", flat=True))


def mark(outcomes, world):
    """Write into each account which files about it are refused and not yet put right; return how many were marked.

    `outcomes`: (file's name, whether it was taken, keys of the accounts concerned). An account whose newest delivery is
    of a later session is not left stale by this one.
    """
    before = dict(Account.objects.exclude(delivery_problem="").values_list("pk", "delivery_problem"))
    beyond = set(Account.objects.filter(delivered_for__gt=world.session).values_list("pk", flat=True))
    names = {account: set(text.partition(WORD)[0].split(", ")) for account, text in before.items()}
    refused = set()
    for name, taken, accounts in outcomes:
        if taken:
            for account in accounts & names.keys():
                names[account].discard(name)
        else:
            refused |= accounts - beyond
            for account in accounts - beyond:
                names.setdefault(account, set()).add(name)
    for text, accounts in _by_text(names, before, refused, world.session).items():
        execute(UPDATE, [text, world.now, accounts])
    return len(refused)


def _by_text(names, before, refused, session):
    """{text: accounts} of the accounts whose text changes."""
    found = defaultdict(list)
    for account, files in names.items():
        old = before.get(account, "")
        day = session if account in refused else old.partition(WORD)[2]
        text = f"{', '.join(sorted(files))}{WORD}{day}" if files else ""
        if text != old:
            found[text].append(account)
    return found
