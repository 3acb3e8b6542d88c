"""The states of batches and their entries, and the moves between them."""

from django.db import models


class Logic(models.TextChoices):
    BEST_FIT = "best_fit", "Best Fit"
    MIN_TRANSACTION = "min_transaction", "Min Transaction"
    LIQUIDATE = "liquidate", "Liquidate"


# The two that are compared with each other, and switched between.
OTHER_LOGIC = {Logic.BEST_FIT: Logic.MIN_TRANSACTION, Logic.MIN_TRANSACTION: Logic.BEST_FIT}


class BatchState(models.TextChoices):
    NEW = "new", "Pending"
    PROPOSING = "proposing", "Pending"
    PENDING_APPROVAL = "pending_approval", "Pending Approval"
    APPROVING = "approving", "Approved"
    COMPLETE = "complete", "Complete"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


_B = BatchState
BATCH_MOVES = {
    _B.NEW: {_B.PROPOSING, _B.CANCELLED},
    _B.PROPOSING: {_B.PENDING_APPROVAL, _B.FAILED, _B.NEW, _B.CANCELLED},
    _B.PENDING_APPROVAL: {_B.NEW, _B.APPROVING, _B.CANCELLED},
    _B.APPROVING: {_B.COMPLETE, _B.PENDING_APPROVAL},
}
AT_WORK = (_B.NEW, _B.PROPOSING, _B.APPROVING)
OPEN_BATCHES = (_B.NEW, _B.PROPOSING, _B.PENDING_APPROVAL, _B.APPROVING)
ENDED_BATCHES = (_B.COMPLETE, _B.FAILED, _B.CANCELLED)
CANCELLABLE = (_B.NEW, _B.PROPOSING, _B.PENDING_APPROVAL)


class EntryState(models.TextChoices):
    WAITING = "waiting", "Waiting"
    PROPOSED = "proposed", "Proposed"
    FAILED = "failed", "Failed"
    REMOVED = "removed", "Removed"
    CANCELLED = "cancelled", "Cancelled"
    COMPLETE = "complete", "Complete"


_E = EntryState
ENTRY_MOVES = {
    _E.WAITING: {_E.PROPOSED, _E.FAILED, _E.REMOVED, _E.CANCELLED},
    _E.PROPOSED: {_E.WAITING, _E.REMOVED, _E.CANCELLED, _E.COMPLETE},
    _E.FAILED: {_E.WAITING},
}
OPEN_ENTRIES = (_E.WAITING, _E.PROPOSED)


class Source(models.TextChoices):
    REBALANCER_ON = "rebalancer_on", "Rebalancer On"
    TARGET_UPDATE = "target_update", "Target Update"
    DRIFT_ANALYSIS = "drift_analysis", "Drift Analysis"


class Status(models.IntegerChoices):
    """The statuses of the Rebalance Center, in the order in which the first that applies counts."""

    NO_PORTFOLIO = 1, "No Portfolio Assigned"
    LIQUIDATION = 2, "Liquidation"
    UNABLE_TO_CHECK = 3, "Unable to Check"
    NEED_EXTRA_ATTENTION = 4, "Need Extra Attention"
    NEW_WITHDRAWAL = 5, "New Withdrawal"
    NEW_DEPOSIT = 6, "New Deposit"
    OUT_OF_TOLERANCE = 7, "Out of Tolerance"
    INSIDE_OF_TOLERANCE = 8, "Inside of Tolerance"
