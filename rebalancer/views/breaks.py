"""Trading / Breaks: what custodians delivered otherwise than our bookings led to, and a person's word on it."""

from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.functional import cached_property

from accounts.listing.pages import ListPage
from accounts.listing.word import WordPage
from accounts.models import Role
from accounts.services.refusals import Refused
from rebalancer import booked, tasks
from rebalancer.filters import BreakFilters, break_rows
from rebalancer.statuses import capital
from rebalancer.tables import BreakTable
from tax.services.reconciling import WORDS_LENGTH, resolve_break

from .center import MAY_NOT_RESOLVE, SECTION

FRAMED = {"section": SECTION, "tab": "breaks"}


class BreaksPage(ListPage):
    area = SECTION
    screen = "breaks"
    table_class = BreakTable
    filterset_class = BreakFilters
    template_name = "rebalancer/breaks.html"
    empty_template = "rebalancer/_breaks_empty.html"

    def base(self):
        return break_rows(self.request.user)

    def list_context(self, unfiltered):
        return FRAMED


class BreakPage(WordPage):
    """One break, with what each side says; Operations resolve it by saying how it came about."""

    template_name = "rebalancer/break.html"
    refusals = (Refused,)

    @cached_property
    def thing(self):
        rows = break_rows(self.request.user).select_related("account", "security", "resolved_by")
        return get_object_or_404(rows, pk=self.kwargs["pk"])

    @property
    def back(self):
        return reverse("rebalancer:breaks")

    def why_not(self):
        return "" if Role.OPERATIONS in self.request.user.roles else MAY_NOT_RESOLVE

    def decide(self, data):
        resolve_break(self.thing, by=self.request.user, words=data.get("words", ""))
        tasks.enqueue(tasks.recheck)
        words = booked.break_words(self.thing)
        return f"{self.thing.account}: resolved “{words}”. It is checked again within a minute."

    def context(self):
        words = capital(booked.break_words(self.thing))
        return FRAMED | {"words": words, "longest": WORDS_LENGTH, "shown": booked.worded(self.thing)}
