"""The tables of Clients / Accounts."""

from accounts.listing import figures
from accounts.listing.markup import markup
from accounts.listing.tables import (
    ChoiceColumn,
    Column,
    DayColumn,
    ListTable,
    MomentColumn,
    MoneyColumn,
    NumberColumn,
    PriceColumn,
    QuantityColumn,
    TitledColumn,
)
from accounts.models import Transaction
from rebalancer.recommended import sleeve_words
from rebalancer.states import Status
from tax.selectors import days_to_long_term

from .tabs import QueueTable

STATUS_BADGES = {
    Status.NO_PORTFOLIO: "quiet",
    Status.LIQUIDATION: "down",
    Status.UNABLE_TO_CHECK: "down",
    Status.NEED_EXTRA_ATTENTION: "warn",
    Status.NEW_WITHDRAWAL: "info",
    Status.NEW_DEPOSIT: "info",
    Status.OUT_OF_TOLERANCE: "warn",
    Status.INSIDE_OF_TOLERANCE: "up",
}


class AccountsTable(QueueTable):
    """Clients / Accounts: every account, with what its last check found."""

    status = ChoiceColumn(
        "Status", "check_row__status", choices=Status.choices, badges=STATUS_BADGES, optional=True
    )
    why = TitledColumn("Why", "check_row__reason", optional=True)
    rebalancing = ChoiceColumn("Rebalancing", "rebalancing_on", choices=[(True, "On"), (False, "Off")])
    state = ChoiceColumn("Open or closed", "is_open", choices=[(True, "Open"), (False, "Closed")])

    default = (
        "status", "why", "portfolio", "market_value", "cash_weight", "drift", "rebalancing", "last_rebalanced",
    )  # fmt: skip
    row_fields = ("is_open",)

    def row_css(self, row):
        return "" if row["is_open"] else "muted"


# --- the lists of one account ---------------------------------------------------------------------------------


def term(row):
    """The holding period; a short-term lot says when it will be long-term."""
    if row["long_term"]:
        return "Long"
    return f"Short, long in {figures.plural(days_to_long_term(row['acquired_on'], row['sold_on']), 'day')}"


def days_left(row):
    return days_to_long_term(row["acquired_on"], row["sold_on"])


def lot(row):
    """Its id; where it rests on a trade that no delivery has confirmed, until when."""
    until = row["provisional"]
    note = markup('<span class="below">provisional until the delivery of {}</span>', until) if until else ""
    return markup('<span title="{0}">{0}</span>{1}', row["lot_id"], note)


class LotTable(ListTable):
    """The lots of an account; an unknown cost and its gain are "—"."""

    symbol = Column("Symbol", "security__symbol")
    name = TitledColumn("Security", "security__name", css="name")
    sleeve = Column("Sleeve", "sleeve_name", draw=lambda row: sleeve_words(row["sleeve_name"]))
    lot = Column("Lot", "lot_id", draw=lot, text=lambda row: row["lot_id"], fields=("provisional",), css="clip wide")
    acquired = DayColumn("Acquired", "acquired_on")
    quantity = QuantityColumn("Shares")
    price = PriceColumn("Price $", optional=True, title="The last price that may be used")
    value = MoneyColumn("Value $", optional=True)
    cost = MoneyColumn("Cost $", "total_cost", optional=True)
    gain = MoneyColumn("Unrealized G&L", optional=True, title="Value less cost; not known where the cost is not")
    term = Column(
        "Term", draw=term, text=term, fields=("long_term", "acquired_on", "sold_on"), orderable=False,
        title="If it were sold today",
    )  # fmt: skip
    days = NumberColumn(
        "Days to long-term", draw=days_left, text=lambda row: str(days_left(row)), fields=("acquired_on", "sold_on"),
        orderable=False,
    )  # fmt: skip

    provisional = DayColumn(
        "Provisional until", optional=True, title="The session whose delivery confirms the trade that it rests on"
    )

    fixed = ("symbol", "name")
    default = ("sleeve", "lot", "acquired", "quantity", "price", "value", "cost", "gain", "term")
    sort = "symbol"
    noun = ("lot", "lots")


class TransactionTable(ListTable):
    """The custodian's rows of an account."""

    date = DayColumn("Date")
    kind = ChoiceColumn("Kind", choices=Transaction.Kind.choices)
    symbol = Column("Symbol", "security__symbol", optional=True)
    quantity = QuantityColumn("Shares", optional=True)
    amount = MoneyColumn("Amount $", title="Positive into the account")
    external_id = TitledColumn("Reference", css="clip")
    recorded_at = MomentColumn("Recorded", title="When it came into the book")

    fixed = ("date", "kind")
    sort = "-date"
    noun = ("transaction", "transactions")
