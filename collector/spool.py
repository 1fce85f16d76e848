"""The promise behind every 200: what is acknowledged is on the disk.

One writer thread appends whatever waits, syncs once for all of it, and only then lets the senders
know. It seals a segment when it is large or old enough; a sealed segment never changes again.
"""

import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from candor.kernel.clock import Clock
from candor.kernel.errors import OverloadedError, UnavailableError
from candor.kernel.ids import new_id
from candor.kernel.metrics import Metrics
from candor.kernel.settings import SpoolSettings
from collector.errors import SpoolBrokenError
from collector.segment import (
    OPEN,
    SEALED,
    STUCK,
    Segment,
    Signal,
    header_of,
    segment_at,
    segment_name,
    whole_bytes,
)

_DISK_CHECK_SECONDS = 1.0
_MOST_IN_A_GROUP = 512
_IDLE_SECONDS = 3600.0


@dataclass(slots=True)
class _Append:
    signal: Signal
    payload: bytes
    count: int
    done: "Future[str]" = field(default_factory=Future)


@dataclass(slots=True)
class _Seal:
    done: "Future[None]" = field(default_factory=Future)


@dataclass(slots=True)
class _Stop:
    """Ends the writer thread after everything before it."""


@dataclass(slots=True)
class _Writing:
    """The segment being written; ``durable_bytes`` is what a sync has confirmed."""

    path: Path
    token: str
    descriptor: int
    opened_at: float
    durable_bytes: int = 0


class Spool:
    """Appends records durably and hands out sealed segments. Safe to share between threads."""

    def __init__(
        self,
        directory: Path,
        settings: SpoolSettings,
        clock: Clock,
        metrics: Metrics,
        sync: Callable[[int], None] = os.fdatasync,
    ) -> None:
        self._directory = directory
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._sync = sync
        self._queue: queue.SimpleQueue[_Append | _Seal | _Stop] = queue.SimpleQueue()
        self._writing: dict[Signal, _Writing] = {}
        self._sealed: dict[str, Segment] = {}
        self._changed = threading.Condition()
        self._pending_bytes = 0
        self._broken: SpoolBrokenError | None = None
        self._disk_checked_at = float("-inf")
        self._disk_is_full = False
        self._thread = threading.Thread(target=self._write_until_stopped, name="spool", daemon=True)

    def open(self) -> None:
        """Recover what an earlier process left, then take writes.

        A torn tail is cut (it was never acknowledged), and every segment found is sealed.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        for path in sorted(self._directory.glob(f"*{OPEN}")):
            self._recover(path)
        for path in sorted(self._directory.glob(f"*{SEALED}")):
            self._offer(segment_at(path))
        self._metrics.segments_stuck.set(len(list(self._directory.glob(f"*{STUCK}"))))
        self._metrics.spool_bytes.set_function(lambda: self._pending_bytes)
        self._thread.start()

    def submit(self, signal: Signal, payload: bytes, count: int) -> "Future[str]":
        """Queue one record; the future holds its segment's token once it is on the disk.

        The future fails with UnavailableError when the disk refused it; then nothing of it is kept.
        """
        append = _Append(signal, payload, count)
        with self._changed:
            self._pending_bytes += len(payload)
        self._queue.put(append)
        return append.done

    def seal(self) -> None:
        """Seal what was submitted before this call, and return when that is done."""
        request = _Seal()
        self._queue.put(request)
        request.done.result()

    def refuse_when_full(self) -> None:
        """Return when there is room for more.

        Raises:
            OverloadedError: too many bytes wait, or the disk is nearly full.
            SpoolBrokenError: the disk does not take writes at all.
        """
        if self._broken is not None:
            raise self._broken
        if self._pending_bytes >= self._settings.max_bytes:
            raise OverloadedError("The spool is full. Send the same request again later.")
        now = time.monotonic()
        if now - self._disk_checked_at >= _DISK_CHECK_SECONDS:
            disk = os.statvfs(self._directory)
            self._disk_is_full = disk.f_bavail * disk.f_frsize < self._settings.min_free_disk_bytes
            self._disk_checked_at = now
        if self._disk_is_full:
            raise OverloadedError("The disk of the spool is nearly full. Free some space.")

    def sealed(self) -> list[Segment]:
        """Return the segments that wait for the loader, oldest first."""
        with self._changed:
            return sorted(self._sealed.values(), key=lambda segment: segment.token)

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
        size = whole_bytes(path)
        if size == 0:
            path.unlink()
            return
        with path.open("r+b") as file:
            file.truncate(size)
            os.fsync(file.fileno())
        path.rename(path.with_suffix(SEALED))
        self._sync_directory()

    def _write_until_stopped(self) -> None:
        while True:
            group = self._next_group()
            self._commit([item for item in group if isinstance(item, _Append)])
            stopping = any(isinstance(item, _Stop) for item in group)
            requests = [item for item in group if isinstance(item, _Seal)]
            self._seal_due(everything=stopping or bool(requests))
            for request in requests:
                request.done.set_result(None)
            if stopping:
                return

    def _next_group(self) -> "list[_Append | _Seal | _Stop]":
        """Return all that waits now; wait for the first until a segment's age is due."""
        oldest = min((writing.opened_at for writing in self._writing.values()), default=None)
        patience = _IDLE_SECONDS
        if oldest is not None:
            due = oldest + self._settings.segment_age.total_seconds()
            patience = max(0.0, due - time.monotonic())
        group: list[_Append | _Seal | _Stop] = []
        try:
            group.append(self._queue.get(timeout=patience))
            while len(group) < _MOST_IN_A_GROUP:
                group.append(self._queue.get_nowait())
        except queue.Empty:
            return group
        return group

    def _commit(self, appends: list[_Append]) -> None:
        for signal in {append.signal for append in appends}:
            group = [append for append in appends if append.signal == signal]
            started = time.perf_counter()
            try:
                token = self._append(signal, group)
            except OSError as error:
                self._refuse(signal, group, error)
                continue
            self._metrics.commit_seconds.observe(time.perf_counter() - started)
            for append in group:
                append.done.set_result(token)

    def _append(self, signal: Signal, group: list[_Append]) -> str:
        writing = self._writing.get(signal) or self._open_segment(signal)
        pieces: list[bytes] = []
        for append in group:
            pieces += (header_of(append.payload, append.count), append.payload)
        _write_all(writing.descriptor, pieces)
        self._sync(writing.descriptor)
        writing.durable_bytes += sum(map(len, pieces))
        return writing.token

    def _open_segment(self, signal: Signal) -> _Writing:
        token = new_id(self._clock())
        path = self._directory / segment_name(token, signal, OPEN)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._writing[signal] = _Writing(path, token, descriptor, time.monotonic())
        self._sync_directory()
        return self._writing[signal]

    def _refuse(self, signal: Signal, group: list[_Append], error: OSError) -> None:
        """Answer a failed write or sync: cut the segment back to what is known to be durable.

        After a failed sync nobody knows which pages reached the disk, so the segment takes no more
        writes. If it cannot even be cut, the disk is not to be trusted and the spool takes nothing.
        """
        with self._changed:
            self._pending_bytes -= sum(len(append.payload) for append in group)
        writing = self._writing.get(signal)
        if writing is not None:
            with self._breaking(signal):
                os.ftruncate(writing.descriptor, writing.durable_bytes)
                self._seal(signal)
        reason = UnavailableError(
            f"The spool could not be written ({os.strerror(error.errno or 0)}). Nothing was"
            " accepted; send the same request again."
        )
        for append in group:
            append.done.set_exception(reason)

    def _seal_due(self, *, everything: bool) -> None:
        now = time.monotonic()
        age = self._settings.segment_age.total_seconds()
        for signal, writing in list(self._writing.items()):
            is_large = writing.durable_bytes >= self._settings.segment_bytes
            if everything or is_large or now - writing.opened_at >= age:
                with self._breaking(signal):
                    self._seal(signal)

    @contextmanager
    def _breaking(self, signal: Signal) -> Iterator[None]:
        """Take nothing more once a segment can neither be cut nor sealed.

        Its whole records are found again at the next start.
        """
        try:
            yield
        except OSError:
            self._writing.pop(signal, None)
            self._broken = SpoolBrokenError(
                "The disk of the spool does not take writes. Repair it, then start Candor again."
            )

    def _seal(self, signal: Signal) -> None:
        writing = self._writing.pop(signal)
        os.close(writing.descriptor)
        if writing.durable_bytes == 0:
            writing.path.unlink()
            return
        sealed = writing.path.with_suffix(SEALED)
        writing.path.rename(sealed)
        self._sync_directory()
        self._offer(segment_at(sealed), counted=True)

    def _offer(self, segment: Segment, *, counted: bool = False) -> None:
        with self._changed:
            self._sealed[segment.token] = segment
            self._pending_bytes += 0 if counted else segment.size_bytes
            self._changed.notify_all()

    def _forget(self, segment: Segment) -> None:
        with self._changed:
            self._sealed.pop(segment.token, None)
            self._pending_bytes = max(0, self._pending_bytes - segment.size_bytes)
            self._changed.notify_all()

    def _sync_directory(self) -> None:
        descriptor = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _write_all(descriptor: int, pieces: list[bytes]) -> None:
    """Write every piece; a short write is continued where it stopped."""
    rest = iter(pieces)
    while group := list(islice(rest, _MOST_IN_A_GROUP)):
        written = os.writev(descriptor, group)
        total = sum(map(len, group))
        if written < total:
            tail = memoryview(b"".join(group))[written:]
            while tail:
                tail = tail[os.write(descriptor, tail) :]
