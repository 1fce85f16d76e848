"""Offsets, pauses and handovers, with a client and a pipeline that do what a test says."""

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError
from structlog.testing import capture_logs

from candor.kernel.errors import OverloadedError, UnavailableError
from candor.kernel.metrics import new_metrics
from candor.kernel.settings import KafkaSettings, LimitSettings
from collector.entrance import Entrance
from collector.event import Batch, Receipt
from collector.intake import Submission
from collector.kafka.client import KafkaClient, Listener
from collector.kafka.consumption import Consumption, consume_until
from collector.kafka.partition import Place, Taken
from collector.receivers.decoding import Reception
from collector.receivers.kafka import Message
from tests.support.events import native_event
from tests.support.stores import NOON, SECRETS

A: Place = ("orders", 0)
B: Place = ("orders", 1)


class FakeClient:
    """Hands out what a test puts in, and notes what it is told."""

    def __init__(self) -> None:
        self.arriving: list[Message] = []
        self.paused: set[Place] = set()
        self.commits: list[tuple[dict[Place, int], bool]] = []
        self.takes_commits = True
        self.is_closed = False
        self.ends: dict[Place, int] = {}
        self.listener: Listener | None = None

    def subscribe(self, topics: Sequence[str], listener: Listener) -> None:
        assert topics == ["orders"]
        self.listener = listener

    def consume(self) -> list[Message]:
        arrived, self.arriving = self.arriving, []
        return arrived

    def pause(self, places: Sequence[Place]) -> None:
        self.paused.update(places)

    def resume(self, places: Sequence[Place]) -> None:
        self.paused.difference_update(places)

    def commit(self, offsets: Mapping[Place, int], *, wait: bool) -> None:
        self.commits.append((dict(offsets), wait))
        if self.takes_commits and self.listener is not None:
            self.listener.committed(offsets)

    def start(self, place: Place) -> int | None:
        return 2 if place in self.ends else None

    def end(self, place: Place) -> int | None:
        return self.ends.get(place)

    def close(self) -> None:
        self.is_closed = True


class FakePipeline:
    """An intake whose disk waits for the test, and a spool that is as full as it says."""

    def __init__(self) -> None:
        self.writes: list[Future[Any]] = []
        self.taken: list[str] = []
        self.is_full = False
        self.is_broken = False

    def submit(self, batch: Batch) -> Submission:
        if self.is_broken:
            raise UnavailableError("A stage cannot do its work.")
        write: Future[Any] = Future()
        self.writes.append(write)
        self.taken += [event.id for event in batch.events]
        receipt = Receipt(len(batch.events), 0, 0, tuple(batch.rejections))
        return Submission(receipt, (write,))

    def refuse_when_full(self) -> None:
        if self.is_full:
            raise OverloadedError("The spool is full.")

    def sync(self, *numbers: int) -> None:
        for number in numbers:
            self.writes[number].set_result("token")

    def fail(self, number: int) -> None:
        self.writes[number].set_exception(UnavailableError("The disk refused it."))


class Run:
    """One consumption under test; time passes when it is told to."""

    def __init__(self) -> None:
        self.client, self.pipeline, self.now = FakeClient(), FakePipeline(), 0.0
        self.metrics = new_metrics()
        settings = SimpleNamespace(
            kafka=KafkaSettings.model_validate({"bootstrap": "h", "topics": "orders"})
        )
        entrance = SimpleNamespace(
            services=SimpleNamespace(metrics=self.metrics, settings=settings),
            collector=SimpleNamespace(submit=self.pipeline.submit, spool=self.pipeline),
            reception=lambda source: Reception(NOON, LimitSettings(), SECRETS, source),
        )
        self.entrance = cast("Entrance", entrance)
        self.consumption = Consumption(self.entrance, self.client, monotonic=lambda: self.now)
        self.client.subscribe(["orders"], self.consumption)
        self.consumption.assigned([A, B])

    def arrive(self, place: Place, offsets: Iterable[int]) -> None:
        self.client.arriving += [
            Message(*place, offset, json.dumps(native_event(offset)).encode()) for offset in offsets
        ]
        self.advance()

    def advance(self, seconds: float = 10.0) -> None:
        self.now += seconds
        self.consumption.advance()

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)


@pytest.fixture
def run() -> Run:
    return Run()


def test_nothing_is_committed_before_it_is_on_the_disk(run: Run) -> None:
    run.arrive(A, [5, 6])
    run.advance()
    assert run.client.commits == []
    run.pipeline.sync(0, 1)
    run.advance()
    assert run.client.commits == [({A: 7}, False)]


def test_an_offset_waits_for_all_before_it_in_its_partition_and_for_none_in_another(
    run: Run,
) -> None:
    run.arrive(A, [5, 6])
    run.arrive(B, [9])
    run.pipeline.sync(1, 2)
    run.advance()
    assert run.client.commits == [({B: 10}, False)]
    run.pipeline.sync(0)
    run.advance()
    assert run.client.commits[-1] == ({A: 7}, False)


def test_an_offset_that_kafka_did_not_confirm_is_committed_again(run: Run) -> None:
    run.client.takes_commits = False
    run.arrive(A, [5])
    run.pipeline.sync(0)
    run.advance()
    run.advance()
    assert run.client.commits == [({A: 6}, False)] * 2
    run.client.takes_commits = True
    run.advance()
    run.advance()
    assert len(run.client.commits) == 3


def test_a_message_that_the_disk_refused_is_sent_again_before_its_offset_is_committed(
    run: Run,
) -> None:
    run.arrive(A, [5, 6])
    run.pipeline.fail(0)
    run.pipeline.sync(1)
    run.advance()
    assert run.pipeline.taken == ["e-5", "e-6", "e-5"]
    assert run.client.commits == []
    run.pipeline.sync(2)
    run.advance()
    assert run.client.commits == [({A: 7}, False)]


def test_a_stage_that_fails_pauses_everything_and_loses_nothing(run: Run) -> None:
    run.pipeline.is_broken = True
    run.arrive(A, [5])
    run.advance(0.1)
    assert run.client.paused == {A, B}
    run.pipeline.is_broken = False
    run.advance()
    run.pipeline.sync(0)
    run.advance()
    assert run.client.paused == set()
    assert run.client.commits == [({A: 6}, False)]


def test_a_full_spool_pauses_old_and_new_partitions_until_it_has_room(run: Run) -> None:
    run.pipeline.is_full = True
    run.advance()
    run.consumption.assigned([("orders", 2)])
    run.advance()
    assert run.client.paused == {A, B, ("orders", 2)}
    assert run.value("candor_kafka_paused") == 3
    run.pipeline.is_full = False
    run.advance()
    assert run.client.paused == set()
    assert run.value("candor_kafka_paused") == 0


def test_a_revoked_partition_is_finished_and_committed_before_it_is_given_up(run: Run) -> None:
    run.arrive(A, [5])
    run.arrive(B, [9])
    timer = threading.Timer(0.05, lambda: run.pipeline.sync(0))
    timer.start()
    run.consumption.revoked([A])
    timer.join()
    assert run.client.commits == [({A: 6}, True)]
    assert set(run.consumption.partitions) == {B}


def test_what_was_refused_of_a_revoked_partition_is_left_to_whoever_reads_it_next(
    run: Run,
) -> None:
    run.arrive(A, [5, 6])
    run.pipeline.sync(0)
    run.pipeline.fail(1)
    run.consumption.revoked([A])
    assert run.client.commits == [({A: 6}, True)]
    run.advance()
    assert run.pipeline.taken == ["e-5", "e-6"]


def test_a_lost_partition_is_forgotten_without_a_commit(run: Run) -> None:
    run.arrive(A, [5])
    run.consumption.lost([A])
    run.pipeline.sync(0)
    run.advance()
    assert run.client.commits == []


def test_what_arrives_together_with_the_loss_of_its_partition_is_not_taken(run: Run) -> None:
    run.consumption.revoked([A])
    run.arrive(A, [5])
    assert run.pipeline.taken == []


def test_the_end_finishes_commits_and_leaves_the_group(run: Run) -> None:
    run.arrive(A, [5])
    run.pipeline.sync(0)
    stopping = threading.Event()
    stopping.set()
    run.consumption.run(stopping)
    assert run.client.commits[-1] == ({A: 6}, True)
    assert run.client.is_closed


def test_the_end_asks_again_while_the_group_takes_no_commit(run: Run) -> None:
    run.arrive(A, [5])
    run.pipeline.sync(0)
    run.client.takes_commits = False
    consume = run.client.consume

    def settle_down() -> list[Message]:
        run.client.takes_commits = True
        return consume()

    run.client.consume = settle_down  # type: ignore[method-assign]  # the group settles meanwhile
    stopping = threading.Event()
    stopping.set()
    run.consumption.run(stopping)
    assert run.client.commits == [({A: 6}, True)] * 2


def test_lag_is_what_lies_behind_the_position_and_goes_with_the_partition(run: Run) -> None:
    labels = {"topic": "orders", "partition": "0"}
    run.client.ends = {A: 10}
    run.advance()
    assert run.value("candor_kafka_lag", **labels) == 8
    run.arrive(A, [5])
    assert run.value("candor_kafka_lag", **labels) == 4
    run.pipeline.sync(0)
    run.consumption.revoked([A])
    assert run.value("candor_kafka_lag", **labels) is None


def test_messages_are_counted_by_what_became_of_them(run: Run) -> None:
    run.client.arriving = [Message(*A, 1, None), Message(*A, 2, b"hush")]
    run.arrive(A, [3])
    run.pipeline.sync(0, 1, 2)
    run.advance()
    for outcome in ("stored", "refused", "empty"):
        labels = {"topic": "orders", "outcome": outcome}
        assert run.value("candor_kafka_messages_total", **labels) == 1


class FailingClient(FakeClient):
    """Is of no more use from the first moment on."""

    def consume(self) -> list[Message]:
        raise UnavailableError("The client failed.")


class LastClient(FakeClient):
    """Ends the test once it is asked for messages."""

    def __init__(self, stopping: threading.Event) -> None:
        super().__init__()
        self.stopping = stopping

    def consume(self) -> list[Message]:
        self.stopping.set()
        return []


def test_a_client_that_failed_is_closed_and_replaced(run: Run) -> None:
    stopping = threading.Event()
    failed, last = FailingClient(), LastClient(stopping)
    consume_until(stopping, run.entrance, failed, lambda: last, pause_seconds=0)
    assert failed.is_closed
    assert last.is_closed
    assert run.value("candor_kafka_consuming") == 0


class BrokenClient(FakeClient):
    """Raises what nobody foresaw, with a text that must be in no log."""

    def consume(self) -> list[Message]:
        raise KeyError("hush-hush")


def test_a_fault_that_nobody_foresaw_is_logged_by_its_type_and_consumption_goes_on(
    run: Run,
) -> None:
    stopping = threading.Event()
    broken, last = BrokenClient(), LastClient(stopping)
    with capture_logs() as said:
        consume_until(stopping, run.entrance, broken, lambda: last, pause_seconds=0)
    assert (broken.is_closed, last.is_closed) == (True, True)
    assert [one["error"] for one in said if one["log_level"] == "error"] == ["KeyError"]
    assert "hush-hush" not in repr(said)


def test_a_client_that_cannot_be_opened_is_tried_again(run: Run) -> None:
    stopping = threading.Event()
    tries: list[int] = []

    def reopen() -> LastClient:
        tries.append(len(tries))
        if len(tries) == 1:
            raise KeyError("hush-hush")
        return LastClient(stopping)

    consume_until(stopping, run.entrance, FailingClient(), reopen, pause_seconds=0)
    assert (len(tries), stopping.is_set()) == (2, True)


class SlowTaken(Taken):
    """Is on its way for ever; waiting for it costs all the time that one has for it."""

    def __init__(self, run: Run, offset: int) -> None:
        super().__init__(Message(*A, offset, b""), Submission(Receipt(1, 0, 0, ()), (Future(),)))
        object.__setattr__(self, "run", run)

    def wait(self, timeout_seconds: float) -> None:
        run: Run = self.__dict__["run"]
        run.now += timeout_seconds


def test_all_messages_of_a_partition_are_waited_for_until_one_deadline(run: Run) -> None:
    run.consumption.partitions[A].waiting.extend(SlowTaken(run, offset) for offset in range(3))
    run.consumption.revoked([A])
    assert run.now == 10.0


def test_a_fatal_error_is_the_end_of_a_client_and_every_other_is_not() -> None:
    client = KafkaClient()
    client.warn(KafkaError(KafkaError._TRANSPORT))
    with pytest.raises(UnavailableError, match="FENCED_INSTANCE_ID"):
        client.warn(KafkaError(KafkaError.FENCED_INSTANCE_ID, "hush", fatal=True))
