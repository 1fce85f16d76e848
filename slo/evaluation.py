"""Budgets, burn rates and timelines of objectives, counted at an instant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from candor.kernel.telemetry_store import TelemetryStore
from slo.budget import ErrorBudget, EventCounts, Slice, coverage, exhausted_at
from slo.burn_rate import Tier, TierState, state_of, tiers_of
from slo.correction import without
from slo.objective import Objective
from slo.store import Question, count, count_by_minute
from slo.window import Window, rolling

TIMELINE_POINTS = 120


@dataclass(frozen=True, slots=True)
class BudgetReading:
    """An error budget, how much of its window was measured, and when it was spent."""

    budget: ErrorBudget
    coverage: float | None
    exhausted_at: datetime | None
    corrected: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class TimelinePoint:
    """The counts of one part of a window, and the budget left at its end."""

    window: Window
    counts: EventCounts
    remaining: float | None


def read_budget(
    telemetry: TelemetryStore,
    objective: Objective,
    window: Window,
    gaps: Sequence[Window] = (),
) -> BudgetReading:
    """Return the budget of an objective in a window, but for the ``gaps`` that corrections leave.

    Gaps are whole minutes, merged and in order. Coverage is that of the rest.
    """
    slices = _outside(count_by_minute(telemetry, Question(objective.indicator, window)), gaps)
    budget = ErrorBudget(objective.target, window, _total(slices))
    left_out = sum((gap.length for gap in gaps), timedelta(0))
    return BudgetReading(
        budget,
        coverage(slices, window, left_out),
        exhausted_at(slices, objective.target),
        left_out,
    )


def read_burn(
    telemetry: TelemetryStore,
    objectives: Sequence[Objective],
    at: datetime,
    gaps: Mapping[str, Sequence[Window]] = MappingProxyType({}),
) -> list[list[TierState]]:
    """Return the tiers of each objective as they stand at ``at``; one query for all of them.

    ``gaps`` are what corrections leave out, by the name of the objective, merged and in order.
    """
    plans = [(objective, tiers_of(objective.window)) for objective in objectives]
    parts = [
        [
            Question(objective.indicator, part)
            for part in without(rolling(length, at), gaps.get(objective.name, ()))
        ]
        for objective, tiers in plans
        for tier in tiers
        for length in (tier.long, tier.short)
    ]
    questions = [question for group in parts for question in group]
    answers = iter(count(telemetry, questions) if questions else ())
    sums = iter([_sum([next(answers) for _ in group]) for group in parts])
    return [
        [_state(tier, objective, next(sums), next(sums)) for tier in tiers]
        for objective, tiers in plans
    ]


def read_timeline(
    telemetry: TelemetryStore,
    objective: Objective,
    window: Window,
    gaps: Sequence[Window] = (),
) -> list[TimelinePoint]:
    """Return the window in equal parts, oldest first, with the budget left at the end of each.

    The budget is that of the whole window's events, so that the line only falls.
    """
    slices = _outside(count_by_minute(telemetry, Question(objective.indicator, window)), gaps)
    total = _total(slices)
    step = max(timedelta(minutes=1), window.length / TIMELINE_POINTS)
    points: list[TimelinePoint] = []
    since, bad = window.since, 0
    position = 0
    while since < window.until:
        part = Window(since, min(since + step, window.until))
        start = position
        while position < len(slices) and slices[position].minute < part.until:
            position += 1
        counts = _total(slices[start:position])
        bad += counts.bad
        spent = ErrorBudget(objective.target, window, EventCounts(total.valid - bad, total.valid))
        remaining = spent.remaining
        points.append(TimelinePoint(part, counts, None if remaining is None else float(remaining)))
        since = part.until
    return points


def _state(tier: Tier, objective: Objective, long: EventCounts, short: EventCounts) -> TierState:
    return state_of(tier, objective.target, long, short)


def _outside(slices: Sequence[Slice], gaps: Sequence[Window]) -> list[Slice]:
    """Return the minutes that lie in none of the gaps; both are in order."""
    rest: list[Slice] = []
    position = 0
    for part in slices:
        while position < len(gaps) and gaps[position].until <= part.minute:
            position += 1
        if position == len(gaps) or part.minute < gaps[position].since:
            rest.append(part)
    return rest


def _total(slices: Sequence[Slice]) -> EventCounts:
    return _sum([part.counts for part in slices])


def _sum(counts: Sequence[EventCounts]) -> EventCounts:
    return EventCounts(sum(one.good for one in counts), sum(one.valid for one in counts))
