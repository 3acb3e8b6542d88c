"""The rules of proposals (PRODUCT 4) in plain words and exact fractions, for one account at a time."""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from rebalancer.engine import Reason, check, propose

from .building import MICRO, TODAY, Account, Row, book, day, exact

NOISE = Fraction(1, 10**6)  # dollars
CENT = Fraction(1, 100)
TRADE_REASONS = {
    Reason.OUTSIDE_THRESHOLD, Reason.OUTSIDE_PRECISION, Reason.NO_TARGET, Reason.RAISES_CASH, Reason.INVESTS_CASH,
    Reason.LIQUIDATE, Reason.EXCLUDED, Reason.SUBSTITUTE_FOR, Reason.REPLACED_BY,
}  # fmt: skip


@dataclass(frozen=True)
class End:
    """A row after the proposal. Shares are fractions with the sign of the trade."""

    row: Row
    trade: Fraction
    flat: Fraction
    reason: Reason
    note: Reason

    @cached_property
    def after(self):
        return self.row.held + self.trade

    @cached_property
    def value(self):
        return self.after * exact(self.row.price)

    @cached_property
    def dollars(self):
        return abs(self.trade) * exact(self.row.price)

    def __str__(self):
        more = f" ({self.note.name})" if self.note else ""
        return f"{self.row.symbol}{self.row.sleeve}: {float(self.trade):+g} {self.reason.name}{more}"


@dataclass(frozen=True)
class Outcome:
    """What a logic proposes for one account."""

    account: Account
    logic: str
    ends: tuple[End, ...]
    shortfall: float

    @cached_property
    def trades(self):
        return [end for end in self.ends if end.trade]

    @cached_property
    def buys(self):
        return [end for end in self.ends if end.trade > 0]

    @cached_property
    def turnover(self):
        return sum((end.dollars for end in self.ends), Fraction(0))

    @cached_property
    def cash(self):
        """Ending available cash."""
        return self.account.available - sum((end.trade * exact(end.row.price) for end in self.ends), Fraction(0))

    def grain(self, row):
        """The larger of one step's value and the minimum trade, in whole steps."""
        return -(-max(row.step_value, self.account.least_trade) // row.step_value) * row.step_value

    def trade(self, symbol, sleeve=0):
        """Shares traded of a symbol."""
        return next(end.trade for end in self.ends if (end.row.symbol, end.row.sleeve) == (symbol, sleeve))

    def end(self, symbol, sleeve=0):
        return next(end for end in self.ends if (end.row.symbol, end.row.sleeve) == (symbol, sleeve))

    def __str__(self):
        lines = [f"{self.logic}: cash {float(self.account.available):,.2f} → {float(self.cash):,.2f}", *self.ends]
        return "\n".join(map(str, lines))


def outcomes(accounts, logic, today=TODAY) -> list[Outcome]:
    """Propose all of these accounts in one book."""
    proposal = propose(book(*accounts), logic, day(today))
    ends = iter(zip(proposal.units.tolist(), proposal.flat_units.tolist(), proposal.reason, proposal.note, strict=True))
    return [
        Outcome(
            one,
            logic,
            tuple(_end(row, *next(ends)) for row in one.sorted_rows),
            float(proposal.shortfall[number]),
        )
        for number, one in enumerate(accounts)
    ]


def outcome(account, logic, today=TODAY) -> Outcome:
    return outcomes([account], logic, today)[0]


def _end(row, units, flat, reason, note):
    return End(row, Fraction(units, MICRO), Fraction(flat, MICRO), Reason(reason), Reason(note))


# --- rule 1 -------------------------------------------------------------------------------------------------------


def whole_steps_and_nothing_against_its_rule(one: Outcome):
    for end in one.ends:
        assert end.trade % exact(end.row.step) == 0, f"{end} is no whole number of steps"
        assert end.after >= 0, f"{end} sells more than is held"
        assert not (end.trade > 0 and not end.row.may_buy), f"{end} buys against its rule"
        assert not (end.trade < 0 and not end.row.may_sell), f"{end} sells against its rule"
        assert not (end.trade > 0 and not end.row.target), f"{end} buys what has no target"


def cash_stays_positive(one: Outcome):
    """Ending cash >= 0, or the account fails with no trades and names what is missing."""
    if not one.shortfall:
        assert one.cash >= 0 or not one.trades, f"cash ends at {float(one.cash)}"
        assert one.cash >= 0, f"cash stays at {float(one.cash)} though nothing fails"
        return
    assert not one.trades
    missing = -one.account.available - sum((sellable(row) * exact(row.price) for row in one.account.rows), Fraction(0))
    assert abs(Fraction(one.shortfall) - max(missing, CENT)) < CENT, f"{float(missing)} is missing"


def sellable(row):
    """Shares that may be sold: whole steps, unless a rule forbids it."""
    return row.held // exact(row.step) * exact(row.step) if row.may_sell else Fraction(0)


# --- rules 2 and 3 ------------------------------------------------------------------------------------------------


def components_end_near(one: Outcome):
    """Each unrestricted component ends inside its precision or within a grain of its target (Min Transaction: inside
    its threshold or within a grain of it)."""
    for end in free(one):
        lower, upper = aim(one, end.row)
        noise = one.account.value / 10**9
        assert lower - noise <= end.value <= upper + noise, f"{end} ends at {float(end.value):,.2f}"


def cash_ends_near(one: Outcome):
    """Inside its band, or within a grain of the cheapest component that could still move it."""
    places = slice(2, 4) if one.logic == "best_fit" else slice(0, 2)
    lower, upper = (bound * one.account.value / 100 for bound in one.account.cash_bounds[places])
    side = 1 if one.cash > upper else -1
    grain = min((one.grain(end.row) for end in one.ends if could_move(one, end, side)), default=one.account.value)
    assert lower - grain - NOISE <= one.cash <= upper + grain + NOISE, (
        f"cash ends at {float(one.cash):,.2f}, outside {float(lower):,.2f} to {float(upper):,.2f}, grain {float(grain)}"
    )


def could_move(one, end, side):
    """Whether a component could still buy (+1) or sell (-1) a grain and end where its rule wants it."""
    if not (end.row.may_buy and end.row.target if side > 0 else end.row.may_sell):
        return False
    after, (lower, upper) = end.value + side * one.grain(end.row), aim(one, end.row)
    return max(lower, 0) <= after <= upper


def aim(one, row):
    """Dollars between which a row may end: its band, widened to within a grain of its target (threshold: its bound)."""
    lower, upper, fit_lower, fit_upper = (bound * one.account.value / 100 for bound in row.bounds)
    target, grain = exact(row.target) * one.account.value / 100, one.grain(row)
    if one.logic == "best_fit":
        return min(fit_lower, target - grain), max(fit_upper, target + grain)
    return lower - grain, upper + grain


def free(one):
    return [end for end in one.ends if not end.row.rule]


def no_more_trades(fewest: Outcome, best: Outcome):
    assert len(fewest.trades) <= len(best.trades)


def no_more_turnover(fewest: Outcome, best: Outcome):
    """Not above Best Fit's by more than a grain a trade, where nothing stands in the way and Best Fit gets cash in."""
    if not is_free(best.account):
        return
    lower, upper = (bound * best.account.value / 100 for bound in best.account.cash_bounds[:2])
    if not lower <= best.cash <= upper:
        return
    allowance = sum((fewest.grain(end.row) for end in fewest.trades), Fraction(0))
    assert fewest.turnover <= best.turnover + allowance + NOISE


# --- rules 4, 5 and 7 ---------------------------------------------------------------------------------------------


def trades_keep_the_minimum(one: Outcome):
    """But for complete exits, and where only less could bring cash to 0."""
    for end in one.trades:
        leaves = end.trade < 0 and end.after < exact(end.row.step)
        raised = end.trade < 0 and one.account.available < 0
        assert end.dollars >= one.account.least_trade - NOISE or leaves or raised, f"{end} is too small"


def holdings_without_target_go(one: Outcome):
    for end in one.ends:
        if not end.row.target and end.row.may_sell:
            assert end.after < exact(end.row.step) or one.shortfall, f"{end} is left"


def no_buy_takes_cash_below_its_lower_bound(one: Outcome):
    floor = one.account.cash_bounds[0] * one.account.value / 100
    assert not one.buys or one.cash >= floor - NOISE, f"cash ends at {float(one.cash):,.2f} below {float(floor):,.2f}"


def everything_says_why(one: Outcome):
    """Each trade has a reason; each component left outside its band has a note."""
    places = slice(2, 4) if one.logic == "best_fit" else slice(0, 2)
    for end in one.ends:
        assert bool(end.trade) == (end.reason in TRADE_REASONS), f"{end} has the wrong kind of reason"
        lower, upper = (bound * one.account.value / 100 for bound in end.row.bounds[places])
        inside = lower - NOISE <= end.value <= upper + NOISE
        silent = not end.note or end.note in (Reason.INSIDE_PRECISION, Reason.INSIDE_THRESHOLD)
        assert inside or one.logic == "liquidate" or one.shortfall or not silent, f"{end} is left outside, silently"


def a_trade_goes_one_way_for_a_reason(one: Outcome):
    for end in one.trades:
        assert end.reason != Reason.RAISES_CASH or end.trade < 0
        assert end.reason != Reason.INVESTS_CASH or end.trade > 0
        assert end.reason != Reason.NO_TARGET or end.trade < 0


# --- all of them --------------------------------------------------------------------------------------------------

ALWAYS = (
    whole_steps_and_nothing_against_its_rule,
    cash_stays_positive,
    everything_says_why,
    a_trade_goes_one_way_for_a_reason,
)
REBALANCING = (trades_keep_the_minimum, holdings_without_target_go, no_buy_takes_cash_below_its_lower_bound)
COARSE = 200  # the smallest trade is at most so small a part of V
FREE = (components_end_near, cash_ends_near)


def is_free(account):
    """Nothing in the way of its targets: no restriction, no fraction that cannot be sold, no trade that is coarse."""
    finest = account.value / COARSE
    grains = [max(row.step_value, account.least_trade) for row in account.rows]
    return max(grains, default=0) <= finest and not any(row.rule or row.held % exact(row.step) for row in account.rows)


def rules_of(account, logic):
    """The rules that the proposal of a logic for this account has to keep."""
    rules = ALWAYS + (REBALANCING if logic != "liquidate" else ())
    return rules + (FREE if logic != "liquidate" and is_free(account) else ())


def flagged(account):
    """Symbols and sleeves of the rows that the check says trigger."""
    found = check(book(account))
    return {(row.symbol, row.sleeve) for row, hit in zip(account.sorted_rows, found.triggers, strict=True) if hit}
