"""What README tells a newcomer to type, typed at a real server."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.server import ROOT, serve

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def lines_of_curl() -> str:
    """Return the curl calls of every block of README, each block from its first call on."""
    blocks = BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    return "".join(one[one.index("curl ") :] for one in blocks if "curl " in one)


@pytest.mark.skipif(shutil.which("curl") is None, reason="README speaks of curl: install it")
def test_every_curl_call_of_the_readme_works_as_it_is_written(tmp_path: Path) -> None:
    (tmp_path / ".curlrc").write_text('fail-with-body\nwrite-out = "\\n"\n', encoding="utf-8")
    with serve(tmp_path) as server:
        done = subprocess.run(
            ["/bin/bash", "-eu", "-c", lines_of_curl()],
            env=os.environ | {"CURL_HOME": str(tmp_path), "URL": server.url, "KEY": server.key},
            check=False,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stdout
    answers = [json.loads(line) for line in done.stdout.splitlines() if line]
    assert [one["allow"] for one in answers if "allow" in one] == [True, True, False]
    assert "List-Unsubscribe" in done.stdout


def test_the_readme_names_no_variable_that_it_does_not_set() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    used = set(re.findall(r"\$([A-Z_]+)", "".join(BLOCK.findall(text))))
    assert {"URL", "KEY"} <= used <= set(re.findall(r"export ([A-Z_]+)=", text))
