"""The table of questioned prices."""

from django.urls import reverse

from accounts.listing.markup import markup
from accounts.listing.tables import (
    Column,
    CountColumn,
    ListTable,
    MomentColumn,
    PercentColumn,
    PriceColumn,
    TitledColumn,
)


def decide(row):
    return markup(
        '<a class="btn btn-sm btn-quiet" href="{}">Decide<span class="visually-hidden"> about {}</span></a>',
        reverse("rebalancer:questioned_price", args=[row["pk"]]), row["security__symbol"],
    )  # fmt: skip


class PriceTable(ListTable):
    """Questioned prices: one row per security that is stopped."""

    symbol = Column("Symbol", "security__symbol", css="ticker")
    name = TitledColumn("Security", "security__name", css="name")
    price = PriceColumn("Price $", title="As it came; not used")
    last = PriceColumn("Last used $", optional=True)
    last_at = MomentColumn("Last used as of", optional=True)
    off = PercentColumn("Off by", optional=True, title="Of the last one used")
    as_of = MomentColumn("As of")
    source = Column("Source")
    received_at = MomentColumn("Received")
    accounts = CountColumn("Accounts", title="Open accounts that hold it: Unable to Check until it is decided")
    actions = Column(
        "Actions", draw=decide, text=lambda row: "", orderable=False, css="actions-cell", fields=("security__symbol",)
    )

    fixed = ("symbol", "name")
    in_files = {"actions": ()}
    default = ("price", "last", "off", "as_of", "source", "accounts", "actions")
    sort = "-accounts"
    noun = ("price", "prices")
