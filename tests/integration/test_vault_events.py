"""Events whose personal values a policy seals: unreadable when stored, revealed, and lost."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from candor.kernel.database import session_of
from candor.kernel.telemetry_store import TelemetryStore
from collector.contracts.marks import StoredMarks
from privacy.vault.destruction import destroy_subjects
from tests.support import pii as loaded_pii
from tests.support.asgi import Application, application_on, pii_on
from tests.support.events import native_event
from tests.support.stores import FixedClock, services_on

PEOPLE = [f"canary-{number}@example.org" for number in range(20)]
SEALED = "attributes.contact.mail"
POLICY = {
    "rules": [
        {"action": "encrypt", "paths": [SEALED]},
        {"action": "tokenise", "scope": "support", "paths": ["attributes.mail"]},
    ]
}


@pytest.fixture
def shop(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> Iterator[Application]:
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock)
    marked = replace(services, marks=StoredMarks(services.engine, clock))
    with pii_on(marked) as pii:
        pii.pool._loaded = loaded_pii.loaded()
        with application_on(replace(marked, redactor=pii.redactor), pii) as running:
            yield running


def stored(shop: Application) -> list[tuple[str, str, str]]:
    """Return the person, the token and the encrypted text of every event."""
    shop.collector.flush()
    query = "SELECT subject_key, toJSONString(attributes) AS told FROM events ORDER BY id"
    found = []
    for row in shop.services.telemetry.query(query):
        told = json.loads(row["told"])
        contact = told["contact"]
        nested = json.loads(contact) if isinstance(contact, str) else contact
        found.append((row["subject_key"], told["mail"], nested["mail"]))
    return found


def reveal(shop: Application, *tokens: object) -> list[Any]:
    body = {"tokens": tokens, "reason": "case 4711"}
    answer = shop.post("/api/v1/pii/detokenize", json=body)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["results"])


def test_what_a_policy_seals_is_found_by_who_may_and_lost_with_the_persons_key(
    shop: Application, tmp_path: Path
) -> None:
    done = shop.request("PUT", "/api/v1/pii/policies/default", json=POLICY)
    assert done.status_code == 201, done.text
    events = [
        native_event(
            id=f"event-{number:02}",
            subject={"type": "email", "value": mail},
            attributes={"mail": mail, "contact": {"mail": mail}},
        )
        for number, mail in enumerate(PEOPLE)
    ]
    assert shop.post("/api/v1/events", json=events).json()["accepted"] == len(PEOPLE)
    rows = stored(shop)
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(b"canary-" in content for content in files)
    tokens = [token for _, token, _ in rows]
    texts = [{"text": text, "field": SEALED, "subject_key": person} for person, _, text in rows]
    assert [one["value"] for one in reveal(shop, *tokens, *texts)] == PEOPLE * 2
    with session_of(shop.services.engine) as session:
        destroy_subjects(
            session,
            shop.desk.register,
            shop.services.subjects,
            [rows[0][0]],
            at=shop.services.clock(),
            by="test",
            reason="request 1",
        )
    after = [one["value"] for one in reveal(shop, *tokens, *texts)]
    assert after == [None, *PEOPLE[1:]] * 2
