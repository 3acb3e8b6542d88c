"""The Rebalance Center (Trading / Rebalance): the eight statuses, the portfolios behind one, their accounts."""

from dataclasses import dataclass

from django.contrib.auth.decorators import login_required
from django.http import Http404
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.functional import SimpleLazyObject, cached_property
from django.views.decorators.cache import never_cache

from accounts.listing.export import csv_of_rows
from accounts.listing.pages import ListPage
from accounts.models import Portfolio, Role
from rebalancer import booked, center, selectors
from rebalancer.filters import CenterFilters, center_rows
from rebalancer.forms import OFFERED
from rebalancer.services.attention import MAY_NOT_ACKNOWLEDGE
from rebalancer.states import Status
from rebalancer.statuses import capital
from rebalancer.tables import STATUS_BADGES, CenterTable, portfolio_columns, portfolio_rows

from .opening import MAY_NOT_OPEN

SECTION = "trading"
SLUGS = {status: status.name.lower().replace("_", "-") for status in Status}
STATUSES = {slug: status for status, slug in SLUGS.items()}
MAY_NOT_RESOLVE = "Reconciliation breaks are resolved by Operations."
MAY_NOT_LIQUIDATE = "Liquidations are proposed by Operations."


class HeldTo:
    """The part of an address that names a portfolio by its id, or says "none"."""

    regex = "none|[1-9][0-9]{0,17}"

    def to_python(self, value):
        return None if value == "none" else int(value)

    def to_url(self, value):
        return "none" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Place:
    """Accounts of one status that are held to one portfolio, or to none; `person` is who looks."""

    person: object
    status: Status
    portfolio: Portfolio | None

    @property
    def key(self):
        """Status and portfolio as the address has them."""
        return SLUGS[self.status], self.portfolio and self.portfolio.pk

    @property
    def name(self):
        return str(self.portfolio or "No portfolio")

    @property
    def liquidates(self):
        """Whether its accounts are only ever proposed with Liquidate."""
        return self.status in center.LIQUIDATED

    @property
    def address(self):
        if self.status == Status.NO_PORTFOLIO:
            return reverse("rebalancer:center_status", args=[SLUGS[self.status]])
        return reverse("rebalancer:center_accounts", args=self.key)

    @property
    def why_not_open(self):
        """Why this person may not open a request here; empty when they may."""
        if not self.person.has_perm("rebalancer.add_batch"):
            return MAY_NOT_OPEN
        return MAY_NOT_LIQUIDATE if self.liquidates and not self.person.has_perm("rebalancer.liquidate") else ""

    def rows(self):
        return center_rows(self.person, self.status, self.portfolio and self.portfolio.pk)

    def command(self, name):
        return reverse(f"rebalancer:{name}", args=self.key)


def status_of(slug):
    """The status of that name in an address; there is no such page otherwise."""
    if slug not in STATUSES:
        raise Http404
    return STATUSES[slug]


def place_of(user, slug, portfolio):
    """The place of an address; not found where none of this person's accounts is held to that portfolio."""
    status = status_of(slug)
    if status == Status.NO_PORTFOLIO and portfolio is not None:
        raise Http404
    seen = center.portfolios(user)
    return Place(user, status, None if portfolio is None else get_object_or_404(seen, pk=portfolio))


def framed(user):
    """What every page of the Center needs."""
    return {"section": SECTION, "desk": SimpleLazyObject(lambda: center.analysed(user))}


def tiles(found, chosen):
    """The eight statuses as tiles, each with what it means."""
    return [
        {
            "slug": SLUGS[status],
            "standing": standing,
            "label": status.label,
            "meaning": center.MEANINGS[status],
            "chosen": status == chosen,
        }
        for status, standing in found.items()
    ]


@login_required
def overview(request, status=SLUGS[Status.OUT_OF_TOLERANCE]):
    """The statuses, and the portfolios of the chosen one; for accounts without portfolio the accounts themselves."""
    chosen = status_of(status)
    if chosen == Status.NO_PORTFOLIO:
        return UnassignedPage.as_view()(request, status=status, portfolio=None)
    explained, by_drift = chosen != Status.INSIDE_OF_TOLERANCE, chosen == Status.OUT_OF_TOLERANCE
    found = center.standings(request.user, explained=by_drift)
    if explained and not by_drift and found[chosen].held:
        because = center.mostly_because(request.user, chosen)
        for held in found[chosen].held:
            held.because = because.get(held.portfolio)
    if "export" in request.GET:
        columns = portfolio_columns(chosen, explained=explained)
        return csv_of_rows(columns, portfolio_rows(found[chosen]), f"{status}-portfolios.csv")
    context = {
        "tiles": tiles(found, chosen),
        "standing": found[chosen],
        "status": chosen,
        "slug": status,
        "explained": explained,
        "liquidates": chosen in center.LIQUIDATED,
        "anything": any(one.held for one in found.values()),
        "book": SimpleLazyObject(lambda: selectors.book(request.user)),
    }
    return render(request, "rebalancer/center.html", framed(request.user) | context)


class StatusPage(ListPage):
    """The accounts of one status held to one portfolio, from which a request is opened."""

    area = SECTION
    screen = "center"
    table_class = CenterTable
    filterset_class = CenterFilters
    template_name = "rebalancer/center_accounts.html"
    actions_template = "rebalancer/_center_open.html"
    empty_template = "rebalancer/_center_empty.html"
    selectable = True

    @cached_property
    def place(self):
        return place_of(self.request.user, self.kwargs["status"], self.kwargs["portfolio"])

    def memory_screen(self):
        slug, portfolio = self.place.key
        return f"center:{slug}:{portfolio}"

    def base(self):
        return self.place.rows()

    def list_context(self, unfiltered):
        commands = ("center_review",) if self.place.liquidates else ("center_create",)
        urls = {f"{name}_url": self.place.command(name) for name in commands}
        return framed(self.request.user) | urls | {
            "place": self.place,
            "status": self.place.status,
            "badge": STATUS_BADGES[self.place.status],
            "slug": SLUGS[self.place.status],
            "meaning": center.MEANINGS[self.place.status],
            "logics": OFFERED,
            "why_not_open": self.place.why_not_open,
        }

    def file_name(self):
        return SLUGS[self.place.status]


class UnassignedPage(StatusPage):
    """No Portfolio Assigned: the statuses, and below them its accounts, as no portfolio stands between."""

    template_name = "rebalancer/center_unassigned.html"

    def context(self):
        return {"status_tiles": tiles(center.counted(self.request.user), self.place.status)}


@login_required
@never_cache
def account(request, pk):
    """What stands behind the status of an account: its reasons, and the deposits and withdrawals that it adds up."""
    seen = selectors.accounts(request.user).filter(check_row__isnull=False).select_related("check_row", "portfolio")
    found = get_object_or_404(seen, pk=pk)
    reasons = center.reasons(found.check_row)
    breaks = booked.breaks_of([found.pk]).get(found.pk, [])
    may_not = "" if request.user.has_perm("rebalancer.add_batch") else MAY_NOT_ACKNOWLEDGE
    context = {
        "account": found,
        "check": found.check_row,
        "meaning": center.MEANINGS[Status(found.check_row.status)],
        "reasons": reasons,
        "open_reasons": [reason for reason in reasons if not reason.acknowledged],
        "seen": center.digest(found.check_row),
        "flows": center.new_flows(found, found.check_row),
        "why_not": may_not,
        "breaks": [{"pk": one.pk, "words": capital(booked.break_words(one))} for one in breaks],
        "why_not_resolve": "" if Role.OPERATIONS in request.user.roles else MAY_NOT_RESOLVE,
        "back": Place(request.user, Status(found.check_row.status), found.portfolio).address,
    }
    template = "rebalancer/_center_account.html" if request.htmx else "rebalancer/center_account.html"
    return render(request, template, framed(request.user) | context)
