"""``candor checks`` against a real shop."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.test_commands import ROOT, candor, document
from tests.support.shop import CANARY, Shop, open_shop

EXAMPLE = ROOT / "examples" / "shop-checks.yaml"


def search(shop: Shop, **expect: Any) -> str:  # noqa: ANN401 - any YAML
    step = {"name": "ask", "request": {"url": f"{shop.url}/search"}, "expect": expect}
    path = Path("search.yaml")
    path.write_text(
        yaml.safe_dump({"checks": [{"name": "search", "every": "1s", "steps": [step]}]})
    )
    return str(path)


def test_the_example_is_valid_and_says_which_variable_it_needs() -> None:
    assert candor("checks", "validate", str(EXAMPLE)).stderr.strip() == "Valid."
    assert document("checks", "validate", str(EXAMPLE)) == []
    refused = candor("checks", "run", str(EXAMPLE), "--once", expect=1)
    assert "SHOP_PASSWORD" in refused.stderr


def test_a_fault_is_named_by_file_line_path_and_rule(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("checks:\n- name: a b\n  steps: [{name: s, request: {url: 'http://x'}}]\n")
    done = candor("checks", "validate", str(path), expect=1)
    assert done.stdout.startswith(f"{path}:2: checks[0].name: format: ")
    (fault,) = document("checks", "validate", str(path), expect=1)
    assert (fault["line"], fault["path"], fault["rule"]) == (2, "checks[0].name", "format")
    assert ":2: checks[0].name" in candor("checks", "run", str(path), "--once", expect=1).stderr
    candor("checks", "validate", str(tmp_path / "none.yaml"), expect=2)


def test_check_says_what_is_wrong_with_the_checks_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANDOR_CHECKS__FILES", f"{EXAMPLE},{tmp_path / 'none.yaml'}")
    (complaint,) = document("check", expect=1)["complaints"]
    assert "CANDOR_CHECKS__FILES" in complaint


@pytest.mark.parametrize(
    ("expect", "code", "reason"),
    [({}, 0, None), ({"contains": "Exchanges"}, 1, "assertion:contains")],
)
def test_checks_run_once_and_the_exit_code_is_their_outcome(
    expect: dict[str, str], code: int, reason: str | None
) -> None:
    with open_shop() as shop:
        path = search(shop, **expect)
        (found,) = document("checks", "run", path, "--once", expect=code)
        told = candor("checks", "run", path, "--once", expect=code).stdout
    assert (found["check"], found["reason"]) == ("search", reason)
    assert found["step"] == ("ask" if code else None)
    (step,) = found["steps"]
    assert (step["status"], step["reason"]) == (200, reason)
    assert 0 < step["first_byte_ms"] <= step["duration_ms"]
    assert told.startswith("error  search" if code else "ok     search")
    assert CANARY not in told + json.dumps(found)


def test_checks_keep_to_their_schedule_until_interrupted() -> None:
    with (
        open_shop() as shop,
        subprocess.Popen(
            [sys.executable, "-m", "candor", "checks", "run", search(shop), "--json"],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        ) as process,
    ):
        assert process.stdout is not None
        runs = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
    assert [run["outcome"] for run in runs] == ["ok", "ok"]
    assert runs[0]["time"] < runs[1]["time"]
