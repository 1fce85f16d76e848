from pathlib import Path

import httpx
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import Engine

from candor.kernel.settings import TracingSettings
from candor.kernel.telemetry_store import TelemetryStore
from candor.kernel.tracing import close_tracing, new_tracer_provider, tracer_of
from tests.support.asgi import application_on
from tests.support.events import native_event
from tests.support.server import query_stores, serve
from tests.support.stores import FixedClock, services_on


def test_a_request_and_a_load_are_spans_of_counts_and_places_alone(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    memory = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("test")
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock, tracer=tracer)
    with application_on(services) as application:
        events = [native_event(1, subject={"type": "email", "value": "anna@example.org"})]
        application.post("/api/v1/events", json=events, headers={"x-candor-sync": "1"})
    spans = {span.name: dict(span.attributes or {}) for span in memory.get_finished_spans()}
    assert spans == {
        "load segment": {"candor.signal": "events", "candor.events": 1},
        "POST /api/v1/events": {"http.response.status_code": 200},
    }
    provider.shutdown()


def test_the_span_of_a_gateway_holds_nothing_of_what_its_client_asked_for(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    memory = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("test")
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock, tracer=tracer)
    with application_on(services) as application:
        application.get("/ext_authz/marketing/email/accounts/anna@example.org?token=secret")
    names = {span.name for span in memory.get_finished_spans()}
    assert names - {"load segment"} == {"GET /ext_authz/"}
    provider.shutdown()


def test_without_an_endpoint_nothing_is_made() -> None:
    provider = new_tracer_provider(TracingSettings())
    with tracer_of(provider).start_as_current_span("x") as span:
        assert not span.is_recording()
    close_tracing(provider)


def test_candors_own_spans_reach_an_otlp_door(tmp_path: Path) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    own.mkdir()
    other.mkdir()
    with (
        serve(own, CANDOR_AUTH__MODE="open") as receiver,
        serve(other, CANDOR_TRACING__ENDPOINT=receiver.url) as server,
    ):
        body = [native_event() | {"time": "2026-11-22T09:00:00Z"}]
        httpx.post(f"{server.url}/api/v1/events", json=body, headers=server.headers)
    names = {row["SpanName"] for row in query_stores(own, "SELECT SpanName FROM otel_traces")}
    assert {"POST /api/v1/events", "load segment"} <= names
