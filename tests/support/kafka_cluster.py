"""A Kafka broker in a process of its own: the one that librdkafka brings for tests of clients.

It speaks the protocol over TCP to any process, keeps messages in memory, creates topics with four
partitions when they are first written to, and lives as long as its producer.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from confluent_kafka import Producer

from tests.support.server import UNMEASURED, Server

ROOT = Path(__file__).parents[2]
PARTITIONS = 4
_TRIES = 2400
QUICK_CLIENT = json.dumps({"session.timeout.ms": 6000, "heartbeat.interval.ms": 300})


@dataclass(frozen=True, slots=True)
class Sent:
    """A message to write; values that are no text are for the tests of what cannot be read."""

    value: bytes | None
    partition: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)


class KafkaCluster:
    """One running broker."""

    def __init__(self, process: "subprocess.Popen[str]", bootstrap: str) -> None:
        self.process = process
        self.bootstrap = bootstrap

    def produce(self, topic: str, messages: Iterable[Sent]) -> None:
        """Write messages, and return when the broker has all of them."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        wanted = [
            {
                "value": None if one.value is None else one.value.decode("latin-1"),
                "partition": one.partition,
                "headers": dict(one.headers),
            }
            for one in messages
        ]
        self.process.stdin.write(json.dumps({"topic": topic, "messages": wanted}) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == f"{len(wanted)}\n"

    def settings(self, topics: str, group: str) -> dict[str, str]:
        """Return the variables of a Candor that consumes these topics."""
        return {
            "CANDOR_KAFKA__BOOTSTRAP": self.bootstrap,
            "CANDOR_KAFKA__TOPICS": topics,
            "CANDOR_KAFKA__GROUP": group,
            "CANDOR_KAFKA__PROPERTIES": QUICK_CLIENT,
        }


@contextmanager
def kafka_cluster() -> Iterator[KafkaCluster]:
    """Give a running broker; it is ended with everything in it."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.kafka_cluster"],
        cwd=ROOT,
        env=os.environ | UNMEASURED,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield KafkaCluster(process, process.stdout.readline().strip())
        finally:
            process.kill()


def wait_until_consumed(server: Server, topics: int) -> None:
    """Return when the lag of every partition of so many topics is known, and zero."""
    pause = threading.Event()
    for _ in range(_TRIES):
        lines = server.metrics().splitlines()
        lags = [line.split()[-1] for line in lines if line.startswith("candor_kafka_lag{")]
        if lags == ["0.0"] * topics * PARTITIONS:
            return
        pause.wait(0.05)
    raise AssertionError(server.log())


def main(requests: IO[str], answers: IO[str]) -> None:
    """Host the broker: print its address, then write what is asked for until the input ends."""
    producer = Producer({"bootstrap.servers": "none", "test.mock.num.brokers": 1, "log_level": 0})
    broker = next(iter(producer.list_topics(timeout=30).brokers.values()))
    print(f"{broker.host}:{broker.port}", file=answers, flush=True)
    for line in requests:
        request = json.loads(line)
        for number, message in enumerate(request["messages"]):
            value = message["value"]
            producer.produce(
                request["topic"],
                value=None if value is None else value.encode("latin-1"),
                partition=message["partition"],
                headers=message["headers"],
            )
            if number % 1000 == 0:
                producer.poll(0)
        assert producer.flush(60) == 0
        print(len(request["messages"]), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.stdin, sys.stdout)
