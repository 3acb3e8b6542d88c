from django.contrib import admin

from accounts.admin import ReadOnly
from tax.models import Lot


@admin.register(Lot)
class LotAdmin(ReadOnly, admin.ModelAdmin):
    search_fields = ["account__number", "security__symbol", "lot_id"]
    list_display = ["account", "sleeve", "security", "lot_id", "quantity", "total_cost", "acquired_on"]
    list_select_related = ["account", "sleeve__model", "security"]
    ordering = ["account__number", "sleeve", "security__symbol", "acquired_on", "lot_id"]
