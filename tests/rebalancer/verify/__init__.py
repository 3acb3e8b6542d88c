"""An independent judge of a batch: the files of a book and the exports, nothing of the program.

It has its own reading of PRODUCT 3, 4 and 5 in exact fractions, and names every account and figure that breaks a rule.
"""

from datetime import date

from . import bands, exports, figures, trading, words
from . import book as books
from .case import Case

__all__ = ["compare", "judge", "read", "verify"]


def verify(folder, texts, logic, trade_date: date) -> list[str]:
    """Every violation in a batch of all accounts of a book that could be opened.

    `folder`: the files of the book; `texts`: {what: csv text} of the exports; `logic`: best_fit, min_transaction or
    liquidate.
    """
    cases, wrong = read(folder, texts, logic, trade_date)
    book = books.read(folder)
    expected = {number for number, account in book.accounts.items() if may_be_proposed(book, account, logic)}
    wrong += [f"{number}: is missing in the batch" for number in sorted(expected - set(cases))]
    wrong += [f"{number}: may not be in the batch" for number in sorted(set(cases) - expected)]
    for case in cases.values():
        judge(case)
        wrong += case.found
    return wrong


def read(folder, texts, logic, trade_date):
    """({account number: Case}, violations found on the way)."""
    book = books.read(folder)
    found, wrong = exports.read(texts)
    wrong += [f"{number}: is not in the book" for number in sorted(set(found) - set(book.accounts))]
    return {
        number: Case(book, book.accounts[number], exported, logic, trade_date)
        for number, exported in found.items()
        if number in book.accounts
    }, wrong


def may_be_proposed(book, account, logic):
    """PRODUCT 4, who may be proposed, for a book just taken in: nothing is open yet."""
    if not account.rebalancing_on:
        return False
    if logic == "liquidate":
        return True
    components = book.portfolios.get(account.portfolio, [])
    only_cash = [row["component_kind"] for row in components] == ["cash"]
    sellable = any(sleeve != "protected" and not book.securities[symbol].is_sweep for sleeve, symbol in account.lots)
    return bool(account.portfolio) and not (only_cash and sellable)


def judge(case):
    """Judge one account; what is wrong goes into its `found`."""
    if case.exported.account["result"] == "failed":
        _judge_failed(case)
        return
    figures.check(case)
    trading.check(case)
    bands.check(case)
    words.check(case)


def _judge_failed(case):
    lines = case.exported
    case.expect(lines.account["reason"], "", "failed without a reason")
    case.expect(not (lines.trades or lines.positions or lines.lots), "", "failed, and has trades, positions or lots")
    if case.managed <= 0:
        return
    sellable = sum(
        case.value(key, case.account.held(key) // case.security(key).step * case.security(key).step)
        for key in case.keys
        if case.may(key, -1)
    )
    case.expect(case.available_cash + sellable < 0, "", f"failed without need: {lines.account['reason']}")


def compare(folder, best_fit, min_transaction, trade_date: date) -> list[str]:
    """Every account in which Min Transaction trades more often, or clearly more, than Best Fit, by their exports."""
    fits, _ = read(folder, best_fit, "best_fit", trade_date)
    fewest, _ = read(folder, min_transaction, "min_transaction", trade_date)
    wrong = []
    for number in sorted(set(fits) & set(fewest)):
        if "failed" not in (fits[number].exported.account["result"], fewest[number].exported.account["result"]):
            bands.compare(fits[number], fewest[number])
            wrong += fewest[number].found
    return wrong
