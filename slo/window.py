"""Spans of time: durations as OpenSLO writes them, and half-open windows."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from candor.kernel.errors import InvalidInputError

_DURATION = re.compile(r"([1-9]\d{0,5})([mhdwMQY])")
_SECONDS_WORD = re.compile(r"([1-9]\d{0,8})s")
_ZERO = re.compile(r"0+[smhdwMQY]")
_NOMINAL = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "M": timedelta(days=30),
    "Q": timedelta(days=90),
    "Y": timedelta(days=365),
}
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""No telemetry is older."""

_SECOND = timedelta(seconds=1)
_LONGEST = timedelta(days=36_500)


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span ``[since, until)``."""

    since: datetime
    until: datetime

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return self.until - self.since

    @property
    def minutes(self) -> int:
        """How many whole minutes fit into it."""
        return self.length // MINUTE

    def days(self) -> Iterator[datetime]:
        """Yield the midnights of UTC that begin each day of it."""
        day = self.since.replace(hour=0, minute=0, second=0, microsecond=0)
        while day < self.until:
            yield day
            day += DAY


def rolling(length: timedelta, until: datetime) -> Window:
    """Return the window of that length that ends at ``until``."""
    return Window(until - length, until)


def whole_minute(at: datetime) -> datetime:
    """Return the last whole minute at or before ``at``."""
    return at.replace(second=0, microsecond=0)


def whole_hours(window: Window) -> Window | None:
    """Return the whole hours of UTC in a window; none where it holds not one."""
    last = window.until.replace(minute=0, second=0, microsecond=0)
    first = window.since.replace(minute=0, second=0, microsecond=0)
    if first < window.since:
        first += HOUR
    return Window(first, last) if first < last else None


def merged(windows: Iterable[Window]) -> list[Window]:
    """Return what some windows cover together: in order, and none meets another."""
    found: list[Window] = []
    for one in sorted(windows, key=lambda one: one.since):
        if one.since >= one.until:
            continue
        if found and one.since <= found[-1].until:
            found[-1] = Window(found[-1].since, max(one.until, found[-1].until))
        else:
            found.append(one)
    return found


def seconds_at(at: datetime) -> int:
    """Return an instant in seconds since the epoch, a broken second as the next whole one."""
    return -((EPOCH - at) // _SECOND)


def parse_duration(text: str) -> timedelta:
    """Return a duration such as ``28d``: a positive number and one of m h d w M Q Y.

    Months, quarters and years have their nominal 30, 90 and 365 days.

    Raises:
        InvalidInputError: the text is no duration.

    Source: OpenSLO v1, duration-shorthand; its Go SDK for the nominal lengths.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        if _ZERO.fullmatch(text):
            raise InvalidInputError("A duration is longer than zero, such as 5m.")
        raise InvalidInputError("A duration is a number and one of m h d w M Q Y, such as 28d.")
    length = int(match[1]) * _NOMINAL[match[2]]
    if length > _LONGEST:
        raise InvalidInputError("A duration is at most 100 years.")
    return length


def parse_span(text: str) -> timedelta:
    """Return a duration in which seconds are allowed too, such as ``900s``.

    Raises:
        InvalidInputError: the text is no positive duration.
    """
    if match := _SECONDS_WORD.fullmatch(text):
        return timedelta(seconds=int(match[1]))
    return parse_duration(text)


def format_duration(length: timedelta) -> str:
    """Return the usual spelling: ``30d``, ``24h``, ``5m``; a single day reads as hours."""
    for unit in "dhm":
        if length % _NOMINAL[unit] == timedelta(0) and length != _NOMINAL["d"] * (unit == "d"):
            return f"{length // _NOMINAL[unit]}{unit}"
    return f"{length.total_seconds():g}s"
