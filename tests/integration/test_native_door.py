"""The native door: what it takes, what it refuses, and how it says so."""

import gzip
import json
import zlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from candor.kernel.telemetry_store import TelemetryStore
from tests.support.asgi import Application, application_on
from tests.support.events import native_event
from tests.support.stores import FixedClock, services_on

EVENTS = "/api/v1/events"
JSON = {"content-type": "application/json"}
SYNC = JSON | {"x-candor-sync": "1"}


def count(application: Application) -> int:
    return int(application.services.telemetry.query("SELECT count() AS n FROM events")[0]["n"])


def test_a_batch_is_queryable_when_a_synchronous_request_is_answered(
    application: Application,
) -> None:
    events = [native_event(number) for number in range(10)]
    answer = application.post(EVENTS, json=events, headers=SYNC)
    assert answer.json() == {"accepted": 10, "deduplicated": 0, "quarantined": 0, "rejected": []}
    assert count(application) == 10


def test_lines_and_a_single_object_are_taken_too(application: Application) -> None:
    lines = "\n".join(json.dumps(native_event(number)) for number in range(3)) + "\n\n"
    headers = {"content-type": "application/x-ndjson"}
    assert application.post(EVENTS, content=lines, headers=headers).json()["accepted"] == 3
    assert application.post(EVENTS, json=native_event(9)).json()["accepted"] == 1


def test_one_malformed_event_of_five_hundred_is_named_and_the_others_are_taken(
    application: Application,
) -> None:
    events = [native_event(number) for number in range(500)]
    events[321]["time"] = "yesterday"
    answer = application.post(EVENTS, json=events).json()
    assert answer["accepted"] == 499
    assert [(one["index"], one["id"], one["code"], one["path"]) for one in answer["rejected"]] == [
        (321, "e-321", "malformed", "time")
    ]


def test_an_event_that_came_before_is_counted_and_not_stored_again(
    application: Application,
) -> None:
    application.post(EVENTS, json=[native_event(1), native_event(1)])
    answer = application.post(EVENTS, json=[native_event(1), native_event(2)], headers=SYNC)
    assert answer.json() | {"rejected": []} == {
        "accepted": 1,
        "deduplicated": 1,
        "quarantined": 0,
        "rejected": [],
    }
    assert count(application) == 2


def test_what_is_lost_with_the_process_is_remembered_by_the_next(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock)
    with application_on(services) as first:
        first.post(EVENTS, json=native_event(1))
    with application_on(services) as second:
        assert second.post(EVENTS, json=native_event(1)).json()["deduplicated"] == 1


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        pytest.param({"content-type": "text/plain"}, b"[]", 415, id="content type"),
        pytest.param(JSON, b"[", 400, id="broken JSON"),
        pytest.param(JSON, b"", 400, id="empty body"),
        pytest.param(JSON | {"content-encoding": "gzip"}, b"no gzip", 400, id="broken gzip"),
        pytest.param(JSON | {"content-encoding": "gzip"}, gzip.compress(b"[]")[:-9], 400, id="cut"),
        pytest.param(JSON | {"content-encoding": "br"}, b"[]", 415, id="unknown encoding"),
        pytest.param(JSON | {"content-encoding": "gzip"}, gzip.compress(b"[]"), 200, id="gzip"),
        pytest.param(JSON | {"content-encoding": "deflate"}, zlib.compress(b"[]"), 200, id="zlib"),
    ],
)
def test_a_body_that_cannot_be_read_is_answered_with_a_problem(
    application: Application, headers: dict[str, str], body: bytes, status: int
) -> None:
    answer = application.post(EVENTS, content=body, headers=headers)
    assert answer.status_code == status
    if answer.is_error:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status


def test_a_cloud_event_is_told_which_door_is_its_own(application: Application) -> None:
    headers = {"content-type": "application/cloudevents+json"}
    refused = application.post(EVENTS, content=b"{}", headers=headers)
    assert refused.status_code == 415
    assert "CloudEvents to /v1/events" in refused.json()["detail"]


def test_a_body_over_the_limit_is_refused_before_and_after_unpacking(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock, limits={"body_bytes": 2048})
    bomb = gzip.compress(b"[" + b" " * 1_000_000 + b"]")
    with application_on(services) as application:
        assert application.post(EVENTS, content=b" " * 2049, headers=JSON).status_code == 413
        packed = JSON | {"content-encoding": "gzip"}
        assert len(bomb) < 2048
        assert application.post(EVENTS, content=bomb, headers=packed).status_code == 413


def test_too_many_events_in_one_request_are_refused_as_a_whole(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    services = services_on(
        tmp_path, sqlite, embedded_telemetry, clock, limits={"events_per_request": 2}
    )
    with application_on(services) as application:
        events = [native_event(number) for number in range(3)]
        assert application.post(EVENTS, json=events).status_code == 413


def test_a_request_without_a_valid_key_is_refused(application: Application) -> None:
    expired = application.make_key("ingest", lifetime=timedelta(seconds=1))
    application.services.clock.pass_by(timedelta(seconds=1))  # type: ignore[attr-defined]  # a FixedClock
    for authorization in ("", "Bearer", "Basic abc", "Bearer nonsense", f"Bearer {expired}"):
        answer = application.post(EVENTS, json=[], headers={"authorization": authorization})
        assert answer.status_code == 401
        assert "Bearer" in answer.headers["www-authenticate"]


def test_a_key_without_the_scope_is_forbidden(application: Application) -> None:
    key = application.make_key("slo:read")
    answer = application.post(EVENTS, json=[], headers={"authorization": f"Bearer {key}"})
    assert answer.status_code == 403


def test_a_full_spool_asks_to_come_back_and_takes_again_when_drained(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    spool = {"max_bytes": 4096, "segment_age": "PT1H"}
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock, spool=spool)
    with application_on(services) as application:
        events = [native_event(number, step="x" * 300) for number in range(20)]
        assert application.post(EVENTS, json=events).status_code == 200
        refused = application.post(EVENTS, json=native_event(99))
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        application.collector.flush()
        assert application.post(EVENTS, json=native_event(99)).json()["accepted"] == 1


FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({"id": None}, "malformed", "id"),
    ({"id": ""}, "malformed", "id"),
    ({"name": 3}, "malformed", "name"),
    ({"time": "2026-11-22T09:00:00"}, "malformed", "time"),
    ({"time": "2026-11-24T09:00:00Z"}, "clock_skew", "time"),
    ({"time": "1969-12-31T23:59:59Z"}, "clock_skew", "time"),
    ({"outcome": "splendid"}, "malformed", "outcome"),
    ({"duration_ms": -1}, "malformed", "duration_ms"),
    ({"subject": {"type": "E-Mail", "value": "secret"}}, "malformed", "subject.type"),
    ({"subject": {"type": "email"}}, "malformed", "subject.value"),
    ({"value": {"amount": 1e14}}, "malformed", "value.amount"),
    ({"experiment": {"key": 1}}, "malformed", "experiment.key"),
    ({"attributes": [1]}, "malformed", "attributes"),
    ({"plan": "pro"}, "malformed", "plan"),
    ({"outcome": "it's secret"}, "malformed", "outcome"),
    ({"secret@example.org": 1}, "malformed", None),  # type: ignore[list-item]  # no path is told
    ({"subject": {"secret@example.org": 1}}, "malformed", "subject"),
    ({"step": "x" * 300_000}, "too_large", None),  # type: ignore[list-item]  # no path
]


@pytest.mark.parametrize(("fields", "code", "path"), FAULTS)
def test_a_fault_is_named_by_code_and_path_and_never_by_value(
    application: Application, fields: dict[str, Any], code: str, path: str | None
) -> None:
    answer = application.post(EVENTS, json=[native_event(1, **fields), native_event(2)])
    assert answer.json()["accepted"] == 1
    rejection = answer.json()["rejected"][0]
    assert (rejection["code"], rejection["path"]) == (code, path)
    assert "splendid" not in rejection["message"]
    assert "secret" not in answer.text


def test_an_event_with_an_impossible_escape_is_refused_alone(application: Application) -> None:
    bad = json.dumps(native_event(1)).replace("checkout", "\\ud800")
    body = f"[{bad}, {json.dumps(native_event(2))}]"
    answer = application.post(EVENTS, content=body, headers=JSON).json()
    assert (answer["accepted"], answer["rejected"][0]["index"]) == (1, 0)


@pytest.mark.parametrize("place", [b'"name": "\xff"', b'"attributes": {"a": "\xff"}'])
def test_an_event_that_is_not_utf_8_is_refused_alone(
    application: Application, place: bytes
) -> None:
    bad = b'{"id": "1", "time": "2026-11-22T11:00:00Z", "name": "n", %s}' % place
    good = json.dumps(native_event(2, name="gr\u00fc\u00df")).encode()
    for kind, body in (("json", b"[%s, %s]"), ("x-ndjson", b"%s\n%s")):
        headers = {"content-type": f"application/{kind}"}
        answer = application.post(EVENTS, content=body % (bad, good), headers=headers).json()
        assert answer["accepted"] + answer["deduplicated"] == 1
        assert [(one["index"], one["code"]) for one in answer["rejected"]] == [(0, "malformed")]


def test_deep_nesting_is_refused_and_not_a_server_error(application: Application) -> None:
    deep = '{"id": "d", "name": "n", "time": "2026-11-22T11:00:00Z", "attributes": {"a": %s}}'
    body = deep % ("[" * 100_000 + "]" * 100_000)
    for content in (body, f"[{body}]"):
        answer = application.post(EVENTS, content=content, headers=JSON)
        assert answer.status_code in {200, 400}
        assert answer.status_code == 400 or answer.json()["accepted"] == 0


def test_another_method_on_a_hot_path_is_not_allowed(application: Application) -> None:
    answer = application.get(EVENTS)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
