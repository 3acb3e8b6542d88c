"""What tests of preview and Confirm share: the market's days by hand, and a ticket of staged orders."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from tests import factories as make
from trading.models import MarketDay, Order, Ticket
from trading.services import staging
from trading.services.staging import Block, Part
from trading.states import Side

TRADE_DATE = date(2026, 11, 20)  # a Friday
OPEN = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)  # 11:00 in New York
BEFORE_CLOSE = datetime(2026, 11, 20, 20, 51, tzinfo=UTC)  # nine minutes before
SATURDAY = datetime(2026, 11, 21, 16, 0, tzinfo=UTC)
THANKSGIVING, DAY_AFTER = date(2026, 11, 26), date(2026, 11, 27)


def market_days(first=date(2026, 10, 20), count=60):
    """Weekdays from 9:30 to 16:00 in New York, Thanksgiving a holiday, the day after it until 13:00."""
    days = [first + timedelta(days=number) for number in range(count)]
    MarketDay.objects.all().delete()
    MarketDay.objects.bulk_create(_market_day(day) for day in days)


def _market_day(day):
    if day.weekday() > 4 or day == THANKSGIVING:
        return MarketDay(day=day, calendar="XNYS")
    summer = 0 if day >= date(2026, 11, 1) else -1
    opens = datetime(day.year, day.month, day.day, 14 + summer, 30, tzinfo=UTC)
    early = day == DAY_AFTER
    closes = datetime(day.year, day.month, day.day, (18 if early else 21) + summer, tzinfo=UTC)
    return MarketDay(day=day, opens_at=opens, closes_at=closes, is_early_close=early, calendar="XNYS")


def block(symbol, side, price, **shares):
    """A block of managed shares by account number: block("VTI", "sell", 100, A1=5)."""
    sleeve = make.sleeve().pk
    accounts = dict(make.Account.objects.filter(number__in=shares).values_list("number", "pk"))
    parts = [Part(accounts[number], sleeve, Decimal(str(quantity)), []) for number, quantity in shares.items()]
    return Block(make.security(symbol).pk, Side(side), Decimal(str(price)), parts)


def ticket(*blocks, moves=(), by=None) -> Ticket:
    return staging.stage(label="Request 1", by=by, trade_date=TRADE_DATE, blocks=blocks, moves=moves)


def order(symbol, **changes) -> Order:
    """The order of that symbol, changed."""
    Order.objects.filter(security__symbol=symbol).update(**changes)
    return Order.objects.get(security__symbol=symbol)
