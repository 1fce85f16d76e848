"""``candor consent`` against a running server, and without one."""

import json
import os
import subprocess
from pathlib import Path

from tests.support import preloaded
from tests.support.consent import ANNA, MARKETING, NEWSLETTER, act
from tests.support.server import run_candor, serve

WHO = f"email:{ANNA['value']}"


def test_every_command_asks_the_server_at_an_address_or_the_stores(tmp_path: Path) -> None:
    document = {
        "purposes": {"marketing": dict(MARKETING)},
        "notices": {"newsletter/1": dict(NEWSLETTER)},
    }
    (tmp_path / "policy.yaml").write_text(json.dumps(document), encoding="utf-8")
    row = json.dumps(act("object", channel="sms", at="2026-01-01T00:00:00Z"))
    (tmp_path / "rows.ndjson").write_text(row, encoding="utf-8")
    check = ("consent", "check", WHO, "marketing", "--channel", "email")
    with serve(tmp_path) as server:
        there = ("--url", server.url, "--key", server.key, "--json")
        run_candor(tmp_path, "consent", "apply", "policy.yaml", *there)
        run_candor(
            *(tmp_path, "consent", "record", WHO, "marketing", "grant", "--channel", "email"),
            *("--at", "2026-11-20T08:14:00Z", "--notice", "newsletter/1", *there),
        )
        imported = json.loads(run_candor(tmp_path, "consent", "import", "rows.ndjson", *there))
        assert imported["recorded"] == 1
        answer = json.loads(run_candor(tmp_path, *check, *there))
        assert (answer["allow"], answer["reason"]) == (True, "granted")
        shown = json.loads(run_candor(tmp_path, "consent", "show", WHO, *there))
        assert {one["channel"]: one["state"] for one in shown} == {
            "email": "granted",
            "sms": "objected",
        }
        beside = ended(tmp_path, *check)
        assert (beside.returncode, "--url" in beside.stderr) == (2, True)
        keyless = ended(tmp_path, *check, "--url", server.url)
        assert (keyless.returncode, "--key or CANDOR_KEY." in keyless.stderr) == (1, True)
    assert "allowed: granted" in run_candor(tmp_path, *check)
    misspelt = ended(tmp_path, "consent", "check", WHO, "marketting")
    assert (misspelt.returncode, "denied: purpose_unknown" in misspelt.stdout) == (1, True)
    assert "No purpose bears the key marketting. Apply it with: " in misspelt.stderr


def ended(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Return how a command ended that is not expected to go well."""
    return preloaded.run(arguments, folder, os.environ)
