from decimal import Decimal

from django.core.validators import MinValueValidator
from django.db import models

from accounts.money import price_field, quantity_field


class Security(models.Model):
    class Kind(models.TextChoices):
        EQUITY = "equity", "Equity"
        ETF = "etf", "ETF"
        MUTUAL_FUND = "mutual_fund", "Mutual fund"
        SWEEP = "sweep", "Sweep"

    symbol = models.CharField(max_length=20, unique=True)
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=12, choices=Kind)
    asset_class = models.CharField(max_length=100, blank=True)
    quantity_step = quantity_field(
        default=Decimal(1), validators=[MinValueValidator(Decimal("0.000001"))], help_text="Trades are multiples of it."
    )
    is_active = models.BooleanField("active", default=True, help_text="An inactive security is not bought.")

    class Meta:
        ordering = ["symbol"]
        verbose_name_plural = "securities"
        constraints = [models.CheckConstraint(condition=models.Q(quantity_step__gt=0), name="security_step_positive")]

    def __str__(self):
        return self.symbol


class Price(models.Model):
    """A quote as it came. The newest one of a security counts; a questioned one stops the security until confirmed."""

    class State(models.TextChoices):
        USABLE = "usable", "Usable"
        QUESTIONED = "questioned", "Questioned"
        CONFIRMED = "confirmed", "Confirmed"
        REJECTED = "rejected", "Rejected"

    security = models.ForeignKey(Security, models.CASCADE, related_name="prices")
    price = price_field()
    as_of = models.DateTimeField()
    source = models.CharField(max_length=40)
    received_at = models.DateTimeField(auto_now_add=True)
    state = models.CharField(max_length=10, choices=State, default=State.USABLE)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["security", "as_of", "source"], name="price_once"),
            models.CheckConstraint(
                condition=models.Q(price__gt=0) | models.Q(state__in=["questioned", "rejected"]),
                name="used_price_positive",
            ),
        ]
        indexes = [
            models.Index(fields=["security", "-as_of", "-id"], name="price_newest"),
            models.Index(fields=["-as_of"], name="price_newest_of_all"),  # every page says how old prices are
            # Simulated prices come by the thousand, and move around the newest that is none.
            models.Index(
                fields=["security", "-as_of", "-id"],
                condition=~models.Q(source="simulated"),
                name="price_not_simulated",
            ),
            # Few wait for somebody's word, and every page says how many.
            models.Index(fields=["security"], condition=models.Q(state="questioned"), name="price_questioned"),
        ]

    def __str__(self):
        return f"{self.price} as of {self.as_of:%Y-%m-%d %H:%M}"
