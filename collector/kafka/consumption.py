"""Reads topics into the pipeline, and commits an offset only when all before it is on the disk.

All of it runs on one thread: taking messages, what the group decides meanwhile, and committing.
While the spool takes nothing, the partitions are paused and the group is kept; nothing is lost.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, repeat

from candor.kernel.errors import CandorError, ConflictError, UnavailableError
from candor.kernel.logging import log
from candor.kernel.settings import KafkaSettings
from collector.entrance import Entrance
from collector.event import Receipt
from collector.kafka.client import Client, open_client
from collector.kafka.partition import Partition, Place, Taken
from collector.receivers.kafka import DECODERS, Message, decode_message

_MOST_WAITING = 2000
_WAIT_SECONDS = 1.0
_FINISH_SECONDS = 10.0
_COMMIT_SECONDS = 0.5
_MEASURE_SECONDS = 5.0
_RETRY_SECONDS = 1.0
_REOPEN_SECONDS = 5.0


@contextmanager
def consuming(entrance: Entrance) -> Iterator[None]:
    """Consume the topics of the settings inside the block; do nothing when there are none.

    At the end what was taken is finished and committed before the group is left, so the pipeline
    behind the entrance must stay open for longer than this block.

    Raises:
        CandorError: the client cannot be opened; the sentence says what to do.
    """
    settings = entrance.services.settings.kafka
    if settings.bootstrap is None:
        yield
        return
    client = open_checked_client(settings)
    stopping = threading.Event()
    thread = threading.Thread(
        target=consume_until,
        args=(stopping, entrance, client, lambda: open_client(settings)),
        name="kafka",
    )
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def open_checked_client(settings: KafkaSettings) -> Client:
    """Return a client for topics of which every shape can be read. Raises as ``open_client``.

    Raises:
        ConflictError: there is no decoder for the shape of a topic.
    """
    for topic, shape in settings.topics.items():
        if shape not in DECODERS:
            raise ConflictError(f"Topic {topic}: messages of the shape {shape} cannot be read.")
    return open_client(settings)


def consume_until(
    stopping: threading.Event,
    entrance: Entrance,
    client: Client,
    reopen: Callable[[], Client],
    pause_seconds: float = _REOPEN_SECONDS,
) -> None:
    """Consume until stopped, and after a pause with another client when one has failed.

    A fault that nobody foresaw is logged by its type alone: its text may quote a message.
    """
    consuming_now = entrance.services.metrics.kafka.consuming
    consuming_now.set(1)
    try:
        for opening in chain([lambda: client], repeat(reopen)):
            _consume_with(opening, stopping, entrance)
            if stopping.wait(pause_seconds):
                return
    finally:
        consuming_now.set(0)


def _consume_with(
    opening: Callable[[], Client], stopping: threading.Event, entrance: Entrance
) -> None:
    """Consume with one client until stopped, or until it or anything else fails; never raise.

    What was taken and not committed comes again to the next client, and is known by then.
    """
    try:
        client = opening()
        consumption = Consumption(entrance, client)
        try:
            consumption.run(stopping)
        except UnavailableError as error:
            log().warning("kafka consumer failed, will start anew", reason=error.detail)
            with suppress(UnavailableError):
                client.close()
        except Exception:
            consumption.lost(list(consumption.partitions))  # closing must not come by it again
            client.close()
            raise
        finally:
            consumption.lost(list(consumption.partitions))
    except Exception as error:  # noqa: BLE001 - a fault must not end consumption unseen
        log().error("kafka consumer broke down, will start anew", error=type(error).__name__)


class Consumption:
    """The partitions that the group gives us, from taking messages to committing offsets."""

    def __init__(
        self, entrance: Entrance, client: Client, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.partitions: dict[Place, Partition] = {}
        self._entrance = entrance
        self._metrics = entrance.services.metrics
        self._topics = entrance.services.settings.kafka.topics
        self._client = client
        self._monotonic = monotonic
        self._due: dict[str, float] = {}
        self._measured: set[Place] = set()

    def run(self, stopping: threading.Event) -> None:
        """Consume until stopped, then finish and commit what was taken, and leave the group.

        Raises:
            UnavailableError: the client is of no more use.
        """
        self._client.subscribe(list(self._topics), self)
        while not stopping.is_set():
            self.advance()
        self._finish()
        self._client.close()

    def advance(self) -> None:
        """Take what has arrived, and whatever else is due."""
        self._settle(self.partitions.values())
        self._send_again()
        self._turn(pressed=self._is_pressed())
        self._wait_for_the_disk()
        self._take(self._client.consume())
        self._settle(self.partitions.values())
        if self._is_due("commit", _COMMIT_SECONDS):
            self._commit(self.partitions.values(), wait=False)
        if self._is_due("measure", _MEASURE_SECONDS):
            self._measure()

    def assigned(self, places: Sequence[Place]) -> None:
        """Start with these partitions where the group stands."""
        for place in places:
            self.partitions[place] = Partition(*place)
        log().info("kafka partitions assigned", count=len(places))

    def revoked(self, places: Sequence[Place]) -> None:
        """Bring what was taken of these partitions to the disk and commit it, then let go."""
        leaving = [self.partitions[place] for place in places if place in self.partitions]
        self._conclude(leaving, self._monotonic() + _FINISH_SECONDS)
        log().info("kafka partitions revoked", count=len(leaving))
        for partition in leaving:
            if partition.uncommitted is not None:
                log().warning(
                    "kafka took no commit: its messages come again to whoever reads them next",
                    topic=partition.topic,
                    partition=partition.number,
                    offset=partition.uncommitted,
                )
        self.lost(places)

    def lost(self, places: Sequence[Place]) -> None:
        """Forget these partitions: whoever has them now reads on from the last commit."""
        for place in places:
            self.partitions.pop(place, None)
            if place in self._measured:
                self._measured.remove(place)
                self._metrics.kafka.lag.remove(place[0], str(place[1]))
        self._count_paused()

    def committed(self, offsets: Mapping[Place, int]) -> None:
        """Note what Kafka has confirmed."""
        for place, offset in offsets.items():
            if place in self.partitions:
                self.partitions[place].committed = offset

    def _take(self, messages: Iterable[Message]) -> None:
        """Send messages on their way.

        What arrived together with the loss of its partition is someone else's.
        """
        for message in messages:
            partition = self.partitions.get((message.topic, message.partition))
            if partition is not None:
                partition.take(self._sent(message))

    def _sent(self, message: Message) -> Taken:
        reception = self._entrance.reception(f"kafka:{message.topic}")
        batch = decode_message(message, self._topics[message.topic], reception)
        try:
            return Taken(message, self._entrance.collector.submit(batch))
        except CandorError as error:
            log().warning("kafka message not taken, will try again", reason=error.code)
            return Taken(message, None)

    def _send_again(self) -> None:
        """Send what was refused once more, now and then; what was stored meanwhile is known."""
        held_up = [one for one in self.partitions.values() if one.is_held_up]
        if not held_up or self._spool_is_full() or not self._is_due("retry", _RETRY_SECONDS):
            return
        for partition in held_up:
            for place, taken in enumerate(partition.waiting):
                if taken.is_refused:
                    partition.waiting[place] = self._sent(taken.message)

    def _finish(self) -> None:
        """Bring to the disk and commit what was taken, of every partition.

        While the group is being shared out anew it takes no commit, so ask until it does.
        """
        deadline = self._monotonic() + _FINISH_SECONDS
        self._client.pause(list(self.partitions))
        self._conclude(self.partitions.values(), deadline)
        while self._monotonic() < deadline:
            if all(one.uncommitted is None for one in self.partitions.values()):
                return
            self._client.consume()
            self._conclude(self.partitions.values(), deadline)

    def _conclude(self, partitions: Collection[Partition], deadline: float) -> None:
        """Wait until what was taken is on the disk, all of it until one deadline, and commit it."""
        for partition in partitions:
            for taken in partition.waiting:
                taken.wait(max(0.0, deadline - self._monotonic()))
        self._settle(partitions)
        self._commit(partitions, wait=True)

    def _settle(self, partitions: Iterable[Partition]) -> None:
        for partition in partitions:
            for taken, receipt in partition.settle():
                self._tell(taken, receipt)

    def _tell(self, taken: Taken, receipt: Receipt) -> None:
        """Count a message that is dealt with, and name it when something of it was refused."""
        message, outcome = taken.message, "stored"
        if receipt.rejections:
            outcome = "refused" if message.value is not None else "empty"
            log().warning(
                "kafka message refused",
                topic=message.topic,
                partition=message.partition,
                offset=message.offset,
                outcome=outcome,
                codes=sorted({one.refusal.code for one in receipt.rejections}),
            )
        self._metrics.kafka.messages.labels(message.topic, outcome).inc()

    def _is_pressed(self) -> bool:
        return self._spool_is_full() or any(one.is_held_up for one in self.partitions.values())

    def _spool_is_full(self) -> bool:
        try:
            self._entrance.collector.spool.refuse_when_full()
        except UnavailableError:
            return True
        return False

    def _turn(self, *, pressed: bool) -> None:
        """Pause what runs when the pipeline takes nothing, and let it run again when it does."""
        turned = [one for one in self.partitions.values() if one.is_paused != pressed]
        if not turned:
            return
        places = [one.place for one in turned]
        if pressed:
            self._client.pause(places)
            log().warning("kafka paused: the spool takes nothing now", partitions=len(places))
        else:
            self._client.resume(places)
            log().info("kafka resumed", partitions=len(places))
        for partition in turned:
            partition.is_paused = pressed
        self._count_paused()

    def _count_paused(self) -> None:
        paused = sum(one.is_paused for one in self.partitions.values())
        self._metrics.kafka.paused.set(paused)

    def _wait_for_the_disk(self) -> None:
        """Hold only so much in memory; a wait is too short to cost us our place in the group."""
        fullest = max((one.waiting for one in self.partitions.values()), key=len, default=None)
        if fullest and len(fullest) >= _MOST_WAITING:
            fullest[0].wait(_WAIT_SECONDS)

    def _commit(self, partitions: Iterable[Partition], *, wait: bool) -> None:
        offsets = {one.place: one.uncommitted for one in partitions if one.uncommitted is not None}
        if offsets:
            self._client.commit(offsets, wait=wait)

    def _measure(self) -> None:
        """Measure how many messages wait in each partition of which that can be known."""
        for place, partition in self.partitions.items():
            end = self._client.end(place)
            if end is None:
                continue
            if partition.position is None:
                partition.position = self._client.start(place)
            if partition.position is None:
                return
            self._metrics.kafka.lag.labels(place[0], str(place[1])).set(end - partition.position)
            self._measured.add(place)

    def _is_due(self, what: str, every_seconds: float) -> bool:
        now = self._monotonic()
        if now < self._due.get(what, float("-inf")):
            return False
        self._due[what] = now + every_seconds
        return True
