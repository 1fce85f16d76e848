"""Identifiers that sort by the time of their making."""

import os
from datetime import datetime
from uuid import UUID

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
