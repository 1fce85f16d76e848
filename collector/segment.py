"""The file format of the spool: records with a header each, in segments that never change.

A segment begins with the name and version of the format. A record is a header (mark, payload
length, number of events, CRC-32 of the payload, CRC-32 of the header itself; little endian) and the
payload. Where bytes went bad, reading goes on at the next mark behind which a whole record stands,
so that no other record is lost with them. Checksums start from the segment's token, which no sender
knows: nothing inside a payload can pass for a record. The header has a checksum of its own because
its length tells a write that was cut short from bytes that changed later.

::

    <uuid7>-events.open           being written; after a crash its tail may be torn
    <uuid7>-events.sealed         complete; waits for the loader, which removes it after the insert
    <uuid7>-events.stuck          the telemetry store cannot read it; kept for a person to look at
    <uuid7>-events-<at>.corrupt   bytes that the disk changed, from position <at> on; kept likewise
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Literal, get_args

from isal import isal_zlib

Signal = Literal[
    "events", "traces", "logs", "metrics", "vitals", "checks", "quarantine", "decisions"
]
SIGNALS: tuple[Signal, ...] = get_args(Signal)
OPEN, SEALED, STUCK, CORRUPT = ".open", ".sealed", ".stuck", ".corrupt"
PREAMBLE = b"candor\x00\x02"
_MARK = b"\xc3\xff\x00\x1e"
_HEADER = struct.Struct("<4sIIII")
_CHECKED = struct.Struct("<4sIII")


@dataclass(frozen=True, slots=True)
class Segment:
    """A sealed file of records; its token names it to the telemetry store."""

    path: Path
    token: str
    signal: Signal
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Record:
    """One acknowledged request: its bytes and how many events they hold."""

    payload: bytes | memoryview
    count: int


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a segment that are no whole record, and where they begin.

    ``torn`` tells the end of a write that was cut short, which was never acknowledged, from bytes
    that went bad later. What may be either counts as the latter.
    """

    position: int
    content: memoryview
    torn: bool


def header_of(payload: bytes | memoryview, count: int, seed: int) -> bytes:
    """Return what stands before a payload; ``seed`` is that of its segment's token."""
    checked = _CHECKED.pack(_MARK, len(payload), count, isal_zlib.crc32(payload, seed))
    return checked + isal_zlib.crc32(checked, seed).to_bytes(4, "little")


def seed_of(token: str) -> int:
    """Return the number from which the checksums of a segment start."""
    return isal_zlib.crc32(token.encode())


def read_segment(path: Path) -> Iterator[Record | Damage]:
    """Yield every record of a segment that is whole, in order, and what lies between them.

    Payloads are views of the mapped file: a segment is never held in memory as a whole.
    """
    content = _mapped(path)
    view, seed = memoryview(content), seed_of(_token_and_signal(path)[0])
    position = start = len(PREAMBLE) if content[: len(PREAMBLE)] == PREAMBLE else 0
    while position < len(view):
        record = _record_at(view, position, seed)
        if record is None:
            found = content.find(_MARK, position + 1)
            position = found if found >= 0 else len(view)
            continue
        if start < position:
            yield _damage(view, start, position, seed)
        end = position + _HEADER.size + len(record.payload)
        yield record
        position = start = end
    if start < len(view):
        yield _damage(view, start, len(view), seed)


def read_records(path: Path) -> Iterator[Record]:
    """Yield the records of a segment that are whole, in order."""
    for part in read_segment(path):
        if isinstance(part, Record):
            yield part


def torn_from(path: Path) -> int:
    """Return where the torn tail of a segment begins: its length when it has none."""
    torn = (one.position for one in read_segment(path) if isinstance(one, Damage) and one.torn)
    return next(torn, path.stat().st_size)


def segment_name(token: str, signal: Signal, suffix: str) -> str:
    """Return the file name of a segment; names sort by the time of their opening."""
    return f"{token}-{signal}{suffix}"


def segment_at(path: Path) -> Segment:
    """Return what a segment's file name and size say."""
    token, signal = _token_and_signal(path)
    known = next(known for known in SIGNALS if known == signal)
    return Segment(path, token, known, path.stat().st_size)


def opened_at(token: str) -> datetime:
    """Return when the segment with this token was opened, to the millisecond.

    Source: RFC 9562, section 5.7.
    """
    return datetime.fromtimestamp(int(token[:8] + token[9:13], 16) / 1000, UTC)


def _token_and_signal(path: Path) -> tuple[str, str]:
    token, _, signal = path.stem.rpartition("-")
    return token, signal


def _mapped(path: Path) -> mmap | bytes:
    """Return a file's bytes, which stay readable when its name is removed."""
    with path.open("rb") as file:
        if not path.stat().st_size:
            return b""
        return mmap(file.fileno(), 0, access=ACCESS_READ)


def _promise_at(view: memoryview, position: int, seed: int) -> tuple[int, int, int] | None:
    """Return end, count and checksum that a header at this position promises, if it holds."""
    if position + _HEADER.size > len(view):
        return None
    mark, length, count, checksum, own = _HEADER.unpack_from(view, position)
    if mark != _MARK or own != isal_zlib.crc32(view[position : position + _CHECKED.size], seed):
        return None
    return position + _HEADER.size + length, count, checksum


def _record_at(view: memoryview, position: int, seed: int) -> Record | None:
    promise = _promise_at(view, position, seed)
    if promise is None:
        return None
    end, count, checksum = promise
    payload = view[position + _HEADER.size : end]
    if end > len(view) or isal_zlib.crc32(payload, seed) != checksum:
        return None
    return Record(payload, count)


def _damage(view: memoryview, start: int, end: int, seed: int) -> Damage:
    """Return the damage between two positions.

    A write that was cut short ends inside a header or before the payload that its header promises,
    or leaves room in which nothing was written.
    """
    content = view[start:end]
    torn = False
    if end == len(view):
        promise = _promise_at(view, start, seed)
        is_short = len(content) < _HEADER.size if promise is None else promise[0] > end
        torn = is_short or not any(content)
    return Damage(start, content, torn)
