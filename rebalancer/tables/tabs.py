"""The tables of the Rebalancer's three tabs."""

from decimal import Decimal

from django.urls import reverse
from django.utils.html import format_html

from accounts.listing import figures
from accounts.listing.drift import drift_svg
from accounts.listing.markup import joined, markup
from accounts.listing.tables import (
    ChoiceColumn,
    Column,
    CountColumn,
    DayColumn,
    ListTable,
    MomentColumn,
    MoneyColumn,
    NumberColumn,
    PercentColumn,
    PointsColumn,
    TitledColumn,
    badge,
)
from accounts.models import LotMethod, TaxStatus
from rebalancer.models import Batch
from rebalancer.selectors import STANDING, TILES, approving_words, deciding_words, trouble_words
from rebalancer.states import AT_WORK, BatchState, Logic, Source, Status

# --- Accounts to Rebalance ------------------------------------------------------------------------------------

TILE_BADGES = {"first_rebalance": "up", "high_cash": "info", "low_cash": "warn", "position_drift": "quiet"}
BANDS_SHOWN = 4  # the half line of a drift picture, in widths of the threshold
NO_BAND = Decimal(1)  # percentage points that count as the width of a band of none
DRIFT_FIELDS = tuple(f"check_row__drift_{part}" for part in ("of", "weight", "target", "lower", "upper"))


def drift_picture(row):
    """The component furthest out of its band, on a scale of its threshold: equal distances are equal reasons."""
    weight, target = row["check_row__drift_weight"], row["check_row__drift_target"]
    lower, upper = row["check_row__drift_lower"], row["check_row__drift_upper"]
    known = None not in (weight, target, lower, upper)
    width = max(target - lower, upper - target) or NO_BAND if known else NO_BAND
    shown = weight if known else None
    return drift_svg(shown, target, lower, upper, reach=BANDS_SHOWN * width, name=row["check_row__drift_of"])


def most_outside(row):
    name = row["check_row__drift_of"]
    if not name:
        return figures.UNKNOWN
    return markup('{} <span class="quiet">{}</span>', name, figures.points_text(row["check_row__drift"]))


def conditions(row):
    found = [(tile, name) for tile, name in TILES.items() if row[f"check_row__{tile}"]]
    return joined(badge(name, TILE_BADGES[tile]) for tile, name in found) or figures.UNKNOWN


def conditions_text(row):
    return "; ".join(name for tile, name in TILES.items() if row[f"check_row__{tile}"])


class QueueTable(ListTable):
    """Accounts to Rebalance, from the last check of each."""

    number = Column("Account", link="rebalancer:account")
    name = TitledColumn("Name", css="name")
    custodian = TitledColumn("Custodian", "custodian__name", optional=True)
    advisor = TitledColumn("Advisor", "advisor_name", optional=True)
    household = TitledColumn("Household", "household__name", optional=True)
    portfolio = TitledColumn("Portfolio", "portfolio__name", optional=True, css="clip short")
    market_value = MoneyColumn("Market value $", "check_row__market_value", optional=True)
    managed_value = MoneyColumn("Managed $", "check_row__managed_value", optional=True)
    cash = MoneyColumn("Cash $", "check_row__cash", optional=True)
    cash_weight = PercentColumn("Cash", "check_row__cash_weight", optional=True, title="In percent of managed value")
    available_cash = MoneyColumn("Available cash $", "check_row__available_cash", optional=True)
    target_cash = PercentColumn("Target cash", "check_row__target_cash", optional=True, css="num narrow")
    drift = PointsColumn(
        "Drift", "check_row__drift", draw=drift_picture, optional=True, css="", fields=DRIFT_FIELDS,
        title="The component furthest out of its band: band, target, weight now",
    )  # fmt: skip
    most_outside = Column(
        "Most outside", "check_row__drift_of", draw=most_outside, fields=("check_row__drift",), optional=True
    )
    drift_percent = PercentColumn("Drift % of target", "check_row__drift_percent", optional=True)
    triggering = TitledColumn("Triggering", "check_row__triggering", title="Securities triggering rebalance")
    triggers = CountColumn("Triggers", "check_row__triggers")
    conditions = Column(
        "Conditions", draw=conditions, text=conditions_text, fields=tuple(f"check_row__{tile}" for tile in TILES),
        orderable=False,
    )  # fmt: skip
    source = ChoiceColumn("Source", "check_row__source", choices=Source.choices)
    needed_since = DayColumn("Needed since", "check_row__needed_since", optional=True, css="day narrow")
    last_rebalanced = DayColumn("Last rebalanced", optional=True)
    tax_status = ChoiceColumn("Tax status", choices=TaxStatus.choices)
    lot_method = ChoiceColumn("Lot method", choices=[("", "The firm's"), *LotMethod.choices])
    set_aside = MoneyColumn("Set aside $", "set_aside_cash")
    status = ChoiceColumn("Status", "check_row__status", choices=Status.choices)
    why = TitledColumn("Why", "check_row__reason")
    checked_at = MomentColumn("Checked", "check_row__checked_at")

    fixed = ("number", "name")
    default = (
        "portfolio", "market_value", "cash_weight", "target_cash", "drift", "most_outside", "conditions", "source",
        "needed_since",
    )  # fmt: skip
    sort = "number"


# --- requests -------------------------------------------------------------------------------------------------

RESULT_BADGES = {
    BatchState.PENDING_APPROVAL: "info",
    BatchState.COMPLETE: "up",
    BatchState.FAILED: "down",
    BatchState.CANCELLED: "quiet",
}


def request_link(row):
    address = reverse("rebalancer:request", args=[row["pk"]])
    return format_html('<a id="request-{0}" href="{1}">Request {0}</a>', row["pk"], address)


def accounts_of(row):
    """How many accounts, or the number of the only one."""
    return row["first_number"] if row["accounts_count"] == 1 else figures.count_text(row["accounts_count"])


def accounts_text(row):
    """The same for a file."""
    return row["first_number"] if row["accounts_count"] == 1 else str(row["accounts_count"])


def details_button(row):
    address = reverse("rebalancer:request", args=[row["pk"]])
    return format_html(
        '<a class="btn btn-sm btn-quiet" id="details-{}" href="{}">View Details'
        '<span class="visually-hidden"> of request {}</span></a>',
        row["pk"], address, row["pk"],
    )  # fmt: skip


class RequestColumn(Column):
    """The request as a link to its details."""

    def __init__(self):
        super().__init__("Request", "pk", draw=request_link)


class AccountsColumn(NumberColumn):
    """How many accounts of the request the person sees, or the number of the only one."""

    def __init__(self):
        super().__init__("Accounts", "accounts_count", fields=("first_number",), draw=accounts_of, text=accounts_text)


# --- Pending Approval -----------------------------------------------------------------------------------------


def status(row):
    """The state; while at work a spinner and how far it is, else why the last attempt came back."""
    state = BatchState(row["state"])
    if state in AT_WORK:
        return at_work(row, state)
    trouble = trouble_words(row["trouble"], row["others_count"])
    note = format_html(' <span class="small down">{}</span>', trouble) if trouble else ""
    return format_html("{}{}", badge(state.label, RESULT_BADGES[state]), note)


def status_text(row):
    state = BatchState(row["state"])
    trouble = "" if state in AT_WORK else trouble_words(row["trouble"], row["others_count"])
    return f"{state.label}: {trouble}" if trouble else state.label


def at_work(row, state):
    """A spinner and how far it is; `data-at-work` has the page ask for the row again."""
    return format_html(
        '<span class="at-work" data-at-work="{}"><span class="spinner-border" aria-hidden="true"></span>{}</span>{}',
        row["pk"], state.label, "" if state == BatchState.APPROVING else progress(row),
    )  # fmt: skip


def progress(row):
    """How far it is; where accounts of others are in it, without saying how many."""
    done, total = row["done"], max(row["total"], 1)
    words = f"{100 * done // total}%" if row["others_count"] else f"{done:,} of {total:,}"
    return format_html(
        '<progress class="work" value="{}" max="{}" aria-label="Accounts proposed"></progress>'
        '<span class="small">{}</span>',
        done, total, words,
    )  # fmt: skip


def actions(row):
    """View Details, Approve, Cancel; what cannot be done now is disabled and says why."""
    return format_html(
        '<span class="row-actions">{}{}{}</span>',
        details_button(row),
        decision(row, "approve", "Approve", "btn-quiet", approving_words(row)),
        decision(row, "cancel", "Cancel", "btn-danger", deciding_words(row)),
    )


WHY_NOT_NOW = {
    BatchState.NEW: "Its trades are being proposed.",
    BatchState.PROPOSING: "Its trades are being proposed.",
    BatchState.APPROVING: "It is approved, and its orders are being staged.",
    BatchState.COMPLETE: "It has ended.",
    BatchState.FAILED: "It has ended.",
    BatchState.CANCELLED: "It has ended.",
}


def decision(row, what, label, css, why):
    """The button of a decision; `why` says why the person may not take it."""
    why = WHY_NOT_NOW.get(row["state"], why)
    return disabled(label, css, why) if why else asking(row["pk"], what, label, css)


def asking(pk, what, label, css):
    """A link to the confirmation, which htmx brings into the page's dialog."""
    address = reverse(f"rebalancer:confirm_{what}", args=[pk])
    return format_html(
        '<a class="btn btn-sm {css}" id="{what}-{pk}" href="{address}" hx-get="{address}" hx-target="#dialog-content" '
        'hx-swap="innerHTML" hx-push-url="false" hx-sync="this:replace">{label}'
        '<span class="visually-hidden"> request {pk}</span></a>',
        css=css, what=what, pk=pk, address=address, label=label,
    )  # fmt: skip


def disabled(label, css, why):
    return format_html(
        '<span title="{why}"><button type="button" class="btn btn-sm {css}" disabled>{label}'
        '<span class="visually-hidden">: {why}</span></button></span>',
        label=label, css=css, why=why,
    )  # fmt: skip


class PendingTable(ListTable):
    """One row per open request."""

    request = RequestColumn()
    opened_at = MomentColumn("Requested")
    opened_by = Column("Requested by", "opener")
    accounts = AccountsColumn()
    logic = ChoiceColumn("Trade logic", choices=Logic.choices)
    status = Column(
        "Status", "state", draw=status, text=status_text, css="status-cell",
        fields=("done", "total", "trouble", "others_count"),
    )  # fmt: skip
    actions = Column(
        "Actions", draw=actions, text=lambda row: "", orderable=False, css="actions-cell",
        fields=("pk", "state", *STANDING),
    )  # fmt: skip

    fixed = ("request",)
    in_files = {"actions": ()}
    sort = "-opened_at"
    row_fields = ("fresh", "state")
    noun = ("request", "requests")

    def row_css(self, row):
        if row["state"] in (BatchState.COMPLETE, BatchState.FAILED, BatchState.CANCELLED):
            return "muted"
        return "fresh" if row["fresh"] else ""


# --- History --------------------------------------------------------------------------------------------------


def ended_how(row):
    return Batch.EndedBy(row["ended_how"]).label if row["ended_how"] else ""


def result(row):
    state, how = BatchState(row["state"]), ended_how(row)
    shown = badge(state.label, RESULT_BADGES[state])
    return format_html('{} <span class="small">{}</span>', shown, how) if how else shown


def result_text(row):
    return ", ".join(filter(None, [BatchState(row["state"]).label, ended_how(row)]))


class HistoryTable(ListTable):
    """One row per ended request."""

    request = RequestColumn()
    opened_at = MomentColumn("Requested")
    opened_by = Column("Requested by", "opener")
    accounts = AccountsColumn()
    logic = ChoiceColumn("Trade logic", choices=Logic.choices)
    result = Column("Result", "state", draw=result, text=result_text, fields=("ended_how",))
    failed = CountColumn("Failed", "failed_count")
    complete = CountColumn("Complete", "complete_count")
    removed = CountColumn("Removed", "removed_count")
    ended_at = MomentColumn("Ended", optional=True)
    ended_by = Column("Ended by", "ender", optional=True)
    actions = Column(
        "Actions", draw=details_button, text=lambda row: "", orderable=False, css="actions-cell", fields=("pk",)
    )

    fixed = ("request",)
    in_files = {"actions": ()}
    sort = "-opened_at"
    noun = ("request", "requests")
