"""What was acknowledged survives: the server is killed at random moments, twenty times over."""

import hashlib
import json
import os
import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from candor.kernel.services import Services
from collector.assembly import open_collector
from collector.receivers.decoding import Reception
from collector.receivers.native import decode_native
from tests.support.events import native_event
from tests.support.server import Server, query_stores, run_candor, serve

ROUNDS = 20
SENDERS_OF_A_DOOR = 1
RUM = "/v1/rum"
ORIGIN = "https://shop.example.org"
BATCH = 20


@dataclass(frozen=True)
class Load:
    """What one door is sent: where, the body of a batch of names, and how a name is stored."""

    path: str
    body: Callable[[Sequence[str]], Any]
    stored: Callable[[str], str]
    content_type: str = "application/json"


def native_body(names: Sequence[str]) -> list[dict[str, Any]]:
    return [native_event() | {"id": name} for name in names]


def segment_body(names: Sequence[str]) -> dict[str, Any]:
    calls = [{"type": "track", "event": "Paid", "messageId": one, "userId": "1"} for one in names]
    return {"batch": calls}


def traces_body(names: Sequence[str]) -> dict[str, Any]:
    spans = [{"traceId": trace_of(name), "spanId": "0" * 15 + "1", "name": "x"} for name in names]
    return {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}


def cloudevents_body(names: Sequence[str]) -> list[dict[str, Any]]:
    shared = {"specversion": "1.0", "source": "shop", "type": "paid"}
    return [shared | {"id": name} for name in names]


def logs_body(names: Sequence[str]) -> dict[str, Any]:
    records = [{"timeUnixNano": "1", "body": {"stringValue": name}} for name in names]
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}


def metrics_body(names: Sequence[str]) -> dict[str, Any]:
    point = {"timeUnixNano": "1", "asDouble": 1.5}
    metrics = [{"name": name, "gauge": {"dataPoints": [point]}} for name in names]
    return {"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}


def vitals_body(names: Sequence[str]) -> list[dict[str, Any]]:
    shared = {"type": "vital", "name": "CLS", "value": 0.1, "delta": 0.1, "page": "/"}
    return [shared | {"id": name} for name in names]


def trace_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]


LOADS = (
    Load("/api/v1/events", native_body, lambda name: f"native:{name}"),
    Load("/v1/batch", segment_body, lambda name: f"segment:{name}"),
    Load(
        "/v1/events",
        cloudevents_body,
        lambda name: f"cloudevents:shop {name}",
        "application/cloudevents-batch+json",
    ),
    Load("/v1/traces", traces_body, lambda name: f"span:{trace_of(name)}"),
    Load("/v1/logs", logs_body, lambda name: f"log:{name}"),
    Load("/v1/metrics", metrics_body, lambda name: f"metric:{name}"),
    Load(RUM, vitals_body, lambda name: f"vital:{name}"),
)


def send_until_dead(
    server: Server, load: Load, page_key: str, prefix: str, acknowledged: set[str]
) -> None:
    """Send batches until the connection breaks; note what was acknowledged, as it is stored."""
    headers = server.headers | {"content-type": load.content_type, "origin": ORIGIN}
    query = {"key": page_key} if load.path == RUM else {}
    with httpx.Client(headers=headers, params=query, timeout=30) as client:
        for batch in range(10_000):
            names = [f"{prefix}-{batch}-{n}" for n in range(BATCH)]
            try:
                answer = client.post(server.url + load.path, json=load.body(names))
            except httpx.TransportError:
                return
            if answer.status_code == 200:
                assert answer.json().get("accepted", BATCH) == BATCH
                acknowledged.update(map(load.stored, names))


@pytest.mark.crash
def test_every_acknowledged_event_of_every_door_is_stored_exactly_once_after_twenty_kills(
    tmp_path: Path,
) -> None:
    acknowledged: set[str] = set()
    page_key = key_of_a_page(tmp_path)
    for number in range(ROUNDS):
        dice = random.Random(number)
        age = dice.choice(["PT0.02S", "PT0.1S", "PT1S"])
        with (
            serve(tmp_path, CANDOR_SPOOL__SEGMENT_AGE=age) as server,
            ThreadPoolExecutor(SENDERS_OF_A_DOOR * len(LOADS)) as pool,
        ):
            sending = [
                pool.submit(
                    send_until_dead, server, load, page_key, f"{number}-{sender}", acknowledged
                )
                for load in LOADS
                for sender in range(SENDERS_OF_A_DOOR)
            ]
            threading.Event().wait(dice.uniform(0.1, 0.7))
            server.kill()
        for one in sending:
            one.result()
        tear_a_tail(tmp_path, dice)
    with serve(tmp_path) as server:
        again = sorted(name for name in acknowledged if name.startswith("native:"))[:BATCH]
        body = native_body([name.removeprefix("native:") for name in again])
        told = httpx.post(f"{server.url}/api/v1/events", json=body, headers=server.headers).json()
        assert told["deduplicated"] == BATCH
    stored = [row["identity"] for row in query_stores(tmp_path, IDENTITIES)]
    doors = {name.partition(":")[0] for name in acknowledged}
    assert doors == {"native", "segment", "cloudevents", "span", "log", "metric", "vital"}
    assert len(acknowledged) > 20 * BATCH
    assert acknowledged - set(stored) == set()
    assert len(stored) == len(set(stored))
    (counted,) = query_stores(tmp_path, COUNTED_TWICE)
    assert counted["rolled_up"] == counted["events"]


IDENTITIES = """
SELECT concat(door, ':', id) AS identity FROM events
UNION ALL SELECT concat('span:', TraceId) FROM otel_traces
UNION ALL SELECT concat('log:', Body) FROM otel_logs
UNION ALL SELECT concat('metric:', MetricName) FROM otel_metrics_gauge
UNION ALL SELECT concat('vital:', id) FROM vitals
"""
COUNTED_TWICE = """
SELECT toUInt64((SELECT count() FROM events)) AS events,
  toUInt64((SELECT sum(events) FROM events_by_minute)) AS rolled_up
"""


def key_of_a_page(folder: Path) -> str:
    made = run_candor(
        *(folder, "keys", "create", "page", "--scope", "ingest:public", "--origin", ORIGIN),
        *("--per-minute", "1000000", "--json"),
    )
    key: str = json.loads(made)["key"]
    return key


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


@pytest.mark.crash
def test_a_record_that_went_bad_between_two_starts_costs_no_other(tmp_path: Path) -> None:
    with serve(tmp_path, CANDOR_SPOOL__SEGMENT_AGE="PT1H") as server:
        for number in range(5):
            body = native_event(number)
            told = httpx.post(f"{server.url}/api/v1/events", json=body, headers=server.headers)
            assert told.json()["accepted"] == 1
        server.kill()
    folder = tmp_path / ".candor" / "spool"
    (path,) = folder.glob("*.open")
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"e-2"', b'"e-?"'))
    with serve(tmp_path) as server:
        metrics = httpx.get(f"{server.url}/metrics").text
        again = [native_event(number) for number in range(5)]
        told = httpx.post(f"{server.url}/api/v1/events", json=again, headers=server.headers)
        assert (told.json()["accepted"], told.json()["deduplicated"]) == (1, 4)
    assert "candor_spool_records_corrupt 1.0" in metrics
    assert path.stem.removesuffix("-events") in server.log()
    (kept,) = folder.glob("*.corrupt")
    assert b'"e-?"' in kept.read_bytes()
    stored = query_stores(tmp_path, "SELECT id FROM events ORDER BY id")
    assert [row["id"] for row in stored] == [f"e-{number}" for number in range(5)]


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
