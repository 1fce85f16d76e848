"""The redactor at the entry: what is proven clean passes untouched, all else is looked at.

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

import msgspec

from candor.kernel.errors import CandorError
from candor.kernel.logging import log
from candor.kernel.metrics import PiiMetrics
from candor.kernel.ports import OtlpSignal, Refusal, StorableEvent
from privacy.pii.finding import Located, field_of
from privacy.pii.guard import Guard, Marks
from privacy.pii.ledger import FindingLedger
from privacy.pii.otlp import redact_request
from privacy.pii.policy import Mark
from privacy.pii.scanning import Circumstances, Scan
from privacy.pii.shapes import is_impersonal
from privacy.pii.suspicion import suspect_texts, suspect_values
from privacy.pii.transform import Errands, filled

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
        self, guard: Callable[[], Guard], marks: Marks, ledger: FindingLedger, metrics: PiiMetrics
    ) -> None:
        self._guard = guard
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
        guard = self._guard()
        refusals: dict[int, Refusal] = {}
        if not events:
            return refusals
        marks = {schema: self._marks.of(schema) for schema in {one.schema for one in events}}
        errands = Errands()
        suspects = _suspects(guard, events, marks)
        for index, fields in suspects.items():
            event = events[index]
            about = Circumstances(source, event.subject_key, marks[event.schema], errands)
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
        if suspects and (settled := guard.scanner.settle(errands)):
            for index in suspects:
                _fill_in(events[index], settled)
        return refusals

    def redact_otlp(self, signal: OtlpSignal, request: bytes, source: str = "") -> bytes:
        """Return an OTLP request in protobuf with personal values masked; the same when clean.

        Raises:
            UnavailableError: the policy or the vault cannot be asked; nothing may be stored.
        """
        guard = self._guard()

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
        texts += _texts_of(event)
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


def _all_marked(
    events: Sequence[StorableEvent], marks: Mapping[str, Mapping[str, Mark]]
) -> Iterator[tuple[int, str]]:
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


def _fill_in(event: StorableEvent, settled: Mapping[str, str]) -> None:
    """Put what the vault answered in the place of the marks of an event."""
    for name in TEXTS:
        setattr(event, name, filled(getattr(event, name), settled))
    event.attributes = {
        filled(key, settled): msgspec.Raw(filled(bytes(raw).decode(), settled).encode())
        for key, raw in event.attributes.items()
    }


def _blocked(located: Located) -> Refusal:
    return Refusal(
        "pii_blocked",
        f"The policy keeps events with {located.finding.entity} out.",
        field_of(located.path),
    )
