"""The parts of an objective in a window: their units, what could be measured, what they come to.

Parts of many objectives are read together where they can be.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import accumulate

from candor.kernel.telemetry_store import TelemetryStore
from slo.budget import EventCounts, JudgedCounts
from slo.budgeting import Place, coverage, expected_slices, slices_over
from slo.composite import Delay, Measure, bad_ratio, silent_share
from slo.correction import clipped
from slo.objective import Objective, Part
from slo.period import CalendarPeriod, Period
from slo.store import Question, count
from slo.units import Units, UnitsQuestion, read_heard, read_units, read_units_together
from slo.window import EPOCH, Window

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class PartReading:
    """One part of an objective in a window: its units, how many could be, what they come to.

    Where the objective says that slices without data are bad, they are among the valid units.
    """

    part: Part
    units: Units
    expected: int
    measure: Measure

    @property
    def events(self) -> EventCounts:
        """The events of the window."""
        return self.units.events

    @property
    def coverage(self) -> float | None:
        """The share of the window's slices (or minutes) so far that hold valid events."""
        return coverage(self.units.measured, self.expected)


@dataclass(frozen=True, slots=True)
class PartQuestion:
    """What does a part come to in places that end together? Several begin with a slice each."""

    objective: Objective
    part: Part
    places: Sequence[Place]

    @property
    def widest(self) -> Place:
        """The place that holds the others."""
        return min(self.places, key=lambda one: one.span.since)

    @property
    def edges(self) -> tuple[datetime, ...]:
        """Where the places begin; of a single one it is not asked, as it may cut a slice."""
        return (
            tuple(sorted({one.span.since for one in self.places})) if len(self.places) > 1 else ()
        )


def read_parts(
    telemetry: TelemetryStore, questions: Sequence[PartQuestion]
) -> list[list[PartReading]]:
    """Return the part of each question in each of its places.

    Cost: that of ``read_units_together``, and a query for each part whose delay counts.
    """
    asked = [
        UnitsQuestion(one.part.indicator, one.part.budgeting, one.widest, one.edges)
        for one in questions
    ]
    answers = read_units_together(telemetry, asked)
    return [
        _readings(question, units, _heard(telemetry, question.part, question.widest))
        for question, units in zip(questions, answers, strict=True)
    ]


def _readings(
    question: PartQuestion, units: Sequence[Units], heard: Sequence[Window]
) -> list[PartReading]:
    objective, part, places = question.objective, question.part, question.places
    if len(places) == 1:
        return [_reading(objective, part, places[0], units[0], heard)]
    from_edge = dict(zip(question.edges, _sums_from(units[1:]), strict=True))
    readings = []
    for place in places:
        since = place.span.since
        here = [Window(max(one.since, since), one.until) for one in heard if one.until > since]
        readings.append(_reading(objective, part, place, from_edge[since], here))
    return readings


def read_course(
    telemetry: TelemetryStore, objective: Objective, place: Place, instants: Sequence[datetime]
) -> list[list[Measure]]:
    """Return what each part had come to by each instant: of the units that were over, none late.

    ``instants`` are in order.

    Cost: one query for each part, two for freshness.
    """
    columns = [_course(telemetry, objective, part, place, instants) for part in objective.parts]
    return [list(row) for row in zip(*columns, strict=True)]


def _course(
    telemetry: TelemetryStore,
    objective: Objective,
    part: Part,
    place: Place,
    instants: Sequence[datetime],
) -> list[Measure]:
    budgeting = part.budgeting
    edges = [at - budgeting.slice_length + _SECOND for at in instants]  # what begins then ends late
    units = read_units(telemetry, part.indicator, budgeting, place, edges)
    over = slices_over(budgeting, place, instants) if _misses_count(objective, part) else None
    course = []
    for number, one in enumerate(accumulate(units[:-1])):
        missed = (over[number] - one.over) * budgeting.parts_of_slice if over is not None else 0
        bad, valid = one.valid - one.good + missed, one.valid + missed
        course.append(Measure(part.weight, bad, valid))
    return course


def _reading(
    objective: Objective, part: Part, place: Place, units: Units, heard: Sequence[Window]
) -> PartReading:
    if _misses_count(objective, part):
        (over,) = slices_over(part.budgeting, place, [place.span.until])
        missed = (over - units.over) * part.budgeting.parts_of_slice
        units = replace(units, valid=units.valid + missed)
    delay, late = _delay(part), Fraction(0)
    if delay is not None:
        late = silent_share(heard, place, delay.longest)
    is_bad = delay is not None and delay.when_delayed == "CountAsBad"
    measure = Measure(part.weight, units.valid - units.good, units.valid, late, is_bad)
    return PartReading(part, units, expected_slices(part.budgeting, place), measure)


def _misses_count(objective: Objective, part: Part) -> bool:
    """Whether a slice that is over without a valid event is bad."""
    return objective.no_data == "bad" and part.budgeting.method != "Occurrences"


def _delay(part: Part) -> Delay | None:
    return part.delay if part.heeds_delay else None


def _heard(telemetry: TelemetryStore, part: Part, place: Place) -> list[Window]:
    delay = _delay(part)
    if delay is None:
        return []
    return read_heard(telemetry, part.indicator, part.budgeting, place, delay.longest)


def _sums_from(stretches: Sequence[Units]) -> list[Units]:
    """Return what each stretch and all after it come to."""
    return list(accumulate(reversed(stretches)))[::-1]


def questions_of(objective: Objective, places: Sequence[Place]) -> list[PartQuestion]:
    """Return what is asked of each part of an objective."""
    return [PartQuestion(objective, part, places) for part in objective.parts]


def place_of(period: Period, at: datetime, gaps: Sequence[Window]) -> Place:
    """Return where the window of a period is read at an instant."""
    span = span_so_far(period.window(at), at)
    return Place(span, origin_of(period, span), clipped(gaps, span))


def origin_of(period: Period, window: Window) -> datetime:
    """Return where slices begin: with a calendar's period, or at whole multiples of their length.

    A rolling window moves on every minute, its slices do not.
    """
    return window.since if isinstance(period, CalendarPeriod) else EPOCH


def span_so_far(window: Window, at: datetime) -> Window:
    """Return the part of a window that is over at ``at``; no telemetry is older than the epoch."""
    return Window(max(EPOCH, window.since), max(EPOCH, min(at, window.until)))


def judge(objective: Objective, parts: Sequence[PartReading]) -> EventCounts:
    """Return the events of all parts, with the SLI of the objective."""
    bad = bad_ratio([one.measure for one in parts], objective.combination)
    events = sum_of([one.events for one in parts])
    return JudgedCounts(events.good, events.valid, None if bad is None else 1 - bad)


def sums_events(objective: Objective) -> bool:
    """Whether all that it comes to are sums of events, found for many objectives together.

    Delay is of no matter to the alerts of an objective that is no composite.
    """
    return objective.counts_events or all(
        part.indicator.freshness is None
        and part.budgeting.method == "Occurrences"
        and not part.heeds_delay
        for part in objective.parts
    )


def count_together(
    telemetry: TelemetryStore, asked: Sequence[tuple[Objective, Sequence[Window]]]
) -> list[EventCounts]:
    """Return what objectives that sum events come to in some windows together; a few queries."""
    questions = [
        Question(part.indicator, window)
        for objective, windows in asked
        for part in objective.parts
        for window in windows
    ]
    answers = iter(count(telemetry, questions) if questions else ())
    return [
        _together(objective, [sum_of([next(answers) for _ in windows]) for _ in objective.parts])
        for objective, windows in asked
    ]


def _together(objective: Objective, counts: Sequence[EventCounts]) -> EventCounts:
    """Return what the events of its parts come to."""
    if len(counts) == 1:
        return counts[0]
    measures = [
        Measure(part.weight, own.bad, own.valid)
        for part, own in zip(objective.parts, counts, strict=True)
    ]
    bad, events = bad_ratio(measures, objective.combination), sum_of(counts)
    return JudgedCounts(events.good, events.valid, None if bad is None else 1 - bad)


def sum_of(counts: Sequence[EventCounts]) -> EventCounts:
    """Return counts together."""
    return EventCounts(sum(one.good for one in counts), sum(one.valid for one in counts))
