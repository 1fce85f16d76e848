"""The promise behind every 200: what is acknowledged is on the disk.

One writer thread appends whatever waits, syncs once for all of it, and only then lets the senders
know. It seals a segment when it is large or old enough; a sealed segment never changes again. When
the disk refuses, it tries the disk again by itself.
"""

import errno
import os
import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path

from candor.kernel.clock import Clock
from candor.kernel.disk import sync_folder
from candor.kernel.errors import UnavailableError
from candor.kernel.ids import new_id
from candor.kernel.logging import log
from candor.kernel.metrics import Metrics
from candor.kernel.settings import SpoolSettings
from collector.errors import SpoolBrokenError
from collector.open_segment import OpenSegment, cut, probe
from collector.pressure import Kind, Pressure
from collector.segment import (
    CORRUPT,
    OPEN,
    PREAMBLE,
    SEALED,
    STUCK,
    Damage,
    Segment,
    Signal,
    opened_at,
    segment_at,
    torn_from,
)

_MOST_IN_A_GROUP = 512
_IDLE_SECONDS = 3600.0
_PROBE_SECONDS = 1.0
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(slots=True)
class _Append:
    signal: Signal
    payload: bytes
    count: int
    source: str
    submitted_at: float = field(default_factory=time.monotonic)
    done: "Future[str]" = field(default_factory=Future)


@dataclass(slots=True)
class _Seal:
    done: "Future[None]" = field(default_factory=Future)


@dataclass(slots=True)
class _Stop:
    """Ends the writer thread after everything before it."""


class Spool:
    """Appends records durably and hands out sealed segments. Safe to share between threads."""

    def __init__(  # noqa: PLR0913 - where, how, and what a test wants to be different
        self,
        directory: Path,
        settings: SpoolSettings,
        clock: Clock,
        metrics: Metrics,
        sync: Callable[[int], None] = os.fdatasync,
        *,
        dice: random.Random | None = None,
    ) -> None:
        self._directory = directory
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._sync = sync
        self._queue: queue.SimpleQueue[_Append | _Seal | _Stop] = queue.SimpleQueue()
        self._writing: dict[Signal, OpenSegment] = {}
        self._wounded: list[OpenSegment] = []
        self._sealed: dict[str, Segment] = {}
        self._sources: dict[str, Mapping[str, int]] = {}
        self._changed = threading.Condition()
        self._unsynced_since: float | None = None
        self._probed_at = float("-inf")
        self._thread = threading.Thread(target=self._write_until_stopped, name="spool", daemon=True)
        self.pressure = Pressure(
            directory,
            settings,
            clock,
            metrics,
            waiting_since=self.waiting_since,
            dice=dice or random.SystemRandom(),
        )

    def open(self) -> None:
        """Recover what an earlier process left, then take writes.

        A torn tail is cut (it was never acknowledged), and every segment found is sealed.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        for path in sorted(self._directory.glob(f"*{OPEN}")):
            self._recover(path)
        for path in sorted(self._directory.glob(f"*{SEALED}")):
            segment = segment_at(path)
            self.pressure.enter("", segment.size_bytes)
            self._offer(segment, {"": segment.size_bytes})
        self._metrics.segments_stuck.set(len(list(self._directory.glob(f"*{STUCK}"))))
        self._metrics.records_corrupt.set(len(list(self._directory.glob(f"*{CORRUPT}"))))
        self._metrics.unsynced_seconds.set_function(self._unsynced_seconds)
        self._metrics.loader_lag_seconds.set_function(self._lag_seconds)
        self._thread.start()

    def submit(self, signal: Signal, payload: bytes, count: int, source: str = "") -> "Future[str]":
        """Queue one record; the future holds its segment's token once it is on the disk.

        The future fails with UnavailableError when the disk refused it, OverloadedError when the
        disk is full; then nothing of it is kept.
        """
        append = _Append(signal, payload, count, source)
        self.pressure.enter(source, len(payload))
        self._queue.put(append)
        return append.done

    def seal(self) -> None:
        """Seal what was submitted before this call, and return when that is done."""
        request = _Seal()
        self._queue.put(request)
        request.done.result()

    def refuse_when_full(self, source: str = "", kind: Kind = "other") -> None:
        """Return when there is room for a request of this source and kind.

        Raises:
            OverloadedError: a budget is used up, the kind is shed, or the disk is full.
            SpoolBrokenError: the disk does not take writes at all.
        """
        if self._wounded:
            self._metrics.spool_refusals.labels("broken", kind).inc()
            raise _broken()
        self.pressure.admit(source, kind)

    def sealed(self) -> list[Segment]:
        """Return the segments that wait for the loader, oldest first."""
        with self._changed:
            return sorted(self._sealed.values(), key=lambda segment: segment.token)

    def waiting_since(self) -> datetime | None:
        """Return when the oldest segment that is not loaded was opened; none when all are."""
        with self._changed:
            tokens = list(islice(self._sealed, 1))
        tokens += [writing.token for writing in list(self._writing.values())]
        return opened_at(min(tokens)) if tokens else None

    def wait_for_segments(self, timeout_seconds: float) -> None:
        """Return when a segment waits, when woken, or after the time."""
        with self._changed:
            if not self._sealed:
                self._changed.wait(timeout_seconds)

    def wake(self) -> None:
        """End every wait for segments now."""
        with self._changed:
            self._changed.notify_all()

    def wait_until_loaded(self, tokens: Iterable[str], timeout_seconds: float) -> bool:
        """Return whether, within the time, none of these segments waited any more."""
        wanted = set(tokens)
        with self._changed:
            return self._changed.wait_for(lambda: wanted.isdisjoint(self._sealed), timeout_seconds)

    def remove(self, segment: Segment) -> None:
        """Delete a segment whose rows are in the telemetry store."""
        segment.path.unlink(missing_ok=True)
        self._forget(segment)

    def set_aside(self, segment: Segment) -> None:
        """Keep a segment that cannot be loaded, out of the way of those behind it."""
        segment.path.rename(segment.path.with_suffix(STUCK))
        self._metrics.segments_stuck.inc()
        self._forget(segment)

    def keep_corrupt(self, segment: Segment, damage: Damage) -> None:
        """Keep bytes that went bad on the disk, durably and named by segment and position.

        Keeping the same once more changes nothing.

        Raises:
            OSError: the disk does not take them.
        """
        path = segment.path.with_name(f"{segment.path.stem}-{damage.position}{CORRUPT}")
        is_new = not path.exists()
        with path.open("wb") as file:
            file.write(damage.content)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self._directory)
        if is_new:
            self._metrics.records_corrupt.inc()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Take writes inside the block; at its end write what is queued, and seal it."""
        self.open()
        try:
            yield
        finally:
            self.close()

    def close(self) -> None:
        """Write what is queued, seal it, and stop; a second time changes nothing."""
        if self._thread.is_alive():
            self._queue.put(_Stop())
            self._thread.join()

    def _recover(self, path: Path) -> None:
        size = torn_from(path)
        if size <= len(PREAMBLE):
            path.unlink()
            return
        cut(path, size)
        path.rename(path.with_suffix(SEALED))
        sync_folder(self._directory)

    def _write_until_stopped(self) -> None:
        while True:
            group = self._next_group()
            self._commit([item for item in group if isinstance(item, _Append)])
            stopping = any(isinstance(item, _Stop) for item in group)
            requests = [item for item in group if isinstance(item, _Seal)]
            self._seal_due(everything=stopping or bool(requests))
            self._try_the_disk_again()
            for request in requests:
                request.done.set_result(None)
            if stopping:
                return

    def _next_group(self) -> "list[_Append | _Seal | _Stop]":
        """Return all that waits now; wait for the first until something else is due."""
        group: list[_Append | _Seal | _Stop] = []
        try:
            group.append(self._queue.get(timeout=self._patience()))
            while len(group) < _MOST_IN_A_GROUP:
                group.append(self._queue.get_nowait())
        except queue.Empty:
            return group
        return group

    def _patience(self) -> float:
        oldest = min((writing.opened_at for writing in self._writing.values()), default=None)
        patience = _IDLE_SECONDS
        if oldest is not None:
            due = oldest + self._settings.segment_age.total_seconds()
            patience = max(0.0, due - time.monotonic())
        if self._wounded or self.pressure.disk_refuses:
            patience = min(patience, _PROBE_SECONDS)
        return patience

    def _commit(self, appends: list[_Append]) -> None:
        if not appends:
            return
        self._unsynced_since = appends[0].submitted_at
        for signal in {append.signal for append in appends}:
            group = [append for append in appends if append.signal == signal]
            started = time.perf_counter()
            if self._wounded:
                self._refuse(group, _broken())
                continue
            try:
                token = self._append(signal, group)
            except OSError as error:
                self._retire(signal)
                self._refuse(group, self._reason(error))
                continue
            self._metrics.commit_seconds.observe(time.perf_counter() - started)
            for append in group:
                append.done.set_result(token)
        self._unsynced_since = None

    def _append(self, signal: Signal, group: list[_Append]) -> str:
        writing = self._writing.get(signal)
        if writing is None:
            token = new_id(self._clock())
            writing = OpenSegment(self._directory, token, signal, self._sync)
            self._writing[signal] = writing
            writing.create()
        writing.append([(append.payload, append.count) for append in group])
        for append in group:
            writing.sources[append.source] += len(append.payload)
            self.pressure.hold(writing.token, append.source, opened_at(writing.token))
        return writing.token

    def _reason(self, error: OSError) -> UnavailableError:
        """Return what the senders of a failed write hear; a full disk shuts the doors as well."""
        if error.errno in _NO_SPACE:
            self.pressure.disk_refuses = True
            self._probed_at = time.monotonic()
            log().error("the disk of the spool is full", reason=os.strerror(error.errno or 0))
            return self.pressure.overloaded("The disk of the spool is full: nothing was accepted.")
        return UnavailableError(
            f"The spool could not be written ({os.strerror(error.errno or 0)}). Nothing was"
            " accepted; send the same request again."
        )

    def _refuse(self, group: list[_Append], reason: UnavailableError) -> None:
        for append in group:
            self.pressure.leave({append.source: len(append.payload)})
            append.done.set_exception(reason)

    def _seal_due(self, *, everything: bool) -> None:
        now = time.monotonic()
        age = self._settings.segment_age.total_seconds()
        for signal, writing in list(self._writing.items()):
            is_large = writing.durable_bytes >= self._settings.segment_bytes
            if everything or is_large or now - writing.opened_at >= age:
                self._retire(signal)

    def _retire(self, signal: Signal) -> None:
        """Seal the segment of a signal at what is known to be durable.

        After a failed sync nobody knows which pages reached the disk, so such a segment takes no
        more writes. If it can neither be cut nor sealed, nothing at all is taken until it can: its
        uncut records would come back at the next start, beside their own repetition.
        """
        writing = self._writing.pop(signal)
        try:
            self._conclude(writing)
        except OSError as error:
            self._wounded.append(writing)
            self._probed_at = time.monotonic()
            log().error("a segment cannot be sealed", reason=os.strerror(error.errno or 0))

    def _conclude(self, writing: OpenSegment) -> None:
        segment = writing.finish()
        if segment is not None:
            self._offer(segment, writing.sources)

    def _try_the_disk_again(self) -> None:
        """Mend what could not be sealed and see whether the disk takes writes, once a second."""
        is_due = time.monotonic() - self._probed_at >= _PROBE_SECONDS
        if not is_due or not (self._wounded or self.pressure.disk_refuses):
            return
        self._probed_at = time.monotonic()
        try:
            while self._wounded:
                self._conclude(self._wounded[0])
                del self._wounded[0]
            probe(self._directory)
        except OSError as error:
            log().warning("the disk still refuses", reason=os.strerror(error.errno or 0))
            return
        self.pressure.disk_refuses = False
        log().warning("the disk takes writes again")

    def _offer(self, segment: Segment, sources: Mapping[str, int]) -> None:
        with self._changed:
            self._sealed[segment.token] = segment
            self._sources[segment.token] = sources
            self._changed.notify_all()

    def _forget(self, segment: Segment) -> None:
        with self._changed:
            self._sealed.pop(segment.token, None)
            self.pressure.leave(self._sources.pop(segment.token, Counter()), segment.token)
            self._changed.notify_all()

    def _unsynced_seconds(self) -> float:
        since = self._unsynced_since
        return 0.0 if since is None else time.monotonic() - since

    def _lag_seconds(self) -> float:
        since = self.waiting_since()
        return 0.0 if since is None else max(0.0, (self._clock() - since).total_seconds())


def _broken() -> SpoolBrokenError:
    return SpoolBrokenError(
        "The disk of the spool does not take writes. It is tried again every second; if that lasts,"
        " look at the disk."
    )
