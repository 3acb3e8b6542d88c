"""Addresses of the Rebalancer."""

from django.urls import path, register_converter

from rebalancer import target_urls
from rebalancer.views import (
    account,
    account_changes,
    accounts,
    breaks,
    center,
    center_commands,
    history,
    home,
    pending,
    prices,
    queue,
    records,
    request_account,
    request_analysis,
    request_commands,
    requests,
    tabs,
    transmit,
)

app_name = "rebalancer"
register_converter(center.HeldTo, "held")

urlpatterns = [
    path("", home.home, name="home"),
    path("rebalancer/close/", tabs.close, name="close"),
    path("runs/<int:pk>/", records.run, name="run"),
    path("deliveries/<int:pk>/", records.delivery, name="delivery"),
    # Prices that wait for somebody's word
    path("prices/questioned/", prices.QuestionedPricesPage.as_view(), name="questioned_prices"),
    path("prices/questioned/<int:pk>/", prices.QuestionedPrice.as_view(), name="questioned_price"),
    # Clients / Accounts
    path("clients/accounts/", accounts.AccountsPage.as_view(), name="accounts"),
    path("clients/accounts/<int:pk>/", account.account, name="account"),
    path("clients/accounts/<int:pk>/status/", account.status, name="account_status"),
    path("clients/accounts/<int:pk>/lots/", account.LotsPage.as_view(), name="account_lots"),
    path("clients/accounts/<int:pk>/transactions/", account.TransactionsPage.as_view(), name="account_transactions"),
    path("clients/accounts/<int:pk>/rebalance/", account_changes.Rebalance.as_view(), name="account_rebalance"),
    path("clients/accounts/<int:pk>/portfolio/", account_changes.AnotherPortfolio.as_view(), name="account_portfolio"),
    path("clients/accounts/<int:pk>/switch/", account_changes.Switch.as_view(), name="account_switch"),
    path("clients/accounts/<int:pk>/set-aside/", account_changes.SetAside.as_view(), name="account_set_aside"),
    path("clients/accounts/<int:pk>/restrictions/add/", account_changes.Restrict.as_view(), name="account_restrict"),
    path(
        "clients/accounts/<int:pk>/restrictions/<int:restriction_pk>/",
        account_changes.Restrict.as_view(),
        name="account_restriction",
    ),
    path(
        "clients/accounts/<int:pk>/restrictions/<int:restriction_pk>/lift/",
        account_changes.Lift.as_view(),
        name="account_lift",
    ),
    # Accounts to Rebalance
    path("rebalancer/", queue.QueuePage.as_view(), name="queue"),
    path("rebalancer/generate/", queue.generate, name="generate"),
    # Pending Approval
    path("rebalancer/pending/", pending.PendingPage.as_view(), name="pending"),
    path("rebalancer/pending/rows/", pending.rows_again, name="pending_rows"),
    path("rebalancer/pending/<int:pk>/approve/", pending.confirm, {"decision": "approve"}, name="confirm_approve"),
    path("rebalancer/pending/<int:pk>/cancel/", pending.confirm, {"decision": "cancel"}, name="confirm_cancel"),
    # History
    path("rebalancer/history/", history.HistoryPage.as_view(), name="history"),
    # Portfolios and models
    *target_urls.urlpatterns,
    # A request and its accounts
    path("rebalancer/requests/<int:pk>/", requests.RequestPage.as_view(), name="request"),
    path("rebalancer/requests/<int:pk>/status/", requests.status, name="request_status"),
    path("rebalancer/requests/<int:pk>/approve/", request_commands.approve, name="approve"),
    path("rebalancer/requests/<int:pk>/cancel/", request_commands.cancel, name="cancel"),
    path("rebalancer/requests/<int:pk>/remove/", request_commands.remove, name="remove"),
    path("rebalancer/requests/<int:pk>/switch/", request_commands.switch_logic, name="switch_logic"),
    path("rebalancer/requests/<int:pk>/reprice/", request_commands.reprice, name="reprice"),
    path("rebalancer/requests/<int:pk>/repropose/", request_commands.repropose, name="repropose"),
    path(
        "rebalancer/requests/<int:pk>/accounts/<int:entry_pk>/", request_account.account, name="request_account"
    ),
    path("rebalancer/requests/<int:pk>/analysis/", request_analysis.by_ticker, name="request_analysis"),
    path(
        "rebalancer/requests/<int:pk>/analysis/accounts/",
        request_analysis.ByAccount.as_view(),
        name="request_analysis_accounts",
    ),
    # From a ticket of orders to its confirmation
    path("trading/tickets/<int:pk>/preview/", transmit.preview_page, name="preview"),
    path("trading/tickets/<int:pk>/preview/leave-out/", transmit.leave_out, name="leave_out"),
    path("trading/tickets/<int:pk>/confirm/", transmit.confirm, name="confirm_ticket"),
    path("trading/tickets/<int:pk>/request/", transmit.request_of, name="ticket_request"),
    # Trading / Breaks
    path("trading/breaks/", breaks.BreaksPage.as_view(), name="breaks"),
    path("trading/breaks/<int:pk>/", breaks.BreakPage.as_view(), name="break"),
    # Trading / Rebalance
    path("trading/rebalance/", center.overview, name="center"),
    path("trading/rebalance/accounts/<int:pk>/", center.account, name="center_account"),
    path("trading/rebalance/accounts/<int:pk>/acknowledge/", center_commands.acknowledge, name="acknowledge"),
    path(
        "trading/rebalance/accounts/<int:pk>/breaks/<int:break_pk>/resolve/",
        center_commands.resolve,
        name="resolve_break",
    ),
    path("trading/rebalance/<slug:status>/", center.overview, name="center_status"),
    path("trading/rebalance/<slug:status>/<held:portfolio>/", center.StatusPage.as_view(), name="center_accounts"),
    path("trading/rebalance/<slug:status>/<held:portfolio>/create/", center_commands.create, name="center_create"),
    path("trading/rebalance/<slug:status>/<held:portfolio>/review/", center_commands.review, name="center_review"),
    path(
        "trading/rebalance/<slug:status>/<held:portfolio>/liquidate/",
        center_commands.liquidate,
        name="center_liquidate",
    ),
]
