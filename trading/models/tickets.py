"""A ticket of block orders, who gets what of each, and flat moves between sleeves."""

from decimal import Decimal

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from accounts.models import Account, Custodian, Security, Sleeve
from accounts.money import amount_field, percent_field, price_field, quantity_field
from trading.states import ORDER_MOVES, Algorithm, OrderState, Side


def person_field(**options):
    """A person, or nobody."""
    common = {"null": True, "blank": True, "related_name": "+"}
    return models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, **common, **options)


class TicketQuerySet(models.QuerySet):
    def visible_to(self, user):
        """The tickets of which at least one account, in an order or a flat move, is visible to the person."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        if user.sees_every_account:
            return self
        parts = Allocation.objects.filter(order__ticket=OuterRef("pk"), account__advisor=user)
        moves = FlatMove.objects.filter(ticket=OuterRef("pk"), account__advisor=user)
        return self.filter(Exists(parts) | Exists(moves))


class Ticket(models.Model):
    """Orders staged together; what it was staged for is its label."""

    label = models.CharField(max_length=200)
    created_at = models.DateTimeField(default=timezone.now)
    created_by = person_field()
    trade_date = models.DateField()
    version = models.PositiveIntegerField(default=1, help_text="Raised by every change of its staged orders.")
    sells_first = models.BooleanField(default=False, help_text="Buys wait until their accounts' sells are filled.")
    edited_by = models.ManyToManyField(settings.AUTH_USER_MODEL, blank=True, related_name="+")
    confirmed_at = models.DateTimeField(null=True, blank=True)
    confirmed_by = person_field()

    objects = TicketQuerySet.as_manager()

    def __str__(self):
        return self.label


class OrderQuerySet(models.QuerySet):
    def move(self, source, target, **changes):
        """Move orders from source to target in one UPDATE; return how many moved."""
        assert target in ORDER_MOVES.get(source, ()), f"{source} -> {target} is not a move"
        return self.filter(state=source).update(state=target, **changes)

    def visible_to(self, user):
        """The orders with an account that the person may see."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        if user.sees_every_account:
            return self
        return self.filter(Exists(Allocation.objects.filter(order=OuterRef("pk"), account__advisor=user)))


class Order(models.Model):
    """A block: one security and side of a ticket, for many accounts.

    Everything a broker needs is stored before it is sent: `client_order_id` is written when the ticket is confirmed.
    """

    ticket = models.ForeignKey(Ticket, models.PROTECT, related_name="orders")
    security = models.ForeignKey(Security, models.PROTECT, related_name="+")
    side = models.CharField(max_length=4, choices=Side)
    broker = models.CharField(max_length=20, default="paper")
    custodian = models.ForeignKey(Custodian, models.PROTECT, null=True, blank=True, related_name="+")
    quantity = quantity_field()
    price = price_field(help_text="The price it was proposed at; an estimate, not a limit.")

    algorithm = models.CharField(max_length=8, choices=Algorithm, default=Algorithm.MARKET)
    limit_price = price_field(null=True, blank=True)
    starts_at = models.TimeField(null=True, blank=True, help_text="Of a TWAP or VWAP, in the market's time zone.")
    ends_at = models.TimeField(null=True, blank=True, help_text="Of a TWAP or VWAP, in the market's time zone.")
    participation = percent_field(
        null=True, blank=True, validators=[MinValueValidator(Decimal("0.1")), MaxValueValidator(Decimal(100))],
        help_text="Of a TWAP or VWAP: at most so much of the market's volume, in percent.",
    )  # fmt: skip
    extended_hours = models.BooleanField(default=False, help_text="Outside regular hours: a limit price, for the day.")
    edited_by = person_field()
    edited_at = models.DateTimeField(null=True, blank=True)

    state = models.CharField(max_length=20, choices=OrderState, default=OrderState.READY)
    end_reason = models.CharField(max_length=200, blank=True)
    trouble = models.CharField(max_length=300, blank=True, help_text="Why it does not get on, in words.")
    client_order_id = models.CharField(max_length=40, null=True, blank=True, unique=True, editable=False)
    broker_reference = models.CharField(max_length=80, blank=True)
    claim = models.UUIDField(null=True, blank=True, help_text="Token of the worker that is sending it.")
    claim_expires = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    asked_at = models.DateTimeField(null=True, blank=True, help_text="When the broker last answered about it.")
    ended_at = models.DateTimeField(null=True, blank=True)
    filled_quantity = quantity_field(default=0)
    filled_amount = models.DecimalField(
        max_digits=38, decimal_places=12, default=0, help_text="Quantity × price of its fills, not rounded."
    )
    allocated_at = models.DateTimeField(null=True, blank=True, help_text="When its fills were booked in the accounts.")

    objects = OrderQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["ticket", "security", "side", "broker", "custodian"], nulls_distinct=False, name="block_once"
            ),
            models.CheckConstraint(condition=Q(quantity__gte=0), name="order_not_negative"),
            models.CheckConstraint(condition=Q(filled_quantity__lte=F("quantity")), name="order_not_overfilled"),
        ]
        indexes = [
            models.Index(fields=["state"], name="order_by_state"),
            # what every round of the watch looks at: whatever is not booked yet, and never the thousands that are
            models.Index(fields=["state", "broker"], condition=Q(allocated_at=None), name="order_not_booked"),
        ]

    def __str__(self):
        return f"Order {self.pk}"

    @property
    def average_price(self):
        """Of its fills, to the millionth; None without any. Money is made from `filled_amount`, never from this."""
        return round(self.filled_amount / self.filled_quantity, 6) if self.filled_quantity else None


class OrderEvent(models.Model):
    """One step of an order's life; append only."""

    order = models.ForeignKey(Order, models.PROTECT, related_name="events")
    at = models.DateTimeField(default=timezone.now)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    state = models.CharField(max_length=20, choices=OrderState)
    words = models.CharField(max_length=300, blank=True)


class AllocationQuerySet(models.QuerySet):
    def visible_to(self, user):
        if not user.is_authenticated or not user.is_active:
            return self.none()
        return self if user.sees_every_account else self.filter(account__advisor=user)


class Allocation(models.Model):
    """An account's part of a block order, with the lots it sells. Open until booked or called off.

    The statement of who gets what: it changes with the staged order, and not any more once that is confirmed.
    """

    order = models.ForeignKey(Order, models.PROTECT, related_name="allocations")
    account = models.ForeignKey(Account, models.PROTECT, related_name="allocations")
    sleeve = models.ForeignKey(Sleeve, models.PROTECT, related_name="+")
    quantity = quantity_field(help_text="0: the account is left out.")
    approved_quantity = quantity_field(help_text="As it was approved.")
    lots = models.JSONField(default=list, help_text="[lot id, quantity] of each lot sold, as approved.")
    # What the sold lots cost, so that gains follow the price without the lots; of unknown cost they are only counted.
    short_quantity = quantity_field(default=0)
    short_cost = amount_field(default=0)
    long_quantity = quantity_field(default=0)
    long_cost = amount_field(default=0)
    unknown_lots = models.PositiveIntegerField(default=0)
    edited_by = person_field()
    edited_at = models.DateTimeField(null=True, blank=True)
    edit_words = models.CharField(max_length=200, blank=True, help_text="Why it is not as approved.")
    is_open = models.BooleanField(default=True)
    filled_quantity = quantity_field(null=True, blank=True, help_text="Its part of the fills; empty until allocated.")
    filled_amount = amount_field(null=True, blank=True, help_text="The money of that part, to the cent.")

    objects = AllocationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["order", "account", "sleeve"], name="allocation_once"),
            models.CheckConstraint(
                condition=Q(quantity__gte=0, approved_quantity__gt=0), name="allocation_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(filled_quantity=None) | Q(filled_quantity__lte=F("quantity")),
                name="allocation_not_overfilled",
            ),
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
