"""100,000 accounts with their checks, for the list pages: rows made by the database itself, a statement a table.

Importing book L would take minutes, for positions that no list page reads. Here every account has the figures that a
drift analysis leaves behind: a third with high cash, a tenth never rebalanced, all of them in the queue but those in an
open request.
"""

from datetime import timedelta

from django.contrib.auth.models import Group
from django.db import connection
from django.utils import timezone

from accounts.models import Component, Custodian, Portfolio, Price, Role, Security, User
from rebalancer.models import Batch
from rebalancer.states import BatchState, Logic

ACCOUNTS = 100_000
ENDED, OPEN = 20_000, 2_000  # accounts in requests that have ended, and in one that has not
PORTFOLIOS, ADVISORS, HOUSEHOLDS = 50, 200, 30_000
DAY = "2026-11-19"

HOUSEHOLD_ROWS = """
INSERT INTO accounts_household (name)
SELECT 'Household ' || lpad(n::text, 6, '0') FROM generate_series(1, %(households)s) n
"""
ACCOUNT_ROWS = """
INSERT INTO accounts_account (
    number, name, custodian_id, advisor_id, household_id, tax_status, portfolio_id, rebalancing_on, last_rebalanced,
    cash, set_aside_cash, lot_method, is_open, delivery_problem
)
SELECT 'L' || lpad(n::text, 7, '0'), 'Client ' || md5(n::text), (%(custodians)s)[1 + n %% 4],
       (%(advisors)s)[1 + n %% 200], household.id, (ARRAY['taxable', 'tax_deferred', 'tax_exempt'])[1 + n %% 3],
       (%(portfolios)s)[1 + n %% 50], true,
       CASE WHEN n %% 10 = 0 THEN NULL ELSE date %(day)s - n %% 400 END, (n * 7919 %% 900000)::numeric / 10,
       CASE WHEN n %% 20 = 0 THEN 1000 ELSE 0 END, '', true, ''
FROM generate_series(1, %(accounts)s) n
JOIN accounts_household household ON household.name = 'Household ' || lpad((1 + n %% %(households)s)::text, 6, '0')
"""
CHECK_ROWS = """
INSERT INTO rebalancer_check (
    account_id, checked_at, business_day, status, reason, attention, acknowledged, market_value, managed_value, cash,
    available_cash, cash_weight, target_cash, drift, drift_percent, drift_of, drift_weight, drift_target, drift_lower,
    drift_upper, triggering, triggers, first_rebalance, high_cash, low_cash, position_drift, wanted, source,
    needed_since
)
SELECT id, now(), date %(day)s, 7, 'VTI is 3.1 above its 28 %% ceiling', '[]', '[]', cash * 20, cash * 19, cash,
       cash - set_aside_cash, 5 + id %% 7, 2, id %% 9 - 4, 10 + id %% 40, 'VTI', 24 + id %% 9, 26, 23, 29,
       'VTI, AGG, Cash', 3, last_rebalanced IS NULL, id %% 3 = 0, id %% 3 = 1 AND id %% 5 = 0,
       id %% 3 = 2 AND last_rebalanced IS NOT NULL, true, 'drift_analysis', date %(day)s - (id %% 30)::int
FROM accounts_account
"""
ENTRY_ROWS = """
INSERT INTO rebalancer_entry (
    batch_id, account_id, state, reason, portfolio_id, assigns_portfolio, fingerprint, account_number, account_name,
    tax_status, portfolio_name, lot_method, unknown_lots, drift_of, not_traded, market_value, managed_value,
    cash_before, cash_after, buys, buys_value, sells, sells_value, flat_trades, flat_value, short_term_gain,
    long_term_gain, estimated_gain
)
SELECT %(batch)s, account.id, %(state)s, '', portfolio.id, false, '', account.number, account.name, tax_status,
       portfolio.name, 'fifo', 0, 'VTI', false, cash * 20, cash * 19, cash, cash / 3, 3, cash / 3 * 2, 2, 100, 0, 0,
       5, 7, 12
FROM accounts_account account JOIN accounts_portfolio portfolio ON portfolio.id = account.portfolio_id
ORDER BY account.id LIMIT %(rows)s
"""


def fill():
    """Fill an empty, migrated database; returns somebody of Operations, who sees every account."""
    person = User.objects.create_user("bench")
    person.groups.add(Group.objects.get(name=Role.OPERATIONS))
    advisors = User.objects.bulk_create(User(username=f"advisor{n}", first_name=f"Ann{n}") for n in range(ADVISORS))
    custodians = Custodian.objects.bulk_create(Custodian(name=f"Custodian {n}") for n in range(4))
    ids = {"custodians": _ids(custodians), "advisors": _ids(advisors), "portfolios": _ids(_portfolios())}
    with connection.cursor() as cursor:
        cursor.execute(HOUSEHOLD_ROWS, {"households": HOUSEHOLDS})
        cursor.execute(ACCOUNT_ROWS, {**ids, "households": HOUSEHOLDS, "accounts": ACCOUNTS, "day": DAY})
        cursor.execute(CHECK_ROWS, {"day": DAY})
    _request(person, BatchState.COMPLETE, "complete", ENDED)
    _request(person, BatchState.PENDING_APPROVAL, "proposed", OPEN)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")  # as the server does by itself soon after an import
    return person


def _portfolios():
    """Portfolios as the list names them: one security and some cash."""
    security = Security.objects.create(symbol="VTI", name="Total market", kind=Security.Kind.ETF)
    Price.objects.create(security=security, price=100, as_of=timezone.now(), source="simulated")
    rows = Portfolio.objects.bulk_create(Portfolio(name=f"Portfolio {n:02d}") for n in range(PORTFOLIOS))
    for row in rows:
        Component.objects.create(portfolio=row, kind=Component.Kind.SECURITY, security=security, weight=98)
        Component.objects.create(portfolio=row, kind=Component.Kind.CASH, weight=2)
    return rows


def _request(person, state, entry_state, rows):
    opened = timezone.now() - timedelta(days=1)
    batch = Batch.objects.create(
        opened_by=person, logic=Logic.BEST_FIT, state=state, trade_date=DAY, opened_at=opened, total=rows, done=rows
    )
    with connection.cursor() as cursor:
        cursor.execute(ENTRY_ROWS, {"batch": batch.pk, "state": entry_state, "rows": rows})


def _ids(rows):
    return [row.pk for row in rows]
