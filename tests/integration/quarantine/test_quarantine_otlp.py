"""Refused records of OTLP, and refused journey events of stored ones, are kept like all others."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from sqlalchemy import Engine

from candor.kernel.clock import utc_now
from candor.kernel.database import session_of
from candor.kernel.telemetry_store import TelemetryStore
from collector.quarantine.tables import ReplayRow
from tests.support.asgi import Application, application_on
from tests.support.otlp import TRACE_ID, log_request, metric_request, span_request
from tests.support.quarantine import NAME, QUARANTINE, Gate, replay
from tests.support.stores import FixedClock, services_on

PERSON = "anna.secret@example.org"
JOURNEY: dict[str, Any] = {
    "journey.name": "checkout",
    "journey.step": "payment",
    "journey.instance": "c-1",
}
RESPONSES: dict[str, Any] = {
    "traces": ExportTraceServiceResponse,
    "logs": ExportLogsServiceResponse,
    "metrics": ExportMetricsServiceResponse,
}
SPAN = "/resourceSpans/0/scopeSpans/0/spans/0"
LOG = "/resourceLogs/0/scopeLogs/0/logRecords/0"


def send(application: Application, signal: str, message: Any) -> list[str]:  # noqa: ANN401 - any request
    """Send a request, and return where what was refused of it is kept."""
    headers = {"content-type": "application/x-protobuf"}
    answer = application.post(f"/v1/{signal}", content=message.SerializeToString(), headers=headers)
    assert answer.status_code == 200
    told = RESPONSES[signal].FromString(answer.content).partial_success.error_message
    return re.findall(r"It is kept in quarantine as ([0-9a-f]{32})\.", told)


def count(application: Application, table: str) -> int:
    application.collector.flush()
    rows = application.services.telemetry.query(
        f"SELECT count() AS n FROM {table}"  # noqa: S608 - tables of this file
    )
    found: int = rows[0]["n"]
    return found


def forget(application: Application) -> None:
    """Lose the marks of replays, and all identities but those in the telemetry store."""
    application.collector.flush()
    with session_of(application.services.engine) as session:
        session.query(ReplayRow).delete()
    application.collector.intake._window._buckets.clear()


def nanoseconds(clock: FixedClock, **delta: float) -> int:
    return int((clock.now + timedelta(**delta)).timestamp()) * 1_000_000_000


def late_log(clock: FixedClock, *bodies: str, **attributes: str) -> Any:  # noqa: ANN401 - a request
    """Return a request with log records of which the last bears a time far in the future."""
    message = log_request(*bodies, **attributes)
    records = message.resource_logs[0].scope_logs[0].log_records
    records[-1].time_unix_nano = nanoseconds(clock, days=9)
    return message


def test_a_malformed_span_is_kept_alone_with_its_resource_and_as_it_was_sent(
    application: Application,
) -> None:
    message = span_request({"plan": "a"}, {"enduser.id": PERSON, "cart": {"items": 2}})
    message.resource_spans[0].scope_spans[0].spans[1].trace_id = b"short"
    [kept] = send(application, "traces", message)
    assert count(application, "otel_traces") == 1
    shown = application.get(f"{QUARANTINE}/{kept}").json()
    assert (shown["code"], shown["path"]) == ("malformed", "traceId")
    assert (shown["door"], shown["source"]) == ("otlp", "test")
    del message.resource_spans[0].scope_spans[0].spans[0]
    sent = MessageToDict(message, use_integers_for_enums=True)
    span = sent["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    span |= {"traceId": b"short".hex(), "spanId": "0000000000000002"}
    assert shown["payload"] == sent


def test_nothing_of_a_refused_record_is_on_a_disk_in_clear(
    application: Application, clock: FixedClock
) -> None:
    assert send(application, "logs", late_log(clock, "about " + PERSON))
    spool = application.services.settings.spool_dir
    assert any("quarantine" in path.name for path in spool.iterdir())
    assert all(PERSON.encode() not in path.read_bytes() for path in spool.iterdir())
    application.collector.flush()
    rows = application.services.telemetry.query("SELECT * FROM quarantine")
    assert rows
    assert PERSON not in str(rows)


def test_a_repeated_request_keeps_each_of_its_records_once(
    application: Application, clock: FixedClock
) -> None:
    message = metric_request()
    points = message.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points
    for _ in range(2):
        points.add(time_unix_nano=nanoseconds(clock))
    first, again = (send(application, "metrics", message) for _ in range(2))
    assert first == again
    assert len(set(first)) == 2
    assert count(application, "quarantine") == 2
    counted = application.get(f"{QUARANTINE}/counts").json()
    assert counted == {"malformed": 2}
    told = application.get("/metrics").text
    assert 'candor_events_quarantined_total{code="malformed",door="otlp"} 2.0' in told


def test_a_mended_span_is_stored_once_about_a_pseudonym(application: Application) -> None:
    message = span_request({"enduser.id": PERSON})
    message.resource_spans[0].scope_spans[0].spans[0].trace_id = b"short"
    [kept] = send(application, "traces", message)
    assert replay(application, kept)["rejected"][0]["code"] == "malformed"
    patch = [{"op": "replace", "path": f"{SPAN}/traceId", "value": TRACE_ID.hex()}]
    assert replay(application, kept, patch=patch)["accepted"] == 1
    assert replay(application, kept, patch=patch)["deduplicated"] == 1
    forget(application)
    assert replay(application, kept, patch=patch)["deduplicated"] == 1
    application.collector.flush()
    rows = application.services.telemetry.query(
        "SELECT TraceId, SpanAttributes['enduser.id'] AS who FROM otel_traces"
    )
    key = application.services.secrets.subject_key("user_id", PERSON)
    assert rows == [{"TraceId": TRACE_ID.hex(), "who": key}]


def test_a_record_whose_time_has_come_is_replayed_with_its_journey_event_once(
    application: Application, clock: FixedClock
) -> None:
    [kept] = send(application, "logs", late_log(clock, "a", "b", **JOURNEY))
    assert (count(application, "otel_logs"), count(application, "events")) == (1, 1)
    clock.pass_by(timedelta(days=9))
    assert replay(application, kept)["accepted"] == 1
    forget(application)
    assert replay(application, kept)["deduplicated"] == 1
    assert (count(application, "otel_logs"), count(application, "events")) == (2, 2)


def test_of_a_record_only_what_is_not_stored_yet_is_sent_again(
    application: Application, clock: FixedClock
) -> None:
    """Its journey event goes to the disk first, and the process may die in between."""
    [kept] = send(application, "logs", late_log(clock, "a", **JOURNEY))
    clock.pass_by(timedelta(days=9))
    replay(application, kept)
    forget(application)
    application.services.telemetry.command("TRUNCATE TABLE otel_logs")
    application.services.telemetry.command("TRUNCATE TABLE otel_requests")
    assert replay(application, kept)["accepted"] == 1
    assert (count(application, "otel_logs"), count(application, "events")) == (1, 1)


@pytest.mark.parametrize("path", ["0", "1", "2", "3", "4"])
def test_a_data_point_of_any_kind_is_replayed_with_all_that_it_is_part_of(
    application: Application, clock: FixedClock, path: str
) -> None:
    message = metric_request()
    metrics = message.resource_metrics[0].scope_metrics[0].metrics
    metric = metrics[int(path)]
    del metrics[:]
    metrics.append(metric)
    kind = metrics[0].WhichOneof("data")
    assert kind is not None
    [point] = getattr(metrics[0], kind).data_points
    point.time_unix_nano = nanoseconds(clock, days=9)
    [kept] = send(application, "metrics", message)
    shown = application.get(f"{QUARANTINE}/{kept}").json()["payload"]
    assert shown["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]["unit"] == "1"
    clock.pass_by(timedelta(days=9))
    assert replay(application, kept)["accepted"] == 1
    forget(application)
    assert replay(application, kept)["deduplicated"] == 1
    told = application.services.telemetry.query(
        f"SELECT MetricName, MetricUnit, ServiceName, ScopeName FROM otel_metrics_{kind}"  # noqa: S608 - as above
    )
    assert told == [
        {"MetricName": kind, "MetricUnit": "1", "ServiceName": "shop", "ScopeName": "checkout"}
    ]


@pytest.mark.parametrize("signal", ["traces", "logs"])
def test_a_journey_event_that_the_gate_refuses_is_kept_and_its_record_stored(
    application: Application, gate: Gate, signal: str
) -> None:
    attributes = JOURNEY | {"journey.channel": "sms", "enduser.id": PERSON}
    request = span_request(attributes) if signal == "traces" else log_request("x", **attributes)
    [kept] = send(application, signal, request)
    assert (count(application, f"otel_{signal}"), count(application, "events")) == (1, 0)
    shown = application.get(f"{QUARANTINE}/{kept}").json()
    key = application.services.secrets.subject_key("user_id", PERSON)
    assert (shown["code"], shown["subject_key"]) == ("consent_denied", key)
    gate.closed = ""
    assert replay(application, kept)["accepted"] == 1
    assert (count(application, f"otel_{signal}"), count(application, "events")) == (1, 1)
    assert send(application, signal, request) == []
    forget(application)
    assert replay(application, kept)["deduplicated"] == 1
    assert count(application, "events") == 1
    rows = application.services.telemetry.query("SELECT subject_key FROM events")
    assert rows == [{"subject_key": key}]


def test_a_journey_event_that_is_none_is_mended_by_a_patch(application: Application) -> None:
    [kept] = send(application, "logs", log_request("x", **JOURNEY, **{"journey.outcome": "maybe"}))
    at = f"{LOG}/attributes/3/value/stringValue"
    assert replay(application, kept, patch=[{"op": "test", "path": at, "value": "maybe"}])[
        "rejected"
    ]
    ok = [{"op": "replace", "path": at, "value": "ok"}]
    assert replay(application, kept, patch=ok)["accepted"] == 1
    application.collector.flush()
    rows = application.services.telemetry.query("SELECT name, outcome FROM events")
    assert rows == [{"name": "checkout.payment", "outcome": "ok"}]


def test_a_journey_event_without_a_contract_gets_one_in_its_replay(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore
) -> None:
    contracts = {"unknown_schema": "quarantine", "schema_required": True}
    clock = FixedClock(utc_now())
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock, contracts=contracts)
    with application_on(services) as application:
        path = f"/api/v1/contracts/{NAME}/1-0-0"
        assert application.request("PUT", path, json={"schema": {}}).status_code == 201
        [kept] = send(application, "traces", span_request(JOURNEY))
        assert replay(application, kept)["rejected"][0]["code"] == "unknown_schema"
        assert replay(application, kept, contract=f"{NAME}/1-0-0")["accepted"] == 1
        application.collector.flush()
        rows = services.telemetry.query("SELECT schema FROM events")
    assert rows == [{"schema": f"{NAME}/1-0-0"}]


def test_an_event_that_is_refused_when_its_record_is_replayed_is_kept_in_its_turn(
    application: Application, clock: FixedClock, gate: Gate
) -> None:
    [kept] = send(
        application, "logs", late_log(clock, "a", **JOURNEY, **{"journey.channel": "sms"})
    )
    clock.pass_by(timedelta(days=9))
    assert replay(application, kept)["accepted"] == 1
    [listed] = application.get(QUARANTINE, params={"code": "consent_denied"}).json()
    gate.closed = ""
    assert replay(application, listed["id"])["accepted"] == 1
    assert (count(application, "otel_logs"), count(application, "events")) == (1, 1)


@pytest.mark.parametrize(
    "patch",
    [
        [{"op": "add", "path": f"{LOG}", "value": {"body": {"stringValue": "another"}}}],
        [{"op": "remove", "path": LOG}],
        [{"op": "replace", "path": "/resourceLogs", "value": "nonsense"}],
        [{"op": "replace", "path": "", "value": []}],
    ],
)
def test_a_patch_that_leaves_no_single_record_leaves_it_where_it_is(
    application: Application, clock: FixedClock, patch: list[dict[str, Any]]
) -> None:
    [kept] = send(application, "logs", late_log(clock, "a"))
    assert replay(application, kept, patch=patch)["rejected"][0]["code"] == "malformed"
    assert application.get(f"{QUARANTINE}/{kept}").json()["replayed_at"] is None


def test_a_patch_that_takes_the_journey_away_leaves_the_event_where_it_is(
    application: Application,
) -> None:
    [kept] = send(application, "traces", span_request(JOURNEY | {"journey.outcome": "maybe"}))
    told = replay(application, kept, patch=[{"op": "remove", "path": f"{SPAN}/attributes"}])
    assert [one["message"] for one in told["rejected"]] == [
        "The record names no journey, so it is no journey event."
    ]


def test_debug_logs_that_are_shed_are_named_and_not_kept(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    spool = {"segment_age": timedelta(hours=1), "soft_share": 0.01, "max_bytes": 8192}
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock, spool=spool)
    with application_on(services) as application:
        assert send(application, "logs", late_log(clock, "fill" * 50)) != []
        message = late_log(clock, "debug", "late")
        record = message.resource_logs[0].scope_logs[0].log_records[0]
        record.severity_number = 5
        assert len(send(application, "logs", message)) == 1
