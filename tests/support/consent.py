"""Purposes, notices and acts of consent, through the API."""

from collections.abc import Mapping
from typing import Any

import httpx

from tests.support.asgi import Application

EVENTS = "/api/v1/consent/events"
CHECK = "/api/v1/consent/check"
ANNA = {"type": "email", "value": "anna@example.org"}
MARKETING: Mapping[str, Any] = {
    "name": "Marketing",
    "mechanism": "opt_in",
    "legal_basis": {"default": "consent"},
    "channels": ["email", "sms"],
    "recipients": ["esp-1"],
    "data_categories": ["contact"],
    "validity": "365d",
}
NEWSLETTER: Mapping[str, Any] = {
    "purposes": ["marketing"],
    "recipients": ["esp-1"],
    "texts": {"en": "May we write to you?", "de": "D\u00fcrfen wir Ihnen schreiben?"},
}


def put_purpose(application: Application, key: str = "marketing", **fields: Any) -> httpx.Response:  # noqa: ANN401 - any field
    body = dict(MARKETING) | fields
    return application.request("PUT", f"/api/v1/purposes/{key}", json=body)


def put_notice(
    application: Application,
    reference: str = "newsletter/1",
    **fields: Any,  # noqa: ANN401 - any field
) -> httpx.Response:
    body = dict(NEWSLETTER) | fields
    return application.request("PUT", f"/api/v1/notices/{reference}", json=body)


def prepare(application: Application) -> None:
    assert put_purpose(application).status_code == 201
    assert put_notice(application).status_code == 201


def act(action: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    body: dict[str, Any] = {
        "subject": ANNA,
        "purpose": "marketing",
        "channel": "email",
        "action": action,
        "source": "preference_centre",
    }
    if action == "grant":
        body |= {"at": "2026-11-20T08:14:00Z", "notice": "newsletter/1", "locale": "en"}
    body |= fields
    return {name: value for name, value in body.items() if value is not None}


def record(application: Application, action: str, **fields: Any) -> httpx.Response:  # noqa: ANN401 - any field
    headers = fields.pop("headers", {})
    return application.post(EVENTS, json=act(action, **fields), headers=headers)


def check(application: Application, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    body = {"subject": ANNA, "purpose": "marketing", "channel": "email"} | fields
    headers = body.pop("headers", {})
    answer = application.post(CHECK, json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document
