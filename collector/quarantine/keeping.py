"""Refused events on their way to the disk: named, sealed, and never in clear."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from candor.kernel.clock import Clock
from candor.kernel.ports import Refusal
from candor.kernel.settings import QuarantineSettings
from collector.contracts.contract import is_reference
from collector.event import Batch, Event, RefusedEvent, Rejection
from collector.quarantine.keys import DataKey, KeyCabinet
from collector.quarantine.sealing import digest, seal
from collector.store import encode_refused


class Policy(Protocol):
    """Decides which refused events are kept at all."""

    def keeps(self, refusal: Refusal, source: str) -> bool:
        """Whether an event of that source, refused so, is to be kept."""


class Quarantine:
    """Keeps the refused events of a batch, as far as the door knows their bytes."""

    def __init__(
        self,
        cabinet: KeyCabinet,
        quarantine_key: bytes,
        settings: QuarantineSettings,
        policy: Policy,
        clock: Clock,
    ) -> None:
        self.cabinet = cabinet
        self._quarantine_key = quarantine_key
        self._settings = settings
        self._policy = policy
        self._clock = clock

    def identify(self, batch: Batch, rejections: Sequence[Rejection]) -> list[Rejection]:
        """Return the rejections; those that are to be kept bear their ``quarantine_id``.

        The id is the same whenever the same bytes come to the same door, so that a client that
        tries again fills nothing.
        """
        return [self._identified(batch, rejection) for rejection in rejections]

    def seal(self, batch: Batch, rejections: Sequence[Rejection]) -> bytes:
        """Return identified rejections as one record of the spool.

        Raises:
            UnavailableError: the key of the day cannot be had.
        """
        events = dict(zip(batch.indices, batch.events, strict=True))
        key = self.cabinet.key_of_the_day(self._clock())
        return encode_refused(
            [self._sealed(batch, one, events.get(one.index), key) for one in rejections]
        )

    def _identified(self, batch: Batch, rejection: Rejection) -> Rejection:
        if rejection.index >= len(batch.items):
            return rejection
        item = batch.items[rejection.index]
        if not 0 < len(item) <= self._settings.event_bytes:  # a door empties what must not be kept
            return rejection
        if not self._policy.keeps(rejection.refusal, batch.source):
            return rejection
        door, call = batch.door.encode(), batch.call.encode()
        identity = digest(self._quarantine_key, door, call, bytes(item))
        return replace(rejection, quarantine_id=identity)

    def _sealed(
        self, batch: Batch, rejection: Rejection, event: Event | None, key: DataKey
    ) -> RefusedEvent:
        entry_id, refusal = rejection.quarantine_id or "", rejection.refusal
        payload = bytes(batch.items[rejection.index])
        contract = event.schema if event is not None and is_reference(event.schema) else ""
        event_digest = ""
        if rejection.id is not None:
            parts = (batch.door.encode(), rejection.id.encode(errors="replace"))
            event_digest = digest(self._quarantine_key, *parts)
        return RefusedEvent(
            id=entry_id,
            received_at=self._clock(),
            code=refusal.code,
            path=refusal.path or "",
            message=refusal.message,
            door=batch.door,
            call=batch.call,
            source=batch.source,
            contract=contract,
            event_digest=event_digest,
            subject_key=event.subject_key if event is not None else "",
            size_bytes=len(payload),
            key_id=key.id,
            expires_at=key.expires_at,
            sealed=seal(key.secret, entry_id, refusal.code, payload),
        )
