"""The History tab: what became of every request."""

from rebalancer.filters import HistoryFilters, history_rows
from rebalancer.tables import HistoryTable

from .tabs import Tab


class HistoryPage(Tab):
    screen = "history"
    table_class = HistoryTable
    filterset_class = HistoryFilters
    template_name = "rebalancer/history.html"
    empty_template = "rebalancer/_history_empty.html"

    def base(self):
        return history_rows(self.request.user)
