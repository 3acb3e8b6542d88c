"""Portfolios and models as saved by an Administrator, an import or the demo firm (by=None: the system).

Both are saved one at a time over the whole firm (its row is locked): a portfolio's version holds the weights of its
models, so neither may change while the other is pictured.
"""

from decimal import Decimal

from accounts.models import Account, Component, Firm, Portfolio, Role, Sleeve
from accounts.rules import component_problems, resolved, settings_problems, weight_problems

from . import audit, versions
from .refusals import command, require_role
from .validation import check_fields, refuse

COMPONENT_FIELDS = ("kind", "security_id", "model_id", "weight", "band_kind", "threshold_lower", "threshold_upper",
                    "precision_lower", "precision_upper", "triggers")  # fmt: skip
WEIGHT_FIELDS = ("security_id", "weight")


def save_portfolio(portfolio, components, by, *, tried=False):
    """Save a portfolio with these components (Component objects, saved or not), which replace those it had.

    Returns its new PortfolioVersion, or None when nothing has changed. `tried`: the caller takes it back, so no checks
    are wanted. Raises ValidationError (by field) and PermissionDenied.
    """
    with command(by, "portfolio.saved", portfolio):
        require_role(by, Role.ADMINISTRATOR)
        firm = lock_targets()
        components = list(components)
        _check_portfolio(portfolio, components, firm)
        portfolio.save()
        if _changed(portfolio.components.all(), components, COMPONENT_FIELDS):
            _replace(portfolio.components.all(), components, portfolio=portfolio)
        return _picture(portfolio, firm, by, tried)


def save_model(model, weights, by, *, tried=False):
    """Save a model with these weights (ModelWeight objects, saved or not), which replace those it had.

    A new model gets its sleeve. Each portfolio that uses it gets a version too. Returns the new ModelVersion, or None
    when nothing has changed; `tried` as above. Raises ValidationError (by field) and PermissionDenied.
    """
    with command(by, "model.saved", model):
        require_role(by, Role.ADMINISTRATOR)
        firm = lock_targets()
        weights = list(weights)
        _check_model(model, weights)
        model.save()
        Sleeve.objects.get_or_create(kind=Sleeve.Kind.MODEL, model=model)
        if _changed(model.weights.all(), weights, WEIGHT_FIELDS):
            _replace(model.weights.all(), weights, model=model)
        before = model.versions.first()
        version = versions.add_model_version(model, by)
        if version is None:
            return None
        audit.record(by, "model.saved", model, *_contents(before, version))
        for portfolio in Portfolio.objects.filter(components__model=model).order_by("pk"):
            _picture(portfolio, firm, by, tried)
        return version


def picture_all(firm, by):
    """Make a version of each portfolio for which the firm's new defaults mean something else. Under `lock_targets`."""
    for portfolio in Portfolio.objects.filter(components__kind=Component.Kind.CASH).order_by("pk"):
        _picture(portfolio, firm, by)


def lock_targets():
    """The firm's row, locked until the transaction ends: whoever saves a target waits here."""
    return Firm.objects.select_for_update(no_key=True).get(pk=1)


def _check_portfolio(portfolio, components, firm):
    check_fields(portfolio)
    for component in components:
        component.portfolio = portfolio
        check_fields(component, exclude=("portfolio",), unique=False, named=str(component))
    defaults = resolved(portfolio, firm)
    refuse(settings_problems(portfolio, defaults))
    refuse(component_problems(components, defaults), components)


def _check_model(model, weights):
    check_fields(model)
    for weight in weights:
        weight.model = model
        check_fields(weight, exclude=("model",), unique=False, named=str(weight.security))
    refuse(weight_problems(weights), weights)


def _changed(saved, given, fields):
    """Whether rows differ, whatever their order."""
    return _pictures(saved, fields) != _pictures(given, fields)


def _pictures(rows, fields):
    return sorted([str(_number(getattr(row, name))) for name in fields] for row in rows)


def _number(value):
    return value.normalize() if isinstance(value, Decimal) else value


def _replace(saved, given, **owner):
    saved.delete()
    for row in given:
        row.pk, row._state.adding = None, True
        for name, value in owner.items():
            setattr(row, name, value)
    type(given[0]).objects.bulk_create(given)


def _picture(portfolio, firm, by, tried=False):
    """Version, audit line and wanted checks of a portfolio whose rows are written; None when nothing has changed."""
    before = portfolio.versions.first()
    version = versions.add_portfolio_version(portfolio, firm, by)
    if version is not None:
        audit.record(by, "portfolio.saved", portfolio, *_contents(before, version))
        if not tried:
            Account.objects.filter(portfolio=portfolio, is_open=True).want_check()
    return version


def _contents(before, after):
    return audit.differences(before.content if before else {}, after.content)
