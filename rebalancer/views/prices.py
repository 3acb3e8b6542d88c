"""Prices that were not used because they cannot be right, and a person's word on them."""

from django.http import Http404
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.functional import cached_property

from accounts.listing.figures import price_text
from accounts.listing.pages import ListPage
from accounts.listing.word import WordPage
from accounts.models import Price
from accounts.services.prices import confirm_price, reject_price
from accounts.services.refusals import Refused
from accounts.services.said import shown
from rebalancer import tasks
from rebalancer.filters import PriceFilters, price_rows
from rebalancer.filters.prices import beside_the_last
from rebalancer.tables import PriceTable

SECTION = "home"
DECISIONS = {"use": (confirm_price, "is used"), "reject": (reject_price, "is rejected; the one before it counts again")}


class QuestionedPricesPage(ListPage):
    """There is no such page for whoever does not see every account: only Operations and Administrators decide."""

    screen = "questioned-prices"
    table_class = PriceTable
    filterset_class = PriceFilters
    template_name = "rebalancer/questioned_prices.html"
    empty_template = "rebalancer/_questioned_prices_empty.html"

    def base(self):
        if not self.request.user.sees_every_account:
            raise Http404
        return price_rows()

    def post(self, request, *args, **kwargs):
        """As any list; for whoever has no such page there is nothing to lay out either."""
        return super().post(request, *args, **kwargs) if self.base() is not None else None

    def list_context(self, unfiltered):
        return {"section": SECTION}


class QuestionedPrice(WordPage):
    """One price beside the last one used: use it or reject it."""

    template_name = "rebalancer/questioned_price.html"
    refusals = (Refused,)

    @cached_property
    def thing(self):
        if not self.request.user.sees_every_account:
            raise Http404
        return get_object_or_404(beside_the_last(Price.objects.select_related("security")), pk=self.kwargs["pk"])

    @property
    def back(self):
        return reverse("rebalancer:questioned_prices")

    def why_not(self):
        now = Price.State(self.thing.state)
        return "" if now == Price.State.QUESTIONED else f"It is {now.label.lower()}; there is nothing to decide."

    def decide(self, data):
        if data.get("decision") not in DECISIONS:
            raise Refused("Neither “Use it” nor “Reject it” was chosen, so nothing was done.")
        act, done = DECISIONS[data["decision"]]
        seen = self.thing
        seen.price = shown(data.get("price", ""))
        act(seen, by=self.request.user)
        tasks.enqueue(tasks.recheck)
        return (
            f"The price of {seen.security} of {price_text(seen.price)} {done}. Accounts with it are checked again "
            "within a minute."
        )

    def context(self):
        return {"section": SECTION, "usable": self.thing.price > 0}
