"""``candor contract`` and ``candor quarantine``, on embedded stores and against a server."""

import json
from pathlib import Path

import pytest
import yaml

from tests.integration.test_commands import ROOT, candor, document
from tests.support.server import serve

EXAMPLE = str(ROOT / "examples" / "checkout-payment-contract.yaml")
EVENT = {
    "id": "e-1",
    "name": "checkout.payment",
    "schema": "checkout.payment/1-0-0",
    "time": "2026-11-22T11:00:00Z",
    "journey": "checkout",
    "instance": "c-1",
    "step": "payment",
    "outcome": "ok",
    "attributes": {"plan": "gold"},
}
PATCH = '[{"op": "replace", "path": "/attributes/plan", "value": "pro"}]'


def test_contracts_are_checked_applied_listed_and_shown(tmp_path: Path) -> None:
    assert "no contract yet" in candor("contract", "list").stderr
    [review] = document("contract", "check", EXAMPLE)
    assert (review["complete"], review["missing"], review["fault"]) == (True, [], None)
    assert candor("contract", "apply", EXAMPLE).stdout == "created: checkout.payment/1-0-0\n"
    assert document("contract", "apply", EXAMPLE)["unchanged"] == ["checkout.payment/1-0-0"]
    assert "complete" in candor("contract", "list").stdout
    assert document("contract", "show", "checkout.payment/1-0-0")["owner"] == "checkout team"
    assert "owner: checkout team" in candor("contract", "show", "checkout.payment/1-0-0").stdout
    candor("contract", "show", "checkout.payment/2-0-0", expect=1)
    candor("contract", "show", "checkout.payment", expect=2)
    candor("contract", "check")
    changed = tmp_path / "changed.yaml"
    text = Path(EXAMPLE).read_text().replace("version: 1-0-0", "version: 1-0-1")
    changed.write_text(text.replace("[free, pro, team]", "[free, pro]"))
    done = candor("contract", "check", str(changed), "--mode", "backward", expect=1)
    assert "breaks   1-0-0 backward: /attributes/plan: enum: 1 of 3" in done.stdout
    [review] = document("contract", "check", str(changed), "--mode", "forward")
    assert (review["compatible"], review["suggested_version"]) == (True, "1-1-0")
    candor("contract", "check", str(changed), "--mode", "sideways", expect=2)
    changed.write_text(Path(EXAMPLE).read_text().replace("checkout team", "another team"))
    assert "never changes" in candor("contract", "apply", str(changed), expect=1).stderr


def test_what_a_draft_leaves_open_is_said_line_by_line(tmp_path: Path) -> None:
    (tmp_path / "drafts").mkdir()
    draft = tmp_path / "drafts" / "draft.json"
    draft.write_text(json.dumps({"name": "a", "schema": {"type": "strin"}, "owner": " "}))
    done = candor("contract", "check", str(draft.parent), expect=1)
    assert "missing  owner" in done.stdout
    assert "missing  version" in done.stdout
    [review] = document("contract", "check", str(draft), expect=1)
    assert review["missing"] == [line["item"] for line in review["checklist"]]
    assert review["fault"].startswith("schema/type: ")
    candor("contract", "apply", str(draft), expect=1)
    draft.write_text('{"name": "a", "schema": 3}')
    assert "schema: " in candor("contract", "check", str(draft), expect=1).stdout
    for content in ("[1]", "{", ""):
        draft.write_text(content)
        candor("contract", "check", str(draft), expect=2)


def test_refused_events_are_listed_shown_and_replayed(tmp_path: Path) -> None:
    candor("contract", "apply", EXAMPLE)
    events, patch = tmp_path / "events.json", tmp_path / "patch.json"
    events.write_text(json.dumps(EVENT))
    patch.write_text(PATCH)
    assert "Nothing" in candor("quarantine", "list").stderr
    total = document("ingest", str(events), "--format", "native", expect=1)
    assert (total["accepted"], total["quarantined"]) == (0, 1)
    [one] = document("quarantine", "list", "--code", "schema_violation")
    assert one["path"] == "attributes.plan"
    assert "waits" in candor("quarantine", "list").stdout
    candor("quarantine", "list", "--since", "yesterday", expect=1)
    refused = candor("quarantine", "list", "--code", "nonsense", expect=2).stderr
    assert "Codes are: malformed, unknown_schema, schema_violation" in refused
    assert document("quarantine", "show", one["id"])["payload"] == EVENT
    assert "gold" in candor("quarantine", "show", one["id"]).stdout
    assert "attributes.plan" in candor("quarantine", "replay", one["id"], expect=1).stdout
    told = document("quarantine", "replay", one["id"], "--patch", str(patch))
    assert told["accepted"] == 1
    assert "there already" in candor("quarantine", "replay", one["id"]).stdout
    assert "replayed" in candor("quarantine", "list").stdout
    candor("quarantine", "show", "nothing", expect=1)
    candor("quarantine", "replay", "nothing", expect=1)
    candor("quarantine", "replay", one["id"], "--patch", str(tmp_path / "none"), expect=2)
    patch.write_text("3")
    candor("quarantine", "replay", one["id"], "--patch", str(patch), expect=2)


def test_a_running_server_is_asked_the_same_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events, patch = tmp_path / "events.json", tmp_path / "patch.json"
    events.write_text(json.dumps(EVENT))
    patch.write_text(PATCH)
    with serve(tmp_path) as server:
        monkeypatch.setenv("CANDOR_KEY", server.headers["authorization"].removeprefix("Bearer "))
        url = ("--url", server.url)
        assert document("contract", "apply", EXAMPLE, *url)["created"] == ["checkout.payment/1-0-0"]
        assert document("contract", "apply", EXAMPLE, *url)["created"] == []
        assert [one["missing"] for one in document("contract", "list", *url)] == [[]]
        candor("contract", "check", EXAMPLE, "--mode", "full", *url)
        assert document("contract", "show", "checkout.payment/1-0-0", *url)["purposes"]
        document("ingest", str(events), "--format", "native", *url, expect=1)
        [one] = document("quarantine", "list", *url)
        assert document("quarantine", "show", one["id"], *url)["payload"] == EVENT
        told = document("quarantine", "replay", one["id"], "--patch", str(patch), *url)
        assert told["accepted"] == 1
        assert "--url" in candor("quarantine", "list", cwd=tmp_path, expect=2).stderr


def test_the_example_names_purposes_that_the_example_of_purposes_has() -> None:
    contract = yaml.safe_load(Path(EXAMPLE).read_text(encoding="utf-8"))
    consent = yaml.safe_load((ROOT / "examples" / "consent.yaml").read_text(encoding="utf-8"))
    assert set(contract["purposes"]) <= set(consent["purposes"])
    applied = candor("consent", "apply", str(ROOT / "examples" / "consent.yaml"))
    assert "created: purpose analytics" in applied.stdout
