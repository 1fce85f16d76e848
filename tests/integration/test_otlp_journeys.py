"""Spans and log records that are steps of a journey become events as well, about pseudonyms."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from sqlalchemy import Engine

from candor.kernel.telemetry_store import TelemetryStore
from tests.support.asgi import Application, application_on
from tests.support.otlp import NANO, TRACE_ID, log_request, span_request
from tests.support.stores import NOON, FixedClock, services_on

SYNC = {"content-type": "application/x-protobuf", "x-candor-sync": "1"}
PERSON = "anna.secret@example.org"
JOURNEY: dict[str, Any] = {
    "journey.name": "checkout",
    "journey.instance": 4711,
    "journey.channel": "web",
}


def send(application: Application, path: str, message: Any) -> bytes:  # noqa: ANN401 - any request
    answer = application.post(path, content=message.SerializeToString(), headers=SYNC)
    assert answer.status_code == 200
    return answer.content


def events_of(application: Application) -> list[dict[str, Any]]:
    return application.services.telemetry.query("SELECT * FROM events ORDER BY id")


def test_a_span_with_a_journey_is_an_event_with_every_field(application: Application) -> None:
    attributes = JOURNEY | {"journey.step": "payment", "enduser.id": PERSON, "plan": "pro"}
    assert send(application, "/v1/traces", span_request(attributes, {"plan": "none"})) == b""
    key = application.services.secrets.subject_key("user_id", PERSON)
    (event,) = events_of(application)
    assert event == event | {
        "id": TRACE_ID.hex() + "0000000000000001",
        "door": "otlp",
        "name": "checkout.payment",
        "time": NOON,
        "journey": "checkout",
        "instance": "4711",
        "step": "payment",
        "outcome": "ok",
        "channel": "web",
        "service": "shop",
        "duration_ms": 182.4,
        "subject_key": key,
        "subject_type": "user_id",
        "attributes": {"plan": "pro"},
    }
    spans = application.services.telemetry.query(
        "SELECT SpanAttributes['enduser.id'] AS who FROM otel_traces ORDER BY SpanId"
    )
    assert spans == [{"who": key}, {"who": ""}]


def test_an_outcome_comes_from_the_attribute_before_the_status(application: Application) -> None:
    held = JOURNEY | {"journey.outcome": "held"}
    message = span_request(JOURNEY, held)
    for span in message.resource_spans[0].scope_spans[0].spans:
        span.status.code = 2  # type: ignore[assignment]  # STATUS_CODE_ERROR
    send(application, "/v1/traces", message)
    told = [(event["name"], event["outcome"]) for event in events_of(application)]
    assert told == [("POST /payment", "error"), ("POST /payment", "held")]


def test_a_log_record_with_a_journey_is_an_event_of_its_request(application: Application) -> None:
    for _ in range(2):
        send(application, "/v1/logs", log_request("a", "b", **JOURNEY))
    send(application, "/v1/logs", log_request("a", **JOURNEY, **{"journey.step": "done"}))
    events = events_of(application)
    assert sorted((event["name"], event["time"], event["outcome"]) for event in events) == [
        ("checkout.done", NOON, ""),
        ("declined", NOON, ""),
        ("declined", NOON, ""),
    ]
    assert len({event["id"] for event in events}) == 3


def test_a_journey_that_is_no_event_is_named_and_the_span_is_stored(
    application: Application,
) -> None:
    bad = JOURNEY | {"journey.outcome": "perhaps"}
    message = span_request(JOURNEY, bad, JOURNEY | {"journey.instance": "x" * 401}, JOURNEY)
    message.resource_spans[0].scope_spans[0].spans[3].trace_id = b"short"
    answer = ExportTraceServiceResponse.FromString(send(application, "/v1/traces", message))
    partial = answer.partial_success
    assert partial.rejected_spans == 1
    assert [told[:22] for told in partial.error_message.split("; ")] == [
        *("span 3: malformed: A t", "journey event of 1: ma", "journey event of 2: ma"),
    ]
    assert "perhaps" not in partial.error_message
    count = "SELECT (SELECT count() FROM otel_traces) AS spans, (SELECT count() FROM events) AS e"
    assert application.services.telemetry.query(count) == [{"spans": 3, "e": 1}]
    warned = ExportLogsServiceResponse.FromString(
        send(application, "/v1/logs", log_request("x", **bad))
    )
    assert warned.partial_success.rejected_log_records == 0
    assert warned.partial_success.error_message.startswith("journey event of 0: malformed: An out")


def test_a_person_is_a_pseudonym_wherever_an_attribute_names_one(
    application: Application,
) -> None:
    nested = {"who": {"enduser.pseudo.id": PERSON}}
    message = span_request({"enduser.id": PERSON}, nested)
    resource = message.resource_spans[0]
    resource.resource.attributes.add(key="enduser.id").value.string_value = PERSON
    span = resource.scope_spans[0].spans[0]
    span.events.add().attributes.add(key="enduser.id").value.string_value = PERSON
    link = span.links.add(trace_id=TRACE_ID, span_id=bytes(8))
    link.attributes.add(key="enduser.id").value.string_value = PERSON
    send(application, "/v1/traces", message)
    logs = log_request("x", **{"enduser.id": PERSON})
    body = logs.resource_logs[0].scope_logs[0].log_records[0].body
    one = body.array_value.values.add().kvlist_value.values.add(key="enduser.id")
    one.value.string_value = PERSON
    send(application, "/v1/logs", logs)
    telemetry, secrets = application.services.telemetry, application.services.secrets
    rows = telemetry.query("SELECT * FROM otel_traces ORDER BY SpanId")
    rows += telemetry.query("SELECT * FROM otel_logs")
    assert PERSON not in str(rows)
    assert str(rows).count(secrets.subject_key("user_id", PERSON)) == 7
    pseudonym = secrets.subject_key("anonymous_id", PERSON)
    assert json.loads(rows[1]["SpanAttributes"]["who"]) == {"enduser.pseudo.id": pseudonym}


def test_other_attributes_may_be_the_ones_that_count(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    journeys = {"name": "flow", "step": "stage", "subjects": {"user.email": "email"}}
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock, journeys=journeys)
    attributes = {"flow": "claim", "stage": "sent", "user.email": PERSON.upper()}
    with application_on(services) as application:
        send(application, "/v1/traces", span_request(attributes, JOURNEY))
        (event,) = events_of(application)
    assert (event["name"], event["subject_type"]) == ("claim.sent", "email")
    assert event["subject_key"] == services.secrets.subject_key("email", PERSON)


def test_an_event_repeats_no_more_often_than_its_span(application: Application) -> None:
    first = span_request(JOURNEY)
    send(application, "/v1/traces", first)
    more = ExportTraceServiceRequest()
    more.CopyFrom(first)
    span = more.resource_spans[0].scope_spans[0].spans.add()
    span.CopyFrom(first.resource_spans[0].scope_spans[0].spans[0])
    span.span_id, span.start_time_unix_nano = b"another!", NANO - 1000
    send(application, "/v1/traces", more)
    times = sorted(event["time"] for event in events_of(application))
    assert times == [NOON - timedelta(milliseconds=1), NOON]
