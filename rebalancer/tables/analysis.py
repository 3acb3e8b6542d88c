"""The table of the analysis of a request by account."""

from accounts.listing import figures
from accounts.listing.drift import drift_svg
from accounts.listing.figures import MODEL, band_text, percent_text, sleeve_text
from accounts.listing.markup import markup
from accounts.listing.tables import (
    ChoiceColumn,
    Column,
    CountColumn,
    ListTable,
    MoneyColumn,
    PointsColumn,
    TitledColumn,
)
from accounts.models import TaxStatus
from rebalancer.analysis import ABOVE, BELOW, CASH, CASH_WORDS, why_kept
from rebalancer.recommended import share_of_band
from rebalancer.states import EntryState

from .request import ENTRY_BADGES, FURTHEST, account_link
from .tabs import BANDS_SHOWN, NO_BAND

CASH_FIELDS = ("managed_value", "cash_before", "cash_after", "cash_target", "cash_lower", "cash_upper")


def cash_of(row):
    """Cash as a component of the account, in percent of V, like the figures of `furthest_position`."""
    before, after = (row[f"cash_{when}"] * 100 / row["managed_value"] for when in ("before", "after"))
    bounds = {name: row[f"cash_{name}"] for name in ("target", "lower", "upper")}
    return {"name": CASH, "sleeve": "", "weight": before, "after": after, **bounds}


def furthest_before(row):
    """The component furthest out for its band before the trades, cash or a position, with its figures."""
    cash, position = cash_of(row), row["furthest_position"]
    return position if position and _share(position) > _share(cash) else cash


def _share(one):
    return share_of_band((one["name"], one["weight"], one["target"], one["lower"], one["upper"]))


def with_component(points, name):
    return markup('{}<span class="below">{}</span>', figures.points_text(points), name or figures.UNKNOWN)


def drift_before(row):
    return with_component(row["drift_before"], furthest_before(row)["name"])


def drift_after(row):
    return with_component(row["drift_after"], row["drift_of"])


def picture(row):
    """What was furthest out before, where it is now and after, on a scale of its threshold; where that is too narrow
    for both, on one that tells them apart."""
    one = furthest_before(row)
    width = max(one["target"] - one["lower"], one["upper"] - one["target"]) or NO_BAND
    reach = max(BANDS_SHOWN * width, abs(one["weight"] - one["target"]), abs(one["after"] - one["target"]))
    return drift_svg(
        one["weight"], one["target"], one["lower"], one["upper"], after=one["after"], reach=reach, name=named(one)
    )


def named(one):
    """A component with the model it is held for: one security may be in several sleeves, each with a band."""
    return f"{one['name']} in {sleeve_text(one['sleeve'])}" if one["sleeve"].startswith(MODEL) else one["name"]


def remains(row):
    """What is still outside and why, in words: the position furthest out, else cash, and how many more there are."""
    if not row["outside_after"]:
        return ""
    more = row["outside_after"] - 1
    words = _position_words(row["remaining_position"]) or _cash_words(cash_of(row))
    return f"{words}; and {figures.plural(more, 'more component', 'more components')}" if more else words


def _position_words(one):
    if one is None:
        return ""
    band = band_text(one["lower"], one["upper"])
    return f"{named(one)} {percent_text(one['weight'])}, threshold {band}: {why_kept(one['note'], one['other'])}"


def _cash_words(cash):
    side = ABOVE if cash["after"] > cash["upper"] else BELOW
    band = band_text(cash["lower"], cash["upper"])
    return f"{CASH} {percent_text(cash['after'])}, threshold {band}: {CASH_WORDS[side]}"


def remains_cell(row):
    return remains(row) or markup('<span class="quiet">{}</span>', "nothing")


class AnalysisTable(ListTable):
    """One row per account of a request that has figures: its drift before and after, and what remains outside."""

    number = Column("Account", "account_number", draw=account_link, fields=("batch", "pk"))
    name = TitledColumn("Name", "account_name", css="", link="rebalancer:account", link_key="account")
    drift_before = PointsColumn(
        "Drift before", "drift_before", draw=drift_before, fields=("furthest_position", *CASH_FIELDS), optional=True,
        title=FURTHEST,
    )  # fmt: skip
    before_of = Column(
        "Furthest before", draw=lambda row: furthest_before(row)["name"], text=lambda row: furthest_before(row)["name"],
        fields=("furthest_position", *CASH_FIELDS), orderable=False, title=FURTHEST,
    )  # fmt: skip
    picture = Column(
        "Before and after", draw=picture, text=lambda row: "", fields=("furthest_position", *CASH_FIELDS),
        orderable=False, css="", title="What was furthest out before: band, target, weight now, and the ring after",
    )  # fmt: skip
    drift_after = PointsColumn(
        "Drift after", "drift_after", draw=drift_after, fields=("drift_of",), optional=True, title=FURTHEST
    )
    drift_of = Column("Furthest after", title=FURTHEST)
    outside_before = CountColumn("Outside before", title="Components outside their threshold before, cash too")
    outside_after = CountColumn("Outside after", title="Components outside their threshold after, cash too")
    remains = Column(
        "What remains outside, and why", draw=remains_cell, text=remains, css="reason roomy", orderable=False,
        fields=("remaining_position", "outside_after", *CASH_FIELDS),
    )  # fmt: skip
    result = ChoiceColumn("Result", "state", choices=EntryState.choices, badges=ENTRY_BADGES)
    managed_value = MoneyColumn("Managed value $", optional=True)
    tax_status = ChoiceColumn("Tax status", choices=TaxStatus.choices)
    portfolio = TitledColumn("Portfolio", "portfolio_name")
    advisor = TitledColumn("Advisor", "advisor_name", optional=True)
    custodian = TitledColumn("Custodian", "account__custodian__name", optional=True)
    household = TitledColumn("Household", "account__household__name", optional=True)

    fixed = ("number", "name")
    default = (
        "managed_value", "drift_before", "picture", "drift_after", "outside_before", "outside_after", "remains",
    )  # fmt: skip
    in_files = {
        "drift_before": ("before_of", "drift_before"), "picture": (), "drift_after": ("drift_of", "drift_after"),
    }  # fmt: skip
    sort = "number"
