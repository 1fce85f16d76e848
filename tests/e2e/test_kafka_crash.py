"""What Kafka holds is stored once: its consumer is killed at random moments of a mixed load."""

import json
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.events import native_event
from tests.support.kafka_cluster import (
    PARTITIONS,
    KafkaCluster,
    Sent,
    kafka_cluster,
    wait_until_consumed,
)
from tests.support.server import load_what_waits, log_size, query_stores, serve, serve_until_killed

ROUNDS = 5
TOPICS = "mixed-events:native,mixed-calls:segment"
BATCH = 25
QUICK = {"CANDOR_SPOOL__SEGMENT_AGE": "PT0.05S"}
_PAUSE_SECONDS = 0.1


class Load:
    """Messages of every form, some of them bad, and what must be stored of them."""

    def __init__(self, cluster: KafkaCluster) -> None:
        self.expected: set[str] = set()
        self._cluster = cluster
        self._offsets = [0] * PARTITIONS
        self._number = 0

    def produce(self) -> None:
        """Produce one more batch for each topic."""
        events, calls = [], []
        for _ in range(BATCH):
            self._number += 1
            partition = self._number % PARTITIONS
            events.append(Sent(self._value(partition), partition))
            call = {"type": "track", "event": "Paid", "userId": "u-1", "messageId": self._id("m")}
            calls.append(Sent(json.dumps(call).encode(), partition))
        self._cluster.produce("mixed-events", events)
        self._cluster.produce("mixed-calls", calls)

    def _value(self, partition: int) -> bytes | None:
        offset = self._offsets[partition]
        self._offsets[partition] += 1
        kind = self._number % 7
        if kind == 0:
            return b"no event"
        if kind == 1:
            return None
        if kind == 2:
            self.expected.add(f"mixed-events/{partition}/{offset}")
            return b'{"name": "anonymous", "time": "2026-11-22T11:00:00Z"}'
        if kind == 3:
            pair = [native_event() | {"id": self._id(letter)} for letter in "ab"]
            return json.dumps(pair).encode()
        return json.dumps(native_event() | {"id": self._id("e")}).encode()

    def _id(self, letter: str) -> str:
        made = f"{letter}-{self._number}"
        self.expected.add(made)
        return made


@contextmanager
def under(load: Load) -> Iterator[None]:
    """Produce all through the block, but no more than the broker keeps: 5 MB in a partition."""
    stopping = threading.Event()

    def produce() -> None:
        while not stopping.wait(_PAUSE_SECONDS):
            load.produce()

    with ThreadPoolExecutor(1) as pool:
        producing = pool.submit(produce)
        try:
            yield
        finally:
            stopping.set()
        producing.result()


@pytest.mark.crash
def test_every_message_is_stored_exactly_once_after_kills_of_the_consumer(tmp_path: Path) -> None:
    with kafka_cluster() as cluster:
        load = Load(cluster)
        load.produce()
        settings = cluster.settings(TOPICS, "crash")
        for number in range(ROUNDS):
            dice = random.Random(number)
            written = log_size(tmp_path)
            quick = QUICK if number % 2 else {}
            with under(load), serve_until_killed(tmp_path, **settings, **quick) as one:
                one.wait_for_line("kafka partitions assigned", written)
                threading.Event().wait(dice.uniform(0, 1.5))
        with serve(tmp_path, **settings) as server:
            wait_until_consumed(server, 2)
    load_what_waits(tmp_path)
    stored = [row["id"] for row in query_stores(tmp_path, "SELECT id FROM events")]
    assert load.expected - set(stored) == set()
    assert set(stored) - load.expected == set()
    assert len(stored) == len(set(stored)) > 1000
