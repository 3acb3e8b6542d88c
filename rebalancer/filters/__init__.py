"""What can be filtered on the Rebalancer's pages, and the rows that each of them lists."""

from .accounts import AccountsFilters, LotFilters, TransactionFilters, account_rows, lot_rows, transaction_rows
from .analysis import AnalysisFilters, analysed_rows
from .breaks import BreakFilters, break_rows
from .center import CenterFilters, center_rows
from .prices import PriceFilters, price_rows
from .request import RequestFilters, entry_rows
from .tabs import HistoryFilters, PendingFilters, QueueFilters, batch_rows, history_rows, pending_rows, queue_rows

__all__ = [
    "AccountsFilters", "AnalysisFilters", "BreakFilters", "CenterFilters", "HistoryFilters", "LotFilters",
    "PendingFilters", "PriceFilters", "QueueFilters", "RequestFilters", "TransactionFilters", "account_rows",
    "analysed_rows", "batch_rows", "break_rows", "center_rows", "entry_rows", "history_rows", "lot_rows",
    "pending_rows", "price_rows", "queue_rows", "transaction_rows",
]  # fmt: skip
