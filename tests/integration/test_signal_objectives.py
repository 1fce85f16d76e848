"""Objectives over spans, log records and web vitals, counted on real stores."""

from datetime import timedelta
from typing import Any

import pytest
import yaml
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from candor.kernel.settings import LimitSettings
from candor.kernel.telemetry_store import TelemetryStore
from collector.receivers.decoding import Reception
from collector.receivers.otlp import PROTOBUF, read_request
from collector.store import encode_otlp, encode_vitals, insert_otlp, insert_vitals
from collector.vital import Vital
from slo.budget import EventCounts
from slo.budgeting import OCCURRENCES, Place
from slo.indicator import text_field_fault
from slo.openslo import read_openslo
from slo.store import Question, count, count_by_value
from slo.units import read_units
from slo.window import MINUTE, rolling
from tests.support.otlp import log_request
from tests.support.stores import NOON, SECRETS
from tests.unit.slo.test_openslo import ratio, source, threshold

HOUR = rolling(timedelta(hours=1), NOON)
NANO = int((NOON - 5 * MINUTE).timestamp() * 1e9)
_OK, _ERROR = 1, 2


def indicator(document: Any) -> Any:  # noqa: ANN401 - a document
    objectives, findings = read_openslo({"f": yaml.safe_dump(document)})
    assert [finding for _, finding in findings if finding.severity == "error"] == []
    return objectives[0].indicator


def counts(telemetry: TelemetryStore, one: Any) -> EventCounts:  # noqa: ANN401 - an indicator
    (whole,) = count(telemetry, [Question(one, HOUR)])
    (by_minute,) = read_units(telemetry, one, OCCURRENCES, Place(HOUR))
    assert by_minute.events == whole
    field = "name" if text_field_fault("name", one.signal) is None else "service"
    values = count_by_value(telemetry, one, [HOUR], field).values()
    assert sum(one.good for one in values) == whole.good
    assert sum(one.valid for one in values) == whole.valid
    return whole


def store(
    telemetry: TelemetryStore,
    signal: Any,  # noqa: ANN401 - OTLP's own
    message: Any,  # noqa: ANN401 - as above
    insert: str = "one",
) -> None:
    body = message.SerializeToString()
    reception = Reception(NOON, LimitSettings(), SECRETS)
    read = read_request(signal, body, PROTOBUF, reception)
    assert read.rejections == []
    insert_otlp(signal, telemetry, [encode_otlp(body, read.digest)], insert)


def spans(*spans_: tuple[str, int, int]) -> ExportTraceServiceRequest:
    """Return spans by name, status, and duration in milliseconds."""
    message = ExportTraceServiceRequest()
    resource = message.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "shop"
    scope = resource.scope_spans.add()
    for number, (name, status, milliseconds) in enumerate(spans_, 1):
        span = scope.spans.add(
            trace_id=bytes(15) + bytes([number]),
            span_id=bytes(7) + bytes([number]),
            name=name,
            start_time_unix_nano=NANO,
            end_time_unix_nano=NANO + milliseconds * 1_000_000,
        )
        span.status.code = status  # type: ignore[assignment]  # an enum of protobuf
        span.attributes.add(key="region").value.string_value = "eu"
    return message


def test_spans_are_counted_by_status_and_by_duration(telemetry: TelemetryStore) -> None:
    store(
        telemetry,
        "traces",
        spans(("GET /", _OK, 100), ("GET /", _ERROR, 900), ("GET /", 0, 250), ("POST /", _OK, 9)),
    )
    chosen = {"service": "shop", "name": "GET /", "attributes.region": "eu"}
    failed = ratio(
        total=source(signal="spans", filter=chosen),
        bad=source(signal="spans", filter={"status_code": "Error"}),
    )
    assert counts(telemetry, indicator(failed)) == EventCounts(2, 3)
    quick = threshold(
        {"target": 0.9, "op": "lte", "value": 250},
        signal="spans", filter=chosen, value="duration_ms",
    )  # fmt: skip
    assert counts(telemetry, indicator(quick)) == EventCounts(2, 3)


def test_log_records_are_counted_by_their_severity(telemetry: TelemetryStore) -> None:
    message = log_request("declined", "paid", "paid")
    records = message.resource_logs[0].scope_logs[0].log_records
    for record, severity in zip(records, (17, 9, 9), strict=True):
        record.severity_number = severity  # type: ignore[assignment]  # an enum of protobuf
        record.time_unix_nano = NANO
    store(telemetry, "logs", message)
    calm = ratio(
        total=source(signal="logs", filter={"service": "shop"}),
        bad=source(signal="logs", filter={"severity_number": {"gte": 17}}),
    )
    assert counts(telemetry, indicator(calm)) == EventCounts(2, 3)


def vital(view: str, value: float, minute: int, rating: Any = "good") -> Vital:  # noqa: ANN401 - a word
    return Vital(
        time=NOON - minute * MINUTE,
        received_at=NOON,
        id=view,
        name="LCP",
        value=value,
        delta=value,
        rating=rating,
        page="/checkout",
        device="mobile",
    )


def test_a_page_view_counts_once_with_its_latest_vital(telemetry: TelemetryStore) -> None:
    beacons = [
        vital("a", 900, 9),
        vital("a", 4100, 8, "poor"),
        vital("b", 1200, 7),
        vital("before", 900, 200),
    ]
    insert_vitals(telemetry, [encode_vitals(beacons)], "vitals")
    good = ratio(total=source(signal="vitals", filter={"name": "LCP"}, good={"rating": "good"}))
    assert counts(telemetry, indicator(good)) == EventCounts(1, 2)
    fast = threshold(
        {"target": 0.75, "op": "lte", "value": 2500},
        signal="vitals", filter={"name": "LCP", "page": "/checkout"}, value="value",
    )  # fmt: skip
    assert counts(telemetry, indicator(fast)) == EventCounts(1, 2)


@pytest.mark.parametrize(("signal", "field"), [("spans", "outcome"), ("vitals", "duration_ms")])
def test_a_field_of_another_signal_is_named(signal: str, field: str) -> None:
    wrong = ratio(total=source(signal=signal, filter={field: "x"}, good={"name": "x"}))
    _, findings = read_openslo({"f": yaml.safe_dump(wrong)})
    assert "unknown-field" in {finding.rule for _, finding in findings}
