"""Portfolios and models in Django admin: saved without a confirmation, and told how many accounts go to the queue."""

from django.contrib import admin, messages

from accounts.admin import ModelAdmin, PortfolioAdmin
from accounts.models import Model, Portfolio
from rebalancer.services import retargeting


class TellsOfTheQueue:
    """Says after saving what has become of the accounts held to it; a new target has none."""

    def save_related(self, request, form, formsets, change):
        begun = retargeting.begin(form.instance) if change else None
        super().save_related(request, form, formsets, change)
        done = begun and retargeting.done_since(begun, form.instance)
        if done:
            self.message_user(request, retargeting.done_words(form.instance, done), messages.INFO)


admin.site.unregister([Portfolio, Model])


@admin.register(Portfolio)
class QueueingPortfolioAdmin(TellsOfTheQueue, PortfolioAdmin):
    pass


@admin.register(Model)
class QueueingModelAdmin(TellsOfTheQueue, ModelAdmin):
    pass
