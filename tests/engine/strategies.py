"""Accounts for hypothesis, small and readable: a few securities, round prices, weights in whole percents."""

from fractions import Fraction

from hypothesis import strategies as st

from rebalancer.engine import Reason
from tax.relief import Method

from .building import Account, Band, Lot, Row

SYMBOLS = "ABCDEFGH"
PRICES = ["1", "10", "25", "50", "99.99", "100", "333", "1000"]
BANDS = [
    Band(),
    Band(10, 30, 2, 5),
    Band(2, 2, Fraction(1, 2), Fraction(1, 2), absolute=True),
    Band(0, 0, 0, 0),
]
RULES = [Reason.NONE] * 4 + [Reason.NO_BUY, Reason.NO_SELL, Reason.DO_NOT_TRADE, Reason.INACTIVE]
DRIFTS = ["1", "0", "0.5", "0.9", "0.97", "1.03", "1.1", "1.3", "2"]  # of the target
DAYS = ["2020-01-02", "2024-02-29", "2025-11-19", "2025-11-20", "2026-11-19"]


@st.composite
def weights(draw):
    """Whole percents of one to seven components, cash last; they add up to 100."""
    cuts = sorted(draw(st.lists(st.integers(0, 100), min_size=1, max_size=7)))
    return [after - before for before, after in zip([0, *cuts], [*cuts, 100], strict=True)]


@st.composite
def lots(draw, shares, price):
    """Shares in up to three lots of known or unknown cost."""
    if not shares:
        return ()
    parts = [Fraction(shares)]
    if draw(st.booleans()) and shares >= 3:
        parts = [Fraction(shares) - 2, Fraction(1), Fraction(1)]
    costs = st.sampled_from([None, *(Fraction(one) for one in ("0.5", "1", "1.01", "2"))])
    made = [(part, draw(costs), draw(st.sampled_from(DAYS))) for part in parts]
    return tuple(Lot(part, each and int(each * part * price * 100) / Fraction(100), day) for part, each, day in made)


@st.composite
def rows(draw, symbol, target, size, *, sleeve=0, fine=True):
    """One component of an account of about `size` dollars; `fine`: no restriction, no fraction that has to stay."""
    price, step = Fraction(draw(st.sampled_from(PRICES))), draw(st.sampled_from([1, 1, Fraction("0.001")]))
    drifted = Fraction(draw(st.sampled_from(DRIFTS))) * target / 100
    part = drifted if target else draw(st.sampled_from([0, Fraction("0.05")]))
    shares = size * part / price // step * step
    if not fine and step == 1:
        shares += Fraction(draw(st.sampled_from(["0", "0", "0.25", "0.999"])))
    rule = Reason.NONE if fine else draw(st.sampled_from(RULES))
    held = draw(lots(shares, price))
    return Row(symbol, 0, price, target, draw(st.sampled_from(BANDS)), sleeve, step, rule, draw(st.booleans()), held)


@st.composite
def accounts(draw, *, fine=False, sleeves=False):
    """An account; `fine`: nothing stands in the way of its targets; `sleeves`: some of it in sleeves of models."""
    *parts, cash_target = draw(weights())
    size = draw(st.sampled_from([1_000_000, 100_000] if fine else [1_000_000, 100_000, 10_000, 2_000, 500]))
    kept = {}
    for place, target in enumerate(parts):
        sleeve = draw(st.integers(0, 2)) if sleeves else 0
        symbol = draw(st.sampled_from(SYMBOLS[:3])) if sleeves else SYMBOLS[place]
        if (sleeve, symbol) in kept:
            cash_target += target
        else:
            kept[sleeve, symbol] = draw(rows(symbol, target, size, sleeve=sleeve, fine=fine))
    prices = {row.symbol: row for row in kept.values()}
    same = [_like(row, prices[row.symbol]) for row in kept.values()]
    one = Account(
        tuple(same),
        cash=Fraction(draw(st.sampled_from(["0.02", "0", "-0.05", "0.005", "0.1", "0.4", "1"]))) * size,
        cash_target=cash_target,
        cash_triggers=draw(st.booleans()),
        set_aside=0 if fine else draw(st.sampled_from([0, 0, size // 50])),
        minimum=draw(st.sampled_from([100, 0, 500])),
        method=draw(st.sampled_from(list(Method))),
    )
    return one if one.value > 1 else Account(one.rows, cash=size, cash_target=cash_target)


def _like(row, other):
    """A row at the price and step that its security has elsewhere in the account."""
    if row is other:
        return row
    held = row.held // Fraction(other.step) * Fraction(other.step)
    return Row(row.symbol, held, other.price, row.target, row.band, row.sleeve, other.step, other.rule, row.triggers)
