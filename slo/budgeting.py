"""The three budgeting methods: what one unit of an objective is, and how much of it was good.

- Occurrences: a unit is a valid event.
- Timeslices: a unit is a measured slice; it is good when its own ratio reaches the slice's target.
- RatioTimeslices: a unit is a measured slice; it is good by its ratio, however few events it holds.

A slice without valid events is not measured and counts for nothing, unless the objective says that
such a slice is bad. Everything is summed in integers. ``slo.units`` counts units; here is how many
there can be.

Source: OpenSLO v1, ``budgetingMethod``.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from slo.window import EPOCH, MINUTE, Window

Method = Literal["Occurrences", "Timeslices", "RatioTimeslices"]
WHOLE = 10**18
"""A slice of RatioTimeslices in parts: its ratio is exact to half of one of them."""


@dataclass(frozen=True, slots=True)
class Budgeting:
    """How an objective counts; the slices of Occurrences are minutes, and have no target."""

    method: Method = "Occurrences"
    slice_length: timedelta = MINUTE
    slice_target: Decimal | None = None

    @property
    def parts_of_slice(self) -> int:
        """How many parts of units a measured slice has; of Occurrences that is its events."""
        return WHOLE if self.method == "RatioTimeslices" else 1


OCCURRENCES = Budgeting()


@dataclass(frozen=True, slots=True)
class Place:
    """A span, where its slices begin, and what corrections leave out of it.

    Slices follow one another from ``origin`` and belong to the span in which they begin; the last
    one may still be going on. ``gaps`` lie in the span, merged and in order.
    """

    span: Window
    origin: datetime = EPOCH
    gaps: Sequence[Window] = ()


def expected_slices(budgeting: Budgeting, place: Place) -> int:
    """Return how many slices begin in a span; of Occurrences, how many whole minutes it has."""
    span, origin, length = place.span, place.origin, budgeting.slice_length
    if budgeting.method == "Occurrences":
        return span.minutes - left_out(place.gaps) // MINUTE
    begun = (origin - span.since) // length - (origin - span.until) // length
    return begun - len(slices_left_out(budgeting, place))


def slices_over(budgeting: Budgeting, place: Place, instants: Sequence[datetime]) -> list[int]:
    """Return how many slices of a span are over by each instant, less those left out."""
    span, origin, length = place.span, place.origin, budgeting.slice_length
    first = -((origin - span.since) // length)
    gone = sorted(slices_left_out(budgeting, place))
    over = []
    for at in instants:
        end = min(at, span.until)
        ended = max(0, (end - origin) // length - first)
        over.append(ended - bisect_right(gone, end - length))
    return over


def slices_left_out(budgeting: Budgeting, place: Place) -> set[datetime]:
    """Return the starts of the slices of a span of which a gap leaves nothing to measure."""
    origin, until, length = place.origin, place.span.until, budgeting.slice_length
    starts: set[datetime] = set()
    for gap in place.gaps:
        start = origin - (origin - gap.since) // length * length
        while start < gap.until and min(start + length, until) <= gap.until:
            starts.add(start)
            start += length
    return starts


def left_out(gaps: Sequence[Window]) -> timedelta:
    """Return how long gaps are together."""
    return sum((gap.length for gap in gaps), timedelta(0))


def coverage(measured: int, expected: int) -> float | None:
    """Return measured / expected minutes or slices, at most 1; none when none is expected."""
    return min(1.0, measured / expected) if expected > 0 else None
