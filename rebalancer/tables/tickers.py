"""The analysis of a request by ticker as a file: one row for each security, and cash."""

from accounts.listing.tables import Column, CountColumn, MoneyColumn, PercentColumn, PointsColumn
from rebalancer.analysis import ByTicker

TICKER_COLUMNS = {
    "symbol": Column("Security"),
    "name": Column("Name"),
    "before": PercentColumn("Before %"),
    "target": PercentColumn("Target %"),
    "after": PercentColumn("After %"),
    "drift_before": PointsColumn("Drift before pp"),
    "lower": PercentColumn("Threshold lower %"),
    "upper": PercentColumn("Threshold upper %"),
    "drift_after": PointsColumn("Drift after pp"),
    "bought": MoneyColumn("Bought $"),
    "sold": MoneyColumn("Sold $"),
    "outside_before": CountColumn("Accounts outside before"),
    "outside_after": CountColumn("Accounts outside after"),
}
PLACES = 6  # of a percentage, as everywhere in files


def ticker_rows(found: ByTicker, names: dict[str, str]):
    """Values for TICKER_COLUMNS; `names` are those of the securities by symbol."""
    for one in [*found.tickers, *([found.cash] if found.cash else [])]:
        row = {name: getattr(one, name) for name in TICKER_COLUMNS if name != "name"}
        shares = {name: round(row[name], PLACES) for name, column in TICKER_COLUMNS.items()
                  if isinstance(column, PercentColumn | PointsColumn)}  # fmt: skip
        yield row | shares | {"name": names.get(one.symbol, "")}
