"""The accounts of one status in the Rebalance Center, and the portfolios that they are held to."""

from django.urls import reverse
from django.utils.html import format_html

from accounts.listing import figures
from accounts.listing.tables import Column, CountColumn, DayColumn, MoneyColumn
from rebalancer.states import Status

from .tabs import QueueTable

NEEDS_A_LOOK = {Status.NEED_EXTRA_ATTENTION: "Acknowledge"}


def hindrance(row):
    """Why a request would leave it out; a request it is in is a link."""
    if row["in_request"]:
        address = reverse("rebalancer:request", args=[row["in_request"]])
        return format_html('<a href="{}">in request {}</a>', address, row["in_request"])
    return row["hindrance"] or figures.UNKNOWN


def details(row):
    """Opens what stands behind the status; htmx brings it into the page's dialog."""
    address = reverse("rebalancer:center_account", args=[row["pk"]])
    label = NEEDS_A_LOOK.get(row["check_row__status"], "Details")
    return format_html(
        '<a class="btn btn-sm btn-quiet" id="details-{pk}" href="{address}" hx-get="{address}" '
        'hx-target="#dialog-content" hx-swap="innerHTML" hx-push-url="false" hx-sync="this:replace">{label}'
        '<span class="visually-hidden"> of {number}</span></a>',
        pk=row["pk"], address=address, label=label, number=row["number"],
    )  # fmt: skip


class CenterTable(QueueTable):
    """Accounts of one status, from the last check of each."""

    number = Column("Account", link="rebalancer:account")
    why = Column("Why", "check_row__reason", css="reason")
    hindrance = Column(
        "Left out because", "hindrance", draw=hindrance, text=lambda row: row["hindrance"], fields=("in_request",),
        title="Why a request would leave the account out",
    )  # fmt: skip
    actions = Column(
        "Actions", draw=details, text=lambda row: "", orderable=False, css="actions-cell",
        fields=("pk", "number", "check_row__status"),
    )  # fmt: skip

    in_files = {"actions": ()}
    default = (
        "market_value", "drift", "most_outside", "why", "needed_since", "last_rebalanced", "hindrance", "actions",
    )  # fmt: skip


def portfolio_columns(status, *, explained):
    """The columns of the portfolios of a status, for a file; `explained`: with what most of its accounts share."""
    return {
        "name": Column("Portfolio"),
        "of": CountColumn("Accounts"),
        "accounts": CountColumn(status.label),
        "value": MoneyColumn("Value $"),
        **({"because": Column("Mostly because of")} if explained else {}),
        "since": DayColumn("Oldest since"),
    }


def portfolio_rows(standing):
    """Values for `portfolio_columns`, in the order of the page."""
    for held in standing.held:
        yield {
            "name": held.name, "of": held.of, "accounts": held.accounts, "value": held.value,
            "because": " ".join(filter(None, held.mostly)), "since": held.since,
        }  # fmt: skip
