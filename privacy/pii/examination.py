"""The examination of a batch of events: what is proven clean is left alone, all else looked at.

All texts of a batch go through one pass first. It names the few that may hold something; these
alone are decoded, scanned and treated. An event whose treatment fails is refused, and nothing of it
is stored in clear.

What tells events apart (their id and their instance) is masked one to one: by a keyed digest, the
same for the same text at all times. So two events never become one.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, chain
from operator import attrgetter
from typing import Protocol

import msgspec

from candor.kernel.errors import CandorError
from candor.kernel.ports import OtlpSignal, Refusal, StorableEvent
from privacy.pii.guard import Guard
from privacy.pii.otlp import redact_request
from privacy.pii.outcome import Outcome, blocked
from privacy.pii.policy import Mark
from privacy.pii.scanning import Circumstances, Scan
from privacy.pii.shapes import is_impersonal
from privacy.pii.suspicion import suspect_texts, suspect_values

FieldMarks = Mapping[str, Mapping[str, Mark]]
"""What contracts say of the fields of their events, by the schema that an event names."""
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
texts_of = attrgetter(*TEXTS)
_FAILED = Refusal("pii_blocked", "It could not be examined for personal data.")


class Examiner(Protocol):
    """Looks at batches, and masks what the policy in force says. Safe to share between threads.

    Its methods raise UnavailableError when the policy is not known, or nobody can look now: nothing
    of the batch may be stored then.
    """

    def examine_events(
        self, events: Sequence[StorableEvent], marks: FieldMarks, source: str
    ) -> Outcome:
        """Mask in place, and return what was found."""

    def examine_request(
        self, signal: OtlpSignal, body: bytes, source: str
    ) -> tuple[bytes, Outcome]:
        """Return an OTLP request as it may be stored, and what was found."""


class LocalExaminer:
    """Looks at batches in the thread that asks."""

    def __init__(self, guard: Callable[[], Guard]) -> None:
        self._guard = guard

    def examine_events(
        self, events: Sequence[StorableEvent], marks: FieldMarks, source: str
    ) -> Outcome:
        """Mask in place, and return what was found."""
        _, outcome = examine_events(self._guard(), events, marks, source)
        return outcome

    def examine_request(
        self, signal: OtlpSignal, body: bytes, source: str
    ) -> tuple[bytes, Outcome]:
        """Return an OTLP request as it may be stored, and what was found."""
        return redact_request(signal, body, self._guard(), source)


def examine_events(
    guard: Guard, events: Sequence[StorableEvent], marks: FieldMarks, source: str
) -> tuple[Sequence[int], Outcome]:
    """Mask in place; return the positions of what was looked at, and what was found."""
    outcome = Outcome(guard.policy)
    suspects = _suspects(guard, events, marks)
    for index, fields in suspects.items():
        event = events[index]
        about = Circumstances(source, event.subject_key, marks[event.schema], outcome.errands)
        try:
            refusal = _treat(guard, event, fields, about, outcome)
        except CandorError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever fails refuses its event, no other
            outcome.failures.append(type(error).__name__)
            refusal = _FAILED
        if refusal is not None:
            outcome.refusals[index] = refusal
    return list(suspects), outcome


def _treat(
    guard: Guard, event: StorableEvent, fields: set[str], about: Circumstances, outcome: Outcome
) -> Refusal | None:
    """Mask the suspect fields of an event; ``/KEY`` is an attribute."""
    refusal = None
    for name in sorted(fields):
        scan = (
            _treat_attribute(guard, event, name[1:], about)
            if name.startswith("/")
            else _treat_text(guard, event, name, about)
        )
        outcome.note(scan)
        if scan.blocked is not None and refusal is None:
            refusal = blocked(scan.blocked)
    return refusal


def _suspects(
    guard: Guard, events: Sequence[StorableEvent], marks: FieldMarks
) -> dict[int, set[str]]:
    """Return which fields of which events must be looked at; most often none."""
    suspects: dict[int, set[str]] = {}
    found = chain(
        _suspect_texts(guard, events),
        _suspect_attributes(guard, events),
        _suspect_keys(guard, events),
        _all_marked(events, marks) if any(marks.values()) else (),
    )
    for index, name in found:
        suspects.setdefault(index, set()).add(name)
    return suspects


def _suspect_texts(guard: Guard, events: Sequence[StorableEvent]) -> Iterator[tuple[int, str]]:
    texts: list[str] = []
    for event in events:
        texts += texts_of(event)
    distinct = list(dict.fromkeys(texts))
    named = {distinct[number] for number in suspect_texts(guard.lines, distinct)}
    if guard.policy.evidence:
        named = {text for text in named if not is_impersonal(text)}
    for number, text in enumerate(texts) if named else ():
        if text in named:
            index, field = divmod(number, len(TEXTS))
            yield index, TEXTS[field]


def _suspect_attributes(guard: Guard, events: Sequence[StorableEvent]) -> Iterator[tuple[int, str]]:
    values: list[msgspec.Raw] = []
    for event in events:
        values += event.attributes.values()
    ends = list(accumulate(len(event.attributes) for event in events))
    for number in suspect_values(guard.lines, values):
        if guard.policy.evidence and is_impersonal(bytes(values[number])[1:-1].decode()):
            continue
        index = bisect_right(ends, number)
        keys = list(events[index].attributes)
        yield index, f"/{keys[number - ends[index]]}"


def _suspect_keys(guard: Guard, events: Sequence[StorableEvent]) -> Iterator[tuple[int, str]]:
    """Yield the attributes that must be looked at for the name that they bear."""
    keys: set[str] = set().union(*[event.attributes for event in events])
    for key in keys:
        if guard.is_suspect(key):
            yield from ((n, f"/{key}") for n, event in enumerate(events) if key in event.attributes)


def _all_marked(events: Sequence[StorableEvent], marks: FieldMarks) -> Iterator[tuple[int, str]]:
    """Yield the fields that contracts call personal, or free text."""
    fields = {
        schema: [field for field, mark in its.items() if mark.kind in ("personal", "free_text")]
        for schema, its in marks.items()
    }
    for index, event in enumerate(events):
        for field in fields[event.schema]:
            yield from ((index, name) for name in _named(event, field))


def _named(event: StorableEvent, field: str) -> Iterator[str]:
    """Yield the text or the attributes of an event that a field lies in."""
    first, _, rest = field.partition(".")
    if first in TEXTS:
        yield first
    elif first == "attributes":
        within = f"{rest}."
        yield from (
            f"/{key}" for key in event.attributes if within.startswith((f"{key}.", f"{key}["))
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
    if not guard.is_suspect(key):
        scan = guard.scanner.scan(value, about, ("attributes", key))
        if scan.is_dropped:
            del event.attributes[key]
        elif scan.payload is not value:
            event.attributes[key] = msgspec.Raw(msgspec.json.encode(scan.payload))
        return scan
    scan = guard.scanner.scan({key: value}, about, ("attributes",))
    others = {name: raw for name, raw in event.attributes.items() if name != key}
    for new, made in scan.payload.items():
        others[new if new not in others else f"{new}#{guard.scanner.digest(key)[:8]}"] = (
            msgspec.Raw(msgspec.json.encode(made))
        )
    event.attributes = others
    return scan
