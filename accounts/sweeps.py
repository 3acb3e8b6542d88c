"""Cash that the custodian keeps as shares of a sweep: it counts as cash wherever cash is counted."""

SWEPT = """
    SELECT p.account_id, sum(round(p.quantity * last.price, 2)) AS cash
    FROM accounts_security s
    CROSS JOIN LATERAL (
        SELECT q.price FROM accounts_price q WHERE q.security_id = s.id AND q.state IN ('usable', 'confirmed')
        ORDER BY q.as_of DESC, q.id DESC LIMIT 1) last
    JOIN accounts_position p ON p.security_id = s.id AND p.account_id IN ({accounts})
    JOIN accounts_sleeve v ON v.id = p.sleeve_id AND v.kind <> 'protected'
    WHERE s.kind = 'sweep' GROUP BY p.account_id
"""


def swept(accounts: str) -> str:
    """A query of (account_id, cash): the dollars that accounts have in sweeps, each position to the cent at the last
    price that may be used; those without have no row. `accounts` is a query of their ids."""
    return SWEPT.format(accounts=accounts)
