"""A policy that quarantines keeps single records of OTLP out; the rest of a request is stored."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from sqlalchemy import Engine

from candor.kernel.ports import OtlpSignal
from candor.kernel.services import Services
from candor.kernel.telemetry_store import TelemetryStore
from collector.receivers.otlp_json import write_json
from collector.receivers.otlp_shape import SHAPES
from tests.support import pii as loaded_pii
from tests.support.asgi import Application, application_on, pii_on
from tests.support.otlp import NANO, log_request, span_request
from tests.support.quarantine import replay
from tests.support.stores import FixedClock, services_on

SSN = "536-22-1234"
PROTOBUF = "application/x-protobuf"
POLICY = "/api/v1/pii/policies/default"
QUARANTINED: dict[str, Any] = {"rules": [{"action": "quarantine", "entities": ["US_SSN"]}]}


@contextmanager
def guarded(services: Services) -> Iterator[Application]:
    """Give the application with PII protection on, Presidio loaded already."""
    with pii_on(services) as pii:
        pii.pool._loaded = loaded_pii.loaded()
        with application_on(replace(services, redactor=pii.redactor), pii) as running:
            assert running.request("PUT", POLICY, json=QUARANTINED).status_code == 201
            yield running


@pytest.fixture
def shop(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> Iterator[Application]:
    with guarded(services_on(tmp_path, sqlite, embedded_telemetry, clock)) as running:
        yield running


def send(shop: Application, signal: OtlpSignal, message: Any, *, as_json: bool) -> dict[str, Any]:  # noqa: ANN401 - a request of that signal
    """Return the partial success of a request, as JSON has it whatever was sent."""
    sync = {"x-candor-sync": "1"}
    if as_json:
        answer = shop.post(f"/v1/{signal}", json=write_json(message), headers=sync)
        told: dict[str, Any] = answer.json()
    else:
        headers = sync | {"content-type": PROTOBUF}
        answer = shop.post(f"/v1/{signal}", content=message.SerializeToString(), headers=headers)
        response: Any = SHAPES[signal].response
        told = MessageToDict(response.FromString(answer.content))
    assert answer.status_code == 200, answer.text
    partial: dict[str, Any] = told.get("partialSuccess", {})
    return partial


def rows(shop: Application, query: str) -> list[dict[str, Any]]:
    return list(shop.services.telemetry.query(query))


def refused(shop: Application) -> list[dict[str, Any]]:
    return rows(shop, "SELECT id, code, path, door, call FROM quarantine ORDER BY path, id")


def points() -> ExportMetricsServiceRequest:
    """Return two metrics: of the first the second point holds a number, of the other its name."""
    message = ExportMetricsServiceRequest()
    scope = message.resource_metrics.add().scope_metrics.add()
    scope.metrics.add(name="empty")
    first = scope.metrics.add(name="first").gauge.data_points
    for seen in ("a", f"ssn {SSN}", "b"):
        point = first.add(time_unix_nano=NANO, as_int=1)
        point.attributes.add(key="seen").value.string_value = seen
    named = scope.metrics.add(name="second", description=f"ssn {SSN}").gauge.data_points
    named.add(time_unix_nano=NANO, as_int=2)
    scope.metrics.add(name="third").gauge.data_points.add(time_unix_nano=NANO, as_int=3)
    return message


@pytest.mark.parametrize("as_json", [False, True])
def test_a_log_record_is_quarantined_and_the_others_are_stored(
    shop: Application, *, as_json: bool
) -> None:
    told = send(shop, "logs", log_request("one", f"ssn {SSN}", "three"), as_json=as_json)
    assert told["rejectedLogRecords"] == "1"
    assert "log record 1: pii_blocked" in told["errorMessage"]
    assert SSN not in told["errorMessage"]
    stored = rows(shop, "SELECT Body FROM otel_logs ORDER BY Body")
    assert [row["Body"] for row in stored] == ["one", "three"]
    [kept] = refused(shop)
    assert kept["id"] in told["errorMessage"]
    assert (kept["code"], kept["path"], kept["call"]) == ("pii_blocked", "log.body", "logs")


@pytest.mark.parametrize("as_json", [False, True])
def test_a_span_is_quarantined_wherever_the_value_stands_in_it(
    shop: Application, *, as_json: bool
) -> None:
    request = span_request({"a": "clean"}, {"deep": f"ssn {SSN}"}, {"b": "clean"}, {"c": "clean"})
    spans = request.resource_spans[0].scope_spans[0].spans
    spans[3].events.add(name=f"ssn {SSN}")
    told = send(shop, "traces", request, as_json=as_json)
    assert told["rejectedSpans"] == "2"
    stored = rows(shop, "SELECT SpanId FROM otel_traces ORDER BY SpanId")
    assert [int(row["SpanId"], 16) for row in stored] == [1, 3]
    assert [one["path"] for one in refused(shop)] == ["event.name", "span.attributes.deep"]


@pytest.mark.parametrize("as_json", [False, True])
def test_data_points_are_quarantined_one_by_one_or_with_their_metric(
    shop: Application, *, as_json: bool
) -> None:
    told = send(shop, "metrics", points(), as_json=as_json)
    assert told["rejectedDataPoints"] == "2"
    stored = rows(shop, "SELECT MetricName, Attributes FROM otel_metrics_gauge ORDER BY ALL")
    assert [(row["MetricName"], row["Attributes"]) for row in stored] == [
        ("first", {"seen": "a"}),
        ("first", {"seen": "b"}),
        ("third", {}),
    ]
    assert [one["path"] for one in refused(shop)] == ["metric.description", "point.attributes.seen"]


def test_what_a_resource_holds_keeps_all_of_its_records_out(shop: Application) -> None:
    request = log_request("one", "two")
    request.resource_logs[0].resource.attributes.add(key="owner").value.string_value = f"ssn {SSN}"
    request.MergeFrom(log_request("other"))
    told = send(shop, "logs", request, as_json=False)
    assert told["rejectedLogRecords"] == "2"
    assert [row["Body"] for row in rows(shop, "SELECT Body FROM otel_logs")] == ["other"]


def test_a_quarantined_span_is_sent_again_when_the_policy_lets_it(shop: Application) -> None:
    request = span_request({"a": "clean"}, {"ssn": SSN})
    send(shop, "traces", request, as_json=False)
    told = send(shop, "traces", request, as_json=False)
    assert told["rejectedSpans"] == "1"
    [kept] = refused(shop)
    again = replay(shop, kept["id"])
    assert [one["code"] for one in again["rejected"]] == ["pii_blocked"]
    masked = {"rules": [{"action": "mask", "entities": ["US_SSN"]}]}
    assert shop.request("PUT", POLICY, json=masked).status_code == 201
    assert replay(shop, kept["id"])["accepted"] == 1
    shop.collector.flush()
    stored = rows(shop, "SELECT SpanId, SpanAttributes FROM otel_traces ORDER BY SpanId")
    assert [row["SpanAttributes"].get("ssn") for row in stored] == [None, "[US_SSN]"]


def test_the_records_of_a_request_that_are_kept_out_are_told_beside_the_invalid_ones(
    shop: Application,
) -> None:
    request = span_request({"a": "x"}, {"ssn": SSN}, {"b": "y"})
    request.resource_spans[0].scope_spans[0].spans[0].trace_id = b"short"
    told = send(shop, "traces", request, as_json=False)
    assert told["rejectedSpans"] == "2"
    assert "span 0: malformed" in told["errorMessage"]
    assert "span 1: pii_blocked" in told["errorMessage"]
    assert len(refused(shop)) == 2


def test_when_all_records_are_kept_out_a_repetition_is_told_so_again(shop: Application) -> None:
    for _ in range(2):
        told = send(shop, "logs", log_request(f"ssn {SSN}"), as_json=False)
        assert told["rejectedLogRecords"] == "1"
    assert rows(shop, "SELECT Body FROM otel_logs") == []
    assert len(refused(shop)) == 1
