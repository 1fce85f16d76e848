"""Who is let in when the spool fills up, as each door's protocol says it."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from sqlalchemy import Engine

from candor.kernel.database import session_of
from candor.kernel.security import create_key
from candor.kernel.telemetry_store import TelemetryStore
from collector.receivers.otlp import PROTOBUF
from tests.support.asgi import Application, application_on
from tests.support.events import native_event
from tests.support.otlp import log_request
from tests.support.stores import NOON, FixedClock, services_on

EVENTS = "/api/v1/events"
JSON = {"content-type": "application/json"}


@pytest.fixture
def waiting(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> Iterator[Application]:
    """The application with a small spool that is not emptied by itself."""
    spool = {
        "max_bytes": 100_000,
        "segment_age": "PT1H",
        "min_free_disk_bytes": 0,
        "source_budgets": {"small": 1000},
        "source_ages": {"test": "PT5M"},
    }
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock, spool=spool)
    with application_on(services) as application:
        yield application


def fill(application: Application, size: int, number: int = 1) -> None:
    event = native_event(number, attributes={"a": "x" * size})
    assert application.post(EVENTS, json=event).json()["accepted"] == 1


def key_of(application: Application, name: str) -> str:
    services = application.services
    with session_of(services.engine) as session:
        return create_key(
            session, services.secrets, name=name, scopes=["ingest"], at=services.clock()
        ).key


async def untouched() -> AsyncIterator[bytes]:
    raise AssertionError("the body was read")
    yield b""


def test_traces_are_shed_before_events_and_taken_again_when_the_spool_is_drained(
    waiting: Application,
) -> None:
    fill(waiting, 91_000)
    refused = waiting.post("/v1/traces", content=untouched(), headers=JSON)
    assert (refused.status_code, refused.json()["code"]) == (503, 14)
    assert 1 <= int(refused.headers["retry-after"]) <= 300
    assert "x-ratelimit-reset" not in refused.headers
    fill(waiting, 10, number=2)
    waiting.collector.flush()
    assert waiting.post("/v1/traces", json={}).status_code == 200
    told = waiting.services.metrics.registry.get_sample_value
    assert told("candor_spool_refusals_total", {"reason": "shed", "kind": "traces"}) == 1


@pytest.mark.parametrize("path", [EVENTS, "/v1/batch"])
def test_a_full_spool_refuses_before_the_body_is_read_and_says_until_when(
    waiting: Application, path: str
) -> None:
    fill(waiting, 100_000)
    refused = waiting.post(path, content=untouched(), headers=JSON)
    assert refused.status_code == 429
    wait = int(refused.headers["retry-after"])
    reset = int(refused.headers["x-ratelimit-reset"])
    assert 1 <= wait <= 300
    assert 0 <= reset - NOON.timestamp() <= wait


def test_a_key_over_its_budget_is_refused_alone(waiting: Application) -> None:
    headers = {"authorization": f"Bearer {key_of(waiting, 'small')}"}
    body = native_event(1, attributes={"a": "x" * 1000})
    assert waiting.post(EVENTS, json=body, headers=headers).status_code == 200
    assert waiting.post(EVENTS, json=native_event(2), headers=headers).status_code == 429
    fill(waiting, 10, number=3)
    waiting.collector.flush()
    assert waiting.post(EVENTS, json=native_event(2), headers=headers).status_code == 200


def test_a_spool_that_is_not_emptied_for_too_long_takes_nothing_more(
    waiting: Application, clock: FixedClock
) -> None:
    fill(waiting, 10)
    clock.pass_by(timedelta(hours=6))
    assert waiting.post(EVENTS, json=native_event(2)).status_code == 429


def test_debug_logs_are_shed_first_and_the_answer_says_so(waiting: Application) -> None:
    message = log_request("cart opened", "payment failed")
    records = message.resource_logs[0].scope_logs[0].log_records
    for record, severity in zip(records, (5, 17), strict=True):
        record.severity_number = severity  # type: ignore[assignment]  # an enum of protobuf
    fill(waiting, 71_000)
    answer = waiting.post(
        "/v1/logs", content=message.SerializeToString(), headers={"content-type": PROTOBUF}
    )
    told = ExportLogsServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, told.rejected_log_records) == (200, 1)
    assert "debug logs are left out first" in told.error_message
    shed = waiting.services.metrics.registry.get_sample_value
    assert shed("candor_events_shed_total", {"kind": "debug_logs"}) == 1
    waiting.collector.flush()
    rows = waiting.services.telemetry.query("SELECT Body FROM otel_logs")
    assert rows == [{"Body": "payment failed"}]


def test_a_key_whose_oldest_waits_too_long_is_sent_away_until_it_is_loaded(
    waiting: Application, clock: FixedClock
) -> None:
    fill(waiting, 10)
    other = {"authorization": f"Bearer {key_of(waiting, 'another')}"}
    clock.pass_by(timedelta(minutes=5))
    refused = waiting.post(EVENTS, content=untouched(), headers=JSON)
    assert refused.status_code == 429
    assert "this key's telemetry is too old" in refused.json()["detail"]
    assert waiting.post(EVENTS, json=native_event(2), headers=other).status_code == 200
    waiting.collector.flush()
    fill(waiting, 10, number=3)
    page = waiting.get("/metrics").text
    assert 'candor_source_refusals_total{reason="source_age",source="test"} 1.0' in page


def test_what_a_source_sent_is_counted_by_what_came_of_it(waiting: Application) -> None:
    for _ in range(2):
        waiting.post(EVENTS, json=[native_event(1), {"id": "e"}])
    page = waiting.get("/metrics").text
    for outcome, events in (("accepted", 1), ("deduplicated", 1), ("malformed", 2)):
        told = f'candor_source_events_total{{outcome="{outcome}",source="test"}} {events}.0'
        assert told in page
