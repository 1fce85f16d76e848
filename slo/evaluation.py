"""Budgets, burn rates and timelines of objectives, counted at an instant."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from candor.kernel.telemetry_store import TelemetryStore
from slo.budget import ErrorBudget, EventCounts, Slice, coverage, exhausted_at
from slo.burn_rate import Tier, TierState, state_of, tiers_of
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


@dataclass(frozen=True, slots=True)
class TimelinePoint:
    """The counts of one part of a window, and the budget left at its end."""

    window: Window
    counts: EventCounts
    remaining: float | None


def read_budget(telemetry: TelemetryStore, objective: Objective, window: Window) -> BudgetReading:
    """Return the budget of an objective in a window."""
    slices = count_by_minute(telemetry, Question(objective.indicator, window))
    budget = ErrorBudget(objective.target, window, _total(slices))
    return BudgetReading(budget, coverage(slices, window), exhausted_at(slices, objective.target))


def read_burn(
    telemetry: TelemetryStore, objectives: Sequence[Objective], at: datetime
) -> list[list[TierState]]:
    """Return the tiers of each objective as they stand at ``at``; one query for all of them."""
    plans = [(objective, tiers_of(objective.window)) for objective in objectives]
    questions = [
        Question(objective.indicator, rolling(length, at))
        for objective, tiers in plans
        for tier in tiers
        for length in (tier.long, tier.short)
    ]
    answers = iter(count(telemetry, questions) if questions else ())
    return [
        [_state(tier, objective, next(answers), next(answers)) for tier in tiers]
        for objective, tiers in plans
    ]


def read_timeline(
    telemetry: TelemetryStore, objective: Objective, window: Window
) -> list[TimelinePoint]:
    """Return the window in equal parts, oldest first, with the budget left at the end of each.

    The budget is that of the whole window's events, so that the line only falls.
    """
    slices = count_by_minute(telemetry, Question(objective.indicator, window))
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


def _total(slices: Sequence[Slice]) -> EventCounts:
    return EventCounts(
        sum(part.counts.good for part in slices), sum(part.counts.valid for part in slices)
    )
