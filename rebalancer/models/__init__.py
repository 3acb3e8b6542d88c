from .batches import Alternative, Batch, BatchPrice, Entry, LotLine, PositionLine, TradeLine
from .checks import Check

__all__ = ["Alternative", "Batch", "BatchPrice", "Check", "Entry", "LotLine", "PositionLine", "TradeLine"]
