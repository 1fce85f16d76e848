"""The only way to confluent-kafka, which is an optional extra and imported when it is needed."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, cast

from candor.kernel.errors import ConflictError, InvalidInputError, UnavailableError
from candor.kernel.logging import log
from candor.kernel.settings import KafkaSettings
from collector.kafka.partition import Place
from collector.receivers.kafka import Message

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, TopicPartition
    from confluent_kafka import Message as Received

_MOST_MESSAGES = 500
_POLL_SECONDS = 0.05
_ASK_SECONDS = 1.0
_COMMIT_SECONDS = 3.0
_COMMIT_PAUSE_SECONDS = 0.05
_SHARED_OUT_ANEW = frozenset({"ILLEGAL_GENERATION", "REBALANCE_IN_PROGRESS"})
_PASSING = _SHARED_OUT_ANEW | {
    *("COORDINATOR_LOAD_IN_PROGRESS", "COORDINATOR_NOT_AVAILABLE", "NOT_COORDINATOR"),
    *("REQUEST_TIMED_OUT", "_TRANSPORT", "_WAIT_COORD"),
}
_QUIET_SECONDS = 60.0
_DEFAULTS: Mapping[str, str | int] = {
    "auto.offset.reset": "earliest",
    "client.id": "candor",
    "log_level": 0,
    "socket.timeout.ms": 10_000,
    "topic.metadata.refresh.interval.ms": 30_000,
}


class Listener(Protocol):
    """Whoever must know what happens to the partitions; called while ``consume`` runs."""

    def assigned(self, places: Sequence[Place]) -> None:
        """These partitions are ours from now on."""

    def revoked(self, places: Sequence[Place]) -> None:
        """Someone else reads these next: the last moment to commit what was taken of them."""

    def lost(self, places: Sequence[Place]) -> None:
        """Someone else reads these already: nothing can be committed any more."""

    def committed(self, offsets: Mapping[Place, int]) -> None:
        """Kafka has confirmed these offsets."""


class Client(Protocol):
    """What the consumption asks of Kafka."""

    def subscribe(self, topics: Sequence[str], listener: Listener) -> None:
        """Join the group; what it gives us is told to the listener."""

    def consume(self) -> list[Message]:
        """Return what has arrived, after a moment at the most; also keeps our place in the group.

        Raises:
            UnavailableError: the client is of no more use; open another.
        """

    def pause(self, places: Sequence[Place]) -> None:
        """Fetch nothing more of these partitions; what was fetched and not consumed comes again."""

    def resume(self, places: Sequence[Place]) -> None:
        """Fetch these partitions again."""

    def commit(self, offsets: Mapping[Place, int], *, wait: bool) -> None:
        """Commit offsets; the listener hears of those that are confirmed."""

    def start(self, place: Place) -> int | None:
        """Ask where the group's reading of the partition starts; none when Kafka does not say."""

    def end(self, place: Place) -> int | None:
        """Return the offset behind the last message of the partition, once it is known."""

    def close(self) -> None:
        """Give up every partition, after the listener has been told, and leave the group."""


def open_client(settings: KafkaSettings) -> "KafkaClient":
    """Return a client; it connects in the background, and again after every interruption.

    Raises:
        ConflictError: the extra is not installed.
        InvalidInputError: a property is none that the client knows, or has a wrong value.
    """
    try:
        import confluent_kafka  # noqa: PLC0415 - an optional extra
    except ImportError:
        raise ConflictError(
            "CANDOR_KAFKA__BOOTSTRAP is set, but the Kafka client is not installed. Run:"
            " pip install candor[kafka]"
        ) from None
    client = KafkaClient()
    properties: dict[str, Any] = {
        **_DEFAULTS,
        **settings.properties,
        "bootstrap.servers": settings.bootstrap,
        "group.id": settings.group,
        "enable.auto.commit": False,
        "partition.assignment.strategy": "cooperative-sticky",
        "error_cb": client.warn,
        "on_commit": client.confirm,
    }
    try:
        client.consumer = confluent_kafka.Consumer(properties)
    except (confluent_kafka.KafkaException, TypeError, ValueError) as error:
        named = [name for name in settings.properties if name in str(error)]
        raise InvalidInputError(
            "The Kafka client refuses its properties. Look at"
            f" {' and '.join(named) or 'all of them'} in CANDOR_KAFKA__PROPERTIES."
        ) from None
    return client


class KafkaClient:
    """A member of the consumer group."""

    consumer: "Consumer"

    def __init__(self) -> None:
        self._listener: Listener | None = None
        self._warned_at: dict[str, float] = {}

    def subscribe(self, topics: Sequence[str], listener: Listener) -> None:
        """See ``Client``."""
        self._listener = listener
        self.consumer.subscribe(
            list(topics),
            on_assign=lambda _, partitions: listener.assigned(_places(partitions)),
            on_revoke=lambda _, partitions: listener.revoked(_places(partitions)),
            on_lost=lambda _, partitions: listener.lost(_places(partitions)),
        )

    def consume(self) -> list[Message]:
        """See ``Client``."""
        with _told():
            received = self.consumer.consume(_MOST_MESSAGES, _POLL_SECONDS)
        messages = []
        for one in received:
            error = one.error()
            if error is None:
                messages.append(_message(one))
            else:
                self.warn(error, topic=one.topic())
        return messages

    def pause(self, places: Sequence[Place]) -> None:
        """See ``Client``."""
        with _told():
            self.consumer.pause([_partition(*place) for place in places])

    def resume(self, places: Sequence[Place]) -> None:
        """See ``Client``."""
        with _told():
            self.consumer.resume([_partition(*place) for place in places])

    def commit(self, offsets: Mapping[Place, int], *, wait: bool) -> None:
        """See ``Client``."""
        partitions = [_partition(*place, offset) for place, offset in offsets.items()]
        if not wait:
            with _told():
                self.consumer.commit(offsets=partitions, asynchronous=True)
            return
        until = time.monotonic() + _COMMIT_SECONDS
        while (fault := self._commit_now(partitions)) is not None:
            if time.monotonic() >= until or fault.name() not in _PASSING:
                self.confirm(fault, partitions)
                return
            time.sleep(_COMMIT_PAUSE_SECONDS)
        self.confirm(None, partitions)

    def _commit_now(self, partitions: "list[TopicPartition]") -> "KafkaError | None":
        """Return nothing when all of these offsets are committed, or else what kept them."""
        from confluent_kafka import KafkaException  # noqa: PLC0415 - an optional extra

        try:
            done = self.consumer.commit(offsets=partitions, asynchronous=False)
        except KafkaException as error:
            fault: KafkaError = error.args[0]
            return fault
        return next((one.error for one in done if one.error is not None), None)

    def start(self, place: Place) -> int | None:
        """See ``Client``."""
        from confluent_kafka import KafkaException  # noqa: PLC0415 - an optional extra

        partition = _partition(*place)
        try:
            found = self.consumer.committed([partition], timeout=_ASK_SECONDS)
            first, _ = self.consumer.get_watermark_offsets(partition, timeout=_ASK_SECONDS)
        except KafkaException:  # Kafka is away, of which ``warn`` hears too
            return None
        return max(first, found[0].offset)

    def end(self, place: Place) -> int | None:
        """See ``Client``."""
        _, end = self.consumer.get_watermark_offsets(_partition(*place), cached=True)
        return end if end >= 0 else None

    def close(self) -> None:
        """See ``Client``."""
        with _told():
            self.consumer.close()

    def warn(self, error: "KafkaError", topic: str | None = None) -> None:
        """Log what kind of trouble it is, once a minute for each kind.

        Raises:
            UnavailableError: it is the end of this client.
        """
        if error.fatal():
            raise UnavailableError(f"Kafka has put this consumer out ({error.name()}).")
        now = time.monotonic()
        if now - self._warned_at.get(error.name(), float("-inf")) >= _QUIET_SECONDS:
            self._warned_at[error.name()] = now
            log().warning("kafka has trouble, will try again", code=error.name(), topic=topic)

    def confirm(self, error: "KafkaError | None", partitions: "list[TopicPartition]") -> None:
        """Tell the listener which offsets were committed; the others are tried again."""
        faults = [error or partition.error for partition in partitions]
        for fault in faults:
            if fault is not None and fault.name() not in _SHARED_OUT_ANEW:
                self.warn(fault)
        if self._listener is not None:
            self._listener.committed(
                {
                    (one.topic, one.partition): one.offset
                    for one, fault in zip(partitions, faults, strict=True)
                    if fault is None
                }
            )


@contextmanager
def _told() -> Iterator[None]:
    """Say that the client is of no more use; its own sentence may hold addresses and names."""
    from confluent_kafka import KafkaException  # noqa: PLC0415 - an optional extra

    try:
        yield
    except KafkaException as error:
        raise UnavailableError(f"The Kafka client failed ({error.args[0].name()}).") from None


def _message(received: "Received") -> Message:
    it = cast("Any", received)  # every field is typed as optional, for errors that come this way
    headers = {name: value for name, value in it.headers() or () if value is not None}
    return Message(it.topic(), it.partition(), it.offset(), it.value(), headers)


def _partition(topic: str, number: int, offset: int | None = None) -> "TopicPartition":
    from confluent_kafka import TopicPartition  # noqa: PLC0415 - an optional extra

    return (
        TopicPartition(topic, number) if offset is None else TopicPartition(topic, number, offset)
    )


def _places(partitions: "list[TopicPartition]") -> list[Place]:
    return [(one.topic, one.partition) for one in partitions]
