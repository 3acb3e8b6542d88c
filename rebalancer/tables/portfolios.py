"""The tables of portfolios and models."""

from django.urls import reverse
from django.utils.html import format_html

from accounts.listing import figures
from accounts.listing.tables import (
    Column,
    CountColumn,
    ListTable,
    MomentColumn,
    MoneyColumn,
    PercentColumn,
    TitledColumn,
)


def linked(address):
    """A drawing of a row's name as a link to its page, the whole name on hover."""

    def draw(row):
        return format_html(
            '<a href="{}" title="{}">{}</a>', reverse(address, args=[row["pk"]]), row["name"], row["name"]
        )

    return draw


def named(row):
    return row["name"]


def out_of_tolerance(row):
    """How many, and what part of the accounts that is."""
    out, accounts = row["out_count"], row["accounts_count"]
    if not out:
        return "0"
    share = figures.percent_text(100 * out / accounts, 0)
    return format_html('{} <span class="quiet">{}</span>', figures.count_text(out), share)


class PortfolioTable(ListTable):
    """One row per portfolio; counts and sums are over the accounts that the person sees."""

    name = Column("Portfolio", draw=linked("rebalancer:portfolio"), fields=("name",), text=named, css="named")
    accounts = CountColumn("Accounts", "accounts_count", title="Open accounts held to it that you see")
    on = CountColumn("Rebalancing on", "on_count")
    market_value = MoneyColumn("Market value $", title="Of these accounts, as of their last check")
    managed_value = MoneyColumn("Managed $", title="Positions outside protected sleeves + cash − set-aside cash")
    out = CountColumn(
        "Out of tolerance", "out_count", draw=out_of_tolerance, fields=("accounts_count",),
        title="Accounts in which something triggers a rebalance, whatever their status",
    )  # fmt: skip
    attention = CountColumn("Need attention", "attention_count", title="Status Need Extra Attention")
    unable = CountColumn("Unable to check", "unable_count", title="Status Unable to Check")
    components = CountColumn("Components", "components_count", title="Cash included")
    cash_target = PercentColumn("Target cash")
    models = TitledColumn("Models in it", "models_text", css="clip")
    version = CountColumn("Version")
    changed_at = MomentColumn("Changed", optional=True)
    changed_by = Column("Changed by", optional=True)

    fixed = ("name",)
    default = ("accounts", "on", "market_value", "out", "attention", "unable", "cash_target", "models", "version",
               "changed_at")  # fmt: skip
    sort = "name"
    noun = ("portfolio", "portfolios")


class ModelTable(ListTable):
    """One row per model, with where it is used."""

    name = Column("Model", draw=linked("rebalancer:model"), fields=("name",), text=named, css="named")
    securities = CountColumn("Securities", "securities_count")
    portfolios = CountColumn("Portfolios", "portfolios_count")
    used_in = TitledColumn("Used in", "portfolios_text", css="clip wide")
    accounts = CountColumn("Accounts", "accounts_count", title="Open accounts held to it that you see")
    version = CountColumn("Version")
    changed_at = MomentColumn("Changed", optional=True)
    changed_by = Column("Changed by", optional=True)

    fixed = ("name",)
    sort = "name"
    noun = ("model", "models")
