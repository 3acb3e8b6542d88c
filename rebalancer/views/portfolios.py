"""Portfolios and models: their lists, what each asks for, its versions and what changed between any two of them.

Everybody signed in may read them; counts and values are over the accounts that the person sees.
"""

from dataclasses import dataclass
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import Http404
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.cache import never_cache

from accounts.listing import figures
from accounts.listing.address import term
from accounts.listing.pages import ListPage
from accounts.models import Model, Portfolio, Security
from accounts.pictures import model_changes, portfolio_changes, portfolio_picture
from rebalancer.filters.portfolios import ModelFilters, PortfolioFilters, model_rows, portfolio_rows
from rebalancer.tables.portfolios import ModelTable, PortfolioTable

SECTION = "clients"
MAY_NOT_EDIT = "Portfolios and models are changed by Administrators."


@dataclass(frozen=True)
class Subject:
    """A kind of target: its class, its word, what names its addresses, and how its versions differ."""

    model: type
    noun: str
    permission: str
    changes: object

    def address(self, target, what="", *more):
        """The page of a target, or one of its pages ("edit", "changes")."""
        return reverse(f"rebalancer:{self.noun}{'_' if what else ''}{what}", args=[target.pk, *more])

    def why_not_edit(self, user):
        return "" if user.has_perm(self.permission) else MAY_NOT_EDIT


PORTFOLIO = Subject(Portfolio, "portfolio", "accounts.change_portfolio", portfolio_changes)
MODEL = Subject(Model, "model", "accounts.change_model", model_changes)


class TargetsPage(ListPage):
    """A list of portfolios or models."""

    subject: Subject

    def list_context(self, unfiltered):
        may_add = self.request.user.has_perm(f"accounts.add_{self.subject.noun}")
        return {"section": SECTION, "here": self.screen, "may_add": may_add}


class PortfoliosPage(TargetsPage):
    subject = PORTFOLIO
    screen = "portfolios"
    table_class = PortfolioTable
    filterset_class = PortfolioFilters
    template_name = "rebalancer/portfolios.html"
    empty_template = "rebalancer/_portfolios_empty.html"

    def base(self):
        return portfolio_rows(self.request.user)


class ModelsPage(TargetsPage):
    subject = MODEL
    screen = "models"
    table_class = ModelTable
    filterset_class = ModelFilters
    template_name = "rebalancer/models.html"
    empty_template = "rebalancer/_models_empty.html"

    def base(self):
        return model_rows(self.request.user)


@login_required
@never_cache
def portfolio(request, pk, number=None):
    """A portfolio as it is, or as one of its versions was."""
    found = get_object_or_404(portfolio_rows(request.user), pk=pk)
    framed = frame(request, PORTFOLIO, found, number)
    picture = portfolio_picture(framed["version"].content)
    context = {
        "picture": picture,
        "names": names_of(one.symbol for one in picture.flattened),
        "models": dict(Model.objects.filter(name__in=picture.models).values_list("name", "pk")),
        "accounts_link": held_to(found, "rebalancer:accounts"),
        "queue_link": held_to(found, "rebalancer:queue"),
        "share_out": share(found.out_count, found.accounts_count),
    }
    return render(request, "rebalancer/portfolio.html", framed | context)


@login_required
@never_cache
def model(request, pk, number=None):
    """A model as it is, or as one of its versions was, and where it is used."""
    found = get_object_or_404(model_rows(request.user), pk=pk)
    framed = frame(request, MODEL, found, number)
    weights = framed["version"].content["weights"]
    context = {
        "weights": weights,
        "names": names_of(one["symbol"] for one in weights),
        "uses": uses(request.user, found),
    }
    return render(request, "rebalancer/model.html", framed | context)


@login_required
@never_cache
def changes(request, pk, subject):
    """What changed between two versions; without them, between the last two."""
    found = get_object_or_404(subject.model, pk=pk)
    versions = list(found.versions.select_related("saved_by"))
    newest = versions[0].number
    older = chosen(request, "from", versions, max(newest - 1, 1))
    newer = chosen(request, "to", versions, newest)
    differences = subject.changes(older.content, newer.content)
    context = {
        "older": older,
        "newer": newer,
        "changes": differences,
        "same_target": getattr(older, "target_digest", "") == getattr(newer, "target_digest", "other"),
    }
    return render(request, "rebalancer/target_changes.html", about(subject, found) | {"versions": versions} | context)


def chosen(request, name, versions, otherwise):
    """The version that the address names; 404 where there is none of that number."""
    number = request.GET.get(name, str(otherwise))
    found = next((one for one in versions if str(one.number) == number), None)
    if found is None:
        raise Http404(f"There is no version {number}.")
    return found


def about(subject, target):
    """What every page of a target needs."""
    return {
        "section": SECTION,
        "here": f"{subject.noun}s",
        "subject": subject,
        "target": target,
        "page": subject.address(target),
        "changes_page": subject.address(target, "changes"),
    }


def frame(request, subject, target, number):
    """What the page of a portfolio and that of a model have in common."""
    versions = list(target.versions.select_related("saved_by"))
    version = versions[0] if number is None else next((one for one in versions if one.number == number), None)
    if version is None:
        raise Http404(f"There is no version {number}.")
    return about(subject, target) | {
        "version": version,
        "is_newest": version is versions[0],
        "history": history(subject, target, versions),
        "why_not_edit": subject.why_not_edit(request.user),
        "edit_page": subject.address(target, "edit"),
    }


def history(subject, target, versions):
    """Of each version: itself, its page, what changed in words, and the page that compares it with the one before."""
    rows = []
    for version, before in zip(versions, [*versions[1:], None], strict=True):
        found = subject.changes(before.content, version.content) if before else []
        rows.append({
            "version": version,
            "page": subject.address(target, "version", version.number),
            "words": in_short(found) if before else "The first version.",
            "compare": f"?{urlencode({'from': before.number, 'to': version.number})}" if before else "",
        })  # fmt: skip
    return rows


def in_short(found, most=3):
    """The first few changes in words, and how many more there are."""
    words = [one.words for one in found[:most]]
    more = len(found) - most
    return " ".join(words + ([f"And {figures.plural(more, 'more change')}."] if more > 0 else []))


def names_of(symbols):
    """{symbol: name} of these securities."""
    return dict(Security.objects.filter(symbol__in=set(symbols)).values_list("symbol", "name"))


def uses(user, model):
    """The portfolios that use a model: with the weight of its component, and the accounts held to each."""
    found = portfolio_rows(user).filter(pk__in=model.components.values("portfolio")).order_by("name")
    weights = dict(model.components.values_list("portfolio", "weight"))
    return [(one, weights[one.pk]) for one in found]


def held_to(portfolio, page):
    """A list of accounts, filtered by the portfolio."""
    return f"{reverse(page)}?{urlencode({'f': term('portfolio', 'any', portfolio.name)})}"


def share(part, whole):
    return figures.percent_text(100 * part / whole, 0) if whole else figures.UNKNOWN
