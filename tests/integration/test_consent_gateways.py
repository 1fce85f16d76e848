"""The door that gateways ask: 200 or 403, decided and logged like any other check."""

import asyncio
from collections.abc import Iterable
from typing import Any

import httpx
import pytest

from tests.support.asgi import Application
from tests.support.consent import ANNA, prepare, put_purpose, record

DOOR = "/ext_authz/marketing/email"
WHO = {"x-candor-subject-type": "email", "x-candor-subject": ANNA["value"]}


def ask(
    application: Application,
    path: str = DOOR,
    method: str = "GET",
    **headers: str,
) -> httpx.Response:
    told = WHO | {name.replace("_", "-"): value for name, value in headers.items()}
    return application.request(method, path, headers=told)


def reason(answer: httpx.Response) -> tuple[int, str]:
    assert answer.json()["reason"] == answer.headers["x-candor-reason"]
    assert answer.json()["decision_id"] == answer.headers["x-candor-decision-id"]
    return answer.status_code, answer.headers["x-candor-reason"]


def logged(application: Application, answer: httpx.Response) -> dict[str, Any]:
    path = f"/api/v1/decisions/{answer.headers['x-candor-decision-id']}"
    document: dict[str, Any] = application.get(path).json()
    return document


def raw(application: Application, headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return the status and headers of the answer to headers that no client would send."""
    told: dict[bytes, bytes] = {}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            told.update({b":status": str(message["status"]).encode(), **dict(message["headers"])})

    scope = {
        "type": "http",
        "method": "GET",
        "path": DOOR,
        "query_string": b"",
        "headers": [*headers, (b"authorization", f"Bearer {application.key}".encode())],
    }
    asyncio.run(application.asgi(scope, receive, send))  # type: ignore[arg-type]  # a plain ASGI server
    return told


def test_a_grant_opens_and_a_withdrawal_closes_at_once(application: Application) -> None:
    prepare(application)
    assert reason(ask(application)) == (403, "never_asked")
    record(application, "grant")
    answer = ask(application)
    assert reason(answer) == (200, "granted")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-candor-obligations"] == ""
    record(application, "withdraw")
    assert reason(ask(application)) == (403, "withdrawn")
    told = logged(application, answer)
    assert (told["allow"], told["agrees"], told["stage"]) == (True, True, "send")


@pytest.mark.parametrize("more", ["", "/", "/api/orders/7", "/%2e%2e/%2e%2e/x/y", "?purpose=x"])
def test_any_method_and_whatever_a_gateway_adds_to_the_path_asks_the_same(
    application: Application, more: str
) -> None:
    prepare(application)
    record(application, "grant")
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PURGE"):
        answer = ask(application, DOOR + more, method)
        assert (answer.status_code, answer.headers["x-candor-reason"]) == (200, "granted")


def test_a_live_signal_counts(application: Application) -> None:
    prepare(application)
    record(application, "grant")
    assert reason(ask(application, sec_gpc="1")) == (403, "gpc")
    assert reason(ask(application, sec_gpc="true")) == (200, "granted")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x_candor_recipient": "esp-1"}, (200, "granted")),
        ({"x_candor_recipient": "esp-2"}, (403, "recipient_not_covered")),
        ({"x_candor_jurisdiction": "AU, de"}, (200, "granted")),
        ({"x_candor_stage": "entry"}, (200, "granted")),
        ({"x_candor_stage": "later"}, (403, "purpose_unknown")),
        ({"x_candor_recipient": "jane@example.org"}, (403, "purpose_unknown")),
        ({"x_candor_jurisdiction": "no place"}, (403, "purpose_unknown")),
        ({"x_candor_subject_type": "E-Mail"}, (403, "subject_unresolved")),
        ({"x_candor_subject": " "}, (403, "subject_unresolved")),
        ({"x_candor_subject": "anna@example.org, eve@example.org"}, (403, "subject_unresolved")),
        ({"x_candor_subject": "a" * 321}, (403, "subject_unresolved")),
    ],
)
def test_what_the_gateway_sets_decides_and_what_cannot_be_meant_is_denied(
    application: Application, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    prepare(application)
    record(application, "grant")
    answer = ask(application, **headers)
    assert reason(answer) == expected
    assert logged(application, answer)["allow"] is (expected[0] == 200)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/ext_authz/other/email", "purpose_unknown"),
        ("/ext_authz/marketing/sms", "never_asked"),
        ("/ext_authz/marketing/", "purpose_unknown"),
        ("/ext_authz/marketing", "purpose_unknown"),
        ("/ext_authz//email", "purpose_unknown"),
        ("/ext_authz/*/email", "purpose_unknown"),
        ("/ext_authz/anna@example.org/email", "purpose_unknown"),
        ("/ext_authz/", "purpose_unknown"),
    ],
)
def test_a_path_that_names_no_purpose_or_channel_lets_nobody_through(
    application: Application, path: str, expected: str
) -> None:
    prepare(application)
    record(application, "grant")
    answer = ask(application, path)
    assert reason(answer) == (403, expected)
    assert "@" not in str(logged(application, answer))


def test_of_two_persons_nobody_knows_who_is_meant(application: Application) -> None:
    prepare(application)
    put_purpose(application, "statistics", mechanism="opt_out", channels=[])
    both = [(name.encode(), value.encode()) for name, value in WHO.items()]
    assert raw(application, both)[b"x-candor-reason"] == b"never_asked"
    for extra in both:
        assert raw(application, [*both, extra])[b"x-candor-reason"] == b"subject_unresolved"
    unreadable = [both[0], (b"x-candor-subject", b"\xffanna@example.org")]
    assert raw(application, unreadable)[b"x-candor-reason"] == b"subject_unresolved"
    assert raw(application, [])[b":status"] == b"403"


def test_obligations_go_with_what_is_let_through(application: Application) -> None:
    put_purpose(application, mechanism="opt_out", obligations=["no_profiling", "mask:phone"])
    answer = ask(application)
    assert reason(answer) == (200, "opt_out_default")
    assert answer.headers["x-candor-obligations"] == "no_profiling, mask:phone"


def test_a_gateway_shows_a_key_for_checks(application: Application) -> None:
    prepare(application)
    key = application.make_key("consent:check")
    assert ask(application, authorization=f"Bearer {key}").status_code == 403
    assert ask(application, authorization="Bearer no").status_code == 401
    other = application.make_key("ingest")
    answer = ask(application, authorization=f"Bearer {other}")
    assert (answer.status_code, "consent:check" in answer.json()["detail"]) == (403, True)
    assert "x-candor-decision-id" not in answer.headers


def test_without_the_state_store_a_gateway_lets_nobody_through(application: Application) -> None:
    prepare(application)
    record(application, "grant")
    ask(application)
    with application.services.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE consent_standings")
    answer = ask(application)
    assert reason(answer) == (403, "state_unavailable")
    assert answer.headers["retry-after"] == "1"
    with application.services.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE api_keys RENAME TO elsewhere")
    unknown = ask(application, authorization="Bearer candor_0123456789abcdef_x")
    assert reason(unknown) == (403, "state_unavailable")
