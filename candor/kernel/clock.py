"""Time as an argument: whoever needs the present is given a clock."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the present as an aware UTC datetime."""


def utc_now() -> datetime:
    """Return the machine's present in UTC; the only place that asks for it."""
    return datetime.now(UTC)  # noqa: TID251 - the one clock that all others stand for
