"""What the three tabs have in common."""

from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import SimpleLazyObject

from accounts.listing.answers import posted
from accounts.listing.memory import close_area
from accounts.listing.pages import ListPage
from rebalancer import selectors

AREA = "rebalancer"


def tab_context(user, here, queue=None):
    """What `rebalancer/_tabs.html` needs: `here` is "queue", "pending" or "history".

    `desk` and `book` are read where a template asks for them; `queue` is how many accounts that tab holds, if known.
    """
    return {
        "section": AREA,
        "tab": here,
        "desk": SimpleLazyObject(lambda: selectors.desk(user, queue)),
        "book": SimpleLazyObject(lambda: selectors.book(user)),
    }


class Tab(ListPage):
    """A list page that is one of the tabs; `screen` is its name."""

    area = AREA

    def list_context(self, unfiltered):
        return tab_context(self.request.user, self.screen)


@posted
def close(request):
    """The × of the navigation: filters and column layouts of the Rebalancer are dropped."""
    close_area(request.session, AREA)
    return HttpResponseRedirect(reverse("rebalancer:home"))
