"""``candor consent blast-radius`` and ``replay``: on the stores of a folder, and of a server."""

import json
import os
from pathlib import Path
from typing import Any

from tests.support import preloaded
from tests.support.consent import ANNA, MARKETING, NEWSLETTER
from tests.support.server import run_candor, serve

WHO = f"email:{ANNA['value']}"
NOTICE = ("--notice", "newsletter/1")


def told(folder: Path, *arguments: str) -> Any:  # noqa: ANN401 - a JSON document
    return json.loads(run_candor(folder, "consent", *arguments, "--json"))


def refused(folder: Path, *arguments: str) -> tuple[int, str]:
    done = preloaded.run(["consent", *arguments], folder, os.environ)
    return done.returncode, done.stderr


def test_the_reach_of_a_notice_is_told_beside_a_server_and_without(tmp_path: Path) -> None:
    document = {
        "purposes": {"marketing": dict(MARKETING)},
        "notices": {"newsletter/1": dict(NEWSLETTER)},
    }
    (tmp_path / "policy.yaml").write_text(json.dumps(document), encoding="utf-8")
    run_candor(tmp_path, "consent", "apply", "policy.yaml")
    at = ("--at", "2026-01-02T00:00:00Z")
    run_candor(tmp_path, "consent", "record", WHO, "marketing", "grant", *NOTICE, *at)
    assert told(tmp_path, "check", WHO, "marketing", "--channel", "email")["allow"]
    here = told(tmp_path, "blast-radius", *NOTICE)
    assert (here["uses"], here["by_channel"]) == (1, {"email": 1})
    shown = run_candor(tmp_path, "consent", "blast-radius", *NOTICE)
    assert "1 uses of 1 persons relied on them, 0 of which" in shown
    assert "channel email: 1" in shown
    (line,) = run_candor(tmp_path, "consent", "blast-radius", *NOTICE, "--persons").splitlines()
    assert json.loads(line)["uses"] == 1
    assert told(tmp_path, "replay")["replayed"] == 1
    assert refused(tmp_path, "blast-radius")[0] == 1
    code, sentence = refused(tmp_path, "replay", "--since", "noon")
    assert (code, sentence[:12]) == (2, "since: Write")
    with serve(tmp_path) as server:
        there = ("--url", server.url, "--key", server.key)
        again = told(tmp_path, "blast-radius", *NOTICE, *there)
        assert again | {"until": ""} == here | {"until": ""}
        listed = run_candor(tmp_path, "consent", "blast-radius", *NOTICE, "--persons", *there)
        assert listed.splitlines() == [line]
        assert "1 decisions made again, 0 differ" in run_candor(
            tmp_path, "consent", "replay", *there
        )
        code, sentence = refused(tmp_path, "blast-radius", "--persons", *there)
        assert (code, "name a notice" in sentence) == (1, True)
        assert "--url" in refused(tmp_path, "replay")[1]
