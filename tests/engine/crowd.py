"""Books of many random accounts, drawn straight into arrays. The same arguments give the same book."""

from dataclasses import dataclass

import numpy as np

from rebalancer.engine import Book, Reason

MICRO = 1_000_000


@dataclass(frozen=True)
class Kind:
    """A kind of account: how much it is worth, how many rows it has, and what stands in its way."""

    smallest: float = 8_000  # dollars
    largest: float = 3_000_000
    rows: int = 15  # at most
    restricted: float = 0.0  # part of the rows
    fractions: float = 0.05  # part of the rows that hold a fraction of a share


ORDINARY = Kind()
RESTRICTED = Kind(restricted=0.15)
TINY = Kind(smallest=300, largest=8_000, rows=8)
KINDS = {"ordinary": ORDINARY, "restricted": RESTRICTED, "tiny": TINY}


def crowd(accounts: int, seed: int, kind: Kind = ORDINARY) -> Book:
    """A book of that many accounts: some new and all in cash, some without cash, some with holdings that must go."""
    draw = np.random.default_rng(seed)
    market = _market(draw, 3 * kind.rows)
    drawn = [_account(draw, kind, *market) for _ in range(accounts)]
    values, rows, lots = zip(*drawn, strict=True)
    return Book(
        account=np.arange(accounts),
        **_accounts(draw, values),
        start=_offsets([len(one["units"]) for one in rows]),
        **{name: np.concatenate([one[name] for one in rows]) for name in rows[0]},
        lot_start=_offsets(np.concatenate([one["lots"] for one in lots])),
        **{name: np.concatenate([one[name] for one in lots]) for name in lots[0] if name != "lots"},
    )


def _market(draw, securities):
    price = np.round(draw.uniform(5, 600, securities), 2)
    step = np.where(draw.random(securities) < 0.1, MICRO // 1000, MICRO)
    return price, step


def _account(draw, kind, price_of, step_of):
    """One account: its cash target and cash in dollars; its rows; its lots."""
    count = int(draw.integers(1, kind.rows + 1))
    security = draw.choice(len(price_of), count, replace=False)
    sleeve = draw.integers(0, 2, count)
    order = np.lexsort((security, sleeve))
    security, sleeve = security[order], sleeve[order]
    cash_target = float(draw.choice([0, 0.01, 0.02, 0.05]))
    wanted = draw.random(count) < 0.85
    wanted[draw.integers(count)] = True
    target = np.where(wanted, draw.dirichlet(np.ones(count)) + 0.02, 0)
    target *= (1 - cash_target) / target.sum()
    value = float(np.exp(draw.uniform(np.log(kind.smallest), np.log(kind.largest))))
    dollars = np.where(wanted, target * value * draw.uniform(0.6, 1.4, count), 0.03 * value)
    is_new = draw.random() < 0.1
    price, step = price_of[security], step_of[security]
    units = (dollars * (not is_new) / price * MICRO / step).astype(np.int64) * step
    units += np.where(draw.random(count) < kind.fractions, MICRO // 20, 0)
    cash = value * (cash_target * draw.uniform(-0.2, 3) + is_new)
    cash = max(cash, 0.2 * value - units @ price / MICRO)  # so that V is above zero
    rows = {"sleeve": sleeve.astype(np.int32), "security": security.astype(np.int32), "units": units, "step": step,
            "price": price} | _bands(draw, target) | _rules(draw, kind, count)  # fmt: skip
    return (cash_target, cash), rows, _lots(draw, units, price)


def _bands(draw, target):
    """Relative bands as they are by default, absolute ones in every fourth account, one-sided ones in every eighth."""
    lower, upper = 0.2 * target, 0.2 * target
    style = draw.integers(8)
    if style < 2:
        lower = upper = np.where(target > 0, 0.02, 0.0)
    elif style == 2:
        lower = 0.5 * lower
    return {
        "target": target, "lower": np.maximum(target - lower, 0), "upper": target + upper,
        "fit_lower": np.maximum(target - lower / 5, 0), "fit_upper": target + upper / 5,
        "triggers": np.ones(len(target), dtype=bool),
    }  # fmt: skip


def _rules(draw, kind, count):
    rule = draw.choice([Reason.NO_BUY, Reason.NO_SELL, Reason.DO_NOT_TRADE], count)
    why = np.where(draw.random(count) < kind.restricted, rule, Reason.NONE).astype(np.int8)
    return {
        "may_buy": (why == Reason.NONE) | (why == Reason.NO_SELL),
        "may_sell": (why == Reason.NONE) | (why == Reason.NO_BUY),
        "why": why,
    }


def _lots(draw, units, price):
    """Each holding in one to four lots, some of unknown cost."""
    parts = [_split(draw, int(held)) for held in units]
    lot_units = np.concatenate([*parts, np.zeros(0, np.int64)])
    worth = lot_units * np.repeat(price, [len(part) for part in parts]) / 10_000
    known = draw.random(len(lot_units)) > 0.05
    days = [np.sort(draw.integers(17_000, 20_700, len(part))) for part in parts]
    return {
        "lots": np.array([len(part) for part in parts]),
        "lot_units": lot_units,
        "lot_cost_cents": np.where(known, worth * draw.uniform(0.5, 1.5, len(lot_units)), -1).astype(np.int64),
        "lot_acquired": np.concatenate([*days, np.zeros(0, np.int64)]).astype(np.int32),
    }


def _split(draw, held):
    cuts = np.sort(draw.integers(0, held + 1, int(draw.integers(0, 4))))
    parts = np.diff(np.concatenate(([0], cuts, [held])))
    return parts[parts > 0]


def _accounts(draw, values):
    target, cash = (np.array(column) for column in zip(*values, strict=True))
    count, zero = len(target), target == 0
    return {
        "cash_cents": (100 * cash).astype(np.int64),
        "set_aside_cents": np.zeros(count, np.int64),
        "reserved_cents": np.zeros(count, np.int64),
        "minimum_dollars": np.full(count, 100.0),
        "minimum_weight": np.full(count, 0.001),
        "method": draw.integers(0, 4, count).astype(np.int8),
        "cash_target": target,
        "cash_lower": 0.8 * target,
        "cash_upper": np.where(zero, 0.01, 1.2 * target),
        "cash_fit_lower": 0.96 * target,
        "cash_fit_upper": np.where(zero, 0.005, 1.04 * target),
        "cash_triggers": np.ones(count, dtype=bool),
    }


def _offsets(counts):
    return np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
