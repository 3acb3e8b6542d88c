"""A book straight in arrays: so many accounts × positions × lots, every position held, most of it off its target."""

import numpy as np

from rebalancer.engine import Book, Reason
from tax.relief import Method

MICRO = 1_000_000
CASH = 0.02  # target weight
LOST = 0.02  # part of the rows without target
RESTRICTED = 0.02  # part of the rows that are not to be traded


def book_of(accounts: int, positions: int, lots: int, seed: int = 7) -> Book:
    """The same arguments give the same book. Lots are relieved by highest cost, costs are known."""
    draw = np.random.default_rng(seed)
    rows = accounts * positions
    security = np.sort(np.argsort(draw.random((accounts, 3 * positions)), axis=1)[:, :positions], axis=1).ravel()
    price = np.round(draw.uniform(5, 600, 3 * positions), 2)[security]
    value = np.exp(draw.uniform(np.log(60_000), np.log(3_000_000), accounts))
    target = _targets(draw, accounts, positions)
    dollars = (target + LOST / positions).reshape(accounts, -1) * value[:, None]
    shares = (dollars.ravel() * draw.uniform(0.7, 1.3, rows) / price / lots).astype(np.int64) + 1
    lot_units = np.repeat(shares, lots) * MICRO
    cost = np.repeat(shares * price, lots) * draw.uniform(0.5, 1.5, rows * lots)
    rule = np.where(draw.random(rows) < RESTRICTED, Reason.DO_NOT_TRADE, Reason.NONE)
    return Book(
        **_accounts(draw, accounts, value),
        start=np.arange(accounts + 1, dtype=np.int64) * positions,
        sleeve=np.zeros(rows, np.int32),
        security=security.astype(np.int32),
        units=shares * lots * MICRO,
        step=np.full(rows, MICRO),
        price=price,
        target=target,
        lower=0.8 * target,
        upper=1.2 * target,
        fit_lower=0.96 * target,
        fit_upper=1.04 * target,
        triggers=np.ones(rows, bool),
        may_buy=rule == Reason.NONE,
        may_sell=rule == Reason.NONE,
        why=rule.astype(np.int8),
        lot_start=np.arange(rows + 1, dtype=np.int64) * lots,
        lot_units=lot_units,
        lot_cost_cents=(100 * cost).astype(np.int64),
        lot_acquired=np.sort(draw.integers(17_000, 20_700, (rows, lots)), axis=1).ravel().astype(np.int32),
    )


def _targets(draw, accounts, positions):
    weights = draw.dirichlet(np.full(positions, 3.0), accounts) * (draw.random((accounts, positions)) > LOST)
    return (weights * (1 - CASH) / weights.sum(axis=1, keepdims=True)).ravel()


def _accounts(draw, accounts, value):
    cash = np.full(accounts, CASH)
    return {
        "account": np.arange(accounts),
        "cash_cents": (100 * CASH * value * draw.uniform(0.2, 2.5, accounts)).astype(np.int64),
        "set_aside_cents": np.zeros(accounts, np.int64),
        "reserved_cents": np.zeros(accounts, np.int64),
        "minimum_dollars": np.full(accounts, 100.0),
        "minimum_weight": np.full(accounts, 0.001),
        "method": np.full(accounts, Method.HIFO, np.int8),
        "cash_target": cash,
        "cash_lower": 0.8 * cash,
        "cash_upper": 1.2 * cash,
        "cash_fit_lower": 0.96 * cash,
        "cash_fit_upper": 1.04 * cash,
        "cash_triggers": np.ones(accounts, bool),
    }
