"""Real client libraries, pointed at a running ``candor serve``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from segment.analytics.client import Client

from tests.support.server import Server, query_stores, run_candor, serve

PERSON = "anna.secret@example.org"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clients")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with serve(folder) as running:
        yield running


def metric(server: Server, name: str) -> float:
    lines = server.metrics().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def test_segments_python_library_is_taken(server: Server) -> None:
    failed: list[Any] = []
    before = metric(server, 'candor_events_accepted_total{door="segment"}')
    client = Client(server.key, host=server.url, on_error=lambda *problem: failed.append(problem))
    client.track("u1", "Order Completed", {"revenue": 39.95, "currency": "EUR", "journey": "buy"})
    client.identify("u1", {"email": PERSON})
    client.page("u1", "Docs", "Home", {"url": "/docs"})
    client.screen("u1", "App", "Start")
    client.group("u1", "g1")
    client.alias("a1", "u1")
    client.flush()
    client.join()
    assert failed == []
    assert metric(server, 'candor_events_accepted_total{door="segment"}') == before + 6
    person = httpx.post(
        f"{server.url}/api/v1/subjects/links",
        json={"type": "anonymous_id", "value": "a1"},
        headers=server.headers,
    ).json()
    assert {one["type"] for one in person["identifiers"]} == {"user_id", "anonymous_id", "email"}
    assert {act["call"] for act in person["record"]} == {"identify", "group", "alias"}


def test_segments_python_library_may_pack_its_requests(server: Server) -> None:
    failed: list[Any] = []
    client = Client(
        server.key, host=server.url, gzip=True, on_error=lambda *problem: failed.append(problem)
    )
    client.track("u2", "Packed")
    client.flush()
    client.join()
    assert failed == []


def test_the_cloudevents_sdk_is_taken_in_both_modes(server: Server) -> None:
    attributes = {"type": "checkout.payment", "source": "/shop/{café}", "id": "1"}
    for number, converted in enumerate((to_binary_event, to_structured_event)):
        event = CloudEvent(
            attributes | {"specversion": "1.0", "id": str(number)}, {"journey": "checkout"}
        )
        message = converted(event)
        answer = httpx.post(
            f"{server.url}/v1/events",
            content=message.body,
            headers=message.headers | server.headers,
        )
        assert answer.json()["accepted"] == 1


def test_opentelemetrys_exporter_is_taken(server: Server) -> None:
    exporter = OTLPSpanExporter(f"{server.url}/v1/traces", headers=server.headers)
    provider = TracerProvider(resource=Resource({"service.name": "shop"}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    with provider.get_tracer("test").start_as_current_span("pay") as span:
        span.set_attribute("list", ["a", "b"])
    assert provider.force_flush()
    provider.shutdown()
    assert metric(server, 'candor_events_accepted_total{door="otlp"}') == 1


def test_segment_calls_find_their_key_in_three_places_and_their_limits_named(
    server: Server,
) -> None:
    def post(body: Any, path: str = "track", **options: Any) -> httpx.Response:  # noqa: ANN401 - any JSON
        return httpx.post(f"{server.url}/v1/{path}", json=body, **options)

    call = {"userId": "u", "event": "x"}
    assert post(call, auth=(server.key, "")).json()["success"] is True
    assert post(call | {"writeKey": server.key}).status_code == 200
    assert post(call, headers=server.headers).status_code == 200
    assert post(call).status_code == 401
    assert post(call, headers={"authorization": "Basic ???"}).status_code == 401
    assert post(call, headers={"authorization": "Basic Og=="}).status_code == 401
    large = post(call | {"properties": {"x": "y" * 40_000}}, headers=server.headers)
    assert (large.status_code, "32" in large.json()["message"]) == (400, True)
    many = post({"batch": [call] * 2501}, "batch", headers=server.headers)
    assert (many.status_code, "2500" in many.json()["message"]) == (400, True)
    heavy = post({"batch": [], "x": "y" * 600_000}, "batch", headers=server.headers)
    assert heavy.status_code == 400
    assert post([], headers=server.headers).status_code == 400
    assert post({}, "import", headers=server.headers).json()["path"] == "batch"


def test_each_segment_call_that_is_refused_is_named(server: Server) -> None:
    calls = [
        {"type": "track", "userId": "u", "messageId": "m0"},
        {"type": "group", "userId": "u"},
        {"type": "alias", "userId": "u"},
        {"type": "dance", "userId": "u"},
        {"type": "page"},
        {"type": "page", "userId": 7, "timestamp": "2099-01-01T00:00:00Z"},
        {"type": "page", "userId": ["u"]},
        {"type": "page", "userId": "u", "properties": {"x": "y" * 40_000}},
        {"type": "page", "anonymousId": "a", "timestamp": "2026-11-22T09:00:00",
         "channel": "browser",
         "properties": {"outcome": "ok", "duration_ms": 5, "revenue": True, "step": 3}},
        {"type": "screen", "anonymousId": "a", "properties": {"revenue": 5, "currency": 3}},
    ]  # fmt: skip
    answer = httpx.post(
        f"{server.url}/v1/batch", json={"batch": calls}, headers=server.headers
    ).json()
    assert answer["accepted"] == 2
    assert [(one["index"], one["code"], one["path"]) for one in answer["rejected"]] == [
        (0, "malformed", "event"),
        (1, "malformed", "groupId"),
        (2, "malformed", "previousId"),
        (3, "malformed", "type"),
        (4, "malformed", "userId"),
        (5, "clock_skew", "timestamp"),
        (6, "malformed", "userId"),
        (7, "too_large", None),
    ]
    assert answer["rejected"][0]["messageId"] == "m0"


def test_operators_find_their_pages(server: Server) -> None:
    assert httpx.get(f"{server.url}/livez").json() == {"status": "ok"}
    assert httpx.get(f"{server.url}/readyz").json()["components"]["spool"] == "ok"
    assert "/v1/traces" in httpx.get(f"{server.url}/openapi.json").json()["paths"]
    places = httpx.get(server.url).json()
    page = httpx.get(server.url, headers={"accept": "text/html,*/*"}).text
    for name in ("docs", "live", "ready", "metrics", "openapi"):
        assert httpx.get(server.url + places[name]).status_code == 200
        assert f'href="{places[name]}"' in page
    docs = httpx.get(f"{server.url}/docs").text
    assert "http://" not in docs.replace(server.url, "")
    assert "https://" not in docs
    assert httpx.get(f"{server.url}/docs/assets/swagger-ui.css").status_code == 200
    assert httpx.get(f"{server.url}/docs/assets/__init__.py").status_code == 404
    assert httpx.get(f"{server.url}/nothing").headers["content-type"] == "application/problem+json"


def test_commands_talk_to_a_running_server(server: Server, tmp_path: Path) -> None:
    remote = ("--url", server.url, "--key", server.key, "--json")
    objectives = Path(__file__).parents[2] / "examples" / "shop-objectives.yaml"
    funnel = Path(__file__).parents[2] / "examples" / "checkout-funnel.yaml"
    assert "payment-latency" in run_candor(tmp_path, "slo", "apply", str(objectives), *remote)
    assert "payment-latency" in run_candor(tmp_path, "slo", "status", *remote)
    assert '"steps"' in run_candor(tmp_path, "funnel", str(funnel), *remote)
    events = tmp_path / "events.json"
    events.write_text('{"id": "r1", "name": "x", "time": "2026-11-22T09:00:00Z"}')
    told = run_candor(tmp_path, "ingest", str(events), "--format", "native", *remote)
    assert '"accepted": 1' in told


def test_a_server_that_ends_has_everything_loaded_and_nothing_personal_logged(
    tmp_path: Path,
) -> None:
    with serve(tmp_path) as server:
        event = {"id": "1", "name": "x", "time": "2026-11-22T09:00:00Z", "outcome": PERSON}
        good = event | {"outcome": "ok", "subject": {"type": "email", "value": PERSON}}
        httpx.post(f"{server.url}/api/v1/events", json=[event, good], headers=server.headers)
    assert PERSON not in server.log()
    assert "127.0.0.1:" not in server.log()
    stored = b"".join(one.read_bytes() for one in tmp_path.rglob("*") if one.is_file())
    assert PERSON.encode() not in stored
    assert query_stores(tmp_path, "SELECT count() AS n FROM events") == [{"n": 1}]


def test_a_second_process_is_told_who_holds_the_stores(server: Server, folder: Path) -> None:
    import subprocess  # noqa: PLC0415 - used here alone
    import sys  # noqa: PLC0415 - as above

    events = folder / "events.json"
    events.write_text("[]")
    done = subprocess.run(
        [sys.executable, "-m", "candor", "ingest", str(events), "--format", "native"],
        cwd=folder,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert str(server.process.pid) in done.stderr
