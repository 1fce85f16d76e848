"""``candor pii``: on the stores of this machine, and against a running server."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from candor.cli import app
from candor.kernel.database import open_engine
from candor.kernel.metrics import new_metrics
from candor.kernel.migrate import migrate_state
from privacy.pii.finding import Finding, Located
from privacy.pii.ledger import FindingLedger
from privacy.pii.policy import Policy
from tests.support.names import trained_pipeline
from tests.support.server import ROOT
from tests.support.stores import FixedClock

RUNNER = CliRunner()
MAIL = "jane@example.org"
EXAMPLES = ROOT / "examples"


def run(*arguments: str, code: int = 0, stdin: str | None = None) -> str:
    done = RUNNER.invoke(app, ["pii", *arguments], input=stdin)
    assert done.exit_code == code, done.output
    return done.stdout


def told(*arguments: str, **more: Any) -> Any:  # noqa: ANN401 - a JSON document
    return json.loads(run(*arguments, "--json", **more))


def test_files_of_each_kind_are_scanned(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(json.dumps({"mail": MAIL}))
    (tmp_path / "many.ndjson").write_text(f'{{"a": 1}}\n{{"mail": "{MAIL}"}}\n')
    assert told("scan", "one.json")["payload"] == {"mail": "[EMAIL_ADDRESS]"}
    assert told("scan", "many.ndjson")["findings"][0]["path"] == "/1/mail"
    assert told("scan", "-", stdin=f"mail {MAIL}")["payload"] == "mail [EMAIL_ADDRESS]"
    shown = run("scan", "one.json", "--strict", code=1)
    assert shown.startswith("/mail  EMAIL_ADDRESS  0-16  1.00  mask")
    assert told("scan", "one.json", "--entity", "US_SSN", "--threshold", "0")["findings"] == []
    run("scan", "absent.json", code=2)
    (tmp_path / "bad.txt").write_bytes(b"\xff")
    run("scan", "bad.txt", code=2)
    run("scan", "one.json", "--threshold", "7", code=1)
    run("scan", "one.json", "--entity", "NO_SUCH", code=1)
    run("scan", "one.json", "--policy", "absent", code=2)
    assert "name: default" in run("policy", "show")
    assert not (tmp_path / ".candor" / "state.db").exists()


def test_the_examples_are_a_policy_and_its_recognizers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANDOR_PII__RECOGNIZERS", str(EXAMPLES / "pii-recognizers.yaml"))
    attributes = {"mail": MAIL, "badge": "CND-4711", "delivery": {"phone": "+1 415 555 2671"}}
    (tmp_path / "event.json").write_text(json.dumps({"attributes": attributes}))
    policy = ("--policy", str(EXAMPLES / "pii-policy.yaml"))
    (result,) = told("policy", "test", "event.json", *policy)["results"]
    assert result["payload"]["attributes"] == {
        "mail": "[EMAIL_ADDRESS:tokenise]",
        "badge": "[STAFF_BADGE]",
        "delivery": {"phone": "[PHONE_NUMBER:encrypt]"},
    }
    assert run("policy", "apply", policy[1]) == "default version 1\n"


def test_a_file_is_scanned_by_the_model_of_names_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANDOR_PII__NER__ENGINE", "spacy")
    monkeypatch.setenv("CANDOR_PII__NER__MODEL", str(trained_pipeline(tmp_path / "names")))
    monkeypatch.setenv("CANDOR_PII__NER__LABELS", '{"PERSON": "STAFF", "GPE": "LOCATION"}')
    note = {"note": "we met zorblax in the garden"}
    (tmp_path / "note.json").write_text(json.dumps(note))
    (tmp_path / "staff.yaml").write_text("rules: [{action: allow, entities: [STAFF]}]")
    assert told("scan", "note.json")["payload"] == {"note": "we met [STAFF] in the garden"}
    tried = told("policy", "test", "note.json", "--policy", "staff.yaml")
    assert tried["results"][0]["payload"] == note
    assert run("policy", "apply", "staff.yaml") == "default version 1\n"
    monkeypatch.setenv("CANDOR_PII__NER__MODEL", "nowhere")
    run("scan", "note.json", code=1)


def test_policies_are_shown_tried_and_applied(tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text(json.dumps({"mail": MAIL}))
    (tmp_path / "note.txt").write_text(f"mail {MAIL}")
    (tmp_path / "drop.yaml").write_text("rules: [{action: drop, entities: [EMAIL_ADDRESS]}]")
    assert "version: 0" in run("policy", "show")
    assert "0: remove /mail" in run("policy", "test", "event.json", "--policy", "drop.yaml")
    assert told("policy", "test", "note.txt")["results"][0]["diff"] == []
    assert run("policy", "apply", "drop.yaml") == "default version 1\n"
    assert told("policy", "apply", "drop.yaml")["version"] == 1
    assert told("policy", "show")["rules"][0]["action"] == "drop"
    assert told("scan", "event.json")["payload"] == {}
    (tmp_path / "bad.yaml").write_text("rules: [{action: blur}]")
    run("policy", "apply", "bad.yaml", code=1)
    (tmp_path / "no.yaml").write_text("a: [")
    run("policy", "apply", "no.yaml", code=2)
    (tmp_path / "vault.yaml").write_text("action: encrypt")
    assert run("policy", "apply", "vault.yaml") == "default version 2\n"


def test_findings_are_listed(tmp_path: Path) -> None:
    run("findings", code=2)
    run("policy", "apply", str(EXAMPLES / "pii-policy.yaml"), code=1)  # it looks for a badge
    assert run("findings") == ""
    engine = open_engine(f"sqlite:///{tmp_path}/.candor/state.db")
    migrate_state(engine)
    ledger = FindingLedger(engine, FixedClock(), new_metrics().pii)
    finding = Finding("US_SSN", 0, 4, 0.9, "x")
    ledger.note("shop", Located(("a",), finding, "mask"), "1234", Policy())
    ledger.flush()
    engine.dispose()
    assert "US_SSN  shop  a  1  mask  open" in run("findings")
    assert told("findings", "--state", "accepted") == []
    run("findings", "--state", "odd", code=2)


def test_a_server_is_asked_by_its_address(tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text(json.dumps({"mail": MAIL}))
    nowhere = ("--url", "http://127.0.0.1:9", "--key", "k")
    for arguments in (
        ("scan", "event.json"),
        ("policy", "show"),
        ("policy", "apply", "event.json"),
        ("policy", "test", "event.json"),
        ("findings",),
    ):
        run(*arguments, *nowhere, code=1)


@pytest.mark.parametrize("command", ["scan", "findings", "policy"])
def test_every_command_tells_what_it_is_for(command: str) -> None:
    assert "Example" in run(*([command, "test"] if command == "policy" else [command]), "--help")


@pytest.mark.parametrize(
    "options",
    [
        ("--full", "--sample", "10"),
        ("--apply", "--sample", "10", "--reason", "case 4711"),
        ("--apply",),
        ("--apply", "--reason", f"for {MAIL}"),
        ("--since", "yesterday"),
    ],
)
def test_a_rescan_that_cannot_be_meant_is_wrong_use(options: tuple[str, ...]) -> None:
    run("rescan", *options, code=2)


def test_a_rescan_makes_no_installation_where_there_is_none(tmp_path: Path) -> None:
    run("rescan", code=2)
    assert list(tmp_path.iterdir()) == []
