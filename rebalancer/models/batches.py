"""Batches and what they froze. Lines are copies: names and figures as they were, no keys to lots or positions."""

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from accounts.models import Account, Portfolio, PortfolioVersion, TaxStatus
from accounts.money import amount_field, percent_field, price_field, quantity_field
from rebalancer.states import BATCH_MOVES, ENTRY_MOVES, OPEN_ENTRIES, BatchState, EntryState, Logic
from trading.models import Ticket
from trading.states import Side


class BatchQuerySet(models.QuerySet):
    def move(self, source, target, **changes):
        """Move batches from source to target in one UPDATE; return how many moved."""
        assert target in BATCH_MOVES.get(source, ()), f"{source} -> {target} is not a move"
        return self.filter(state=source).update(state=target, **changes)

    def visible_to(self, user):
        """The batches of which at least one account is visible to the person."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        if user.sees_every_account:
            return self
        return self.filter(Exists(Entry.objects.filter(batch=OuterRef("pk"), account__advisor=user)))


class Batch(models.Model):
    """Accounts rebalanced together; screens call it a request."""

    class EndedBy(models.TextChoices):
        PERSON = "person", ""
        END_OF_DAY = "end_of_day", "end of day"
        EMPTY = "empty", "every account was removed"

    state = models.CharField(max_length=20, choices=BatchState, default=BatchState.NEW)
    logic = models.CharField(max_length=20, choices=Logic)
    opened_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    opened_at = models.DateTimeField(default=timezone.now)
    changed_by = models.ManyToManyField(
        settings.AUTH_USER_MODEL, blank=True, related_name="+", help_text="Who opened, re-proposed or switched it."
    )
    trade_date = models.DateField()
    although_off = models.BooleanField(
        default=False, db_default=False, help_text="Whoever opened it confirmed that rebalancing is off."
    )
    proposal_version = models.PositiveIntegerField(default=1)
    priced_at = models.DateTimeField(null=True)
    proposed_at = models.DateTimeField(null=True)
    claim = models.UUIDField(null=True, help_text="Token of the worker that holds it.")
    claim_expires = models.DateTimeField(null=True)
    done = models.PositiveIntegerField(default=0, help_text="Accounts proposed so far.")
    total = models.PositiveIntegerField(default=0)
    trouble = models.CharField(max_length=400, blank=True, help_text="Why the last attempt came back.")
    approved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    approved_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    ended_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    ended_how = models.CharField(max_length=12, choices=EndedBy, blank=True)
    ticket = models.OneToOneField(Ticket, models.PROTECT, null=True, related_name="+")
    settled_at = models.DateTimeField(
        null=True, help_text="When all its orders had ended and what was not traded had been given back."
    )

    objects = BatchQuerySet.as_manager()

    class Meta:
        ordering = ["-opened_at", "-id"]
        indexes = [models.Index(fields=["state", "-opened_at"], name="batch_by_state")]
        permissions = [("liquidate", "Can propose liquidations")]
        verbose_name_plural = "batches"

    def __str__(self):
        return f"Request {self.pk}"


class BatchPrice(models.Model):
    """The price of a security, taken once when proposing starts, for all of the batch."""

    batch = models.ForeignKey(Batch, models.CASCADE, related_name="prices")
    security_id = models.BigIntegerField()
    symbol = models.CharField(max_length=20)
    name = models.CharField(max_length=200, blank=True, db_default="", help_text="Of the security, as it was then.")
    price = price_field()
    as_of = models.DateTimeField()
    source = models.CharField(max_length=40)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["batch", "security_id"], name="batch_price_once")]


class EntryQuerySet(models.QuerySet):
    def move(self, source, target, **changes):
        """Move entries from source to target in one UPDATE; return how many moved."""
        assert target in ENTRY_MOVES.get(source, ()), f"{source} -> {target} is not a move"
        return self.filter(state=source).update(state=target, **changes)

    def visible_to(self, user):
        if not user.is_authenticated or not user.is_active:
            return self.none()
        return self if user.sees_every_account else self.filter(account__advisor=user)

    def still_open(self):
        return self.filter(state__in=OPEN_ENTRIES)


class Entry(models.Model):
    """An account in a batch, with its figures as proposed."""

    # 20,000 entries go in at once, so the database keeps an index and looks after a key only where it matters: of the
    # batch there are two indexes already, and portfolios are hardly ever deleted.
    batch = models.ForeignKey(Batch, models.CASCADE, related_name="entries", db_index=False, db_constraint=False)
    account = models.ForeignKey(Account, models.PROTECT, related_name="entries")
    state = models.CharField(max_length=10, choices=EntryState, default=EntryState.WAITING)
    reason = models.CharField(max_length=400, blank=True)
    portfolio = models.ForeignKey(
        Portfolio,
        models.PROTECT,
        null=True,
        related_name="+",
        db_index=False,
        db_constraint=False,
        help_text="What it is proposed for.",
    )
    assigns_portfolio = models.BooleanField(default=False, help_text="Approval assigns the portfolio.")
    portfolio_version = models.ForeignKey(
        PortfolioVersion, models.PROTECT, null=True, related_name="+", db_index=False, db_constraint=False
    )
    fingerprint = models.CharField(max_length=40, blank=True, help_text="Of everything the proposal rests on.")
    basis = models.JSONField(null=True, help_text="What of it the lines do not tell; see loading.Loaded.bases.")
    changed = models.CharField(
        max_length=400, blank=True, db_default="", help_text="What had changed when it was last to be approved."
    )

    account_number = models.CharField(max_length=40)
    account_name = models.CharField(max_length=200)
    tax_status = models.CharField(max_length=12, choices=TaxStatus)
    portfolio_name = models.CharField(max_length=200, blank=True)
    lot_method = models.CharField(max_length=20, blank=True)
    market_value = amount_field(null=True)
    managed_value = amount_field(null=True)
    cash_before = amount_field(null=True, help_text="Available cash before.")
    cash_after = amount_field(null=True, help_text="Available cash after.")
    cash_target = percent_field(null=True)
    cash_lower = percent_field(null=True)
    cash_upper = percent_field(null=True)
    buys = models.PositiveIntegerField(null=True)
    buys_value = amount_field(null=True)
    sells = models.PositiveIntegerField(null=True)
    sells_value = amount_field(null=True)
    flat_trades = models.PositiveIntegerField(null=True)
    flat_value = amount_field(null=True)
    short_term_gain = amount_field(null=True)
    long_term_gain = amount_field(null=True)
    estimated_gain = amount_field(null=True)
    unknown_lots = models.PositiveIntegerField(default=0, help_text="Sold lots of unknown cost.")
    drift_before = percent_field(null=True)
    drift_after = percent_field(null=True)
    drift_of = models.CharField(max_length=20, blank=True)

    not_traded = models.BooleanField(default=False, help_text="Approved, but none of its orders brought a fill.")
    before_approval = models.JSONField(
        null=True, help_text="Last rebalanced, source and needed since as they were, should nothing be traded."
    )

    objects = EntryQuerySet.as_manager()

    class Meta:
        ordering = ["account_number"]
        constraints = [
            models.UniqueConstraint(fields=["batch", "account"], name="entry_once"),
            models.UniqueConstraint(
                fields=["account"], condition=Q(state__in=["waiting", "proposed"]), name="one_open_entry_per_account"
            ),
        ]
        indexes = [models.Index(fields=["batch", "account_number"], name="entry_by_number")]

    def __str__(self):
        return f"{self.account_number} in request {self.batch_id}"


class Alternative(models.Model):
    """What the other trade logic would do for an entry, at the same prices; kept so that the two can be compared."""

    entry = models.OneToOneField(
        Entry, models.CASCADE, primary_key=True, related_name="alternative", db_constraint=False
    )
    logic = models.CharField(max_length=20, choices=Logic, help_text="The one that the entry is not proposed by.")
    reason = models.CharField(max_length=400, blank=True, help_text="Why the account cannot be proposed by it.")
    cash_after = amount_field(null=True, help_text="Available cash after.")
    buys = models.PositiveIntegerField(null=True)
    buys_value = amount_field(null=True)
    sells = models.PositiveIntegerField(null=True)
    sells_value = amount_field(null=True)
    flat_trades = models.PositiveIntegerField(null=True)
    flat_value = amount_field(null=True)
    short_term_gain = amount_field(null=True)
    long_term_gain = amount_field(null=True)
    estimated_gain = amount_field(null=True)
    unknown_lots = models.PositiveIntegerField(default=0, help_text="Sold lots of unknown cost.")
    gains = models.JSONField(
        default=list,
        help_text="Of each position with a sale: sleeve id, security id, short- and long-term gain in cents (null: "
        "unknown), short- and long-term lots of unknown cost.",
    )

    def __str__(self):
        return f"{self.get_logic_display()} for {self.entry}"


class Line(models.Model):
    """Base of the big tables: rows of an entry, without database constraints, written by COPY and deleted with it."""

    entry = models.ForeignKey(Entry, models.CASCADE, related_name="+", db_constraint=False)
    sleeve_id = models.BigIntegerField()
    security_id = models.BigIntegerField()
    sleeve = models.CharField(max_length=206)
    symbol = models.CharField(max_length=20)

    class Meta:
        abstract = True


class PositionLine(Line):
    """A position before and after; weights and bounds in percent of V, empty for what is outside of V."""

    quantity_before = quantity_field()
    quantity_after = quantity_field()
    price = price_field(null=True)
    weight_before = percent_field(null=True)
    weight_after = percent_field(null=True)
    target_weight = percent_field(null=True)
    threshold_lower = percent_field(null=True)
    threshold_upper = percent_field(null=True)
    precision_lower = percent_field(null=True)
    precision_upper = percent_field(null=True)
    note = models.SmallIntegerField(default=0, help_text="A code of engine.reasons; 0 when there is nothing to say.")
    other_symbol = models.CharField(max_length=20, blank=True, help_text="What the note names: a substitute, say.")


class TradeLine(Line):
    """A trade of a sleeve: what goes to market and what moves flat between sleeves. Unknown gains are empty."""

    side = models.CharField(max_length=4, choices=Side)
    quantity = quantity_field()
    market_quantity = quantity_field()
    flat_quantity = quantity_field()
    price = price_field()
    value = amount_field()
    short_term_gain = amount_field(null=True)
    long_term_gain = amount_field(null=True)
    unknown_lots = models.PositiveIntegerField(default=0)
    reason = models.SmallIntegerField(help_text="A code of engine.reasons.")
    other_symbol = models.CharField(max_length=20, blank=True)


class LotLine(Line):
    """Shares taken from one lot. Unknown cost leaves cost and gain empty; a flat move has no proceeds, gain, term."""

    class Use(models.TextChoices):
        SALE = "sale", "Sale"
        FLAT = "flat", "Flat"

    lot_id = models.CharField(max_length=80, db_collation="C")
    acquired_on = models.DateField()
    quantity = quantity_field()
    proceeds = amount_field(null=True)
    cost = amount_field(null=True)
    gain = amount_field(null=True)
    term = models.CharField(max_length=5, blank=True, choices=[("short", "Short"), ("long", "Long")])
    use = models.CharField(max_length=4, choices=Use)
