"""Proposals compared with the exact integer program, account by account.

In the suite a few hundred random accounts; `python -m tests.engine.test_program [accounts a kind]` compares thousands
and prints the table of docs/engine.md.
"""

import sys
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import settings

from rebalancer.engine import Reason, propose, segments

from .building import TODAY, day
from .crowd import KINDS, crowd
from .program import CENT, Unsure, fewest_trades, least_excess, ways_inside, ways_near

FEW, MANY = 150, 2000  # accounts of each kind: in the suite, and in the slow profile
SEED = 20
FEWER, EQUAL, ONE_MORE, MORE = "fewer, cash outside", "equal", "+1", "more"
INSIDE, BEST, GRAIN, BEYOND = "inside", "as near as can be", "within a grain", "beyond"
NO_SOLUTION, UNSURE = "no solution", "unsure"


@dataclass
class Comparison:
    """What became of the accounts of one kind: how many in each class, under Min Transaction and under Best Fit."""

    kind: str
    accounts: int
    trades: Counter = field(default_factory=Counter)
    fit: Counter = field(default_factory=Counter)
    more_than_best_fit: int = 0
    unpaid: list = field(default_factory=list)  # fewer trades than the program and than Best Fit, and cash outside
    far: list = field(default_factory=list)  # numbers of the accounts that are more than they should be, or beyond
    left_out: list = field(default_factory=list)  # Best Fit leaves a component beyond, though all can be inside

    @property
    def counted(self):
        """Accounts for which the program has fewest trades."""
        return self.accounts - self.trades[NO_SOLUTION] - self.trades[UNSURE]

    def row(self):
        trades = [self.counted, *(self.trades[name] for name in (EQUAL, FEWER, ONE_MORE, MORE))]
        fit = [self.fit[name] for name in (INSIDE, BEST, GRAIN, BEYOND)]
        numbers = [*trades, *fit, len(self.left_out)]
        return f"| {self.kind} | {self.accounts:,} | " + " | ".join(f"{number:,}" for number in numbers) + " |"


def compare(kind, accounts, seed=SEED) -> Comparison:
    """Propose a crowd of this kind by both logics and solve each account's programs."""
    book = crowd(accounts, seed, KINDS[kind])
    fewest, best = (propose(book, logic, day(TODAY)) for logic in ("min_transaction", "best_fit"))
    counts, best_counts = (segments.sums((one.units != 0).astype(np.int64), book.start) for one in (fewest, best))
    found = Comparison(kind, accounts, more_than_best_fit=int((counts > best_counts).sum()))
    for account in range(accounts):
        trades, fit = _trades(fewest, account, int(counts[account])), _fit(best, account)
        found.trades[trades] += 1
        if trades == FEWER and counts[account] < best_counts[account] and _cash_is_out(fewest, account):
            found.unpaid.append(account)
        found.fit[fit] += 1
        if trades in (ONE_MORE, MORE) or fit == BEYOND:
            found.far.append(account)
        if _leaves_one_out(best, account):
            found.left_out.append(account)
    return found


def _trades(proposal, account, count):
    try:
        fewest = fewest_trades(ways_inside(proposal.scale, account))
    except Unsure:
        return UNSURE
    if fewest is None:
        return NO_SOLUTION
    return {-1: FEWER, 0: EQUAL, 1: ONE_MORE}[min(np.sign(count - fewest), 1)] if count <= fewest + 1 else MORE


def _cash_is_out(proposal, account):
    """Whether cash ends outside its threshold."""
    scale, book = proposal.scale, proposal.book
    rows = slice(*book.start[account : account + 2])
    left = scale.cash[account] - proposal.units[rows] / book.step[rows] @ scale.step_value[rows]
    lower, upper = (bound[account] * scale.managed[account] for bound in (book.cash_lower, book.cash_upper))
    return not lower - CENT <= left <= upper + CENT


def _fit(proposal, account):
    """Where Best Fit's cash ends, compared with the nearest to its precision that the program reaches."""
    ways = ways_near(proposal.scale, account)
    rows = slice(*proposal.book.start[account : account + 2])
    steps = proposal.units[rows] / proposal.book.step[rows]
    left = ways.cash - steps @ ways.dollars
    miss = max(ways.cash_low - left, left - ways.cash_high)
    try:
        least = 0.0 if miss <= CENT else least_excess(ways)
    except Unsure:
        return UNSURE
    if least is None:
        return NO_SOLUTION
    if miss <= least + 2 * CENT:
        return INSIDE if miss <= CENT else BEST
    grain = np.ceil(proposal.scale.grain[rows]) * (1 if left > ways.cash_high else -1)
    could_move = (steps + grain >= ways.low) & (steps + grain <= ways.high)
    return GRAIN if miss <= np.min(np.abs(grain * ways.dollars)[could_move], initial=np.inf) + CENT else BEYOND


def _leaves_one_out(proposal, account):
    """Whether a component ends beyond where Best Fit wants it, though all of them and cash can be inside."""
    ways = ways_near(proposal.scale, account)
    rows = slice(*proposal.book.start[account : account + 2])
    steps = proposal.units[rows] / proposal.book.step[rows]
    small = proposal.note[rows] == Reason.BELOW_MINIMUM  # left out by the rule of the minimum trade
    if (small | (ways.low <= steps) & (steps <= ways.high)).all():
        return False
    try:
        least = least_excess(ways)
    except Unsure:
        return False
    return least is not None and least <= CENT


@pytest.fixture(scope="module", params=KINDS)
def compared(request):
    slow = settings.get_current_profile_name() == "slow"
    return compare(request.param, MANY if slow else FEW)


def test_min_transaction_needs_one_trade_too_many_at_most_and_rarely(compared):
    assert compared.counted, "the program finds nothing to compare with"
    assert not compared.trades[MORE], f"accounts {compared.far}"
    assert compared.trades[ONE_MORE] <= max(1, compared.counted // 100), f"accounts {compared.far}"


def test_min_transaction_leaves_cash_outside_only_for_best_fits_number_of_trades(compared):
    """Where it has fewer still, cash is inside and a component within a grain of its threshold. Books whose smallest
    trade is a large part of the account have more of both."""
    assert not compared.unpaid
    assert compared.trades[FEWER] <= max(1, compared.counted // (25 if compared.kind == "tiny" else 50))


def test_no_more_trades_than_best_fit(compared):
    assert not compared.more_than_best_fit


def test_best_fit_is_as_near_as_a_grain_allows(compared):
    """In books whose smallest trade is a large part of the account, three trades together can do what two can't."""
    assert compared.fit[BEYOND] <= compared.accounts // 200, f"accounts {compared.far}"
    assert compared.kind == "tiny" or not compared.fit[BEYOND], f"accounts {compared.far}"


def test_best_fit_leaves_a_component_out_only_rarely(compared):
    """Where steps are so coarse that three rows have to give way to each other."""
    assert len(compared.left_out) <= max(2, compared.accounts // 50), f"accounts {compared.left_out}"


def test_the_program_is_sure(compared):
    assert compared.trades[UNSURE] + compared.fit[UNSURE] <= compared.accounts // 50


def main(accounts):
    for kind in KINDS:
        found = compare(kind, accounts)
        print(found.row(), f"more than Best Fit: {found.more_than_best_fit}; {found.far}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else MANY)
