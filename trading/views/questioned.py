"""A fill that could not be matched, which Operations put aside with what was found out about it."""

from django.core.cache import cache
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.functional import cached_property

from accounts.listing.word import WordPage
from accounts.services.refusals import Refused
from trading.filters import questioned_rows
from trading.services import questioned
from trading.words import broker_words

from .orders import QUESTIONED_KEPT
from .tabs import SECTION

MAY_NOT_SETTLE = "Fills that could not be matched are put aside by Operations."


class QuestionedFill(WordPage):
    """There is no such page for whoever does not see every account."""

    template_name = "trading/questioned_fill.html"
    refusals = (Refused,)

    @cached_property
    def thing(self):
        if not self.request.user.sees_every_account:
            raise Http404
        rows = questioned_rows().select_related("order__security", "settled_by")
        return get_object_or_404(rows, pk=self.kwargs["pk"])

    @property
    def back(self):
        return reverse("trading:questioned")

    def why_not(self):
        return "" if self.request.user.has_perm("trading.change_order") else MAY_NOT_SETTLE

    def decide(self, data):
        questioned.put_aside(self.thing, by=self.request.user, words=data.get("words", ""))
        cache.delete(QUESTIONED_KEPT)
        return f"{self.thing} is put aside. It stays stored as it came, and counts for no order."

    def context(self):
        longest = questioned.WORDS_LENGTH
        return {"section": SECTION, "tab": "orders", "broker": broker_words(self.thing.broker), "longest": longest}
