"""Changes of consent on their way to Kafka, against a real broker protocol."""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from sqlalchemy import Engine

from candor.kernel.database import session_of
from candor.kernel.errors import InvalidInputError, UnavailableError
from candor.kernel.telemetry_store import TelemetryStore
from privacy.propagation import register
from privacy.propagation.kafka import open_producer
from privacy.propagation.register import Wanted
from privacy.propagation.subscriber import Subscriber
from tests.integration.test_propagation import Installation
from tests.support.kafka_cluster import PARTITIONS, KafkaCluster, kafka_cluster
from tests.support.receiver import receiver
from tests.support.stores import FixedClock, services_on


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaCluster]:
    with kafka_cluster() as running:
        yield running


@pytest.fixture
def installed(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> Iterator[Installation]:
    with receiver() as target:
        yield Installation(services_on(tmp_path, sqlite, embedded_telemetry, clock), target)


def subscribe(installed: Installation, bootstrap: str, topic: str, **properties: Any) -> None:  # noqa: ANN401 - of librdkafka
    definition: dict[str, Any] = {
        "kafka": {"bootstrap": bootstrap, "topic": topic},
        "purposes": [],
        "channels": [],
        "identifiers": [],
        "paused": False,
    }
    with session_of(installed.services.engine) as session:
        wanted = [Wanted("crm", definition, None, properties)]
        register.put_all(session, installed.key, wanted, installed.now, "test")


def consumed(cluster: KafkaCluster, topic: str, count: int) -> list[Any]:
    consumer = Consumer(
        {
            "bootstrap.servers": cluster.bootstrap,
            "group.id": "test",
            "log_level": 0,
        }
    )
    consumer.assign([TopicPartition(topic, one, 0) for one in range(PARTITIONS)])
    found: list[Any] = []
    try:
        for _ in range(300):
            found += [one for one in consumer.consume(100, 0.1) if one.error() is None]
            if len(found) >= count:
                break
    finally:
        consumer.close()
    return found


def test_changes_are_written_in_order_under_the_person(
    installed: Installation, cluster: KafkaCluster
) -> None:
    subscribe(installed, cluster.bootstrap, "changes")
    acts = defaultdict(list)
    for number in range(40):
        acts[f"p{number % 7}"].append(installed.act(f"p{number % 7}"))
    installed.propagate()
    assert installed.stands() == (0, 0)
    messages = consumed(cluster, "changes", 40)
    told = defaultdict(list)
    partitions = defaultdict(set)
    for message in messages:
        event = json.loads(message.value())
        told[event["subject"]].append(event["id"])
        partitions[event["subject"]].add(message.partition())
        assert message.key().decode() == event["subject"]
        assert dict(message.headers())["content-type"].startswith(b"application/cloudevents+json")
    assert told == acts
    assert {len(one) for one in partitions.values()} == {1}
    installed.propagate(seconds=5)
    assert installed.metric("delivered") == 40


def test_a_broker_that_is_away_keeps_everything_waiting(
    installed: Installation, cluster: KafkaCluster
) -> None:
    quick = {"message.timeout.ms": 300, "socket.timeout.ms": 300}
    subscribe(installed, "127.0.0.1:9", "later", **quick)
    ids = [installed.act("a"), installed.act("a", "object")]
    installed.propagate()
    assert installed.stands() == (1, 0)
    subscribe(installed, cluster.bootstrap, "later")
    installed.propagate(minutes=1)
    assert installed.stands() == (0, 0)
    told = [json.loads(one.value())["id"] for one in consumed(cluster, "later", 2)]
    assert told == ids


def test_a_message_that_is_too_large_is_told_by_its_own_fault(cluster: KafkaCluster) -> None:
    small = Subscriber(
        "crm", "kafka", cluster.bootstrap, "small", properties={"message.max.bytes": 1000}
    )
    with open_producer(small) as target:
        lanes = [[{"subject": "a", "x": "x" * 2000}, {"subject": "a"}], [{"subject": "b"}], []]
        first, second, third = target.send(lanes)
    assert first.fault is not None
    assert (first.taken, first.fault.told) == (0, "MSG_SIZE_TOO_LARGE")
    assert not first.fault.blames_receiver
    assert (second.taken, second.fault) == (1, None)
    assert (third.taken, third.fault) == (0, None)


def test_properties_that_the_client_refuses_are_told_of(installed: Installation) -> None:
    wrong = Subscriber("crm", "kafka", "b:9092", "t", properties={"compression.type": "none such"})
    with pytest.raises(InvalidInputError, match="refuses the properties"), open_producer(wrong):
        pass
    subscribe(installed, "b:9092", "t", **{"compression.type": "none such"})
    installed.act("a")
    with pytest.raises(UnavailableError, match="crm"):
        installed.propagate()
