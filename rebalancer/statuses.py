"""What a checked account comes to: conditions, source, attention and status, each with its reason in words.

Pure: facts in, verdict out. `Facts` of accounts that could not be loaded have no drift.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from rebalancer.engine import Reason
from rebalancer.engine.reasons import short
from rebalancer.states import Source, Status


@dataclass(frozen=True, slots=True)
class Outside:
    """A component outside its threshold, in percent; `held_back` is the Reason no trade may bring it nearer, or 0."""

    symbol: str
    weight: float
    lower: float
    upper: float
    triggers: bool = True
    held_back: int = 0
    sleeve: str = ""  # in words, where its security stands in more than one sleeve of the account

    @property
    def side(self):
        return "below" if self.weight < self.lower else "above"

    @property
    def distance(self):
        """Percentage points beyond the bound."""
        return self.lower - self.weight if self.side == "below" else self.weight - self.upper

    def words(self):
        bound, name = (self.lower, "floor") if self.side == "below" else (self.upper, "ceiling")
        named = f"{self.symbol} ({self.sleeve})" if self.sleeve else self.symbol
        return f"{named} {short(self.distance)} % {self.side} its {short(bound)} % {name}"


def is_first_rebalance(rebalancing_since, last_rebalanced, last_rebalanced_at):
    """Never rebalanced, or not since rebalancing was last switched on."""
    if last_rebalanced is None:
        return True
    if rebalancing_since is None:
        return False
    return last_rebalanced_at is None or last_rebalanced_at < rebalancing_since


@dataclass(slots=True)
class Facts:
    """What is known of an account when its check is decided."""

    rebalancing_on: bool
    rebalancing_since: datetime | None
    last_rebalanced: date | None
    last_rebalanced_at: datetime | None
    has_portfolio: bool
    all_cash: bool  # the portfolio is 100 % cash
    holds_securities: bool
    target_changed_on: date | None  # the day the target became another one than it was last rebalanced to
    unable: str = ""  # why it cannot be weighed: what the last check knew of its weights stays
    late: str = ""  # why its last delivery does not count: the same
    business_day: date | None = None
    switched_on: date | None = None  # date of rebalancing_since in the market's zone
    attention: list[tuple[str, str]] = field(default_factory=list)  # (key, words)
    net_flow: Decimal = Decimal(0)  # external deposits minus withdrawals since it was last rebalanced
    flow_limit: Decimal = Decimal(0)
    high_cash: bool = False
    low_cash: bool = False
    triggering: list[Outside] = field(default_factory=list)  # cash first
    quiet: list[str] = field(default_factory=list)  # what is outside its threshold and does not trigger; cash first

    @property
    def first_rebalance(self):
        return is_first_rebalance(self.rebalancing_since, self.last_rebalanced, self.last_rebalanced_at)


@dataclass(slots=True)
class Known:
    """What the last check knew, as far as it lives on."""

    wanted: bool = False
    source: str = ""
    needed_since: date | None = None
    high_cash: bool = False
    low_cash: bool = False
    position_drift: bool = False
    acknowledged: tuple[str, ...] = ()


@dataclass(slots=True)
class Verdict:
    first_rebalance: bool
    high_cash: bool
    low_cash: bool
    position_drift: bool
    wanted: bool
    source: str
    needed_since: date | None
    status: Status
    reason: str


def decide(facts: Facts, known: Known) -> Verdict:
    """The verdict on one account. One that can't be checked keeps what the last check knew of its weights."""
    first, unknown = facts.first_rebalance, bool(facts.unable or facts.late)
    if unknown:
        high, low, drift = known.high_cash, known.low_cash, known.position_drift and not first
    else:
        high, low = facts.high_cash, facts.low_cash
        drift = bool(facts.triggering) and not (high or low or first)
    reason_found = first or high or low or drift or facts.target_changed_on is not None
    wanted = reason_found or (unknown and known.wanted)
    source, since = _source(facts, known) if wanted else ("", None)
    status, reason = _status(facts, known)
    return Verdict(first, high, low, drift, wanted, source, since, status, reason)


def _source(facts, known):
    """What first put the account into the queue, and since when; both stay while there is a reason."""
    if known.wanted and known.source:
        return known.source, known.needed_since
    if facts.first_rebalance and facts.switched_on is not None:
        return Source.REBALANCER_ON, facts.switched_on
    if facts.target_changed_on is not None:
        return Source.TARGET_UPDATE, facts.target_changed_on
    return Source.DRIFT_ANALYSIS, facts.business_day


def _status(facts, known):
    """The first of the eight statuses that applies, and why."""
    if not facts.has_portfolio and not (facts.rebalancing_on and facts.holds_securities):
        why = "no securities are held" if facts.rebalancing_on else "rebalancing is off"
        return Status.NO_PORTFOLIO, f"No portfolio is assigned, and {why}"
    if facts.holds_securities and (not facts.has_portfolio or facts.all_cash):
        what = "The portfolio is 100 % cash" if facts.has_portfolio else "No portfolio is assigned"
        return Status.LIQUIDATION, f"{what}, and securities are held"
    if facts.unable or facts.late:
        return Status.UNABLE_TO_CHECK, capital(facts.unable or facts.late)
    standing = [words for key, words in facts.attention if key not in known.acknowledged]
    if standing:
        return Status.NEED_EXTRA_ATTENTION, capital("; ".join(standing))
    if -facts.net_flow > facts.flow_limit:
        return Status.NEW_WITHDRAWAL, f"${-facts.net_flow:,.2f} withdrawn, net of deposits"
    if facts.net_flow > facts.flow_limit:
        return Status.NEW_DEPOSIT, f"${facts.net_flow:,.2f} deposited, net of withdrawals"
    if facts.triggering:
        return Status.OUT_OF_TOLERANCE, list_in_words([outside.words() for outside in facts.triggering])
    return Status.INSIDE_OF_TOLERANCE, _inside_words(facts.quiet)


def _inside_words(quiet):
    if not quiet:
        return "Every component is inside its threshold"
    if len(quiet) == 1:
        return f"Nothing triggers: {quiet[0]} is outside its threshold and does not trigger"
    return f"Nothing triggers: {quiet[0]} and {len(quiet) - 1} more are outside their thresholds and do not trigger"


def restriction_words(outside: Outside) -> str:
    """A component that a restriction keeps outside its threshold."""
    names = {Reason.NO_BUY: "no buy", Reason.NO_SELL: "no sell", Reason.DO_NOT_TRADE: "do not trade"}
    return f"{outside.words()}, kept there by a restriction: {names[Reason(outside.held_back)]}"


def list_in_words(words, most=3):
    """The first few, and how many more."""
    more = f"; and {len(words) - most} more" if len(words) > most else ""
    return "; ".join(words[:most]) + more


def capital(words):
    return words[:1].upper() + words[1:]
