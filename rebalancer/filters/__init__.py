"""What can be filtered on the Rebalancer's pages, and the rows that each of them lists."""

from .request import RequestFilters, entry_rows
from .tabs import HistoryFilters, PendingFilters, QueueFilters, batch_rows, history_rows, pending_rows, queue_rows

__all__ = [
    "HistoryFilters", "PendingFilters", "QueueFilters", "RequestFilters", "batch_rows", "entry_rows", "history_rows",
    "pending_rows", "queue_rows",
]  # fmt: skip
