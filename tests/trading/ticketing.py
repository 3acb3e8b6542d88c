"""A staged ticket for tests: accounts by number, each with its orders in words ("buy 10 VTI", "sell 5 AGG")."""

from datetime import date
from decimal import Decimal

from accounts.models import Account
from tests import factories as make
from trading.models import Allocation, Order, Ticket
from trading.services.market_days import keep_days
from trading.services.relieving import Sale, relieved
from trading.services.staging import Block, Part, stage
from trading.states import Side

DAY = date(2026, 11, 20)
PRICES = {"VTI": 100, "AGG": 50, "FUND": 20}


def market():
    """Days of the market, and prices of now: VTI 100, AGG 50, the fund FUND 20."""
    keep_days()
    make.security("FUND", kind="mutual_fund")
    for symbol, value in PRICES.items():
        make.price(symbol, value)


def staged(orders: dict[str, list[str]], by=None, label="Request 2041", day=DAY) -> Ticket:
    """A ticket of these orders, at approval's prices; the accounts are there already."""
    blocks = {}
    for number, wanted in orders.items():
        account = Account.objects.get(number=number)
        for words in wanted:
            side, quantity, symbol = words.split()
            security = make.security(symbol)
            price = Decimal(PRICES[symbol])
            block = blocks.setdefault((symbol, side), Block(security.pk, Side(side), price, []))
            block.parts.append(part(account, security, Side(side), Decimal(quantity), price, day))
    return stage(label=label, by=by, trade_date=day, blocks=blocks.values(), moves=[])


def part(account, security, side, quantity, price, day):
    sleeve = make.sleeve().pk
    if side == Side.BUY:
        return Part(account.pk, sleeve, quantity, [])
    sale = Sale(0, account.pk, sleeve, security.pk, quantity, account.lot_method or "fifo", price)
    found = relieved([sale], day)[0]
    return Part(account.pk, sleeve, quantity, found.lots, found.sold)


def line(number, words) -> Allocation:
    """The line of an account: line("A1", "buy VTI")."""
    side, symbol = words.split()
    return Allocation.objects.get(account__number=number, order__side=side, order__security__symbol=symbol)


def order(words) -> Order:
    side, symbol = words.split()
    return Order.objects.get(side=side, security__symbol=symbol)


def quantities() -> dict[tuple[str, str], Decimal]:
    """{(account number, "buy VTI"): shares} of every line."""
    rows = Allocation.objects.values_list("account__number", "order__side", "order__security__symbol", "quantity")
    return {(number, f"{side} {symbol}"): quantity for number, side, symbol, quantity in rows}
