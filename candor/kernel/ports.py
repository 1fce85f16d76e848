"""Where packages meet: a Protocol each, implemented by its owner and wired in ``candor.wiring``.

Beside each stands the implementation for "there is none", so that the way of an event is whole
from the first day and an owner only replaces a part of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
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
        """Mask in place; return a refusal for the index of each event that must not be stored.

        What is put in the place of an id decides which event is which: it must be the same for the
        same id, after a restart too, and another for another id.
        """

    def redact_otlp(self, signal: OtlpSignal, request: bytes) -> bytes:
        """Return an OTLP request in protobuf with personal values masked; the same when clean."""


@dataclass(frozen=True, slots=True)
class Identifier:
    """One of the names that a person goes by: its type, and the pseudonym that stands for it."""

    type: str
    subject_key: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who said that identifiers belong together, and when.

    ``source`` is the name of the key, ``door`` and ``call`` how it was said, ``at`` the time of the
    act and ``received_at`` that of its arrival. ``decided`` tells a decision that someone made from
    what telemetry implies: only a decision undoes an unlinking.
    """

    source: str
    door: str
    call: str
    at: datetime
    received_at: datetime
    decided: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """What one act said: all these identifiers are of one person, and belong to ``group``."""

    identifiers: tuple[Identifier, ...]
    provenance: Provenance
    group: Identifier | None = None


class SubjectIndex(Protocol):
    """Knows which identifiers are of one person. It sees pseudonyms, never an identifier."""

    def link(self, identifiers: Sequence[Identifier], provenance: Provenance) -> None:
        """Say that identifiers are of one person; saying it again adds nothing.

        Linking is transitive: whoever shares an identifier becomes one person.
        """

    def link_all(self, links: Sequence[Link]) -> None:
        """Say what many acts said, all of it or nothing."""

    def unlink(
        self, identifier: Identifier, provenance: Provenance, other: Identifier | None = None
    ) -> None:
        """Take an identifier from its person, or the link to ``other`` alone; again adds nothing.

        What only that held together falls apart. Telemetry does not link it anew.

        Raises:
            ConflictError: no act linked it with ``other``.
        """

    def linked(self, subject_key: str) -> tuple[str, ...]:
        """Return every subject key of the person, itself among them, in order.

        A key that was never linked is a person of its own.
        """


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


class NoSubjectIndex:
    """The subject index of an installation without one: each identifier is a person of its own."""

    def link(self, identifiers: Sequence[Identifier], provenance: Provenance) -> None:
        """Remember nothing."""

    def link_all(self, links: Sequence[Link]) -> None:
        """Remember nothing."""

    def unlink(
        self, identifier: Identifier, provenance: Provenance, other: Identifier | None = None
    ) -> None:
        """Change nothing."""

    def linked(self, subject_key: str) -> tuple[str, ...]:
        """Return the key alone."""
        return (subject_key,)
