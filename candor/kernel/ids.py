"""Identifiers that sort by the time of their making."""

import os
from datetime import UTC, datetime
from uuid import UUID

_VERSION = 7
_RFC = 0x8000
"""The variant, on top of 14 random bits."""
_NODES = 1 << 48


def new_id(at: datetime) -> str:
    """Return a UUIDv7 for the instant ``at``: 48 bits of Unix milliseconds, then 74 random bits.

    Ids of one millisecond have no order among themselves. Opaque to callers.

    Source: RFC 9562, section 5.7.
    """
    return new_ids(at, 1)[0]


def new_ids(at: datetime, count: int) -> list[str]:
    """Return as many UUIDv7 for one instant, in ascending order, for the price of few.

    The last 48 random bits of the first are counted up; the 26 before them are of this call alone,
    so that two calls share an id as seldom as two random ones do.

    Source: RFC 9562, section 6.2, method 2.
    """
    milliseconds = int(at.timestamp() * 1000)
    random = int.from_bytes(os.urandom(10), "big")
    node = random % (_NODES - count)
    random_a, random_b = random >> 48 & 0xFFF, random >> 60 & 0x3FFF
    head = (
        f"{milliseconds >> 16:08x}-{milliseconds & 0xFFFF:04x}"
        f"-{_VERSION:x}{random_a:03x}-{_RFC | random_b:04x}-"
    )
    return [f"{head}{one:012x}" for one in range(node, node + count)]


def made_at(identifier: str) -> datetime:
    """Return when a UUIDv7 was made, to the millisecond.

    Raises:
        ValueError: it is none.
    """
    number = UUID(identifier)
    if number.version != _VERSION:
        raise ValueError(identifier)
    return datetime.fromtimestamp((number.int >> 80) / 1000, UTC)
