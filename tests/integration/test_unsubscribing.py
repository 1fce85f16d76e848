"""Links in messages: made for one person, sealed, and obeyed in one press."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from candor.kernel.telemetry_store import TelemetryStore
from tests.support.asgi import Application, application_on
from tests.support.consent import ANNA, check, prepare, put_purpose, record
from tests.support.stores import FixedClock, services_on

LINKS = "/api/v1/consent/links"
PRESS = {"List-Unsubscribe": "One-Click"}
HISTORY = "/api/v1/subjects/history"


def links(application: Application, **fields: Any) -> dict[str, str]:  # noqa: ANN401 - any field
    body = {"subject": ANNA, "purpose": "marketing", "channel": "email"} | fields
    answer = application.post(LINKS, json={k: v for k, v in body.items() if v is not None})
    assert answer.status_code == 200, answer.text
    told: dict[str, str] = answer.json()
    return told


def history(application: Application) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = application.get(HISTORY, params=ANNA).json()
    return told


def later(application: Application, **time: float) -> None:
    application.services.clock.pass_by(timedelta(**time))  # type: ignore[attr-defined]  # a FixedClock


def test_a_message_gets_links_with_no_identifier_in_them_and_is_told_what_headers_need(
    application: Application,
) -> None:
    prepare(application)
    told = links(application)
    assert told["unsubscribe"].startswith("/u/")
    assert told["preferences"].startswith("/preferences/")
    assert told["list_unsubscribe"] == f"<http://127.0.0.1:8080{told['unsubscribe']}>"
    assert told["list_unsubscribe_post"] == "List-Unsubscribe=One-Click"
    assert "CANDOR_PUBLIC_URL" in told["note"]
    assert told["preferences_until"] == "2026-11-29T12:00:00+00:00"
    key = application.services.secrets.subject_key(ANNA["type"], ANNA["value"])
    for secret in ("anna", "example.org", "marketing", key[:16]):
        assert secret not in json.dumps(told)
    assert links(application) == told


@pytest.mark.parametrize(
    ("fields", "path"),
    [({"purpose": "other"}, "purpose"), ({"channel": "post"}, "channel")],
)
def test_links_are_about_something_that_can_be_taken_back(
    application: Application, fields: dict[str, str], path: str
) -> None:
    prepare(application)
    body = {"subject": ANNA, "purpose": "marketing"} | fields
    answer = application.post(LINKS, json=body)
    assert (answer.status_code, answer.json()["path"]) == (422, path)


def test_making_links_takes_the_right_to_write(application: Application) -> None:
    prepare(application)
    for scope, status in (("consent:check", 403), ("consent:write", 200)):
        headers = {"authorization": f"Bearer {application.make_key(scope)}"}
        answer = application.post(LINKS, json={"subject": ANNA}, headers=headers)
        assert answer.status_code == status


def test_looking_changes_nothing_and_one_press_denies_the_next_send(
    application: Application,
) -> None:
    prepare(application)
    record(application, "grant")
    path = links(application)["unsubscribe"]
    later(application, minutes=1)
    bare = {"authorization": ""}
    for _ in range(2):
        looked = application.get(path, headers=bare)
        assert looked.status_code == 200
        assert "List-Unsubscribe" in looked.text
    assert check(application)["reason"] == "granted"
    pressed = application.post(path, data=PRESS, headers=bare)
    assert pressed.status_code == 200
    denied = check(application)
    assert (denied["reason"], denied["evidence"]["source"]) == ("withdrawn", "one_click")
    acts = history(application)
    assert [(one["action"], one["channel"]) for one in acts] == [
        ("grant", "email"),
        ("withdraw", "email"),
    ]
    for name in ("cache-control", "content-security-policy", "referrer-policy"):
        assert pressed.headers[name] == looked.headers[name]
    assert pressed.headers["cache-control"] == "no-store"
    assert pressed.headers["referrer-policy"] == "no-referrer"


def test_pressing_again_records_nothing_and_a_later_yes_can_be_taken_back_again(
    application: Application,
) -> None:
    prepare(application)
    record(application, "grant")
    path = links(application)["unsubscribe"]
    for _ in range(3):
        later(application, minutes=1)
        answer = application.post(path, data=PRESS)
        assert answer.status_code == 200
    assert "already" in answer.text
    assert len(history(application)) == 2
    later(application, days=1)
    record(application, "grant", at="2026-11-23T12:03:00Z")
    assert check(application)["reason"] == "granted"
    application.post(path, data=PRESS)
    assert check(application)["reason"] == "withdrawn"


def test_a_mail_program_sends_it_as_multipart_and_across_sites(application: Application) -> None:
    prepare(application)
    record(application, "grant")
    later(application, minutes=1)
    path = links(application)["unsubscribe"]
    headers = {"origin": "https://mail.example.com", "sec-fetch-site": "cross-site"}
    answer = application.post(
        path, files={"List-Unsubscribe": (None, "One-Click")}, headers=headers
    )
    assert answer.status_code == 200
    assert check(application)["reason"] == "withdrawn"


@pytest.mark.parametrize(
    "headers", [{}, {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}]
)
def test_a_careless_mail_program_is_understood(
    application: Application, headers: dict[str, str]
) -> None:
    prepare(application)
    record(application, "grant")
    later(application, minutes=1)
    path = links(application)["unsubscribe"]
    body = b"List-Unsubscribe=One-Click\r\n"
    assert application.post(path, content=body, headers=headers).status_code == 200
    assert check(application)["reason"] == "withdrawn"


def test_the_address_for_the_outside_is_in_the_header_and_the_controller_on_the_page(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    services = services_on(
        *(tmp_path, sqlite, embedded_telemetry, clock),
        public_url="https://privacy.example.org/",
        controller={"name": "Example Store", "contact": "privacy@example.org"},
        links={"preferences": timedelta(minutes=30)},
    )
    with application_on(services) as application:
        prepare(application)
        receipt = record(application, "grant").json()["receipt"]
        told = links(application)
        page = application.get(told["preferences"]).text
    assert told["list_unsubscribe_post"] == "List-Unsubscribe=One-Click"
    assert told["list_unsubscribe"] == f"<https://privacy.example.org{told['unsubscribe']}>"
    assert told["preferences_until"] == "2026-11-22T12:30:00+00:00"
    assert receipt["party_identification"][0]["party_name"] == "Example Store"
    assert "Example Store" in page
    assert "mailto:privacy@example.org" in page


def test_a_link_about_everything_stops_everything(application: Application) -> None:
    prepare(application)
    put_purpose(application, "surveys")
    record(application, "grant")
    later(application, minutes=1)
    application.post(links(application, purpose=None, channel=None)["unsubscribe"], data=PRESS)
    assert check(application)["reason"] == "global_opt_out"
    assert check(application, purpose="surveys")["reason"] == "global_opt_out"


def test_a_link_works_after_years_and_after_its_purpose_ended(application: Application) -> None:
    prepare(application)
    record(application, "grant")
    path = links(application)["unsubscribe"]
    put_purpose(application, retired_at="2027-01-01T00:00:00Z")
    later(application, days=2000)
    assert application.post(path, data=PRESS).status_code == 200
    assert history(application)[-1]["source"] == "one_click"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"data": {"List-Unsubscribe": "Two-Clicks"}}, 400),
        ({"data": {}}, 400),
        ({"json": PRESS}, 415),
        (
            {"content": b"\xff", "headers": {"content-type": "application/x-www-form-urlencoded"}},
            400,
        ),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400),
        ({"data": {"x": "y" * 300_000}}, 413),
    ],
)
def test_what_is_no_press_changes_nothing(
    application: Application, body: dict[str, Any], status: int
) -> None:
    prepare(application)
    record(application, "grant")
    later(application, minutes=1)
    answer = application.post(links(application)["unsubscribe"], **body)
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "text/html; charset=utf-8",
    )
    assert check(application)["reason"] == "granted"


def test_bad_links_look_alike_whatever_is_wrong_with_them(application: Application) -> None:
    prepare(application)
    told = links(application)
    token = told["unsubscribe"].removeprefix("/u/")
    preferences = told["preferences"].removeprefix("/preferences/")
    bad = [f"/u/{preferences}", f"/u/{token[:-1]}", f"/u/{token}A", "/u/x", f"/u/{'A' * 5000}"]
    bad += [f"/preferences/{token}", "/preferences/x", "/u/\u00e9"]
    for ask in (application.get, lambda path: application.post(path, data=PRESS)):
        answers = [ask(path) for path in bad]
        assert {one.status_code for one in answers} == {404}
        assert len({one.text for one in answers}) == 1
        assert "Open it from the message" in answers[0].text
    assert history(application) == []


def test_links_to_preferences_run_out_and_say_so(application: Application) -> None:
    prepare(application)
    told = links(application)
    later(application, days=7, seconds=-1)
    assert application.get(told["preferences"]).status_code == 200
    later(application, seconds=1)
    gone = application.get(told["preferences"], headers={"accept-language": "de-AT,de;q=0.8"})
    assert (gone.status_code, "abgelaufen" in gone.text) == (410, True)
    assert application.get(told["preferences"] + "/history.json").status_code == 410
    assert application.get(told["unsubscribe"]).status_code == 200


def test_what_a_person_says_to_staff_counts_with_who_took_it_and_where(
    application: Application,
) -> None:
    prepare(application)
    record(application, "grant")
    later(application, minutes=1)
    path = "/api/v1/consent/opt-outs"
    body = {"subject": ANNA, "purpose": "marketing", "agent": "staff-17", "reference": "call 4711"}
    for missing in ("agent", "reference"):
        short = {name: value for name, value in body.items() if name != missing}
        assert application.post(path, json=short).status_code == 422
    assert application.post(path, json=body | {"action": "grant"}).status_code == 422
    headers = {"idempotency-key": "call-4711"}
    answers = [application.post(path, json=body, headers=headers) for _ in range(2)]
    assert [one.status_code for one in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    told = answers[0].json()
    assert (told["source"], told["method"], told["actor"], told["evidence"]) == (
        *("agent", "spoken", "staff-17"),
        "call 4711",
    )
    assert check(application)["reason"] == "withdrawn"
    everything = {"subject": ANNA, "agent": "staff-17", "reference": "call 4712"}
    assert application.post(path, json=everything).json()["purpose"] == "*"


def test_the_signal_is_told_where_the_specification_says(application: Application) -> None:
    answer = application.get("/.well-known/gpc.json", headers={"authorization": ""})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"gpc": False, "lastUpdate": "2026-11-26"}
    prepare(application)
    told = {"gpc": True, "lastUpdate": "2026-11-22"}
    assert application.get("/.well-known/gpc.json").json() == told
    for fields in ({"honours_gpc": False}, {"retired_at": "2026-01-01T00:00:00Z"}):
        put_purpose(application, **fields)
        assert application.get("/.well-known/gpc.json").json()["gpc"] is False
