from decimal import Decimal

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from accounts.money import amount_field, percent_field

from .versions import Version

NOT_NEGATIVE = [MinValueValidator(Decimal(0))]
PERCENT = [MinValueValidator(Decimal(0)), MaxValueValidator(Decimal(100))]


class LotMethod(models.TextChoices):
    FIFO = "fifo", "FIFO"
    LIFO = "lifo", "LIFO"
    HIFO = "hifo", "HIFO"
    MINIMUM_TAX = "minimum_tax", "Minimum Tax"


class Firm(models.Model):
    """The firm settings: one row, made by a migration."""

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    name = models.CharField(max_length=200, default="The firm")
    time_zone = models.CharField(max_length=60, default="America/New_York", help_text="Times are shown in this zone.")
    market_calendar = models.CharField(max_length=20, default="XNYS", help_text="A calendar of exchange_calendars.")
    nightly_at = models.TimeField(default="21:00", help_text="Start of the nightly chain, in the market's time zone.")
    end_of_day_at = models.TimeField(default="18:00", help_text="What is not approved by then is cancelled.")
    four_eyes = models.BooleanField(
        default=False,
        help_text="Whoever opened, re-proposed or switched a request may not approve it, and whoever edited a staged "
        "order may not confirm it.",
    )
    threshold_percent = percent_field(default=Decimal(20), validators=NOT_NEGATIVE)
    precision_percent = percent_field(default=Decimal(4), validators=NOT_NEGATIVE)
    zero_cash_threshold = percent_field(
        default=Decimal(1), validators=PERCENT, help_text="Upper threshold of a 0 % cash target, in percent of V."
    )
    zero_cash_precision = percent_field(
        default=Decimal("0.5"), validators=PERCENT, help_text="Upper precision of a 0 % cash target, in percent of V."
    )
    minimum_trade_dollars = amount_field(default=Decimal(100), validators=NOT_NEGATIVE)
    minimum_trade_percent = percent_field(default=Decimal("0.1"), validators=PERCENT)
    lot_method = models.CharField(max_length=20, choices=LotMethod, default=LotMethod.FIFO)
    attention_points = percent_field(
        default=Decimal(10), validators=NOT_NEGATIVE, help_text="Percentage points from target that need attention."
    )
    flow_dollars = amount_field(default=Decimal(1000), validators=NOT_NEGATIVE)
    flow_percent = percent_field(default=Decimal(1), validators=PERCENT)
    price_age_sessions = models.PositiveSmallIntegerField(
        default=0, help_text="How many sessions before the last completed one a price may be from."
    )
    delivery_age_sessions = models.PositiveSmallIntegerField(
        default=3, help_text="How many sessions before the last completed one a delivery may be from."
    )
    price_jump_percent = percent_field(default=Decimal(50), validators=NOT_NEGATIVE)

    class Meta:
        verbose_name = "firm settings"
        verbose_name_plural = "firm settings"
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_firm")]

    def __str__(self):
        return self.name

    @classmethod
    def current(cls):
        return cls.objects.get(pk=1)


class FirmVersion(Version):
    firm = models.ForeignKey(Firm, models.PROTECT, related_name="versions")

    class Meta(Version.Meta):
        constraints = [models.UniqueConstraint(fields=["firm", "number"], name="firm_version_once")]
