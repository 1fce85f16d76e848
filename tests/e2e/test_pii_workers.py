"""The server with a process of its own for PII: it may die, and it ends with the server."""

import json
import os
import signal
import threading
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from tests.support.events import native_event
from tests.support.server import Server, load_what_waits, query_stores, serve

MAIL = "jane@example.org"
WORKERS = {"CANDOR_PII__WORKERS": "1"}
_TRIES = 600


def workers_of(server: Server) -> list[int]:
    """Return the processes that a server has spawned to examine texts."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_bytes()
        except (OSError, IndexError):
            continue  # it ended while it was looked at
        if parent == server.process.pid and b"spawn_main" in command:
            found.append(int(folder.name))
    return found


def wait_until_gone(pids: Sequence[int]) -> None:
    pause = threading.Event()
    for _ in range(_TRIES):
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            return
        pause.wait(0.05)
    raise AssertionError("a process outlived its server")


def send(server: Server, number: int) -> None:
    sent = native_event(number, attributes={"mail": MAIL, "n": number})
    answer = httpx.post(
        f"{server.url}/api/v1/events", json=sent, headers=server.headers, timeout=60
    )
    assert answer.json()["accepted"] == 1


@pytest.mark.crash
def test_a_process_that_dies_costs_no_event_and_lets_none_pass_unseen(tmp_path: Path) -> None:
    with serve(tmp_path, **WORKERS) as server:
        [first] = workers_of(server)
        send(server, 1)
        os.kill(first, signal.SIGTERM)  # what a supervisor sends to all of a group
        send(server, 2)
        assert workers_of(server) == [first]
        os.kill(first, signal.SIGKILL)
        send(server, 3)
        second = workers_of(server)
        assert first not in second
        found = httpx.get(f"{server.url}/metrics", headers=server.headers).text
        server.process.terminate()
        assert server.process.wait() == 0
        wait_until_gone(second)
    assert 'candor_pii_findings_total{action="mask",entity="EMAIL_ADDRESS"} 3.0' in found
    load_what_waits(tmp_path)
    rows = query_stores(tmp_path, "SELECT toJSONString(attributes) AS told FROM events")
    assert [json.loads(row["told"])["mail"] for row in rows] == ["[EMAIL_ADDRESS]"] * 3


@pytest.mark.crash
def test_no_process_outlives_a_server_that_is_killed(tmp_path: Path) -> None:
    with serve(tmp_path, **WORKERS) as server:
        workers = workers_of(server)
        assert len(workers) == 1
        server.kill()
        wait_until_gone(workers)
