"""Clients / Accounts: every account this person sees, with the status of its last check."""

from accounts.listing.pages import ListPage
from rebalancer.filters import AccountsFilters, account_rows
from rebalancer.tables import AccountsTable

SECTION = "clients"


class AccountsPage(ListPage):
    screen = "accounts"
    table_class = AccountsTable
    filterset_class = AccountsFilters
    template_name = "rebalancer/accounts.html"
    empty_template = "rebalancer/_accounts_empty.html"

    def base(self):
        return account_rows(self.request.user)

    def list_context(self, unfiltered):
        return {"section": SECTION}
