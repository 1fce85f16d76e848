"""The redactor at the entry: what is proven clean passes untouched, all else is looked at.

All texts of a batch go through one pass first. It names the few that may hold something; these
alone are decoded, scanned and treated. An event whose treatment fails is refused, and nothing of it
is stored in clear.

What tells events apart (their id and their instance) is masked one to one: by a keyed digest, the
same for the same text at all times. So two events never become one.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from bisect import bisect_right
from operator import attrgetter
from typing import Any

import msgspec

from candor.kernel.errors import CandorError
from candor.kernel.logging import log
from candor.kernel.metrics import PiiMetrics
from candor.kernel.ports import OtlpSignal, Refusal, StorableEvent
from privacy.pii.finding import Located, field_of
from privacy.pii.guard import Guard, Guards, Marks
from privacy.pii.ledger import FindingLedger
from privacy.pii.otlp import redact_request
from privacy.pii.policy import Mark
from privacy.pii.scanning import Circumstances, Scan
from privacy.pii.suspicion import suspect_lines

TEXTS = (
    "id",
    "name",
    "schema",
    "journey",
    "instance",
    "step",
    "channel",
    "service",
    "error_code",
    "experiment",
    "variant",
    "currency",
)
"""The fields of an event that a sender writes as text, beside its attributes."""
_DISTINCT = frozenset({"id", "instance"})
_texts_of = attrgetter(*TEXTS)
_NO_MARKS: Mapping[str, Mark] = {}
_FAILED = Refusal("pii_blocked", "It could not be examined for personal data.")


class PolicyRedactor:
    """Masks by the policy in force. Safe to share between threads."""

    def __init__(
        self, guards: Guards, marks: Marks, ledger: FindingLedger, metrics: PiiMetrics
    ) -> None:
        self._guards = guards
        self._marks = marks
        self._ledger = ledger
        self._metrics = metrics

    def redact_events(
        self, events: Sequence[StorableEvent], source: str = ""
    ) -> Mapping[int, Refusal]:
        """Mask in place; return a refusal for the index of each event that must not be stored.

        Raises:
            UnavailableError: the policy or the vault cannot be asked; nothing may be stored.
        """
        guard = self._guards.current()
        refusals: dict[int, Refusal] = {}
        if not events:
            return refusals
        marks = {schema: self._marks.of(schema) for schema in {one.schema for one in events}}
        for index, fields in _suspects(guard, events, marks).items():
            event = events[index]
            about = Circumstances(source, event.subject_key, marks[event.schema])
            try:
                refusal = self._treat(guard, event, fields, about)
            except CandorError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever fails refuses its event, no other
                self._metrics.failures.inc()
                log().error("an event could not be examined", reason=type(error).__name__)
                refusal = _FAILED
            if refusal is not None:
                refusals[index] = refusal
        return refusals

    def redact_otlp(self, signal: OtlpSignal, request: bytes, source: str = "") -> bytes:
        """Return an OTLP request in protobuf with personal values masked; the same when clean.

        Raises:
            UnavailableError: the policy or the vault cannot be asked; nothing may be stored.
        """
        guard = self._guards.current()

        def note(scan: Scan) -> None:
            self._note(guard, source, scan)

        return redact_request(signal, request, guard, source, note, self._metrics)

    def _treat(
        self, guard: Guard, event: StorableEvent, fields: set[str], about: Circumstances
    ) -> Refusal | None:
        """Mask the suspect fields of an event; ``/KEY`` is an attribute."""
        refusal = None
        for name in sorted(fields):
            scan = (
                _treat_attribute(guard, event, name[1:], about)
                if name.startswith("/")
                else _treat_text(guard, event, name, about)
            )
            self._note(guard, about.source, scan)
            if scan.blocked is not None and refusal is None:
                refusal = _blocked(scan.blocked)
        return refusal

    def _note(self, guard: Guard, source: str, scan: Scan) -> None:
        for located, value in zip(scan.findings, scan.samples, strict=True):
            self._ledger.note(source, located, value, guard.policy)


def _suspects(
    guard: Guard, events: Sequence[StorableEvent], marks: Mapping[str, Mapping[str, Mark]]
) -> dict[int, set[str]]:
    """Return which fields of which events must be looked at; most often none."""
    texts: list[str] = []
    raws: list[Any] = []
    for event in events:
        texts += _texts_of(event)
        raws += event.attributes.values()
    suspects: dict[int, set[str]] = {}
    numbers, weak = suspect_lines(guard.lines, [text.encode() for text in texts])
    for number in numbers:
        index, field = divmod(number, len(TEXTS))
        suspects.setdefault(index, set()).add(TEXTS[field])
    numbers, weaker = suspect_lines(guard.lines, raws)
    if numbers:
        ends = list(accumulate(len(event.attributes) for event in events))
        for number in numbers:
            index = bisect_right(ends, number)
            event = events[index]
            key = list(event.attributes)[number - (ends[index] - len(event.attributes))]
            suspects.setdefault(index, set()).add(f"/{key}")
    for index, key in _suspect_keys(guard, events, weak | weaker):
        suspects.setdefault(index, set()).add(f"/{key}")
    if any(marks.values()):
        for index, event in enumerate(events):
            for name in _marked(event, marks[event.schema]):
                suspects.setdefault(index, set()).add(name)
    return suspects


def _suspect_keys(
    guard: Guard, events: Sequence[StorableEvent], weak: frozenset[int]
) -> Iterator[tuple[int, str]]:
    """Yield the attributes that must be looked at for the name that they bear."""
    keys: set[str] = set().union(*[event.attributes for event in events])
    for key in keys:
        known = guard.key(key)
        if known.is_suspect or (known.lifts and not known.lifts.isdisjoint(weak)):
            yield from ((n, key) for n, event in enumerate(events) if key in event.attributes)


def _marked(event: StorableEvent, marks: Mapping[str, Mark]) -> Iterator[str]:
    """Yield the fields of an event that its contract calls personal, or free text."""
    for name, mark in marks.items():
        if mark.kind in ("personal", "free_text"):
            first, _, rest = name.partition(".")
            if first in TEXTS:
                yield first
            elif first == "attributes":
                yield from (
                    f"/{key}"
                    for key in event.attributes
                    if f"{rest}.".startswith((f"{key}.", f"{key}["))
                )


def _treat_text(guard: Guard, event: StorableEvent, name: str, about: Circumstances) -> Scan:
    """Mask a text of an event; one that tells events apart stays apart from all others."""
    before: str = getattr(event, name)
    scan = guard.scanner.scan(before, about, (name,))
    after = scan.payload
    if after != before:
        if name in _DISTINCT:
            after = f"masked-{guard.scanner.digest(before)}"
        setattr(event, name, str(after or ""))
    return scan


def _treat_attribute(guard: Guard, event: StorableEvent, key: str, about: Circumstances) -> Scan:
    """Mask an attribute of an event, its key too."""
    value = msgspec.json.decode(event.attributes[key])
    scan = guard.scanner.scan({key: value}, about, ("attributes",))
    if scan.payload != {key: value}:
        made: dict[str, msgspec.Raw] = {}
        for name, raw in event.attributes.items():
            if name != key:
                made[name] = raw
                continue
            for new, one in scan.payload.items():
                made[new if new not in event.attributes or new == key else f"{new}#2"] = (
                    msgspec.Raw(msgspec.json.encode(one))
                )
        event.attributes = made
    return scan


def _blocked(located: Located) -> Refusal:
    return Refusal(
        "pii_blocked",
        f"The policy keeps events with {located.finding.entity} out.",
        field_of(located.path),
    )
