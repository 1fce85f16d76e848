"""The consumer of Kafka against a real broker protocol, each consumer in a process of its own."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.events import native_event
from tests.support.kafka_cluster import PARTITIONS, KafkaCluster, Sent, kafka_cluster
from tests.support.server import ROOT, Server, load_what_waits, query_stores, serve

_TRIES = 1200
_ATTEMPTS = 4


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaCluster]:
    with kafka_cluster() as running:
        yield running


def encoded(document: object, partition: int = 0, **headers: str) -> Sent:
    return Sent(json.dumps(document).encode(), partition, headers)


def numbered(numbers: range) -> list[Sent]:
    return [encoded(native_event(number), number % PARTITIONS) for number in numbers]


def total(server: Server, name: str, **labels: str) -> float:
    """Return the sum of a metric over all labels that are not given."""
    text = server.metrics()
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def wait_until(holds: Callable[[], bool], told: Callable[[], str]) -> None:
    pause = threading.Event()
    for _ in range(_TRIES):
        if holds():
            return
        pause.wait(0.05)
    raise AssertionError(told())


def wait_for_messages(server: Server, count: int, **labels: str) -> None:
    wait_until(lambda: total(server, "candor_kafka_messages_total", **labels) >= count, server.log)


def stored(folder: Path) -> list[dict[str, Any]]:
    load_what_waits(folder)
    return query_stores(folder, "SELECT id, door, name, subject_key FROM events ORDER BY id")


def test_messages_of_every_form_are_stored_once_and_bad_ones_are_named_by_their_place(
    cluster: KafkaCluster, tmp_path: Path
) -> None:
    anonymous = {"name": "checkout.payment", "time": "2026-11-22T11:00:00Z"}
    call = {"type": "track", "event": "Order Completed", "userId": "u-secret"}
    cluster.produce(
        "forms",
        [
            encoded(native_event(1)),
            encoded([native_event(2), anonymous, {"name": "hush-hush"}]),
            Sent(b'{"id":"e-3","name":"n","time":"2026-11-22T11:00:00Z"}\n' + b"hush-hush\n"),
            Sent(None),
            Sent(b"\xffhush-hush"),
            encoded(anonymous),
            encoded(native_event(1)),
        ],
    )
    cluster.produce(
        "forms-calls",
        [
            encoded(call | {"messageId": "m-1"}, 1),
            encoded({"batch": [call, call | {"messageId": "m-2"}]}, 1),
            encoded(call, 1),
        ],
    )
    with serve(tmp_path, **cluster.settings("forms,forms-calls:segment", "forms")) as server:
        wait_for_messages(server, 10)
        wait_until(lambda: total(server, "candor_kafka_lag") == 0, server.log)
        assert total(server, "candor_kafka_messages_total", topic="forms", outcome="stored") == 3
        assert total(server, "candor_kafka_messages_total", outcome="refused") == 3
        assert total(server, "candor_kafka_messages_total", outcome="empty") == 1
        assert total(server, "candor_events_deduplicated_total") == 1
        log = server.log()
    rows = stored(tmp_path)
    assert [(row["door"], row["id"]) for row in rows if row["door"] == "native"] == [
        ("native", one) for one in ("e-1", "e-2", "e-3", "forms/0/1/1", "forms/0/5")
    ]
    assert {row["id"] for row in rows if row["door"] == "segment"} == {
        *("forms-calls/1/1/0", "forms-calls/1/2", "m-1", "m-2"),
    }
    named = [json.loads(line) for line in log.splitlines() if "message refused" in line]
    assert [(one["topic"], one["partition"], one["offset"]) for one in named] == [
        ("forms", 0, offset) for offset in (1, 2, 3, 4)
    ]
    assert {code for one in named for code in one["codes"]} == {"malformed"}
    assert "hush-hush" not in log
    assert "u-secret" not in log


def test_a_restart_reads_on_where_the_last_process_stopped(
    cluster: KafkaCluster, tmp_path: Path
) -> None:
    settings = cluster.settings("restarts", "restarts")
    cluster.produce("restarts", numbered(range(500)))
    with serve(tmp_path, **settings) as server:
        wait_for_messages(server, 500)
    cluster.produce("restarts", numbered(range(500, 600)))
    with serve(tmp_path, **settings) as server:
        wait_for_messages(server, 100)
        wait_until(lambda: total(server, "candor_kafka_lag") == 0, server.log)
        assert total(server, "candor_kafka_messages_total") == 100
        assert total(server, "candor_events_deduplicated_total") == 0
    assert sorted(row["id"] for row in stored(tmp_path)) == sorted(f"e-{n}" for n in range(600))


def test_two_processes_of_one_group_share_the_messages_and_double_none_when_one_comes_or_goes(
    cluster: KafkaCluster, tmp_path: Path
) -> None:
    for attempt in range(_ATTEMPTS):
        name = f"shared-{attempt}"
        folders = [tmp_path / name / one for one in ("stays", "goes")]
        for folder in folders:
            folder.mkdir(parents=True)
        produced = share(cluster, name, folders)
        ids = [[row["id"] for row in stored(folder)] for folder in folders]
        assert {*ids[0], *ids[1]} == {f"e-{number}" for number in range(produced)}
        assert min(map(len, ids)) > 0
        if not any("took no commit" in (one / "serve.log").read_text() for one in folders):
            assert len(ids[0]) + len(ids[1]) == produced
            return
    pytest.fail("the broker took no commit of a revoked partition in any attempt")


def share(cluster: KafkaCluster, name: str, folders: list[Path]) -> int:
    """Consume under load while a second process comes and goes; return how much was produced.

    Now and then this broker refuses every commit at that moment, where a real one would take it: a
    member that is slow to fetch its part makes it start over. Then messages do come twice.
    """
    settings = cluster.settings(name, name)
    produced = 0

    def produce_until(holds: Callable[[], bool]) -> None:
        nonlocal produced
        pause = threading.Event()
        for _ in range(_TRIES):
            cluster.produce(name, numbered(range(produced, produced + 50)))
            produced += 50
            if holds():
                return
            pause.wait(0.1)
        raise AssertionError(stays.log())

    with serve(folders[0], **settings) as stays:
        produce_until(lambda: total(stays, "candor_kafka_messages_total") > 0)
        with serve(folders[1], **settings) as goes:
            produce_until(lambda: total(goes, "candor_kafka_messages_total") > 500)
        produce_until(lambda: len(lags(stays)) == PARTITIONS)
    with serve(folders[0], **settings) as stays:
        wait_until(lambda: list(lags(stays).values()) == [0] * PARTITIONS, stays.log)
    return produced


def lags(server: Server) -> dict[str, float]:
    """Return the lag of each partition that the server has."""
    text = server.metrics()
    return {
        sample.labels["partition"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "candor_kafka_lag"
    }


def test_a_full_spool_pauses_the_partitions_and_everything_arrives_later(
    cluster: KafkaCluster, tmp_path: Path
) -> None:
    cluster.produce("pressed", numbered(range(2000)))
    narrow = {"CANDOR_SPOOL__MAX_BYTES": "4096", "CANDOR_SPOOL__SEGMENT_AGE": "PT1S"}
    with serve(tmp_path, **cluster.settings("pressed", "pressed"), **narrow) as server:
        wait_until(lambda: "kafka paused" in server.log(), server.log)
        wait_for_messages(server, 2000)
        wait_until(lambda: total(server, "candor_kafka_paused") == 0, server.log)
        assert total(server, "candor_kafka_messages_total") == 2000
        assert total(server, "candor_events_deduplicated_total") == 0
    assert len(stored(tmp_path)) == 2000


def test_without_kafka_the_other_doors_stay_open_and_the_log_says_what_is_wrong(
    tmp_path: Path,
) -> None:
    with kafka_cluster() as gone:
        settings = gone.settings("away", "away")
    with serve(tmp_path, **settings) as server:
        wait_until(lambda: "kafka has trouble" in server.log(), server.log)
        assert httpx.get(f"{server.url}/readyz").is_success
        assert total(server, "candor_kafka_consuming") == 1
    assert gone.bootstrap not in server.log()


def check(folder: Path, **settings: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "candor", "check", "--json"],
        cwd=folder,
        env={"PYTHONPATH": f"{folder}:{ROOT}", "PATH": ""} | settings,
        check=False,
        capture_output=True,
        text=True,
    )
    return done.returncode, json.loads(done.stdout)


def test_check_masks_the_properties_and_names_the_one_that_the_client_refuses(
    tmp_path: Path,
) -> None:
    settings = {
        "CANDOR_KAFKA__BOOTSTRAP": "127.0.0.1:1",
        "CANDOR_KAFKA__TOPICS": "orders",
        "CANDOR_KAFKA__PROPERTIES": '{"sasl.password": "hush", "sasl.misspelt": "quiet"}',
    }
    status, told = check(tmp_path, **settings)
    assert status == 1
    complaint = "The Kafka client refuses its properties. Look at sasl.misspelt in"
    assert told["complaints"] == [f"{complaint} CANDOR_KAFKA__PROPERTIES."]
    assert told["settings"]["kafka"]["topics"] == {"orders": "native"}
    assert told["settings"]["kafka"]["properties"]["sasl.password"] == "********"
    assert "hush" not in str(told)
    assert "quiet" not in str(told)
    del settings["CANDOR_KAFKA__PROPERTIES"]
    assert check(tmp_path, **settings)[0] == 0


def test_a_missing_client_is_told_with_the_command_that_installs_it(tmp_path: Path) -> None:
    (tmp_path / "confluent_kafka.py").write_text("raise ImportError", encoding="utf-8")
    status, told = check(
        tmp_path, CANDOR_KAFKA__BOOTSTRAP="127.0.0.1:1", CANDOR_KAFKA__TOPICS="orders"
    )
    assert status == 1
    assert "pip install candor[kafka]" in told["complaints"][0]
