"""The accounts of a synthetic book, a portion at a time, as arrays: who they are, what they hold, lot by lot."""

from dataclasses import dataclass
from datetime import date

import numpy as np

from .targets import LEGACY

ANCHOR = date(2026, 11, 20)  # every date of a book lies before this day, and is counted back from it
FIRST_NAMES = ("Olivia", "Liam", "Emma", "Noah", "Sofia", "Mateo", "Ava", "Ethan", "Grace", "Daniel", "Hannah",
               "Samuel", "Priya", "Wei", "Fatima", "Kenji", "Ingrid", "Diego", "Chloe", "Marcus")  # fmt: skip
LAST_NAMES = ("Hernandez", "Nguyen", "Okafor", "Schmidt", "Patel", "Johnson", "Kowalski", "Rossi", "Tanaka", "O'Brien",
              "Andersson", "Martin", "Goldberg", "Silva", "Whitfield", "Abernathy", "Castellanos", "Delacroix",
              "Featherstone", "Vandermeer", "Brown", "Kim", "Lindqvist", "Moreau", "Zimmerman")  # fmt: skip
KINDS = (
    ("Individual", "taxable"),
    ("Joint", "taxable"),
    ("Family Trust", "taxable"),
    ("Traditional IRA", "tax_deferred"),
    ("Rollover IRA", "tax_deferred"),
    ("Roth IRA", "tax_exempt"),
    ("401(k)", "tax_deferred"),
)
CUSTODIANS = ("Fidelity", "Charles Schwab", "Pershing", "Altruist", "Interactive Brokers")
METHODS = ("fifo", "lifo", "hifo", "minimum_tax", "")
CALM, DRIFTED, HIGH_CASH, LOW_CASH, NEGATIVE = range(5)
STYLES = np.array([0.56, 0.78, 0.87, 0.95, 0.97])  # upper ends of their shares; the rest is calm again
NOBODY, ALL_CASH = -1, -2  # instead of a portfolio's number
EXTRA = 4  # columns after the targets: two holdings without target, one protected, one sweep
PROTECTED, SWEEP = -2, -1  # sleeves beside 0 (managed) and 1 + a model's number; SWEEP is managed, too


@dataclass(frozen=True)
class Shape:
    """What all accounts of a book have in common."""

    portfolios: list
    step: np.ndarray  # thousandths of a share a security is traded in
    price: np.ndarray  # dollars
    positions: int
    lots: int
    sweeps: int  # number of the first sweep among the securities


@dataclass(frozen=True)
class Portion:
    """Some accounts; two-dimensional arrays have a column for each target and the EXTRA ones behind."""

    index: np.ndarray
    portfolio: np.ndarray  # its number, NOBODY or ALL_CASH
    shadow: np.ndarray  # the portfolio whose securities it holds
    value: np.ndarray  # dollars, roughly
    security: np.ndarray
    sleeve: np.ndarray
    held: np.ndarray  # thousandths of a share
    cash: np.ndarray  # cents
    set_aside: np.ndarray  # cents
    unknown_cost: np.ndarray  # the column whose lots have no cost, or -1


def make_portion(first, last, shape, dice):
    """The accounts numbered first..last-1."""
    index = np.arange(first, last)
    shadow = dice.whole("portfolio", index, len(shape.portfolios))
    value = 45_000 + 3_000_000 * dice.share("value", index) ** 3
    style = np.searchsorted(STYLES, dice.share("style", index), side="right")
    style[style > NEGATIVE] = CALM
    security, sleeve = _columns(index, shadow, shape, dice)
    held = _held(index, shadow, value, style, security, shape, dice)
    portfolio = _portfolio(index, shadow, dice)
    held[(portfolio < 0) & dice.chance("empty", index, 0.4)] = 0
    cash = _cash(index, shadow, value, style, held, shape, dice)
    set_aside = np.where(dice.chance("set aside", index, 0.05), value // 10_000 * 10_000, 0).astype(np.int64)
    unknown = np.where(dice.chance("no cost", index, 0.015), dice.whole("which cost", index, shape.positions), -1)
    return Portion(index, portfolio, shadow, value, security, sleeve, held, cash + set_aside, set_aside, unknown)


def _portfolio(index, shadow, dice):
    which = dice.share("without", index)
    return np.where(which < 0.012, NOBODY, np.where(which < 0.018, ALL_CASH, shadow))


def _columns(index, shadow, shape, dice):
    """What each column of each account holds: its targets, two securities of former times, a protected one, a sweep."""
    rows = len(index)
    legacy = len(shape.step) - LEGACY - 2  # the sweeps are behind them
    former = legacy + dice.whole("former", index, LEGACY // 2)
    extra = np.stack(
        [
            former,
            former + LEGACY // 2,
            dice.whole("protected", index, legacy),
            shape.sweeps + dice.whole("sweep", index, 2),
        ],
        axis=1,
    )
    targets = np.stack([portfolio.securities for portfolio in shape.portfolios])[shadow]
    sleeves = np.stack([portfolio.sleeves for portfolio in shape.portfolios])[shadow]
    behind = np.broadcast_to(np.array([0, 0, PROTECTED, SWEEP]), (rows, EXTRA))
    return np.concatenate([targets, extra], axis=1), np.concatenate([sleeves, behind], axis=1)


def _held(index, shadow, value, style, security, shape, dice):
    """Thousandths of a share of each column, whole steps but for a few fractions."""
    weights = np.stack([portfolio.weights for portfolio in shape.portfolios])[shadow]
    cell = index[:, None] * (shape.positions + EXTRA) + np.arange(shape.positions + EXTRA)[None, :]
    wanted = np.zeros(security.shape)
    wanted[:, :-EXTRA] = weights * value[:, None] * (1 + _wandering(cell[:, :-EXTRA], style, dice))
    wanted[:, -EXTRA] = np.where(dice.chance("holds former", index, 0.06), value * 0.01, 0)
    wanted[:, -3] = np.where(dice.chance("holds two former", index, 0.02), value * 0.006, 0)
    wanted[:, -2] = np.where(dice.chance("holds protected", index, 0.03), value * 0.04, 0)
    wanted[:, -1] = np.where(dice.chance("holds sweep", index, 0.06), value * 0.006, 0)
    step = shape.step[security]
    held = np.rint(wanted * 1000 / shape.price[security] / step).astype(np.int64) * step
    missing = dice.chance("lacks one", index, 0.04)
    held[missing, dice.whole("which lacks", index, shape.positions)[missing]] = 0
    fraction = dice.chance("fraction", cell, 0.003) & (held > 0) & (step == 1000)
    return held + np.where(fraction, 1 + dice.whole("part", cell, 999), 0)


def _wandering(cell, style, dice):
    """How far each holding has moved from its target, as a share of it."""
    calm = dice.between("calm", cell, -0.06, 0.06)
    far = dice.between("far", cell, 0.28, 0.7) * np.where(dice.chance("down", cell, 0.5), -1, 1)
    moved = (style == DRIFTED)[:, None] & dice.chance("moved", cell, 0.22)
    return np.where(moved, far, calm)


def _cash(index, shadow, value, style, held, shape, dice):
    """Cents; without what is set aside, and less what lies in the sweep."""
    target = np.array([portfolio.cash for portfolio in shape.portfolios])[shadow]
    calm = np.where(target > 0, target * dice.between("cash", index, 0.9, 1.1), dice.between("cash", index, 0, 0.004))
    high = target + dice.between("high cash", index, 0.04, 0.12)
    low = np.where(target >= 0.01, target * dice.between("low cash", index, 0, 0.5), high)
    negative = -dice.between("negative cash", index, 0.002, 0.015)
    weight = np.select([style == HIGH_CASH, style == LOW_CASH, style == NEGATIVE], [high, low, negative], calm)
    return np.rint(weight * value * 100).astype(np.int64) - held[:, -1] // 10


# --- lots -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lots:
    """The lots of a portion in the order of its accounts and columns; `cost` is -1 where it is unknown."""

    row: np.ndarray
    column: np.ndarray
    number: np.ndarray  # 1, 2, … within the position
    quantity: np.ndarray  # thousandths of a share
    cost: np.ndarray  # cents
    age: np.ndarray  # days before the anchor


def make_lots(portion, shape, dice):
    """Each position in `lots` lots, or as many as it has steps where that are fewer."""
    row, column = np.nonzero(portion.held)
    held, security = portion.held[row, column], portion.security[row, column]
    cell = portion.index[row] * (shape.positions + EXTRA) + column
    lot = cell[:, None] * shape.lots + np.arange(shape.lots)[None, :]
    quantity = _split(held, shape.step[security], lot, dice)
    age = _ages(lot, dice)
    ratio = dice.between("paid", lot, 0.5, 1.2) + 0.00002 * (3_700 - age) * dice.share("grown", lot)
    cost = np.rint(quantity * (shape.price[security] / 10)[:, None] * ratio).astype(np.int64)
    cost[column == portion.unknown_cost[row]] = -1
    kept = quantity > 0
    which, number = np.nonzero(kept)
    return Lots(row[which], column[which], number + 1, quantity[kept], cost[kept], age[kept])


def _split(held, step, lot, dice):
    """Whole steps for each lot, none empty where there are enough; a fraction of a step goes to the first."""
    steps, fraction = held // step, held % step
    lots = lot.shape[1]
    parts = 1 + dice.whole("lot", lot, 9)
    enough = steps >= lots
    spread = np.where(enough, steps - lots, steps)[:, None] * parts // parts.sum(axis=1)[:, None]
    found = (spread + enough[:, None]) * step[:, None]
    found[:, 0] += (steps * step) - found.sum(axis=1) + fraction
    return found


def _ages(lot, dice):
    """Days before the anchor: from three days to ten years, every sixth within three days of one year."""
    old = 3 + (dice.share("age", lot) ** 2 * 3_650).astype(np.int64)
    year = 362 + dice.whole("near a year", lot, 7)
    return np.where(dice.chance("a year old", lot, 0.16), year, old)
