"""A batch as files: four tables in the columns people script against.

Amounts, quantities and weights are plain decimals as text, counts are numbers, a cell that does not apply is None.
"""

from collections.abc import Callable, Iterator

from django.db.models import QuerySet
from django.db.models.functions import Collate

from accounts.money import plain
from rebalancer import selectors
from rebalancer.models import Entry, LotLine, PositionLine, TradeLine

COLUMNS = {
    "accounts": (
        "account_number", "account_name", "result", "reason", "market_value", "managed_value",
        "beginning_available_cash", "ending_available_cash", "buys", "buys_value", "sells", "sells_value",
        "flat_trades", "flat_value", "short_term_gain", "long_term_gain", "estimated_gain",
    ),
    "trades": (
        "account_number", "sleeve", "symbol", "side", "quantity", "market_quantity", "flat_quantity", "price", "value",
        "short_term_gain", "long_term_gain", "reason",
    ),
    "lots": (
        "account_number", "sleeve", "symbol", "lot_id", "acquired_on", "quantity", "proceeds", "cost", "gain", "term",
        "use",
    ),
    "positions": (
        "account_number", "sleeve", "symbol", "quantity_before", "quantity_after", "price", "weight_before",
        "weight_after", "target_weight", "threshold_lower", "threshold_upper", "precision_lower", "precision_upper",
        "note",
    ),
}  # fmt: skip
ENTRIES_AT_ONCE = 500


def rows(what: str, chosen: QuerySet[Entry]) -> Iterator[tuple]:
    """The rows of one table of COLUMNS for these entries, by account number, sleeve and symbol.

    Accounts removed, failed or still waiting are rows of `accounts`, without figures, and have none in the others.
    """
    entries = chosen.order_by(Collate("account_number", "C"), "pk")
    if what == "accounts":
        yield from map(_account, entries.iterator(chunk_size=2000))
        return
    with_lines = entries.filter(state__in=selectors.WITH_FIGURES).values_list("pk", "account_number")
    line_rows: Callable = {"trades": _trades, "lots": _lots, "positions": _positions}[what]
    for some in _slices(with_lines.iterator(chunk_size=2000)):
        yield from line_rows(dict(some))


def _slices(found):
    while some := [pair for _, pair in zip(range(ENTRIES_AT_ONCE), found, strict=False)]:
        yield some


def _account(entry):
    named = (entry.account_number, entry.account_name, entry.state, entry.reason)
    if entry.state not in selectors.WITH_FIGURES:
        return named + (None,) * (len(COLUMNS["accounts"]) - len(named))
    return named + (
        _text(entry.market_value), _text(entry.managed_value), _text(entry.cash_before), _text(entry.cash_after),
        entry.buys, _text(entry.buys_value), entry.sells, _text(entry.sells_value), entry.flat_trades,
        _text(entry.flat_value), _text(entry.short_term_gain), _text(entry.long_term_gain), _text(entry.estimated_gain),
    )  # fmt: skip


def _trades(numbers):
    positions = {
        (line.entry_id, line.sleeve_id, line.security_id): line
        for line in PositionLine.objects.filter(entry__in=numbers)
    }
    for line in _lines(TradeLine, numbers, "side"):
        position = positions.get((line.entry_id, line.sleeve_id, line.security_id))
        yield (
            numbers[line.entry_id], line.sleeve, line.symbol, line.side, plain(line.quantity),
            plain(line.market_quantity), plain(line.flat_quantity), plain(line.price), _text(line.value),
            _text(line.short_term_gain), _text(line.long_term_gain), selectors.trade_reason(line, position),
        )  # fmt: skip


def _lots(numbers):
    for line in _lines(LotLine, numbers, "use", "acquired_on", "lot_id"):
        yield (
            numbers[line.entry_id], line.sleeve, line.symbol, line.lot_id, line.acquired_on.isoformat(),
            plain(line.quantity), _text(line.proceeds), _text(line.cost), _text(line.gain), line.term or None, line.use,
        )  # fmt: skip


def _positions(numbers):
    for line in _lines(PositionLine, numbers):
        yield (
            numbers[line.entry_id], line.sleeve, line.symbol, plain(line.quantity_before), plain(line.quantity_after),
            _plain(line.price), _plain(line.weight_before), _plain(line.weight_after), _plain(line.target_weight),
            _plain(line.threshold_lower), _plain(line.threshold_upper), _plain(line.precision_lower),
            _plain(line.precision_upper), selectors.position_note(line),
        )  # fmt: skip


def _lines(model, numbers, *then):
    """Lines of these entries in the order of the entries given, then by sleeve and symbol."""
    place = {entry: number for number, entry in enumerate(numbers)}
    by_sleeve = (Collate("sleeve", "C"), Collate("symbol", "C"), *then, "pk")
    found = model.objects.filter(entry__in=numbers).order_by(*by_sleeve)
    return sorted(found, key=lambda line: place[line.entry_id])


def _text(amount):
    return None if amount is None else f"{amount:f}"


def _plain(value):
    return None if value is None else plain(value)
