"""Whichever way a wrong input comes in, its fault is told in words of the house."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from candor.cli import app
from tests.support.asgi import Application
from tests.support.consent import CHECK, EVENTS, act, prepare

RUNNER = CliRunner()
PERSON = "berta-4711@example.org"
FOREIGN = ("Input should", "Not as it must", "literal_error", "extra_forbidden", "_parsing")
MORE_FOREIGN = ("value_error", "string_pattern_mismatch", "Expected `", "_type", "missing required")


def assert_told(text: str, *words: str) -> None:
    assert not [one for one in (*FOREIGN, *MORE_FOREIGN, PERSON) if one in text], text
    assert not [one for one in words if one not in text], text


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("post", EVENTS, act("jump"), ("body.action", "grant", "withdraw", '"allowed"')),
        ("post", EVENTS, act("grant", at=PERSON), ("body.at", "RFC 3339")),
        ("post", EVENTS, act("grant") | {PERSON: 1}, ("no such field",)),
        ("post", EVENTS, act("grant", subject=PERSON), ("body.subject", "mapping")),
        ("post", EVENTS, [PERSON], ("body", "mapping")),
        ("post", EVENTS, act("grant", notice=[PERSON]), ("body.notice", "Write a text.")),
        ("post", CHECK, {"subject": PERSON, "purpose": "marketing"}, ("subject",)),
        ("post", CHECK, {"subject": act("grant")["subject"], "purpose": 1}, ("purpose",)),
        ("put", "/api/v1/purposes/p", {"name": PERSON}, ("body.mechanism", "needed")),
        (
            "put",
            "/api/v1/consent/subscribers/crm",
            {"paused": False},
            ("Name either a webhook or a Kafka topic",),
        ),
        ("get", f"/api/v1/subjects/consents?type=email&value={PERSON}&as_of=x", None, ("as_of",)),
        ("get", "/api/v1/subjects/consents", None, ("query.type", "needed")),
        ("post", f"{EVENTS}/import?dry_run=perhaps", None, ("query.dry_run", "true or false")),
    ],
)
def test_a_door_names_the_place_and_what_to_write(
    application: Application,
    method: str,
    path: str,
    body: Any,  # noqa: ANN401 - any JSON value
    words: tuple[str, ...],
) -> None:
    sent = {} if body is None else {"json": body}
    answer = application.request(method.upper(), path, **sent)
    assert answer.status_code in {400, 422}
    assert answer.json()["detail"]
    assert_told(answer.text, *words)


def test_broken_json_is_told_without_a_word_of_it(application: Application) -> None:
    headers = {"content-type": "application/json"}
    answer = application.post(EVENTS, content=b'{"subject": berta-4711@', headers=headers)
    assert answer.status_code == 422
    assert_told(answer.text, "no JSON that can be read")


def test_a_row_and_a_document_name_the_place_and_what_to_write(application: Application) -> None:
    prepare(application)
    rows = json.dumps(act("jump", evidence=PERSON)).encode()
    assert_told(application.post(f"{EVENTS}/import", content=rows).text, "action", "grant")
    for place in ("/api/v1/purposes/apply", "/api/v1/consent/subscribers/apply"):
        document = b"purposes: {m: {mechanism: berta-4711@example.org}}"
        answer = application.post(place, content=document)
        assert answer.status_code == 422
        assert_told(answer.text, '"path"')


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("consent", "record", f"email:{PERSON}", "marketing", "jump"), ("action", "grant")),
        (("consent", "record", f"email:{PERSON}", "m", "grant", "--at", "x"), ("at", "RFC 3339")),
        (("consent", "apply", "bad.yaml"), ("purposes.m.mechanism", "opt_in", "opt_out")),
        (("consent", "subscribers", "apply", "bad.yaml"), ("subscribers", "needed")),
        (("consent", "import", "rows.ndjson"), ("row 2", "action", "withdraw")),
    ],
)
def test_a_command_names_the_place_and_what_to_write(
    tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    bad = "purposes: {m: {name: M, mechanism: berta-4711@example.org, legal_basis: {default: x}}}"
    (tmp_path / "bad.yaml").write_text(bad, encoding="utf-8")
    rows = [act("withdraw", at="2026-01-02T00:00:00Z"), act("jump", evidence=PERSON)]
    (tmp_path / "rows.ndjson").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert RUNNER.invoke(app, ["consent", "show", "email:x@example.org"]).exit_code in {0, 2}
    done = RUNNER.invoke(app, list(arguments))
    assert done.exit_code in {1, 2}
    assert_told(done.output, *words)
