from .fills import Fill
from .market import Feed, FileFormat, MarketDay, MarketSettings, OrderFile, PaperFill, PaperOrder, Route
from .tickets import Allocation, FlatMove, Order, OrderEvent, Ticket

__all__ = [
    "Allocation",
    "Feed",
    "FileFormat",
    "Fill",
    "FlatMove",
    "MarketDay",
    "MarketSettings",
    "Order",
    "OrderEvent",
    "OrderFile",
    "PaperFill",
    "PaperOrder",
    "Route",
    "Ticket",
]
