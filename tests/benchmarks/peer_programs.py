"""Run in the peers' own environment: `python peer_programs.py BOOK.npz` prints a JSON line of accounts a second.

Nothing of ours is imported here. What each peer needs is built before the clock starts; only its own call is timed, by
the processor's time.
"""

import json
import statistics
import sys
import time
import warnings

import numpy as np
from realloc.accounts import Account
from realloc.trades import ScaledPortfolio
from tax_rebalancing.models import TaxLot
from taxrebalance import Portfolio, RebalanceConfig, UnitedStatesLots, rebalance

MICRO = 1_000_000
RUNS = 3
SAMPLE = 20  # accounts for the slow one
VARIANCE, COMMON = 0.04, 0.02  # a year's, of each security and of each pair


def main(path):
    warnings.simplefilter("ignore")
    book = np.load(path)
    print(json.dumps({"realloc": realloc(book), "taxrebalance": taxrebalance(book)}))


def realloc(book):
    """Each account by itself to its own target: whole shares, cash as the limit; no lots, no bands."""
    prices = dict(zip(book["security"].tolist(), book["price"].tolist(), strict=True))
    made = [_realloc_account(book, account) for account in range(len(book["account"]))]

    def work():
        for portfolio in made:
            portfolio.generate_scaled_cash_constrained_trades(prices)

    return len(made) / _seconds(work)


def _realloc_account(book, account):
    rows = _rows(book, account)
    securities = book["security"][rows].tolist()
    held = dict(zip(securities, (book["units"][rows] / MICRO).tolist(), strict=True))
    one = Account(str(account), str(account), float(book["cash_cents"][account]) / 100, held)
    return ScaledPortfolio([one], dict(zip(securities, book["target"][rows].tolist(), strict=True)))


def taxrebalance(book):
    """The fastest of its settings that trade at all: the least of searching, with tax in mind or without."""
    made = [_taxrebalance_account(book, account) for account in range(SAMPLE)]
    config = RebalanceConfig(direction_search_budget=1)

    def work(method):
        for call in made:
            rebalance(**call, tax_policy=UnitedStatesLots(), config=config, method=method)

    return max(SAMPLE / _seconds(lambda method=method: work(method)) for method in ("tax_aware", "risk_only"))


def _taxrebalance_account(book, account):
    rows = _rows(book, account)
    securities = [str(one) for one in book["security"][rows]]
    target = book["target"][rows] / book["target"][rows].sum()
    covariance = np.full((len(target), len(target)), COMMON) + np.eye(len(target)) * (VARIANCE - COMMON)
    lots = [
        lot for place, row in enumerate(range(rows.start, rows.stop)) for lot in _lots(book, row, securities[place])
    ]
    prices = dict(zip(securities, book["price"][rows].tolist(), strict=True))
    portfolio = Portfolio.from_tax_lots(lots, prices=prices, cash=float(book["cash_cents"][account]) / 100)
    return {
        "portfolio": portfolio,
        "target_weights": dict(zip(securities, target, strict=True)),
        "covariance": covariance,
    }


def _lots(book, row, symbol):
    for lot in range(book["lot_start"][row], book["lot_start"][row + 1]):
        shares = float(book["lot_units"][lot]) / MICRO
        held = int(book["trade_day"]) - int(book["lot_acquired"][lot])
        yield TaxLot(str(lot), symbol, shares, float(book["lot_cost_cents"][lot]) / 100 / shares, held)


def _rows(book, account):
    return slice(int(book["start"][account]), int(book["start"][account + 1]))


def _seconds(work):
    """Median of some runs, after one that doesn't count."""
    work()
    return statistics.median(_one(work) for _ in range(RUNS))


def _one(work):
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    main(sys.argv[1])
