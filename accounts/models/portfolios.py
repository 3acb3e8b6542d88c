from decimal import Decimal

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q

from accounts.money import amount_field, percent_field

from .firms import NOT_NEGATIVE, PERCENT
from .securities import Security
from .versions import Version


class Model(models.Model):
    """A named list of security weights that add up to 100 %; no cash in it."""

    name = models.CharField(max_length=200, unique=True)

    class Meta:
        ordering = ["name"]

    def __str__(self):
        return self.name


class ModelWeight(models.Model):
    model = models.ForeignKey(Model, models.CASCADE, related_name="weights")
    security = models.ForeignKey(Security, models.PROTECT, related_name="+")
    weight = percent_field(validators=[MinValueValidator(Decimal("0.000001"))], help_text="Percent of the model.")

    class Meta:
        ordering = ["model", "-weight", "security__symbol"]
        constraints = [models.UniqueConstraint(fields=["model", "security"], name="model_security_once")]

    def __str__(self):
        return f"{self.security} {self.weight} %"


class ModelVersion(Version):
    model = models.ForeignKey(Model, models.PROTECT, related_name="versions")

    class Meta(Version.Meta):
        constraints = [models.UniqueConstraint(fields=["model", "number"], name="model_version_once")]


class Portfolio(models.Model):
    """The target of many accounts. An empty setting means the firm's."""

    name = models.CharField(max_length=200, unique=True)
    threshold_percent = percent_field(null=True, blank=True, validators=NOT_NEGATIVE)
    precision_percent = percent_field(null=True, blank=True, validators=NOT_NEGATIVE)
    zero_cash_threshold = percent_field(null=True, blank=True, validators=PERCENT)
    zero_cash_precision = percent_field(null=True, blank=True, validators=PERCENT)
    minimum_trade_dollars = amount_field(null=True, blank=True, validators=NOT_NEGATIVE)
    minimum_trade_percent = percent_field(null=True, blank=True, validators=PERCENT)

    class Meta:
        ordering = ["name"]

    def __str__(self):
        return self.name


class Component(models.Model):
    """What a portfolio asks for: a security, a model or cash, with its two bands. An empty width is the default."""

    class Kind(models.TextChoices):
        SECURITY = "security", "Security"
        MODEL = "model", "Model"
        CASH = "cash", "Cash"

    class BandKind(models.TextChoices):
        RELATIVE = "relative", "Relative (percent of the weight)"
        ABSOLUTE = "absolute", "Absolute (percentage points)"

    portfolio = models.ForeignKey(Portfolio, models.CASCADE, related_name="components")
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.SECURITY)
    security = models.ForeignKey(Security, models.PROTECT, null=True, blank=True, related_name="+")
    model = models.ForeignKey(Model, models.PROTECT, null=True, blank=True, related_name="components")
    weight = percent_field(validators=PERCENT, help_text="Percent of the portfolio.")
    band_kind = models.CharField(max_length=10, choices=BandKind, default=BandKind.RELATIVE)
    threshold_lower = percent_field(null=True, blank=True, validators=NOT_NEGATIVE)
    threshold_upper = percent_field(null=True, blank=True, validators=NOT_NEGATIVE)
    precision_lower = percent_field(null=True, blank=True, validators=NOT_NEGATIVE)
    precision_upper = percent_field(null=True, blank=True, validators=NOT_NEGATIVE)
    triggers = models.BooleanField("triggers rebalance", default=True)

    class Meta:
        ordering = ["portfolio", "kind", "-weight", "id"]
        constraints = [
            models.CheckConstraint(
                name="component_has_what_its_kind_names",
                condition=Q(kind="security", security__isnull=False, model__isnull=True)
                | Q(kind="model", security__isnull=True, model__isnull=False)
                | Q(kind="cash", security__isnull=True, model__isnull=True),
            ),
            models.UniqueConstraint(fields=["portfolio", "security"], name="portfolio_security_once"),
            models.UniqueConstraint(fields=["portfolio", "model"], name="portfolio_model_once"),
            models.UniqueConstraint(fields=["portfolio"], condition=Q(kind="cash"), name="portfolio_one_cash"),
        ]

    def __str__(self):
        return str(self.security or self.model or "Cash")


class PortfolioVersion(Version):
    """A portfolio as saved, with its models' weights of then; `target_digest` changes when a flattened weight does."""

    portfolio = models.ForeignKey(Portfolio, models.PROTECT, related_name="versions")
    target_digest = models.CharField(max_length=64)

    class Meta(Version.Meta):
        constraints = [models.UniqueConstraint(fields=["portfolio", "number"], name="portfolio_version_once")]
