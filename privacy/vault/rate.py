"""How fast somebody may reveal: so many values a minute, in bursts of at most a minute's worth.

Source: the generic cell rate algorithm, ITU-T I.371, as a virtual schedule: one instant is all that
must be kept of somebody, and every replica can share it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Admission:
    """What becomes of a request: ``due`` is to be kept; ``wait`` is none if it may go on now."""

    due: datetime
    wait: timedelta | None


def admit(due: datetime | None, now: datetime, values: int, per_minute: int) -> Admission:
    """Return whether so many values may be revealed now. ``due`` is what was kept before."""
    start = now if due is None else max(due, now)
    finish = start + _MINUTE * values / per_minute
    late = finish - (now + _MINUTE)
    return Admission(start, late) if late > timedelta(0) else Admission(finish, None)
