"""Budgets of objectives, counted at an instant.

Everything is counted from what is stored now, so late events, corrections of their times and
replays change the past as well. What corrections leave out comes as ``gaps``: whole minutes,
merged and in order, of all that ``reach`` says; no event of theirs counts, and none is missed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from types import MappingProxyType

from candor.kernel.telemetry_store import TelemetryStore
from slo.budget import ErrorBudget, EventCounts, JudgedCounts
from slo.budgeting import Place, left_out
from slo.burn_rate import tiers_of
from slo.composite import bad_ratio, spent_at
from slo.correction import clipped, without
from slo.objective import Objective, Part
from slo.parts import (
    PartReading,
    count_together,
    place_of,
    questions_of,
    read_course,
    read_parts,
    span_so_far,
    sum_of,
    sums_events,
)
from slo.period import Period
from slo.store import Question, count
from slo.units import last_valid_minute
from slo.window import EPOCH, Window, rolling

_FROZEN_REACH = 3


@dataclass(frozen=True, slots=True)
class BudgetReading:
    """An error budget, how much of its window was measured, and when it was spent.

    ``held_back_by`` says why there is no SLI; ``frozen_at`` is when the window ended that it was
    taken from because the one asked for holds nothing.
    """

    budget: ErrorBudget
    kind: str
    parts: tuple[PartReading, ...]
    exhausted_at: datetime | None
    held_back_by: str | None = None
    frozen_at: datetime | None = None

    @property
    def events(self) -> EventCounts:
        """The events of all parts."""
        return sum_of([one.events for one in self.parts])

    @property
    def coverage(self) -> float | None:
        """The parts' coverage by their weights: none when nothing could have been measured."""
        known = [(one.part.weight, one.coverage) for one in self.parts]
        weights = sum(float(weight) for weight, share in known if share is not None)
        if not weights:
            return None
        return sum(float(weight) * share for weight, share in known if share is not None) / weights


def reach(objective: Objective, at: datetime, period: Period | None = None) -> Window:
    """Return the time that budgets and burn rates at an instant may be counted from."""
    window = (period or objective.period).window(at)
    since = window.since
    if objective.no_data == "freeze":  # the window that ends in the one before
        since -= _FROZEN_REACH * window.length
    slices = max(part.budgeting.slice_length for part in objective.parts)
    longest = max(tier.long for tier in tiers_of(objective.window))
    return Window(max(EPOCH, min(since, at - longest - slices)), at)


def read_budget(
    telemetry: TelemetryStore,
    objective: Objective,
    at: datetime,
    period: Period | None = None,
    gaps: Sequence[Window] = (),
) -> BudgetReading:
    """Return the budget of an objective at an instant, in its own window or another."""
    reading, place = _read_verdict(telemetry, objective, at, period, gaps)
    spent = _spent_at(telemetry, objective, reading, place)
    budget = replace(reading.budget, corrected=left_out(place.gaps))
    return replace(reading, budget=budget, exhausted_at=spent)


def read_window(
    telemetry: TelemetryStore,
    objective: Objective,
    at: datetime,
    period: Period | None = None,
    gaps: Sequence[Window] = (),
) -> tuple[BudgetReading, Place]:
    """Return a budget without the instant at which it was spent, and the place it was read in.

    Cost: one query for each part, two for freshness.
    """
    period = period or objective.period
    place = place_of(period, at, gaps)
    answers = read_parts(telemetry, questions_of(objective, [place]))
    parts = tuple(reading for (reading,) in answers)
    return _judged(objective, period, period.window(at), parts), place


def read_judged(
    telemetry: TelemetryStore,
    objectives: Sequence[Objective],
    at: datetime,
    gaps: Mapping[str, Sequence[Window]] = MappingProxyType({}),
) -> list[EventCounts]:
    """Return what the own window of each objective holds so far, with the SLI of its budget.

    Cost: a few queries for all that sum events; that of ``read_parts`` for the others.
    """
    simple = [one for one in objectives if _sums_budget(one)]
    asked = [
        (one, without(span_so_far(one.period.window(at), at), gaps.get(one.name, ())))
        for one in simple
    ]
    counted = dict(zip((one.name for one in simple), count_together(telemetry, asked), strict=True))
    others = [one for one in objectives if one.name not in counted]
    places = [place_of(one.period, at, gaps.get(one.name, ())) for one in others]
    questions = [
        question
        for one, place in zip(others, places, strict=True)
        for question in questions_of(one, [place])
    ]
    answers = iter(read_parts(telemetry, questions))
    judged: list[EventCounts] = []
    for objective in objectives:
        if (counts := counted.get(objective.name)) is not None:
            sli = counts.sli if counts.valid >= objective.minimum_events else None
        else:
            parts = tuple(next(answers)[0] for _ in objective.parts)
            window, left = objective.period.window(at), gaps.get(objective.name, ())
            reading = _judged(objective, objective.period, window, parts)
            if _heeds_the_past(objective, reading):
                reading, _ = _read_verdict(telemetry, objective, at, None, left)
            counts, sli = reading.events, reading.budget.sli
        judged.append(JudgedCounts(counts.good, counts.valid, sli))
    return judged


def read_remaining(
    telemetry: TelemetryStore,
    objectives: Sequence[Objective],
    at: datetime,
    gaps: Mapping[str, Sequence[Window]] = MappingProxyType({}),
) -> list[Fraction | None]:
    """Return what remains of the budget of each objective.

    Cost: that of ``read_judged``.
    """
    judged = read_judged(telemetry, objectives, at, gaps)
    return [
        ErrorBudget(one.target, one.period.window(at), counts.sli).remaining
        for one, counts in zip(objectives, judged, strict=True)
    ]


def observed_volumes(
    telemetry: TelemetryStore, objectives: Sequence[Objective], at: datetime
) -> list[int]:
    """Return how many valid events each objective had in its window so far; a few queries."""
    questions = []
    for objective in objectives:
        span = span_so_far(objective.period.window(at), at)
        questions += [Question(part.indicator, span) for part in _counting(objective)]
    answers = iter(count(telemetry, questions) if questions else ())
    return [sum(next(answers).valid for _ in _counting(one)) for one in objectives]


def _read_verdict(
    telemetry: TelemetryStore,
    objective: Objective,
    at: datetime,
    period: Period | None,
    gaps: Sequence[Window],
) -> tuple[BudgetReading, Place]:
    """Return a window as ``read_window``, or an earlier one whose verdict holds without data."""
    reading, place = read_window(telemetry, objective, at, period, gaps)
    if _heeds_the_past(objective, reading):
        last = _last_minute(telemetry, objective, reading.budget.window, gaps)
        if last is not None:
            reading, place = read_window(telemetry, objective, last, period, gaps)
            reading = replace(reading, frozen_at=last)
    return reading, place


def _heeds_the_past(objective: Objective, reading: BudgetReading) -> bool:
    """Whether the verdict of an earlier window holds."""
    return reading.held_back_by == "no_data" and objective.no_data == "freeze"


def _judged(
    objective: Objective, period: Period, window: Window, parts: tuple[PartReading, ...]
) -> BudgetReading:
    measures = [one.measure for one in parts]
    bad = bad_ratio(measures, objective.combination)
    held_back_by = None
    if bad is None:
        held_back_by = "no_data"
    elif sum(one.events.valid for one in parts) < objective.minimum_events:
        held_back_by = "minimum_events"
    sli = None if bad is None or held_back_by is not None else 1 - bad
    budget = ErrorBudget(objective.target, window, sli)
    return BudgetReading(budget, period.kind, parts, None, held_back_by)


def _spent_at(
    telemetry: TelemetryStore, objective: Objective, reading: BudgetReading, place: Place
) -> datetime | None:
    """Return when a budget was spent; a unit is over at most one slice after the span."""
    if reading.held_back_by is not None:
        return None

    def bad_by(instants: Sequence[datetime]) -> list[list[int]]:
        course = read_course(telemetry, objective, place, instants)
        return [[part.bad for part in parts] for parts in course]

    longest = max(part.budgeting.slice_length for part in objective.parts)
    return spent_at(
        [one.measure for one in reading.parts],
        objective.combination,
        reading.budget.allowed,
        Window(place.span.since, place.span.until + longest),
        bad_by,
    )


def _last_minute(
    telemetry: TelemetryStore, objective: Objective, window: Window, gaps: Sequence[Window]
) -> datetime | None:
    """Return the end of the last minute with valid events in the time before a window."""
    before = span_so_far(rolling(window.length, window.since), window.since)
    place = Place(before, gaps=clipped(gaps, before))
    ends = [last_valid_minute(telemetry, part.indicator, place) for part in objective.parts]
    return max((end for end in ends if end is not None), default=None)


def _counting(objective: Objective) -> list[Part]:
    """Return the parts that count events; the others count minutes."""
    return [part for part in objective.parts if part.indicator.freshness is None]


def _sums_budget(objective: Objective) -> bool:
    """Whether its budget is that of the events of its window: no silence, no older window."""
    heeds_delay = any(part.heeds_delay for part in objective.parts)
    return sums_events(objective) and not heeds_delay and objective.no_data != "freeze"
