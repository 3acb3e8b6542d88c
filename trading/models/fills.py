"""What brokers report, as it came: each report once, however often it is repeated."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from accounts.money import price_field, quantity_field
from trading.states import FillState

from .tickets import Order


class Fill(models.Model):
    """One execution. Without an order, or more than was ordered, or after its order was booked, it is questioned."""

    broker = models.CharField(max_length=20)
    execution_id = models.CharField(max_length=80)
    client_order_id = models.CharField(max_length=40, help_text="As the broker says.")
    order = models.ForeignKey(Order, models.PROTECT, null=True, blank=True, related_name="fills")
    quantity = quantity_field()
    price = price_field()
    at = models.DateTimeField(help_text="When it was executed.")
    received_at = models.DateTimeField(auto_now_add=True)
    state = models.CharField(max_length=10, choices=FillState, default=FillState.COUNTED)
    words = models.CharField(max_length=200, blank=True, help_text="Why it is questioned.")
    settled_at = models.DateTimeField(null=True, blank=True, help_text="When a questioned fill was put aside.")
    settled_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    settled_words = models.CharField(max_length=200, blank=True, help_text="What the person who put it aside wrote.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["broker", "execution_id"], name="fill_once"),
            models.CheckConstraint(
                condition=Q(state="questioned") | Q(quantity__gt=0, price__gt=0, order__isnull=False),
                name="counted_fill_makes_sense",
            ),
            models.CheckConstraint(
                condition=Q(state="questioned") | Q(settled_at=None), name="only_questioned_fills_are_put_aside"
            ),
        ]
        indexes = [
            models.Index(fields=["order", "at"], name="fill_by_order"),
            models.Index(fields=["received_at"], condition=Q(state="questioned"), name="fill_questioned"),
        ]

    def __str__(self):
        return f"Fill {self.execution_id}"
