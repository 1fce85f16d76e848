"""When to try again what another system did not take."""

from datetime import timedelta

_FIRST_PAUSE = timedelta(seconds=30)
_LONGEST_PAUSE = timedelta(hours=1)
_MOST_DOUBLINGS = 7


def pause_after(attempts: int, longest: timedelta = _LONGEST_PAUSE) -> timedelta:
    """Return the pause after so many failed attempts, at least one: it doubles from 30 seconds."""
    return min(_FIRST_PAUSE * (1 << min(attempts - 1, _MOST_DOUBLINGS)), longest)
