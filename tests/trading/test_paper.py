"""The paper market: the same order, the same fills; in the market's sessions, at the speed and with the faults set."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from tests import factories as make
from trading.brokers import broker, simulation
from trading.brokers.base import BrokerDown, Instruction, RefusedByBroker
from trading.brokers.paper import Paper
from trading.models import MarketDay, MarketSettings, PaperFill, PaperOrder
from trading.services.market import describe
from trading.services.market_days import keep_days
from trading.states import Algorithm, OrderState, Side

pytestmark = pytest.mark.django_db

NEW_YORK = ZoneInfo("America/New_York")
FRIDAY, SATURDAY, MONDAY = date(2026, 11, 20), date(2026, 11, 21), date(2026, 11, 23)
THANKSGIVING, DAY_AFTER = date(2026, 11, 26), date(2026, 11, 27)
PAPER = Paper()


def at(day, clock):
    """A moment in New York."""
    return datetime.combine(day, time.fromisoformat(clock), NEW_YORK)


@pytest.fixture(autouse=True)
def _days(db):
    keep_days(datetime(2026, 11, 21, tzinfo=UTC))
    market(latency=0)


def market(**settings):
    """Set the paper market: market(speed=60)."""
    MarketSettings.objects.update(**{f"paper_{name}": value for name, value in settings.items()})


def order(algorithm=Algorithm.MARKET, quantity=500, name="C1", **fields):
    fields = {"symbol": "VTI", "side": Side.BUY, "price": Decimal(100), "quantity_step": Decimal(1)} | fields
    return Instruction(
        client_order_id=name, ticket_id=1, custodian_id=None, algorithm=algorithm, quantity=Decimal(quantity), **fields
    )


def window(start, end, day=FRIDAY):
    return {"starts_at": at(day, start), "ends_at": at(day, end)}


def filled(now, name="C1"):
    return sum(fill.quantity for fill in PAPER.fills([name], now))


def state(now, name="C1"):
    return PAPER.lookup([name], now)[name].state


def submitted(instruction, now):
    PAPER.submit(instruction, now)
    return PAPER.fills([instruction.client_order_id], now + timedelta(days=9))


def moments(fills):
    return [fill.at.astimezone(NEW_YORK) for fill in fills]


# --- the same order, the same fills -----------------------------------------------------------------------------


def told(fills):
    return [(fill.quantity, fill.price, fill.at) for fill in fills]


@pytest.mark.parametrize("algorithm", [Algorithm.MARKET, Algorithm.TWAP, Algorithm.VWAP])
def test_the_same_seed_order_and_moment_make_the_same_fills(algorithm):
    now = at(FRIDAY, "10:00")
    first = submitted(order(algorithm), now)
    PaperOrder.objects.all().delete()
    assert told(submitted(order(algorithm), now)) == told(first)
    other = submitted(order(algorithm, name="C2"), now)
    PaperOrder.objects.all().delete()
    market(seed=8)
    assert told(submitted(order(algorithm), now)) not in (told(first), told(other))
    assert told(other) != told(first)


def test_the_same_id_again_is_the_same_order():
    first = PAPER.submit(order(), at(FRIDAY, "10:00"))
    again = PAPER.submit(order(quantity=900), at(FRIDAY, "10:05"))
    assert again.reference == first.reference
    assert PaperOrder.objects.get().quantity == 500


def test_the_settings_reach_it_by_its_name():
    assert isinstance(broker("paper"), Paper)
    assert (PAPER.can_cancel, PAPER.takes_lots, PAPER.is_live) == (True, True, True)
    market(always_open=True)
    assert not PAPER.is_live  # no session's end is the end of its orders


# --- how each algorithm fills ---------------------------------------------------------------------------------------


def test_a_market_order_fills_in_a_few_parts_within_seconds_on_its_side_of_the_spread():
    market(spread=Decimal(2))
    now = at(FRIDAY, "10:00")
    fills = [submitted(order(name=f"B{number}"), now) for number in range(30)]
    assert {len(one) for one in fills} == {1, 2, 3, 4}
    assert all(sum(fill.quantity for fill in one) == 500 for one in fills)
    assert all(now <= fill.at <= now + timedelta(seconds=15) for one in fills for fill in one)
    assert all(Decimal("100.9") < fill.price < Decimal("101.1") for one in fills for fill in one)
    (sold, *_) = submitted(order(name="S1", side=Side.SELL), now)
    assert Decimal("98.9") < sold.price < Decimal("99.1")


def test_the_newest_price_that_may_be_used_counts():
    make.price("VTI", 200, datetime(2026, 11, 19, tzinfo=UTC))
    make.price("VTI", 250, datetime(2026, 11, 20, tzinfo=UTC))
    make.price("VTI", 900, datetime(2026, 11, 21, tzinfo=UTC), state="questioned")
    (fill, *_) = submitted(order(), at(FRIDAY, "10:00"))
    assert Decimal(249) < fill.price < Decimal(251)


def test_a_twap_has_even_slices_over_its_window():
    fills = submitted(order(Algorithm.TWAP, 1205, **window("11:00", "12:00")), at(FRIDAY, "10:00"))
    assert Counter(fill.quantity for fill in fills) == {100: 7, 101: 5}  # 12 slices of five minutes
    five = timedelta(minutes=5)
    for number, moment in enumerate(moments(fills)):
        assert at(FRIDAY, "11:00") + number * five < moment < at(FRIDAY, "11:00") + (number + 1) * five


def test_a_twap_without_a_window_takes_the_rest_of_the_session():
    fills = submitted(order(Algorithm.TWAP, 1000), at(FRIDAY, "14:00"))
    assert len(fills) == 24
    assert at(FRIDAY, "14:00") < moments(fills)[0] < at(FRIDAY, "14:05")
    assert at(FRIDAY, "15:55") < moments(fills)[-1] < at(FRIDAY, "16:00")


def test_a_vwap_follows_the_sessions_volume():
    fills = submitted(order(Algorithm.VWAP, 100_000), at(FRIDAY, "09:30"))
    traded = [0.0] * 6
    for fill in fills:
        traded[int((fill.at - at(FRIDAY, "09:30")).total_seconds() // 3900)] += float(fill.quantity)
    assert sum(traded) == 100_000
    assert traded[0] > 1.5 * traded[1] > 1.5 * traded[2]
    assert traded[5] > 1.5 * traded[4] > 1.5 * traded[3]


def test_a_vwap_in_the_morning_falls_and_in_the_afternoon_rises():
    morning = submitted(order(Algorithm.VWAP, 10_000, "M", **window("09:30", "10:30")), at(FRIDAY, "09:30"))
    later = submitted(order(Algorithm.VWAP, 10_000, "A", **window("15:00", "16:00")), at(FRIDAY, "09:30"))
    assert morning[0].quantity > 1.2 * float(morning[-1].quantity)
    assert later[-1].quantity > 1.2 * float(later[0].quantity)


@pytest.mark.parametrize("algorithm", [Algorithm.TWAP, Algorithm.VWAP])
def test_a_small_participation_leaves_a_rest_that_expires_with_the_window(algorithm):
    market(hourly_volume=10_000)
    PAPER.submit(order(algorithm, 5000, participation=Decimal(10), **window("11:00", "12:00")), at(FRIDAY, "10:00"))
    assert state(at(FRIDAY, "11:59:59")) == OrderState.WORKING
    assert state(at(FRIDAY, "12:00")) == OrderState.EXPIRED
    assert filled(at(FRIDAY, "12:00")) == 1000  # a tenth of an hour's volume
    assert PAPER.lookup(["C1"], at(FRIDAY, "13:00"))["C1"].words == "its time was over before all of it was filled"


@pytest.mark.parametrize(("side", "limit"), [(Side.BUY, "99.80"), (Side.SELL, "100.20")])
def test_a_limit_is_never_passed(side, limit):
    now, limit = at(FRIDAY, "09:30"), Decimal(limit)
    names = [f"L{number}" for number in range(40)]
    for name in names:
        PAPER.submit(order(Algorithm.LIMIT, 60_000, name, side=side, limit_price=limit), now)
    fills = PAPER.fills(names, at(FRIDAY, "16:00"))
    assert all(fill.price <= limit if side == Side.BUY else fill.price >= limit for fill in fills)
    reports = PAPER.lookup(names, at(FRIDAY, "16:00")).values()
    assert {report.state for report in reports} == {OrderState.FILLED, OrderState.EXPIRED}  # some paths never get there
    assert max(Counter(fill.client_order_id for fill in fills).values()) > 1  # in parts, as the volume allows


def test_a_limit_far_away_expires_unfilled_at_the_close():
    PAPER.submit(order(Algorithm.LIMIT, limit_price=Decimal(50)), at(FRIDAY, "10:00"))
    assert state(at(FRIDAY, "15:59")) == OrderState.WORKING
    assert state(at(FRIDAY, "16:00")) == OrderState.EXPIRED
    assert filled(at(FRIDAY, "16:00")) == 0


def test_a_fund_has_one_fill_at_the_close_in_its_own_steps():
    fund = order(Algorithm.NAV, "12.345", symbol="FUND", quantity_step=Decimal("0.001"), price=Decimal("31.17"))
    (fill,) = submitted(fund, at(FRIDAY, "10:00"))
    assert (fill.quantity, fill.price) == (Decimal("12.345"), Decimal("31.17"))
    assert fill.at == at(FRIDAY, "16:00")
    assert state(at(FRIDAY, "16:00")) == OrderState.FILLED


def test_slices_are_whole_steps():
    fills = submitted(order(Algorithm.TWAP, "1.007", quantity_step=Decimal("0.001")), at(FRIDAY, "10:00"))
    assert sum(fill.quantity for fill in fills) == Decimal("1.007")
    assert all(fill.quantity % Decimal("0.001") == 0 for fill in fills)
    assert len(submitted(order(Algorithm.TWAP, 3, "few"), at(FRIDAY, "10:00"))) == 3


# --- when it trades -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "day", "opens"),
    [
        (at(FRIDAY, "08:00"), FRIDAY, "09:30"),
        (at(FRIDAY, "16:00"), MONDAY, "09:30"),
        (at(SATURDAY, "12:00"), MONDAY, "09:30"),
        (at(THANKSGIVING, "12:00"), DAY_AFTER, "09:30"),
        (at(DAY_AFTER, "13:00"), date(2026, 11, 30), "09:30"),
    ],
)
def test_an_order_sent_while_the_market_is_closed_waits_for_the_next_session(sent, day, opens):
    market(speed=60)  # nobody waits faster
    report = PAPER.submit(order(), sent)
    assert report.words == f"It waits for the session of {day:%A %Y-%m-%d}"
    assert filled(at(day, opens)) == 0
    assert filled(at(day, opens) + timedelta(seconds=15)) == 500


def test_at_an_early_close_the_day_ends():
    PAPER.submit(order(Algorithm.LIMIT, limit_price=Decimal(50)), at(DAY_AFTER, "10:00"))
    assert state(at(DAY_AFTER, "12:59")) == OrderState.WORKING
    assert state(at(DAY_AFTER, "13:00")) == OrderState.EXPIRED
    fills = submitted(order(Algorithm.TWAP, 1000, "T"), at(DAY_AFTER, "10:00"))
    assert moments(fills)[-1] < at(DAY_AFTER, "13:00")
    (fund,) = submitted(order(Algorithm.NAV, 5, "F"), at(DAY_AFTER, "10:00"))
    assert fund.at == at(DAY_AFTER, "13:00")


def test_a_window_beyond_the_close_is_cut_to_it():
    fills = submitted(order(Algorithm.TWAP, 1000, **window("12:00", "15:00", DAY_AFTER)), at(DAY_AFTER, "10:00"))
    assert at(DAY_AFTER, "12:00") < moments(fills)[0] < moments(fills)[-1] < at(DAY_AFTER, "13:00")


def test_a_window_of_which_nothing_is_left_is_refused():
    with pytest.raises(RefusedByBroker, match="It came too late"):
        PAPER.submit(order(Algorithm.TWAP, **window("10:00", "11:00")), at(FRIDAY, "11:00"))
    assert state(at(FRIDAY, "11:00")) == OrderState.REJECTED


def test_extended_hours_reach_from_four_to_eight_and_are_thin():
    limit = {"limit_price": Decimal(110), "extended_hours": True}
    evening = submitted(order(Algorithm.LIMIT, 5000, "E", **limit), at(FRIDAY, "17:00"))
    assert at(FRIDAY, "17:00") <= moments(evening)[0]
    assert moments(evening)[-1] < at(FRIDAY, "20:00")
    regular = submitted(order(Algorithm.LIMIT, 5000, "R", **limit), at(FRIDAY, "12:00"))
    assert len(regular) < len(evening)
    night = submitted(order(Algorithm.LIMIT, 5000, "N", **limit), at(FRIDAY, "21:00"))
    assert at(MONDAY, "04:00") <= moments(night)[0] < at(MONDAY, "04:15")
    PAPER.submit(order(Algorithm.LIMIT, name="U", limit_price=Decimal(1), extended_hours=True), at(FRIDAY, "17:00"))
    assert state(at(FRIDAY, "19:59"), "U") == OrderState.WORKING
    assert state(at(FRIDAY, "20:00"), "U") == OrderState.EXPIRED


def test_at_sixty_an_hours_twap_takes_a_minute():
    market(speed=60)
    PAPER.submit(order(Algorithm.TWAP, 1200, **window("10:00", "11:00")), at(FRIDAY, "10:00"))
    assert 500 <= filled(at(FRIDAY, "10:00:30")) <= 700
    assert filled(at(FRIDAY, "10:01")) == 1200
    assert state(at(FRIDAY, "10:01")) == OrderState.FILLED


def test_always_open_means_at_once_whatever_the_clock():
    market(always_open=True, speed=60)
    now = at(SATURDAY, "03:00")
    assert filled_within_a_second(now)
    PAPER.submit(order(Algorithm.TWAP, 1200, "T", **window("10:00", "12:00", MONDAY)), now)
    assert 500 <= filled(now + timedelta(seconds=60), "T") <= 700
    assert filled(now + timedelta(seconds=120), "T") == 1200
    (fund,) = submitted(order(Algorithm.NAV, 5, "F"), now)
    assert fund.at == now + timedelta(minutes=1)


def filled_within_a_second(now):
    PAPER.submit(order(), now)
    return filled(now + timedelta(seconds=1)) == 500


def test_always_open_needs_no_calendar():
    market(always_open=True)
    MarketDay.objects.all().delete()
    assert len(submitted(order(Algorithm.VWAP, 1000), at(SATURDAY, "03:00"))) == 12


def test_without_its_hours_the_market_is_down_and_keeps_nothing():
    MarketDay.objects.all().delete()
    with pytest.raises(BrokerDown):
        PAPER.submit(order(), at(FRIDAY, "10:00"))
    assert not PaperOrder.objects.exists()


# --- faults ---------------------------------------------------------------------------------------------------------


def is_refused(instruction, now):
    try:
        PAPER.submit(instruction, now)
    except RefusedByBroker as no:
        return bool(str(no))
    return False


def test_it_rejects_as_many_as_set_and_the_same_again():
    market(rejects=Decimal(30))
    now = at(FRIDAY, "10:00")
    refused = Counter(number for number in range(100) for _ in range(2) if is_refused(order(name=f"R{number}"), now))
    assert 15 < len(refused) < 45
    assert set(refused.values()) == {2}
    name = f"R{min(refused)}"
    assert (state(now, name), PAPER.fills([name], now)) == (OrderState.REJECTED, [])


@pytest.mark.parametrize(
    "bad",
    [
        order(quantity=0),
        order(quantity="1.5"),
        order(Algorithm.LIMIT),
        order(Algorithm.MARKET, extended_hours=True),
        order(price=Decimal(0)),
    ],
)
def test_nonsense_is_refused(bad):
    with pytest.raises(RefusedByBroker):
        PAPER.submit(bad, at(FRIDAY, "10:00"))
    assert state(at(FRIDAY, "11:00")) == OrderState.REJECTED


def test_during_an_outage_nothing_answers_and_time_goes_on():
    now = at(FRIDAY, "10:00")
    PAPER.submit(order(), now)
    market(outage=True)
    for call in (
        lambda: PAPER.submit(order(name="C2"), now),
        lambda: PAPER.cancel("C1", now),
        lambda: PAPER.lookup(["C1"], now),
        lambda: PAPER.fills(["C1"], now),
    ):
        with pytest.raises(BrokerDown, match="its outage is switched on"):
            call()
    assert PaperOrder.objects.count() == 1
    market(outage=False)
    assert filled(now + timedelta(minutes=1)) == 500


def test_latency_holds_everything_back():
    market(latency=20)
    now = at(FRIDAY, "10:00")
    PAPER.submit(order(), now)
    assert filled(now + timedelta(seconds=19)) == 0
    assert filled(now + timedelta(seconds=35)) == 500


def test_what_is_acknowledged_after_the_close_came_too_late():
    """It was sent for the session that was on, and is not to turn up in the next one."""
    market(latency=20)
    with pytest.raises(RefusedByBroker, match="It came too late"):
        PAPER.submit(order(), at(FRIDAY, "15:59:50"))
    assert filled(at(MONDAY, "10:00")) == 0


# --- cancelling -----------------------------------------------------------------------------------------------------


def test_cancelled_in_the_middle_what_is_filled_stays():
    PAPER.submit(order(Algorithm.TWAP, 1200, **window("10:00", "11:00")), at(FRIDAY, "10:00"))
    half = at(FRIDAY, "10:30")
    done = filled(half)
    PAPER.cancel("C1", half)
    assert state(half) == OrderState.CANCELLED
    assert 0 < done == filled(at(FRIDAY, "18:00")) < 1200
    PAPER.cancel("C1", at(FRIDAY, "18:00"))  # again: nothing to say against
    assert state(at(FRIDAY, "18:00")) == OrderState.CANCELLED


def test_fills_told_to_somebody_whose_clock_is_ahead_count():
    PAPER.submit(order(Algorithm.TWAP, 1200, **window("10:00", "11:00")), at(FRIDAY, "10:00"))
    told = filled(at(FRIDAY, "10:40"))
    PAPER.cancel("C1", at(FRIDAY, "10:30"))
    report = PAPER.lookup(["C1"], at(FRIDAY, "11:00"))["C1"]
    assert report.state == OrderState.CANCELLED
    assert report.words == "what was not filled was taken back, as asked"
    assert filled(at(FRIDAY, "11:00")) == told


def test_until_the_cancel_arrives_it_goes_on_filling():
    market(latency=300)
    PAPER.submit(order(Algorithm.TWAP, 1200, **window("10:30", "11:30")), at(FRIDAY, "10:00"))
    asked = at(FRIDAY, "11:00")
    before = filled(asked)
    PAPER.cancel("C1", asked)
    assert state(asked) == OrderState.PENDING_CANCEL
    assert state(asked + timedelta(seconds=299)) == OrderState.PENDING_CANCEL
    assert state(asked + timedelta(seconds=300)) == OrderState.CANCELLED
    assert filled(at(FRIDAY, "18:00")) == before + 100


def test_a_cancel_that_arrives_after_the_last_fill_finds_it_filled():
    market(latency=60)
    PAPER.submit(order(), at(FRIDAY, "10:00"))
    PAPER.cancel("C1", at(FRIDAY, "10:00:30"))
    assert state(at(FRIDAY, "10:05")) == OrderState.FILLED


@pytest.mark.parametrize(
    ("instruction", "now", "words"),
    [
        (order(), "10:05", "Too late: the order is filled"),
        (order(Algorithm.LIMIT, limit_price=Decimal(50)), "16:00", "Too late: the order is expired"),
    ],
)
def test_what_has_ended_is_not_taken_back(instruction, now, words):
    PAPER.submit(instruction, at(FRIDAY, "10:00"))
    with pytest.raises(RefusedByBroker, match=words):
        PAPER.cancel("C1", at(FRIDAY, now))


def test_an_order_that_never_arrived_is_not_known():
    assert PAPER.lookup(["C1"], at(FRIDAY, "10:00")) == {}
    assert PAPER.fills(["C1"], at(FRIDAY, "10:00")) == []
    with pytest.raises(RefusedByBroker, match="does not know"):
        PAPER.cancel("C1", at(FRIDAY, "10:00"))


# --- many at once ---------------------------------------------------------------------------------------------------


def test_asking_again_tells_the_same_fills_again():
    PAPER.submit(order(Algorithm.TWAP, 1200), at(FRIDAY, "10:00"))
    first = PAPER.fills(["C1"], at(FRIDAY, "11:00"))
    more = PAPER.fills(["C1"], at(FRIDAY, "12:00"))
    assert set(more) > set(first)
    assert PAPER.fills(["C1"], at(FRIDAY, "12:00")) == more
    assert len({fill.execution_id for fill in more}) == len(more)


def test_hundreds_of_orders_cost_a_handful_of_queries(django_assert_max_num_queries):
    names = [f"C{number}" for number in range(200)]
    for name in names:
        PAPER.submit(order(Algorithm.TWAP, 100, name), at(FRIDAY, "10:00"))
    with django_assert_max_num_queries(10):
        assert len(PAPER.fills(names, at(FRIDAY, "15:00"))) > 2000
    with django_assert_max_num_queries(3):
        PAPER.lookup(names, at(FRIDAY, "15:00"))


@pytest.mark.django_db(transaction=True)
def test_two_at_once_write_no_fill_twice_and_make_one_order():
    def alone(call):
        try:
            return call()
        finally:
            connection.close()

    def at_once(call):
        with ThreadPoolExecutor(8) as people:
            return list(people.map(lambda _: alone(call), range(8)))

    now = at(FRIDAY, "10:00")
    reports = at_once(lambda: PAPER.submit(order(Algorithm.TWAP, 1200), now))
    assert len({report.reference for report in reports}) == PaperOrder.objects.count() == 1
    for minutes in (10, 60, 120, 360):
        told = at_once(lambda: PAPER.fills(["C1"], now + timedelta(minutes=minutes)))  # noqa: B023 - called at once
        assert all(one == told[0] for one in told)
        assert len(told[0]) == PaperFill.objects.count() > 0
    assert sum(PaperFill.objects.values_list("quantity", flat=True)) == 1200


# --- whatever is asked ----------------------------------------------------------------------------------------------

STEPS = [Decimal(1), Decimal("0.001"), Decimal(100)]


@given(
    algorithm=st.sampled_from(Algorithm),
    side=st.sampled_from(Side),
    steps=st.integers(1, 10_000_000),
    step=st.sampled_from(STEPS),
    price=st.decimals("0.0001", 100_000, places=4),
    off=st.integers(-200, 200),
    participation=st.none() | st.decimals("0.1", 100, places=1),
    volume=st.integers(1, 10_000_000),
    session=st.tuples(st.floats(1, 40_000), st.floats(0, 1), st.floats(0, 1)),
    spread=st.decimals(0, 10, places=2),
    key=st.text(max_size=5),
)
def test_a_plan_keeps_to_the_order(
    algorithm, side, steps, step, price, off, participation, volume, session, spread, key
):
    length, *parts = session
    start, end = sorted(part * length for part in parts)
    if end - start < 0.001:
        start, end = 0.0, length
    asked = simulation.Order(
        key=key, side=side, algorithm=algorithm, quantity=steps * step, step=step, price=price,
        limit=price * (1000 + off) / 1000, participation=participation,
    )  # fmt: skip
    fills = simulation.plan(
        asked, simulation.Window(start, end, 0.0, length), simulation.Market(spread, volume, is_extended=off > 0)
    )
    assert sum(fill.quantity for fill in fills) <= asked.quantity
    assert all(fill.quantity > 0 and fill.quantity % step == 0 for fill in fills)
    assert all(fill.price > 0 and round(fill.price, 6) == fill.price for fill in fills)
    assert [fill.seconds for fill in fills] == sorted(fill.seconds for fill in fills)
    assert all(start <= fill.seconds <= end for fill in fills)
    if algorithm == Algorithm.LIMIT:
        assert all(fill.price <= asked.limit if side == Side.BUY else fill.price >= asked.limit for fill in fills)
    if algorithm in (Algorithm.MARKET, Algorithm.NAV):
        assert sum(fill.quantity for fill in fills) == asked.quantity
    if algorithm in (Algorithm.TWAP, Algorithm.VWAP):
        allowed = Decimal((end - start) / 3600) * volume * (participation or 100) / 100
        assert sum(fill.quantity for fill in fills) <= allowed


@given(
    algorithm=st.sampled_from(Algorithm),
    quantity=st.integers(1, 5000),
    sent=st.integers(0, 86_399),
    asked=st.lists(st.integers(0, 100_000), min_size=1, max_size=5),
    cancelled=st.none() | st.integers(0, 100_000),
    settings=st.fixed_dictionaries({
        "speed": st.integers(1, 1000), "latency": st.integers(0, 600), "always_open": st.booleans(),
    }),
)  # fmt: skip
def test_whenever_one_asks_an_order_only_goes_on(algorithm, quantity, sent, asked, cancelled, settings):
    market(**settings)
    PaperOrder.objects.all().delete()
    now = at(DAY_AFTER, "00:00") + timedelta(seconds=sent)
    asking = order(algorithm, quantity, limit_price=Decimal(100) if algorithm == Algorithm.LIMIT else None)
    if is_refused(asking, now):
        assert 0 <= (at(DAY_AFTER, "13:00") - now).total_seconds() <= 600  # in the last minutes before the close
        return
    before, seen = [], OrderState.WORKING
    moments = sorted({*asked, *([] if cancelled is None else [cancelled])})
    for moment in [now + timedelta(seconds=seconds) for seconds in moments]:
        if cancelled is not None and moment == now + timedelta(seconds=cancelled):
            try_to_cancel(moment)
        fills, after = PAPER.fills(["C1"], moment), state(moment)
        total = sum(fill.quantity for fill in fills)
        assert fills[: len(before)] == before
        assert all(now <= fill.at <= moment for fill in fills)
        assert (total == quantity) == (after == OrderState.FILLED)
        assert after == seen or seen in (OrderState.WORKING, OrderState.PENDING_CANCEL)
        assert seen == OrderState.WORKING or after != OrderState.WORKING
        before, seen = fills, after


def try_to_cancel(now):
    try:
        PAPER.cancel("C1", now)
    except RefusedByBroker:
        assert state(now) in (OrderState.FILLED, OrderState.EXPIRED)


# --- in words -------------------------------------------------------------------------------------------------------


def test_the_market_is_told_in_words():
    assert describe() == "Paper market: simulated, open in the market's sessions"
    market(speed=1200, always_open=True, rejects=Decimal("2.5"), outage=True)
    assert describe() == (
        "Paper market: simulated, 1,200 times as fast, always open, rejects 2.5 % of orders, does not answer now"
    )


def test_a_changed_setting_counts_from_the_next_order():
    now = at(FRIDAY, "10:00")
    PAPER.submit(order(Algorithm.TWAP, 1200), now)
    market(speed=100)
    PAPER.submit(replace(order(Algorithm.TWAP, 1200), client_order_id="C2"), now)
    assert state(now + timedelta(minutes=10), "C2") == OrderState.FILLED
    assert state(now + timedelta(minutes=10), "C1") == OrderState.WORKING
