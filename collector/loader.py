"""Takes sealed segments to the telemetry store, each exactly once.

A segment is inserted under its own token, so repeating an insert whose answer was lost stores
nothing twice; it is removed from the disk only after an insert succeeded.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from opentelemetry.trace import Tracer

from candor.kernel.errors import UnavailableError
from candor.kernel.logging import log
from candor.kernel.metrics import Metrics
from candor.kernel.telemetry_store import (
    ENGINE_NICENESS,
    TelemetryStore,
    UnreadablePayloadError,
)
from candor.kernel.tracing import start_span
from collector import store
from collector.segment import Damage, Record, Segment, Signal, read_segment
from collector.spool import Spool

_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 30.0
_POLL_SECONDS = 1.0

Insert = Callable[[TelemetryStore, Sequence[bytes | memoryview], str], None]
INSERTS: dict[Signal, Insert] = {
    "events": store.insert_events,
    "vitals": store.insert_vitals,
    "checks": store.insert_checks,
    "traces": partial(store.insert_otlp, "traces"),
    "logs": partial(store.insert_otlp, "logs"),
    "metrics": partial(store.insert_otlp, "metrics"),
    "quarantine": store.insert_refused,
    "decisions": store.insert_decisions,
}


class Loader:
    """Moves sealed segments into the telemetry store, oldest first, on a thread of its own."""

    def __init__(
        self, spool: Spool, telemetry: TelemetryStore, metrics: Metrics, tracer: Tracer
    ) -> None:
        self._spool = spool
        self._telemetry = telemetry
        self._metrics = metrics
        self._tracer = tracer
        self._stopping = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Load in the background; at the end stop after the segment at hand.

        What still waits then stays on the disk for the next start.
        """
        thread = threading.Thread(target=self._load_until_stopped, name="loader")
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            self._spool.wake()
            thread.join()

    def load_waiting(self) -> None:
        """Load everything that waits now, in the caller's thread.

        Raises:
            UnavailableError: the telemetry store cannot take it; it stays on the disk.
        """
        for segment in self._spool.sealed():
            if self._stopping.is_set():
                return
            self._load(segment)

    def _load_until_stopped(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), ENGINE_NICENESS)
        pause = _FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            self._spool.wait_for_segments(_POLL_SECONDS)
            try:
                self.load_waiting()
            except (UnavailableError, OSError) as error:
                reason = error.detail if isinstance(error, UnavailableError) else error.strerror
                self._metrics.load_failures.inc()
                log().warning("insert failed, will try again", reason=reason, pause=pause)
                self._spool.pressure.drained(0, pause)
                self._stopping.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
            else:
                pause = _FIRST_PAUSE_SECONDS

    def _load(self, segment: Segment) -> None:
        parts = list(read_segment(segment.path))
        records = [part for part in parts if isinstance(part, Record)]
        started, loaded_bytes = time.monotonic(), 0
        try:
            is_whole = self._load_records(segment, records)
            is_kept = self._keep_corrupt(segment, [x for x in parts if isinstance(x, Damage)])
            loaded_bytes = segment.size_bytes
        finally:
            self._spool.pressure.drained(loaded_bytes, time.monotonic() - started)
        if is_whole and is_kept:
            self._spool.remove(segment)
        else:
            self._spool.set_aside(segment)

    def _load_records(self, segment: Segment, records: list[Record]) -> bool:
        """Load the records of a segment, and return whether the store could read them all."""
        if not records:
            return True
        try:
            self._insert(segment, records, segment.token)
        except UnreadablePayloadError:
            return not self._load_one_by_one(segment, records)
        return True

    def _keep_corrupt(self, segment: Segment, damages: list[Damage]) -> bool:
        """Keep what went bad on the disk; return whether the disk took it.

        If not, the whole segment has to be kept: renaming needs no room.
        """
        for damage in damages:
            log().error(
                "part of a segment went bad on the disk; the other records are loaded",
                segment=segment.token,
                position=damage.position,
                bytes=len(damage.content),
            )
            try:
                self._spool.keep_corrupt(segment, damage)
            except OSError:
                return False
        return True

    def _load_one_by_one(self, segment: Segment, records: list[Record]) -> int:
        """Load each record alone, and return how many cannot be read even so."""
        unreadable = 0
        for number, record in enumerate(records):
            try:
                self._insert(segment, [record], f"{segment.token}:{number}")
            except UnreadablePayloadError:
                unreadable += record.count
        if unreadable:
            log().error(
                "segment set aside: the telemetry store cannot read it",
                segment=segment.token,
                events=unreadable,
            )
        return unreadable

    def _insert(self, segment: Segment, records: list[Record], token: str) -> None:
        events = sum(record.count for record in records)
        with start_span(self._tracer, "load segment") as span:
            span.set_attributes({"candor.signal": segment.signal, "candor.events": events})
            payloads = [record.payload for record in records]
            with self._metrics.insert_seconds.labels(segment.signal).time():
                INSERTS[segment.signal](self._telemetry, payloads, token)
        self._metrics.events_loaded.labels(segment.signal).inc(events)
