"""The market as the firm sees it: its days, where orders go, where prices come from."""

from decimal import Decimal

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from accounts.models import Custodian
from accounts.money import percent_field, price_field, quantity_field
from trading.states import Algorithm, OrderState, Side

from .tickets import Ticket


class MarketDay(models.Model):
    """A day of the firm's market calendar, written by a worker so that no page has to load the calendar.

    Without hours the market is closed all day.
    """

    day = models.DateField(primary_key=True)
    opens_at = models.DateTimeField(null=True, blank=True)
    closes_at = models.DateTimeField(null=True, blank=True)
    is_early_close = models.BooleanField(default=False)
    calendar = models.CharField(max_length=20)


class Feed(models.TextChoices):
    SIMULATED = "simulated", "Simulated"
    YAHOO = "yahoo", "Yahoo Finance"
    FILE = "file", "File"


class MarketSettings(models.Model):
    """Where prices come from and how the paper market behaves: one row, made by a migration."""

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    feed = models.CharField("price feed", max_length=20, choices=Feed, default=Feed.SIMULATED)
    feed_file = models.CharField(max_length=300, blank=True, help_text="Of the feed File: a prices.csv on the server.")
    refresh_seconds = models.PositiveIntegerField(
        default=60, validators=[MinValueValidator(5), MaxValueValidator(86_400)],
        help_text="How often quotes are asked for while the market is open; 60 or more is kind to a feed.",
    )  # fmt: skip
    quotes_asked_at = models.DateTimeField(null=True, blank=True, editable=False)
    feed_trouble = models.CharField(max_length=300, blank=True, editable=False)

    paper_seed = models.PositiveIntegerField(default=7, help_text="The same seed, the same fills.")
    paper_speed = models.PositiveIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(10_000)],
        help_text="60: what would take an hour takes a minute.",
    )  # fmt: skip
    paper_always_open = models.BooleanField(default=False, help_text="Also outside of the market's sessions.")
    paper_spread = percent_field(
        default=Decimal("0.02"), validators=[MinValueValidator(Decimal(0)), MaxValueValidator(Decimal(10))],
        help_text="Between bid and ask, in percent of the price.",
    )  # fmt: skip
    paper_rejects = percent_field(
        default=Decimal(0), validators=[MinValueValidator(Decimal(0)), MaxValueValidator(Decimal(100))],
        help_text="Percent of orders that are rejected.",
    )  # fmt: skip
    paper_latency = models.PositiveIntegerField(
        default=1, validators=[MaxValueValidator(600)], help_text="Seconds until an order is acknowledged."
    )
    paper_outage = models.BooleanField(default=False, help_text="The paper market does not answer.")
    paper_hourly_volume = models.PositiveIntegerField(
        default=2_000_000, validators=[MinValueValidator(1)],
        help_text="Shares of a security that trade in an hour: an order gets its participation of them.",
    )  # fmt: skip

    class Meta:
        verbose_name = verbose_name_plural = "market settings"
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_market")]

    def __str__(self):
        return "Market settings"

    @classmethod
    def current(cls):
        return cls.objects.get(pk=1)


class FileFormat(models.TextChoices):
    FIDELITY = "fidelity", "Fidelity"
    GENERIC = "generic", "Generic"


class Route(models.Model):
    """Where the orders of a custodian's accounts go; without a route they go to the paper market."""

    custodian = models.OneToOneField(Custodian, models.CASCADE, related_name="route")
    broker = models.CharField(
        max_length=20, choices=[("paper", "Paper market"), ("file", "Files for the custodian")], default="paper"
    )
    file_format = models.CharField(max_length=20, choices=FileFormat, default=FileFormat.GENERIC)
    folder = models.CharField(
        max_length=300, blank=True, help_text="Where order files are dropped, on the server; empty: only downloaded."
    )

    def __str__(self):
        return f"{self.custodian} → {self.get_broker_display()}"


class OrderFile(models.Model):
    """A file of the broker *file*, kept whole: written before it is dropped anywhere."""

    class Kind(models.TextChoices):
        ORDERS = "orders", "Orders"
        ALLOCATIONS = "allocations", "Allocations"
        FILLS = "fills", "Fills"

    kind = models.CharField(max_length=12, choices=Kind)
    ticket = models.ForeignKey(Ticket, models.PROTECT, null=True, blank=True, related_name="files")
    custodian = models.ForeignKey(Custodian, models.PROTECT, null=True, blank=True, related_name="+")
    file_format = models.CharField(max_length=20, choices=FileFormat)
    column_map = models.PositiveSmallIntegerField(default=1, help_text="Version of the format's column map.")
    name = models.CharField(max_length=120)
    text = models.TextField()
    made_at = models.DateTimeField(default=timezone.now)
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    dropped_at = models.DateTimeField(null=True, blank=True)
    problems = models.JSONField(default=list, help_text="Of a file of fills: [line, column, value, reason].")

    class Meta:
        ordering = ["-made_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["ticket", "custodian", "kind", "name"], nulls_distinct=False, name="order_file_once"
            )
        ]

    def __str__(self):
        return self.name


# --- the paper market's own books: nobody but trading.brokers.paper reads or writes them ----------------------------


class PaperOrder(models.Model):
    """An order as the paper market knows it."""

    client_order_id = models.CharField(max_length=40, unique=True)
    symbol = models.CharField(max_length=20)
    side = models.CharField(max_length=4, choices=Side)
    quantity = quantity_field()
    quantity_step = quantity_field(default=Decimal(1))
    algorithm = models.CharField(max_length=8, choices=Algorithm)
    limit_price = price_field(null=True)
    starts_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(null=True)
    participation = percent_field(null=True)
    extended_hours = models.BooleanField(default=False)
    price = price_field(help_text="The last price when it came in.")
    received_at = models.DateTimeField()
    seed = models.PositiveIntegerField()
    speed = models.PositiveIntegerField()
    plan = models.JSONField(default=list, help_text="[seconds after it came in, quantity, price] of each fill to come.")
    state = models.CharField(max_length=20, choices=OrderState)
    words = models.CharField(max_length=200, blank=True)
    ends = models.DateTimeField(help_text="When what is left of it expires.")
    cancelled_at = models.DateTimeField(null=True)


class PaperFill(models.Model):
    order = models.ForeignKey(PaperOrder, models.CASCADE, related_name="fills")
    execution_id = models.CharField(max_length=80, unique=True)
    quantity = quantity_field()
    price = price_field()
    at = models.DateTimeField()
