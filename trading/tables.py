"""The tables of orders, of the accounts of one, and of fills that cannot be right."""

from django.urls import reverse

from accounts.listing import figures
from accounts.listing.markup import markup
from accounts.listing.tables import (
    ChoiceColumn,
    Column,
    ListTable,
    MomentColumn,
    MoneyColumn,
    NumberColumn,
    PriceColumn,
    QuantityColumn,
    TitledColumn,
    badge,
)
from trading.states import ENDED, OrderState, Side
from trading.words import BROKERS, broker_words, execution_words

STATE_BADGES = {
    OrderState.READY: "quiet",
    OrderState.SENDING: "info",
    OrderState.WORKING: "info",
    OrderState.PARTIALLY_FILLED: "info",
    OrderState.PENDING_CANCEL: "warn",
    OrderState.FILLED: "up",
    OrderState.CANCELLED: "quiet",
    OrderState.REJECTED: "down",
    OrderState.EXPIRED: "warn",
}
TAKEN = (OrderState.WORKING, OrderState.PARTIALLY_FILLED)  # by a broker, who can be asked to give it back
EXECUTION = ("algorithm", "limit_price", "starts_at", "ends_at", "participation", "extended_hours")

# --- orders ---------------------------------------------------------------------------------------------------


def order_link(row):
    return markup('<a id="order-{0}" href="{1}">Order {0}</a>', row["pk"], reverse("trading:order", args=[row["pk"]]))


def side(row):
    label = Side(row["side"]).label
    return markup('<span class="down">{}</span>', label) if row["side"] == Side.SELL else label


def ticket_link(row):
    where = reverse("trading:ticket", args=[row["ticket_id"]])
    return markup('<a href="{}" title="{}">Ticket {}</a>', where, row["ticket__label"], row["ticket_id"])


def execution(row):
    words = execution_text(row)
    return markup('<span title="{0}">{0}</span>', words)


def execution_text(row):
    return execution_words(*(row[name] for name in EXECUTION))


def broker(row):
    return broker_words(row["broker"], row["custodian__name"])


def accounts_of(row):
    """How many accounts, or the number of the only one."""
    return row["first_number"] if row["accounts_count"] == 1 else figures.count_text(row["accounts_count"])


def accounts_text(row):
    return row["first_number"] if row["accounts_count"] == 1 else str(row["accounts_count"])


def state(row):
    now = OrderState(row["state"])
    return badge(now.label, STATE_BADGES[now])


def remarks(row):
    """What keeps it from getting on; else why it ended, or that it is about to be sent."""
    words = remarks_text(row)
    css = "down" if row["trouble"] and row["state"] not in ENDED else "quiet"
    return markup('<span class="{0}" title="{1}">{1}</span>', css, words) if words else figures.UNKNOWN


def remarks_text(row):
    if row["state"] in ENDED:
        return row["end_reason"] or row["trouble"]
    return row["trouble"] or to_be_sent(row)


def to_be_sent(row):
    return "to be sent" if row["state"] == OrderState.READY and row["ticket__confirmed_at"] else ""


class OrderTable(ListTable):
    """Trading / Orders: one row per block order."""

    order = Column("Order", "pk", draw=order_link)
    symbol = Column("Ticker", "security__symbol", css="ticker")
    security = TitledColumn("Security", "security__name")
    side = Column("Side", draw=side, text=lambda row: Side(row["side"]).label, fields=("side",))
    shares = QuantityColumn("Shares")
    filled = QuantityColumn("Filled", optional=True, title="Of one's own accounts: known when it is allocated")
    average = PriceColumn("Average $", optional=True, title="The average price of its fills")
    money = MoneyColumn("Value $", optional=True, title="What its fills come to")
    estimate = MoneyColumn("Estimated $", title="Shares × the price it was staged at")
    execution = Column(
        "Execution", "algorithm", draw=execution, text=execution_text, fields=EXECUTION[1:], css="clip"
    )
    broker = Column("Broker", draw=broker, text=broker, fields=("broker", "custodian__name"), css="clip short")
    accounts = NumberColumn(
        "Accounts", "accounts_count", fields=("first_number",), draw=accounts_of, text=accounts_text
    )
    state = Column("State", draw=state, text=lambda row: OrderState(row["state"]).label, fields=("state",))
    remarks = Column(
        "Remarks", "trouble", draw=remarks, text=remarks_text, fields=("state", "end_reason", "ticket__confirmed_at"),
        css="clip", title="What keeps it from getting on, or why it ended",
    )  # fmt: skip
    ticket = Column(
        "Ticket", "ticket_id", draw=ticket_link, text=lambda row: str(row["ticket_id"]), fields=("ticket__label",)
    )
    staged_for = TitledColumn("Staged for", "ticket__label")
    staged_at = MomentColumn("Staged", "ticket__created_at")
    confirmed_by = Column("Confirmed by", "confirmer", optional=True)
    confirmed_at = MomentColumn("Confirmed", "ticket__confirmed_at", optional=True)
    sent_at = MomentColumn("Sent", optional=True)
    ended_at = MomentColumn("Ended", optional=True)
    client_order_id = TitledColumn("Client order id", optional=True)
    broker_reference = TitledColumn("Broker's reference", optional=True)

    fixed = ("order", "symbol")
    default = (
        "side", "shares", "filled", "average", "money", "execution", "broker", "accounts", "state", "remarks",
        "ticket", "staged_at",
    )  # fmt: skip
    sort = "-order"
    row_fields = ("state", "ticket__confirmed_at")
    noun = ("order", "orders")

    def row_selectable(self, row):
        return bool(row["state"] in TAKEN or to_be_sent(row))

    def row_css(self, row):
        return "muted" if row["state"] in (OrderState.CANCELLED, OrderState.REJECTED, OrderState.EXPIRED) else ""

    def row_label(self, row):
        return f"order {row['pk']}, {row['security__symbol']}"


# --- the accounts of an order ---------------------------------------------------------------------------------


def quantity(row):
    """What it is to get; what was approved, where that is another number."""
    shown = figures.quantity_text(row["quantity"])
    if row["quantity"] == row["approved_quantity"]:
        return shown
    return markup("<strong>{}</strong>", shown)


def part_state(row):
    if not row["quantity"]:
        return badge("Left out", "warn")
    if row["is_open"]:
        return badge("Open", "info")
    return badge("Booked", "up") if row["filled_quantity"] else badge("Nothing filled", "quiet")


def part_state_text(row):
    if not row["quantity"]:
        return "Left out"
    return "Open" if row["is_open"] else "Booked" if row["filled_quantity"] else "Nothing filled"


def sleeve(row):
    return figures.sleeve_text(row["sleeve_name"])


class AllocationTable(ListTable):
    """Who gets what of an order."""

    number = Column("Account", "account__number", link="rebalancer:account", link_key="account_id")
    name = TitledColumn("Name", "account__name", css="name")
    sleeve = Column("Sleeve", "sleeve_name", draw=sleeve, text=sleeve)
    approved = QuantityColumn("Approved", "approved_quantity", title="Shares as they were approved")
    quantity = NumberColumn("Shares", "quantity", draw=quantity, fields=("approved_quantity",))
    filled = QuantityColumn("Filled", "filled_quantity", optional=True)
    money = MoneyColumn("Money $", "filled_amount", optional=True, title="Of its part of the fills")
    state = Column(
        "State", draw=part_state, text=part_state_text, fields=("quantity", "is_open", "filled_quantity"),
        orderable=False,
    )  # fmt: skip
    edited_by = Column("Edited by", "editor", optional=True)
    edited_at = MomentColumn("Edited", optional=True)
    edit_words = TitledColumn("Why it is not as approved")

    fixed = ("number", "name")
    sort = "number"


# --- fills that cannot be right -------------------------------------------------------------------------------


def of_order(row):
    """The order it was reported for, where there is one."""
    if row["order_id"] is None:
        return "Unknown"
    return order_link({"pk": row["order_id"]})


def fill_link(row):
    where = reverse("trading:questioned_fill", args=[row["pk"]])
    return markup('<a href="{0}" title="{1}">{1}</a>', where, row["execution_id"] or "without a number")


class QuestionedTable(ListTable):
    """Fills that could not be matched; nothing was booked for them."""

    execution_id = Column("Execution", "execution_id", draw=fill_link, text=lambda row: row["execution_id"], css="clip")
    order = Column(
        "Order", "order_id", draw=of_order, text=lambda row: str(row["order_id"] or "Unknown"), optional=True
    )
    symbol = Column("Ticker", "order__security__symbol", optional=True)
    quantity = QuantityColumn("Shares")
    price = PriceColumn("Price $")
    words = TitledColumn("Why it is questioned", css="clip wide")
    broker = ChoiceColumn("Broker", choices=list(BROKERS.items()))
    client_order_id = TitledColumn("Client order id")
    at = MomentColumn("Executed")
    received_at = MomentColumn("Received")
    settled_by = Column("Put aside by", "settler", optional=True)
    settled_at = MomentColumn("Put aside", optional=True)
    settled_words = TitledColumn("What it was")

    fixed = ("execution_id", "order")
    default = (
        "symbol", "quantity", "price", "words", "broker", "client_order_id", "at", "received_at", "settled_words",
    )  # fmt: skip
    sort = "-received_at"
    row_fields = ("settled_at",)
    noun = ("fill", "fills")

    def row_css(self, row):
        return "muted" if row["settled_at"] else ""
