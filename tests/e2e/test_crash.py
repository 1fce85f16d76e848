"""What was acknowledged survives: the server is killed at a random moment, ten times over."""

import json
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from candor.kernel.services import Services
from collector.assembly import open_collector
from collector.receivers.decoding import Reception
from collector.receivers.native import decode_native
from tests.support.events import native_event
from tests.support.server import Server, query_stores, serve

ROUNDS = 10
SENDERS = 4


def send_until_dead(server: Server, sender: int, round_number: int, acknowledged: set[str]) -> None:
    """Send batches until the connection breaks; note the ids of those that were acknowledged."""
    with httpx.Client(headers=server.headers, timeout=30) as client:
        for batch in range(10_000):
            ids = [f"{round_number}-{sender}-{batch}-{n}" for n in range(20)]
            events = [native_event() | {"id": one} for one in ids]
            try:
                answer = client.post(f"{server.url}/api/v1/events", json=events)
            except httpx.TransportError:
                return
            if answer.status_code == 200:
                assert answer.json()["accepted"] == 20
                acknowledged.update(ids)


@pytest.mark.crash
def test_every_acknowledged_event_is_stored_exactly_once_after_ten_kills(tmp_path: Path) -> None:
    acknowledged: set[str] = set()
    quick = {"CANDOR_SPOOL__SEGMENT_AGE": "PT0.05S"}
    for number in range(ROUNDS):
        dice = random.Random(number)
        with (
            serve(tmp_path, **(quick if number % 2 else {})) as server,
            ThreadPoolExecutor(SENDERS) as pool,
        ):
            for sender in range(SENDERS):
                pool.submit(send_until_dead, server, sender, number, acknowledged)
            threading.Event().wait(dice.uniform(0.1, 0.8))
            server.kill()
        tear_a_tail(tmp_path, dice)
    with serve(tmp_path) as server:
        again = [native_event() | {"id": one} for one in sorted(acknowledged)[:20]]
        told = httpx.post(f"{server.url}/api/v1/events", json=again, headers=server.headers).json()
        assert told["deduplicated"] == 20
    stored = [row["id"] for row in query_stores(tmp_path, "SELECT id FROM events")]
    assert len(acknowledged) > 100
    assert acknowledged - set(stored) == set()
    assert len(stored) == len(set(stored))


def tear_a_tail(folder: Path, dice: random.Random) -> None:
    """Append part of a record to the open segment, as a write that the crash cut short would."""
    for path in (folder / ".candor" / "spool").glob("*.open"):
        with path.open("ab") as file:
            file.write(dice.randbytes(dice.randrange(1, 40)))
            os.fsync(file.fileno())


@pytest.mark.crash
def test_a_segment_that_was_inserted_but_not_removed_is_stored_once(services: Services) -> None:
    with open_collector(services) as collector:
        body = json.dumps([native_event(number) for number in range(50)]).encode()
        reception = Reception(services.clock(), services.settings.limits, services.secrets)
        collector.intake.submit(decode_native(body, "application/json", reception)).wait()
        kept = {path: path.read_bytes() for path in services.settings.spool_dir.iterdir()}
    for path, content in kept.items():
        path.with_suffix(".sealed").write_bytes(content)
    with open_collector(services):
        counted = services.telemetry.query("SELECT count() AS n FROM events")
        assert counted == [{"n": 50}]
        assert list(services.settings.spool_dir.iterdir()) == []


def replay_url(server: Server) -> str:
    return f"{server.url}/api/v1/quarantine/replay"


@pytest.mark.crash
def test_what_was_refused_survives_a_kill_and_is_replayed_after_it(tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        bad = [native_event(number, outcome="splendid") for number in range(20)]
        told = httpx.post(f"{server.url}/api/v1/events", json=bad, headers=server.headers).json()
        server.kill()
    ids = [one["quarantine_id"] for one in told["rejected"]]
    assert told["quarantined"] == len(set(ids)) == 20
    with serve(tmp_path) as server:
        patch = [{"op": "replace", "path": "/outcome", "value": "ok"}]
        body = {"ids": ids, "patch": patch}
        answer = httpx.post(
            replay_url(server), json=body, headers=server.headers, timeout=60
        ).json()
        assert (answer["accepted"], answer["rejected"]) == (20, [])
        server.kill()
    with serve(tmp_path) as server:
        again = httpx.post(replay_url(server), json=body, headers=server.headers, timeout=60)
        assert again.json()["deduplicated"] == 20
    stored = [row["id"] for row in query_stores(tmp_path, "SELECT id FROM events")]
    assert sorted(stored) == sorted(one["id"] for one in bad)
