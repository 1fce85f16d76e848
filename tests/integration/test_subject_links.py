"""The subject endpoints: pseudonyms and provenance out, identifiers only in bodies."""

from datetime import timedelta

import pytest

from tests.support.asgi import Application
from tests.support.stores import FixedClock

MAIL = {"type": "email", "value": "customer-1@example.org"}
USER = {"type": "user_id", "value": "u-1"}


def key_of(application: Application, subject: dict[str, str]) -> str:
    return application.services.secrets.subject_key(subject["type"], subject["value"])


def test_linked_identifiers_are_shown_as_pseudonyms_with_who_said_so(
    application: Application,
) -> None:
    application.post("/api/v1/subjects/link", json={"subjects": [USER, MAIL]})
    same = {"type": "email", "value": " Customer-1@Example.org"}
    answer = application.post("/api/v1/subjects/links", json=same)
    document = answer.json()
    assert document["subject_key"] == key_of(application, MAIL)
    assert {one["type"]: one["subject_key"] for one in document["identifiers"]} == {
        "email": key_of(application, MAIL),
        "user_id": key_of(application, USER),
    }
    assert [(act["action"], act["source"], act["door"]) for act in document["record"]] == [
        ("link", "test", "api")
    ]
    assert "example.org" not in answer.text


def test_an_unlinked_identifier_is_alone_and_its_record_stays(
    application: Application, clock: FixedClock
) -> None:
    application.post("/api/v1/subjects/link", json={"subjects": [USER, MAIL]})
    for _ in range(2):
        clock.pass_by(timedelta(seconds=1))
        document = application.post("/api/v1/subjects/unlink", json=MAIL).json()
        assert [one["type"] for one in document["identifiers"]] == ["email"]
        assert [act["action"] for act in document["record"]] == ["link", "unlink"]


def test_only_one_link_is_taken_back_when_the_other_end_is_named(application: Application) -> None:
    phone = {"type": "phone", "value": "+31 20 555 0100"}
    application.post("/api/v1/subjects/link", json={"subjects": [USER, MAIL]})
    application.post("/api/v1/subjects/link", json={"subjects": [USER, phone]})
    answer = application.post("/api/v1/subjects/unlink", json=USER | {"other": MAIL})
    assert sorted(one["type"] for one in answer.json()["identifiers"]) == ["phone", "user_id"]
    answer = application.post("/api/v1/subjects/unlink", json=MAIL | {"other": phone})
    assert answer.status_code == 409


def test_a_stranger_is_answered_like_someone_who_was_never_linked(application: Application) -> None:
    answer = application.post("/api/v1/subjects/links", json=USER)
    assert answer.json() == {
        "subject_key": key_of(application, USER),
        "identifiers": [{"type": "user_id", "subject_key": key_of(application, USER)}],
        "record": [],
    }


@pytest.mark.parametrize(
    ("path", "scope"), [("links", "consent:write"), ("unlink", "consent:read"), ("link", "ingest")]
)
def test_reading_and_deciding_need_their_own_scopes(
    application: Application, path: str, scope: str
) -> None:
    key = application.make_key(scope)
    answer = application.post(
        f"/api/v1/subjects/{path}",
        json={"subjects": [USER, MAIL]} if path == "link" else USER,
        headers={"authorization": f"Bearer {key}"},
    )
    assert answer.status_code == 403


def test_a_question_that_cannot_be_meant_is_refused_without_its_value(
    application: Application,
) -> None:
    for body in (MAIL | {"type": "E-Mail"}, MAIL | {"value": "  "}, {"value": MAIL["value"]}):
        answer = application.post("/api/v1/subjects/links", json=body)
        assert answer.status_code == 422
        assert "example.org" not in answer.text
