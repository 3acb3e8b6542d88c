from django.db import models
from django.db.models import Q

from accounts.models import Account, Security, Sleeve
from accounts.money import amount_field, quantity_field


class Lot(models.Model):
    """Shares bought together. `lot_id` sorts by bytes everywhere, as the tie rule of relief asks.

    Lots are read and written account by account, which two indexes serve already; one more for each key would take
    almost half of the time of an import.
    """

    account = models.ForeignKey(Account, models.CASCADE, related_name="lots", db_index=False)
    sleeve = models.ForeignKey(Sleeve, models.PROTECT, related_name="+", db_index=False)
    security = models.ForeignKey(Security, models.PROTECT, related_name="+", db_index=False)
    lot_id = models.CharField(max_length=80, db_collation="C")
    quantity = quantity_field()
    total_cost = amount_field(null=True, blank=True)
    acquired_on = models.DateField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "sleeve", "security", "lot_id"], name="lot_once"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="lot_positive"),
        ]
        indexes = [
            models.Index(fields=["account", "sleeve", "security", "acquired_on", "lot_id"], name="lot_in_age_order")
        ]
