"""Where packages meet: a Protocol each, implemented by its owner and wired in ``candor.wiring``.

Beside each stands the implementation for "there is none", so that the way of an event is whole
from the first day and an owner only replaces a part of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

import msgspec

OtlpSignal = Literal["traces", "logs", "metrics"]
"""The kinds of OpenTelemetry requests."""


REFUSAL_CODES = (
    "malformed",
    "unknown_schema",
    "schema_violation",
    "too_large",
    "consent_denied",
    "suppressed",
    "pii_blocked",
    "clock_skew",
)
"""Why events are refused, a closed list."""


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
    def schema(self) -> str:
        """The contract that it names, or the empty string."""

    @property
    def journey(self) -> str:
        """The journey that it belongs to, or the empty string."""

    @property
    def channel(self) -> str:
        """The channel that it came through, or the empty string."""

    @property
    def subject_key(self) -> str:
        """The pseudonym of the person, or the empty string."""


@dataclass(frozen=True, slots=True)
class EntryTerms:
    """For which purposes a contract lets its events in.

    ``strips`` says what becomes of an event whose person does not allow one of them: it loses its
    person instead of being refused.
    """

    purposes: tuple[str, ...]
    strips: bool = False


@dataclass(frozen=True, slots=True)
class Admission:
    """What the gate says of a batch: a refusal by index, and the indices that lose their person."""

    refusals: Mapping[int, Refusal]
    stripped: frozenset[int] = frozenset()


EVERYONE = Admission({})


class EntryGate(Protocol):
    """Decides at entry whether an event's person allows its use."""

    def admit(self, events: Sequence[GatedEvent], terms: Mapping[str, EntryTerms]) -> Admission:
        """Return which events must not enter, or not with their person; most often none.

        ``terms`` are those of the contracts, by the schema that an event names.

        Raises:
            UnavailableError: it cannot tell now; nothing may enter.
        """


class StorableEvent(Protocol):
    """An event in the very form that would be written: what is masked here is never on a disk.

    ``attributes`` are values as JSON text; the person is a pseudonym already.
    """

    id: str
    name: str
    schema: str
    journey: str
    instance: str
    step: str
    channel: str
    service: str
    error_code: str
    experiment: str
    variant: str
    currency: str
    subject_key: str
    attributes: dict[str, msgspec.Raw]


@dataclass(frozen=True, slots=True)
class Redacted:
    """An OTLP request with personal values masked, without the records that must not be stored.

    ``refusals`` says why, by the position of the record in the request that was given.
    """

    content: bytes
    refusals: Mapping[int, Refusal] = field(default_factory=dict)


class Redactor(Protocol):
    """Masks personal values before anything is written."""

    def redact_events(
        self, events: Sequence[StorableEvent], source: str = ""
    ) -> Mapping[int, Refusal]:
        """Mask in place; return a refusal for the index of each event that must not be stored.

        ``source`` is who sent them: the name of the key.

        What is put in the place of an id decides which event is which: it must be the same for the
        same id, after a restart too, and another for another id.

        Raises:
            UnavailableError: it cannot tell now; nothing may be stored.
        """

    def redact_otlp(self, signal: OtlpSignal, request: bytes, source: str = "") -> Redacted:
        """Return an OTLP request in protobuf with personal values masked; the same when clean.

        Records are counted in the order in which the request has them: spans, log records, or data
        points.

        Raises:
            UnavailableError: it cannot tell now; nothing may be stored.
        """


class PersonalValue(msgspec.Struct, frozen=True, gc=False):
    """One personal value of a batch: whose it is (empty: nobody knows), and where it stands.

    ``field`` is the path of the field, as the policy spells it; encryption binds the value to it.
    """

    value: str
    subject_key: str = ""
    field: str = ""

    def __repr__(self) -> str:
        """Return everything but the value."""
        return f"PersonalValue(subject_key={self.subject_key!r}, field={self.field!r})"


class Vault(Protocol):
    """Keeps what must not be stored in clear but may have to be read again by who is allowed to.

    Every call is one read of the state store for the whole batch, and writes when a person or a
    value is new: so hand over all values of a batch at once. Safe to share between threads.

    Every method raises UnavailableError when the state store or the key that protects all others
    cannot be had: nothing may be stored then.
    """

    def tokenise(self, values: Sequence[str], scope: str, subject_key: str = "") -> list[str]:
        """Return a token (``tok_...``) for each value: the same for the same value in one scope.

        Tokens of two scopes cannot be joined, not even by who knows how they are made: a token is
        random, and only the vault knows what it stands for. ``scope`` names the purpose in lower
        case, such as ``support``.
        """

    def tokenise_all(self, values: Sequence[PersonalValue], scope: str) -> list[str]:
        """Return what ``tokenise`` does for values of many people; fields do not matter."""

    def encrypt(self, values: Sequence[str], subject_key: str, field: str) -> list[str]:
        """Return each value encrypted (``enc1...``) under the person's own key.

        The text opens for that person and field alone, differs at every call, and is lost with the
        key of the person.
        """

    def encrypt_all(self, values: Sequence[PersonalValue]) -> list[str]:
        """Return what ``encrypt`` does for values of many people and fields."""


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


@dataclass(frozen=True, slots=True)
class Original:
    """An identifier as it was sent: the only shape in which one leaves the place that keeps it."""

    type: str
    value: str


class Originals(Protocol):
    """Gives identifiers back where they were kept, to who must send them on."""

    def originals(self, subject_keys: Sequence[str]) -> Mapping[str, Original]:
        """Return what pseudonyms stand for; one that was erased, or never kept, is left out.

        Raises:
            UnavailableError: it cannot tell now.
        """


class OpenGate:
    """The entry gate of an installation that has no purposes: every event may enter."""

    def admit(self, events: Sequence[GatedEvent], terms: Mapping[str, EntryTerms]) -> Admission:
        """Return that every event may enter with its person."""
        del events, terms
        return EVERYONE


class NoRedaction:
    """The redactor of an installation that has no policies: everything passes untouched."""

    def redact_events(
        self, events: Sequence[StorableEvent], source: str = ""
    ) -> Mapping[int, Refusal]:
        """Return no refusal and change nothing."""
        del events, source
        return {}

    def redact_otlp(self, signal: OtlpSignal, request: bytes, source: str = "") -> Redacted:
        """Return the request itself."""
        del signal, source
        return Redacted(request)


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


class NoOriginals:
    """The originals of an installation that keeps none: pseudonyms stay pseudonyms."""

    def originals(self, subject_keys: Sequence[str]) -> Mapping[str, Original]:
        """Return nothing."""
        del subject_keys
        return {}
