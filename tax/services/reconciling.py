"""What bookings of our own led to, and what a custodian delivers: compared, confirmed, and put on top again.

A delivery is the authority on lots and cash as of its session. Bookings of that session or earlier are confirmed by it;
those of later sessions come on top of it, provisionally. Whatever differs is a break.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from accounts.imports.copying import execute, fetch
from accounts.models import Account, Role
from accounts.money import UNITS_PER_SHARE
from accounts.services import audit
from accounts.services.refusals import Refused, command, require_role
from accounts.sweeps import swept
from tax.models import BookedLot, Booking, Break
from tax.services import bookings
from tax.services.bookings import Kept, Trade

SETTLEMENT = timedelta(days=3)  # a custodian may date a lot from its trade until then

# --- before the delivered lots replace the others -------------------------------------------------------------------

REMEMBER = """
    DROP TABLE IF EXISTS expected_holdings;
    CREATE TEMPORARY TABLE expected_holdings ON COMMIT DROP AS
    SELECT b.account_id, b.security_id, b.is_confirmed, COALESCE((
        SELECT sum(p.quantity) FROM accounts_position p
        WHERE p.account_id = b.account_id AND p.security_id = b.security_id), 0) - b.later AS quantity
    FROM (
        SELECT account_id, security_id, bool_or(trade_day <= %(session)s) AS is_confirmed,
            COALESCE(sum(quantity) FILTER (WHERE trade_day > %(session)s), 0) AS later
        FROM tax_booking WHERE is_provisional AND account_id = ANY(%(accounts)s) GROUP BY account_id, security_id) b
"""


def remember(account_pks: Sequence[int], session: date) -> None:
    """Keep, until the transaction ends, what these accounts should have held at the end of that session.

    That is what the book says, without the provisional bookings of later sessions; of securities with such bookings.
    """
    execute(REMEMBER, {"session": session, "accounts": list(account_pks)})


SOLD_LATER = f"""
    WITH sold AS (
        SELECT b.account_id, b.security_id, l.lot_id, b.sleeve_id, l.quantity
        FROM tax_booking b JOIN tax_bookedlot l ON l.booking_id = b.id
        WHERE b.is_provisional AND b.quantity < 0 AND b.trade_day > %(session)s AND b.account_id = ANY(%(accounts)s)
    ), had AS (
        SELECT * FROM sold UNION ALL
        SELECT account_id, security_id, lot_id, sleeve_id, quantity FROM tax_lot
        WHERE (account_id, security_id, lot_id) IN (SELECT account_id, security_id, lot_id FROM sold)
    )
    SELECT account_id, security_id, lot_id, sleeve_id, (sum(quantity) * {UNITS_PER_SHARE})::bigint
    FROM had JOIN accounts_sleeve s ON s.id = sleeve_id GROUP BY account_id, security_id, lot_id, sleeve_id, s.kind
    ORDER BY account_id, security_id, lot_id, s.kind = 'managed', s.kind <> 'protected', sleeve_id
"""


def sold_later(account_pks: Sequence[int], session: date) -> dict[tuple[int, int, str], list[tuple[int, int]]]:
    """{(account id, security id, lot id): [(sleeve id, units), ...]} as that session left them, the managed part last.

    Only of lots that bookings of later sessions have sold from: the delivery still has them.
    """
    found = defaultdict(list)
    for account, security, lot_id, sleeve, units in fetch(
        SOLD_LATER, {"session": session, "accounts": list(account_pks)}
    ):
        found[account, security, lot_id].append((sleeve, units))
    return dict(found)


@dataclass(slots=True)
class _Buy:
    sleeve: int
    day: date
    units: int  # not yet found among the delivered lots


BOUGHT = f"""
    SELECT b.account_id, b.security_id, b.sleeve_id, b.trade_day, (b.quantity * {UNITS_PER_SHARE})::bigint
    FROM tax_booking b JOIN accounts_sleeve s ON s.id = b.sleeve_id
    WHERE b.is_provisional AND b.quantity > 0 AND b.trade_day <= %(session)s AND b.account_id = ANY(%(accounts)s)
    ORDER BY b.account_id, b.security_id, b.trade_day, s.kind = 'managed', b.id
"""
KNOWN = """
    SELECT account_id, security_id, lot_id FROM tax_lot
    WHERE (account_id, security_id) IN (SELECT unnest(%s::bigint[]), unnest(%s::bigint[]))
"""


@dataclass(slots=True)
class Bought:
    """Buys of ours that a delivery brings back as lots with ids of the custodian's: which sleeve they were for."""

    buys: dict[tuple[int, int], list[_Buy]] = field(default_factory=lambda: defaultdict(list))
    known: set[tuple[int, int, str]] = field(default_factory=set)

    @classmethod
    def until(cls, account_pks: Sequence[int], session: date) -> "Bought":
        """The buys of these accounts that a delivery of that session has."""
        found = cls()
        for account, security, *buy in fetch(BOUGHT, {"session": session, "accounts": list(account_pks)}):
            found.buys[account, security].append(_Buy(*buy))
        if found.buys:
            accounts, securities = zip(*found.buys, strict=True)
            found.known = set(fetch(KNOWN, [list(accounts), list(securities)]))
        return found

    def parts(self, account: int, security: int, lot_id: str, units: int, acquired: str):
        """[(sleeve id, units), ...] that a delivered lot is made of, the managed part last; None where it is no buy.

        It is one where it is new, and what was bought in one sleeve on one day, or in several of them together, or a
        part of it where there is only one sleeve.
        """
        buys = self.buys.get((account, security))
        if not buys or (account, security, lot_id) in self.known:
            return None
        day = date.fromisoformat(acquired)
        able = [buy for buy in buys if buy.units and buy.day <= day <= buy.day + SETTLEMENT]
        for buy in able:
            if buy.units == units:
                buy.units = 0
                return [(buy.sleeve, units)]
        return _together(able, units)


def _together(buys, units):
    for day in sorted({buy.day for buy in buys}):
        same_day = [buy for buy in buys if buy.day == day]
        if sum(buy.units for buy in same_day) == units:
            parts = [(buy.sleeve, buy.units) for buy in same_day]
            for buy in same_day:
                buy.units = 0
            return parts
        if len(same_day) == 1 and units < same_day[0].units:
            same_day[0].units -= units
            return [(same_day[0].sleeve, units)]
    return None


# --- after the delivery is taken ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a delivery meant for bookings of our own."""

    confirmed: int = 0
    on_top: int = 0
    breaks: int = 0


KEEP_BREAK = """
    ON CONFLICT (account_id, security_id, session) DO UPDATE
    SET expected = excluded.expected, delivered = excluded.delivered, found_at = excluded.found_at, resolved_at = NULL,
        resolved_by_id = NULL, words = ''
    WHERE (tax_break.expected, tax_break.delivered) IS DISTINCT FROM (excluded.expected, excluded.delivered)
"""
BREAKS_OF_HOLDINGS = f"""
    INSERT INTO tax_break (account_id, security_id, session, expected, delivered, found_at, words)
    SELECT account_id, security_id, %(session)s, expected, delivered, %(now)s, '' FROM (
        SELECT e.account_id, e.security_id, e.quantity AS expected, COALESCE((
            SELECT sum(p.quantity) FROM accounts_position p
            WHERE p.account_id = e.account_id AND p.security_id = e.security_id), 0) AS delivered
        FROM expected_holdings e WHERE e.is_confirmed) held
    WHERE expected <> delivered ORDER BY account_id, security_id {KEEP_BREAK}
"""
# What else a delivery brought in cash counts as expected: its new transactions that are no trades. Sweeps are cash:
# what the custodian moves between them and the balance is no difference.
BREAKS_OF_CASH = f"""
    INSERT INTO tax_break (account_id, security_id, session, expected, delivered, found_at, words)
    SELECT account_id, NULL, %(session)s, expected, delivered, %(now)s, '' FROM (
        SELECT a.id AS account_id, a.cash + COALESCE(s.cash, 0) AS delivered, was.cash - COALESCE((
                SELECT sum(b.amount) FROM tax_booking b
                WHERE b.account_id = a.id AND b.is_provisional AND b.trade_day > %(session)s), 0)
            + COALESCE((
                SELECT sum(t.amount) FROM accounts_transaction t
                WHERE t.account_id = a.id AND t.recorded_at = %(now)s AND t.kind NOT IN ('buy', 'sell')), 0) AS expected
        FROM accounts_account a JOIN cash_before was ON was.account_id = a.id
        LEFT JOIN ({swept("SELECT account_id FROM expected_holdings")}) s ON s.account_id = a.id
        WHERE a.id IN (SELECT account_id FROM expected_holdings WHERE is_confirmed)) held
    WHERE expected <> delivered ORDER BY account_id {KEEP_BREAK}
"""
CONFIRM = """
    UPDATE tax_booking SET is_provisional = false
    WHERE is_provisional AND trade_day <= %(session)s AND account_id = ANY(%(accounts)s)
"""


@transaction.atomic
def reconcile(*, session: date, account_pks: Sequence[int], with_lots: bool, now: datetime) -> Reconciled:
    """Bring bookings and a delivery together, whose cash, and lots if `with_lots`, the book has just taken.

    Only a delivery with both confirms bookings and shows breaks. With cash alone, lots stay as they are, with all
    bookings in them, and cash gets those of later sessions on top. The accounts are locked, since their cash was taken;
    `now` is the moment with which the delivery's new transactions were recorded.
    """
    known = {"session": session, "accounts": list(account_pks), "now": now}
    later = _later(known)
    if not with_lots:
        bookings.pay((one.trade.account_id, one.trade.cents) for one in later)
        return Reconciled(on_top=len(later))
    breaks = execute(BREAKS_OF_HOLDINGS, known) + execute(BREAKS_OF_CASH, known)
    confirmed = execute(CONFIRM, known)
    impossible = _put_on_top(later)
    breaks += _break_off(impossible, session)
    return Reconciled(confirmed, len(later) - len(impossible), breaks)


LATER = f"""
    SELECT b.id, b.account_id, b.sleeve_id, b.security_id, (b.quantity * {UNITS_PER_SHARE})::bigint,
        (b.amount * 100)::bigint, b.price, b.trade_day, b.booked_at, b.source, (
            SELECT COALESCE(json_agg(json_build_array(l.lot_id, l.quantity::text) ORDER BY l.id), '[]')
            FROM tax_bookedlot l WHERE l.booking_id = b.id)
    FROM tax_booking b
    WHERE b.is_provisional AND b.trade_day > %(session)s AND b.account_id = ANY(%(accounts)s)
    ORDER BY b.trade_day, b.id
"""


def _later(known):
    """The provisional bookings of later sessions, the earlier first, each with the lots that it took."""
    return [Kept(booking, Trade(*trade)) for booking, *trade in fetch(LATER, known)]


def _put_on_top(later: Sequence[Kept]) -> list[tuple[Kept, int]]:
    """Carry bookings out again on the delivered lots; return those that can't be, with the units their sleeve holds.

    Bookings of one position go one after the other; what they did to lots is written anew.
    """
    if not later:
        return []
    last = BookedLot.objects.aggregate(last=Max("pk"))["last"] or 0
    impossible: list[tuple[Kept, int]] = []
    for wave in _waves(later):
        impossible += bookings.apply(wave)
    failed = {one.booking_id for one, _ in impossible}
    done = [one.booking_id for one in later if one.booking_id not in failed]
    execute("DELETE FROM tax_bookedlot WHERE booking_id = ANY(%s) AND id <= %s", [done, last])
    return impossible


def _waves(later):
    """The bookings in as many groups as one position has bookings, in their order; each position once in a group."""
    waves: list[list[Kept]] = []
    count: dict[tuple[int, int, int], int] = defaultdict(int)
    for one in later:
        place = one.trade.place
        if count[place] == len(waves):
            waves.append([])
        waves[count[place]].append(one)
        count[place] += 1
    return waves


def _break_off(impossible, session):
    """Bookings that the delivery leaves no room for are provisional no more; a break says what was to be there."""
    Booking.objects.filter(pk__in=[one.booking_id for one, _ in impossible]).update(is_provisional=False)
    found: dict[tuple[int, int], tuple[int, int]] = {}
    for one, held in impossible:
        found.setdefault((one.trade.account_id, one.trade.security_id), (-one.trade.units, held))
    if not found:
        return 0
    accounts, securities = (list(keys) for keys in zip(*found, strict=True))
    sold, held = (list(units) for units in zip(*found.values(), strict=True))
    known = {"accounts": accounts, "securities": securities, "sold": sold, "held": held}
    return execute(BREAKS_OF_BOOKINGS, known | {"session": session, "now": timezone.now()})


# What the account held, all told; or what the one sleeve held, where only the sleeves differ.
BREAKS_OF_BOOKINGS = f"""
    INSERT INTO tax_break (account_id, security_id, session, expected, delivered, found_at, words)
    SELECT account_id, security_id, %(session)s, CASE WHEN expected = delivered THEN sold ELSE expected END,
        CASE WHEN expected = delivered THEN held ELSE delivered END, %(now)s, '' FROM (
        SELECT i.account_id, i.security_id, i.sold * 0.000001 AS sold, i.held * 0.000001 AS held,
            e.quantity AS expected, COALESCE((
                SELECT sum(p.quantity) FROM accounts_position p
                WHERE p.account_id = i.account_id AND p.security_id = i.security_id), 0) - COALESCE((
                SELECT sum(b.quantity) FROM tax_booking b
                WHERE b.account_id = i.account_id AND b.security_id = i.security_id AND b.is_provisional
                    AND b.trade_day > %(session)s), 0) AS delivered
        FROM unnest(%(accounts)s::bigint[], %(securities)s::bigint[], %(sold)s::bigint[], %(held)s::bigint[])
            AS i(account_id, security_id, sold, held)
        JOIN expected_holdings e ON e.account_id = i.account_id AND e.security_id = i.security_id) booked
    ORDER BY account_id, security_id {KEEP_BREAK}
"""


# --- a person's word on a break -------------------------------------------------------------------------------------


def resolve_break(break_: Break, *, by, words: str) -> None:
    """Close a break, with what the person found out about it. Raises Refused to whoever comes second."""
    with command(by, "break.resolved", break_.account):
        require_role(by, Role.OPERATIONS)
        words = words.strip()
        if not words:
            raise Refused("Say in a few words what the difference was.")
        if len(words) > WORDS_LENGTH:
            raise Refused(f"The words are longer than {WORDS_LENGTH} characters.")
        changes = {"resolved_at": timezone.now(), "resolved_by": by, "words": words}
        if not Break.objects.filter(pk=break_.pk, resolved_at=None).update(**changes):
            raise Refused(_told(break_))
        Account.objects.filter(pk=break_.account_id).want_check()
        audit.record(by, "break.resolved", break_.account, **_facts(break_), words=words)


WORDS_LENGTH = Break._meta.get_field("words").max_length or 0


def _told(break_):
    """What the second comer is told."""
    now = Break.objects.select_related("resolved_by").filter(pk=break_.pk).first()
    if now is None:
        return "This break is no longer there."
    return f"{now.resolved_by} has resolved this break already: {now.words}"


def _facts(break_):
    """A break as its audit line names it."""
    return {
        "break_id": break_.pk,
        "security": str(break_.security) if break_.security else "cash",
        "session": str(break_.session),
        "expected": str(break_.expected),
        "delivered": str(break_.delivered),
    }
