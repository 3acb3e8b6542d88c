"""The demo firm: brought in through the files of a book like any other, and then what files can't say."""

from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone

from accounts.models import Account, Role, Security, User
from accounts.services.accounts import switch_rebalancing
from accounts.services.prices import Quote, store_prices
from rebalancer.book.demo import HOLDINGS, DemoBook, number
from rebalancer.services import analysing, deliveries
from trading.models import MarketSettings
from trading.services.market_days import keep_days
from trading.sessions import last_completed_session

PASSWORD = "rebalance-demo"
# Whoever looks at the demo, looks at it now: on a Sunday, too, and for minutes.
PAPER_MARKET = {"paper_always_open": True, "paper_speed": 60}
SOURCE = "simulated"
PEOPLE = {
    "advisor1": ("Maya", "Osei", Role.ADVISOR),
    "advisor2": ("Daniel", "Brandt", Role.ADVISOR),
    "advisor3": ("Sofia", "Marchetti", Role.ADVISOR),
    "operations": ("Olivia", "Chen", Role.OPERATIONS),
    "admin": ("Adrian", "Wolfe", Role.ADMINISTRATOR),
}


def is_there():
    """Whether the demo firm is in the database."""
    return Account.objects.filter(number=number(0)).exists()


def seed(progress=None):
    """Bring the demo firm in unless it is there, and analyse it; return whether it was brought in."""
    if is_there():
        return False
    with transaction.atomic():
        _people()
        MarketSettings.objects.update(**PAPER_MARKET)
        keep_days()
        _deliver(DemoBook(last_completed_session()), progress)
    analysing.analyse()
    return True


def _people():
    groups = {group.name: group for group in Group.objects.all()}
    for username, (first, last, role) in PEOPLE.items():
        person, made = User.objects.get_or_create(
            username=username,
            defaults={"first_name": first, "last_name": last, "is_staff": role == Role.ADMINISTRATOR},
        )
        if made:
            person.set_password(PASSWORD)
            person.save()
            person.groups.add(groups[role.value])


def _deliver(book, progress):
    _receive(book.first, book.session, progress)
    now = timezone.now()
    keys = dict(Security.objects.filter(symbol__in=HOLDINGS).values_list("symbol", "pk"))
    store_prices(Quote(pk, Decimal(str(HOLDINGS[symbol].price)), now, SOURCE) for symbol, pk in keys.items())
    _receive(book.later, book.session, progress)
    switch_rebalancing(Account.objects.filter(number__in=book.switched), on=True, by=None)


def _receive(files, session, progress):
    with TemporaryDirectory(prefix="demo-") as folder:
        for name, text in files.items():
            (Path(folder) / name).write_text(text, encoding="utf-8", newline="")
        outcome = deliveries.receive(folder, session, progress=progress)
    assert not outcome.refused, [str(problem) for file in outcome.refused for problem in file.problems]
