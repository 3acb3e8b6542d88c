"""What the frame of every page says: how old the prices are, and what concerns everybody."""

from datetime import timedelta

from django.core.cache import cache
from django.db.models import Subquery
from django.utils import timezone

from accounts.listing import figures
from accounts.models import Price
from accounts.selectors import MAY_BE_USED, prices_that_stop
from accounts.templatetags.frame import address
from rebalancer import booked, selectors
from trading.models import MarketSettings

KEPT = 10  # seconds
OLD = timedelta(days=4)  # longer than a weekend with a holiday; whether one account's prices are usable its check says
NOT_KNOWN = {"as_of": None, "source": "", "feed_trouble": "", "breaks": 0, "questioned": 0}
NOTHING = {"prices": None, "banners": []}


def frame(request):
    """Context processor: the price pill and the banners, at most some seconds old."""
    if not getattr(request, "user", None) or not request.user.is_authenticated:
        return NOTHING
    kept = cache.get_or_set("frame", _read, KEPT)
    banners = kept["banners"]
    if request.user.sees_every_account:
        banners = [*banners, *_for_desk(kept["breaks"], kept["questioned"])]
    return {"prices": _pill(kept["as_of"], kept["source"]), "banners": banners}


def _read():
    newest = Price.objects.filter(state__in=MAY_BE_USED).order_by("-as_of")
    as_of, source = (Subquery(newest.values(name)[:1]) for name in ("as_of", "source"))
    breaks = selectors.Rows(booked.accounts_with_breaks().order_by().values("pk"))
    questioned = selectors.Rows(prices_that_stop().order_by().values("pk"))
    market = MarketSettings.objects.annotate(as_of=as_of, source=source, breaks=breaks, questioned=questioned)
    found = market.values(*NOT_KNOWN).filter(pk=1).first() or NOT_KNOWN
    read = {name: found[name] for name in ("as_of", "source", "breaks", "questioned")}
    return read | {"banners": list(_banners(found["feed_trouble"]))}


def _banners(feed_trouble):
    """What concerns everybody: work that nobody takes up, and a feed that does not answer."""
    if selectors.work_is_waiting():
        waiting = "Work is waiting: nothing has taken it up for a while. What was asked for is stored and will be done."
        yield {"kind": "warn", "words": waiting}
    if feed_trouble:
        yield {"kind": "warn", "words": f"There are no new prices. {feed_trouble} The last ones stay, with their age."}


def _for_desk(breaks, questioned):
    """What concerns whoever sees every account: reconciliation breaks to be resolved, prices to be decided about."""
    if breaks:
        accounts = figures.plural(breaks, "account")
        words = f"{accounts} with a reconciliation break: the custodian delivered something else."
        yield {"kind": "warn", "words": words, "href": address("rebalancer:breaks"), "link": "See the breaks"}
    if questioned:
        what = figures.plural(questioned, "price is questioned", "prices are questioned")
        words = f"{what} and not used: accounts that hold or want the security are Unable to Check."
        yield {"kind": "warn", "words": words, "href": address("rebalancer:questioned_prices"), "link": "Decide"}


def _pill(as_of, source):
    if as_of is None:
        return {"words": "No prices yet", "simulated": False, "stale": True}
    age = timezone.now() - as_of
    return {
        "words": f"Prices {figures.clock_text(as_of)}, {_old(age)} old",
        "simulated": source == "simulated",
        "stale": age > OLD,
    }


def _old(age):
    """An age at a glance: 8 s, 12 min, 3 h, 2 d."""
    seconds = max(int(age.total_seconds()), 0)
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
