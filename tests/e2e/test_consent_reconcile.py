"""``candor consent reconcile`` over everybody whose identifiers are kept."""

import json
import os
from pathlib import Path

import pytest

from tests.support import preloaded
from tests.support.consent import MARKETING
from tests.support.esp import braze, esp
from tests.support.server import ROOT, run_candor, serve


def test_without_an_audience_those_are_compared_who_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = {"purposes": {"newsletter": dict(MARKETING)}}
    (tmp_path / "policy.yaml").write_text(json.dumps(policy), encoding="utf-8")
    run_candor(tmp_path, "consent", "apply", "policy.yaml")
    example = str(ROOT / "examples" / "connectors" / "braze.yaml")
    with esp(braze) as there:
        monkeypatch.setenv("BRAZE_URL", there.url)
        monkeypatch.setenv("BRAZE_API_KEY", "a key")
        monkeypatch.setenv("BRAZE_GROUP", "g-1")
        run_candor(tmp_path, "consent", "record", "user_id:a", "newsletter", "withdraw")
        told = json.loads(run_candor(tmp_path, "consent", "reconcile", example, "--json"))
        assert told["compared"] == 1
        asked = list(there.asked)
        assert asked
        with serve(tmp_path):
            done = preloaded.run(["consent", "reconcile", example], tmp_path, os.environ)
        assert (done.returncode, "--audience" in done.stderr) == (2, True)
        assert there.asked == asked
