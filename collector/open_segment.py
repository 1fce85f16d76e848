"""The segment that is being written: appended to, synced, and in the end cut and sealed."""

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

from candor.kernel.disk import sync_folder
from collector.segment import (
    OPEN,
    PREAMBLE,
    SEALED,
    Segment,
    Signal,
    header_of,
    seed_of,
    segment_at,
    segment_name,
)

_MOST_IN_A_WRITE = 512
_PROBE_BYTES = 1 << 16


class OpenSegment:
    """One file that grows. Only the thread that writes it may touch it.

    ``durable_bytes`` is what a sync has confirmed, ``opened_at`` an instant of the monotonic clock,
    and ``sources`` the payload bytes of each sender.
    """

    def __init__(
        self, directory: Path, token: str, signal: Signal, sync: Callable[[int], None]
    ) -> None:
        self.path = directory / segment_name(token, signal, OPEN)
        self.token = token
        self.opened_at = time.monotonic()
        self.durable_bytes = 0
        self.sources: Counter[str] = Counter()
        self._seed = seed_of(token)
        self._sync = sync
        self._descriptor: int | None = None

    def create(self) -> None:
        """Make the file, so that it is found again after a crash."""
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        sync_folder(self.path.parent)

    def append(self, records: Sequence[tuple[bytes, int]]) -> None:
        """Write payloads with their numbers of events, and return when they are on the disk.

        Raises:
            OSError: they may be there in part; nothing more may be appended.
        """
        if self._descriptor is None:
            raise FileNotFoundError(self.path)
        pieces = [] if self.durable_bytes else [PREAMBLE]
        for payload, count in records:
            pieces += (header_of(payload, count, self._seed), payload)
        _write_all(self._descriptor, pieces)
        self._sync(self._descriptor)
        self.durable_bytes += sum(map(len, pieces))

    def finish(self) -> Segment | None:
        """Cut what no sync has confirmed, and seal the rest; none when nothing is left.

        May be repeated until it succeeds.
        """
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)
        if not self.durable_bytes:
            self.path.unlink(missing_ok=True)
            return None
        sealed = self.path.with_suffix(SEALED)
        if self.path.exists():
            cut(self.path, self.durable_bytes)
            self.path.rename(sealed)
        sync_folder(self.path.parent)
        return segment_at(sealed)


def cut(path: Path, size: int) -> None:
    """Make a file no longer than ``size``, durably."""
    if path.stat().st_size == size:
        return
    with path.open("r+b") as file:
        file.truncate(size)
        os.fsync(file.fileno())


def probe(directory: Path) -> None:
    """Write a little and take it away again.

    Raises:
        OSError: the disk does not take it.
    """
    path = directory / "probe"
    try:
        with path.open("wb") as file:
            file.write(bytes(_PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    finally:
        path.unlink(missing_ok=True)


def _write_all(descriptor: int, pieces: list[bytes]) -> None:
    """Write every piece; a short write is continued where it stopped."""
    rest = iter(pieces)
    while group := list(islice(rest, _MOST_IN_A_WRITE)):
        written = os.writev(descriptor, group)
        total = sum(map(len, group))
        if written < total:
            tail = memoryview(b"".join(group))[written:]
            while tail:
                tail = tail[os.write(descriptor, tail) :]
