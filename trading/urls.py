"""Addresses of orders and their tickets."""

from django.urls import path

from trading.views import files, order_commands, orders

app_name = "trading"

urlpatterns = [
    # Trading / Orders
    path("trading/orders/", orders.OrdersPage.as_view(), name="orders"),
    path("trading/orders/questioned/", orders.QuestionedPage.as_view(), name="questioned"),
    path("trading/orders/<int:pk>/", orders.OrderPage.as_view(), name="order"),
    path("trading/orders/<int:pk>/status/", orders.status, name="order_status"),
    path("trading/orders/cancel/", order_commands.cancel_selected, name="cancel_orders"),
    path("trading/orders/<int:pk>/cancel/", order_commands.cancel, name="cancel_order"),
    path("trading/orders/<int:pk>/ask/", order_commands.ask, name="ask_order"),
    # Files for custodians, and what they send back
    path("trading/tickets/<int:pk>/files/<int:file_pk>/", files.ticket_file, name="ticket_file"),
    path(
        "trading/tickets/<int:pk>/files/<int:custodian_pk>/<slug:kind>/",
        files.ticket_files_of,
        name="ticket_files_of",
    ),
    path("trading/fills/", files.fills, name="fills"),
    path("trading/fills/<int:pk>/", files.fills_file, name="fills_file"),
]
