"""The immutable pictures that portfolios, models and firm settings leave of themselves. Weights are plain text."""

from dataclasses import asdict
from decimal import Decimal

from accounts.models import Firm, FirmVersion, ModelVersion, PortfolioVersion
from accounts.money import plain
from accounts.rules import SETTINGS, resolved
from accounts.targets import ComponentRow, flatten


def add_firm_version(firm, by):
    """Make a version of the firm settings unless the last one says the same; return it, or None."""
    content = {field.name: _text(getattr(firm, field.name)) for field in Firm._meta.fields if field.name != "id"}
    return _add(FirmVersion, {"firm": firm}, content, by)


def add_model_version(model, by):
    """Make a version of a model unless the last one says the same; return it, or None."""
    return _add(ModelVersion, {"model": model}, {"name": model.name, "weights": _weights(model)}, by)


def add_portfolio_version(portfolio, firm, by):
    """Make a version of a portfolio unless the last one says the same; return it, or None."""
    rows = list(portfolio.components.select_related("security", "model"))
    components = [ComponentRow.of(row) for row in rows]
    models = [row.model for row in rows if row.model]
    defaults = resolved(portfolio, firm)
    content = {
        "name": portfolio.name,
        "settings": {name: _text(getattr(portfolio, name)) for name in SETTINGS},
        "defaults": {name: _text(value) for name, value in asdict(defaults).items()},
        "components": [{name: _text(value) for name, value in asdict(one).items()} for one in components],
        "models": {model.name: _weights(model) for model in models},
    }
    digest = flatten(components, defaults, {name: _pairs(rows) for name, rows in content["models"].items()}).digest()
    return _add(PortfolioVersion, {"portfolio": portfolio}, content, by, target_digest=digest)


def _weights(model):
    rows = model.weights.select_related("security").order_by("-weight", "security__symbol")
    return [{"symbol": row.security.symbol, "weight": plain(row.weight)} for row in rows]


def _pairs(rows):
    return [(row["symbol"], Decimal(row["weight"])) for row in rows]


def _text(value):
    """Numbers and times as text, so that 10 and 10.000000 are one thing; the rest as it is."""
    if isinstance(value, Decimal):
        return plain(value)
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _add(kind, owner, content, by, **more):
    last = kind.objects.filter(**owner).order_by("-number").first()
    if last is not None and last.content == content:
        return None
    return kind.objects.create(**owner, number=last.number + 1 if last else 1, content=content, saved_by=by, **more)
