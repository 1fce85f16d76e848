"""The only way of propagation to confluent-kafka, which is an optional extra.

Messages bear the person as their key, so that Kafka keeps their order too; what is sent again after
a failure of the connection is written once (an idempotent producer).
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from candor.kernel.errors import ConflictError, InvalidInputError
from candor.kernel.webhook import Outcome
from privacy.propagation.lane import Sent
from privacy.propagation.subscriber import Subscriber

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Producer

_REFUSED = frozenset(
    {"MSG_SIZE_TOO_LARGE", "INVALID_MSG", "INVALID_RECORD", "RECORD_LIST_TOO_LARGE"}
)
_DEFAULTS: Mapping[str, str | int | bool] = {
    "client.id": "candor",
    "log_level": 0,
    "message.timeout.ms": 10_000,
}
_OURS: Mapping[str, str | int | bool] = {"acks": "all", "enable.idempotence": True}
_BATCH_SECONDS = 20.0
_PURGING_SECONDS = 1.0
_LATE = Outcome(taken=False, told="out of time", blames_receiver=True)
_HEADERS: dict[str, str | bytes | None] = {
    "content-type": "application/cloudevents+json; charset=UTF-8"
}


@contextmanager
def open_producer(subscriber: Subscriber) -> "Iterator[KafkaTarget]":
    """Give the way to a topic; it connects in the background.

    Raises:
        ConflictError: the extra is not installed.
        InvalidInputError: a property is none that the client knows, or has a wrong value.
    """
    try:
        import confluent_kafka  # noqa: PLC0415 - an optional extra
    except ImportError:
        raise ConflictError(
            f"Subscriber {subscriber.name} is a Kafka topic, but the Kafka client is not"
            " installed. Run: pip install candor[kafka]"
        ) from None
    properties: dict[str, Any] = {
        **_DEFAULTS,
        **subscriber.properties,
        **_OURS,
        "bootstrap.servers": subscriber.address,
        "error_cb": lambda _: None,  # every message tells its own fate
    }
    try:
        producer = confluent_kafka.Producer(properties)
    except (confluent_kafka.KafkaException, TypeError, ValueError):
        raise InvalidInputError(
            f"The Kafka client refuses the properties of subscriber {subscriber.name}.",
            path="kafka.properties",
        ) from None
    try:
        yield KafkaTarget(producer, subscriber.topic)
    finally:
        producer.purge()
        producer.flush(0)


class KafkaTarget:
    """Writes CloudEvents, in structured mode, to one topic."""

    def __init__(self, producer: "Producer", topic: str) -> None:
        self._producer = producer
        self._topic = topic

    def send(self, lanes: Sequence[Sequence[Mapping[str, Any]]]) -> list[Sent]:
        """See ``Target``: the first message of every lane, then the second of those that go on."""
        sent = [Sent(0)] * len(lanes)
        going = [number for number, lane in enumerate(lanes) if lane]
        until = time.monotonic() + _BATCH_SECONDS
        while going:
            messages = {number: lanes[number][sent[number].taken] for number in going}
            outcomes = self._write(messages, max(until - time.monotonic(), 0.0))
            for number, outcome in outcomes.items():
                taken = sent[number].taken
                sent[number] = Sent(taken + 1) if outcome.taken else Sent(taken, outcome)
            going = [
                number
                for number in going
                if sent[number].fault is None and sent[number].taken < len(lanes[number])
            ]
        return sent

    def _write(
        self, messages: Mapping[int, Mapping[str, Any]], seconds: float
    ) -> dict[int, Outcome]:
        """Return what became of each message, as far as the broker answers in time."""
        from confluent_kafka import KafkaException  # noqa: PLC0415 - an optional extra

        outcomes: dict[int, Outcome] = {}
        for number, message in messages.items():

            def tell(error: "KafkaError | None", _: object, number: int = number) -> None:
                outcomes[number] = _outcome(error)

            try:
                self._producer.produce(
                    self._topic,
                    value=json.dumps(message).encode(),
                    key=str(message["subject"]).encode(),
                    headers=dict(_HEADERS),
                    on_delivery=tell,
                )
            except KafkaException as error:  # it is refused before it is sent
                outcomes[number] = _outcome(error.args[0])
        if self._producer.flush(seconds):
            self._producer.purge()
            self._producer.flush(_PURGING_SECONDS)
        return {number: outcomes.get(number, _LATE) for number in messages}


def _outcome(error: "KafkaError | None") -> Outcome:
    if error is None:
        return Outcome(taken=True, told="taken")
    return Outcome(taken=False, told=error.name(), blames_receiver=error.name() not in _REFUSED)
