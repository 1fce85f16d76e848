"""OTLP logs and metrics, in both encodings, into the exporter's table layout."""

import base64
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from sqlalchemy import Engine

from candor.kernel.clock import utc_now
from candor.kernel.telemetry_store import TelemetryStore
from collector.receivers.decoding import Reception
from collector.receivers.otlp import JSON, PROTOBUF, read_request
from collector.receivers.otlp_json import read_json
from collector.store import encode_otlp, insert_otlp
from tests.support.asgi import Application, application_on
from tests.support.otlp import NANO, SPAN_ID, TRACE_ID, log_request, metric_request
from tests.support.stores import NOON, FixedClock, services_on

SYNC = {"content-type": PROTOBUF, "x-candor-sync": "1"}
RESOURCE = {
    "ResourceAttributes": {"service.name": "shop"},
    "ResourceSchemaUrl": "resource-schema",
    "ScopeName": "checkout",
    "ScopeVersion": "1.2",
    "ScopeAttributes": {"canary": "false"},
    "ScopeSchemaUrl": "scope-schema",
    "ServiceName": "shop",
}
NO_EXEMPLARS: dict[str, list[Any]] = {
    f"Exemplars.{name}": []
    for name in ("FilteredAttributes", "TimeUnix", "Value", "SpanId", "TraceId")
}
NUMBERS: dict[str, dict[str, Any]] = {
    "gauge": {
        "Attributes": {"queue": "0"},
        "Value": 0.0,
        "Exemplars.FilteredAttributes": [{"step": "pay"}],
        "Exemplars.TimeUnix": [NOON],
        "Exemplars.Value": [2.5],
        "Exemplars.SpanId": [SPAN_ID.hex()],
        "Exemplars.TraceId": [TRACE_ID.hex()],
    },
    "sum": {"Value": 1.5, "AggregationTemporality": 2, "IsMonotonic": True, **NO_EXEMPLARS},
    "histogram": {
        **NO_EXEMPLARS,
        "Count": 3,
        "Sum": 4.5,
        "BucketCounts": [1, 2],
        "ExplicitBounds": [1.0],
        "Min": 0.5,
        "Max": 2.5,
        "AggregationTemporality": 1,
    },
    "exponential_histogram": {
        **NO_EXEMPLARS,
        "Count": 4,
        "Sum": 9.0,
        "Scale": -2,
        "ZeroCount": 1,
        "PositiveOffset": -3,
        "PositiveBucketCounts": [1, 0],
        "NegativeOffset": 7,
        "NegativeBucketCounts": [2],
        "Min": 0.0,
        "Max": 0.0,
        "AggregationTemporality": 2,
    },
    "summary": {
        "Count": 3,
        "Sum": 9.0,
        "ValueAtQuantiles.Quantile": [0.5],
        "ValueAtQuantiles.Value": [2.0],
    },
}


def as_json(request: Message) -> bytes:
    """Return the JSON form: protobuf's own, with ids in hexadecimal and enumerations as numbers."""

    def mended(value: Any) -> Any:  # noqa: ANN401 - any JSON
        if isinstance(value, list):
            return [mended(one) for one in value]
        if not isinstance(value, dict):
            return value
        return {
            name: base64.b64decode(one).hex() if name in {"traceId", "spanId"} else mended(one)
            for name, one in value.items()
        }

    return json.dumps(mended(MessageToDict(request, use_integers_for_enums=True))).encode()


def stored(telemetry: TelemetryStore, table: str) -> list[dict[str, Any]]:
    rows = telemetry.query(f"SELECT * EXCEPT ReceivedAt FROM {table} ORDER BY ALL")  # noqa: S608 - our own names
    return [dict(row) for row in rows]


def test_every_column_of_a_log_record_is_what_was_sent(telemetry: TelemetryStore) -> None:
    request = log_request("no money", code=7)
    record = request.resource_logs[0].scope_logs[0].log_records.add(time_unix_nano=0)
    record.observed_time_unix_nano = NANO + 5
    record.body.array_value.values.add().string_value = "a"
    body = request.SerializeToString()
    payload = encode_otlp(read("logs", body).content([0, 1]), bytes(16))
    for _ in range(2):
        insert_otlp("logs", telemetry, [payload], "token")
    first, second = stored(telemetry, "otel_logs")
    assert first == RESOURCE | {
        "Timestamp": NOON,
        "TimestampTime": NOON,
        "TraceId": TRACE_ID.hex(),
        "SpanId": SPAN_ID.hex(),
        "TraceFlags": 1,
        "SeverityText": "WARN",
        "SeverityNumber": 13,
        "Body": "no money",
        "LogAttributes": {"code": "7"},
        "EventName": "declined",
    }
    assert (second["Body"], second["TraceId"]) == ('["a"]', "")
    exact = telemetry.query("SELECT max(toUnixTimestamp64Nano(Timestamp)) AS n FROM otel_logs")
    assert exact == [{"n": NANO + 5}]


def test_every_column_of_every_kind_of_data_point_is_what_was_sent(
    telemetry: TelemetryStore,
) -> None:
    payload = encode_otlp(metric_request().SerializeToString(), bytes(range(16)))
    for _ in range(2):
        insert_otlp("metrics", telemetry, [payload, payload[:0]], "token")
    for kind, columns in NUMBERS.items():
        (row,) = stored(telemetry, f"otel_metrics_{kind}")
        expected = {
            **RESOURCE,
            "ScopeDroppedAttrCount": 3,
            "MetricName": kind,
            "MetricDescription": "told",
            "MetricUnit": "1",
            "Attributes": {},
            "StartTimeUnix": NOON - timedelta(minutes=1),
            "TimeUnix": NOON,
            "Flags": 0,
            **columns,
        }
        assert row == expected, kind
    assert telemetry.query("SELECT Signal, count() AS n FROM otel_requests GROUP BY Signal") == [
        {"Signal": "metrics", "n": 1}
    ]


@pytest.mark.parametrize("request_", [log_request("x", code=7), metric_request()])
def test_json_and_protobuf_are_the_same_message(request_: Message) -> None:
    assert read_json(as_json(request_), type(request_)) == request_


def test_a_repeated_request_is_stored_once_and_another_one_as_well(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock)
    logs, metrics = log_request("a", "b").SerializeToString(), metric_request().SerializeToString()
    accepted, known = services.metrics.events_accepted, services.metrics.events_deduplicated
    with application_on(services) as application:
        for _ in range(2):
            assert application.post("/v1/logs", content=logs, headers=SYNC).content == b""
            assert application.post("/v1/metrics", content=metrics, headers=SYNC).content == b""
        assert accepted.labels("otlp")._value.get() == known.labels("otlp")._value.get() == 7
        other = log_request("a", "c").SerializeToString()
        application.post("/v1/logs", content=other, headers=SYNC)
    clock.now = utc_now()  # the engine stamps with its own clock
    with application_on(services) as application:
        application.post("/v1/logs", content=logs, headers=SYNC)
        application.post("/v1/metrics", content=metrics, headers=SYNC)
    assert sorted(row["Body"] for row in stored(embedded_telemetry, "otel_logs")) == list("aabc")
    assert len(stored(embedded_telemetry, "otel_metrics_sum")) == 1


def test_bad_records_are_counted_and_the_first_reasons_named(application: Application) -> None:
    logs = log_request("good", "bad")
    logs.resource_logs[0].scope_logs[0].log_records[1].time_unix_nano = 2**63
    answer = application.post("/v1/logs", content=logs.SerializeToString(), headers=SYNC)
    partial = ExportLogsServiceResponse.FromString(answer.content).partial_success
    assert partial.rejected_log_records == 1
    assert partial.error_message.startswith("log record 1: clock_skew: ")
    metrics = metric_request()
    points = metrics.resource_metrics[0].scope_metrics[0].metrics
    points[0].gauge.data_points.add(time_unix_nano=NANO)
    points[1].sum.data_points.add(time_unix_nano=NANO, flags=1)
    points[2].histogram.data_points[0].explicit_bounds.append(2.0)
    points[4].summary.data_points[0].time_unix_nano = 0
    body = metrics.SerializeToString()
    answer = application.post("/v1/metrics", content=body, headers=SYNC)
    told = ExportMetricsServiceResponse.FromString(answer.content).partial_success
    assert told.rejected_data_points == 3
    assert [reason[:12] for reason in told.error_message.split("; ")] == [
        *("data point 1", "data point 4", "data point 6"),
    ]
    telemetry = application.services.telemetry
    assert [row["Body"] for row in stored(telemetry, "otel_logs")] == ["good"]
    counts = {kind: len(stored(telemetry, f"otel_metrics_{kind}")) for kind in NUMBERS}
    assert counts == {
        "gauge": 1, "sum": 2, "histogram": 0, "exponential_histogram": 1, "summary": 0,
    }  # fmt: skip


@pytest.mark.parametrize("signal", ["logs", "metrics"])
def test_errors_say_what_a_client_may_do(application: Application, signal: str) -> None:
    path = f"/v1/{signal}"
    broken = application.post(path, content=b"\xff", headers=SYNC)
    detail = Status.FromString(broken.content).details[0]
    assert (broken.status_code, detail.Is(BadRequest.DESCRIPTOR)) == (400, True)
    lines = application.post(path, content=b"[]", headers={"content-type": JSON})
    assert lines.json()["details"][0]["@type"] == "type.googleapis.com/google.rpc.BadRequest"
    limit = application.services.settings.limits.body_bytes
    large = application.post(path, content=bytes(limit + 1), headers=SYNC)
    assert (large.status_code, Status.FromString(large.content).code) == (413, 3)
    assert application.post(path, content=b"", headers=SYNC).status_code == 200
    assert application.post(path, content=b"", headers={}).status_code == 415


def test_trouble_that_passes_is_told_with_a_time_to_come_back(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    spool = {"max_bytes": 4096, "segment_age": "PT1H"}
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock, spool=spool)
    with application_on(services) as application:
        body = log_request("x" * 5000).SerializeToString()
        headers = {"content-type": PROTOBUF}
        assert application.post("/v1/logs", content=body, headers=headers).status_code == 200
        refused = application.post("/v1/logs", content=body, headers=headers)
    retry = RetryInfo()
    assert Status.FromString(refused.content).details[0].Unpack(retry)
    assert refused.status_code == 503
    assert 4 <= retry.retry_delay.seconds <= int(refused.headers["retry-after"]) <= 6


def read(signal: Any, body: bytes) -> Any:  # noqa: ANN401 - a signal and its request
    from candor.kernel.settings import LimitSettings  # noqa: PLC0415 - used here alone
    from tests.support.stores import SECRETS  # noqa: PLC0415 - as above

    return read_request(signal, body, PROTOBUF, Reception(NOON, LimitSettings(), SECRETS))
