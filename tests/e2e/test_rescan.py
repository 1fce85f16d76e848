"""What an installation stored before it masked anything is found, and no byte of it stays."""

import json
import threading
from pathlib import Path

import httpx
import pytest

from tests.support.events import native_event
from tests.support.server import load_what_waits, run_candor, serve

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


@pytest.mark.crash
def test_no_byte_of_what_was_rewritten_stays(tmp_path: Path) -> None:
    send(tmp_path)
    load_what_waits(tmp_path)
    assert {Path(one).name for one in holders(tmp_path)} == {"data.bin"}
    seen = json.loads(run_candor(tmp_path, "pii", "rescan", "--json"))
    assert sum(one["changing"] for one in seen["tables"]) == 2
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
