"""The Segment door: a call is acknowledged when what it says about persons is stored too."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from candor.kernel.errors import UnavailableError
from candor.kernel.ports import Admission, EntryTerms, GatedEvent, Link, NoSubjectIndex, Refusal
from candor.kernel.telemetry_store import TelemetryStore
from tests.support.asgi import Application, application_on
from tests.support.stores import FixedClock, services_on

SYNC = {"x-candor-sync": "1"}
IDENTIFY = {
    "messageId": "m1",
    "userId": "u1",
    "anonymousId": "a1",
    "traits": {"email": "customer-1@example.org", "name": "Customer One"},
}


def links_of(application: Application, type_: str, value: str) -> dict[str, Any]:
    answer = application.post("/api/v1/subjects/links", json={"type": type_, "value": value})
    document: dict[str, Any] = answer.json()
    return document


class GateAgainstIdentify:
    """Refuses every identify call."""

    def admit(self, events: Sequence[GatedEvent], _: Mapping[str, EntryTerms]) -> Admission:
        denied = Refusal("consent_denied", "The person does not allow it.")
        return Admission({n: denied for n, event in enumerate(events) if event.name == "identify"})


class AbsentIndex(NoSubjectIndex):
    """An index whose store is away until it comes back."""

    def __init__(self) -> None:
        self.away = True

    def link_all(self, _: Sequence[Link]) -> None:
        if self.away:
            raise UnavailableError("The state store is away.")


CALLS: dict[str, dict[str, Any]] = {
    "track": {"userId": "u1", "event": "Paid"},
    "identify": {"userId": "u1", "traits": {"plan": "pro"}},
    "page": {"anonymousId": "a1", "name": "Home"},
    "screen": {"anonymousId": "a1", "name": "Start"},
    "group": {"userId": "u1", "groupId": "acme"},
    "alias": {"userId": "u1", "previousId": "a1"},
    "batch": {"batch": [{"type": "track", "userId": "u1", "event": "Paid"}]},
    "import": {"batch": [{"type": "page", "userId": "u1", "timestamp": "2025-01-01T00:00:00Z"}]},
}


@pytest.mark.parametrize("call", CALLS)
def test_each_call_is_taken_with_its_key_as_user_name_or_in_the_body(
    application: Application, call: str
) -> None:
    basic = base64.b64encode(f"{application.key}:".encode()).decode()
    inside = CALLS[call] | {"writeKey": application.key}
    for body, authorization in ((CALLS[call], f"Basic {basic}"), (inside, "")):
        headers = {"authorization": authorization}
        answer = application.post(f"/v1/{call}", json=body, headers=headers)
        assert answer.status_code == 200
        assert (answer.json()["success"], answer.json()["accepted"]) == (True, 1)
    assert (
        application.post(f"/v1/{call}", json=CALLS[call], headers={"authorization": ""}).status_code
        == 401
    )


@pytest.mark.parametrize(
    ("call", "body", "limit"),
    [
        ("track", CALLS["track"] | {"properties": {"note": "x" * 33_000}}, "32 KB"),
        ("batch", {"batch": [CALLS["track"]] * 2501}, "2500 calls"),
        ("import", {"batch": [], "context": {"note": "x" * 513_000}}, "512000 bytes"),
    ],
)
def test_over_a_limit_the_answer_is_400_and_names_it(
    application: Application, call: str, body: dict[str, Any], limit: str
) -> None:
    answer = application.post(f"/v1/{call}", json=body)
    assert answer.status_code == 400
    assert answer.json()["success"] is False
    assert limit in answer.json()["message"]


def test_a_call_over_the_limit_fails_alone_in_its_batch(application: Application) -> None:
    track = CALLS["track"] | {"type": "track"}
    large = track | {"messageId": "big", "properties": {"note": "x" * 33_000}}
    answer = application.post("/v1/batch", json={"batch": [track, large, track]}).json()
    assert (answer["success"], answer["accepted"]) == (True, 2)
    (rejection,) = answer["rejected"]
    assert (rejection["index"], rejection["messageId"], rejection["code"]) == (
        1,
        "big",
        "too_large",
    )
    assert "32 KB" in rejection["message"]


def test_identify_and_alias_make_one_person_of_all_their_identifiers(
    application: Application,
) -> None:
    assert application.post("/v1/identify", json=IDENTIFY).json()["accepted"] == 1
    assert application.post("/v1/alias", json={"previousId": "a0", "userId": "u1"}).is_success
    person = links_of(application, "email", "customer-1@example.org")
    assert sorted(one["type"] for one in person["identifiers"]) == [
        *("anonymous_id", "anonymous_id", "email", "user_id", "user_id")
    ]
    assert links_of(application, "anonymous_id", "a0")["identifiers"] == person["identifiers"]
    assert {act["call"] for act in person["record"]} == {"identify", "alias"}
    assert {act["source"] for act in person["record"]} == {"test"}


def test_a_group_is_on_record_and_links_nobody(application: Application) -> None:
    for user in ("u1", "u2"):
        application.post("/v1/group", json={"userId": user, "groupId": "acme"})
    person = links_of(application, "user_id", "u1")
    assert len(person["identifiers"]) == 1
    assert [act["action"] for act in person["record"]] == ["join"]


def test_an_identifier_that_was_unlinked_is_not_linked_again_by_the_next_call(
    application: Application,
) -> None:
    application.post("/v1/identify", json=IDENTIFY)
    unlinked = {"type": "anonymous_id", "value": "a1"}
    application.post("/api/v1/subjects/unlink", json=unlinked)
    application.post("/v1/track", json=IDENTIFY | {"event": "Paid", "messageId": "m2"})
    application.post("/v1/track", json={"userId": "u2", "anonymousId": "a1", "event": "Paid"})
    assert len(links_of(application, **_named(unlinked))["identifiers"]) == 1


def test_when_the_index_is_away_the_sender_comes_back_and_nothing_is_stored_twice(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    index = AbsentIndex()
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock, subjects=index)
    with application_on(services) as application:
        refused = application.post("/v1/identify", json=IDENTIFY)
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) >= 1
        index.away = False
        again = application.post("/v1/identify", json=IDENTIFY, headers=SYNC)
        assert again.json()["deduplicated"] == 1
        stored = application.services.telemetry.query("SELECT count() AS n FROM events")
        assert stored[0]["n"] == 1


def test_a_refused_call_links_nobody(application: Application) -> None:
    late = IDENTIFY | {"timestamp": "2099-01-01T00:00:00Z"}
    assert application.post("/v1/identify", json=late).json()["accepted"] == 0
    assert links_of(application, "user_id", "u1")["record"] == []


def test_a_call_that_the_gate_refuses_links_nobody_and_holds_up_no_other(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock, gate=GateAgainstIdentify())
    other = {"type": "alias", "userId": "u2", "previousId": "a2"}
    with application_on(services) as application:
        batch = {"batch": [IDENTIFY | {"type": "identify"}, other]}
        assert application.post("/v1/batch", json=batch).json()["accepted"] == 1
        assert links_of(application, "user_id", "u1")["record"] == []
        assert len(links_of(application, "user_id", "u2")["identifiers"]) == 3


def test_what_is_stored_of_a_call_holds_no_identifier_and_the_corrected_time(
    application: Application,
) -> None:
    batch = {
        "batch": [IDENTIFY | {"type": "identify", "timestamp": "2031-01-01T10:00:00Z"}],
        "sentAt": "2031-01-01T10:00:30Z",
        "context": {"library": {"name": "lib", "version": "1"}, "ip": "203.0.113.9"},
    }
    assert application.post("/v1/batch", json=batch, headers=SYNC).json()["accepted"] == 1
    row = application.services.telemetry.query("SELECT *, toString(time) AS at FROM events")[0]
    assert row["at"] == "2026-11-22 11:59:30.000"
    assert row["attributes"] == {"context.library.name": "lib", "context.library.version": "1"}
    stored = str(row)
    for personal in ("customer-1", "Customer One", "203.0.113.9", "'u1'", "'a1'"):
        assert personal not in stored


def _named(subject: dict[str, str]) -> dict[str, str]:
    return {"type_": subject["type"], "value": subject["value"]}
