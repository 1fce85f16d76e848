"""Budgets counted by hand: minute by minute, unit by unit, in plain Python over lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import groupby

from slo.budgeting import Place
from slo.objective import Objective, Part
from slo.window import MINUTE, Window

Minute = tuple[datetime, int, int]
"""When it begins, and its good and its valid events."""

_WHOLE = 10**18


@dataclass(frozen=True)
class Unit:
    """A minute or a slice, with what it adds in parts of units."""

    start: datetime
    end: datetime
    good: int
    valid: int
    is_measured: bool = True


def units_of(
    minutes: Sequence[Minute], objective: Objective, part: Part, place: Place
) -> list[Unit]:
    """Return the units of a part, in order; none of its minutes lies in a gap."""
    budgeting, span, origin = part.budgeting, place.span, place.origin
    if budgeting.method == "Occurrences":
        return [Unit(at, at + MINUTE, good, valid) for at, good, valid in minutes]
    length, whole = budgeting.slice_length, 1 if budgeting.method == "Timeslices" else _WHOLE
    units = {}
    for number, group in groupby(minutes, lambda one: (one[0] - origin) // length):
        here, start = list(group), origin + number * length
        good, valid = sum(one[1] for one in here), sum(one[2] for one in here)
        if not span.since <= start < span.until:
            continue
        parts = round(Fraction(good * _WHOLE, valid))
        if budgeting.method == "Timeslices":
            parts = int(Fraction(good, valid) >= Fraction(budgeting.slice_target or 0))
        units[start] = Unit(start, start + length, parts, whole)
    if objective.no_data == "bad":
        for start in _starts(span, origin, length):
            if start + length <= span.until and not _is_left_out(start, start + length, place):
                units.setdefault(start, Unit(start, start + length, 0, whole, is_measured=False))
    return [units[start] for start in sorted(units)]


def expected(part: Part, place: Place) -> int:
    """Return how many minutes or slices could be measured."""
    span, length = place.span, part.budgeting.slice_length
    if part.budgeting.method == "Occurrences":
        return sum(
            not any(gap.since <= at < gap.until for gap in place.gaps)
            for at in (span.since + number * MINUTE for number in range(span.minutes))
        )
    starts = _starts(span, place.origin, length)
    ends = (min(start + length, span.until) for start in starts)
    pairs = zip(starts, ends, strict=True)
    return sum(not _is_left_out(start, end, place) for start, end in pairs)


def late_share(units: Sequence[Unit], part: Part, place: Place) -> Fraction:
    """Return how much of the span was more silent than a part may be, minute by minute."""
    delay, span = part.delay, place.span
    if delay is None or delay.when_delayed == "Ignore":
        return Fraction(0)
    heard = [Window(one.start, one.end) for one in units if one.is_measured]
    ends = [span.since, *(one.until for one in (*heard, *place.gaps))]
    late = listened = 0
    for number in range(span.minutes):
        at = span.since + number * MINUTE
        if any(gap.since <= at < gap.until for gap in place.gaps):
            continue
        listened += 1
        if any(one.since <= at < one.until for one in heard):
            continue
        late += at - max(end for end in ends if end <= at) >= delay.longest
    return Fraction(late, listened) if listened else Fraction(0)


def bad_ratio(
    objective: Objective, place: Place, units: Sequence[Sequence[Unit]], by: datetime | None = None
) -> Fraction | None:
    """Return the bad ratio of the whole window, or what of it was bad by an instant."""
    ratios: list[tuple[Fraction, Fraction]] = []
    for part, own in zip(objective.parts, units, strict=True):
        valid = sum(one.valid for one in own)
        late = late_share(own, part, place)
        if not valid and not late:
            continue
        bad = sum(one.valid - one.good for one in own if by is None or one.end <= by)
        is_bad = part.delay is not None and part.delay.when_delayed == "CountAsBad"
        added = late if is_bad and by is None else Fraction(0)
        ratio = (1 - late) * Fraction(bad, valid) + added if valid else Fraction(int(added > 0))
        ratios.append((part.weight, ratio))
    return combined(ratios, objective)


def combined(ratios: Sequence[tuple[Fraction, Fraction]], objective: Objective) -> Fraction | None:
    """Return the bad ratio of parts together, from each one's weight and bad ratio."""
    if not ratios:
        return None
    good, bad = Fraction(1), Fraction(0)
    for weight, ratio in ratios:
        good *= 1 - ratio
        bad += weight * ratio
    weights = sum((weight for weight, _ in ratios), Fraction(0))
    return 1 - good if objective.combination == "journey" else bad / weights


def spent_at(
    objective: Objective, place: Place, units: Sequence[Sequence[Unit]]
) -> datetime | None:
    """Return the end of the first unit by which the budget was spent."""
    allowed = 1 - Fraction(objective.target)
    if not (bad_ratio(objective, place, units) or 0) >= allowed:
        return None
    for at in sorted({one.end for own in units for one in own}):
        if (bad_ratio(objective, place, units, at) or 0) >= allowed:
            return at
    return None


def _starts(span: Window, origin: datetime, length: timedelta) -> list[datetime]:
    start = origin - (origin - span.since) // length * length
    starts = []
    while start < span.until:
        starts.append(start)
        start += length
    return starts


def _is_left_out(start: datetime, end: datetime, place: Place) -> bool:
    return any(gap.since <= start and end <= gap.until for gap in place.gaps)
