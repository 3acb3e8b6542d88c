"""Lots, and what trades of our own have done to them."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import Account, Security, Sleeve
from accounts.money import amount_field, price_field, quantity_field


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


class Booking(models.Model):
    """A trade of ours in an account, booked once per `source`. Provisional until a delivery of its session has come.

    Its quantity is signed, positive for a buy; its amount is signed, positive into the account, to the cent.
    """

    account = models.ForeignKey(Account, models.PROTECT, related_name="bookings", db_index=False)
    sleeve = models.ForeignKey(Sleeve, models.PROTECT, related_name="+", db_index=False)
    security = models.ForeignKey(Security, models.PROTECT, related_name="+", db_index=False)
    quantity = quantity_field()
    price = price_field(help_text="The average price, to the millionth; the amount was not made from it.")
    amount = amount_field()
    trade_day = models.DateField(help_text="The session it was traded in.")
    source = models.CharField(max_length=40, help_text="What it was booked for: order 12.")
    booked_at = models.DateTimeField(default=timezone.now)
    is_provisional = models.BooleanField(default=True)
    lots = models.JSONField(default=list, help_text="[lot id, quantity] of the lots it was to sell, as approved.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "source", "sleeve", "security"], name="booked_once"),
        ]
        indexes = [
            models.Index(fields=["account", "trade_day"], condition=Q(is_provisional=True), name="booking_provisional"),
        ]


class BookedLot(models.Model):
    """What a booking took from one lot, or the lot that it made. Unknown cost leaves cost and gain empty; a buy has
    cost only."""

    booking = models.ForeignKey(Booking, models.CASCADE, related_name="booked_lots", db_constraint=False)
    lot_id = models.CharField(max_length=80, db_collation="C")
    acquired_on = models.DateField()
    quantity = quantity_field()
    proceeds = amount_field(null=True, blank=True)
    cost = amount_field(null=True, blank=True)
    gain = amount_field(null=True, blank=True)
    term = models.CharField(max_length=5, blank=True, choices=[("short", "Short"), ("long", "Long")])


class Break(models.Model):
    """A difference between what our bookings led to and what the custodian delivered; of cash without security."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="breaks")
    security = models.ForeignKey(Security, models.PROTECT, null=True, blank=True, related_name="+")
    session = models.DateField()
    expected = quantity_field()
    delivered = quantity_field()
    found_at = models.DateTimeField(default=timezone.now)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    words = models.CharField(max_length=200, blank=True, help_text="What the person who resolved it wrote.")

    class Meta:
        verbose_name = "reconciliation break"
        constraints = [
            models.UniqueConstraint(
                fields=["account", "security", "session"], nulls_distinct=False, name="break_once_a_session"
            )
        ]
        indexes = [
            models.Index(fields=["account"], condition=Q(resolved_at=None), name="break_open"),
        ]
