"""The table of one request's accounts."""

from django.urls import reverse
from django.utils.html import format_html

from accounts.listing import figures
from accounts.listing.tables import (
    ChoiceColumn,
    Column,
    CountColumn,
    ListTable,
    MoneyColumn,
    PercentColumn,
    PointsColumn,
    TitledColumn,
    badge,
)
from accounts.models import LotMethod, TaxStatus
from rebalancer.states import EntryState

ENTRY_BADGES = {
    EntryState.PROPOSED: "up",
    EntryState.FAILED: "down",
    EntryState.REMOVED: "quiet",
    EntryState.CANCELLED: "quiet",
    EntryState.COMPLETE: "up",
    EntryState.WAITING: "info",
}
FURTHEST = "The component that is furthest from its target in relation to its threshold"
NOT_TRADED = "Not traded: none of its orders brought a fill."
OUT_OF_PLAY = (EntryState.FAILED, EntryState.REMOVED)
GAINS = ("short_term_gain", "long_term_gain", "estimated_gain")
# What a proposal makes: while an account waits for a new one, the old figures say nothing.
PROPOSED_FIGURES = (
    "market_value", "managed_value", "cash_before", "cash_after", "cash_weight_before", "cash_weight_after",
    "cash_target", "buys", "buys_value", "sells", "sells_value", "flat_trades", "flat_value", *GAINS, "drift_before",
    "drift_after", "drift_of",
)  # fmt: skip


def entry_badge(state):
    return badge(EntryState(state).label, ENTRY_BADGES[EntryState(state)])


def account_link(row):
    address = reverse("rebalancer:request_account", args=[row["batch"], row["pk"]])
    return format_html('<a href="{}">{}</a>', address, row["account_number"])


def result(row):
    """The result, and below it why: a failure's reason, what changed, that nothing needs a trade, or was traded."""
    why = NOT_TRADED if row["not_traded"] else row["reason"]
    if row["changed"]:
        below = '{}<span class="below why" title="{}">changed since proposing</span>'
        return format_html(below, entry_badge(row["state"]), row["changed"])
    shown = entry_badge(row["state"])
    return format_html('{}<span class="below why" title="{}">{}</span>', shown, why, why) if why else shown


def estimated_gain(row):
    """The total with what is to be known beside it: lots left out of it, and that it is not taxed."""
    notes = []
    if row["unknown_lots"]:
        notes.append(f"{figures.plural(row['unknown_lots'], 'lot')} of unknown cost")
    if row["tax_status"] != TaxStatus.TAXABLE and row["sells"] is not None:
        notes.append("not taxable")
    amount = figures.money(row["estimated_gain"])
    return format_html('{}<span class="below">{}</span>', amount, ", ".join(notes)) if notes else amount


class RequestTable(ListTable):
    """One row per account of a request, with its figures as proposed."""

    number = Column("Account", "account_number", draw=account_link, fields=("batch", "pk"))
    name = TitledColumn("Name", "account_name", css="", link="rebalancer:account", link_key="account")
    result = ChoiceColumn(
        "Result", "state", choices=EntryState.choices, draw=result, fields=("reason", "changed", "not_traded")
    )
    market_value = MoneyColumn("Market value $", optional=True)
    cash_before = MoneyColumn("Cash before", optional=True, title="Beginning available cash")
    cash_after = MoneyColumn("Cash after", optional=True, title="Ending available cash")
    buys = CountColumn("Buys", optional=True)
    buys_value = MoneyColumn("Buys $", optional=True)
    sells = CountColumn("Sells", optional=True)
    sells_value = MoneyColumn("Sells $", optional=True)
    flat_trades = CountColumn(
        "Flats", optional=True, title="Flat trades: moved between sleeves, no order and not taxable"
    )
    flat_value = MoneyColumn("Flats $", optional=True, title="Value of flat trades")
    short_term_gain = MoneyColumn("Short-term", optional=True, title="Realized short-term G&L, estimated")
    long_term_gain = MoneyColumn("Long-term", optional=True, title="Realized long-term G&L, estimated")
    estimated_gain = MoneyColumn(
        "Estimated G&L", "estimated_gain", draw=estimated_gain, optional=True,
        fields=("unknown_lots", "tax_status", "sells"), title="Estimated realized G&L, the sum of known lots",
    )  # fmt: skip
    managed_value = MoneyColumn("Managed value $", optional=True)
    cash_weight_before = PercentColumn("Cash before %", optional=True, title="In percent of managed value")
    cash_weight_after = PercentColumn("Cash after %", optional=True, title="In percent of managed value")
    cash_target = PercentColumn("Target cash", optional=True)
    drift_before = PointsColumn("Drift before", optional=True, title=FURTHEST)
    drift_after = PointsColumn("Drift after", optional=True, title=FURTHEST)
    drift_of = Column("Furthest after", title=FURTHEST)
    unknown_lots = CountColumn("Lots of unknown cost")
    tax_status = ChoiceColumn("Tax status", choices=TaxStatus.choices)
    lot_method = ChoiceColumn("Lot method", choices=LotMethod.choices)
    portfolio = TitledColumn("Portfolio", "portfolio_name")
    advisor = TitledColumn("Advisor", "advisor_name", optional=True)
    custodian = TitledColumn("Custodian", "account__custodian__name", optional=True)
    household = TitledColumn("Household", "account__household__name", optional=True)
    reason = TitledColumn("Reason")
    changed = TitledColumn("Changed since proposing", title="What the last attempt to approve found changed")

    fixed = ("number", "name")
    default = (
        "result", "market_value", "cash_before", "cash_after", "buys", "buys_value", "sells", "sells_value",
        "flat_trades", "flat_value", "short_term_gain", "long_term_gain", "estimated_gain",
    )  # fmt: skip
    sort = "number"
    row_fields = ("state",)

    def row_css(self, row):
        return "muted" if row["state"] in OUT_OF_PLAY else ""

    def row_selectable(self, row):
        return row["state"] == EntryState.PROPOSED

    def draw(self, row, columns):
        if row["state"] == EntryState.WAITING:
            row = row | {name: None for name in PROPOSED_FIGURES if name in row}
        return super().draw(row, columns)
