import json
from datetime import timedelta
from typing import Any

import pytest

from candor.kernel.telemetry_store import TelemetryStore
from collector.event import Event
from collector.store import encode_events, insert_events
from slo.indicator import Condition
from slo.journeys.funnel import Moment, Step
from slo.journeys.store import FunnelQuery, read_units
from slo.window import rolling
from tests.support.asgi import Application
from tests.support.stores import NOON

QUERY: dict[str, Any] = {
    "steps": [{"event": "start"}, {"event": "*", "where": {"attributes.plan": "pro"}}],
    "by": "instance",
    "window": "30m",
    "since": "2026-11-22T00:00:00Z",
    "until": "2026-11-22T12:00:00Z",
}


def event(number: int, name: str, minute: int, **fields: Any) -> Event:  # noqa: ANN401 - any field
    at = NOON - timedelta(hours=1) + timedelta(minutes=minute)
    return Event(f"e{number}", "native", name, "", at, NOON, **fields)


def visits(application: Application) -> None:
    from msgspec import Raw  # noqa: PLC0415 - only here

    pro = {"attributes": {"plan": Raw(b'"pro"')}}
    events = [
        event(1, "start", 0, instance="a", channel="web", subject_key="p"),
        event(2, "pay", 10, instance="a", channel="app", subject_key="p", **pro),
        event(3, "start", 0, instance="b", channel="app", subject_key="p"),
        event(4, "pay", 40, instance="b", channel="app", subject_key="q", **pro),
        event(5, "start", 0, channel="app"),
    ]
    insert_events(application.services.telemetry, [encode_events(events)], "token")


def test_a_funnel_is_counted_by_instance_with_its_breakdown(application: Application) -> None:
    visits(application)
    answer = application.post("/api/v1/funnels/query", json=QUERY | {"breakdown": "channel"})
    assert answer.json() == {
        "steps": [
            {
                "index": 0,
                "event": "start",
                "count": 2,
                "from_previous": None,
                "from_first": 1.0,
                "median_seconds": None,
                "mean_seconds": None,
            },
            {
                "index": 1,
                "event": "*",
                "count": 1,
                "from_previous": 0.5,
                "from_first": 0.5,
                "median_seconds": 600.0,
                "mean_seconds": 600.0,
            },
        ],
        "breakdown": {
            "app": [
                {
                    "index": 0,
                    "event": "start",
                    "count": 1,
                    "from_previous": None,
                    "from_first": 1.0,
                    "median_seconds": None,
                    "mean_seconds": None,
                },
                {
                    "index": 1,
                    "event": "*",
                    "count": 0,
                    "from_previous": 0.0,
                    "from_first": 0.0,
                    "median_seconds": None,
                    "mean_seconds": None,
                },
            ],
            "web": answer.json()["breakdown"]["web"],
        },
    }


def test_a_funnel_by_subject_follows_the_person(application: Application) -> None:
    visits(application)
    steps = application.post("/api/v1/funnels/query", json=QUERY | {"by": "subject"}).json()
    assert [step["count"] for step in steps["steps"]] == [1, 1]
    assert "breakdown" not in steps


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"window": "0d"}, "window"),
        ({"window": "-1d"}, "window"),
        ({"order": "strict"}, "order"),
        ({"exclude": [{"event": "x"}]}, "exclude"),
        ({"breakdown": "duration_ms"}, "breakdown"),
        ({"until": "2026-11-21T00:00:00Z"}, "until"),
        ({"steps": [{"event": "a", "where": {"nope": 1}}]}, "steps[0].where.nope"),
        ({"steps": [{"event": "a", "where": {"step": "\x7f"}}]}, "steps[0].where"),
    ],
)
def test_a_funnel_that_cannot_be_meant_is_refused_with_its_path(
    application: Application, change: dict[str, Any], path: str
) -> None:
    answer = application.post("/api/v1/funnels/query", json=QUERY | change)
    assert (answer.status_code, answer.json()["path"]) == (422, path)


def test_half_a_character_is_refused_with_its_path(application: Application) -> None:
    steps = [{"event": "a", "where": {"step": "\ud800"}}]
    answer = application.post(
        "/api/v1/funnels/query",
        content=json.dumps(QUERY | {"steps": steps}),
        headers={"content-type": "application/json"},
    )
    assert (answer.status_code, answer.json()["path"]) == (422, "steps[0].where")


@pytest.mark.parametrize("change", [{"steps": []}, {"speed": 1}, {"by": "cat"}, {"since": "noon"}])
def test_a_funnel_of_another_shape_is_refused(
    application: Application, change: dict[str, Any]
) -> None:
    answer = application.post("/api/v1/funnels/query", json=QUERY | change)
    assert answer.status_code == 422
    assert answer.json()["errors"]


def test_the_default_window_is_a_fortnight(application: Application) -> None:
    visits(application)
    query = {"steps": QUERY["steps"], "by": "instance"}
    steps = application.post("/api/v1/funnels/query", json=query).json()["steps"]
    assert [step["count"] for step in steps] == [2, 2]


def test_units_are_read_in_parts_and_none_is_split(telemetry: TelemetryStore) -> None:
    events = [event(n, "visit", n % 50, instance=f"i{n % 20}") for n in range(200)]
    insert_events(telemetry, [encode_events(events)], "token")
    step = Step("visit", (Condition("name", "any", ("visit",)),))
    span = rolling(timedelta(days=1), NOON)
    query = FunnelQuery((step,), timedelta(days=1), span, "instance", None)
    units = list(read_units(telemetry, query, moments_per_part=50))
    assert sorted(len(unit) for unit in units) == [10] * 20
    assert all(unit == sorted(unit, key=lambda one: one.at_milliseconds) for unit in units)
    assert isinstance(units[0][0], Moment)
