"""What the pages of Trading have in common."""

from accounts.listing.pages import ListPage

SECTION = "trading"


class TradingList(ListPage):
    """A list of Trading; `tab` is which of its tabs it belongs to."""

    area = SECTION
    tab = "orders"

    def list_context(self, unfiltered):
        return {"section": SECTION, "tab": self.tab}
