"""What the endpoints of subscribers take and answer; a secret goes in and never comes out."""

from datetime import datetime
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from candor.kernel.errors import MalformedError
from candor.kernel.input_faults import invalid_input
from privacy.propagation.lane import DeadLetter
from privacy.propagation.register import Change, Wanted
from privacy.propagation.store import Progress

Word = Annotated[str, Field(min_length=1, max_length=120)]
Words = Annotated[list[Word], Field(max_length=200)]
Type = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
POSITION = r"^[0-9]{1,15}(\.[0-9]{1,9})?$"
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]


class WebhookBody(BaseModel):
    """An address; the secret may be left out when it is known."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    url: Annotated[str, Field(min_length=8, max_length=2000)]
    secret: Annotated[str, Field(min_length=16, max_length=500)] | None = None


class KafkaBody(BaseModel):
    """A topic; the properties, which may hold passwords, may be left out when they are known."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    bootstrap: Annotated[str, Field(min_length=1, max_length=2000)]
    topic: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
    properties: Annotated[dict[Word, str | int | bool], Field(max_length=100)] | None = None


class SubscriberBody(BaseModel):
    """A subscriber to put: a webhook or a Kafka topic, and what it is told of."""

    model_config = ConfigDict(extra="forbid")

    webhook: WebhookBody | None = None
    kafka: KafkaBody | None = None
    purposes: Words = []
    channels: Words = []
    identifiers: Annotated[list[Type], Field(max_length=20)] = []
    paused: bool = False
    start: Literal["now", "beginning"] = "now"

    @model_validator(mode="after")
    def _one_way(self) -> "SubscriberBody":
        if (self.webhook is None) == (self.kafka is None):
            raise ValueError("name either a webhook or a Kafka topic")
        return self

    def wanted(self, name: str) -> Wanted:
        """Return what is to be put under a name."""
        definition = self.model_dump(exclude={"webhook", "kafka", "start"})
        if self.webhook is not None:
            definition["webhook"] = {"url": self.webhook.url}
            return Wanted(name, definition, self.webhook.secret, None, self.start)
        kafka = self.kafka
        if kafka is None:
            raise TypeError(kafka)
        definition["kafka"] = {"bootstrap": kafka.bootstrap, "topic": kafka.topic}
        return Wanted(name, definition, None, kafka.properties, self.start)


class SubscribersBody(BaseModel):
    """Subscribers by name, as a file holds them."""

    model_config = ConfigDict(extra="forbid")

    subscribers: Annotated[dict[Name, SubscriberBody], Field(min_length=1, max_length=200)]


class ReplayBody(BaseModel):
    """From which place of the ledger to tell again, or ``dead_letters`` for what was given up."""

    model_config = ConfigDict(extra="forbid")

    position: Annotated[str, Field(alias="from", pattern=f"{POSITION}|^(dead_letters|beginning)$")]


def read_subscribers(text: bytes) -> list[Wanted]:
    """Return the subscribers of a YAML document.

    Raises:
        MalformedError: it is no YAML.
        InvalidInputError: it describes none; the place is named.
    """
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError):
        raise MalformedError("The document is no YAML that can be read.") from None
    try:
        body = SubscribersBody.model_validate(document)
    except ValidationError as error:
        raise invalid_input(error) from None
    return [one.wanted(name) for name, one in body.subscribers.items()]


def change_document(change: Change) -> dict[str, Any]:
    """Return what putting a subscriber changed."""
    word = "created" if change.is_new else "changed" if change.is_any else "unchanged"
    return {
        "kind": "subscriber",
        "name": change.name,
        "change": word,
        "fields": {
            name: {"before": before, "after": after}
            for name, (before, after) in change.fields.items()
        },
        "unknown_purposes": list(change.unknown),
    }


def subscriber_document(
    name: str,
    definition: dict[str, Any],
    progress: Progress,
    counts: tuple[int, int],
    behind_since: datetime | None,
) -> dict[str, Any]:
    """Return a subscriber and how it stands.

    It was served everything before ``position``. ``counts`` are the persons who wait and the acts
    that were given up; ``behind_since`` is when the oldest act was recorded that it was not told.
    """
    waiting, dead = counts
    return {
        "name": name,
        **definition,
        "position": str(progress.position.next_to_tell),
        "behind_since": behind_since.isoformat() if behind_since is not None else None,
        "persons_waiting": waiting,
        "dead_letters": dead,
        "failures": progress.failures,
        "next_at": progress.next_at.isoformat(),
        "outcome": progress.outcome or None,
    }


def dead_document(dead: DeadLetter) -> dict[str, Any]:
    """Return an act that was given up, and why."""
    return {
        "position": str(dead.position),
        "consent_event": dead.event,
        "subject_key": dead.subject_key,
        "attempts": dead.attempts,
        "outcome": dead.outcome,
        "at": dead.at.isoformat(),
    }
