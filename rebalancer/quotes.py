"""Which prices may be used, and in words why one may not."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from accounts import selectors as accounts_selectors
from accounts.models import Firm, Price
from trading import sessions


@dataclass(frozen=True, slots=True)
class Quote:
    price: Decimal
    as_of: datetime
    source: str


@dataclass(frozen=True, slots=True)
class Quotes:
    """The usable quote of each security, and why the others have none; keys are security ids."""

    usable: dict[int, Quote]
    unusable: dict[int, str]

    def why_not(self, security_id: int, symbol: str) -> str:
        return f"no price for {symbol}{self.unusable.get(security_id, '')}"


def newest(now: datetime | None = None) -> Quotes:
    """The newest quote of every security: usable when it is not questioned, and from the last completed session on.

    The firm settings allow a price to be some sessions older.
    """
    firm = Firm.current()
    oldest = sessions.sessions_before(sessions.last_completed_session(now), firm.price_age_sessions)
    return _judged(accounts_selectors.newest_prices(), oldest)


def last_known(securities) -> Quotes:
    """The newest quote of each of these securities, however old: for pages, which wait for no market calendar.

    A questioned one stops its security here too; whether one is too old is what the check of an account says.
    """
    return _judged(accounts_selectors.newest_prices(securities), date.min)


def _judged(prices, oldest):
    zone = sessions.zone()
    usable, unusable = {}, {}
    for security_id, price in prices.items():
        day = price.as_of.astimezone(zone).date()
        problem = _problem(price, day, oldest)
        if problem:
            unusable[security_id] = problem
        else:
            usable[security_id] = Quote(price.price, price.as_of, price.source)
    return Quotes(usable, unusable)


def _problem(price: Price, day: date, oldest: date) -> str:
    if price.state == Price.State.QUESTIONED:
        return f" until somebody confirms {price.price.normalize():f} of {day}"
    return f" since {day}" if day < oldest else ""
