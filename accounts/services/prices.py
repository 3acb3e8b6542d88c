"""Prices as they come in, and the word of a person on those that look wrong."""

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from accounts.models import Firm, Price, Role, Security
from accounts.money import MICRO, plain

from . import audit
from .records import want_checks_of
from .refusals import Refused, command, require_role

USED = (Price.State.USABLE, Price.State.CONFIRMED)
WRITE_AT_ONCE = 5_000
NEWEST_TWO_USED = """
SELECT price.* FROM accounts_security security CROSS JOIN LATERAL (
    SELECT * FROM accounts_price WHERE security_id = security.id AND state = ANY(%s)
    ORDER BY as_of DESC, id DESC LIMIT 2
) price WHERE security.id = ANY(%s)
"""
KNOWN = """
SELECT price.* FROM unnest(%s::bigint[], %s::timestamptz[], %s::text[]) AS quote(security_id, as_of, source)
JOIN accounts_price price USING (security_id, as_of, source)
"""


@dataclass(frozen=True, slots=True)
class Quote:
    security_id: int
    price: Decimal
    as_of: datetime
    source: str


@dataclass(frozen=True, slots=True)
class Stored:
    """How many quotes were stored, and how many of these are questioned."""

    stored: int
    questioned: int


def store_prices(quotes):
    """Store quotes; one that repeats what is there is left out, one that corrects the same source's quote replaces it.

    A price of zero, below zero, or `firm.price_jump_percent` or more off the last one used is stored as questioned.
    """
    with command(None, "prices.stored"):
        quotes = [replace(quote, price=quote.price.quantize(MICRO, ROUND_HALF_UP)) for quote in quotes]
        quotes = sorted({(q.security_id, q.as_of, q.source): q for q in quotes}.values(), key=lambda quote: quote.as_of)
        jump = Firm.current().price_jump_percent
        known = _known(quotes)
        fresh = [quote for quote in quotes if known.get((quote.security_id, quote.as_of, quote.source)) != quote.price]
        last = _last_used(fresh)
        rows = [_row(quote, last, jump) for quote in fresh]
        Price.objects.bulk_create(
            rows, WRITE_AT_ONCE, update_conflicts=True, unique_fields=["security", "as_of", "source"],
            update_fields=["price", "state", "received_at"],
        )  # fmt: skip
        return Stored(len(rows), sum(row.state == Price.State.QUESTIONED for row in rows))


def confirm_price(price, by):
    """Let a questioned price be used. For Operations and Administrators.

    Raises Refused when it is not questioned, not above 0, or by now not what `price` says, which the person has seen.
    """
    with command(by, "price.confirmed", price):
        if price.price <= 0:
            raise Refused(f"A price of {plain(price.price)} can't be used; reject it.")
        _decide(price, Price.State.CONFIRMED, by)


def reject_price(price, by):
    """Put a questioned price aside for good: the price before it counts again. As `confirm_price`."""
    with command(by, "price.rejected", price):
        _decide(price, Price.State.REJECTED, by)


def set_aside(source):
    """Reject what there is of a source, and ask for checks of the accounts concerned; return how many.

    For a source that no longer counts, whatever the time of its quotes.
    """
    with command(None, "prices.set_aside"):
        shadows = Price.objects.filter(source=source).exclude(state=Price.State.REJECTED)
        securities = set(shadows.values_list("security", flat=True))
        count = shadows.update(state=Price.State.REJECTED)
        if count:
            audit.record(None, "prices.set_aside", source=source, count=count)
            want_checks_of(Security.objects.filter(pk__in=securities))
        return count


def _decide(price, state, by):
    require_role(by, Role.OPERATIONS, Role.ADMINISTRATOR)
    if not Price.objects.filter(pk=price.pk, state=Price.State.QUESTIONED, price=price.price).update(state=state):
        raise Refused(_told(price))
    price.state = state
    before, after = {"state": Price.State.QUESTIONED}, {"state": state}
    audit.record(by, f"price.{state}", price, before, after, security=price.security.symbol)
    want_checks_of(Security.objects.filter(pk=price.security_id))


def _told(price):
    """What the second comer is told, and whoever decides about figures that are not there any more."""
    now = Price.objects.filter(pk=price.pk).first()
    named = f"The price of {price.security} as of {price.as_of:%Y-%m-%d %H:%M}"
    if now is not None and now.state == Price.State.QUESTIONED:
        return f"{named} is {plain(now.price)} now, no longer {plain(price.price)}. Look at it again."
    word = now.get_state_display().lower() if now else "gone"
    return f"{named} is not questioned: it is {word}."


def _known(quotes):
    """The price stored for each (security, as of, source) among the quotes."""
    columns = [[getattr(quote, name) for quote in quotes] for name in ("security_id", "as_of", "source")]
    rows = Price.objects.raw(KNOWN, columns) if quotes else []
    return {(row.security_id, row.as_of, row.source): row.price for row in rows}


def _last_used(quotes):
    """{security id: [(as of, source, price)]} of the newest two used prices: one may be about to be replaced."""
    last = defaultdict(list)
    securities = list({quote.security_id for quote in quotes})
    rows = Price.objects.raw(NEWEST_TWO_USED, [[*USED], securities]) if securities else []
    for row in rows:
        last[row.security_id].append((row.as_of, row.source, row.price))
    return last


def _row(quote, last, jump):
    """The row of a quote; a usable one becomes the last used of its security."""
    key = (quote.as_of, quote.source)
    used = [price for *its_key, price in last[quote.security_id] if tuple(its_key) != key]
    state = Price.State.QUESTIONED if _odd(quote.price, used[0] if used else None, jump) else Price.State.USABLE
    if state == Price.State.USABLE:
        last[quote.security_id].insert(0, (quote.as_of, quote.source, quote.price))
    return Price(security_id=quote.security_id, price=quote.price, as_of=quote.as_of, source=quote.source, state=state)


def _odd(price, last, jump):
    """Whether a price is not to be used without a person's word."""
    return price <= 0 or (last is not None and abs(price - last) * 100 >= jump * last)
