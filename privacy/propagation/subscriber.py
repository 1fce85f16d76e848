"""Who is told of changes of consent, of which, and how."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

from candor.kernel.errors import InvalidInputError
from privacy.consent.act import EVERY_CHANNEL, ConsentEvent
from privacy.consent.purpose import EVERY_PURPOSE

Kind = Literal["webhook", "kafka"]
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_LEAST_SECRET = 16
_HERE = frozenset({"127.0.0.1", "::1", "localhost"})
_SEALED_PROTOCOLS = frozenset({"SSL", "SASL_SSL"})
_MECHANISMS = frozenset({"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"})
_PROPERTIES = frozenset(
    {
        "batch.size",
        "broker.address.family",
        "client.id",
        "compression.type",
        "linger.ms",
        "message.max.bytes",
        "message.timeout.ms",
        "request.timeout.ms",
        "retries",
        "retry.backoff.ms",
        "sasl.mechanism",
        "sasl.mechanisms",
        "sasl.password",
        "sasl.username",
        "security.protocol",
        "socket.timeout.ms",
        "ssl.ca.pem",
        "ssl.certificate.pem",
        "ssl.key.password",
        "ssl.key.pem",
    }
)
"""What may be said to the Kafka client: nothing that opens a file, loads code or runs a command."""
_SETTABLE = sorted(_PROPERTIES)


@dataclass(frozen=True, slots=True)
class Subscriber:
    """One subscriber.

    ``address`` is the URL of a webhook, or the bootstrap servers of a Kafka with ``topic``.
    ``secret`` signs webhooks; ``properties`` are handed to the Kafka client. Where ``purposes`` or
    ``channels`` are named, only what concerns one of them is told; an act for every purpose or
    channel concerns all. ``identifiers`` are the types of which the subscriber needs the original.
    """

    name: str
    kind: Kind
    address: str
    topic: str = ""
    purposes: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    identifiers: tuple[str, ...] = ()
    paused: bool = False
    secret: str = field(default="", repr=False)
    properties: Mapping[str, str | int | bool] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidInputError(
                "A subscriber's name has 1 to 63 lower-case letters, digits, dots, dashes or"
                " underscores.",
                path="name",
            )
        if self.kind == "webhook":
            self._check_webhook()
        else:
            self._check_kafka()

    def wants(self, event: ConsentEvent) -> bool:
        """Whether it is told of this act."""
        act = event.act
        return (not self.purposes or act.purpose in {EVERY_PURPOSE, *self.purposes}) and (
            not self.channels or act.channel in {EVERY_CHANNEL, *self.channels}
        )

    def is_same_receiver(self, definition: Mapping[str, Any]) -> bool:
        """Whether a definition names the same servers, so that they may have the same secrets."""
        if self.kind == "kafka":
            kafka = definition.get("kafka") or {}
            return bool(kafka.get("bootstrap") == self.address)
        webhook = definition.get("webhook") or {}
        return "url" in webhook and _origin(webhook["url"]) == _origin(self.address)

    def definition(self) -> dict[str, Any]:
        """Return everything but name and secrets, as a JSON object."""
        target: dict[str, Any] = {"webhook": {"url": self.address}}
        if self.kind == "kafka":
            target = {"kafka": {"bootstrap": self.address, "topic": self.topic}}
        return target | {
            "purposes": list(self.purposes),
            "channels": list(self.channels),
            "identifiers": list(self.identifiers),
            "paused": self.paused,
        }

    def secrets(self) -> dict[str, Any]:
        """Return what is sealed, as a JSON object."""
        return {"secret": self.secret, "properties": dict(self.properties)}

    def _check_kafka(self) -> None:
        if not self.address or not self.topic:
            raise InvalidInputError("Name the bootstrap servers and the topic.", path="kafka")
        unknown = sorted(self.properties.keys() - _PROPERTIES)
        if unknown:
            raise InvalidInputError(
                f"The property {unknown[0]} cannot be set. There are: {', '.join(_SETTABLE)}.",
                path="kafka.properties",
            )
        said = {name: str(value).upper() for name, value in self.properties.items()}
        if not {said.get("sasl.mechanism", "PLAIN"), said.get("sasl.mechanisms", "PLAIN")} <= (
            _MECHANISMS
        ):
            raise InvalidInputError(
                f"The mechanism is one of {', '.join(sorted(_MECHANISMS))}.",
                path="kafka.properties",
            )
        if self.identifiers and said.get("security.protocol") not in _SEALED_PROTOCOLS:
            raise InvalidInputError(
                "Identifiers go out encrypted alone. Leave them out, or set security.protocol to"
                " SSL or SASL_SSL.",
                path="kafka.properties",
            )

    def _check_webhook(self) -> None:
        scheme, host, _ = _origin(self.address)
        if scheme not in {"http", "https"} or not host:
            raise InvalidInputError("Write the address as https://host/path.", path="webhook.url")
        if httpx.URL(self.address).userinfo:
            raise InvalidInputError("Put no password into the address.", path="webhook.url")
        if self.identifiers and scheme == "http" and host not in _HERE:
            raise InvalidInputError(
                "Identifiers go to https addresses alone. Leave them out, or change the address.",
                path="webhook.url",
            )
        if len(self.secret) < _LEAST_SECRET:
            raise InvalidInputError(
                f"A webhook needs a secret of at least {_LEAST_SECRET} characters to sign with.",
                path="webhook.secret",
            )


def _origin(address: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of an address.

    Raises:
        InvalidInputError: it is none.
    """
    try:
        url = httpx.URL(address)
    except (httpx.InvalidURL, UnicodeError, ValueError):
        raise InvalidInputError(
            "The address cannot be read. Write it as https://host/path.", path="webhook.url"
        ) from None
    return url.scheme, url.host, url.port


def subscriber_of(
    name: str, definition: Mapping[str, Any], secrets: Mapping[str, Any]
) -> Subscriber:
    """Return the subscriber that ``definition`` and ``secrets`` described.

    Raises:
        InvalidInputError: they describe none; the place is named.
    """
    webhook, kafka = definition.get("webhook"), definition.get("kafka")
    return Subscriber(
        name,
        "webhook" if webhook else "kafka",
        webhook["url"] if webhook else kafka["bootstrap"] if kafka else "",
        kafka["topic"] if kafka else "",
        tuple(definition["purposes"]),
        tuple(definition["channels"]),
        tuple(definition["identifiers"]),
        bool(definition["paused"]),
        secrets["secret"],
        secrets["properties"],
    )
