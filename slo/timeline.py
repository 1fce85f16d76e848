"""The parts of a window in which the history of a budget is told."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from slo.budget import EventCounts
from slo.budgeting import Share
from slo.composite import Combination, bad_ratio, measure
from slo.window import MINUTE, Window, whole_minute

MOST_POINTS = 120


@dataclass(frozen=True, slots=True)
class TimelinePoint:
    """One part of a window: its counts, the budget left at its end, and how fast it burned."""

    window: Window
    counts: EventCounts
    remaining: float | None
    burn: float | None


def parts_of(span: Window) -> Iterator[Window]:
    """Yield equal parts of a span, at most 121, the last as long as what is left.

    Inside they begin and end on whole minutes, which is how events are counted.
    """
    length = max(1, -(-span.length // (MOST_POINTS * MINUTE))) * MINUTE
    since, edge = span.since, whole_minute(span.since)
    while since < span.until:
        edge += length
        yield Window(since, min(edge, span.until))
        since = edge


def bad_ratio_within(
    parts: Sequence[tuple[Fraction, Sequence[Share]]],
    combination: Combination,
    window: Window,
    until: datetime | None,
) -> Fraction | None:
    """Return the bad ratio of what was decided in a window, or since it began without an end.

    ``parts`` are weights, each with its shares in order. None when nothing was measured.
    """
    measures = []
    for weight, shares in parts:
        first = bisect_right(shares, window.since, key=lambda share: share.end)
        last = len(shares)
        if until is not None:
            last = bisect_right(shares, until, key=lambda share: share.end)
        measures.append(measure(shares[first:last], weight, window))
    return bad_ratio(measures, combination)
