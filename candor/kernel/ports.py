"""Where packages meet: a Protocol each, implemented by its owner and wired in ``candor.wiring``.

Beside each stands the implementation for "there is none", so that the way of an event is whole
from the first day and an owner only replaces a part of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Encoding = Literal["json_lines", "otlp_traces"]
"""What bytes hold: stored events, one JSON array a line; or delimited OTLP trace requests."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one event was not accepted.

    ``code`` is of the closed list of the native door; ``path`` is the place inside the event;
    ``message`` never repeats a value of the event.
    """

    code: str
    message: str
    path: str | None = None


class GatedEvent(Protocol):
    """What the entry gate may know about an event: never a raw identifier."""

    @property
    def name(self) -> str:
        """The name of the event."""

    @property
    def journey(self) -> str:
        """The journey that it belongs to, or the empty string."""

    @property
    def channel(self) -> str:
        """The channel that it came through, or the empty string."""

    @property
    def subject_key(self) -> str:
        """The pseudonym of the person, or the empty string."""


class EntryGate(Protocol):
    """Decides at entry whether an event's person allows its use."""

    def refusals(self, events: Sequence[GatedEvent]) -> Mapping[int, Refusal]:
        """Return a refusal for the index of each event that must not enter; most often none."""


class Redactor(Protocol):
    """Masks personal values in the very bytes that would be written to the disk."""

    def redact(self, payload: bytes, encoding: Encoding) -> "Redaction":
        """Return the bytes to write and the records that must not be written at all."""


@dataclass(frozen=True, slots=True)
class Redaction:
    """What a redactor answers: clean payloads come back untouched, the same object.

    ``refused`` counts records from 0 in the payload that went in; they are absent from
    ``payload``.
    """

    payload: bytes
    refused: Mapping[int, Refusal]


class OpenGate:
    """The entry gate of an installation that has no purposes: every event may enter."""

    def refusals(self, events: Sequence[GatedEvent]) -> Mapping[int, Refusal]:
        """Return no refusal."""
        del events
        return {}


class NoRedaction:
    """The redactor of an installation that has no policies: every payload passes untouched."""

    def redact(self, payload: bytes, encoding: Encoding) -> Redaction:
        """Return the payload itself."""
        del encoding
        return Redaction(payload, {})
