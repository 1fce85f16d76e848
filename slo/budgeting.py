"""The three budgeting methods: what one unit of an objective is, and how much of it was good.

- Occurrences: a unit is a valid event.
- Timeslices: a unit is a measured slice; it is good when its own ratio reaches the slice's target.
- RatioTimeslices: a unit is a measured slice; it is good by its ratio, however few events it holds.

A slice without valid events is not measured and counts for nothing, unless the objective says that
such a slice is bad. Everything is summed in integers.

Source: OpenSLO v1, ``budgetingMethod``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from typing import Literal

from slo.budget import EventCounts, Slice
from slo.window import MINUTE, Window

Method = Literal["Occurrences", "Timeslices", "RatioTimeslices"]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_SLICES = 1_000_000
_WHOLE = 10**18
"""A slice of RatioTimeslices in parts: its ratio is exact to half of one of them."""


@dataclass(frozen=True, slots=True)
class Budgeting:
    """How an objective counts; the slices of Occurrences are minutes, and have no target."""

    method: Method = "Occurrences"
    slice_length: timedelta = MINUTE
    slice_target: Decimal | None = None


OCCURRENCES = Budgeting()


@dataclass(frozen=True, slots=True)
class Share:
    """What one minute or slice adds: ``good`` of ``valid`` parts of units, decided at ``end``."""

    start: datetime
    end: datetime
    good: int
    valid: int
    measured: bool = True

    @property
    def bad(self) -> int:
        """The parts that are not good."""
        return self.valid - self.good


def shares_of(
    minutes: Sequence[Slice], budgeting: Budgeting, span: Window, origin: datetime = EPOCH
) -> list[Share]:
    """Return what each minute or slice of a span adds, oldest first; ``minutes`` are in order.

    Slices follow one another from ``origin`` and belong to the span in which they begin; the last
    one may still be going on.
    """
    length = budgeting.slice_length
    if budgeting.method == "Occurrences":
        return [
            Share(one.minute, one.minute + MINUTE, one.counts.good, one.counts.valid)
            for one in minutes
            if one.counts.valid
        ]
    shares = []
    for number, group in groupby(minutes, lambda one: (one.minute - origin) // length):
        start = origin + number * length
        counts = total(list(group))
        if counts.valid and span.since <= start < span.until:
            good, valid = _unit(counts, budgeting)
            shares.append(Share(start, start + length, good, valid))
    return shares


def with_unmeasured_bad(
    shares: Sequence[Share],
    budgeting: Budgeting,
    span: Window,
    origin: datetime = EPOCH,
    gaps: Sequence[Window] = (),
) -> list[Share]:
    """Return the shares and, for each slice that is over without a valid event, a bad one.

    A slice that corrections leave out is none.

    Cost: a share for each slice, so nobody asks where ``has_too_many_slices``.
    """
    valid = _WHOLE if budgeting.method == "RatioTimeslices" else 1
    known = {share.start for share in shares} | slices_left_out(budgeting, span, gaps, origin)
    length = budgeting.slice_length
    start = origin - (origin - span.since) // length * length
    result = list(shares)
    while start + length <= span.until:
        if start not in known:
            result.append(Share(start, start + length, 0, valid, measured=False))
        start += length
    return sorted(result, key=lambda share: share.start)


def has_too_many_slices(budgeting: Budgeting, length: timedelta) -> bool:
    """Whether each slice of so long a time is more than can be told one by one: over a million."""
    return budgeting.method != "Occurrences" and length // budgeting.slice_length > _MOST_SLICES


def expected_slices(
    budgeting: Budgeting, span: Window, origin: datetime = EPOCH, gaps: Sequence[Window] = ()
) -> int:
    """Return how many slices begin in a span; of Occurrences, how many whole minutes it has.

    ``gaps``, which corrections leave out, lie in the span, merged and in order.
    """
    if budgeting.method == "Occurrences":
        return span.minutes - left_out(gaps) // MINUTE
    length = budgeting.slice_length
    begun = (origin - span.since) // length - (origin - span.until) // length
    return begun - len(slices_left_out(budgeting, span, gaps, origin))


def slices_left_out(
    budgeting: Budgeting, span: Window, gaps: Sequence[Window], origin: datetime = EPOCH
) -> set[datetime]:
    """Return the starts of the slices of a span of which a gap leaves nothing to measure."""
    length = budgeting.slice_length
    starts: set[datetime] = set()
    for gap in gaps:
        start = origin - (origin - gap.since) // length * length
        while start < gap.until and min(start + length, span.until) <= gap.until:
            starts.add(start)
            start += length
    return starts


def outside(minutes: Sequence[Slice], gaps: Sequence[Window]) -> list[Slice]:
    """Return the minutes that lie in none of the gaps; both are in order."""
    rest: list[Slice] = []
    position = 0
    for one in minutes:
        while position < len(gaps) and gaps[position].until <= one.minute:
            position += 1
        if position == len(gaps) or one.minute < gaps[position].since:
            rest.append(one)
    return rest


def left_out(gaps: Sequence[Window]) -> timedelta:
    """Return how long gaps are together."""
    return sum((gap.length for gap in gaps), timedelta(0))


def coverage(shares: Sequence[Share], expected: int) -> float | None:
    """Return measured / expected minutes or slices, at most 1; none when none is expected."""
    if expected <= 0:
        return None
    return min(1.0, sum(1 for share in shares if share.measured) / expected)


def total(minutes: Sequence[Slice]) -> EventCounts:
    """Return the events of some minutes together."""
    return EventCounts(
        sum(one.counts.good for one in minutes), sum(one.counts.valid for one in minutes)
    )


def _unit(counts: EventCounts, budgeting: Budgeting) -> tuple[int, int]:
    """Return the good and valid parts of one measured slice."""
    if budgeting.method == "RatioTimeslices":
        return round(Fraction(counts.good * _WHOLE, counts.valid)), _WHOLE
    reached = counts.good >= Fraction(budgeting.slice_target or 0) * counts.valid
    return (1 if reached else 0), 1
