"""The CloudEvents door, asked by the project's own SDK and by hand."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from cloudevents.v1.conversion import to_binary, to_structured
from cloudevents.v1.http import CloudEvent as OlderCloudEvent

from tests.support.asgi import Application
from tests.support.stores import NOON

EVENTS = "/v1/events"
JSON = {"content-type": "application/json"}
STRUCTURED = {"content-type": "application/cloudevents+json"}
SYNC = {"x-candor-sync": "1"}
BATCH = {"content-type": "application/cloudevents-batch+json"}
PAID: dict[str, Any] = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/shop/checkout",
    "type": "checkout.payment",
    "tenantregion": "nl",
}
DATA = {
    "journey": "checkout",
    "step": "payment",
    "outcome": "ok",
    "subject": {"type": "email", "value": "customer-1@example.org"},
    "plan": "pro",
}


def paid(**attributes: Any) -> CloudEvent:  # noqa: ANN401 - any attribute
    """Return an event of the SDK, which would give it the machine's present as its time."""
    return CloudEvent(PAID | {"time": NOON} | attributes, DATA)


def stored(application: Application) -> list[dict[str, Any]]:
    return application.services.telemetry.query("SELECT * FROM events ORDER BY id")


@pytest.mark.parametrize("converted", [to_binary_event, to_structured_event])
def test_the_sdks_requests_are_taken_and_their_fields_promoted(
    application: Application, converted: Callable[[Any], HTTPMessage]
) -> None:
    event = paid(dataschema="https://example.org/checkout.payment/1-0-0")
    message = converted(event)
    answer = application.post(EVENTS, content=message.body, headers=message.headers | SYNC)
    assert answer.json() == {"accepted": 1, "deduplicated": 0, "quarantined": 0, "rejected": []}
    (row,) = stored(application)
    assert (row["id"], row["name"], row["door"]) == (
        *("/shop/checkout e-1", "checkout.payment", "cloudevents"),
    )
    assert (row["schema"], row["journey"], row["outcome"]) == (
        *("checkout.payment/1-0-0", "checkout", "ok"),
    )
    assert row["subject_type"] == "email"
    assert row["attributes"] == {
        "plan": "pro",
        "tenantregion": "nl",
        "cloudevents.source": "/shop/checkout",
    }
    assert "example.org" not in str(row["attributes"]) + row["subject_key"]


@pytest.mark.parametrize("converted", [to_binary, to_structured])
def test_the_older_sdks_requests_are_taken_too(
    application: Application, converted: Callable[[Any], tuple[dict[str, str], bytes]]
) -> None:
    headers, body = converted(OlderCloudEvent(PAID | {"time": NOON.isoformat()}, DATA))
    answer = application.post(EVENTS, content=body, headers=headers)
    assert answer.json()["accepted"] == 1


def test_an_event_is_known_again_in_another_mode_and_not_from_another_source(
    application: Application,
) -> None:
    event = paid()
    for message in (to_binary_event(event), to_structured_event(event)):
        answer = application.post(EVENTS, content=message.body, headers=message.headers)
    assert answer.json()["deduplicated"] == 1
    batch = [PAID | {"source": "/app"}, PAID | {"source": "a", "id": "b c"},
             PAID | {"source": "a b", "id": "c"}, PAID]  # fmt: skip
    answer = application.post(EVENTS, content=json.dumps(batch), headers=BATCH)
    assert (answer.json()["accepted"], answer.json()["deduplicated"]) == (3, 1)


def test_in_a_batch_one_bad_event_fails_only_itself_and_is_named_by_its_own_id(
    application: Application,
) -> None:
    batch = [PAID, PAID | {"id": "e 2", "type": None}, PAID | {"id": "e-3"}]
    answer = application.post(EVENTS, content=json.dumps(batch), headers=BATCH).json()
    assert answer["accepted"] == 2
    (rejection,) = answer["rejected"]
    assert (rejection["index"], rejection["id"], rejection["code"], rejection["path"]) == (
        *(1, "e 2", "malformed", "type"),
    )
    empty = application.post(EVENTS, content=b"[]", headers=BATCH)
    assert (empty.status_code, empty.json()["accepted"]) == (200, 0)


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type"])
def test_an_event_without_a_required_attribute_is_a_problem_that_names_it(
    application: Application, name: str
) -> None:
    lacking = {key: text for key, text in PAID.items() if key != name}
    headers = JSON | {f"ce-{key}": text for key, text in lacking.items()}
    for content, sent in ((json.dumps(lacking), STRUCTURED), ("{}", headers)):
        answer = application.post(EVENTS, content=content, headers=sent)
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
        assert (answer.json()["path"], name in answer.json()["detail"]) == (name, True)


@pytest.mark.parametrize("content_type", ["text/plain", "application/json", "application/xml"])
def test_what_is_no_cloudevent_is_of_the_wrong_content_type(
    application: Application, content_type: str
) -> None:
    answer = application.post(EVENTS, content=b"{}", headers={"content-type": content_type})
    assert answer.status_code == 415


def test_a_key_is_needed(application: Application) -> None:
    message = to_binary_event(paid())
    headers = message.headers | {"authorization": ""}
    assert application.post(EVENTS, content=message.body, headers=headers).status_code == 401
