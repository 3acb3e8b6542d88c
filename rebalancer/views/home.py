"""Home: the morning's page."""

from django.contrib.auth.decorators import login_required
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import SimpleLazyObject

from accounts.listing.figures import plural
from rebalancer import center, morning, selectors

from .center import SLUGS, tiles


@login_required
def home(request):
    """What came in, what was analysed, what waits and what needs somebody, of the accounts that this person sees."""
    counts = morning.tiles(request.user)
    facts, standings = morning.facts(request.user), center.counted(request.user)
    conditions = selectors.TILES.items()
    context = {
        "section": "home",
        "desk": facts,
        "queue": counts["all"],
        "conditions": [{"key": tile, "label": label, "accounts": counts[tile]} for tile, label in conditions],
        "tiles": tiles(standings, None),
        "book": SimpleLazyObject(lambda: selectors.book(request.user)),
        "accounts": sum(standing.accounts for standing in standings.values()),
        "needs": [_need(need, request.user) for need in morning.needs(facts, standings)],
        "requests": morning.requests(request.user),
    }
    return render(request, "rebalancer/home.html", context)


def _need(need, user):
    words = plural(need.count, need.one, need.many)
    return {"words": words, "hint": need.hint, "href": _where(need, user)}


def _where(need, user):
    """The page behind what somebody should look at; records are for those who see every account."""
    if need.status:
        return reverse("rebalancer:center_status", args=[SLUGS[need.status]])
    if need.delivery and user.sees_every_account:
        return reverse("rebalancer:delivery", args=[need.delivery])
    if need.run and user.sees_every_account:
        return reverse("rebalancer:run", args=[need.run])
    if need.prices:
        return reverse("rebalancer:questioned_prices")
    return reverse("rebalancer:pending") if need.pending else ""
