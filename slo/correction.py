"""Corrections: spans of time that an error budget does not count, with who says so and why.

A correction changes no event and no count that was stored: it only says which minutes a budget
leaves out, so undoing it brings the budget back as it was.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rruleset, rrulestr

from candor.kernel.errors import InvalidInputError
from slo.window import MINUTE, Window, merged, whole_minute

Category = Literal[
    "maintenance", "outside_business_hours", "deployment", "bad_instrumentation", "other"
]
CATEGORIES: tuple[Category, ...] = get_args(Category)
_MOST_OCCURRENCES = 20_000
_MOST_A_YEAR = 10_000
_YEAR = timedelta(days=366)
_DAY = timedelta(days=1)
_TOO_OFTEN = frozenset({"SECONDLY", "MINUTELY"})
_NO_RECURRENCE = "This is no RFC 5545 recurrence. Write it as FREQ=WEEKLY;BYDAY=SA,SU."


@dataclass(frozen=True, slots=True)
class Correction:
    """One span, or a span that recurs.

    It holds for one ``objective``, or for all that match ``selector`` (``service`` and labels).
    ``rrule`` repeats the span from ``since`` on, by the wall clock of ``zone``; every occurrence is
    as long as the first. One that is ``undone_at`` no longer counts, and stays on the record.
    """

    id: str
    objective: str | None
    selector: Mapping[str, str]
    since: datetime
    until: datetime
    rrule: str | None
    zone: str
    category: Category
    reason: str
    author: str
    created_at: datetime
    undone_at: datetime | None = None
    undone_by: str | None = None

    def concerns(self, name: str, properties: Mapping[str, Sequence[str]]) -> bool:
        """Whether it holds for the objective of that name; ``properties``: service and labels.

        Of a label with several values any one will do.
        """
        if self.objective is not None:
            return self.objective == name
        return all(value in properties.get(key, ()) for key, value in self.selector.items())


def check_correction(correction: Correction) -> None:
    """Return when the correction can be meant.

    Raises:
        InvalidInputError: it has no target or two, ends before it begins, lacks a reason, or its
            recurrence cannot be read.
    """
    if (correction.objective is None) is (not correction.selector):
        raise InvalidInputError("Name an objective or a selector, not both.", path="objective")
    if correction.until <= correction.since:
        raise InvalidInputError("A correction ends after it begins.", path="until")
    if not correction.reason.strip():
        raise InvalidInputError("Say why; the reason stays on the record.", path="reason")
    if correction.rrule is not None:
        _check_recurrence(correction)


def corrected(corrections: Iterable[Correction], window: Window) -> list[Window]:
    """Return the parts of a window that corrections leave out: whole minutes, merged, in order.

    A minute that a correction touches is left out as a whole.

    Raises:
        InvalidInputError: a correction recurs more than 20,000 times within the window.
    """
    spans = (
        _whole(span)
        for correction in corrections
        if correction.undone_at is None
        for span in _occurrences(correction, window)
    )
    return merged(
        Window(max(one.since, window.since), min(one.until, window.until)) for one in spans
    )


def clipped(gaps: Sequence[Window], window: Window) -> list[Window]:
    """Return what of the gaps lies in a window; they are merged and in order."""
    return [
        Window(max(gap.since, window.since), min(gap.until, window.until))
        for gap in gaps
        if gap.since < window.until and gap.until > window.since
    ]


def without(window: Window, gaps: Sequence[Window]) -> list[Window]:
    """Return what is left of a window; ``gaps`` are merged and in order."""
    if not gaps:
        return [window]
    rest: list[Window] = []
    since = window.since
    for gap in gaps:
        if gap.until <= window.since or gap.since >= window.until:
            continue
        if gap.since > since:
            rest.append(Window(since, gap.since))
        since = max(since, gap.until)
    if since < window.until:
        rest.append(Window(since, window.until))
    return rest


def _occurrences(correction: Correction, window: Window) -> list[Window]:
    length = correction.until - correction.since
    if correction.rrule is None:
        return [Window(correction.since, correction.until)]
    zone = ZoneInfo(correction.zone)
    # A day more on both sides: an hour that the wall clock shows twice is not in order.
    local_end = window.until.astimezone(zone).replace(tzinfo=None) + _DAY
    local_start = (window.since - length).astimezone(zone).replace(tzinfo=None) - _DAY
    starts = takewhile(
        lambda at: at < local_end, _recurrence(correction).xafter(local_start, inc=True)
    )
    spans: list[Window] = []
    for start in starts:
        since = start.replace(tzinfo=zone).astimezone(UTC)
        spans.append(Window(since, since + length))
        if len(spans) > _MOST_OCCURRENCES:
            raise InvalidInputError(
                "This correction recurs too often to be counted. Use a longer span.", path="rrule"
            )
    return spans


def _check_recurrence(correction: Correction) -> None:
    """Refuse a recurrence that never happens, or so often that no window could count it.

    Raises:
        InvalidInputError: it is one of these, or cannot be read.
    """
    text = str(correction.rrule).upper().removeprefix("RRULE:")
    parts = {name.strip(): value.strip() for name, _, value in _parts(text)}
    if ":" in text:
        raise InvalidInputError("Give the rule alone: FREQ=WEEKLY;BYDAY=SA,SU.", path="rrule")
    for name in ("INTERVAL", "COUNT"):
        if not parts.get(name, "1").isdecimal() or not int(parts.get(name, "1")):
            raise InvalidInputError(f"{name} is a whole number from 1 on.", path="rrule")
    if parts.get("FREQ") in _TOO_OFTEN:
        raise InvalidInputError(
            "A correction recurs once an hour or less often. Use FREQ=HOURLY or a longer span.",
            path="rrule",
        )
    try:
        starts = list(islice(_recurrence(correction), _MOST_A_YEAR + 1))
    except (ValueError, TypeError, OverflowError):  # dateutil finds some faults when it counts
        raise InvalidInputError(_NO_RECURRENCE, path="rrule") from None
    if not starts:
        raise InvalidInputError("This recurrence never happens: no day fits it.", path="rrule")
    if len(starts) > _MOST_A_YEAR and starts[-1] - starts[0] < _YEAR:
        raise InvalidInputError(
            f"This recurs more than {_MOST_A_YEAR:,} times a year. Use a longer span.", path="rrule"
        )


def _parts(text: str) -> list[tuple[str, str, str]]:
    return [part.partition("=") for part in text.split(";")]


def _recurrence(correction: Correction) -> rrule | rruleset:
    """Return the recurrence by the wall clock: naive local times.

    Source: RFC 5545, section 3.3.10; recurrences with a zone follow its local time.
    """
    zone = ZoneInfo(correction.zone)
    first = correction.since.astimezone(zone).replace(tzinfo=None)
    text = str(correction.rrule).removeprefix("RRULE:")
    if "\n" in text or "DTSTART" in text:
        raise InvalidInputError("Give the rule alone: FREQ=WEEKLY;BYDAY=SA,SU.", path="rrule")
    text = ";".join(_local_until(part, zone) for part in text.split(";"))
    try:
        return rrulestr(text, dtstart=first)
    except (ValueError, KeyError, AttributeError, TypeError):
        raise InvalidInputError(_NO_RECURRENCE, path="rrule") from None


def _local_until(part: str, zone: ZoneInfo) -> str:
    """Return a part of a rule with an UNTIL in UTC turned into local time."""
    name, _, value = part.partition("=")
    if name.strip().upper() != "UNTIL" or not value.endswith("Z"):
        return part
    try:
        at = datetime.strptime(value, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return part
    return f"UNTIL={at.astimezone(zone):%Y%m%dT%H%M%S}"


def _whole(span: Window) -> Window:
    until = whole_minute(span.until)
    return Window(whole_minute(span.since), until if until == span.until else until + MINUTE)
