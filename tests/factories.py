"""Small builders of the book for tests: plain functions, every argument optional that a test need not know.

What the services guard (versions, sleeves, sums of lots) is built by the services.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from itertools import count

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group

from accounts.models import (
    Account,
    Component,
    Custodian,
    Firm,
    Household,
    Model,
    ModelWeight,
    Portfolio,
    Position,
    Price,
    Restriction,
    Role,
    Security,
    Sleeve,
    User,
)
from accounts.services import firms, portfolios
from tax.models import Lot
from trading import sessions

number = count(1)
PASSWORD = "correct horse 4"


@cache
def hashed():
    """PASSWORD as stored; hashing is slow on purpose, so once is enough."""
    return make_password(PASSWORD)


def person(username=None, *roles, **fields):
    """A user with these roles; Administrators are staff, as the product keeps it."""
    username = username or f"person{next(number)}"
    user = User.objects.create(
        username=username, password=hashed(), is_staff=Role.ADMINISTRATOR in roles, **fields
    )  # fmt: skip
    user.groups.set(Group.objects.filter(name__in=roles))
    return user


def advisor(username=None, **fields):
    return person(username, Role.ADVISOR, **fields)


def operations(username=None, **fields):
    return person(username, Role.OPERATIONS, **fields)


def administrator(username=None, **fields):
    return person(username, Role.ADMINISTRATOR, **fields)


def custodian(name="Custodian"):
    return Custodian.objects.get_or_create(name=name)[0]


def household(name="Household"):
    return Household.objects.get_or_create(name=name)[0]


def firm(**settings):
    """The firm's row with these settings, saved as an Administrator would."""
    row = Firm.current()
    for name, value in settings.items():
        setattr(row, name, value)
    firms.save_firm(row, by=None)
    return row


def security(symbol=None, kind=Security.Kind.ETF, **fields):
    """The security of this symbol; made with these fields if it is not there."""
    symbol = symbol or f"SEC{next(number)}"
    fields.setdefault("quantity_step", "0.001" if kind == Security.Kind.MUTUAL_FUND else "1")
    return Security.objects.get_or_create(symbol=symbol, defaults={"name": f"{symbol} Inc", "kind": kind, **fields})[0]


def price(symbol, value, as_of=None, state=Price.State.USABLE, source="test"):
    """A price of a security; `as_of` is a date (16:00 UTC), a datetime, or now."""
    if isinstance(as_of, date) and not isinstance(as_of, datetime):
        as_of = datetime(as_of.year, as_of.month, as_of.day, 16, tzinfo=UTC)
    return Price.objects.create(
        security=_security(symbol), price=Decimal(str(value)), as_of=as_of or datetime.now(UTC), source=source,
        state=state,
    )  # fmt: skip


def model(name=None, by=None, **weights):
    """A model of securities by symbol: model("Growth", VTI=60, VXUS=40)."""
    row = Model.objects.filter(name=name).first() or Model(name=name or f"Model {next(number)}")
    rows = [ModelWeight(security=security(symbol), weight=Decimal(str(value))) for symbol, value in weights.items()]
    portfolios.save_model(row, rows, by=by)
    return row


def component(held, weight, **fields):
    """An unsaved component of a Security, a symbol, a Model, or "cash"; `fields` are its widths and switches."""
    if isinstance(held, Model):
        held_fields = {"kind": Component.Kind.MODEL, "model": held}
    elif held == "cash":
        held_fields = {"kind": Component.Kind.CASH}
    else:
        held_fields = {"kind": Component.Kind.SECURITY, "security": _security(held)}
    numbers = {key: Decimal(str(value)) if isinstance(value, int | float) and not isinstance(value, bool) else value
               for key, value in fields.items()}  # fmt: skip
    return Component(weight=Decimal(str(weight)), **held_fields, **numbers)


def portfolio(name=None, components=None, settings=None, by=None, **weights):
    """A portfolio of components, or of securities by symbol, the rest cash: portfolio("Balanced", VTI=60, AGG=38)."""
    row = Portfolio.objects.filter(name=name).first() or Portfolio(name=name or f"Portfolio {next(number)}")
    for field, value in (settings or {}).items():
        setattr(row, field, value)
    rows = list(components or []) + [component(symbol, value) for symbol, value in weights.items()]
    if not any(one.kind == Component.Kind.CASH for one in rows):
        rows.append(component("cash", Decimal(100) - sum((one.weight for one in rows), Decimal(0))))
    portfolios.save_portfolio(row, rows, by=by)
    return row


def account(account_number=None, **fields):
    """An open taxable account with rebalancing on, delivered in time; `linked` are portfolios."""
    linked = fields.pop("linked", [])
    account_number = account_number or f"A{next(number):05d}"
    defaults = {"name": f"Account {account_number}", "rebalancing_on": True, "custodian": fields.pop("custodian", None)}
    defaults["custodian"] = defaults["custodian"] or custodian()
    fields.setdefault("delivered_for", sessions.last_completed_session())
    row = Account.objects.create(number=account_number, **{**defaults, **fields})
    row.linked_portfolios.set(linked)
    return row


def sleeve(name="managed"):
    """The sleeve "managed" or "protected", or that of a Model."""
    return name.sleeve if isinstance(name, Model) else Sleeve.objects.get(kind=name)


def lot(account, held, quantity, cost=None, acquired=date(2020, 1, 2), lot_id=None, sleeve_of="managed"):
    """A lot, and its position kept in step; `cost` is the total, `held` a Security or symbol."""
    row = Lot.objects.create(
        account=account, sleeve=sleeve(sleeve_of), security=_security(held), lot_id=lot_id or f"L{next(number)}",
        quantity=Decimal(str(quantity)), total_cost=None if cost is None else Decimal(str(cost)), acquired_on=acquired,
    )  # fmt: skip
    position, made = Position.objects.get_or_create(
        account=account, sleeve=row.sleeve, security=row.security, defaults={"quantity": row.quantity}
    )
    if not made:
        position.quantity += row.quantity
        position.save()
    return row


def restriction(account, held, kind, substitute=None, start=date(2020, 1, 1), end=None):
    return Restriction.objects.create(
        account=account, security=_security(held), kind=kind, substitute=substitute and _security(substitute),
        start=start, end=end,
    )  # fmt: skip


def _security(held):
    return held if isinstance(held, Security) else security(held)
