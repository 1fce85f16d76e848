"""Identifiers are kept sealed with acts of consent and links, and read only for a reason."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from candor.kernel.database import session_of
from candor.kernel.errors import ConflictError, NotFoundError
from candor.kernel.ports import Original
from candor.kernel.secrets import open_secrets
from candor.kernel.services import Services
from candor.kernel.telemetry_store import TelemetryStore
from privacy.subjects.originals import (
    Reveal,
    StoredOriginals,
    keep_originals,
    reveal_originals,
)
from tests.support.asgi import Application, application_on
from tests.support.consent import ANNA, EVENTS, act, check, prepare, record
from tests.support.stores import NOON, FixedClock, services_on

REVEAL = "/api/v1/subjects/reveal"
PHONE = {"type": "phone", "value": "+49 (0)30 12345"}
USER = {"type": "user_id", "value": "u-1971"}
REASON = "A complaint, ticket 4711"


def key_of(application: Application, subject: dict[str, str]) -> str:
    return application.services.secrets.subject_key(subject["type"], subject["value"])


def reveal(
    application: Application,
    subject: dict[str, str],
    **more: Any,  # noqa: ANN401 - any field
) -> Any:  # noqa: ANN401 - any JSON value
    body = {"subject_key": key_of(application, subject), "reason": REASON} | more
    answer = application.post(REVEAL, json=body)
    return answer.json() if answer.status_code == 200 else answer.status_code


def values(told: Any) -> dict[str, str]:  # noqa: ANN401 - an answer
    return {one["type"]: one["value"] for one in told["identifiers"]}


def kept(services: Services) -> list[bytes]:
    with session_of(services.engine) as session:
        return list(session.execute(text("SELECT sealed FROM identifiers")).scalars())


def audited(services: Services) -> list[dict[str, Any]]:
    with session_of(services.engine) as session:
        rows = session.execute(text('SELECT content FROM audit_leaves ORDER BY "index"')).scalars()
        return [json.loads(one) for one in rows]


def test_the_first_spelling_of_an_act_of_consent_is_kept_sealed(application: Application) -> None:
    prepare(application)
    first = {"type": "email", "value": " Anna@Example.org"}
    record(application, "grant", subject=first)
    record(application, "withdraw", headers={"idempotency-key": "1"})
    (sealed,) = kept(application.services)
    assert b"example" not in sealed.lower()
    assert values(reveal(application, ANNA)) == {"email": "Anna@Example.org"}


def test_a_refused_act_and_telemetry_leave_nothing(application: Application) -> None:
    prepare(application)
    assert record(application, "grant", notice=None).status_code == 422
    calls = {
        "batch": [
            {"type": "identify", "messageId": "1", "userId": "u-1", "anonymousId": "a-1"},
            {"type": "alias", "messageId": "2", "userId": "u-1", "previousId": "u-0"},
        ]
    }
    assert application.post("/v1/batch", json=calls).status_code == 200
    assert kept(application.services) == []
    assert reveal(application, ANNA) == 404


def test_an_import_keeps_what_it_took_and_a_dry_run_nothing(application: Application) -> None:
    prepare(application)
    rows = [
        act("grant", source="import", evidence="list-7"),
        act("grant", notice="none/1"),
        act("object", subject=PHONE, at="2026-01-01T00:00:00Z"),
    ]
    rows[1]["subject"] = {"type": "email", "value": "ben@example.org"}
    body = "\n".join(["no json", *(json.dumps(one) for one in rows)])
    for dry_run, count in (("true", 0), ("false", 2), ("false", 2)):
        path = f"{EVENTS}/import"
        answer = application.post(path, params={"dry_run": dry_run}, content=body)
        assert answer.is_success, answer.text
        assert len(kept(application.services)) == count
    assert values(reveal(application, PHONE)) == {"phone": "+49 (0)30 12345"}


def test_a_link_keeps_its_identifiers_and_all_of_a_person_can_be_read(
    application: Application,
) -> None:
    application.post("/api/v1/subjects/link", json={"subjects": [ANNA, PHONE]})
    spelt = {"type": "phone", "value": "004930 12345"}
    assert values(reveal(application, spelt)) == {"phone": PHONE["value"]}
    told = reveal(application, spelt, linked=True)
    assert values(told) == {"phone": PHONE["value"], "email": ANNA["value"]}
    assert {one["subject_key"] for one in told["identifiers"]} == {
        key_of(application, ANNA),
        key_of(application, PHONE),
    }


def test_who_read_what_and_why_is_in_the_audit_log(application: Application) -> None:
    prepare(application)
    record(application, "grant")
    told = reveal(application, ANNA)
    entry = audited(application.services)[-1]
    assert (entry["kind"], entry["by"], entry["reason"]) == ("subject.reveal", "test", REASON)
    assert entry["asked"] == key_of(application, ANNA)
    assert entry["subjects"] == [one["subject_key"] for one in told["identifiers"]]
    assert "anna" not in json.dumps(entry)


def test_a_reason_that_repeats_what_it_asks_for_is_refused_and_the_attempt_kept(
    application: Application,
) -> None:
    application.post("/api/v1/subjects/link", json={"subjects": [PHONE, USER]})
    assert reveal(application, USER, reason="Is it u-1971?") == 422
    assert reveal(application, USER, reason="It is u-19, is it?") != 422
    refused, told = audited(application.services)[-2:]
    assert (refused["kind"], refused["reason"], refused["subjects"]) == (
        "subject.reveal_refused",
        None,
        [],
    )
    assert (told["kind"], "1971" in json.dumps(refused)) == ("subject.reveal", False)


def test_nobody_reads_without_the_scope_or_a_reason(application: Application) -> None:
    prepare(application)
    record(application, "grant")
    key = application.make_key("consent:write", "consent:read", "pii:read")
    headers = {"authorization": f"Bearer {key}"}
    body = {"subject_key": key_of(application, ANNA), "reason": REASON}
    assert application.post(REVEAL, json=body, headers=headers).status_code == 403
    headers = {"authorization": f"Bearer {application.make_key('pii:reveal')}"}
    assert application.post(REVEAL, json=body, headers=headers).status_code == 200
    for reason in (None, "", "   ", "for anna@example.org", "a" * 201):
        answer = application.post(REVEAL, json=body | {"reason": reason})
        assert (answer.status_code, "anna" in answer.text) == (422, False)
    assert application.post(REVEAL, json=body | {"subject_key": "anna"}).status_code == 422
    before = len(audited(application.services))
    assert reveal(application, PHONE) == 404
    assert len(audited(application.services)) == before


def test_every_store_keeps_the_first_and_another_master_key_opens_nothing(
    state: Engine, tmp_path: Path
) -> None:
    secrets = open_secrets(tmp_path / "a", may_create=True)
    other = open_secrets(tmp_path / "b", may_create=True)
    said = [("email", "Anna@example.org"), ("email", "anna@EXAMPLE.org"), ("user_id", "u-1")]
    for _ in range(2):
        with session_of(state) as session:
            keep_originals(session, secrets, said, NOON)
            keep_originals(session, secrets, [], NOON)
    key = secrets.subject_key("email", "anna@example.org")
    found = reveal_originals(state, secrets, Reveal(key, REASON, "me"), NOON)
    assert [(one.type, one.value) for one in found] == [("email", "Anna@example.org")]
    assert "Anna" not in repr(found)
    with pytest.raises(ConflictError, match="another master key"):
        reveal_originals(state, other, Reveal(key, REASON, "me"), NOON)
    with pytest.raises(NotFoundError):
        reveal_originals(state, secrets, Reveal("0" * 64, REASON, "me", linked=True), NOON)


def test_a_withdrawal_by_any_spelling_stops_sends_to_every_other(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    identifiers = {"phone_region": "DE"}
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock, identifiers=identifiers)
    with application_on(services) as application:
        prepare(application)
        record(application, "grant", subject=PHONE, channel="sms")
        spellings = ("030 12345", "+493012345", "0049-30-12345", "tel:+49-30-12345")
        for value in spellings:
            subject = {"type": "phone", "value": value}
            assert check(application, subject=subject, channel="sms")["allow"]
        subject = {"type": "phone", "value": spellings[0]}
        record(application, "withdraw", subject=subject, channel="sms")
        for value in spellings:
            subject = {"type": "phone", "value": value}
            assert check(application, subject=subject, channel="sms")["reason"] == "withdrawn"


def test_who_must_send_them_on_gets_what_is_kept_and_nothing_else(services: Services) -> None:
    email = services.secrets.subject_key("email", ANNA["value"])
    with session_of(services.engine) as session:
        keep_originals(session, services.secrets, [("email", ANNA["value"])], NOON)
    originals = StoredOriginals(services.engine, services.secrets)
    assert originals.originals([email, "f" * 64]) == {email: Original("email", ANNA["value"])}
    other = open_secrets(services.settings.master_key_file.with_name("other"), may_create=True)
    with pytest.raises(ConflictError, match="another master key"):
        StoredOriginals(services.engine, other).originals([email])
