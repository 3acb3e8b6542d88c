"""What an account holds, weighed against its target at the last prices there are: for the account's own page.

No market calendar is asked, because pages wait for none: whether a price is too old is what the account's check says.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from django.db.models import Q
from django.utils.functional import cached_property
from django.utils.http import urlencode

from accounts.bulk import one_moment
from accounts.listing.address import term
from accounts.listing.drift import scale_of
from accounts.listing.filters import ANY
from accounts.models import Account, Component, ModelWeight, Position, Restriction, Security
from accounts.money import HUNDRED, amount, shares
from accounts.selectors import last_prices
from rebalancer import quotes
from rebalancer.booked import Note, Provisional
from rebalancer.engine import CASH, Drift, Reason, check
from rebalancer.loading import Loaded, load
from rebalancer.recommended import MODEL, reason_words, sleeve_words
from tax.selectors import Gains
from trading import sessions

PROTECTED = "protected"
EXACT = 6  # places of a percentage: finer differences are noise of floats


@dataclass(frozen=True)
class Weighed:
    """A component on the scale: weight, target and threshold in percent of V, and what there is to say of it.

    `flag` is "triggers", "kept" (outside, and no allowed trade brings it nearer) or empty.
    """

    weight: Decimal
    target: Decimal
    lower: Decimal
    upper: Decimal
    flag: str = ""
    why: str = ""

    @property
    def drift(self):
        return self.weight - self.target

    def distances(self):
        return [abs(end - self.target) for end in (self.weight, self.lower, self.upper)]


@dataclass
class Line:
    """A position, or a target that is not held; `on_scale` is None for what is not part of the weights."""

    sleeve_id: int
    security_id: int
    sleeve: str  # as its name is stored: managed, protected, model:NAME
    symbol: str
    quantity: Decimal
    name: str = ""
    price: Decimal | None = None
    priced_at: datetime | None = None
    on_scale: Weighed | None = None
    why: str = ""
    aside: Reason = Reason.NONE  # why it is no part of the weights
    gains: Gains = field(default_factory=Gains)
    provisional: list[Note] = field(default_factory=list)  # trades that no delivery has confirmed

    @property
    def key(self):
        return self.sleeve_id, self.security_id

    @property
    def value(self):
        return None if self.price is None else amount(self.quantity * self.price)

    @property
    def lots_query(self):
        """The address of the list of lots, with those of this position only."""
        terms = [term("symbol", ANY, self.symbol), term("sleeve", ANY, self.sleeve)]
        return urlencode([("f", one) for one in terms])

    def order(self):
        """The largest targets first, then what weighs most."""
        target, weight = (self.on_scale.target, self.on_scale.weight) if self.on_scale else (Decimal(0), Decimal(0))
        return -target, -weight, self.symbol


@dataclass(frozen=True)
class Part:
    """The lines of one sleeve, with their sums; what counts as cash is not in them."""

    sleeve: str
    lines: list[Line]

    @property
    def name(self):
        return sleeve_words(self.sleeve)

    @property
    def value(self):
        return total(line.value for line in self.lines if line.aside != Reason.COUNTS_AS_CASH)

    @property
    def weight(self):
        return total(one.weight for one in self.weighed) if self.weighed else None

    @property
    def target(self):
        return total(one.target for one in self.weighed) if self.weighed else None

    @cached_property
    def weighed(self):
        return [line.on_scale for line in self.lines if line.on_scale]


@dataclass(frozen=True)
class Holdings:
    """Everything an account holds, sleeve by sleeve. Figures that cannot be told are None.

    `refused` says why it cannot be weighed; `cash` is the balance with sweeps, `available` what own open orders leave
    of it; `furthest` names the component that is furthest out for its band.
    """

    parts: list[Part]
    refused: str
    market_value: Decimal | None
    managed_value: Decimal | None
    cash: Decimal
    available: Decimal
    cash_on_scale: Weighed | None = None
    furthest: str = ""
    drift: Decimal | None = None

    @cached_property
    def lines(self):
        return [line for part in self.parts for line in part.lines]

    @cached_property
    def reach(self):
        """The one scale of the account's pictures, in percentage points."""
        weighed = [line.on_scale for line in self.lines if line.on_scale]
        weighed += [self.cash_on_scale] if self.cash_on_scale else []
        return scale_of(end for one in weighed for end in one.distances())

    @cached_property
    def gains(self):
        return sum((line.gains for line in self.lines), Gains())

    @property
    def oldest_price(self):
        return min((line.priced_at for line in self.lines if line.priced_at and line.quantity), default=None)


def holdings(
    account: Account,
    restrictions: Iterable[Restriction],
    gains: dict[tuple[int, int], Gains],
    provisional: Provisional,
) -> Holdings:
    """Weigh an account as it is now, at the last known prices; a fixed number of queries, whatever it holds."""
    with one_moment():
        concerned = securities_of(account)
        loaded = load([account.pk], sessions.today(), prices=quotes.last_known(concerned))
        if loaded.refused:
            found = _unweighed(account, loaded.refused[account.pk])
        else:
            found = _weighed(loaded, {one.security.symbol: one for one in restrictions})
        named = Security.objects.filter(pk__in={line.security_id for line in found.lines})
        names = dict(named.values_list("pk", "name"))
    for line in found.lines:
        line.name = names.get(line.security_id, "")
        line.gains = gains.get(line.key, Gains())
        line.provisional = provisional.notes.get(line.key, [])
    return found


def securities_of(account: Account):
    """The securities that an account holds, wants or may hold instead."""
    components = Component.objects.filter(portfolio=account.portfolio_id)
    weights = ModelWeight.objects.filter(model__components__portfolio=account.portfolio_id)
    held = Position.objects.filter(account=account)
    instead = Restriction.objects.filter(account=account, substitute__isnull=False)
    return Security.objects.filter(
        Q(pk__in=held.values("security"))
        | Q(pk__in=components.values("security"))
        | Q(pk__in=weights.values("security"))
        | Q(pk__in=instead.values("substitute"))
    ).values("pk")


def total(values) -> Decimal | None:
    """The sum, or None when one of them is not known."""
    found = list(values)
    return None if None in found else sum(found, Decimal(0))


# --- weighed --------------------------------------------------------------------------------------------------


def _weighed(loaded: Loaded, restrictions):
    drift, book = check(loaded.book), loaded.book
    lines = [_line(loaded, drift, row, restrictions) for row in range(len(book.units))] + _aside(loaded)
    cash = _cash(drift)
    furthest = int(drift.furthest[0])
    far = cash if furthest == CASH else lines[furthest].on_scale
    cents = int(book.cash_cents[0])
    return Holdings(
        parts=_parts(lines),
        refused="",
        market_value=_dollars(loaded.market_cents[0]),
        managed_value=_dollars(loaded.managed_cents[0]),
        cash=_dollars(cents),
        available=_dollars(cents - int(book.set_aside_cents[0]) - int(book.reserved_cents[0])),
        cash_on_scale=cash,
        furthest="Cash" if furthest == CASH else lines[furthest].symbol,
        drift=far.drift,
    )


def _line(loaded, drift, row, restrictions):
    book, security = loaded.book, int(loaded.security_id[row])
    sleeve, quote, symbol = int(loaded.sleeve_id[row]), loaded.prices[security], loaded.symbols[security]
    bounds = [_percent(one[row]) for one in (drift.scale.weight, book.target, book.lower, book.upper)]
    flag, why = _judged(loaded, drift, row, bounds, restrictions.get(symbol))
    return Line(
        sleeve, security, loaded.sleeves[sleeve], symbol, shares(int(book.units[row])), price=quote.price,
        priced_at=quote.as_of, on_scale=Weighed(*bounds, flag=flag), why=why,
    )  # fmt: skip


def _judged(loaded, drift, row, bounds, restriction):
    """The flag of a row and its words."""
    book = loaded.book
    weight, target, lower, upper = bounds
    figures = {"weight": weight, "threshold": (lower, upper)}
    outside = reason_words(Reason.OUTSIDE_THRESHOLD if target else Reason.NO_TARGET, **figures)
    rule = reason_words(int(book.why[row]), other=loaded.other.get(row, "")) + _until(restriction)
    if drift.triggers[row]:
        return "triggers", f"{outside}; {rule}" if rule else outside
    if drift.outside[row]:
        held_back = int(drift.held_back[row])
        words = rule if held_back == book.why[row] else reason_words(held_back)
        return "kept", f"{outside}; {words or 'does not trigger'}"
    if drift.scale.threshold.outside[row]:
        return "", reason_words(Reason.NEAREST_STEP)
    return "", rule or reason_words(Reason.INSIDE_THRESHOLD, **figures)


def _until(restriction):
    return f" until {restriction.end}" if restriction and restriction.end else ""


def _aside(loaded):
    """What is no part of the weights: protected holdings, and sweeps, which count as cash."""
    outside = loaded.outside
    columns = (outside.sleeve, outside.security, outside.units, outside.reason)
    return [
        Line(
            sleeve, security, loaded.sleeves[sleeve], loaded.symbols[security], shares(units),
            price=_of(loaded.prices.get(security), "price"), priced_at=_of(loaded.prices.get(security), "as_of"),
            why=reason_words(reason), aside=Reason(reason),
        )
        for sleeve, security, units, reason in zip(*(column.tolist() for column in columns), strict=True)
    ]  # fmt: skip


def _of(quote, name):
    return getattr(quote, name) if quote else None


def _cash(drift: Drift):
    book = drift.scale.book
    columns = (drift.scale.cash_weight, book.cash_target, book.cash_lower, book.cash_upper)
    weight, target, lower, upper = (_percent(one[0]) for one in columns)
    figures = {"weight": weight, "threshold": (lower, upper)}
    outside = reason_words(Reason.OUTSIDE_THRESHOLD, **figures)
    if drift.high_cash[0] or drift.low_cash[0]:
        return Weighed(weight, target, lower, upper, "triggers", outside)
    if lower <= weight <= upper:
        return Weighed(weight, target, lower, upper, why=reason_words(Reason.INSIDE_THRESHOLD, **figures))
    why = "does not trigger" if not book.cash_triggers[0] else "no allowed trade brings it nearer"
    return Weighed(weight, target, lower, upper, "kept", f"{outside}; {why}")


def _parts(lines):
    """Managed first, then the models by name, what is protected last; the largest targets first in each."""
    by_sleeve: dict[str, list[Line]] = {}
    for line in lines:
        by_sleeve.setdefault(line.sleeve, []).append(line)
    names = sorted(by_sleeve, key=lambda name: (name == PROTECTED, name.startswith(MODEL), name))
    return [Part(name, sorted(by_sleeve[name], key=Line.order)) for name in names]


def _percent(share):
    return round(Decimal(str(float(share))) * HUNDRED, EXACT)


def _dollars(cents):
    return Decimal(int(cents)) / HUNDRED


# --- not weighed ----------------------------------------------------------------------------------------------


def _unweighed(account, refused):
    """What is held, with the values that can be told; the reason why there are no weights beside it."""
    held = Position.objects.filter(account=account).select_related("security", "sleeve__model")
    prices = last_prices(held.values("security"))
    lines = [_held(one, prices.get(one.security_id)) for one in held]
    value = total(line.value for line in lines)
    inside = total(line.value for line in lines if line.sleeve != PROTECTED)
    sweeps = total(line.value for line in lines if line.aside == Reason.COUNTS_AS_CASH) or Decimal(0)
    return Holdings(
        parts=_parts(lines),
        refused=refused,
        market_value=total([value, account.cash]),
        managed_value=total([inside, account.cash - account.set_aside_cash]),
        cash=account.cash + sweeps,
        available=account.cash + sweeps - account.set_aside_cash,
    )


def _held(position, price):
    security, sleeve = position.security, str(position.sleeve)
    aside = Reason.PROTECTED if sleeve == PROTECTED else Reason.NONE
    if security.kind == Security.Kind.SWEEP and not aside:
        aside = Reason.COUNTS_AS_CASH
    return Line(
        position.sleeve_id, security.pk, sleeve, security.symbol, position.quantity,
        price=price and price.price, priced_at=price and price.as_of, why=reason_words(aside), aside=aside,
    )  # fmt: skip
