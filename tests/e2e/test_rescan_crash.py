"""A rewrite of the past survives kills, also in the midst of the engine's own move of parts."""

import random
import re
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.support.events import native_event
from tests.support.server import ROOT, load_what_waits, query_stores, serve

EVENTS = 240
MONTHS = ("2026-10-22T11:00:00Z", "2026-11-22T11:00:00Z")
ENVIRONMENT = {"PYTHONPATH": str(ROOT)}
RESCAN = """
from candor.kernel.database import session_of
from candor.kernel.settings import load_settings
from candor.wiring import open_protected
from privacy.pii.jobs import jobs
from privacy.pii.rescan_report import Wanted
from privacy.pii.rescan_requests import list_rescans, request_rescan
with open_protected(load_settings()) as (services, pii):
    (job,) = jobs(pii)
    with session_of(services.engine) as session:
        if not list_rescans(session, 1):
            wanted = Wanted(applies=True)
            request_rescan(session, wanted, reason="1", author="test", at=services.clock())
    job.run(services)
"""
"""The job of re-scans without its lease, which would have the next process wait for a minute."""


def send(folder: Path) -> None:
    """Store events of two months, a third of them with a person, masked by nobody."""
    events = [
        native_event(
            id=f"event-{number}",
            time=MONTHS[number % 2],
            name=f"mail canary.{number % 7}@example.org" if number % 3 == 0 else "mail sent",
            attributes={"to": f"canary.{number}@example.org"} if number % 3 == 0 else {},
        )
        for number in range(EVENTS)
    ]
    with serve(folder, CANDOR_PII__ENABLED="false") as server:
        answer = httpx.post(f"{server.url}/api/v1/events", json=events, headers=server.headers)
        assert answer.json()["accepted"] == EVENTS
    load_what_waits(folder)


def folders(folder: Path) -> dict[str, Path]:
    """Return where the engine keeps the parts of each table."""
    telemetry = folder / ".candor" / "telemetry"
    found = {}
    for described in telemetry.glob("metadata/*/*.sql"):
        named = re.search(r"UUID '((\w{3})[\w-]+)'", described.read_text(encoding="utf-8"))
        if named is not None:
            found[described.stem] = telemetry / "store" / named[2] / named[1]
    return found


def moving(home: Path, since_ns: int) -> bool:
    """Whether the engine has parts half way into a table, begun since an instant."""
    with suppress(FileNotFoundError):  # they leave while one looks
        return any(one.stat().st_mtime_ns >= since_ns for one in home.glob("tmp_move_from_*"))
    return True


def kill_in_move(folder: Path, home: Path, seed: int) -> bool:
    """Run a re-scan and kill it while rows move into a table; false if it ended before.

    Even seeds kill when rows have arrived, odd ones while they do.
    """
    marker = folder / "began"
    marker.touch()
    since_ns = marker.stat().st_mtime_ns
    with subprocess.Popen(
        [sys.executable, "-c", RESCAN],
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while process.poll() is None and not moving(home, since_ns):
            pass
        if seed % 2:
            threading.Event().wait(random.Random(seed).uniform(0, 0.005))
        while seed % 2 == 0 and process.poll() is None and moving(home, since_ns):
            pass
        was_running = process.poll() is None
        process.kill()
    return was_running


def told(folder: Path) -> dict[str, int]:
    """Return what must be the same after a rewrite, and how many rows still tell of a person."""
    (row,) = query_stores(
        folder,
        "SELECT (SELECT count() FROM events) AS events, (SELECT uniqExact(id) FROM events) AS ids,"
        " (SELECT sum(events) FROM events_by_minute) AS by_minute,"
        " (SELECT sum(events) FROM events_by_hour) AS by_hour,"
        " (SELECT countIf(toString(tuple(*)) LIKE '%canary%') FROM events)"
        " + (SELECT countIf(name LIKE '%canary%') FROM events_by_minute)"
        " + (SELECT countIf(name LIKE '%canary%') FROM events_by_hour) AS clear",
    )
    return row


@pytest.mark.crash
def test_a_rewrite_that_is_killed_while_rows_move_has_each_row_once_and_none_in_clear(
    tmp_path: Path,
) -> None:
    send(tmp_path)
    before = told(tmp_path)
    homes = folders(tmp_path)
    tables = ("events", "events", "events_by_minute", "events_by_hour")
    killed = [kill_in_move(tmp_path, homes[one], seed) for seed, one in enumerate(tables)]
    assert sum(killed) >= 2
    subprocess.run([sys.executable, "-c", RESCAN], cwd=tmp_path, env=ENVIRONMENT, check=True)
    assert told(tmp_path) == before | {"clear": 0}
