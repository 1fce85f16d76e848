"""Identifiers that sort by the time of their making."""

import os
from datetime import UTC, datetime
from uuid import UUID

_VERSION = 7
_VERSION_7 = 0x7 << 76
_VARIANT_RFC = 0b10 << 62
_RANDOM_A_BITS = (1 << 12) - 1
_RANDOM_B_BITS = (1 << 62) - 1


def new_id(at: datetime) -> str:
    """Return a UUIDv7 for the instant ``at``: 48 bits of Unix milliseconds, then 74 random bits.

    Ids of one millisecond have no order among themselves. Opaque to callers.

    Source: RFC 9562, section 5.7.
    """
    milliseconds = int(at.timestamp() * 1000)
    random = int.from_bytes(os.urandom(10), "big")
    random_a = (random >> 62) & _RANDOM_A_BITS
    random_b = random & _RANDOM_B_BITS
    return str(UUID(int=milliseconds << 80 | _VERSION_7 | random_a << 64 | _VARIANT_RFC | random_b))


def new_ids(at: datetime, count: int) -> list[str]:
    """Return as many UUIDv7 for one instant, in ascending order, for the price of few.

    The random part of the first is counted up, so that two calls share an id as seldom as two
    random ones do.

    Source: RFC 9562, section 6.2, method 2.
    """
    milliseconds = int(at.timestamp() * 1000)
    random = int.from_bytes(os.urandom(10), "big")
    random_a = (random >> 62) & _RANDOM_A_BITS
    head = f"{milliseconds >> 16:08x}-{milliseconds & 0xFFFF:04x}-7{random_a:03x}-"
    first = (random & _RANDOM_B_BITS) % (_RANDOM_B_BITS - count)
    ids = []
    for number in range(first, first + count):
        tail = f"{_VARIANT_RFC | number:016x}"
        ids.append(f"{head}{tail[:4]}-{tail[4:]}")
    return ids


def made_at(identifier: str) -> datetime:
    """Return when a UUIDv7 was made, to the millisecond.

    Raises:
        ValueError: it is none.
    """
    number = UUID(identifier)
    if number.version != _VERSION:
        raise ValueError(identifier)
    return datetime.fromtimestamp((number.int >> 80) / 1000, UTC)
