"""Receipts: given with the act, made again the same, read by people, and checked without us."""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from candor.cli import app
from privacy.audit.head import key_id, public_key
from privacy.consent.receipt import fault_of, signed
from tests.support.asgi import Application
from tests.support.consent import ANNA, act, prepare, put_notice, put_purpose, record
from tests.support.stores import SECRETS

PUBLIC = public_key(SECRETS.audit_seed)


def receipt_of(application: Application, action: str = "grant", **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    answer = record(application, action, **fields)
    assert answer.status_code == 201, answer.text
    receipt: dict[str, Any] = answer.json()["receipt"]
    assert answer.headers["location"] == f"/api/v1/receipts/{receipt['id']}"
    return receipt


def fetched(application: Application, receipt_id: str, accept: str = "*/*") -> httpx.Response:
    return application.get(f"/api/v1/receipts/{receipt_id}", headers={"accept": accept})


def public_of(application: Application) -> bytes:
    return public_key(application.services.secrets.audit_seed)


def fault(receipt: dict[str, Any], public: bytes) -> str | None:
    return fault_of(receipt, public, key_id(public))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401 - any JSON
    """Yield the path of every value in a document that holds no other, and of every empty one."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for name, one in inner:
        if isinstance(one, dict | list) and one:
            yield from places(one, (*path, name))
        else:
            yield (*path, name)


def changed(document: dict[str, Any], path: tuple[Any, ...], become: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    other = copy.deepcopy(document)
    place: Any = other
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = become(place[path[-1]])
    return other


def different(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return something that is nearly the value."""
    match value:
        case str():
            return ("1" if value[:1] == "0" else "0") + value[1:]
        case int():
            return value + 1
        case None:
            return ""
        case _:
            return ["more"]


def test_a_receipt_is_made_again_byte_for_byte_and_holds(application: Application) -> None:
    prepare(application)
    acts = [
        receipt_of(application, "grant", at="2026-11-20T10:14:00+02:00"),
        receipt_of(application, "withdraw"),
        receipt_of(application, "withdraw", purpose=None, channel=None, source="agent"),
        receipt_of(application, "expire", channel=None),
    ]
    put_purpose(application, name="Other", recipients=["esp-1", "esp-2"])
    put_notice(application, "newsletter/2")
    for receipt in acts:
        again = fetched(application, receipt["id"])
        assert again.status_code == 200
        assert again.json() == receipt
        assert fault(receipt, public_of(application)) is None
    states = [one["events"][0]["event_state"] for one in acts]
    assert states == ["given", "withdrawn", "withdrawn", "expired"]
    assert acts[0]["events"][0]["event_time"] == "2026-11-20T08:14:00+00:00"
    assert acts[0]["events"][0]["validity_duration"] == "P365D"
    assert acts[0]["pii_processing"]["purposes"][0]["recipient_third_parties"] == ["esp-1"]
    assert acts[2]["pii_processing"]["purposes"][0]["purpose"] == "*"


def test_a_repeated_request_is_answered_with_the_same_receipt(application: Application) -> None:
    prepare(application)
    key = {"idempotency-key": "k-1"}
    first, second = (receipt_of(application, "grant", headers=key) for _ in range(2))
    assert first == second


def test_a_receipt_names_the_controller_and_nobody_else(application: Application) -> None:
    prepare(application)
    body = act("grant", actor="Anna Example", evidence="anna", origin="https://shop.example.org")
    receipt = application.post("/api/v1/consent/events", json=body).json()["receipt"]
    told = json.dumps(receipt).lower()
    assert "anna" not in told
    assert "shop.example.org" not in told
    expected = application.services.secrets.subject_key(ANNA["type"], ANNA["value"])
    assert receipt["pii_principal_id"] == expected


def test_every_changed_field_is_found(application: Application) -> None:
    prepare(application)
    receipt = receipt_of(application)
    public = public_of(application)
    paths = list(places(receipt))
    assert len(paths) > 35
    for path in paths:
        assert fault(changed(receipt, path, different), public), path
        assert fault(changed(receipt, path, lambda value: [value]), public), path
    for name in receipt:
        shorter = {other: value for other, value in receipt.items() if other != name}
        assert fault(shorter, public), name
    assert fault(receipt | {"more": 1}, public)
    assert fault(receipt | {"signature": receipt["signature"] | {"more": 1}}, public)
    upper = changed(receipt, ("signature", "value"), str.upper)
    assert fault(upper, public)
    assert fault(changed(receipt, ("signature", "value"), lambda value: f" {value}"), public)


def test_another_key_proves_nothing(application: Application) -> None:
    prepare(application)
    receipt = receipt_of(application)
    assert fault(receipt, PUBLIC) == "The receipt was signed with another key."
    seed = bytes(32)
    bare = {name: value for name, value in receipt.items() if name != "signature"}
    forged = signed(bare, seed, key_id(public_of(application)))
    assert "does not hold" in str(fault(forged, public_of(application)))


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (("schema_version",), "other", "version"),
        (("audit_log", "content"), "{}", "not the one that was hashed"),
        (("pii_principal_id",), "0" * 64, "another act"),
        (("audit_log",), None, None),
    ],
)
def test_what_is_signed_must_agree_with_itself_too(
    application: Application,
    path: tuple[str, ...],
    value: object,
    sentence: str | None,
) -> None:
    prepare(application)
    receipt = changed(receipt_of(application), path, lambda _: value)
    receipt.pop("signature")
    public = public_of(application)
    again = signed(receipt, application.services.secrets.audit_seed, key_id(public))
    found = fault(again, public)
    assert found is None if sentence is None else sentence in str(found)


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", "text/html"),
        ("text/plain", "text/plain"),
        ("text/*;q=0.5, application/json;q=0.4", "text/html"),
        ("application/json;q=0, text/plain;q=x", "application/json"),
        ("image/png", "application/json"),
    ],
)
def test_who_asks_gets_the_form_that_they_read(
    application: Application, accept: str, media_type: str
) -> None:
    prepare(application)
    receipt = receipt_of(application)
    answer = fetched(application, receipt["id"], accept)
    assert answer.headers["content-type"].partition(";")[0] == media_type
    assert receipt["id"] in answer.text
    assert "Marketing" in answer.text
    if media_type != "application/json":
        assert public_of(application).hex() in answer.text
        assert "365 days" in answer.text


def test_a_receipt_nobody_has_is_not_found_and_needs_a_key(application: Application) -> None:
    assert fetched(application, "none").status_code == 404
    answer = application.get("/api/v1/receipts/none", headers={"authorization": ""})
    assert answer.status_code == 401
    key = application.make_key("consent:write")
    answer = application.get("/api/v1/receipts/x", headers={"authorization": f"Bearer {key}"})
    assert answer.status_code == 403


def test_the_command_checks_a_receipt_offline(application: Application, tmp_path: Path) -> None:
    prepare(application)
    receipt = receipt_of(application)
    public = public_of(application).hex()
    folder = tmp_path / "elsewhere"
    folder.mkdir()

    def verify(text: str, *options: str) -> tuple[int, str]:
        file = folder / "receipt.json"
        file.write_text(text, encoding="utf-8")
        done = CliRunner().invoke(app, ["audit", "verify", str(file), *options])
        return done.exit_code, done.output

    code, told = verify(json.dumps(receipt, indent=2), "--public-key", public)
    assert (code, told) == (0, "It holds.\n")
    tampered = changed(receipt, ("events", 0, "event_state"), lambda _: "withdrawn")
    code, told = verify(json.dumps(tampered), "--public-key", public)
    assert code == 1
    assert told.splitlines()[0].endswith("it was signed.")
    twice = json.dumps(receipt)[:-1] + f', "record_id": "{receipt["record_id"]}"}}'
    assert verify(twice, "--public-key", public)[0] == 2
    code, told = verify(json.dumps({"id": "x", "receipt": receipt}), "--public-key", public)
    assert (code, told) == (0, "It holds.\n")
    bare = {name: value for name, value in receipt.items() if name != "signature"}
    code, told = verify(json.dumps(bare), "--public-key", public)
    assert (code, "no signature" in told) == (1, True)


def test_a_receipt_about_everything_says_so(application: Application) -> None:
    prepare(application)
    receipt = receipt_of(application, "withdraw", purpose=None, channel=None, source="agent")
    text = fetched(application, receipt["id"], "text/plain").text
    told = dict(re.findall(r"^(\w+): +(.+)$", text, re.MULTILINE))
    assert (told["Purpose"], told["Channel"]) == ("Everything", "All channels")
    assert "Ground" not in told
