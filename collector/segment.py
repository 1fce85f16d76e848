"""The file format of the spool: records with a header each, in segments that never change.

A record is a header (payload length, number of events, CRC-32 of both and the payload; little
endian) and the payload. A reader stops at the first record that is not whole, so a tail torn by a
crash is recognised and cut.

::

    <uuid7>-events.open     being written; after a crash its tail may be torn
    <uuid7>-events.sealed   complete; waits for the loader, which removes it after the insert
    <uuid7>-events.stuck    the telemetry store cannot read it; kept for a person to look at
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Literal, get_args

from isal import isal_zlib

Signal = Literal["events", "traces", "quarantine"]
SIGNALS: tuple[Signal, ...] = get_args(Signal)
OPEN, SEALED, STUCK = ".open", ".sealed", ".stuck"
_HEADER = struct.Struct("<III")


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


def header_of(payload: bytes | memoryview, count: int) -> bytes:
    """Return what stands before a payload."""
    return _HEADER.pack(len(payload), count, _checksum(payload, count))


def read_records(path: Path) -> Iterator[Record]:
    """Yield the whole records of a segment, in order, up to the first that is torn.

    Payloads are views of the mapped file: a segment is never held in memory as a whole.
    """
    for record, _ in _scan(_mapped(path)):
        yield record


def whole_bytes(path: Path) -> int:
    """Return the length of the part of a segment that is whole."""
    return max((end for _, end in _scan(_mapped(path))), default=0)


def segment_name(token: str, signal: Signal, suffix: str) -> str:
    """Return the file name of a segment; names sort by the time of their opening."""
    return f"{token}-{signal}{suffix}"


def segment_at(path: Path) -> Segment:
    """Return what a segment's file name and size say."""
    token, _, signal = path.stem.rpartition("-")
    known = next(known for known in SIGNALS if known == signal)
    return Segment(path, token, known, path.stat().st_size)


def _mapped(path: Path) -> memoryview:
    """Return a file's bytes, which stay readable when its name is removed."""
    with path.open("rb") as file:
        if not path.stat().st_size:
            return memoryview(b"")
        return memoryview(mmap(file.fileno(), 0, access=ACCESS_READ))


def _scan(content: memoryview) -> Iterator[tuple[Record, int]]:
    start = 0
    while start + _HEADER.size <= len(content):
        length, count, checksum = _HEADER.unpack_from(content, start)
        end = start + _HEADER.size + length
        payload = content[start + _HEADER.size : end]
        if len(payload) != length or _checksum(payload, count) != checksum:
            return
        yield Record(payload, count), end
        start = end


def _checksum(payload: bytes | memoryview, count: int) -> int:
    return isal_zlib.crc32(payload, count)
