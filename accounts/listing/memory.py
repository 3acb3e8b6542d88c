"""What a person's session keeps of list pages, by area (a section of the product) and screen.

    session["listing"][area][kind][screen]     kind: "queries" (query strings), "layouts" (column names), "picks"

Closing an area forgets all of it at once; signing out ends the session and everything in it.
"""

KEY = "listing"


class Memory:
    """The session's memory of one area; a write happens only where something changes."""

    def __init__(self, session, area):
        self.session, self.area = session, area

    def recall(self, kind, screen, default=None):
        return self.session.get(KEY, {}).get(self.area, {}).get(kind, {}).get(screen, default)

    def keep(self, kind, screen, value):
        """Remember a value; an empty one is forgotten."""
        if self.recall(kind, screen) == (value or None):
            return
        shelf = self.session.setdefault(KEY, {}).setdefault(self.area, {}).setdefault(kind, {})
        if value:
            shelf[screen] = value
        else:
            shelf.pop(screen, None)
        self.session.modified = True


def close_area(session, area):
    """Drop the filters, layouts and shown selections of an area: what the × of the navigation does."""
    if session.get(KEY, {}).pop(area, None) is not None:
        session.modified = True


def is_open(session, area):
    """Whether there is anything that closing would drop."""
    return bool(session.get(KEY, {}).get(area))
