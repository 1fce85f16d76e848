"""How a budget was spent over its window, in equal parts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from itertools import pairwise

from candor.kernel.telemetry_store import TelemetryStore
from slo.budget import EventCounts
from slo.budgeting import OCCURRENCES, Place
from slo.composite import Measure, bad_ratio
from slo.evaluation import BudgetReading, read_window
from slo.objective import Objective
from slo.parts import read_course
from slo.period import CalendarPeriod, Period
from slo.units import read_units
from slo.window import MINUTE, Window, whole_minute

MOST_POINTS = 120


@dataclass(frozen=True, slots=True)
class TimelinePoint:
    """One part of a window: its counts, the budget left at its end, and how fast it burned."""

    window: Window
    counts: EventCounts
    remaining: float | None
    burn: float | None


def read_timeline(
    telemetry: TelemetryStore,
    objective: Objective,
    at: datetime,
    period: Period | None = None,
    gaps: Sequence[Window] = (),
) -> list[TimelinePoint]:
    """Return the window so far in equal parts, oldest first, with the budget left after each.

    The budget is that of all units of the window so far, so that the line only falls; of a
    calendar's window, where the events of the whole were declared, it is theirs, and the line does
    not rise when the rest of them arrive either.

    Cost: three queries for each part of the objective.
    """
    period = period or objective.period
    reading, place = read_window(telemetry, objective, at, period, gaps)
    windows = list(parts_of(place.span))
    if not windows:
        return []
    edges = [one.until for one in windows[:-1]]
    events = _events(telemetry, objective, place, edges)
    if reading.held_back_by is not None:
        return [TimelinePoint(*one, None, None) for one in zip(windows, events, strict=True)]
    course = read_course(telemetry, objective, place, edges)
    remaining = _remaining(objective, reading, course, _declared_share(objective, period, reading))
    burns = _burns(objective, [*course, [one.measure for one in reading.parts]])
    return [TimelinePoint(*point) for point in zip(windows, events, remaining, burns, strict=True)]


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


def _events(
    telemetry: TelemetryStore, objective: Objective, place: Place, edges: Sequence[datetime]
) -> list[EventCounts]:
    """Return the events between edges, of all parts."""
    columns = [
        read_units(telemetry, part.indicator, OCCURRENCES, place, edges) for part in objective.parts
    ]
    return [
        EventCounts(sum(one.events.good for one in here), sum(one.events.valid for one in here))
        for here in zip(*columns, strict=True)
    ]


def _remaining(
    objective: Objective,
    reading: BudgetReading,
    course: Sequence[Sequence[Measure]],
    scale: Fraction,
) -> list[float | None]:
    """Return the budget left at each instant of its course, and at the end."""
    whole = [one.measure for one in reading.parts]
    bad = [[part.bad for part in parts] for parts in course]
    ratios = [bad_ratio(whole, objective.combination, one) for one in (*bad, None)]
    allowed = 1 - Fraction(objective.target)
    return [None if one is None else float(1 - scale * one / allowed) for one in ratios]


def _burns(objective: Objective, course: Sequence[Sequence[Measure]]) -> list[float | None]:
    """Return the burn rate of what was decided between the instants of a course."""
    nothing = [Measure(part.weight, 0, 0) for part in objective.parts]
    ratios = [
        bad_ratio(
            [
                Measure(after.weight, after.bad - before.bad, after.valid - before.valid)
                for before, after in zip(earlier, later, strict=True)
            ],
            objective.combination,
        )
        for earlier, later in pairwise([nothing, *course])
    ]
    allowed = 1 - Fraction(objective.target)
    return [None if one is None else float(one / allowed) for one in ratios]


def _declared_share(objective: Objective, period: Period, reading: BudgetReading) -> Fraction:
    """Return the valid events so far as a share of the declared ones; 1 where it means nothing."""
    expected, valid = objective.expected_events, reading.events.valid
    if period != objective.period or not isinstance(period, CalendarPeriod):
        return Fraction(1)
    if not expected or valid >= expected or not objective.counts_events:
        return Fraction(1)
    return Fraction(valid, expected)
