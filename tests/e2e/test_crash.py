"""What was acknowledged survives: the server is killed at random moments, twenty times over.

The load is mixed: seven doors of HTTP, the three services of gRPC, and the consumer of Kafka.
"""

import hashlib
import json
import os
import random
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from candor.kernel.services import Services
from collector.assembly import open_collector
from collector.receivers.decoding import Reception
from collector.receivers.native import decode_native
from collector.receivers.otlp_json import read_json
from tests.support.events import native_event
from tests.support.kafka_cluster import (
    PARTITIONS,
    KafkaCluster,
    Sent,
    kafka_cluster,
    wait_until_consumed,
)
from tests.support.server import (
    Server,
    load_what_waits,
    log_size,
    query_stores,
    run_candor,
    serve,
    serve_until_killed,
)

ROUNDS = 20
TOPIC = "crash-events"
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
OTLP = {load.path: load for load in LOADS}
SERVICES: Sequence[tuple[Any, type[Message], Load]] = (
    (TraceServiceStub, ExportTraceServiceRequest, OTLP["/v1/traces"]),
    (LogsServiceStub, ExportLogsServiceRequest, OTLP["/v1/logs"]),
    (MetricsServiceStub, ExportMetricsServiceRequest, OTLP["/v1/metrics"]),
)


class Acknowledged:
    """What each door has acknowledged, as it is stored."""

    def __init__(self) -> None:
        self.by_door: dict[str, set[str]] = {}

    def note(self, door: str, names: Iterable[str]) -> None:
        self.by_door.setdefault(door, set()).update(names)

    def everything(self) -> set[str]:
        return set().union(*self.by_door.values())


def send_until_dead(
    server: Server, load: Load, page_key: str, prefix: str, acknowledged: Acknowledged
) -> None:
    """Send batches until the connection breaks, and note what was acknowledged."""
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
                acknowledged.note(load.path, map(load.stored, names))


def send_grpc_until_dead(server: Server, prefix: str, acknowledged: Acknowledged) -> None:
    """Send requests of the three signals in turn until the server is gone, and note likewise."""
    metadata = (("authorization", f"Bearer {server.key}"),)
    with grpc.insecure_channel(server.grpc) as channel:
        calls = [stub(channel).Export for stub, _, _ in SERVICES]
        for batch in range(10_000):
            names = [f"{prefix}-grpc-{batch}-{n}" for n in range(BATCH)]
            turn = batch % len(SERVICES)
            _, request, load = SERVICES[turn]
            message = read_json(json.dumps(load.body(names)).encode(), request)
            try:
                calls[turn](message, metadata=metadata, timeout=30)
            except grpc.RpcError:
                if server.process.poll() is not None:
                    return
            else:
                acknowledged.note("gRPC" + load.path, map(load.stored, names))


class Messages:
    """What Kafka is given; all of it counts as acknowledged, for Kafka keeps it."""

    def __init__(self, cluster: KafkaCluster, acknowledged: Acknowledged) -> None:
        self._cluster = cluster
        self._acknowledged = acknowledged
        self._number = 0

    def settings(self) -> dict[str, str]:
        return self._cluster.settings(f"{TOPIC}:native", "mixed")

    def produce_until(self, stopping: threading.Event) -> None:
        while not stopping.wait(0.1):
            self.produce()

    def produce(self) -> None:
        names = [f"kafka-{self._number}-{n}" for n in range(BATCH)]
        self._number += 1
        shared = {"name": "paid", "time": "2026-11-22T11:00:00Z"}
        values = [json.dumps(shared | {"id": name}).encode() for name in names]
        sent = [Sent(value, n % PARTITIONS) for n, value in enumerate(values)]
        self._cluster.produce(TOPIC, sent)
        self._acknowledged.note("Kafka", [f"native:{name}" for name in names])


def run_a_round(
    folder: Path, number: int, page_key: str, messages: Messages, acknowledged: Acknowledged
) -> None:
    """Kill the server at a random moment; of every fourth, its consumer reads by then for sure.

    A group gives partitions to another only seconds after a member was killed.
    """
    dice = random.Random(number)
    age = dice.choice(["PT0.02S", "PT0.1S", "PT1S"])
    written, stopping = log_size(folder), threading.Event()
    with (
        serve_until_killed(folder, CANDOR_SPOOL__SEGMENT_AGE=age, **messages.settings()) as server,
        ThreadPoolExecutor(len(LOADS) + 2) as pool,
    ):
        sending = [pool.submit(messages.produce_until, stopping)]
        try:
            if number % 4 == 0:
                server.wait_for_line("kafka partitions assigned", written)
            sending += [
                pool.submit(send_until_dead, server, load, page_key, str(number), acknowledged)
                for load in LOADS
            ]
            sending.append(pool.submit(send_grpc_until_dead, server, str(number), acknowledged))
            threading.Event().wait(dice.uniform(0.1, 0.7))
        finally:
            server.kill()
            stopping.set()
    for one in sending:
        one.result()
    tear_a_tail(folder, dice)


@pytest.mark.crash
def test_every_acknowledged_event_of_every_door_is_stored_exactly_once_after_twenty_kills(
    tmp_path: Path,
) -> None:
    acknowledged = Acknowledged()
    page_key = key_of_a_page(tmp_path)
    with kafka_cluster() as cluster:
        messages = Messages(cluster, acknowledged)
        messages.produce()
        for number in range(ROUNDS):
            run_a_round(tmp_path, number, page_key, messages, acknowledged)
        with serve(tmp_path, **messages.settings()) as server:
            wait_until_consumed(server, 1)
            again = sorted(acknowledged.by_door["/api/v1/events"])[:BATCH]
            body = native_body([name.removeprefix("native:") for name in again])
            told = httpx.post(f"{server.url}/api/v1/events", json=body, headers=server.headers)
            assert told.json()["deduplicated"] == BATCH
    load_what_waits(tmp_path)
    grpc_doors = {f"gRPC/v1/{signal}" for signal in ("traces", "logs", "metrics")}
    assert set(acknowledged.by_door) == {load.path for load in LOADS} | grpc_doors | {"Kafka"}
    stored = [row["identity"] for row in query_stores(tmp_path, IDENTITIES)]
    assert len(acknowledged.everything()) > 20 * BATCH
    assert acknowledged.everything() - set(stored) == set()
    assert len(stored) == len(set(stored))
    (counted,) = query_stores(tmp_path, COUNTED_TWICE)
    assert counted["by_minute"] == counted["by_hour"] == counted["events"]


IDENTITIES = """
SELECT concat(door, ':', id) AS identity FROM events
UNION ALL SELECT concat('span:', TraceId) FROM otel_traces
UNION ALL SELECT concat('log:', Body) FROM otel_logs
UNION ALL SELECT concat('metric:', MetricName) FROM otel_metrics_gauge
UNION ALL SELECT concat('vital:', id) FROM vitals
"""
COUNTED_TWICE = """
SELECT toUInt64((SELECT count() FROM events)) AS events,
  toUInt64((SELECT sum(events) FROM events_by_minute)) AS by_minute,
  toUInt64((SELECT sum(events) FROM events_by_hour)) AS by_hour
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
    with serve_until_killed(tmp_path, CANDOR_SPOOL__SEGMENT_AGE="PT1H") as server:
        for number in range(5):
            body = native_event(number)
            told = httpx.post(f"{server.url}/api/v1/events", json=body, headers=server.headers)
            assert told.json()["accepted"] == 1
    folder = tmp_path / ".candor" / "spool"
    (path,) = folder.glob("*.open")
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"e-2"', b'"e-?"'))
    with serve(tmp_path) as server:
        metrics = server.metrics()
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
    with serve_until_killed(tmp_path) as server:
        bad = [native_event(number, outcome="splendid") for number in range(20)]
        told = httpx.post(f"{server.url}/api/v1/events", json=bad, headers=server.headers).json()
    ids = [one["quarantine_id"] for one in told["rejected"]]
    assert told["quarantined"] == len(set(ids)) == 20
    with serve_until_killed(tmp_path) as server:
        patch = [{"op": "replace", "path": "/outcome", "value": "ok"}]
        body = {"ids": ids, "patch": patch}
        answer = httpx.post(
            replay_url(server), json=body, headers=server.headers, timeout=60
        ).json()
        assert (answer["accepted"], answer["rejected"]) == (20, [])
    with serve(tmp_path) as server:
        again = httpx.post(replay_url(server), json=body, headers=server.headers, timeout=60)
        assert again.json()["deduplicated"] == 20
    stored = [row["id"] for row in query_stores(tmp_path, "SELECT id FROM events")]
    assert sorted(stored) == sorted(one["id"] for one in bad)
