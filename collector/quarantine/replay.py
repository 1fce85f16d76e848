"""Replays: a refused event is opened, mended, and sent through its own door once more.

Exactly once: an entry is marked in the transaction that sends it, so that no two replays, of
whatever process, send it at a time, and none sends it again. Should the process die after the event
is on the disk and before the mark is, the next replay finds the event among the identities of the
last hours or in the telemetry store, counts it as deduplicated, and marks the entry.

That transaction keeps all other writers of SQLite waiting, so what can be done before it is: the
entries are opened and decoded, and the telemetry store is asked once which of them it holds. What
they say about persons is written after it, for that needs the same lock. A record of OTLP that is
taken may be a journey event that is refused: it is kept in its turn, under a key that is at hand.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

from msgspec.structs import replace
from sqlalchemy.orm import Session

from candor.kernel.database import session_of
from candor.kernel.errors import NotFoundError, UnavailableError
from candor.kernel.ports import Link, OtlpSignal, Refusal
from candor.kernel.services import Services
from collector.contracts.contract import parse_reference
from collector.contracts.store import find_contract
from collector.dedupe import Identity
from collector.event import Batch, Event, Receipt, Rejection
from collector.intake import Submission
from collector.quarantine.keys import KeyCabinet
from collector.quarantine.mending import Mending, mend
from collector.quarantine.sealing import open_sealed
from collector.quarantine.store import (
    Entry,
    find_entries,
    mark_replayed,
    replayed_at,
    stored_identities,
    stored_records,
    unmark_replayed,
)
from collector.receivers import (
    cloudevents,
    native,
    otlp,
    otlp_record,
    otlp_shape,
    rum,
    segment,
    segment_call,
)
from collector.receivers.decoding import Reception

Resent = Batch | otlp.OtlpRequest
"""What a door makes of an event that is sent again: a batch, or a record of OTLP."""

_LOST = "What was sent cannot be opened any more: its key is destroyed."
_NO_DOOR = "Events of this door cannot be replayed."


def _decode_native(payload: bytes, call: str, reception: Reception) -> Batch:
    del call
    return native.decode_items([payload], reception)


def _decode_step(payload: bytes, call: str, reception: Reception) -> Batch:
    del call
    return native.decode_items([payload], reception, rum.DOOR)


def _decode_cloudevent(payload: bytes, call: str, reception: Reception) -> Batch:
    del call
    return cloudevents.read_items([payload], reception)


def _decode_segment(payload: bytes, call: str, reception: Reception) -> Batch:
    return segment.decode_segment(segment.SegmentBody([payload], None), call, reception)


def _decode_record(payload: bytes, call: str, reception: Reception) -> Resent | Refusal:
    """Return a record that was refused; or its journey event alone, if only that was."""
    if call.endswith(otlp_record.JOURNEY):
        return otlp.reread_journey(payload, call, reception)
    return otlp.reread_record(payload, call, reception)


DOORS: Mapping[str, Callable[[bytes, str, Reception], Resent | Refusal]] = {
    native.DOOR: _decode_native,
    rum.DOOR: _decode_step,
    cloudevents.DOOR: _decode_cloudevent,
    segment_call.DOOR: _decode_segment,
    otlp_shape.DOOR: _decode_record,
}
"""How each door reads one of its events again: what was sent, what was asked for, the reception."""


class Pipeline(Protocol):
    """What every door feeds."""

    def submit(self, batch: Batch, *, keep_refused: bool) -> Submission:
        """Send a batch through the stages."""

    def submit_otlp(
        self, signal: OtlpSignal, request: otlp.OtlpRequest, source: str, *, keep_refused: bool
    ) -> Submission:
        """Send the records of a request through the stages."""


class Replay:
    """Sends kept events again."""

    def __init__(
        self,
        services: Services,
        pipeline: Pipeline,
        link: Callable[[Sequence[Link]], "Future[None] | None"],
        cabinet: KeyCabinet,
    ) -> None:
        self._services = services
        self._pipeline = pipeline
        self._link = link
        self._cabinet = cabinet

    def run(self, ids: Sequence[str], mending: Mending) -> Receipt:
        """Return what became of each entry; the receipt counts positions in ``ids``.

        An entry that is refused again stays where it is and is named with the reason.

        Raises:
            NotFoundError: an id or the contract is unknown, or the event has expired.
            ConflictError: another process replays one of them at this moment.
            UnavailableError: a store cannot be asked; nothing was marked.
        """
        entries = self._entries(ids)
        batches = self._batches([entries[one] for one in ids], mending)
        stored = self._stored(batches)
        if any(isinstance(batch, otlp.OtlpRequest) for batch in batches):
            self._cabinet.key_of_the_day(self._services.clock())  # for events that are refused anew
        outcome = _Outcome()
        with session_of(self._services.engine) as session:
            done = replayed_at(session, ids)
            mark_replayed(
                session,
                [entry for entry in entries.values() if entry.id not in done],
                self._services.clock(),
            )
            waiting: list[tuple[int, Entry, Submission]] = []
            for index, (one, batch) in enumerate(zip(ids, batches, strict=True)):
                entry = entries[one]
                if isinstance(batch, Refusal) and one not in done:
                    outcome.refuse(index, entry, None, batch)
                elif one in done or isinstance(batch, Refusal) or _is_stored(batch, stored):
                    outcome.duplicates += 1
                else:
                    waiting.append((index, entry, self._submit(batch, entry, stored)))
            for index, entry, submission in waiting:
                outcome.add(index, entry, submission.wait())
            unmark_replayed(session, outcome.refused - outcome.accepted_ids)
        kept = outcome.refused | done.keys()
        self._write_links(
            {
                one: batch.links
                for one, batch in zip(ids, batches, strict=True)
                if one not in kept and isinstance(batch, Batch)
            }
        )
        return outcome.receipt()

    def _submit(self, batch: Resent, entry: Entry, stored: Collection[Identity]) -> Submission:
        """Send an entry; of a record, the journey event that was stored before it stays away."""
        if isinstance(batch, Batch):
            return self._pipeline.submit(batch, keep_refused=False)
        if batch.journeys is not None and _is_stored(batch.journeys, stored):
            batch.journeys = None
        return self._pipeline.submit_otlp(batch.signal, batch, entry.source, keep_refused=False)

    def _stored(self, batches: Sequence[Resent | Refusal]) -> set[Identity]:
        """Return the identities of those events and records that are stored already.

        They are those of what was sent; what is asked for is what the redactor makes of it.
        """
        telemetry = self._services.telemetry
        readable = [one for one in batches if not isinstance(one, Refusal)]
        events: list[Event] = []
        masked: list[Event] = []
        for batch in readable:
            copies = [replace(e, attributes=dict(e.attributes)) for e in _events_of(batch)]
            self._services.redactor.redact_events(copies, _source_of(batch))
            events += _events_of(batch)
            masked += copies
        records = [
            identity
            for batch in readable
            if not isinstance(batch, Batch)
            for identity in batch.identities
        ]
        found = stored_identities(telemetry, masked)
        known = {
            event.identity
            for event, as_stored in zip(events, masked, strict=True)
            if as_stored.identity in found
        }
        return known | stored_records(telemetry, records)

    def _write_links(self, said: Mapping[str, Sequence[tuple[int, Link]]]) -> None:
        """Write what replayed events say about persons, once SQLite has room for a writer again.

        When that fails the marks are taken back: the next replay finds the events stored, and
        writes what they say.
        """
        fate = self._link([link for links in said.values() for _, link in links])
        try:
            if fate is not None:
                fate.result()
        except UnavailableError:
            with session_of(self._services.engine) as session:
                unmark_replayed(session, said.keys())
            raise

    def _entries(self, ids: Sequence[str]) -> Mapping[str, Entry]:
        found = find_entries(self._services.telemetry, ids, self._services.clock())
        missing = sum(one not in found for one in ids)
        if missing:
            raise NotFoundError(
                f"{missing} of {len(ids)} events are not in quarantine, or not any more. Nothing"
                " was replayed."
            )
        return found

    def _batches(self, entries: Sequence[Entry], mending: Mending) -> list[Resent | Refusal]:
        """Return each entry as its door reads it now, or why that cannot be."""
        with session_of(self._services.engine) as session:
            if mending.contract:
                find_contract(session, *parse_reference(mending.contract))
            payloads = [open_entry(session, self._cabinet, entry) for entry in entries]
        pairs = zip(entries, payloads, strict=True)
        return [self._batch(entry, payload, mending) for entry, payload in pairs]

    def _batch(self, entry: Entry, payload: bytes | None, mending: Mending) -> Resent | Refusal:
        """Return the event as its door reads it now, mended; a refusal when that cannot be."""
        decode = DOORS.get(entry.door)
        if payload is None or decode is None:
            return Refusal(entry.code, _LOST if payload is None else _NO_DOOR)
        settings = self._services.settings
        mended = mend(payload, entry, mending, settings.quarantine.event_bytes)
        if isinstance(mended, Refusal):
            return mended
        now, secrets = self._services.clock(), self._services.secrets
        reception = Reception(now, settings.limits, secrets, entry.source, settings.journeys)
        batch = decode(mended, entry.call, reception)
        if not isinstance(batch, Refusal):
            for event in _events_of(batch):
                event.schema = mending.contract or event.schema
        return batch


def open_entry(session: Session, cabinet: KeyCabinet, entry: Entry) -> bytes | None:
    """Return what was sent, byte for byte; none when its key is destroyed."""
    key = cabinet.key(session, entry.key_id)
    return open_sealed(key.secret, entry.id, entry.code, entry.sealed) if key is not None else None


def _is_stored(batch: Resent, stored: Collection[Identity]) -> bool:
    if isinstance(batch, Batch):
        return any(event.identity in stored for event in batch.events)
    return any(identity in stored for identity in batch.identities)


def _source_of(batch: Resent) -> str:
    sent = batch if isinstance(batch, Batch) else batch.journeys
    return sent.source if sent is not None else ""


def _events_of(batch: Resent) -> Iterable[Event]:
    events = batch if isinstance(batch, Batch) else batch.journeys
    return events.events if events is not None else ()


@dataclass(slots=True)
class _Outcome:
    """What has become of the entries so far."""

    accepted: int = 0
    duplicates: int = 0
    rejections: list[Rejection] = field(default_factory=list)
    accepted_ids: set[str] = field(default_factory=set)

    @property
    def refused(self) -> set[str]:
        """The entries that stay in quarantine."""
        return {one.quarantine_id for one in self.rejections if one.quarantine_id is not None}

    def add(self, index: int, entry: Entry, receipt: Receipt) -> None:
        """Add the receipt of one entry."""
        self.accepted += receipt.accepted
        self.duplicates += receipt.deduplicated
        if receipt.rejections:
            again = receipt.rejections[0]
            self.refuse(index, entry, again.id, again.refusal)
        else:
            self.accepted_ids.add(entry.id)

    def refuse(self, index: int, entry: Entry, event_id: str | None, refusal: Refusal) -> None:
        """Add an entry that is refused again."""
        self.rejections.append(Rejection(index, event_id, refusal, entry.id))

    def receipt(self) -> Receipt:
        """Return the answer; what was refused again is still in quarantine."""
        rejections = sorted(self.rejections, key=lambda one: one.index)
        return Receipt(self.accepted, self.duplicates, len(rejections), tuple(rejections))
