"""The pre-trade analysis of a request: drift before and after, by ticker and by account, and what remains outside."""

from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef
from django.db.models.functions import JSONObject
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.functional import cached_property
from django.views.decorators.cache import never_cache

from accounts.listing.address import term
from accounts.listing.drift import scale_of
from accounts.listing.export import csv_of_rows
from accounts.listing.filters import ANY, GTE
from accounts.listing.pages import ListPage
from rebalancer import analysis
from rebalancer.filters import AnalysisFilters, analysed_rows
from rebalancer.models import BatchPrice
from rebalancer.tables import TICKER_COLUMNS, AnalysisTable, ticker_rows

from .requests import frame, no_file_yet, requests_seen
from .tabs import AREA

WAITING = "rebalancer/analysis_waiting.html"


def framed(batch, user, shown):
    return frame(batch, user) | {"shown": shown}


@login_required
@never_cache
def by_ticker(request, pk):
    prices = BatchPrice.objects.filter(batch=OuterRef("pk")).values(one=JSONObject(symbol="symbol", name="name"))
    batch = get_object_or_404(requests_seen(request.user).annotate(names=ArraySubquery(prices)), pk=pk)
    context = framed(batch, request.user, "tickers")
    files = "export" in request.GET
    if context["being_proposed"]:
        return no_file_yet(batch, "its analysis") if files else render(request, WAITING, context)
    found = analysis.by_ticker(batch, request.user)
    if files:
        rows = ticker_rows(found, names_of(batch))
        return csv_of_rows(TICKER_COLUMNS, rows, f"request-{batch.pk}-analysis-by-ticker.csv")
    return render(request, "rebalancer/analysis.html", context | page(batch, found))


def names_of(batch):
    return {one["symbol"]: one["name"] for one in batch.names}


def page(batch, found):
    """The figures with their scale, and links to the accounts behind them."""
    rows = [*found.tickers, found.cash] if found.cash else found.tickers
    return {
        "found": found,
        "names": names_of(batch),
        "reach": scale_of(distance for row in rows for distance in row.distances()),
        "outside": {when: accounts(batch, term(f"outside_{when}", GTE, 1)) for when in ("before", "after")},
        "remains": [(one, remaining(batch, one)) for one in found.remains],
    }


def remaining(batch, one):
    return accounts(batch, term("remains", ANY, one.key)) if one.counts else ""


def accounts(batch, filtered):
    """The address of the accounts of the analysis under one filter."""
    return f"{reverse('rebalancer:request_analysis_accounts', args=[batch.pk])}?{urlencode({'f': filtered})}"


class ByAccount(ListPage):
    area = AREA
    screen = "request_analysis"
    table_class = AnalysisTable
    filterset_class = AnalysisFilters
    template_name = "rebalancer/analysis_accounts.html"
    empty_template = "rebalancer/_analysis_empty.html"

    @cached_property
    def batch(self):
        return get_object_or_404(requests_seen(self.request.user), pk=self.kwargs["pk"])

    @cached_property
    def framed(self):
        return framed(self.batch, self.request.user, "accounts")

    def memory_screen(self):
        return f"analysis:{self.kwargs['pk']}"

    def base(self):
        return analysed_rows(self.batch, self.request.user)

    def list_context(self, unfiltered):
        return self.framed | {"list_page": "listing/page.html"}

    def page(self):
        return render(self.request, WAITING, self.framed) if self.framed["being_proposed"] else super().page()

    def export(self):
        return no_file_yet(self.batch, "its analysis") if self.framed["being_proposed"] else super().export()

    def file_name(self):
        return f"request-{self.batch.pk}-analysis"
