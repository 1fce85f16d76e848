"""What an installation stored before it masked anything is found, and no byte of it stays."""

import json
import os
import pty
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.support.events import native_event
from tests.support.server import ROOT, load_what_waits, run_candor, serve

MAIL, OTHER = "canary.4711@example.org", "canary.4712@example.org"
_SECONDS = 240


def holders(folder: Path) -> list[str]:
    """Return the files in which a canary stands."""
    return [
        str(path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and b"canary.471" in path.read_bytes()
    ]


def send(folder: Path) -> None:
    """Store an event and a log record of two people, masked by nobody."""
    event = native_event(instance=MAIL, attributes={"email": MAIL})
    body = {"stringValue": f"mail to {OTHER} bounced"}
    records = [{"timeUnixNano": "1763809200000000000", "body": body}]
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}
    with serve(folder, CANDOR_PII__ENABLED="false") as server:
        for path, document in (("/api/v1/events", event), ("/v1/logs", logs)):
            answer = httpx.post(server.url + path, json=document, headers=server.headers)
            answer.raise_for_status()


def watched(folder: Path, *arguments: str) -> str:
    """Return what a person at a terminal sees of a command that exits 1."""
    terminal, end = pty.openpty()
    with os.fdopen(terminal, "rb") as screen:
        process = subprocess.Popen(
            [sys.executable, "-m", "candor", *arguments],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=end,
            stderr=end,
        )
        os.close(end)
        seen = b""
        with suppress(OSError):  # how Linux says that nobody writes to a terminal any more
            while part := screen.read1():
                seen += part
        assert process.wait() == 1
    return seen.decode()


@pytest.mark.crash
def test_no_byte_of_what_was_rewritten_stays(tmp_path: Path) -> None:
    send(tmp_path)
    load_what_waits(tmp_path)
    assert {Path(one).name for one in holders(tmp_path)} == {"data.bin"}
    seen = json.loads(run_candor(tmp_path, "pii", "rescan", "--json"))
    assert sum(one["changing"] for one in seen["tables"]) == 2
    shown = watched(tmp_path, "pii", "rescan", "--table", "events", "--full", "--strict")
    assert "attributes.email  EMAIL_ADDRESS  1 rows (100.00%)" in shown
    assert "1 of them would change with --apply --reason WHY." in shown
    made = run_candor(tmp_path, "pii", "rescan", "--apply", "--reason", "case 4711", "--json")
    assert sum(one["rewritten"] for one in json.loads(made)["tables"]) == 2
    with serve(tmp_path) as server:
        address = ("--url", server.url, "--key", server.key)
        shown = json.loads(run_candor(tmp_path, "pii", "rescan", *address, "--full", "--json"))
        assert [one["places"] for one in shown["tables"] if one["places"]] == []
        pause = threading.Event()
        for _ in range(_SECONDS):
            if not holders(tmp_path):
                break
            pause.wait(1)
    assert holders(tmp_path) == []
