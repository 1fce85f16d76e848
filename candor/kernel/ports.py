"""Where packages meet: a Protocol each, implemented by its owner and wired in ``candor.wiring``.

Beside each stands the implementation for "there is none", so that the way of an event is whole
from the first day and an owner only replaces a part of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import msgspec

OtlpSignal = Literal["traces", "logs", "metrics"]
"""The kinds of OpenTelemetry requests."""


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


class StorableEvent(Protocol):
    """An event in the very form that would be written: what is masked here is never on a disk.

    ``attributes`` are values as JSON text; the person is a pseudonym already.
    """

    id: str
    name: str
    instance: str
    step: str
    error_code: str
    attributes: dict[str, msgspec.Raw]


class Redactor(Protocol):
    """Masks personal values before anything is written."""

    def redact_events(self, events: Sequence[StorableEvent]) -> Mapping[int, Refusal]:
        """Mask in place; return a refusal for the index of each event that must not be stored."""

    def redact_otlp(self, signal: OtlpSignal, request: bytes) -> bytes:
        """Return an OTLP request in protobuf with personal values masked; the same when clean."""


class OpenGate:
    """The entry gate of an installation that has no purposes: every event may enter."""

    def refusals(self, events: Sequence[GatedEvent]) -> Mapping[int, Refusal]:
        """Return no refusal."""
        del events
        return {}


class NoRedaction:
    """The redactor of an installation that has no policies: everything passes untouched."""

    def redact_events(self, events: Sequence[StorableEvent]) -> Mapping[int, Refusal]:
        """Return no refusal and change nothing."""
        del events
        return {}

    def redact_otlp(self, signal: OtlpSignal, request: bytes) -> bytes:
        """Return the request itself."""
        del signal
        return request
