"""What comes through the doors is masked before it is on any disk; the disks are searched."""

import json
import logging
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from sqlalchemy import Engine, text

from candor.kernel.errors import UnavailableError
from candor.kernel.ports import Redactor
from candor.kernel.services import Services
from candor.kernel.telemetry_store import TelemetryStore
from collector.contracts.marks import StoredMarks
from privacy.pii.assembly import Pii
from privacy.pii.examination import LocalExaminer
from privacy.pii.finding import Finding
from privacy.pii.guard import Guard
from privacy.pii.naming import first_names, last_names
from privacy.pii.policy import Policy, Rule
from privacy.pii.register import PolicyRegister
from tests.support import pii as loaded_pii
from tests.support.asgi import Application, application_on, pii_on
from tests.support.events import native_event
from tests.support.otlp import NANO, log_request, metric_request
from tests.support.stores import FixedClock, services_on
from tests.support.telemetry_corpus import clean_event, personal_value

EVENTS = "/api/v1/events"
MAIL = "jane@example.org"
PROTOBUF = {"content-type": "application/x-protobuf"}
SYNC = {"x-candor-sync": "1"}
CONTRACT: dict[str, Any] = {
    "schema": {"type": "object"},
    "owner": "shop",
    "paths": {
        "/attributes/plan": {"class": "enum"},
        "/attributes/who": {"class": "personal:PERSON", "action": "drop"},
        "/attributes/list/*/who": {"class": "personal:PERSON"},
        "/attributes/note": {"class": "free_text"},
        "/step": {"class": "personal:PERSON"},
    },
}


@contextmanager
def guarded(services: Services) -> Iterator[Application]:
    """Give the application with PII protection on, Presidio loaded already."""
    marked = replace(services, marks=StoredMarks(services.engine, services.clock))
    with pii_on(marked) as pii:
        pii.pool._loaded = loaded_pii.loaded()
        with application_on(replace(marked, redactor=pii.redactor), pii) as running:
            yield running


@pytest.fixture
def shop(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> Iterator[Application]:
    with guarded(services_on(tmp_path, sqlite, embedded_telemetry, clock)) as running:
        yield running


def put_policy(shop: Application, **policy: Any) -> None:  # noqa: ANN401 - any field
    assert shop.request("PUT", "/api/v1/pii/policies/default", json=policy).status_code == 201


def stored(shop: Application) -> list[dict[str, Any]]:
    shop.collector.flush()
    rows = shop.services.telemetry.query(
        "SELECT id, name, instance, step, service, subject_key, toJSONString(attributes) AS told"
        " FROM events ORDER BY id"
    )
    return [
        dict(row) | {"told": {k: plain(v) for k, v in json.loads(row["told"]).items()}}
        for row in rows
    ]


def plain(value: Any) -> Any:  # noqa: ANN401 - what is stored of an attribute
    """Return what an attribute was: texts are stored as they are, all else as its JSON."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def test_an_event_is_masked_before_it_is_stored(shop: Application) -> None:
    event = native_event(
        subject={"type": "email", "value": MAIL},
        service=f"api {MAIL}",
        attributes={
            "mail": MAIL,
            "plan": "pro",
            "count": 3,
            MAIL: "x",
            "deep": {"list": [{"phone": "4258828080"}]},
            "text": f'say "hi"\nto {MAIL}',
        },
    )
    assert shop.post(EVENTS, json=event).json()["accepted"] == 1
    [row] = stored(shop)
    assert len(row["subject_key"]) == 64
    assert row["service"] == "api [EMAIL_ADDRESS]"
    told = row["told"]
    assert told["deep"] == {"list": [{"phone": "[PHONE_NUMBER]"}]}
    assert (told["mail"], told["plan"], told["count"]) == ("[EMAIL_ADDRESS]", "pro", 3)
    assert told["text"] == 'say "hi"\nto [EMAIL_ADDRESS]'
    assert MAIL not in json.dumps(told)


def test_ids_that_name_people_are_masked_one_to_one(shop: Application) -> None:
    sent = [native_event() | {"id": f"{name}{MAIL}", "instance": MAIL} for name in "abab"]
    answer = shop.post(EVENTS, json=sent).json()
    assert (answer["accepted"], answer["deduplicated"]) == (2, 2)
    rows = stored(shop)
    assert len({row["id"] for row in rows}) == 2
    assert {row["instance"] for row in rows} == {rows[0]["instance"]}
    assert MAIL not in json.dumps(rows)


def test_a_policy_that_quarantines_names_the_event_and_keeps_it_sealed(shop: Application) -> None:
    put_policy(shop, rules=[{"action": "quarantine", "entities": ["US_SSN"]}])
    sent = [
        native_event(1, attributes={"a": "clean"}),
        native_event(2, attributes={"a": {"ssn": "536-22-1234"}}),
    ]
    answer = shop.post(EVENTS, json=sent, headers=SYNC).json()
    assert (answer["accepted"], answer["quarantined"]) == (1, 1)
    [refused] = answer["rejected"]
    assert (refused["code"], refused["path"]) == ("pii_blocked", "attributes.a.ssn")
    assert "536-22" not in json.dumps(answer)
    assert [row["id"] for row in stored(shop)] == ["e-1"]


def test_a_contract_says_what_its_fields_are(shop: Application) -> None:
    put = shop.request("PUT", "/api/v1/contracts/checkout.payment/1-0-0", json=CONTRACT)
    assert put.status_code == 201
    event = native_event(
        schema="checkout.payment/1-0-0",
        step="J. M.",
        attributes={
            "plan": MAIL,
            "who": "J. M.",
            "list": [{"who": "J. M."}, {"x": 1}],
            "note": "Jane Miller",
        },
    )
    other = native_event(2, schema="checkout.other/1-0-0", attributes={"who": "J. M."})
    assert shop.post(EVENTS, json=[event, other]).json()["accepted"] == 2
    first, second = stored(shop)
    assert first["told"] == {
        "plan": MAIL,
        "list": [{"who": "[PERSON]"}, {"x": 1}],
        "note": "[PERSON]",
    }
    assert first["step"] == "[PERSON]"
    assert second["told"]["who"] == "J. M."


def test_actions_that_leave_things_out(shop: Application) -> None:
    put_policy(shop, action="drop", keep_format=False)
    event = native_event(
        service=MAIL, attributes={"mail": MAIL, MAIL: 1, "phone": "4258828080", "plan": "pro"}
    )
    shop.post(EVENTS, json=event)
    [row] = stored(shop)
    assert (row["service"], set(row["told"])) == ("", {"plan"})


class Broken:
    """A guard that cannot do its work."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def current(self) -> Guard:
        error = self._error

        def fail(*_: object, **__: object) -> tuple[Finding, ...]:
            raise error

        guard = loaded_pii.guard()
        guard._keys["a"] = False
        guard.scanner._detector = type("Failing", (), {"detect": staticmethod(fail)})()
        return guard


def break_detector(shop: Application, error: Exception) -> None:
    redactor: Any = shop.pii.redactor
    redactor._examiner = LocalExaminer(Broken(error).current)


def test_an_event_that_cannot_be_examined_is_quarantined_and_no_other(shop: Application) -> None:
    break_detector(shop, ValueError(f"cannot read {MAIL}"))
    sent = [native_event(1, attributes={"a": "clean"}), native_event(2, attributes={"a": MAIL})]
    answer = shop.post(EVENTS, json=sent).json()
    assert (answer["accepted"], answer["quarantined"]) == (1, 1)
    assert answer["rejected"][0]["code"] == "pii_blocked"
    assert b"candor_pii_failures_total 1.0" in shop.services.metrics.exposition()


def test_when_the_vault_cannot_be_asked_nothing_is_stored(shop: Application) -> None:
    break_detector(shop, UnavailableError("The vault does not answer."))
    answer = shop.post(EVENTS, json=native_event(attributes={"a": MAIL}))
    assert answer.status_code == 503
    assert stored(shop) == []
    body = log_request(f"to {MAIL}").SerializeToString()
    assert shop.post("/v1/logs", content=body, headers=PROTOBUF).status_code == 503


def test_a_text_of_otlp_that_cannot_be_examined_is_hidden(shop: Application) -> None:
    break_detector(shop, ValueError("no"))
    body = log_request(f"to {MAIL}").SerializeToString()
    assert shop.post("/v1/logs", content=body, headers=PROTOBUF | SYNC).status_code == 200
    assert shop.services.telemetry.query("SELECT Body FROM otel_logs") == [
        {"Body": "[not examined]"}
    ]


def trace_request() -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="host.owner").value.string_value = f"r {MAIL}"
    scope = resource.scope_spans.add()
    scope.scope.name = f"s {MAIL}"
    scope.scope.attributes.add(key="a").value.string_value = f"sa {MAIL}"
    span = scope.spans.add(
        trace_id=b"t" * 16,
        span_id=b"s" * 8,
        name=f"GET {MAIL}",
        start_time_unix_nano=NANO,
        end_time_unix_nano=NANO + 5,
    )
    span.attributes.add(key="card").value.int_value = 4111111111111111
    span.attributes.add(key=MAIL).value.string_value = "x"
    span.attributes.add(key="phone").value.string_value = "4258828080"
    span.attributes.add(key="plan").value.string_value = "pro"
    span.attributes.add(key="raw").value.bytes_value = MAIL.encode()
    nested = span.attributes.add(key="nested").value.kvlist_value
    nested.values.add(key="mail").value.string_value = MAIL
    many = span.attributes.add(key="many").value.array_value
    many.values.add().string_value = MAIL
    span.status.message = f"st {MAIL}"
    span.trace_state = "v=1"
    event = span.events.add(name=f"e {MAIL}")
    event.attributes.add(key="b").value.string_value = f"ea {MAIL}"
    link = span.links.add(trace_id=b"u" * 16, span_id=b"v" * 8)
    link.attributes.add(key="c").value.string_value = f"la {MAIL}"
    return request


def test_every_text_of_a_trace_is_looked_at(shop: Application) -> None:
    body = trace_request().SerializeToString()
    assert shop.post("/v1/traces", content=body, headers=PROTOBUF | SYNC).status_code == 200
    rows = shop.services.telemetry.query("SELECT * FROM otel_traces")
    told = str(rows)
    assert MAIL not in told
    assert "4111111111111111" not in told
    assert "4258828080" not in told
    assert "pro" in told
    assert rows[0]["SpanName"] == "GET [EMAIL_ADDRESS]"


def test_logs_and_metrics_are_looked_at_in_both_encodings(shop: Application) -> None:
    logs = log_request(f"to {MAIL}", "clean", mail=f"la {MAIL}")
    shop.post("/v1/logs", content=logs.SerializeToString(), headers=PROTOBUF | SYNC)
    as_json = {
        "resourceLogs": [
            {
                "scopeLogs": [
                    {
                        "logRecords": [
                            {
                                "timeUnixNano": str(NANO),
                                "body": {"stringValue": f"json {MAIL}"},
                                "attributes": [{"key": "n", "value": {"intValue": "3"}}],
                            }
                        ]
                    }
                ]
            }
        ]
    }
    shop.post("/v1/logs", json=as_json, headers=SYNC)
    metrics = metric_request()
    points = metrics.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points
    points[0].attributes.add(key="mail").value.string_value = MAIL
    points[0].exemplars[0].filtered_attributes.add(key="m").value.string_value = f"ex {MAIL}"
    shop.post("/v1/metrics", content=metrics.SerializeToString(), headers=PROTOBUF | SYNC)
    telemetry = shop.services.telemetry
    logged = telemetry.query("SELECT Body, LogAttributes FROM otel_logs")
    assert {row["Body"] for row in logged} == {
        "to [EMAIL_ADDRESS]",
        "clean",
        "json [EMAIL_ADDRESS]",
    }
    gauges = telemetry.query("SELECT * FROM otel_metrics_gauge")
    assert MAIL not in str(logged) + str(gauges)
    assert "[EMAIL_ADDRESS]" in str(gauges)


def test_an_attribute_of_otlp_can_be_left_out(shop: Application) -> None:
    put_policy(shop, action="drop")
    logs = log_request(f"to {MAIL}", mail=MAIL, plan="pro")
    shop.post("/v1/logs", content=logs.SerializeToString(), headers=PROTOBUF | SYNC)
    [row] = shop.services.telemetry.query("SELECT Body, LogAttributes FROM otel_logs")
    assert (row["Body"], row["LogAttributes"]) == ("", {"plan": "pro"})


@pytest.mark.parametrize("signal", ["traces", "logs", "metrics"])
def test_a_clean_request_passes_as_the_bytes_that_came(shop: Application, signal: Any) -> None:  # noqa: ANN401 - a signal
    redactor: Redactor = shop.pii.redactor
    clean = {
        "logs": log_request("all is well\nin two lines", plan="pro"),
        "metrics": metric_request(),
        "traces": ExportTraceServiceRequest(),
    }[signal]
    body = clean.SerializeToString()
    assert redactor.redact_otlp(signal, body, "shop").content is body


def test_what_the_vault_keeps_comes_back_by_the_authorised_way(shop: Application) -> None:
    rules = [
        {"action": "tokenise", "entities": ["EMAIL_ADDRESS"], "scope": "support"},
        {"action": "encrypt", "entities": ["PHONE_NUMBER", "US_SSN"]},
    ]
    put_policy(shop, rules=rules)
    subject = {"type": "email", "value": MAIL}
    attributes = {
        "mail": MAIL,
        "text": f"to {MAIL} or joe@example.org",
        "deep": {"phone": "4258828080"},
        "ssn": "536-22-1234",
        MAIL: "key",
    }
    sent = [native_event(n, subject=subject, attributes=attributes) for n in (1, 2)]
    assert shop.post(EVENTS, json=sent).json()["accepted"] == 2
    first, second = stored(shop)
    assert MAIL not in json.dumps([first, second])
    assert first["told"]["mail"].startswith("tok_")
    assert first["told"]["mail"] == second["told"]["mail"]
    assert first["told"]["text"].startswith(f"to {first['told']['mail']} or tok_")
    assert first["told"]["deep"]["phone"].startswith("enc1")
    assert first["told"]["deep"] != second["told"]["deep"]
    assert "errand" not in json.dumps([first, second])
    logs = log_request(f"to {MAIL}", mail=MAIL, plan="pro")
    body = logs.SerializeToString()
    assert shop.post("/v1/logs", content=body, headers=PROTOBUF | SYNC).status_code == 200
    [row] = shop.services.telemetry.query("SELECT Body, LogAttributes FROM otel_logs")
    assert row["Body"].startswith("to tok_")
    assert row["LogAttributes"]["mail"] == first["told"]["mail"]


def test_values_with_line_ends_and_letters_of_all_kinds_are_placed_rightly(
    shop: Application,
) -> None:
    sent = (
        b'[{"id":"a\\nb","name":"n","time":"2026-11-22T11:00:00Z","step":"\xc3\xbc\xc3\xbc",'
        b'"attributes":{"a":{"x":\n[1,\n2]},"b":"jane@example.org","c":"z"}}]'
    )
    headers = {"content-type": "application/json"}
    assert shop.post(EVENTS, content=sent, headers=headers).json()["accepted"] == 1
    [row] = stored(shop)
    assert row["told"]["b"] == "[EMAIL_ADDRESS]"
    assert (row["told"]["a"], row["step"]) == ({"x": [1, 2]}, "üü")
    shop.post(EVENTS, json=native_event(9, service=f"ü\n{MAIL}", channel="web"))
    assert {row["service"] for row in stored(shop)} == {"", "ü\n[EMAIL_ADDRESS]"}


def test_what_the_first_event_would_wait_for_is_made_ready(shop: Application) -> None:
    shop.pii.prepare()
    assert (first_names.cache_info().currsize, last_names.cache_info().currsize) == (1, 1)


def test_an_empty_batch_is_none_of_its_business(shop: Application) -> None:
    assert shop.pii.redactor.redact_events([]) == {}


def test_rules_speak_of_sources(shop: Application) -> None:
    put_policy(shop, rules=[{"action": "allow", "sources": ["test"], "paths": ["attributes.mail"]}])
    shop.post(EVENTS, json=native_event(attributes={"mail": MAIL, "other": MAIL}))
    [row] = stored(shop)
    assert row["told"] == {"mail": MAIL, "other": "[EMAIL_ADDRESS]"}


TABLES = ("events", "quarantine", "otel_traces", "otel_logs", "otel_metrics_gauge")


def canaries(count: int) -> list[dict[str, str]]:
    source = random.Random("canary")
    kinds = ("EMAIL_ADDRESS", "US_SSN", "CREDIT_CARD", "IBAN_CODE")
    return [{kind: personal_value(kind, source) for kind in kinds} for _ in range(count)]


def send_through_every_door(shop: Application, person: dict[str, str], number: int) -> None:
    values = list(person.values())
    about = {"seen": values, "text": f"for {values[0]}, {values[1]}", "card": values[2]}
    door = number % 6
    if door == 0:
        shop.post(EVENTS, json=native_event(number, attributes=about))
    elif door == 1:
        call = {"messageId": f"m{number}", "event": "paid", "userId": f"u{number}"}
        shop.post("/v1/track", json=call | {"properties": about, "traits": about})
    elif door == 2:
        head = {"specversion": "1.0", "id": f"c{number}", "source": "/s", "type": "paid"}
        headers = {"content-type": "application/cloudevents+json"}
        shop.post("/v1/events", content=json.dumps(head | {"data": about}), headers=headers)
    elif door == 3:
        body = log_request(*values, note=" ".join(values)).SerializeToString()
        shop.post("/v1/logs", content=body, headers=PROTOBUF)
    elif door == 4:
        request = ExportTraceServiceRequest()
        span = (
            request.resource_spans.add()
            .scope_spans.add()
            .spans.add(
                trace_id=number.to_bytes(16),
                span_id=b"s" * 8,
                name=values[0],
                start_time_unix_nano=NANO,
            )
        )
        for name, value in person.items():
            span.attributes.add(key=name.lower()).value.string_value = value
        shop.post("/v1/traces", content=request.SerializeToString(), headers=PROTOBUF)
    else:
        metrics = metric_request()
        point = metrics.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points[0]
        for value in values:
            point.attributes.add(key="seen").value.string_value = f"v {value}"
        shop.post("/v1/metrics", content=metrics.SerializeToString(), headers=PROTOBUF)


def test_no_canary_of_any_door_is_on_a_disk_in_a_log_or_in_a_metric(
    shop: Application, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    people = canaries(120)
    with caplog.at_level(logging.DEBUG):
        for number, person in enumerate(people):
            send_through_every_door(shop, person, number)
        spooled = _bytes_under(tmp_path)
        shop.collector.flush()
        shop.pii.ledger.flush()
    everything = [*spooled, *_bytes_under(tmp_path)]
    telemetry = shop.services.telemetry
    everything += [str(telemetry.query(f"SELECT * FROM {name}")).encode() for name in TABLES]  # noqa: S608 - our own names
    everything += [shop.services.metrics.exposition(), caplog.text.encode()]
    wanted = [value.encode() for person in people for value in person.values()]
    found = [value for value in wanted for content in everything if value in content]
    assert found == []
    assert sum(len(content) for content in everything) > 50_000
    assert any(b"[EMAIL_ADDRESS]" in content for content in everything)


def _bytes_under(folder: Path) -> Sequence[bytes]:
    return [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]


def test_clean_telemetry_is_left_as_it_is(shop: Application) -> None:
    source = random.Random("clean")
    events = [native_event(n, attributes=clean_event(source)) for n in range(300)]
    assert shop.post(EVENTS, json=events).json()["accepted"] == 300
    shop.pii.ledger.flush()
    assert shop.get("/api/v1/pii/findings").json() == []
    assert len(stored(shop)) == 300


def test_a_policy_that_is_put_is_in_force_at_once_where_it_was_put(shop: Application) -> None:
    pii: Pii = shop.pii
    assert pii.policies.current() == Policy()
    put_policy(shop, rules=[{"action": "drop"}])
    assert pii.policies.current().rules == (Rule("drop"),)
    assert pii.guards.current() is pii.guards.current()


def test_a_policy_known_last_stays_in_force_while_the_store_is_away(
    shop: Application, clock: FixedClock
) -> None:
    put_policy(shop, rules=[{"action": "drop"}])
    known = shop.pii.policies.current()
    with shop.services.engine.begin() as connection:
        connection.execute(text("ALTER TABLE pii_policies RENAME TO gone"))
    clock.pass_by(timedelta(seconds=5))
    assert shop.pii.policies.current() == known
    fresh = PolicyRegister(shop.services.engine, clock)
    with pytest.raises(UnavailableError):
        fresh.current()
    with shop.services.engine.begin() as connection:
        connection.execute(text("ALTER TABLE gone RENAME TO pii_policies"))
    assert fresh.current() == known


def test_attributes_are_raw_json_throughout(shop: Application) -> None:
    """Whatever the treatment, what is stored of an attribute is one JSON value."""
    shop.post(EVENTS, json=native_event(attributes={"a": f'{{"x": "{MAIL}"}}', "first_name": "J"}))
    [row] = stored(shop)
    assert row["told"] == {"a": {"x": "[EMAIL_ADDRESS]"}, "first_name": "[PERSON]"}
