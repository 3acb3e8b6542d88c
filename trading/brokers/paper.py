"""The paper market: a simulated broker whose books are the tables PaperOrder and PaperFill, and nothing else.

What becomes of an order is planned when it comes in (`simulation`) from its figures, the settings of that moment and
the seed, so the same order at the same moment has the same fills. Afterwards time alone goes on: whoever asks has the
fills written that are due by then.

Unless it is always open, an order trades in the session that is on, else in the next one. From the moment it can be
traded its clock goes `paper_speed` times as fast as others; waiting for the market to open takes as long as it takes.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from operator import itemgetter
from random import Random

from django.db import transaction
from django.db.models import Count, Max
from django.utils import timezone

from accounts.models import Price
from accounts.money import plain
from accounts.selectors import MAY_BE_USED
from trading import hours
from trading.models import MarketSettings, PaperFill, PaperOrder
from trading.states import SLICED, Algorithm, OrderState

from . import simulation
from .base import BrokerDown, FillReport, Instruction, RefusedByBroker, Report

SECONDS = itemgetter(0)  # of a planned fill
IN_WORK = (OrderState.WORKING, OrderState.PENDING_CANCEL)
# With less than was ordered. No figures: who sees a part of a block reads these words too.
ENDS = {
    OrderState.CANCELLED: "what was not filled was taken back, as asked",
    OrderState.EXPIRED: "its time was over before all of it was filled",
}
ALWAYS_OPEN_FOR = timedelta(hours=1)  # how long an order lives, of the market's time, while that never closes
ALWAYS_OPEN_LIMIT = timedelta(hours=6.5)
REASONS = (
    "The symbol is halted",
    "It is above the desk's limit for one order",
    "The price is outside of the market's band",
    "The clearing firm did not accept it",
)


class Paper:
    """The broker "paper". Each call takes the moment it is made at, so that a test need not wait."""

    can_cancel = True
    takes_lots = True

    @property
    def is_live(self) -> bool:
        """Without sessions none can be over: while it is always open, it ends its orders by itself."""
        return not MarketSettings.current().paper_always_open

    def submit(self, order: Instruction, now: datetime | None = None) -> Report:
        market, now = _reached(), now or timezone.now()
        known = PaperOrder.objects.filter(client_order_id=order.client_order_id).first()
        row = known or _received(order, market, now)
        if row.state == OrderState.REJECTED:
            raise RefusedByBroker(row.words)
        return _report(row)

    def cancel(self, client_order_id: str, now: datetime | None = None) -> None:
        market, now = _reached(), now or timezone.now()
        if not _advance([client_order_id], now):
            raise RefusedByBroker("The paper market does not know this order")
        takes_effect = now + timedelta(seconds=market.paper_latency)
        with transaction.atomic():
            row = PaperOrder.objects.select_for_update().get(client_order_id=client_order_id)
            if row.state == OrderState.WORKING:
                # What somebody whose clock is ahead has been told already is not taken back.
                told = row.fills.aggregate(last=Max("at"))["last"] or takes_effect
                row.state, row.cancelled_at = OrderState.PENDING_CANCEL, max(takes_effect, told)
                row.save(update_fields=["state", "cancelled_at"])
        if row.state not in (OrderState.PENDING_CANCEL, OrderState.CANCELLED):
            raise RefusedByBroker(f"Too late: the order is {row.get_state_display().lower()}")

    def lookup(self, client_order_ids: Sequence[str], now: datetime | None = None) -> dict[str, Report]:
        _reached()
        rows = _advance(client_order_ids, now or timezone.now())
        return {row.client_order_id: _report(row) for row in rows}

    def fills(self, client_order_ids: Sequence[str], now: datetime | None = None) -> list[FillReport]:
        _reached()
        rows = _advance(client_order_ids, now or timezone.now())
        name = {row.pk: row.client_order_id for row in rows}
        found = PaperFill.objects.filter(order__in=name).order_by("at", "pk")
        return [FillReport(one.execution_id, name[one.order_id], one.quantity, one.price, one.at) for one in found]


def _reached() -> MarketSettings:
    """The settings as they are now; BrokerDown where they say that the market does not answer."""
    market = MarketSettings.current()
    if market.paper_outage:
        raise BrokerDown("its outage is switched on in the market settings")
    return market


def _report(row):
    return Report(row.client_order_id, OrderState(row.state), f"PAPER-{row.pk}", row.words)


# --- an order comes in ----------------------------------------------------------------------------------------------


def _received(order, market, now):
    """The order in the books, planned or rejected; whoever else brought it in at the same moment was first."""
    row = PaperOrder(
        client_order_id=order.client_order_id, symbol=order.symbol, side=order.side, quantity=order.quantity,
        quantity_step=order.quantity_step, algorithm=order.algorithm, limit_price=order.limit_price,
        starts_at=order.starts_at, ends_at=order.ends_at, participation=order.participation,
        extended_hours=order.extended_hours, price=_last_price(order), received_at=now, ends=now,
        seed=market.paper_seed, speed=market.paper_speed, state=OrderState.WORKING,
    )  # fmt: skip
    try:
        _accept(row, market)
    except RefusedByBroker as refused:
        row.state, row.words = OrderState.REJECTED, str(refused)
    PaperOrder.objects.bulk_create([row], ignore_conflicts=True)
    return PaperOrder.objects.get(client_order_id=order.client_order_id)


def _last_price(order):
    """The newest price that may be used, else the one that came with the order."""
    found = Price.objects.filter(security__symbol=order.symbol, state__in=MAY_BE_USED).order_by("-as_of", "-pk")
    return found.values_list("price", flat=True).first() or order.price


def _accept(row, market):
    _refuse_nonsense(row)
    chance = Random(f"{_key(row)}/rejected")
    if chance.random() * 100 < market.paper_rejects:
        raise RefusedByBroker(chance.choice(REASONS))
    clock = _clock(row, market)
    trade = simulation.Market(market.paper_spread, market.paper_hourly_volume, clock.is_extended)
    row.plan = [
        [clock.seconds_after(row.received_at, fill.seconds), plain(fill.quantity), plain(fill.price)]
        for fill in simulation.plan(_simulated(row), clock.window, trade)
    ]
    row.ends, row.words = clock.moment(clock.window.end), clock.waits


def _refuse_nonsense(row):
    """What no broker would take."""
    step, limited = row.quantity_step, row.algorithm == Algorithm.LIMIT
    if row.quantity <= 0 or step <= 0 or row.quantity % step:
        raise RefusedByBroker(f"{plain(row.quantity)} is no quantity in whole steps of {plain(step)}")
    if row.price <= 0:
        raise RefusedByBroker(f"There is no price of {row.symbol}")
    if limited and not (row.limit_price and row.limit_price > 0):
        raise RefusedByBroker("A limit order needs a limit price")
    if row.extended_hours and not limited:
        raise RefusedByBroker("Outside regular hours only limit orders are taken")


def _key(row):
    return f"{row.seed}/{row.client_order_id}"


def _simulated(row):
    return simulation.Order(
        key=_key(row), side=row.side, algorithm=row.algorithm, quantity=row.quantity, step=row.quantity_step,
        price=row.price, limit=row.limit_price, participation=row.participation,
    )  # fmt: skip


# --- when it trades -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Clock:
    """The market's clock of one order: at `zero` it shows 0, and from then on it goes `speed` times as fast."""

    zero: datetime
    speed: int
    window: simulation.Window
    is_extended: bool = False
    waits: str = ""  # in words, until when

    def moment(self, seconds: float) -> datetime:
        return self.zero + timedelta(seconds=seconds / self.speed)

    def seconds_after(self, received_at: datetime, seconds: float) -> float:
        return round((self.moment(seconds) - received_at).total_seconds(), 6)


def _clock(row, market):
    acknowledged = row.received_at + timedelta(seconds=market.paper_latency)
    return _clock_always_open(row, acknowledged) if market.paper_always_open else _clock_in_session(row, acknowledged)


def _clock_always_open(row, zero):
    """A session of its own begins with the order and lasts as long as its window."""
    lasts = ALWAYS_OPEN_LIMIT if row.algorithm == Algorithm.LIMIT else ALWAYS_OPEN_FOR
    if row.algorithm in SLICED and row.starts_at and row.ends_at:
        lasts = row.ends_at - row.starts_at
    end = lasts.total_seconds()
    if end <= 0:
        raise RefusedByBroker("Its window ends before it starts")
    return _Clock(zero, row.speed, simulation.Window(0, end, 0, end))


def _clock_in_session(row, acknowledged):
    session = hours.next_session(row.received_at, extended=row.extended_hours)
    if session is None:
        raise BrokerDown("The paper market does not know its hours yet")
    opens_at, closes_at = session.reach(extended=row.extended_hours)
    zero = max(acknowledged, opens_at)
    start, end = _window(row, zero, closes_at)
    seconds = (_seconds(zero, one) for one in (start, end, opens_at, closes_at))
    is_regular = session.opens_at <= zero < session.closes_at
    waits = "" if zero == acknowledged else f"It waits for the session of {session.day:%A %Y-%m-%d}"
    return _Clock(zero, row.speed, simulation.Window(*seconds), row.extended_hours and not is_regular, waits)


def _window(row, zero, closes_at):
    """From when to when it trades; the window of a sliced order is cut to what is left of the session."""
    start, end = zero, closes_at
    if row.algorithm in SLICED:
        start, end = max(start, row.starts_at or start), min(end, row.ends_at or end)
    if start >= end:
        raise RefusedByBroker("It came too late: nothing is left of its time in this session")
    return start, end


def _seconds(zero, moment):
    return (moment - zero).total_seconds()


# --- time goes on ---------------------------------------------------------------------------------------------------


def _advance(client_order_ids, now):
    """The orders as they are now, with the fills written that are due."""
    known = PaperOrder.objects.filter(client_order_id__in=client_order_ids)
    rows = list(known.annotate(written=Count("fills")).order_by("pk"))
    late = {row.pk: row.written for row in rows if _is_late(row, now)}
    if not late:
        return rows
    _catch_up(late, now)
    return list(known.order_by("pk"))


def _is_late(row, now):
    return row.state in IN_WORK and (_due(row, now) > row.written or _state(row, now) != row.state)


@transaction.atomic
def _catch_up(written, now):
    """Write what is due of these orders, of which so many fills are written. Others doing the same write the same."""
    rows = list(PaperOrder.objects.select_for_update().filter(pk__in=written, state__in=IN_WORK).order_by("pk"))
    fills = [_fill(row, place) for row in rows for place in range(written[row.pk], _due(row, now))]
    PaperFill.objects.bulk_create(fills, ignore_conflicts=True)
    for row in rows:
        row.state = _state(row, now)
        row.words = _words(row, now)
    PaperOrder.objects.bulk_update(rows, ["state", "words"], batch_size=500)


def _stops(row):
    """When nothing is filled any more."""
    return min(row.ends, row.cancelled_at or row.ends)


def _due(row, now):
    """How many fills of its plan, from the first, are due."""
    passed = (min(now, _stops(row)) - row.received_at).total_seconds()
    return bisect_right(row.plan, passed, key=SECONDS)


def _fill(row, place):
    seconds, quantity, price = row.plan[place]
    return PaperFill(
        order=row, execution_id=f"{row.client_order_id}-{place + 1}", quantity=Decimal(quantity),
        price=Decimal(price), at=row.received_at + timedelta(seconds=seconds),
    )  # fmt: skip


def _filled(row, now):
    return sum((Decimal(quantity) for _, quantity, _ in row.plan[: _due(row, now)]), Decimal(0))


def _state(row, now):
    if _filled(row, now) == row.quantity:
        return OrderState.FILLED
    if now < _stops(row):
        return OrderState.PENDING_CANCEL if row.cancelled_at else OrderState.WORKING
    return OrderState.CANCELLED if row.cancelled_at and row.cancelled_at <= row.ends else OrderState.EXPIRED


def _words(row, now):
    if row.state in ENDS:
        return ENDS[row.state]
    return "" if _due(row, now) else row.words
