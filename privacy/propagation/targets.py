"""The two ways out: signed webhooks, and Kafka. Each sends lanes side by side, a lane in order."""

import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any, Protocol

import httpx

from candor.kernel.clock import Clock
from candor.kernel.services import Services
from candor.kernel.webhook import Outcome, post_signed
from privacy.propagation import outbound
from privacy.propagation.kafka import open_producer
from privacy.propagation.lane import Sent
from privacy.propagation.subscriber import Subscriber

Message = Mapping[str, Any]
_SENDING_SECONDS = 10.0
_BATCH_SECONDS = 20.0
_LATE = Outcome(taken=False, told="out of time", blames_receiver=True)
_AT_ONCE = 8


class Target(Protocol):
    """Where messages go."""

    def send(self, lanes: Sequence[Sequence[Message]]) -> list[Sent]:
        """Try the messages of each lane in order up to the first fault; return how far each came.

        A lane's messages are about one person, and wait for no other lane.
        """


@contextmanager
def open_target(subscriber: Subscriber, services: Services) -> Iterator[Target]:
    """Give the way to a subscriber.

    Raises:
        ConflictError: the Kafka client is not installed.
        InvalidInputError: the Kafka client refuses its properties.
    """
    if subscriber.kind == "kafka":
        with open_producer(subscriber) as producer:
            yield producer
        return
    allow_private = services.settings.consent.private_subscribers
    transport = outbound.new_transport(_trust(), allow_private=allow_private)
    with (
        httpx.Client(timeout=_SENDING_SECONDS, transport=transport) as client,
        ThreadPoolExecutor(_AT_ONCE, "webhooks") as pool,
    ):
        yield Webhook(subscriber, client, pool, services.clock)


@cache
def _trust() -> ssl.SSLContext:
    """Return whom TLS trusts, read once: reading it takes longer than most deliveries."""
    return httpx.create_ssl_context()


class Webhook:
    """Posts signed CloudEvents to one address."""

    def __init__(
        self,
        subscriber: Subscriber,
        client: httpx.Client,
        pool: ThreadPoolExecutor,
        clock: Clock,
    ) -> None:
        self._subscriber = subscriber
        self._client = client
        self._pool = pool
        self._clock = clock

    def send(self, lanes: Sequence[Sequence[Message]]) -> list[Sent]:
        """See ``Target``."""
        until = time.monotonic() + _BATCH_SECONDS
        return list(self._pool.map(lambda lane: self._send_lane(lane, until), lanes))

    def _send_lane(self, lane: Sequence[Message], until: float) -> Sent:
        to = self._subscriber
        for taken, message in enumerate(lane):
            if time.monotonic() > until:
                return Sent(taken, _LATE)
            with outbound.within(_SENDING_SECONDS):
                outcome = post_signed(self._client, to.address, to.secret, message, self._clock())
            if not outcome.taken:
                return Sent(taken, outcome)
        return Sent(len(lane))
