"""Addresses of orders and their tickets."""

from django.urls import path

from trading.views import files, finish, order_commands, orders, questioned, ticket

app_name = "trading"

urlpatterns = [
    # A ticket of staged orders, and editing it
    path("trading/tickets/<int:pk>/", ticket.ticket, name="ticket"),
    path("trading/tickets/<int:pk>/edit/", ticket.edit, name="edit_ticket"),
    path("trading/tickets/<int:pk>/live/", ticket.live, name="ticket_live"),
    path("trading/tickets/<int:pk>/execution/", ticket.execution, name="ticket_execution"),
    path("trading/tickets/<int:pk>/recalculate/", ticket.recalculation, name="recalculate_ticket"),
    path("trading/tickets/<int:pk>/orders/<int:order_pk>/", ticket.order_lines, name="ticket_order_lines"),
    path("trading/tickets/<int:pk>/accounts/<int:account_pk>/", ticket.account_lines, name="ticket_account_lines"),
    # Trading / Orders
    path("trading/orders/", orders.OrdersPage.as_view(), name="orders"),
    path("trading/orders/questioned/", orders.QuestionedPage.as_view(), name="questioned"),
    path("trading/orders/questioned/<int:pk>/", questioned.QuestionedFill.as_view(), name="questioned_fill"),
    path("trading/orders/<int:pk>/", orders.OrderPage.as_view(), name="order"),
    path("trading/orders/<int:pk>/status/", orders.status, name="order_status"),
    path("trading/orders/cancel/", order_commands.cancel_selected, name="cancel_orders"),
    path("trading/orders/<int:pk>/cancel/", order_commands.cancel, name="cancel_order"),
    path("trading/orders/<int:pk>/ask/", order_commands.ask, name="ask_order"),
    path("trading/orders/<int:pk>/end/", order_commands.EndByHand.as_view(), name="end_order"),
    # Files for custodians, and what they send back
    path("trading/tickets/<int:pk>/files/<int:file_pk>/", files.ticket_file, name="ticket_file"),
    path(
        "trading/tickets/<int:pk>/files/<int:custodian_pk>/<slug:kind>/",
        files.ticket_files_of,
        name="ticket_files_of",
    ),
    path("trading/fills/", files.fills, name="fills"),
    path("trading/fills/<int:pk>/", files.fills_file, name="fills_file"),
    # Finish: the orders of a confirmed ticket
    path("trading/tickets/<int:pk>/finish/", finish.finish, name="finish"),
    path("trading/tickets/<int:pk>/finish/status/", finish.status, name="finish_status"),
    path("trading/tickets/<int:pk>/cancel/", finish.cancel_all, name="cancel_ticket_orders"),
]
