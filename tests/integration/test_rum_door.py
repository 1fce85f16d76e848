"""The RUM door: who may send, what is kept of a beacon, and what pages of other origins see."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from candor.kernel.security import PublicTerms
from candor.kernel.telemetry_store import TelemetryStore
from tests.support.asgi import Application, application_on
from tests.support.events import NOW, native_event
from tests.support.stores import NOON, FixedClock, services_on

SHOP = "https://shop.example.org"
PERSON = "anna.secret@example.org"


def public_key(application: Application, **terms: Any) -> str:  # noqa: ANN401 - as PublicTerms
    return application.make_key("ingest:public", public=PublicTerms((SHOP,), **terms))


def send(
    application: Application,
    beacons: object,
    key: str | None = None,
    *,
    origin: str | None = SHOP,
    **headers: str,
) -> httpx.Response:
    sent = {"content-type": "text/plain;charset=UTF-8", "x-candor-sync": "1"}
    if origin is not None:
        sent["origin"] = origin
    return application.request(
        "POST",
        "/v1/rum",
        params={"key": public_key(application) if key is None else key},
        content=beacons if isinstance(beacons, bytes) else json.dumps(beacons),
        headers=sent | {name.replace("_", "-"): value for name, value in headers.items()},
    )


def vital(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    lcp = {"name": "LCP", "value": 2412.3, "delta": 2412.3, "id": "v5-1"}
    return lcp | {"navigationType": "navigate", "page": "/checkout?coupon=1"} | fields


def rows(application: Application, table: str) -> list[dict[str, Any]]:
    return application.services.telemetry.query(f"SELECT * FROM {table} ORDER BY id")  # noqa: S608 - a table's name


def test_a_vital_becomes_one_row_with_its_page_device_and_source(application: Application) -> None:
    attribution = {"target": f"#{PERSON}", "resourceLoadDelay": 12.5, "url": f"/x?{PERSON}"}
    beacon = vital(rating="good", device="mobile", entries=[{"x": 1}], attribution=attribution)
    assert send(application, beacon).json()["accepted"] == 1
    assert rows(application, "vitals") == [
        {
            "time": NOON,
            "received_at": NOON,
            "id": "v5-1",
            "name": "LCP",
            "value": 2412.3,
            "delta": 2412.3,
            "rating": "good",
            "page": "/checkout",
            "device": "mobile",
            "navigation_type": "navigate",
            "journey": "",
            "step": "",
            "source": "test",
            "parts": {"resourceLoadDelay": 12.5},
        }
    ]


def test_a_beacon_is_known_by_name_id_and_delta_also_after_a_restart(
    tmp_path: Path, sqlite: Engine, telemetry: TelemetryStore, clock: FixedClock
) -> None:
    services = services_on(tmp_path, sqlite, telemetry, clock)
    shift = vital(name="CLS", value=0.1, delta=0.1)
    grown = vital(name="CLS", value=0.30000000000000004, delta=0.20000000000000004)
    with application_on(services) as first:
        answer = send(first, [shift, grown, shift, vital(value=1, delta=1)]).json()
        assert (answer["accepted"], answer["deduplicated"]) == (3, 1)
    with application_on(services) as second:
        again = send(second, [shift, grown, vital(value=1, delta=1)]).json()
        assert (again["accepted"], again["deduplicated"]) == (0, 3)


def test_the_latest_value_of_an_id_is_what_its_page_view_counts_with(
    tmp_path: Path, sqlite: Engine, telemetry: TelemetryStore, clock: FixedClock
) -> None:
    with application_on(services_on(tmp_path, sqlite, telemetry, clock)) as application:
        later = {"time": "2026-11-22T12:00:01Z"}
        send(application, [vital(value=5000, delta=2000, **later), vital(value=3000, delta=3000)])
        send(application, vital(id="v5-2", value=1000, delta=1000, page="/cart"))
    latest = telemetry.query(
        """
        SELECT page, quantileExact(0.75)(latest) AS p75, any(rating) AS rating FROM vitals_latest(
          since = {since:DateTime64(3, 'UTC')}, until = {until:DateTime64(3, 'UTC')}
        ) GROUP BY page ORDER BY page
        """,
        {"since": NOON, "until": NOON + timedelta(minutes=1)},
    )
    assert latest == [
        {"page": "/cart", "p75": 1000.0, "rating": "good"},
        {"page": "/checkout", "p75": 5000.0, "rating": "poor"},
    ]


def test_an_error_is_an_event_of_no_journey_without_its_message(application: Application) -> None:
    error = {
        "type": "error",
        "name": "TypeError",
        "message": f"{PERSON} is not a function",
        "stack": f"at {PERSON}",
        "page": f"/users/{PERSON}",
        "source": f"{SHOP}/assets/main.8f3a2b1c.js?user={PERSON}",
        "line": 7,
        "column": 12,
    }
    other = error | {"message": "Order 12 failed", "name": PERSON}
    assert (
        send(application, [error, error, other | {"message": "Order 13 failed"}, other]).json()[
            "accepted"
        ]
        == 4
    )
    stored = rows(application, "events")
    assert {one["name"] for one in stored} == {"rum.error"}
    assert {one["error_code"] for one in stored} == {"TypeError", "Error"}
    assert {(one["journey"], one["outcome"], one["channel"]) for one in stored} == {
        ("", "error", "web")
    }
    attributes = [one["attributes"] for one in stored]
    assert len({one["group"] for one in attributes}) == 2
    assert attributes[0]["script"] == "/assets/main.8f3a2b1c.js"
    assert (attributes[0]["line"], attributes[0]["column"]) == ("7", "12")
    assert "secret" not in str(stored)


def test_a_journey_step_is_a_native_event_that_came_through_this_door(
    application: Application,
) -> None:
    step = native_event(1, journey="checkout", step="payment", instance="c-1", outcome="ok")
    person = {"subject": {"type": "email", "value": PERSON}}
    assert send(application, {"type": "step"} | step | person).json()["accepted"] == 1
    (stored,) = rows(application, "events")
    assert (stored["door"], stored["journey"], stored["step"]) == ("rum", "checkout", "payment")
    assert (stored["instance"], len(stored["subject_key"])) == ("c-1", 64)


def test_under_global_privacy_control_a_step_is_nobodys(application: Application) -> None:
    step = {"type": "step"} | native_event(1, instance="c-1", subject={"type": "x", "value": "y"})
    assert send(application, step, sec_gpc="1").json()["accepted"] == 1
    (stored,) = rows(application, "events")
    assert (stored["instance"], stored["subject_key"], stored["subject_type"]) == ("", "", "")


def test_a_key_that_requires_consent_takes_only_what_bears_it(application: Application) -> None:
    key = public_key(application, requires_consent=True)
    agreed = [vital(consent=True), {"type": "step", "consent": True} | native_event(1)]
    answer = send(application, [*agreed, vital(id="v5-2"), vital(id="v5-3", consent=False)], key)
    assert answer.json()["accepted"] == 2
    refused = answer.json()["rejected"]
    assert [(one["index"], one["code"], one["path"]) for one in refused] == [
        (2, "consent_denied", "consent"),
        (3, "consent_denied", "consent"),
    ]
    under_gpc = send(application, vital(id="v5-4", consent=True), key, sec_gpc="1").json()
    assert [one["code"] for one in under_gpc["rejected"]] == ["consent_denied"]
    assert [one["id"] for one in rows(application, "vitals")] == ["v5-1"]


@pytest.mark.parametrize(
    ("beacon", "path"),
    [
        ({"type": "wish"}, "type"),
        ({"type": 3}, "type"),
        (vital(name="FID"), "name"),
        (vital(value=-1), "value"),
        (vital(value=None), "value"),
        (vital(delta="1"), "delta"),
        (vital(id=""), "id"),
        (vital(rating="great"), "rating"),
        (vital(device="fridge"), "device"),
        (vital(navigationType="<b>"), "navigationType"),
        (vital(time="2026-12-22T12:00:00Z"), "time"),
        ({"type": "error", "line": -1}, "line"),
        ({"type": "step", "id": "1", "time": NOW}, "name"),
        ({"type": "step", "plan": "pro"} | native_event(1), "plan"),
        ({"type": "step"} | native_event(1, subject={"type": "E", "value": "v"}), "subject.type"),
        (17, None),
    ],
)
def test_a_faulty_beacon_is_named_and_holds_up_no_other(
    application: Application, beacon: object, path: str | None
) -> None:
    answer = send(application, [beacon, vital()]).json()
    assert answer["accepted"] == 1
    assert [(one["index"], one["path"]) for one in answer["rejected"]] == [(0, path)]


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"[" + b" " * 65_536 + b"]", "text/plain", 413),
        (b"{", "text/plain", 400),
        (b"a=b", "application/x-www-form-urlencoded", 415),
        (b"[]", "application/json", 200),
    ],
)
def test_a_body_that_is_no_beacon_is_answered_with_a_problem(
    application: Application, body: bytes, content_type: str, status: int
) -> None:
    assert send(application, body, content_type=content_type).status_code == status


@pytest.mark.parametrize(
    "origin", [None, "null", "https://evil.example", SHOP + ":444", "http" + SHOP[5:]]
)
def test_a_page_of_another_origin_is_refused_and_told_nothing(
    application: Application, origin: str | None
) -> None:
    answer = send(application, vital(), origin=origin)
    assert (answer.status_code, answer.json()["type"]) == (
        403,
        "urn:candor:problem:origin_not_allowed",
    )
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["vary"] == "Origin"


def test_answers_and_errors_name_the_one_origin_that_may_read_them(
    application: Application,
) -> None:
    for answer in (send(application, vital()), send(application, b"{")):
        assert answer.headers["access-control-allow-origin"] == SHOP
        assert answer.headers["vary"] == "Origin"


def test_a_preflight_is_answered_for_pages_of_the_key_alone(application: Application) -> None:
    def preflight(origin: str) -> httpx.Response:
        headers = {"origin": origin, "access-control-request-method": "POST"}
        params = {"key": public_key(application)}
        return application.request("OPTIONS", "/v1/rum", params=params, headers=headers)

    answer = preflight(SHOP)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == SHOP
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "content-type"
    refused = preflight("https://evil.example")
    assert (refused.status_code, "access-control-allow-origin" in refused.headers) == (403, False)


def test_another_method_is_not_allowed_and_those_that_are_are_named(
    application: Application,
) -> None:
    answer = application.request("PUT", "/v1/rum")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST, GET, OPTIONS")


def test_a_key_that_comes_too_often_is_told_when_to_come_back(application: Application) -> None:
    key = public_key(application, per_minute=2)
    answers = [send(application, vital(), key) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["retry-after"] == "30"
    assert answers[2].headers["access-control-allow-origin"] == SHOP
    application.services.clock.pass_by(timedelta(seconds=30))  # type: ignore[attr-defined]  # a FixedClock
    assert send(application, vital(), key).status_code == 200


def test_only_a_public_key_opens_this_door_and_it_opens_no_other(application: Application) -> None:
    assert send(application, vital(), "").status_code == 401
    assert send(application, vital(), "candor_1_2").status_code == 401
    for scope in ("ingest", "admin"):
        assert send(application, vital(), application.make_key(scope)).status_code == 403
    bearer = {"authorization": f"Bearer {public_key(application)}"}
    assert application.post("/api/v1/events", json=[], headers=bearer).status_code == 403


def test_the_script_learns_from_its_key_whether_to_wait_for_consent(
    application: Application,
) -> None:
    for required in (True, False):
        params = {"key": public_key(application, requires_consent=required)}
        answer = application.get("/v1/rum", params=params, headers={"origin": SHOP})
        assert answer.json() == {"requires_consent": required}


def test_a_page_of_the_same_origin_may_ask_without_naming_it(application: Application) -> None:
    answer = application.get("/v1/rum", params={"key": public_key(application)})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


def test_the_script_is_given_once_and_then_known_by_its_tag(application: Application) -> None:
    script = application.get("/rum.js")
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "max-age" in script.headers["cache-control"]
    assert "sendBeacon" in script.text
    known = application.get("/rum.js", headers={"if-none-match": f"W/{script.headers['etag']}"})
    assert (known.status_code, known.content) == (304, b"")
    other = application.get("/rum.js", headers={"if-none-match": '"other"'})
    assert other.status_code == 200


def test_without_keys_every_page_may_send(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    services = services_on(
        tmp_path, sqlite, embedded_telemetry, clock, auth={"mode": "open"}, host="127.0.0.1"
    )
    with application_on(services) as application:
        answer = send(application, vital(), "", origin="http://127.0.0.1:9")
        assert answer.headers["access-control-allow-origin"] == "http://127.0.0.1:9"
        assert send(application, vital(id="v5-2"), "", origin=None).json()["accepted"] == 1
