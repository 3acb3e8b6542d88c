"""The paper market in words, for whoever sends orders to it."""

from trading.models import MarketSettings


def describe(market: MarketSettings | None = None) -> str:
    """What the paper market is at the moment: "Paper market: simulated, 60 times as fast, always open"."""
    market = market or MarketSettings.current()
    return f"Paper market: {', '.join(_traits(market))}"


def _traits(market):
    yield "simulated"
    if market.paper_speed > 1:
        yield f"{market.paper_speed:,} times as fast"
    yield "always open" if market.paper_always_open else "open in the market's sessions"
    if market.paper_rejects:
        yield f"rejects {market.paper_rejects.normalize():f} % of orders"
    if market.paper_outage:
        yield "does not answer now"
