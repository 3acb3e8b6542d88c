from django.db import models
from django.db.models import F, Q

from accounts.models import Account
from accounts.money import amount_field, percent_field
from rebalancer.states import Source, Status

TILE_FIELDS = ["first_rebalance", "high_cash", "low_cash", "position_drift", "cash_off"]


class Check(models.Model):
    """What the last drift check of an account found; one narrow row per account, rewritten in bulk every night."""

    account = models.OneToOneField(
        Account, models.CASCADE, primary_key=True, related_name="check_row", db_constraint=False
    )
    checked_at = models.DateTimeField(help_text="The moment whose facts it saw.")
    business_day = models.DateField()
    status = models.SmallIntegerField(choices=Status)
    reason = models.CharField(max_length=400, blank=True)
    attention = models.JSONField(default=list, help_text="Standing reasons of Need Extra Attention.")
    acknowledged = models.JSONField(default=list, help_text="Standing reasons somebody has seen and accepted.")

    market_value = amount_field(null=True)
    managed_value = amount_field(null=True)
    cash = amount_field(null=True, help_text="Cash and sweeps.")
    available_cash = amount_field(null=True)
    cash_weight = percent_field(null=True)
    target_cash = percent_field(null=True)
    # stored, because every view of the queue sums it over all accounts in there
    cash_off = models.GeneratedField(
        expression=(F("cash_weight") - F("target_cash")) * F("managed_value") / 100,
        output_field=amount_field(null=True),
        db_persist=True,
        help_text="Dollars of cash above the target, negative below it.",
    )

    drift = percent_field(null=True, help_text="Percentage points of the component furthest out of its band.")
    drift_percent = percent_field(null=True, help_text="The same in percent of its target.")
    drift_of = models.CharField(max_length=20, blank=True, help_text="Its symbol, or Cash.")
    drift_weight = percent_field(null=True)
    drift_target = percent_field(null=True)
    drift_lower = percent_field(null=True)
    drift_upper = percent_field(null=True)

    triggering = models.CharField(max_length=400, blank=True, help_text="Securities triggering rebalance.")
    triggers = models.PositiveSmallIntegerField(default=0)
    first_rebalance = models.BooleanField(default=False)
    high_cash = models.BooleanField(default=False)
    low_cash = models.BooleanField(default=False)
    position_drift = models.BooleanField(default=False)

    wanted = models.BooleanField(default=False, help_text="There is a reason to rebalance.")
    source = models.CharField(max_length=20, choices=Source, blank=True)
    needed_since = models.DateField(null=True)

    class Meta:
        indexes = [
            # the queue with everything its tiles count and sum, so that no row has to be read for them
            models.Index(fields=["account"], include=TILE_FIELDS, condition=Q(wanted=True), name="check_in_queue"),
            models.Index(fields=["status"], name="check_status"),
        ]

    def __str__(self):
        return f"check of {self.account_id}: {self.get_status_display()}"
