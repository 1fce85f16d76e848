"""OpenTelemetry's own exporters and a real collector, pointed at a running ``candor serve``."""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import (
    OTLPMetricExporter as GrpcMetrics,
)
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import (
    OTLPMetricExporter as HttpMetrics,
)
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tests.support.otlp import metric_request
from tests.support.server import Server, free_port, query_stores, serve

PERSON = "anna.secret@example.org"
TABLES = (
    *("otel_traces", "otel_logs", "otel_metrics_gauge", "otel_metrics_sum"),
    *("otel_metrics_histogram", "otel_metrics_exponential_histogram", "otel_metrics_summary"),
    "events",
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serve(tmp_path) as running:
        yield running


def exporters(server: Server, kind: str) -> tuple[Any, Any, Any]:
    """Return the exporters of spans, logs and metrics, over HTTP packed and over gRPC."""
    views: dict[str, Any] = {"headers": server.headers}
    if kind == "grpc":
        views |= {"endpoint": server.grpc, "insecure": True}
        return GrpcSpans(**views), GrpcLogs(**views), GrpcMetrics(**views)
    views |= {"compression": Compression.Gzip}
    return (
        HttpSpans(f"{server.url}/v1/traces", **views),
        HttpLogs(f"{server.url}/v1/logs", **views),
        HttpMetrics(f"{server.url}/v1/metrics", **views),
    )


def send_spans(exporter: Any, resource: Resource) -> None:  # noqa: ANN401 - of either protocol
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    with provider.get_tracer("test").start_as_current_span("pay") as span:
        span.set_attributes({"list": ["a", "b"], "enduser.id": PERSON})
        span.set_attributes({"journey.name": "checkout", "journey.step": "payment"})
    assert provider.force_flush()
    provider.shutdown()


def send_logs(exporter: Any, resource: Resource) -> None:  # noqa: ANN401 - as above
    provider = LoggerProvider(resource=resource)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    provider.get_logger("test").emit(
        LogRecord(
            timestamp=time.time_ns(),
            severity_number=SeverityNumber.WARN,
            body="no money",
            attributes={"enduser.id": PERSON},
        )
    )
    assert provider.force_flush()
    provider.shutdown()


def send_metrics(exporter: MetricExporter, resource: Resource) -> None:
    views = [
        View(
            instrument_type=Histogram,
            instrument_name="size",
            aggregation=ExponentialBucketHistogramAggregation(),
        )
    ]
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    provider = MeterProvider([reader], resource, views=views)
    meter = provider.get_meter("test")
    meter.create_counter("paid").add(2, {"channel": "web"})
    meter.create_gauge("queue").set(7)
    meter.create_histogram("latency").record(182.4)
    meter.create_histogram("size").record(3)
    provider.shutdown()  # exports once; a flush before it would send every point twice


def rows(folder: Path) -> dict[str, int]:
    """Return how many rows each table of a stopped server has."""
    parts = ", ".join(f"(SELECT count() FROM {name}) AS {name}" for name in TABLES)  # noqa: S608 - our own names
    (counts,) = query_stores(folder, f"SELECT {parts}")
    return counts


@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_opentelemetrys_exporters_are_taken(tmp_path: Path, kind: str) -> None:
    resource = Resource({"service.name": "shop"})
    with serve(tmp_path) as server:
        spans, logs, metrics = exporters(server, kind)
        send_spans(spans, resource)
        send_logs(logs, resource)
        send_metrics(metrics, resource)
        summary = httpx.post(
            f"{server.url}/v1/metrics",
            content=metric_request().SerializeToString(),
            headers=server.headers | {"content-type": "application/x-protobuf"},
        )
        assert (summary.status_code, summary.content) == (200, b"")
    assert rows(tmp_path) == dict.fromkeys(TABLES, 2) | {
        **dict.fromkeys(("otel_traces", "otel_logs", "otel_metrics_summary", "events"), 1),
    }
    stored = b"".join(one.read_bytes() for one in tmp_path.rglob("*") if one.is_file())
    assert PERSON.encode() not in stored
    assert query_stores(
        tmp_path,
        "SELECT name, subject_key = (SELECT any(SpanAttributes['enduser.id']) FROM otel_traces)"
        " AS same, (SELECT any(Body) FROM otel_logs) AS body FROM events",
    ) == [{"name": "checkout.payment", "same": 1, "body": "no money"}]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_rust_collector_forwards_what_it_gets(server: Server, protocol: str) -> None:
    resource = Resource({"service.name": "shop"})
    with rotel(server, protocol) as address:
        send_spans(HttpSpans(f"{address}/v1/traces"), resource)
        send_logs(HttpLogs(f"{address}/v1/logs"), resource)
        send_metrics(HttpMetrics(f"{address}/v1/metrics"), resource)
        until(lambda: accepted(server) == 7)
    server.process.terminate()
    server.process.wait()
    counts = rows(server.folder)
    assert counts == dict.fromkeys(TABLES, 1) | {"otel_metrics_summary": 0}


def accepted(server: Server) -> float:
    lines = server.metrics().splitlines()
    name = 'candor_events_accepted_total{door="otlp"}'
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def until(holds: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(300):
        if holds():
            return
        pause.wait(0.1)
    raise AssertionError("it never came to be")


class rotel:  # noqa: N801 - reads as what it runs
    """Rotel, the program of the package of that name, forwarding to a server."""

    def __init__(self, server: Server, protocol: str) -> None:
        self._port = free_port()
        target = server.url if protocol == "http" else f"http://{server.grpc}"
        self._command = [
            *(str(files("rotel").joinpath("rotel-agent")), "start", "--exporter", "otlp"),
            *("--otlp-http-endpoint", f"127.0.0.1:{self._port}"),
            *("--otlp-grpc-endpoint", f"127.0.0.1:{free_port()}"),
            *("--otlp-exporter-endpoint", target, "--otlp-exporter-protocol", protocol),
            *("--otlp-exporter-custom-headers", f"authorization=Bearer {server.key}"),
            *("--pid-file", str(server.folder / "rotel.pid")),
            *("--log-file", str(server.folder / "rotel.log")),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> str:
        environment = os.environ | {"ROTEL_TELEMETRY": "0"}
        self._process = subprocess.Popen(
            self._command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        address = f"http://127.0.0.1:{self._port}"
        until(lambda: listens(f"{address}/v1/traces"))
        return address

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait()


def listens(url: str) -> bool:
    try:
        httpx.get(url)
    except httpx.TransportError:
        return False
    return True
