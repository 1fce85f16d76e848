"""The steps of a journey, against counting them by hand."""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from statistics import quantiles
from typing import Any

import pytest

from candor.kernel.telemetry_store import TelemetryStore
from collector.event import Event
from collector.store import encode_events, insert_events
from slo.journeys.steps import read_steps
from slo.window import Window, rolling
from tests.support.asgi import Application
from tests.support.stores import NOON

DAY = rolling(timedelta(days=1), NOON)
STEPS = ["start", "payment", "done", ""]


def random_events(number: int) -> list[Event]:
    dice = random.Random(number)
    events = []
    for one in range(number):
        at = NOON - timedelta(milliseconds=dice.randrange(100_000_000))
        late = timedelta(milliseconds=dice.randrange(-500, 60_000))
        event = Event(f"e{one}", "native", "n", "", at, at + late)
        event.journey = dice.choice(["checkout", "checkout", "other"])
        event.step = dice.choice(STEPS)
        event.instance = dice.choice(["", *(f"i{n}" for n in range(40))])
        event.outcome = dice.choice(["ok", "error", ""])
        events.append(event)
    return events


def counted(events: Sequence[Event], window: Window) -> dict[str, dict[str, Any]]:
    """Return what the steps of the checkout should say, the slow and plain way."""
    mine = sorted(
        (
            event
            for event in events
            if event.journey == "checkout"
            and event.step
            and window.since <= event.time < window.until
        ),
        key=lambda event: (event.time, event.received_at, event.id),
    )
    ways: dict[str, list[Event]] = defaultdict(list)
    for event in mine:
        ways[event.instance or f"alone {event.id}"].append(event)
    entries: Counter[str] = Counter(way[0].step for way in ways.values())
    following: dict[str, Counter[str]] = defaultdict(Counter)
    for way in ways.values():
        for before, after in pairwise(way):
            if before.step != after.step:
                entries[after.step] += 1
                following[before.step][after.step] += 1
    return {
        step: told(entries[step], [event for event in mine if event.step == step], following[step])
        for step in entries
    }


def told(entries: int, events: Sequence[Event], following: Counter[str]) -> dict[str, Any]:
    late = [(event.received_at - event.time) / timedelta(milliseconds=1) for event in events]
    cuts = quantiles(late, n=100, method="inclusive")
    errors = sum(event.outcome == "error" for event in events)
    return {
        "step": events[0].step,
        "events": len(events),
        "entries": entries,
        "instances": len({event.instance for event in events} - {""}),
        "errors": errors,
        "error_rate": errors / len(events),
        "latency_ms": {f"p{p}": pytest.approx(cuts[p - 1]) for p in (50, 95, 99)},
        "next": dict(following),
    }


def test_steps_agree_with_counting_by_hand(application: Application) -> None:
    events = random_events(2000)
    insert_events(application.services.telemetry, [encode_events(events)], "token")
    window = {"since": DAY.since.isoformat(), "until": DAY.until.isoformat()}
    answer = application.get("/api/v1/journeys/checkout/steps", params=window).json()
    expected = counted(events, DAY)
    assert [one["step"] for one in answer] == sorted(
        expected, key=lambda step: (-expected[step]["entries"], step)
    )
    assert {one["step"]: one for one in answer} == expected


def test_steps_are_read_alike_by_both_transports(telemetry: TelemetryStore) -> None:
    at = NOON - timedelta(hours=1)
    event = Event("1", "native", "n", "", at, at, journey="checkout", step="start", instance="i")
    insert_events(telemetry, [encode_events([event])], "token")
    (report,) = read_steps(telemetry, "checkout", DAY)
    assert (report.step, report.entries, report.error_rate, report.next) == ("start", 1, 0.0, {})


def test_an_unknown_journey_has_no_steps_and_a_window_must_have_a_length(
    application: Application,
) -> None:
    path = "/api/v1/journeys/nobody/steps"
    assert application.get(path).json() == []
    window = {"since": "2026-11-22T00:00:00Z", "until": "2026-11-22T00:00:00Z"}
    assert application.get(path, params=window).json()["path"] == "until"
