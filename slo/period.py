"""The window of a promise: a length that rolls, or periods of the calendar of a zone.

A calendar period has its true length: a month its days, a day in spring 23 hours. A window is
asked for by its end: at the very end of a period it is still that period, so that the first
instant of a month answers with the whole month before it.

Source: OpenSLO v1, ``timeWindow``.
"""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from candor.kernel.errors import InvalidInputError
from slo.window import Window, format_duration, parse_duration, rolling

_MONTHS = {"M": 1, "Q": 3, "Y": 12}
_DAYS = {"d": 1, "w": 7}
_INSTANT = timedelta(microseconds=1)
_MONDAY = datetime(1970, 1, 5)  # noqa: DTZ001 - local to whatever zone it is read in
_NEW_YEAR = datetime(1970, 1, 1)  # noqa: DTZ001 - as above
_FIRST_YEAR, _LAST_YEAR = 1900, 2100
_START = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}")
_ZONE = re.compile(r"[A-Za-z][-+\w]*(/[A-Za-z][-+\w]*)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class RollingPeriod:
    """A length of time that ends whenever it is asked for."""

    length: timedelta

    kind = "rolling"

    @property
    def nominal(self) -> timedelta:
        """How long it is."""
        return self.length

    @property
    def text(self) -> str:
        """How it is written: ``30d``."""
        return format_duration(self.length)

    def window(self, at: datetime) -> Window:
        """Return the window that ends at ``at``."""
        return rolling(self.length, at)


@dataclass(frozen=True, slots=True)
class CalendarPeriod:
    """Periods of ``count`` units that follow one another from ``start``, and go back before it.

    ``start`` is a local time of the zone, without one. Days and longer units are steps of the
    local clock; minutes and hours are elapsed time. A month that lacks the start's day ends its
    period on its last one. A local time that a clock skips counts as if it had not moved yet; one
    that it repeats is its first.
    """

    count: int
    unit: str
    zone: str
    start: datetime

    kind = "calendar"

    @property
    def nominal(self) -> timedelta:
        """The usual length: months have 30 days, quarters 90 and years 365."""
        return parse_duration(f"{self.count}{self.unit}")

    @property
    def text(self) -> str:
        """How it is written: ``1M@Europe/Dublin``."""
        return f"{self.count}{self.unit}@{self.zone}"

    def window(self, at: datetime) -> Window:
        """Return the whole period that holds the last instant before ``at``, in UTC."""
        instant = (at - _INSTANT).astimezone(UTC)
        number = self._near(instant)
        while self._edge(number) > instant:
            number -= 1
        while self._edge(number + 1) <= instant:
            number += 1
        return Window(self._edge(number), self._edge(number + 1))

    def _near(self, instant: datetime) -> int:
        local = instant.astimezone(ZoneInfo(self.zone)).replace(tzinfo=None)
        if self.unit in _MONTHS:
            months = (local.year - self.start.year) * 12 + local.month - self.start.month
            return months // (self.count * _MONTHS[self.unit])
        return (local - self.start) // self.nominal

    def _edge(self, number: int) -> datetime:
        steps = number * self.count
        zone = ZoneInfo(self.zone)
        if self.unit in _MONTHS:
            local = _later(self.start, steps * _MONTHS[self.unit])
        elif self.unit in _DAYS:
            local = self.start + timedelta(days=steps * _DAYS[self.unit])
        else:
            return self.start.replace(tzinfo=zone).astimezone(UTC) + number * self.nominal
        return local.replace(tzinfo=zone).astimezone(UTC)


Period = RollingPeriod | CalendarPeriod


def calendar_period(duration: str, zone: str, start: str | None = None) -> CalendarPeriod:
    """Return the periods of a calendar; without a start they are those of everybody's calendar.

    Raises:
        InvalidInputError: the duration, the zone or the start cannot be meant.
    """
    parse_duration(duration)
    _zone(zone)
    count, unit = int(duration[:-1]), duration[-1]
    if start is None:
        return CalendarPeriod(count, unit, zone, _MONDAY if unit == "w" else _NEW_YEAR)
    try:
        local = datetime.fromisoformat(start) if _START.fullmatch(start) else None
    except ValueError:
        local = None
    if local is None or not _FIRST_YEAR <= local.year <= _LAST_YEAR:
        raise InvalidInputError(
            "A start is a local time from 1900 to 2100, such as 2026-01-01 00:00:00."
        )
    return CalendarPeriod(count, unit, zone, local)


def parse_period(text: str) -> Period:
    """Return the window that a text means: ``7d`` rolls, ``1M@Europe/Dublin`` is a calendar's.

    Raises:
        InvalidInputError: the text means none.
    """
    duration, at, zone = text.partition("@")
    return calendar_period(duration, zone) if at else RollingPeriod(parse_duration(duration))


def _zone(name: str) -> None:
    """Check that a zone is known.

    Raises:
        InvalidInputError: it is not.
    """
    try:
        if _ZONE.fullmatch(name):
            ZoneInfo(name)
            return
    except (KeyError, ValueError, OSError):
        pass
    raise InvalidInputError("A zone is a name of the IANA database, such as Europe/Dublin.")


def _later(start: datetime, months: int) -> datetime:
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    day = min(start.day, monthrange(year, month + 1)[1])
    return start.replace(year=year, month=month + 1, day=day)
