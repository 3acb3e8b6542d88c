"""What a liquidation would sell, account by account, in words and dollars, for whoever is to confirm it."""

from dataclasses import dataclass, field
from decimal import Decimal

from django.db.models import QuerySet

from accounts.listing.figures import quantity_text
from accounts.models import Account
from accounts.money import amount
from accounts.selectors import last_prices
from rebalancer import selectors
from rebalancer.services import eligibility
from rebalancer.states import Logic


@dataclass(frozen=True, slots=True)
class Sale:
    """A holding: the shares that would go at the last price, and what stays behind and why."""

    symbol: str
    name: str
    sleeve: str
    held: Decimal
    sold: Decimal
    price: Decimal | None
    note: str

    @property
    def value(self):
        """Dollars at the last price; None where there is none."""
        return None if self.price is None else amount(self.sold * self.price)


@dataclass(slots=True)
class Seller:
    """An account with what it would sell; `why_not` says why it is left out of the request, if it is."""

    pk: int
    number: str
    name: str
    why_not: str = ""
    sales: list[Sale] = field(default_factory=list)

    @property
    def value(self):
        return sum((sale.value or Decimal(0) for sale in self.sales), Decimal("0.00"))

    @property
    def sells(self):
        """Whether confirming would sell anything of it."""
        return not self.why_not and any(sale.sold for sale in self.sales)


@dataclass(frozen=True, slots=True)
class Liquidation:
    """The list that somebody confirms, by account number. Its digest is of the accounts that sell: whoever is left out
    now is no part of what is confirmed, whatever becomes of them.
    """

    listed: selectors.SaleList
    sellers: list[Seller]

    @property
    def selling(self):
        return [one for one in self.sellers if one.sells]

    @property
    def digest(self):
        return self.listed.of(one.pk for one in self.selling).digest

    @property
    def value(self):
        return sum((one.value for one in self.selling), Decimal("0.00"))

    @property
    def sales(self):
        return sum(bool(sale.sold) for one in self.selling for sale in one.sales)

    @property
    def unpriced(self):
        return sum(sale.price is None and bool(sale.sold) for one in self.selling for sale in one.sales)


def liquidation(chosen: QuerySet[Account]) -> Liquidation:
    """What a liquidation of these accounts (rows of `filters.center`) would sell; those that a request would leave out
    are listed too, and say why.
    """
    listed = selectors.sale_list(chosen)
    whys = eligibility.with_why_not(chosen, Logic.LIQUIDATE).order_by("number")
    rows = whys.values_list("pk", "number", "name", "why_not", "hindrance")
    sellers = {pk: Seller(pk, number, name, why or hindrance) for pk, number, name, why, hindrance in rows}
    prices = last_prices([row["security"] for row in listed.rows])
    for row in listed.rows:
        price = prices.get(row["security"])
        sellers[row["account"]].sales.append(_sale(row, price and price.price))
    return Liquidation(listed, list(sellers.values()))


def _sale(row, price):
    held, step, kept = row["quantity"], row["security__quantity_step"], row["kept"]
    sold = Decimal(0) if kept else held // step * step
    note = f"stays: {kept}" if kept else f"{quantity_text(held - sold)} stays, a fraction" if held > sold else ""
    sleeve = row["sleeve__model__name"] or row["sleeve__kind"].capitalize()
    return Sale(row["security__symbol"], row["security__name"], sleeve, held, sold, price, note)
