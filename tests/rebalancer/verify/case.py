"""One account under judgement: what the book says of it, what the exports say, and what was found wrong."""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import cached_property

from .book import Account, Book
from .exports import Exported
from .targets import NO_TARGET, held_to

FORBIDS_BUYS = {"no_buy", "do_not_trade", "exclude_to_cash", "exclude_pro_rata", "substitute"}
FORBIDS_SALES = {"no_sell", "do_not_trade"}
HOLDS_STILL = {"no_buy", "no_sell", "do_not_trade"}
MINIMUM_DOLLARS, MINIMUM_PERCENT = Fraction(100), Fraction(1, 10)
BAND = {"best_fit": "precision", "min_transaction": "threshold"}


@dataclass
class Case:
    book: Book
    account: Account
    exported: Exported
    logic: str
    trade_date: date
    found: list = field(default_factory=list)

    def expect(self, holds, where, words):
        """Note a violation unless it holds; `where` is a (sleeve, symbol), or "" for the account."""
        if not holds:
            at = f" {where[0]}/{where[1]}" if where else ""
            self.found.append(f"{self.account.number}{at}: {words}")

    @property
    def band(self):
        """What the logic brings components into."""
        return BAND[self.logic]

    # --- the book ---

    @cached_property
    def kinds(self):
        """{symbol: kind of the restriction in force}."""
        return {rule.symbol: rule.kind for rule in self.account.rules if rule.holds_on(self.trade_date)}

    @cached_property
    def _held_to(self):
        return held_to(self.book, self.account, self.trade_date)

    @property
    def cash_target(self):
        return self._held_to[0]

    def target(self, key):
        return self._held_to[1].get(key, NO_TARGET)

    def security(self, key):
        return self.book.securities[key[1]]

    def is_aside(self, key):
        """Whether it is neither traded nor weighed: protected, or a sweep."""
        return key[0] == "protected" or self.security(key).is_sweep

    @cached_property
    def keys(self):
        """Everything held or wanted that is weighed."""
        wanted = {key for key, target in self._held_to[1].items() if target.weight}
        return sorted({key for key in self.account.lots if not self.is_aside(key)} | wanted)

    @cached_property
    def aside(self):
        return sorted(key for key in self.account.lots if self.is_aside(key))

    def value(self, key, quantity):
        return quantity * self.security(key).price

    @cached_property
    def available_cash(self):
        """Balance and sweeps less what is set aside; a book has no open orders."""
        sweeps = [key for key in self.aside if key[0] != "protected"]
        swept = sum((self.value(key, self.account.held(key)) for key in sweeps), Fraction(0))
        return self.account.cash + swept - self.account.set_aside

    @cached_property
    def managed(self):
        held = sum((self.value(key, self.account.held(key)) for key in self.keys), Fraction(0))
        return held + self.available_cash

    @cached_property
    def market(self):
        protected = [key for key in self.aside if key[0] == "protected"]
        aside = sum((self.value(key, self.account.held(key)) for key in protected), Fraction(0))
        return self.managed + self.account.set_aside + aside

    @cached_property
    def minimum(self):
        """Dollars of the smallest trade."""
        return max(MINIMUM_DOLLARS, MINIMUM_PERCENT * self.managed / 100)

    def grain(self, key):
        return max(self.security(key).step_value, self.minimum)

    def may(self, key, sign):
        """Whether restrictions allow to buy (+1) or sell (-1)."""
        kind = self.kinds.get(key[1])
        return kind not in (FORBIDS_BUYS if sign > 0 else FORBIDS_SALES)

    # --- the exports ---

    def traded(self, key):
        """Signed quantity."""
        row = self.exported.trades.get(key)
        if row is None:
            return Fraction(0)
        return Fraction(row["quantity"]) * (1 if row["side"] == "buy" else -1)

    @cached_property
    def after(self):
        """{key: quantity after the trades}, all that is weighed."""
        return {key: self.account.held(key) + self.traded(key) for key in self.keys}

    @cached_property
    def cash_after(self):
        """Available cash by quantity × price, before anything is rounded to the cent."""
        traded = self.exported.trades
        return self.available_cash - sum((self.value(key, self.traded(key)) for key in traded), Fraction(0))

    def weight(self, dollars):
        return 100 * dollars / self.managed

    def weight_of(self, key, quantity):
        return self.weight(self.value(key, quantity))

    def misses(self, key, quantity, band=None):
        """Dollars by which a quantity misses its band, the logic's own unless another is named."""
        return self._misses(self.target(key), self.value(key, quantity), band or self.band)

    def cash_misses(self, dollars, band=None):
        return self._misses(self.cash_target, dollars, band or self.band)

    def _misses(self, target, dollars, band):
        lower, upper = (target.bound(f"{band}_{side}") * self.managed / 100 for side in ("lower", "upper"))
        return max(lower - dollars, dollars - upper, Fraction(0))

    def off_target(self, key, quantity):
        """Dollars from the target."""
        return abs(self.value(key, quantity) - self.target(key).weight * self.managed / 100)

    def near_enough(self, key, quantity):
        """Best Fit: inside precision or within a grain of the target. Min Transaction: within a grain of the band."""
        missed = self.misses(key, quantity)
        if not missed:
            return True
        distance = self.off_target(key, quantity) if self.logic == "best_fit" else missed
        return distance <= self.grain(key)


def decimal_sum(values):
    return sum(values, Decimal(0))
