"""OTLP traces from the real SDK's encoder, in both encodings, into the exporter's table layout."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanKind, StatusCode, use_span
from sqlalchemy import Engine

from candor.kernel.services import Services
from candor.kernel.settings import LimitSettings
from candor.kernel.telemetry_store import TelemetryStore
from collector.assembly import open_collector
from collector.receivers.decoding import Reception
from collector.receivers.otlp import read_request
from collector.receivers.otlp_json import read_json
from collector.receivers.otlp_values import may_be_nested
from collector.store import encode_otlp, insert_otlp
from tests.support.asgi import Application, application_on
from tests.support.stores import NOON, SECRETS, FixedClock, services_on

TRACES = "/v1/traces"
PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}
SYNC = PROTOBUF | {"x-candor-sync": "1"}
START = int(NOON.timestamp()) * 1_000_000_000 - 5_000_000_007


def sdk_request(spans: int = 1) -> ExportTraceServiceRequest:
    memory = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "shop", "cores": 2}))
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("checkout", "1.2")
    for number in range(spans):
        other = tracer.start_span("parent", kind=SpanKind.SERVER, start_time=START)
        with use_span(other):
            span = tracer.start_span(
                "pay",
                kind=SpanKind.CLIENT,
                start_time=START,
                links=[Link(other.get_span_context(), {"why": "retry"})],
                attributes={
                    "text": "",
                    "yes": False,
                    "count": 0,
                    "ratio": 0.5,
                    "number": number,
                    "list": ["a", "b"],
                },
            )
            span.add_event("declined", {"code": 7}, timestamp=START + 1)
            span.set_status(StatusCode.ERROR, "no money")
            span.end(START + 182_400_001)
        other.end(START + 200_000_000)
    provider.shutdown()
    return encode_spans(memory.get_finished_spans())


def as_json(request: ExportTraceServiceRequest) -> bytes:
    """Return the JSON form: protobuf's own, with ids in hexadecimal and enumerations as numbers."""

    def mended(value: Any) -> Any:  # noqa: ANN401 - any JSON
        import base64  # noqa: PLC0415 - used here alone

        if isinstance(value, list):
            return [mended(one) for one in value]
        if not isinstance(value, dict):
            return value
        ids = {"traceId", "spanId", "parentSpanId"}
        return {
            name: base64.b64decode(one).hex() if name in ids else mended(one)
            for name, one in value.items()
        }

    document = MessageToDict(request, use_integers_for_enums=True)
    return json.dumps(mended(document) | {"unknown": 1}).encode()


def spans_of(services: Services) -> list[dict[str, Any]]:
    rows = services.telemetry.query("SELECT * FROM otel_traces ORDER BY SpanName DESC, Duration")
    return [row for row in rows if row["SpanName"] == "pay"]


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_every_column_of_a_span_is_what_the_sdk_sent(services: Services, encoding: str) -> None:
    request = sdk_request()
    body, kind = (
        (request.SerializeToString(), "application/x-protobuf")
        if encoding == "protobuf"
        else (as_json(request), "application/json")
    )
    reception = Reception(services.clock(), services.settings.limits, services.secrets)
    with open_collector(services) as collector:
        read = read_request("traces", body, kind, reception)
        assert collector.intake.submit_otlp("traces", read).wait().accepted == 2
        collector.flush()
        (row,) = spans_of(services)
    span = request.resource_spans[0].scope_spans[0].spans[0]
    assert row["Timestamp"].timestamp() == pytest.approx(START / 1e9, abs=1e-5)
    del row["ReceivedAt"], row["Timestamp"], row["Events.Timestamp"]
    assert row == {
        "TraceId": span.trace_id.hex(),
        "SpanId": span.span_id.hex(),
        "ParentSpanId": span.parent_span_id.hex(),
        "TraceState": "",
        "SpanName": "pay",
        "SpanKind": "Client",
        "ServiceName": "shop",
        "ResourceAttributes": {"service.name": "shop", "cores": "2"},
        "ScopeName": "checkout",
        "ScopeVersion": "1.2",
        "SpanAttributes": {
            "text": "",
            "yes": "false",
            "count": "0",
            "ratio": "0.5",
            "number": "0",
            "list": '["a","b"]',
        },
        "Duration": 182_400_001,
        "StatusCode": "Error",
        "StatusMessage": "no money",
        "Events.Name": ["declined"],
        "Events.Attributes": [{"code": "7"}],
        "Links.TraceId": [span.links[0].trace_id.hex()],
        "Links.SpanId": [span.links[0].span_id.hex()],
        "Links.TraceState": [""],
        "Links.Attributes": [{"why": "retry"}],
    }
    nanoseconds = services.telemetry.query(
        "SELECT toUnixTimestamp64Nano(Timestamp) AS n FROM otel_traces WHERE SpanName = 'pay'"
    )
    assert nanoseconds == [{"n": START}]


def test_a_trace_segment_that_is_inserted_twice_is_stored_once(telemetry: TelemetryStore) -> None:
    reception = Reception(NOON, LimitSettings(), SECRETS)
    body = sdk_request(50).SerializeToString()
    read = read_request("traces", body, "application/x-protobuf", reception)
    payloads = [encode_otlp(read.content(read.indices), read.digest)]
    for _ in range(3):
        insert_otlp("traces", telemetry, payloads, "token")
    counts = telemetry.query(
        "SELECT (SELECT count() FROM otel_traces) AS spans,"
        " (SELECT count() FROM otel_traces_trace_id_ts) AS traces"
    )
    assert counts == [{"spans": 100, "traces": 50}]


def test_a_span_that_came_before_is_not_stored_again_even_by_the_next_process(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock)
    request = sdk_request(3)
    body = request.SerializeToString()
    with application_on(services) as application:
        assert application.post(TRACES, content=body, headers=SYNC).status_code == 200
        more = sdk_request(1)
        more.resource_spans.extend(request.resource_spans)
        body = more.SerializeToString()
        assert application.post(TRACES, content=body, headers=SYNC).status_code == 200
        assert len(spans_of(services)) == 4
    services.clock.now = utc_later()  # type: ignore[attr-defined]  # a FixedClock
    with application_on(services) as application:
        application.post(TRACES, content=body, headers=SYNC)
        assert len(spans_of(services)) == 4


def utc_later() -> Any:  # noqa: ANN401 - a datetime
    from candor.kernel.clock import utc_now  # noqa: PLC0415 - the engine stamps with its own clock

    return utc_now()


def test_bad_spans_are_counted_and_the_first_reasons_named(application: Application) -> None:
    request = sdk_request(2)
    spans = request.resource_spans[0].scope_spans[0].spans
    spans[0].trace_id = b"short"
    spans[1].span_id = bytes(8)
    spans[2].start_time_unix_nano = 2**63
    answer = application.post(TRACES, content=request.SerializeToString(), headers=SYNC)
    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert partial.rejected_spans == 3
    assert partial.error_message.startswith("span 0: malformed: A trace id has 16 bytes")
    stored = application.services.telemetry.query("SELECT count() AS n FROM otel_traces")
    assert stored == [{"n": 1}]
    again = application.post(TRACES, content=as_json(request), headers=JSON)
    assert again.json()["partialSuccess"]["rejectedSpans"] == "3"


def test_a_clean_request_gets_an_empty_response(application: Application) -> None:
    packed = PROTOBUF | {"content-encoding": "gzip"}
    body = gzip.compress(sdk_request().SerializeToString())
    assert application.post(TRACES, content=body, headers=packed).content == b""
    assert application.post(TRACES, content=b"{}", headers=JSON).json() == {}
    assert application.post(TRACES, content=b"", headers=PROTOBUF).status_code == 200


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (PROTOBUF, b"\xff\xff", 400),
        (JSON, b"[", 400),
        (JSON, b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "xyz"}]}]}]}', 400),
        ({"content-type": "text/plain"}, b"", 415),
        (PROTOBUF | {"content-encoding": "gzip"}, b"no", 400),
        (PROTOBUF | {"authorization": "x"}, b"", 401),
    ],
)
def test_an_error_is_a_status_in_the_encoding_of_the_request(
    application: Application, headers: dict[str, str], body: bytes, status: int
) -> None:
    answer = application.post(TRACES, content=body, headers=headers)
    assert answer.status_code == status
    if headers["content-type"] == "application/json":
        assert answer.json()["code"] == 3
    else:
        assert Status.FromString(answer.content).message


def test_a_full_spool_is_unavailable_and_says_when_to_come_back(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    spool = {"max_bytes": 4096, "segment_age": "PT1H"}
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock, spool=spool)
    with application_on(services) as application:
        body = sdk_request(20).SerializeToString()
        assert application.post(TRACES, content=body, headers=PROTOBUF).status_code == 200
        refused = application.post(TRACES, content=body, headers=PROTOBUF)
        assert (refused.status_code, int(refused.headers["retry-after"]) >= 1) == (503, True)


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.builds(lambda x: {"stringValue": x}, st.text(max_size=5)),
        st.builds(lambda x: {"boolValue": x}, st.booleans()),
        st.builds(lambda x: {"intValue": str(x)}, st.integers(-(2**63), 2**63 - 1)),
        st.builds(lambda x: {"intValue": x}, st.integers(-9, 9)),
        st.builds(lambda x: {"doubleValue": x}, st.floats(allow_nan=False, allow_infinity=False)),
        st.just({"bytesValue": "AAE="}),
        st.just({}),
    ),
    lambda inner: st.one_of(
        st.builds(lambda x: {"arrayValue": {"values": x}}, st.lists(inner, max_size=2)),
        st.builds(
            lambda x: {"kvlistValue": {"values": [{"key": "k", "value": one} for one in x]}},
            st.lists(inner, max_size=2),
        ),
    ),
    max_leaves=4,
)


@given(st.lists(VALUES, max_size=3))
def test_json_and_protobuf_mean_the_same(values: list[Any]) -> None:
    from google.protobuf.json_format import ParseDict  # noqa: PLC0415 - the slow reference

    attributes = [{"key": f"k{n}", "value": value} for n, value in enumerate(values)]
    document = {"resourceSpans": [{"resource": {"attributes": attributes}}]}
    expected = ParseDict(document, ExportTraceServiceRequest())
    read = read_json(json.dumps(document).encode(), ExportTraceServiceRequest)
    assert read == expected


@given(st.lists(VALUES, max_size=3), st.binary(max_size=8))
def test_a_nested_value_is_never_missed(values: list[Any], name: bytes) -> None:
    from google.protobuf.json_format import ParseDict  # noqa: PLC0415 - the slow reference

    attributes = [{"key": name.hex() * 40, "value": value} for value in values]
    document = {"resourceSpans": [{"scopeSpans": [{"spans": [{"attributes": attributes}]}]}]}
    body = ParseDict(document, ExportTraceServiceRequest()).SerializeToString()
    is_nested = any({"arrayValue", "kvlistValue"} & set(value) for value in values)
    assert may_be_nested(body) or not is_nested
