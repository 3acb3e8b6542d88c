"""The tables of the Rebalancer: its three tabs, and the accounts of a request."""

from .accounts import STATUS_BADGES, AccountsTable, LotTable, TransactionTable
from .analysis import AnalysisTable
from .breaks import BreakTable
from .center import CenterTable, portfolio_columns, portfolio_rows
from .prices import PriceTable
from .request import ENTRY_BADGES, OUT_OF_PLAY, RequestTable
from .tabs import RESULT_BADGES, HistoryTable, PendingTable, QueueTable
from .tickers import TICKER_COLUMNS, ticker_rows

__all__ = [
    "ENTRY_BADGES", "OUT_OF_PLAY", "RESULT_BADGES", "STATUS_BADGES", "TICKER_COLUMNS", "AccountsTable", "AnalysisTable",
    "BreakTable", "CenterTable", "HistoryTable", "LotTable", "PendingTable", "PriceTable", "QueueTable", "RequestTable",
    "TransactionTable",
    "portfolio_columns", "portfolio_rows", "ticker_rows",
]  # fmt: skip
