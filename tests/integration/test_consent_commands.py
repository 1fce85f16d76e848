"""``candor consent``: beside no server, on the stores themselves, and against a running server."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from candor.cli import app
from tests.support.consent import ANNA, MARKETING, NEWSLETTER, act

RUNNER = CliRunner()
WHO = f"email:{ANNA['value']}"


def run(*arguments: str, code: int = 0) -> str:
    done = RUNNER.invoke(app, ["consent", *arguments])
    assert done.exit_code == code, done.output
    return done.stdout


def told(*arguments: str, code: int = 0) -> Any:  # noqa: ANN401 - a JSON document
    return json.loads(run(*arguments, "--json", code=code))


@pytest.fixture(autouse=True)
def _policy(tmp_path: Path) -> None:
    document = {
        "purposes": {"marketing": dict(MARKETING)},
        "notices": {"newsletter/1": dict(NEWSLETTER)},
    }
    (tmp_path / "policy.yaml").write_text(json.dumps(document), encoding="utf-8")


def test_a_policy_is_applied_with_a_diff_and_a_dry_run(tmp_path: Path) -> None:
    assert [one["change"] for one in told("apply", "policy.yaml", "--dry-run")["changes"]] == [
        "created",
        "created",
    ]
    run("apply", "policy.yaml")
    wider = {"purposes": {"marketing": dict(MARKETING) | {"recipients": ["esp-1", "esp-2"]}}}
    (tmp_path / "wider.yaml").write_text(json.dumps(wider), encoding="utf-8")
    shown = run("apply", "wider.yaml", "--dry-run")
    assert "changed: purpose marketing" in shown
    assert "earlier consent does not hold for: recipient esp-2" in shown
    assert told("apply", "policy.yaml")["changes"][0]["change"] == "unchanged"
    (tmp_path / "bad.yaml").write_text("purposes: {m: {name: M}}", encoding="utf-8")
    assert RUNNER.invoke(app, ["consent", "apply", "bad.yaml"]).exit_code == 1
    (tmp_path / "no.yaml").write_text("a: [", encoding="utf-8")
    assert RUNNER.invoke(app, ["consent", "apply", "no.yaml"]).exit_code == 1
    assert RUNNER.invoke(app, ["consent", "apply", "absent.yaml"]).exit_code == 2


def test_a_yes_that_nobody_can_have_said_yet_is_refused() -> None:
    run("apply", "policy.yaml")
    yes = ["consent", "record", WHO, "marketing", "grant", "--notice", "newsletter/1", "--at"]
    for at, code in (("2999-01-01T00:00:00Z", 1), ("2026-01-02T00:00:00Z", 0)):
        assert RUNNER.invoke(app, [*yes, at]).exit_code == code
    assert len(told("show", WHO, "--history")) == 1


def test_acts_are_recorded_shown_exported_and_imported(tmp_path: Path) -> None:
    run("apply", "policy.yaml")
    assert run("show", WHO) == ""
    at, notice = "2026-01-02T00:00:00Z", "newsletter/1"
    given = told(
        *("record", WHO, "marketing", "grant", "--channel", "email", "--at", at),
        *("--notice", notice, "--method", "spoken", "--locale", "en"),
        *("--jurisdiction", "AU", "--actor", "call-centre"),
    )
    assert (given["locale"], given["jurisdiction"], given["actor"]) == ("en", "AU", "call-centre")
    assert given["recorded_by"] == "command line"
    assert "recorded withdraw" in run("record", WHO, "marketing", "withdraw")
    states = {one["channel"]: one["state"] for one in told("show", WHO)}
    assert states == {None: "withdrawn", "email": "granted"}
    assert "marketing on email: grant" in run("show", WHO, "--history")
    assert "marketing on every channel: withdrawn" in run("show", WHO)
    lines = [json.loads(line) for line in run("export").splitlines()]
    assert [one["action"] for one in lines] == ["grant", "withdraw"]
    run("export", "ledger.ndjson")
    assert (tmp_path / "ledger.ndjson").read_text(encoding="utf-8").count("\n") == 2
    nowhere = RUNNER.invoke(app, ["consent", "export", "no/such/folder.ndjson"])
    assert (nowhere.exit_code, "cannot be written" in nowhere.stderr) == (2, True)
    rows = [act("withdraw", purpose="*", channel=None, at=at), act("grant", notice=None)]
    (tmp_path / "rows.ndjson").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    trial = told("import", "rows.ndjson", "--dry-run", code=1)
    assert (trial["recorded"], trial["refused"][0]["row"]) == (1, 2)
    assert "row 2: notice:" in run("import", "rows.ndjson", code=1)
    assert told("import", "rows.ndjson", code=1)["repeated"] == 1
    assert RUNNER.invoke(app, ["consent", "record", WHO, "marketing", "grant"]).exit_code == 1
    assert RUNNER.invoke(app, ["consent", "record", WHO, "marketing", "jump"]).exit_code == 1
    assert RUNNER.invoke(app, ["consent", "show", "anna"]).exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("audit", "verify"),
        ("audit", "head"),
        ("consent", "show", WHO),
        ("consent", "export"),
        ("consent", "subscribers", "list"),
        ("consent", "subscribers", "dead-letters", "crm"),
        ("consent", "check", WHO, "marketing"),
        ("consent", "blast-radius", "--source", "api"),
        ("consent", "replay"),
        ("vault", "status"),
        ("slo", "status"),
    ],
)
def test_who_only_reads_makes_no_installation_in_a_wrong_folder(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    done = RUNNER.invoke(app, list(arguments))
    assert (done.exit_code, done.stdout) == (2, "")
    assert "There is no installation in .candor here." in done.stderr
    assert not (tmp_path / ".candor").exists()


def test_a_verification_says_how_much_it_checked() -> None:
    run("apply", "policy.yaml")
    run("record", WHO, "marketing", "withdraw")
    done = RUNNER.invoke(app, ["audit", "verify"])
    head = json.loads(RUNNER.invoke(app, ["audit", "head", "--json"]).stdout)
    assert done.exit_code == 0
    told = f"{head['tree_size']} entries with the root {head['root_hash']}. It holds."
    assert told in done.stderr


def test_who_has_no_installation_verifies_with_a_public_key(tmp_path: Path) -> None:
    run("apply", "policy.yaml")
    receipt = told("record", WHO, "marketing", "withdraw")
    public = RUNNER.invoke(app, ["audit", "key"]).stdout.strip()
    (tmp_path / ".candor").rename(tmp_path / "elsewhere")
    (tmp_path / "receipt.json").write_text(json.dumps(receipt), encoding="utf-8")
    done = RUNNER.invoke(app, ["audit", "verify", "receipt.json"])
    assert (done.exit_code, "Say with --public-key whose key" in done.stderr) == (2, True)
    done = RUNNER.invoke(app, ["audit", "verify", "receipt.json", "--public-key", public])
    assert done.exit_code == 0, done.output


def test_receipts_are_verified_one_by_one_in_a_list_and_in_the_answer_that_holds_them(
    tmp_path: Path,
) -> None:
    run("apply", "policy.yaml")
    one, two = (told("record", WHO, "marketing", action) for action in ("withdraw", "object"))
    file = tmp_path / "receipts.json"
    file.write_text(json.dumps([one, two["receipt"]]), encoding="utf-8")
    assert RUNNER.invoke(app, ["audit", "verify", "receipts.json"]).exit_code == 0
    two["receipt"]["schema_version"] = "other"
    wrong_ones: list[Any] = [[one, two], [one, {}], {"receipt": {}}, two]
    for document in wrong_ones:
        file.write_text(json.dumps(document), encoding="utf-8")
        done = RUNNER.invoke(app, ["audit", "verify", "receipts.json"])
        assert done.exit_code == 1
        assert ("number 2: " in done.stdout) is isinstance(document, list)
    for wrong in ("[]", "[1]", "1"):
        file.write_text(wrong, encoding="utf-8")
        assert RUNNER.invoke(app, ["audit", "verify", "receipts.json"]).exit_code == 2
