"""The table of reconciliation breaks."""

from django.urls import reverse

from accounts.listing import figures
from accounts.listing.markup import markup
from accounts.listing.tables import Column, DayColumn, ListTable, MomentColumn, NumberColumn, TitledColumn


def figure(name):
    """A cell of dollars where the break is of cash, else of shares."""

    def draw(row):
        return figures.money(row[name]) if row["security_id"] is None else figures.quantity_text(row[name])

    return draw


def difference(row):
    return markup('<strong class="down">{}</strong>', figure("difference")(row))


def details(row):
    address = reverse("rebalancer:break", args=[row["pk"]])
    return markup(
        '<a class="btn btn-sm btn-quiet" href="{}">{}<span class="visually-hidden"> of {}, {}</span></a>',
        address, "Details" if row["resolved_at"] else "Look into it", row["account__number"], row["what"],
    )  # fmt: skip


class BreakTable(ListTable):
    """Trading / Breaks: one row per account, session, and security or cash."""

    number = Column("Account", "account__number", link="rebalancer:account", link_key="account_id")
    name = TitledColumn("Name", "account__name", css="name")
    advisor = Column("Advisor", "advisor_name", optional=True, css="clip short")
    custodian = Column("Custodian", "account__custodian__name", css="clip short")
    what = Column("Security", css="ticker")
    session = DayColumn("Session", title="The session of the delivery that brought something else")
    expected = NumberColumn("Expected", "expected", draw=figure("expected"), fields=("security_id",))
    delivered = NumberColumn("Delivered", "delivered", draw=figure("delivered"), fields=("security_id",))
    difference = NumberColumn(
        "Difference", "difference", draw=difference, fields=("security_id",), title="Delivered less expected"
    )
    found_at = MomentColumn("Found")
    resolved_by = Column("Resolved by", "resolver", optional=True)
    resolved_at = MomentColumn("Resolved", optional=True)
    words = TitledColumn("How it came about", css="clip wide")
    actions = Column(
        "Actions", draw=details, text=lambda row: "", orderable=False, css="actions-cell",
        fields=("resolved_at", "account__number", "what"),
    )  # fmt: skip

    fixed = ("number", "name")
    in_files = {"actions": ()}
    default = (
        "advisor", "what", "session", "expected", "delivered", "difference", "found_at", "actions", "resolved_by",
        "resolved_at", "words",
    )  # fmt: skip
    row_fields = ("resolved_at",)
    sort = "-found_at"
    noun = ("break", "breaks")

    def row_css(self, row):
        return "muted" if row["resolved_at"] else ""
