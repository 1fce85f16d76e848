"""The entry gate by consent: events of a purpose that a person did not allow do not enter."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from candor.kernel.database import session_of
from candor.kernel.metrics import new_metrics
from candor.kernel.ports import EVERYONE
from candor.kernel.telemetry_store import TelemetryStore
from privacy.consent.gate import ConsentGate
from privacy.consent.reading import open_reader
from privacy.consent.register import PolicyRegister
from tests.support.asgi import Application, application_on
from tests.support.consent import ANNA, prepare, put_purpose, record
from tests.support.events import native_event
from tests.support.stores import FixedClock, services_on

EVENTS = "/api/v1/events"
SYNC = {"x-candor-sync": "1"}


@pytest.fixture
def application(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> Iterator[Application]:
    metrics = new_metrics()
    with closing(open_reader(sqlite)) as reader:
        gate = ConsentGate(reader, PolicyRegister(sqlite), clock, metrics)
        services = services_on(tmp_path, sqlite, embedded_telemetry, clock, gate=gate)
        with application_on(services) as running:
            yield running


def put_contract(application: Application, name: str, **agreed: Any) -> None:  # noqa: ANN401 - any field
    path = f"/api/v1/contracts/{name}/1-0-0"
    answer = application.request("PUT", path, json={"schema": {}} | agreed)
    assert answer.status_code == 201


def event(number: int, name: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    return native_event(number, schema=f"{name}/1-0-0", subject=ANNA, channel="email", **fields)


def send(application: Application, *events: dict[str, Any]) -> dict[str, Any]:
    answer = application.post(EVENTS, json=list(events), headers=SYNC)
    document: dict[str, Any] = answer.json()
    return document


def test_events_are_refused_stripped_or_let_in_as_their_contract_says(
    application: Application,
) -> None:
    prepare(application)
    put_contract(application, "strict", purposes=["marketing"])
    put_contract(application, "mild", purposes=["marketing"], without_consent="strip")
    put_contract(application, "open")
    told = send(
        application,
        event(1, "strict"),
        event(2, "mild"),
        event(3, "open"),
        native_event(4, schema="strict/1-0-0"),
    )
    assert told["accepted"] == 3
    (refused,) = told["rejected"]
    assert (refused["index"], refused["code"], refused["path"]) == (0, "consent_denied", "subject")
    assert "never_asked" in refused["message"]
    rows = application.services.telemetry.query("SELECT id, subject_key FROM events ORDER BY id")
    key = application.services.secrets.subject_key("email", ANNA["value"])
    assert [(row["id"], row["subject_key"]) for row in rows] == [
        ("e-2", ""),
        ("e-3", key),
        ("e-4", ""),
    ]
    record(application, "grant")
    assert send(application, event(5, "strict"), event(6, "mild"))["accepted"] == 2
    rows = application.services.telemetry.query(
        "SELECT subject_key FROM events WHERE id IN ('e-5', 'e-6')"
    )
    assert [row["subject_key"] for row in rows] == [key, key]


def test_a_suppressed_person_is_refused_even_where_others_are_stripped(
    application: Application,
) -> None:
    prepare(application)
    put_contract(application, "mild", purposes=["marketing"], without_consent="strip")
    record(application, "grant")
    services = application.services
    key = services.secrets.subject_key("email", ANNA["value"])
    with session_of(services.engine) as session:
        ledger = application.consent.ledger
        ledger.bar(session, {key: "email"}, "suppress", "erasure", services.clock(), "test")
    (refused,) = send(application, event(1, "mild"))["rejected"]
    assert refused["code"] == "suppressed"
    gate: Any = services.gate
    assert gate._counted.labels("refused", "suppressed")._value.get() == 1


def test_without_any_purpose_everything_enters(application: Application) -> None:
    put_contract(application, "strict", purposes=["marketing"])
    assert send(application, event(1, "strict"))["accepted"] == 1
    put_purpose(application)
    assert send(application, event(2, "strict"))["accepted"] == 0


def test_a_batch_without_terms_is_not_looked_at(application: Application) -> None:
    gate = application.services.gate
    with application.services.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE consent_standings")
    assert gate.admit([], {}) is EVERYONE
    assert send(application, native_event(1))["accepted"] == 1
    put_contract(application, "strict", purposes=["marketing"])
    answer = application.post(EVENTS, json=[event(2, "strict")])
    assert answer.status_code == 503


def test_whoever_cannot_be_decided_does_not_enter_and_others_do(application: Application) -> None:
    prepare(application)
    put_purpose(application, "statistics", mechanism="opt_out")
    put_contract(application, "mild", purposes=["statistics"], without_consent="strip")
    record(application, "withdraw", purpose="statistics")
    with session_of(application.services.engine) as session:
        session.execute(text("UPDATE consent_standings SET packed = X'C1'"))
    other = {"type": "email", "value": "ben@example.org"}
    told = send(application, event(1, "mild"), event(2, "mild") | {"subject": other})
    assert (told["accepted"], [one["code"] for one in told["rejected"]]) == (1, ["consent_denied"])
