from datetime import datetime, timedelta

from candor.simulator import (
    DAYS,
    OUTAGE_BEGAN,
    OUTAGE_LASTED,
    SLOWNESS_BEGAN,
    SLOWNESS_LASTED,
    Simulation,
)
from tests.support.stores import NOON

EVENTS = Simulation(NOON, 30_000).run()


def ago(event: dict[str, str]) -> timedelta:
    return NOON - datetime.fromisoformat(event["time"])


def test_the_same_seed_gives_the_same_month() -> None:
    assert Simulation(NOON, 300).run() == Simulation(NOON, 300).run()
    assert Simulation(NOON, 300).run() != Simulation(NOON, 300, seed=2).run()


def test_there_are_enough_events_and_none_lies_in_the_future() -> None:
    assert len(EVENTS) >= 30_000
    assert all(timedelta(0) <= ago(event) <= timedelta(days=DAYS + 6) for event in EVENTS)
    assert {event["journey"] for event in EVENTS} == {"checkout", "onboarding", "payment-recovery"}


def test_some_events_come_twice_and_some_late() -> None:
    ids = [event["id"] for event in EVENTS]
    assert 0.005 < 1 - len(set(ids)) / len(ids) < 0.02
    times = [event["time"] for event in EVENTS]
    assert times != sorted(times)


def test_the_outage_fails_most_payments_and_the_slowness_delays_them() -> None:
    payments = [event for event in EVENTS if event["step"] == "payment"]
    down = [one for one in payments if OUTAGE_BEGAN - OUTAGE_LASTED <= ago(one) < OUTAGE_BEGAN]
    slow = [
        one for one in payments if SLOWNESS_BEGAN - SLOWNESS_LASTED <= ago(one) < SLOWNESS_BEGAN
    ]
    assert sum(one["outcome"] == "error" for one in down) > len(down) * 0.4 > 0
    assert sum(one["duration_ms"] > 500 for one in slow) > len(slow) * 0.9


def test_evenings_are_busier_than_nights() -> None:
    hours = [datetime.fromisoformat(event["time"]).hour for event in EVENTS]
    assert hours.count(20) > 2 * hours.count(7)
