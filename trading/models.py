"""Staged orders: a ticket of block orders, who gets what of each, and flat moves between sleeves."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import Account, Custodian, Security, Sleeve
from accounts.money import price_field, quantity_field

from .states import ORDER_MOVES, OrderState, Side


class Ticket(models.Model):
    label = models.CharField(max_length=200)
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    trade_date = models.DateField()

    def __str__(self):
        return self.label


class OrderQuerySet(models.QuerySet):
    def move(self, source, target, **changes):
        """Move orders from source to target in one UPDATE; return how many moved."""
        assert target in ORDER_MOVES.get(source, ()), f"{source} -> {target} is not a move"
        return self.filter(state=source).update(state=target, **changes)


class Order(models.Model):
    """A block: one security and side of a ticket, for many accounts."""

    ticket = models.ForeignKey(Ticket, models.PROTECT, related_name="orders")
    security = models.ForeignKey(Security, models.PROTECT, related_name="+")
    side = models.CharField(max_length=4, choices=Side)
    broker = models.CharField(max_length=20, default="paper")
    custodian = models.ForeignKey(Custodian, models.PROTECT, null=True, blank=True, related_name="+")
    quantity = quantity_field()
    price = price_field(help_text="The price it was proposed at; an estimate, not a limit.")
    state = models.CharField(max_length=20, choices=OrderState, default=OrderState.READY)
    end_reason = models.CharField(max_length=200, blank=True)
    filled_quantity = quantity_field(default=0)

    objects = OrderQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["ticket", "security", "side", "broker", "custodian"], nulls_distinct=False, name="block_once"
            ),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="order_positive"),
        ]
        indexes = [models.Index(fields=["state"], name="order_by_state")]


class OrderEvent(models.Model):
    """One step of an order's life; append only."""

    order = models.ForeignKey(Order, models.PROTECT, related_name="events")
    at = models.DateTimeField(default=timezone.now)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    state = models.CharField(max_length=20, choices=OrderState)
    words = models.CharField(max_length=300, blank=True)


class Allocation(models.Model):
    """An account's part of a block order, with the lots it was approved to take. Open until booked or called off."""

    order = models.ForeignKey(Order, models.PROTECT, related_name="allocations")
    account = models.ForeignKey(Account, models.PROTECT, related_name="allocations")
    sleeve = models.ForeignKey(Sleeve, models.PROTECT, related_name="+")
    quantity = quantity_field()
    lots = models.JSONField(default=list, help_text="[lot id, quantity] of each lot sold, as approved.")
    is_open = models.BooleanField(default=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["order", "account", "sleeve"], name="allocation_once"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="allocation_positive"),
        ]
        indexes = [models.Index(fields=["account"], condition=Q(is_open=True), name="allocation_open")]


class FlatMove(models.Model):
    """Shares that change the sleeve inside an account, without an order. Open until booked or called off."""

    ticket = models.ForeignKey(Ticket, models.PROTECT, related_name="flat_moves")
    account = models.ForeignKey(Account, models.PROTECT, related_name="flat_moves")
    security = models.ForeignKey(Security, models.PROTECT, related_name="+")
    source = models.ForeignKey(Sleeve, models.PROTECT, related_name="+")
    target = models.ForeignKey(Sleeve, models.PROTECT, related_name="+")
    quantity = quantity_field()
    booked_at = models.DateTimeField(null=True, blank=True)
    is_open = models.BooleanField(default=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(quantity__gt=0), name="flat_move_positive")]
        indexes = [models.Index(fields=["account"], condition=Q(is_open=True), name="flat_move_open")]
