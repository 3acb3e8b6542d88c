"""What the trades of a Proposal add up to.

Every dollar is computed once, at its leaf (a trade, a lot), in whole numbers and half up to the cent; every larger
figure is a sum of leaves.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from accounts.imports.copying import exact
from accounts.money import UNITS_PER_SHARE, cents, part_of
from rebalancer.engine import Proposal
from rebalancer.loading import Loaded
from tax.relief import UNKNOWN


@dataclass(slots=True)
class Gains:
    """Known gains in cents by term, and how many lots of each term are known and unknown."""

    short: int = 0
    long: int = 0
    known_short: int = 0
    known_long: int = 0
    unknown_short: int = 0
    unknown_long: int = 0

    def add(self, term, gain):
        counted = f"{'unknown' if gain is None else 'known'}_{term}"
        setattr(self, counted, getattr(self, counted) + 1)
        setattr(self, term, getattr(self, term) + (gain or 0))

    @property
    def short_term(self):
        """Cents: None when nothing of it is known, 0 when nothing of it is sold."""
        return None if self.unknown_short and not self.known_short else self.short

    @property
    def long_term(self):
        """Cents, like `short_term`."""
        return None if self.unknown_long and not self.known_long else self.long

    @property
    def total(self):
        known = self.known_short or self.known_long
        return None if self.unknown_lots and not known else self.short + self.long

    @property
    def unknown_lots(self):
        return self.unknown_short + self.unknown_long


@dataclass(slots=True)
class Tally:
    """What the trades of an account add up to, in cents."""

    buys: int = 0
    buys_cents: int = 0
    sells: int = 0
    sells_cents: int = 0
    flats: dict = field(default_factory=dict)  # security id → units
    gains: Gains = field(default_factory=Gains)


class Taken(NamedTuple):
    """What is taken from a lot: the market part, then the flat part with what cost is left. Units, and cents."""

    lot: int
    row: int
    sold: int
    proceeds: int
    sold_cost: int | None
    gain: int | None
    term: str
    moved: int
    moved_cost: int | None


class Traded(NamedTuple):
    """A row's trade. Units, and cents; `value` is the market part's."""

    row: int
    buys: bool
    market: int
    flat: int
    value: int
    flat_value: int


class Outcome:
    """The dollars of a Proposal: by lot in `taken`, by row in `traded` and `gains`, by account in `tallies`."""

    def __init__(self, loaded: Loaded, proposal: Proposal):
        self.loaded, self.proposal, self.book = loaded, proposal, proposal.book
        self.price = {pk: int(quote.price * UNITS_PER_SHARE) for pk, quote in loaded.prices.items()}
        self.owner = proposal.scale.owner.tolist()
        self.tallies = [Tally() for _ in loaded.facts]
        self.gains: dict[int, Gains] = defaultdict(Gains)
        self.taken = list(self._taken())
        self.traded = list(self._traded())

    def _taken(self):
        book, proposal = self.book, self.proposal
        lots = np.flatnonzero((proposal.sold > 0) | (proposal.moved > 0))
        rows = np.searchsorted(book.lot_start, lots, side="right") - 1
        columns = (book.lot_units, book.lot_cost_cents, proposal.sold, proposal.moved, proposal.long_term)
        figures = zip(*(column[lots].tolist() for column in columns), strict=True)
        security = self.loaded.security_id[rows].tolist()
        for lot, row, pk, figure in zip(lots.tolist(), rows.tolist(), security, figures, strict=True):
            yield self._take(lot, row, self.price[pk], *figure)

    def _take(self, lot, row, price, whole, cost, sold, moved, long_term):
        known = cost != UNKNOWN
        proceeds = cents(sold, price)
        sold_cost = part_of(cost, sold, whole) if known else None
        gain = proceeds - sold_cost if known else None
        term = "long" if long_term else "short"
        if sold:
            self.gains[row].add(term, gain)
            self.tallies[self.owner[row]].gains.add(term, gain)
        moved_cost = None
        if known and moved:
            moved_cost = cost - sold_cost if sold + moved == whole else part_of(cost, moved, whole)
        return Taken(lot, row, sold, proceeds, sold_cost, gain, term, moved, moved_cost)

    def _traded(self):
        sale_cents = defaultdict(int)
        for one in self.taken:
            sale_cents[one.row] += one.proceeds
        rows = np.flatnonzero(self.proposal.units)
        columns = (self.proposal.units, self.proposal.flat_units, self.loaded.security_id)
        figures = zip(*(column[rows].tolist() for column in columns), strict=True)
        for row, (units, flat, security) in zip(rows.tolist(), figures, strict=True):
            price, market, buys = self.price[security], abs(units) - flat, units > 0
            value = cents(market, price) if buys else sale_cents[row]
            self._count(row, security, buys, market, flat, value)
            yield Traded(row, buys, market, flat, value, cents(flat, price))

    def _count(self, row, security, buys, market, flat, value):
        tally = self.tallies[self.owner[row]]
        if market and buys:
            tally.buys += 1
            tally.buys_cents += value
        elif market:
            tally.sells += 1
            tally.sells_cents += value
        if flat and buys:
            tally.flats[security] = tally.flats.get(security, 0) + flat

    def cash_before(self, number):
        """Available cash of an account, in cents."""
        book = self.book
        return int(book.cash_cents[number] - book.set_aside_cents[number] - book.reserved_cents[number])

    def cash_after(self, number):
        tally = self.tallies[number]
        return self.cash_before(number) + tally.sells_cents - tally.buys_cents

    def why_not(self, number):
        """Why an account cannot be proposed, in words: cash >= 0 is out of reach; empty where it can."""
        short = max(round(float(self.proposal.shortfall[number]) * 100), -self.cash_after(number))
        if short <= 0:
            return ""
        return f"Available cash would end {short / 100:,.2f} dollars below zero, and nothing more may be sold."

    def totals(self, number):
        """An account's counts and sums by the names of an entry's columns, dollars as PostgreSQL reads them."""
        tally = self.tallies[number]
        flats = {security: cents(units, self.price[security]) for security, units in tally.flats.items()}
        return {
            "cash_after": dollars(self.cash_after(number)),
            "buys": tally.buys,
            "buys_value": dollars(tally.buys_cents),
            "sells": tally.sells,
            "sells_value": dollars(tally.sells_cents),
            "flat_trades": len(flats),
            "flat_value": dollars(sum(flats.values())),
            "short_term_gain": dollars(tally.gains.short_term),
            "long_term_gain": dollars(tally.gains.long_term),
            "estimated_gain": dollars(tally.gains.total),
            "unknown_lots": tally.gains.unknown_lots,
        }

    def is_idle(self, number):
        """Whether nothing of an account is traded."""
        tally = self.tallies[number]
        return not (tally.buys or tally.sells or tally.flats)


def dollars(cents_):
    return exact(cents_, 2)
