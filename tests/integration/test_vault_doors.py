"""Revealing through the API, and the vault's commands beside it."""

import json
import logging
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from candor.cli import app
from candor.kernel.clock import utc_now
from candor.kernel.database import open_engine
from candor.kernel.secrets import open_secrets
from candor.kernel.settings import load_settings
from privacy.vault.assembly import new_vault
from privacy.vault.jobs import destroy_old_day_keys
from privacy.vault.vault import StoredVault
from tests.support.asgi import Application
from tests.support.stores import FixedClock
from tests.support.vault import ANNA, BERT, EMAIL

RUNNER = CliRunner()
PATH = "/api/v1/pii/detokenize"
VALUE = "anna.secret@example.org"


def ask(application: Application, tokens: list[Any], reason: str = "case 4711") -> Any:  # noqa: ANN401 - a JSON document
    answer = application.post(PATH, json={"tokens": tokens, "reason": reason})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_tokens_and_texts_are_revealed_in_order_with_the_reason_for_each_that_is_not(
    application: Application,
) -> None:
    vault = application.services.vault
    (token,) = vault.tokenise([VALUE], "support", ANNA)
    (text,) = vault.encrypt([VALUE], ANNA, EMAIL)
    told = ask(
        application,
        [
            token,
            {"text": text, "field": EMAIL},
            {"text": text, "field": EMAIL, "subject_key": BERT},
            text,
            "tok_" + "A" * 22,
            "nonsense",
        ],
    )
    assert told["revealed"] == 2
    assert [one["value"] for one in told["results"]] == [VALUE, VALUE, None, None, None, None]
    assert [one["error"] for one in told["results"]] == [
        *(None, None, "mismatch", "mismatch", "unknown", "malformed"),
    ]
    assert told["results"][0]["subject_key"] == ANNA
    leaf = application.get("/api/v1/audit/leaves/0").json()["entry"]
    assert (leaf["kind"], leaf["by"], leaf["reason"]) == ("vault.reveal", "test", "case 4711")
    assert (leaf["subjects"], leaf["asked"], leaf["revealed"]) == ([ANNA], 6, 2)


def test_only_a_key_with_the_scope_reveals(application: Application) -> None:
    body = {"tokens": ["tok_" + "A" * 22], "reason": "case 4711"}
    for key, status in (
        ("", 401),
        (application.make_key("pii:read"), 403),
        (application.make_key("pii:reveal"), 200),
    ):
        headers = {"authorization": f"Bearer {key}"}
        assert application.post(PATH, json=body, headers=headers).status_code == status


@pytest.mark.parametrize(
    "body",
    [
        {"tokens": ["tok_x"]},
        {"tokens": ["tok_x"], "reason": "  "},
        {"tokens": ["tok_x"], "reason": "for anna@example.org"},
        {"tokens": [], "reason": "case 1"},
        {"tokens": ["tok_x"] * 501, "reason": "case 1"},
        {"tokens": [{"text": "tok_x", "unlike": 1}], "reason": "case 1"},
        {"tokens": ["tok_x"], "reason": "x" * 201},
    ],
)
def test_a_question_without_a_good_reason_or_tokens_is_refused_and_not_repeated(
    application: Application, body: dict[str, Any]
) -> None:
    answer = application.post(PATH, json=body)
    assert answer.status_code == 422
    assert "anna" not in answer.text
    assert application.get("/api/v1/audit/leaves/0").status_code == 404


def test_a_reason_that_repeats_the_value_reveals_nothing_and_is_not_kept(
    application: Application,
) -> None:
    (token,) = application.services.vault.tokenise(["Anna Secret"], "support", ANNA)
    answer = application.post(PATH, json={"tokens": [token], "reason": "Anna Secret complains"})
    assert (answer.status_code, answer.json()["path"]) == (422, "reason")
    assert "Secret" not in answer.text
    leaf = application.get("/api/v1/audit/leaves/0").json()
    assert (leaf["entry"]["kind"], leaf["entry"]["reason"]) == ("vault.reveal_refused", None)
    assert "Secret" not in leaf["content"]


def test_who_reveals_too_much_is_told_when_to_come_back(
    application: Application, clock: FixedClock
) -> None:
    tokens = application.services.vault.tokenise(["x", "y"], "support", ANNA)
    asked = [*tokens] * 250
    for _ in range(2):
        assert ask(application, asked)["revealed"] == 500
    answer = application.post(PATH, json={"tokens": tokens, "reason": "case 4711"})
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["content-type"] == "application/problem+json"
    clock.pass_by(timedelta(seconds=1))
    assert ask(application, tokens)["revealed"] == 2
    metrics = application.get("/metrics").text
    assert 'candor_vault_reveals_total{outcome="revealed"} 1002.0' in metrics
    assert 'candor_vault_reveals_total{outcome="too_many"} 2.0' in metrics


def test_the_job_destroys_the_keys_of_old_days(application: Application, clock: FixedClock) -> None:
    (text,) = application.services.vault.encrypt([VALUE], "", EMAIL)
    asked = [{"text": text, "field": EMAIL}]
    clock.pass_by(timedelta(days=90))
    destroy_old_day_keys(application.services)
    assert ask(application, asked)["revealed"] == 1
    clock.pass_by(timedelta(days=1))
    destroy_old_day_keys(application.services)
    assert ask(application, asked)["results"][0]["error"] == "destroyed"


def test_two_keys_of_one_name_have_two_allowances_and_are_told_apart(
    application: Application,
) -> None:
    (token,) = application.services.vault.tokenise(["x"], "support", ANNA)
    body = {"tokens": [token] * 500, "reason": "case 4711"}
    keys = [application.make_key("pii:reveal") for _ in range(2)]
    statuses = [
        application.post(PATH, json=body, headers={"authorization": f"Bearer {key}"}).status_code
        for key in keys * 3
    ]
    assert statuses == [200, 200, 200, 200, 429, 429]
    entries = [application.get(f"/api/v1/audit/leaves/{one}").json()["entry"] for one in range(2)]
    assert len({one["by"] for one in entries}) == 1
    assert len({one["key"] for one in entries}) == 2


def test_nothing_of_a_value_is_in_a_log_a_metric_or_the_store(
    application: Application, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    vault = application.services.vault
    (token,) = vault.tokenise([VALUE], "support", ANNA)
    (text,) = vault.encrypt([VALUE], ANNA, EMAIL)
    assert ask(application, [token, {"text": text, "field": EMAIL}])["revealed"] == 2
    for one in (vault, application.desk, application.desk.keys, application.services.secrets):
        assert VALUE not in repr(one)
        assert application.services.secrets.vault_key.hex() not in repr(one)
    assert VALUE not in caplog.text
    assert VALUE not in application.get("/metrics").text
    stored = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(stored) > 3
    assert not any(VALUE.encode() in content for content in stored)


def run(*arguments: str, code: int = 0) -> Any:  # noqa: ANN401 - a click result
    done = RUNNER.invoke(app, ["vault", *arguments])
    assert done.exit_code == code, done.output
    return done


def told(*arguments: str, code: int = 0) -> Any:  # noqa: ANN401 - a JSON document
    return json.loads(run(*arguments, "--json", code=code).stdout)


@pytest.fixture
def vault() -> Iterator[StoredVault]:
    """The vault of the folder in which the commands run."""
    made = RUNNER.invoke(app, ["keys", "create", "first", "--scope", "admin"])
    assert made.exit_code == 0, made.output
    run("status")
    settings = load_settings()
    secrets = open_secrets(settings.master_key_file, may_create=False)
    engine = open_engine(settings.state_dsn)
    yield new_vault(engine, secrets, settings.vault, utc_now)
    engine.dispose()


def test_the_command_reveals_and_says_what_cannot_be_read(vault: StoredVault) -> None:
    (token,) = vault.tokenise([VALUE], "support", ANNA)
    (text,) = vault.encrypt([VALUE], ANNA, EMAIL)
    reason = ("--reason", "case 4711")
    assert run("reveal", token, *reason).stdout == f"{VALUE}\n"
    assert told("reveal", text, "--field", EMAIL, *reason)["revealed"] == 1
    refused = run("reveal", text, "--field", "elsewhere", *reason, code=1)
    assert "does not open here" in refused.stderr
    told("reveal", text, "--field", EMAIL, "--subject-key", BERT, *reason, code=1)
    run("reveal", token, "--reason", " ", code=2)
    run("reveal", token, code=2)


def test_the_command_destroys_when_it_is_told_to_go_on(vault: StoredVault) -> None:
    (token,) = vault.tokenise([VALUE], "support", ANNA)
    (text,) = vault.encrypt([VALUE], ANNA, EMAIL)
    options = ("--subject-key", ANNA, "--reason", "request 1")
    asked = run("destroy", *options, code=1)
    assert ANNA in asked.stderr
    assert run("reveal", token, "--reason", "case 1").stdout == f"{VALUE}\n"
    done = told("destroy", *options, "--yes")
    assert (len(done["keys"]), done["values"]) == (1, 1)
    revealed = told("reveal", text, token, "--field", EMAIL, "--reason", "case 1", code=1)
    assert [one["error"] for one in revealed["results"]] == ["destroyed", "unknown"]
    again = run("destroy", *options, "--yes", code=1)
    assert "Nobody of these had a key" in again.stderr
    run("destroy", "--subject-key", ANNA, "--reason", "for a@b", "--yes", code=2)
    assert told("status")["register_entries"] == 2


def test_the_command_makes_a_register_where_one_is_missing(vault: StoredVault) -> None:
    (text,) = vault.encrypt([VALUE], ANNA, EMAIL)
    Path(".candor/vault-destroyed.log").unlink()
    assert "candor vault new-register" in run("status", code=1).stderr
    run("new-register", code=1)
    assert told("new-register", "--yes")["entries"] == 0
    assert run("reveal", text, "--field", EMAIL, "--reason", "case 1").stdout == f"{VALUE}\n"
    assert "known to the state store" in run("new-register", "--yes", code=1).stderr


def test_on_servers_the_place_of_the_register_must_be_said(
    vault: StoredVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    del vault
    monkeypatch.setenv("CANDOR_TELEMETRY_DSN", "http://127.0.0.1:1/candor")
    assert "CANDOR_VAULT__REGISTER_FILE" in run("status", code=1).stderr
    monkeypatch.setenv("CANDOR_VAULT__REGISTER_FILE", ".candor/vault-destroyed.log")
    run("status")


def test_the_command_rotates_to_a_new_file_and_then_needs_the_old_root_no_more(
    vault: StoredVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    (text,) = vault.encrypt([VALUE], ANNA, EMAIL)
    reveal = ("reveal", text, "--field", EMAIL, "--reason", "case 1")
    key = Path("new.key")
    key.write_bytes(os.urandom(32))
    monkeypatch.setenv("CANDOR_VAULT__KEY_FILES", '["new.key"]')
    readable = run("status", code=1)
    assert "chmod 600" in readable.stderr
    key.chmod(0o600)
    before = told("status")
    done = told("rotate")
    assert (done["rewrapped"], done["deleted"]) == (1, 1)
    after = told("status")
    assert after["root"] == done["root"] != before["encryption_keys"][0]["root"]
    assert [one["id"] for one in after["encryption_keys"]] == [done["encryption_key"]]
    assert run(*reveal).stdout == f"{VALUE}\n"
    monkeypatch.delenv("CANDOR_VAULT__KEY_FILES")
    assert "A root is missing" in run("status", code=1).stderr
    assert "CANDOR_VAULT__KEY_FILES" in run(*reveal, code=1).stderr
    monkeypatch.setenv("CANDOR_VAULT__KEY_FILES", '["absent.key"]')
    assert "absent.key" in run("status", code=1).stderr
