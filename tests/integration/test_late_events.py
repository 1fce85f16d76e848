"""Events whose own time is long past, or still to come."""

from datetime import timedelta
from typing import Any

import pytest
import yaml

from tests.support.asgi import Application
from tests.support.events import native_event
from tests.support.stores import NOON
from tests.unit.slo.test_openslo import objective

LATE = NOON - timedelta(days=9, seconds=17)


def send(application: Application, *events: dict[str, Any]) -> None:
    headers = {"x-candor-sync": "1"}
    answer = application.post("/api/v1/events", json=list(events), headers=headers)
    assert answer.json()["accepted"] == len(events)


def checkout(number: int, at: str, outcome: str) -> dict[str, Any]:
    return native_event(number, time=at, journey="checkout", outcome=outcome)


def test_a_late_event_keeps_both_times_and_joins_the_minute_in_which_it_happened(
    application: Application,
) -> None:
    send(application, checkout(1, LATE.isoformat(), "ok"))
    send(application, checkout(2, LATE.isoformat(), "ok"))
    ask = application.services.telemetry.query
    (row,) = ask("SELECT time, received_at FROM events WHERE id = 'e-1'")
    assert row == {"time": LATE, "received_at": NOON}
    for unit, start in (
        ("minute", LATE.replace(second=0)),
        ("hour", LATE.replace(minute=0, second=0)),
    ):
        told = ask(f"SELECT {unit}, sum(events) AS n FROM events_by_{unit} GROUP BY {unit}")  # noqa: S608 - fixed names
        assert told == [{unit: start, "n": 2}]


def test_a_late_event_changes_the_budget_of_the_window_in_which_it_happened(
    application: Application,
) -> None:
    document = yaml.safe_dump(objective())
    headers = {"content-type": "application/yaml"}
    answer = application.post("/api/v1/objectives/apply", content=document, headers=headers)
    (name,) = answer.json()["created"]

    def counts(at: str) -> tuple[int, int]:
        params = {"at": at, "window": "1d"}
        told = application.get(f"/api/v1/objectives/{name}/budget", params=params).json()
        return told["good"], told["valid"]

    past, present = (LATE + timedelta(hours=1)).isoformat(), NOON.isoformat()
    send(application, checkout(1, LATE.isoformat(), "ok"))
    assert (counts(past), counts(present)) == ((1, 1), (0, 0))
    send(application, checkout(2, LATE.isoformat(), "error"))
    assert (counts(past), counts(present)) == ((1, 2), (0, 0))


@pytest.mark.parametrize(
    ("seconds", "code"), [(0, None), (24 * 3600, None), (24 * 3600 + 1, "clock_skew")]
)
def test_the_future_is_tolerated_for_a_day_at_every_door(
    application: Application, seconds: int, code: str | None
) -> None:
    at = NOON + timedelta(seconds=seconds)
    call = {"type": "track", "event": "x", "userId": "1", "timestamp": at.isoformat()}
    span = {"traceId": "a" * 32, "spanId": "b" * 16, "endTimeUnixNano": int(at.timestamp()) * 10**9}
    spans = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    native = application.post("/api/v1/events", json=native_event(1, time=at.isoformat())).json()
    segment = application.post("/v1/batch", json={"batch": [call]}).json()
    traces = application.post("/v1/traces", json=spans).json()
    codes = [code] if code else []
    assert [one["code"] for one in native["rejected"]] == codes
    assert [one["code"] for one in segment["rejected"]] == codes
    told = traces.get("partialSuccess", {}).get("errorMessage", "")
    assert ("clock_skew" in told) is bool(code)
