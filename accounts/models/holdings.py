from decimal import Decimal

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from accounts.money import amount_field, quantity_field

from .firms import NOT_NEGATIVE, LotMethod
from .people import Custodian, Household
from .portfolios import Model, Portfolio, PortfolioVersion
from .securities import Security


class TaxStatus(models.TextChoices):
    TAXABLE = "taxable", "Taxable"
    TAX_DEFERRED = "tax_deferred", "Tax deferred"
    TAX_EXEMPT = "tax_exempt", "Tax exempt"


def seen_by(user, account="") -> Q:
    """The condition on rows with an account at `account` ("accounts__"): this person, signed in and active, sees it."""
    return Q() if user.sees_every_account else Q(**{f"{account}advisor": user.pk})


class AccountQuerySet(models.QuerySet):
    def visible_to(self, user):
        """The accounts this person may see: every read starts here."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        return self.filter(seen_by(user))

    def want_check(self):
        """Ask for a new drift check of these accounts; return how many. Their rows are locked in the order in which
        everybody locks accounts."""
        named = self.model.objects.filter(pk__in=self.values("pk"))
        locked = named.select_for_update(no_key=True).order_by("pk").values("pk")
        with transaction.atomic():
            return self.model.objects.filter(pk__in=locked).update(check_wanted_at=timezone.now())


class Account(models.Model):
    number = models.CharField(max_length=40, unique=True)
    name = models.CharField(max_length=200)
    custodian = models.ForeignKey(Custodian, models.PROTECT, related_name="accounts")
    advisor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="accounts"
    )
    household = models.ForeignKey(Household, models.PROTECT, null=True, blank=True, related_name="accounts")
    tax_status = models.CharField(max_length=12, choices=TaxStatus, default=TaxStatus.TAXABLE)
    portfolio = models.ForeignKey(Portfolio, models.PROTECT, null=True, blank=True, related_name="accounts")
    portfolio_since = models.DateTimeField(null=True, blank=True, editable=False)
    linked_portfolios = models.ManyToManyField(Portfolio, blank=True, related_name="linked_accounts")
    rebalancing_on = models.BooleanField("rebalancing", default=False)
    rebalancing_since = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="When it was last switched on; empty: before its last rebalance.",
    )
    last_rebalanced = models.DateField(null=True, blank=True)
    last_rebalanced_at = models.DateTimeField(null=True, blank=True, editable=False)
    rebalanced_to = models.ForeignKey(
        PortfolioVersion,
        models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        help_text="The target as it was when the account was last rebalanced.",
    )
    cash = amount_field(default=Decimal(0))
    set_aside_cash = amount_field(default=Decimal(0), validators=NOT_NEGATIVE)
    lot_method = models.CharField(max_length=20, choices=LotMethod, blank=True, help_text="Empty: the firm's.")
    is_open = models.BooleanField("open", default=True)
    delivered_for = models.DateField(null=True, blank=True, editable=False, help_text="Session of its last delivery.")
    delivery_problem = models.CharField(max_length=300, blank=True, editable=False)
    check_wanted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = AccountQuerySet.as_manager()

    class Meta:
        ordering = ["number"]
        constraints = [models.CheckConstraint(condition=Q(set_aside_cash__gte=0), name="set_aside_not_negative")]
        indexes = [
            models.Index(fields=["check_wanted_at"], name="account_check_wanted"),
            # the queue and its counts on every page: who is in play and whose, without reading the accounts
            models.Index(
                fields=["id"], include=["advisor"], condition=Q(is_open=True, rebalancing_on=True),
                name="account_in_play",
            ),
        ]  # fmt: skip
        permissions = [
            ("switch_rebalancing", "Can switch rebalancing on and off"),
            ("run_imports", "Can run imports and analyses"),
        ]

    def __str__(self):
        return f"{self.number} {self.name}"


class Sleeve(models.Model):
    """A part of accounts, the same rows for the whole firm: managed, protected, and one for each model."""

    class Kind(models.TextChoices):
        MANAGED = "managed", "Managed"
        MODEL = "model", "Model"
        PROTECTED = "protected", "Protected"

    kind = models.CharField(max_length=10, choices=Kind)
    model = models.OneToOneField(Model, models.CASCADE, null=True, blank=True, related_name="sleeve")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind"], condition=~Q(kind="model"), name="sleeve_kind_once"),
            models.CheckConstraint(
                condition=Q(kind="model", model__isnull=False) | (~Q(kind="model") & Q(model__isnull=True)),
                name="sleeve_model_given",
            ),
        ]

    def __str__(self):
        return f"model:{self.model.name}" if self.kind == self.Kind.MODEL else self.kind


class Position(models.Model):
    """What an account holds of a security in a sleeve: always the sum of its lots; written by `tax.services` only."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="positions")
    sleeve = models.ForeignKey(Sleeve, models.PROTECT, related_name="+")
    security = models.ForeignKey(Security, models.PROTECT, related_name="+")
    quantity = quantity_field()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "sleeve", "security"], name="position_once"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="position_positive"),
        ]


class Restriction(models.Model):
    class Kind(models.TextChoices):
        NO_BUY = "no_buy", "No buy"
        NO_SELL = "no_sell", "No sell"
        DO_NOT_TRADE = "do_not_trade", "Do not trade"
        EXCLUDE_TO_CASH = "exclude_to_cash", "Exclude, weight to cash"
        EXCLUDE_PRO_RATA = "exclude_pro_rata", "Exclude, weight pro rata"
        SUBSTITUTE = "substitute", "Substitute"

    account = models.ForeignKey(Account, models.CASCADE, related_name="restrictions")
    security = models.ForeignKey(Security, models.PROTECT, related_name="+")
    kind = models.CharField(max_length=20, choices=Kind)
    substitute = models.ForeignKey(Security, models.PROTECT, null=True, blank=True, related_name="+")
    start = models.DateField(default=timezone.localdate)
    end = models.DateField(null=True, blank=True, help_text="Last day, included; empty: until further notice.")

    class Meta:
        ordering = ["account", "security__symbol"]
        constraints = [
            models.UniqueConstraint(fields=["account", "security"], name="restriction_once"),
            models.CheckConstraint(
                condition=Q(kind="substitute", substitute__isnull=False) | (~Q(kind="substitute") & Q(substitute=None)),
                name="restriction_substitute_given",
            ),
            models.CheckConstraint(
                condition=Q(end=None) | Q(end__gte=models.F("start")), name="restriction_ends_after_start"
            ),
        ]

    def __str__(self):
        return f"{self.get_kind_display()}: {self.security}"


class Transaction(models.Model):
    """A custodian's row; the amount is signed, positive into the account."""

    class Kind(models.TextChoices):
        DEPOSIT = "deposit", "Deposit"
        WITHDRAWAL = "withdrawal", "Withdrawal"
        BUY = "buy", "Buy"
        SELL = "sell", "Sell"
        DIVIDEND = "dividend", "Dividend"
        INTEREST = "interest", "Interest"
        FEE = "fee", "Fee"
        JOURNAL = "journal", "Journal"

    account = models.ForeignKey(Account, models.CASCADE, related_name="transactions")
    date = models.DateField()
    kind = models.CharField(max_length=10, choices=Kind)
    security = models.ForeignKey(Security, models.PROTECT, null=True, blank=True, related_name="+")
    quantity = quantity_field(null=True, blank=True)
    amount = amount_field()
    external_id = models.CharField(max_length=80)
    recorded_at = models.DateTimeField(default=timezone.now, help_text="When it came into the book.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "external_id"], name="transaction_once")]
        indexes = [models.Index(fields=["account", "date"], name="transaction_by_date")]


class Delivery(models.Model):
    """The custodian's files of one session, as they came."""

    session = models.DateField()
    received_at = models.DateTimeField(auto_now_add=True)
    received_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    origin = models.CharField(max_length=300, blank=True)


class DeliveryFile(models.Model):
    """One file of a delivery: taken whole, or refused whole with every bad row named."""

    class State(models.TextChoices):
        TAKEN = "taken", "Taken"
        REFUSED = "refused", "Refused"

    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="files")
    name = models.CharField(max_length=80)
    state = models.CharField(max_length=8, choices=State)
    rows = models.PositiveIntegerField(default=0)
    problems = models.JSONField(default=list, help_text="[line, column, value, reason] of every bad row.")


class RunRecord(models.Model):
    """One run of a step of the nightly chain, or of the same on demand."""

    class Kind(models.TextChoices):
        IMPORT = "import", "Import"
        RECONCILE = "reconcile", "Reconcile"
        PRICES = "prices", "Prices"
        END_OF_DAY = "end_of_day", "End of day"
        ANALYSIS = "analysis", "Analysis"

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    kind = models.CharField(max_length=12, choices=Kind)
    business_day = models.DateField()
    scheduled = models.BooleanField(default=False, help_text="Started by the schedule; once a day.")
    state = models.CharField(max_length=8, choices=State, default=State.RUNNING)
    started_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    alive_at = models.DateTimeField(default=timezone.now, help_text="Renewed while it runs; a dead run is taken over.")
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    counts = models.JSONField(default=dict)
    errors = models.JSONField(default=list)

    class Meta:
        ordering = ["-started_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "business_day"],
                condition=Q(scheduled=True) & ~Q(state="failed"),
                name="scheduled_run_once_a_day",
            )
        ]
