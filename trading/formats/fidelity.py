"""Fidelity's order file, as Wealthscape's "Import Orders" takes it.

After the help page of Wealthscape, Tools > Imports > Orders (advisorchannel.com, sp3help, fwchlpimportorders): comma
separated, quotes allowed; in this order Account Number (20 characters), Account Type (1: 0 DVP/RVP, 1 cash, 2 margin,
3 short; empty: chosen by Fidelity), Order Action (3), Quantity (10, to three decimal places), Symbol (30), Price Type
(2), Time In Force (1), Stop Price/Limit Price (10). The orders wait as unsent until somebody sends them there.

Order actions B and S are those of its order tickets (fwchlpsendselected_nfs). M and L for the price type and D for the
day are the usual codes; the part of the page that lists them could not be read, so a first file is to be tried out
with Fidelity. Fund orders go as market orders, because the day's price is the only one a fund has. Account type 1: cash
never goes below zero and nothing is sold short.
"""

from trading.brokers.base import Instruction
from trading.states import Algorithm, Side

from .base import Facts, Format, algorithm_problems, decimals, formula_problems, plain, portions, sheet

WHOSE = "Fidelity's order file"
HEADER = (
    "Account Number", "Account Type", "Order Action", "Quantity", "Symbol", "Price Type", "Time In Force",
    "Stop/Limit Price",
)  # fmt: skip
LONGEST_NUMBER, LONGEST_FIGURE, LONGEST_SYMBOL, MOST_DECIMALS = 20, 10, 30, 3
CASH, DAY = "1", "D"
ACTIONS = {Side.BUY: "B", Side.SELL: "S"}
PRICES = {Algorithm.MARKET: "M", Algorithm.LIMIT: "L", Algorithm.NAV: "M"}


def orders_1(order: Instruction) -> str:
    """One row for each account's part."""
    shared = (order.symbol, PRICES[order.algorithm], DAY, plain(order.limit_price))
    return sheet(
        HEADER,
        ((part.account_number, CASH, ACTIONS[order.side], plain(part.quantity), *shared) for part in portions(order)),
    )


def problems_1(facts: Facts) -> list[str]:
    found = algorithm_problems(facts, WHOSE) + formula_problems(facts)
    if facts.extended_hours:
        found.append(f"{WHOSE} can't carry orders outside regular hours.")
    if len(facts.symbol) > LONGEST_SYMBOL:
        found.append(f"{WHOSE} has room for {LONGEST_SYMBOL} characters of a symbol; {facts.symbol} has more.")
    return found + _number_problems(facts) + _figure_problems(facts)


def _number_problems(facts):
    long = [number for number in facts.account_numbers if len(number) > LONGEST_NUMBER]
    return [f"{WHOSE} has room for {LONGEST_NUMBER} characters of an account number; {one} has more." for one in long]


def _figure_problems(facts):
    fine = next((one for one in facts.quantities if decimals(one) > MOST_DECIMALS), None)
    found = []
    if fine is not None:
        found.append(f"{WHOSE} carries {MOST_DECIMALS} decimals of a share; {plain(fine)} has more.")
    figures = [*facts.quantities, *([facts.limit_price] if facts.limit_price is not None else [])]
    long = next((one for one in figures if len(plain(one)) > LONGEST_FIGURE), None)
    if long is not None:
        found.append(f"{WHOSE} has room for {LONGEST_FIGURE} characters of a figure; {plain(long)} has more.")
    return found


VERSION_1 = Format("fidelity", 1, orders_1, None, problems_1)
