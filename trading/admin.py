"""Django admin, for Administrators: what is set of the market goes through the services; orders are only looked at."""

from django.contrib import admin
from django.http import HttpResponseRedirect
from django.urls import reverse

from accounts.admin import NeverDeleted, ReadOnly, ThroughServices
from trading.admin_forms import MarketSettingsForm, RouteForm
from trading.models import Fill, MarketSettings, Order, OrderFile, Route, Ticket
from trading.services import settings as services


@admin.register(MarketSettings)
class MarketSettingsAdmin(NeverDeleted, ThroughServices, admin.ModelAdmin):
    form = MarketSettingsForm
    readonly_fields = ["quotes_asked_at", "feed_trouble"]

    def has_add_permission(self, request):
        return False

    def changelist_view(self, request, extra_context=None):
        """There is one market."""
        return HttpResponseRedirect(reverse("admin:trading_marketsettings_change", args=[1]))

    def keep(self, obj, form, formsets, by):
        services.save_market(obj, by=by)


@admin.register(Route)
class RouteAdmin(ThroughServices, admin.ModelAdmin):
    form = RouteForm
    search_fields = ["custodian__name"]
    list_display = ["custodian", "broker", "file_format", "folder"]
    list_select_related = ["custodian"]
    autocomplete_fields = ["custodian"]

    def keep(self, obj, form, formsets, by):
        services.save_route(obj, by=by)

    def delete_model(self, request, obj):
        services.delete_route(obj, by=request.user)

    def delete_queryset(self, request, queryset):
        for obj in queryset:
            services.delete_route(obj, by=request.user)


# --- to be looked at ------------------------------------------------------------------------------------------------


@admin.register(Ticket)
class TicketAdmin(ReadOnly, admin.ModelAdmin):
    search_fields = ["label"]
    list_display = ["label", "trade_date", "created_at", "created_by", "confirmed_at", "confirmed_by"]
    list_select_related = ["created_by", "confirmed_by"]
    ordering = ["-created_at"]


@admin.register(Order)
class OrderAdmin(ReadOnly, admin.ModelAdmin):
    search_fields = ["security__symbol", "client_order_id", "ticket__label"]
    list_display = ["__str__", "ticket", "side", "security", "quantity", "filled_quantity", "state", "broker"]
    list_filter = ["state", "side", "broker", "custodian"]
    list_select_related = ["ticket", "security"]
    ordering = ["-pk"]


@admin.register(Fill)
class FillAdmin(ReadOnly, admin.ModelAdmin):
    search_fields = ["client_order_id", "execution_id"]
    list_display = ["at", "client_order_id", "execution_id", "quantity", "price", "broker", "state", "words"]
    list_filter = ["state", "broker"]
    ordering = ["-at"]


@admin.register(OrderFile)
class OrderFileAdmin(ReadOnly, admin.ModelAdmin):
    search_fields = ["name", "custodian__name"]
    list_display = ["name", "kind", "custodian", "file_format", "column_map", "made_at", "made_by", "dropped_at"]
    list_filter = ["kind", "custodian"]
    list_select_related = ["custodian", "made_by"]
    ordering = ["-made_at"]

    def get_queryset(self, request):
        return super().get_queryset(request).defer("text")
