"""Reads of lots; every one starts from the accounts that the person may see."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from django.db.models import BooleanField, Case, Count, DateField, DecimalField, F, Q, Sum, Value, When
from django.db.models.functions import Round

from accounts.models import Account
from accounts.selectors import last_price
from tax.models import Lot
from tax.terms import first_long_term_day, latest_long_term

EPOCH = date(1970, 1, 1)
PRICE = DecimalField(max_digits=18, decimal_places=6)
DOLLARS = DecimalField(max_digits=18, decimal_places=2)


def lots(user, account):
    """The lots of an account in age order, position by position, if this person may see it."""
    seen = Lot.objects.filter(account__in=Account.objects.visible_to(user).filter(pk=account.pk))
    order = ("sleeve", "security__symbol", "acquired_on", "lot_id")
    return seen.select_related("sleeve__model", "security").order_by(*order)


def valued_lots(user, account, day):
    """The lots of an account with what they would bring: `price`, `value`, `gain`, `long_term` when sold on `day`.

    The price is the last one that may be used, however old; value and gain are dollars, half up at the lot, and None
    where price or cost is unknown. `day` (date) rides along as `sold_on`.
    """
    part = EPOCH + timedelta(days=int(latest_long_term((day - EPOCH).days)))
    value = Round(F("quantity") * F("price"), precision=2, output_field=DOLLARS)
    return (
        lots(user, account)
        .annotate(price=last_price("security"))
        .annotate(value=value)
        .annotate(
            gain=F("value") - F("total_cost"),
            long_term=Case(When(acquired_on__lte=part, then=True), default=False, output_field=BooleanField()),
            sold_on=Value(day, output_field=DateField()),
        )
    )


@dataclass(frozen=True, slots=True)
class Term:
    """Unrealised gains of some lots: `known` sums those that are known, None without any; `unknown` counts the rest."""

    known: Decimal | None = None
    unknown: int = 0

    @property
    def total(self):
        """The sum, 0 where there are no lots, None where none is known."""
        return Decimal("0.00") if self.known is None and not self.unknown else self.known

    def __add__(self, other):
        known = [one.known for one in (self, other) if one.known is not None]
        return Term(sum(known, Decimal("0.00")) if known else None, self.unknown + other.unknown)


@dataclass(frozen=True, slots=True)
class Gains:
    """Unrealised gains of some lots, by holding period."""

    lots: int = 0
    short: Term = Term()
    long: Term = Term()

    @property
    def both(self):
        return self.short + self.long

    def __add__(self, other):
        return Gains(self.lots + other.lots, self.short + other.short, self.long + other.long)


def gains(user, account, day) -> dict[tuple[int, int], Gains]:
    """The unrealised gains of each position of an account, by (sleeve id, security id); one query."""
    rows = valued_lots(user, account, day).order_by().values("sleeve", "security")
    terms = {"short": Q(long_term=False), "long": Q(long_term=True)}
    sums = {f"{name}_known": Sum("gain", filter=one) for name, one in terms.items()}
    counts = {f"{name}_unknown": Count("pk", filter=one & Q(gain=None)) for name, one in terms.items()}
    return {
        (row["sleeve"], row["security"]): Gains(
            row["lots"],
            Term(row["short_known"], row["short_unknown"]),
            Term(row["long_known"], row["long_unknown"]),
        )
        for row in rows.annotate(lots=Count("pk"), **sums, **counts)
    }


def days_to_long_term(acquired: date, day: date) -> int:
    """Days until a sale of a lot acquired then is long-term; 0 when it is on `day` already."""
    first = int(first_long_term_day((acquired - EPOCH).days))
    return max(first - (day - EPOCH).days, 0)

