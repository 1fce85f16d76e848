"""OTLP traces: spans stored for each second of CPU, against decoding them in Python.

``candor`` checks a request, spools it with a sync, and lets the engine read the segment.
``baseline`` decodes with opentelemetry-proto, builds Python columns and inserts them with
clickhouse-connect. Both write to the same tables of one embedded engine, in the same batches. CPU
is process time with all engine threads. Median of five.

Budget: candor >= 3 x the baseline's spans per CPU second.
"""

import random
import statistics
import tempfile
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import clickhouse_connect
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from candor.kernel.clock import utc_now
from candor.kernel.metrics import new_metrics
from candor.kernel.migrate import migrate_telemetry
from candor.kernel.secrets import Secrets
from candor.kernel.settings import LimitSettings, SpoolSettings, TelemetryLimits
from candor.kernel.telemetry_store import TelemetryStore, open_telemetry_store
from collector.receivers.decoding import Reception
from collector.receivers.otlp import PROTOBUF, read_request
from collector.segment import read_records
from collector.spool import Spool
from collector.store import encode_otlp, insert_otlp

REQUESTS = 200
SPANS = 100
ROUNDS = 5
KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
STATUSES = ("Unset", "Ok", "Error")
COLUMNS = (
    *("Timestamp", "TraceId", "SpanId", "ParentSpanId", "TraceState", "SpanName", "SpanKind"),
    *("ServiceName", "ResourceAttributes", "ScopeName", "ScopeVersion", "SpanAttributes"),
    *("Duration", "StatusCode", "StatusMessage", "Events.Timestamp", "Events.Name"),
    *("Events.Attributes", "Links.TraceId", "Links.SpanId", "Links.TraceState"),
    "Links.Attributes",
)


def main() -> None:
    """Measure both in turn and print both numbers and their ratio."""
    bodies = [request(number) for number in range(REQUESTS)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = open_telemetry_store(f"chdb:///{folder}/telemetry", TelemetryLimits())
        client = clickhouse_connect.get_client(
            interface="chdb", path=str(folder / "telemetry"), database="candor"
        )
        try:
            migrate_telemetry(store, utc_now)
            store.command("SYSTEM STOP MERGES otel_traces")
            rates = [
                (candor(store, folder / f"spool-{round_}", bodies), baseline(client, bodies))
                for round_ in range(ROUNDS)
            ]
        finally:
            client.close()
            store.close()
    ours, theirs = (statistics.median(pair[side] for pair in rates) for side in (0, 1))
    ratio = statistics.median(one / other for one, other in rates)
    print(
        f"OTLP traces stored, spans per CPU second: candor {ours:,.0f}, baseline {theirs:,.0f},"
        f" ratio {ratio:.2f} (>= 3)"
    )


def candor(store: TelemetryStore, folder: Path, bodies: Sequence[bytes]) -> float:
    """Return the spans per CPU second of checking, spooling and storing."""
    reception = Reception(utc_now(), LimitSettings(), Secrets(*[bytes(32)] * 7))
    spool = Spool(folder, SpoolSettings(), utc_now, new_metrics())
    started = time.process_time()
    with spool.running():
        for body in bodies:
            read = read_request("traces", body, PROTOBUF, reception)
            payload = encode_otlp(read.content(read.indices), read.digest)
            spool.submit("traces", payload, len(read.indices))
        spool.seal()
        for segment in spool.sealed():
            payloads = [record.payload for record in read_records(segment.path)]
            insert_otlp("traces", store, payloads, segment.token)
            spool.remove(segment)
    return REQUESTS * SPANS / (time.process_time() - started)


def baseline(client: Any, bodies: Sequence[bytes]) -> float:  # noqa: ANN401 - the library's client
    """Return the spans per CPU second of decoding and inserting Python columns."""
    started = time.process_time()
    columns: list[list[Any]] = [[] for _ in COLUMNS]
    for body in bodies:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            shared = attributes(resource.resource.attributes)
            for scope in resource.scope_spans:
                for span in scope.spans:
                    for column, value in zip(columns, row(span, scope.scope, shared), strict=True):
                        column.append(value)
    client.insert(
        "otel_traces",
        columns,
        column_names=COLUMNS,
        column_oriented=True,
        settings={"insert_deduplication_token": uuid.uuid4().hex},
    )
    return REQUESTS * SPANS / (time.process_time() - started)


def row(span: Any, scope: Any, shared: dict[str, str]) -> tuple[Any, ...]:  # noqa: ANN401 - protobuf
    """Return one span as the values of the table's columns."""
    return (
        datetime.fromtimestamp(span.start_time_unix_nano / 1e9, UTC),
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.trace_state,
        span.name,
        KINDS[span.kind],
        shared.get("service.name", ""),
        shared,
        scope.name,
        scope.version,
        attributes(span.attributes),
        span.end_time_unix_nano - span.start_time_unix_nano,
        STATUSES[span.status.code],
        span.status.message,
        [datetime.fromtimestamp(one.time_unix_nano / 1e9, UTC) for one in span.events],
        [one.name for one in span.events],
        [attributes(one.attributes) for one in span.events],
        [one.trace_id.hex() for one in span.links],
        [one.span_id.hex() for one in span.links],
        [one.trace_state for one in span.links],
        [attributes(one.attributes) for one in span.links],
    )


def attributes(values: Any) -> dict[str, str]:  # noqa: ANN401 - protobuf
    """Return attributes as texts."""
    return {one.key: str(getattr(one.value, one.value.WhichOneof("value"))) for one in values}


def request(number: int) -> bytes:
    """Return a request of 100 spans with eight attributes each."""
    dice = random.Random(number)
    message = ExportTraceServiceRequest()
    resource = message.resource_spans.add()
    for name, value in (("service.name", "shop"), ("host.name", "web-1")):
        resource.resource.attributes.add(key=name).value.string_value = value
    scope = resource.scope_spans.add()
    scope.scope.name, scope.scope.version = "checkout", "1.0"
    start = time.time_ns()
    for _ in range(SPANS):
        span = scope.spans.add(
            trace_id=dice.randbytes(16),
            span_id=dice.randbytes(8),
            parent_span_id=dice.randbytes(8),
            name=dice.choice(("GET /cart", "POST /payment")),
            start_time_unix_nano=start,
            end_time_unix_nano=start + dice.randrange(10**9),
        )
        span.kind = 2  # type: ignore[assignment]  # SPAN_KIND_SERVER
        for name, value in (
            *(("http.request.method", "POST"), ("url.path", "/checkout/payment")),
            *(("server.address", "checkout"), ("feature_flag.key", "payment")),
            *(("user_agent.original", "Firefox 142 on Linux"), ("release", "4.12.1")),
        ):
            span.attributes.add(key=name).value.string_value = value
        span.attributes.add(key="http.response.status_code").value.int_value = 200
        span.attributes.add(key="retry").value.bool_value = False
    return bytes(message.SerializeToString())


if __name__ == "__main__":
    main()
