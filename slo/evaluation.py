"""Budgets, burn rates and timelines of objectives, counted at an instant.

Everything is counted from what is stored now, so late events, corrections of their times and
replays change the past as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction

from candor.kernel.telemetry_store import TelemetryStore
from slo.budget import ErrorBudget, EventCounts, Slice, burn_rate
from slo.budgeting import (
    EPOCH,
    Share,
    coverage,
    expected_slices,
    shares_of,
    total,
    with_unmeasured_bad,
)
from slo.burn_rate import Tier, TierState, state_at, tiers_of
from slo.composite import Measure, bad_ratio, measure, spent_at
from slo.objective import Objective, Part
from slo.period import CalendarPeriod, Period
from slo.store import Question, count, count_by_minute
from slo.window import MINUTE, Window, rolling

TIMELINE_POINTS = 120


@dataclass(frozen=True, slots=True)
class PartReading:
    """One part of an objective in a window: its events, its slices, and what they come to."""

    part: Part
    events: EventCounts
    shares: tuple[Share, ...]
    expected: int
    measure: Measure

    @property
    def coverage(self) -> float | None:
        """The share of the window's slices (or minutes) so far that hold valid events."""
        return coverage(self.shares, self.expected)


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
        return EventCounts(
            sum(one.events.good for one in self.parts), sum(one.events.valid for one in self.parts)
        )

    @property
    def coverage(self) -> float | None:
        """The parts' coverage by their weights: none when nothing could have been measured."""
        known = [(one.part.weight, one.coverage) for one in self.parts]
        weights = sum(float(weight) for weight, share in known if share is not None)
        if not weights:
            return None
        return sum(float(weight) * share for weight, share in known if share is not None) / weights


@dataclass(frozen=True, slots=True)
class TimelinePoint:
    """The counts of one part of a window, and the budget left at its end."""

    window: Window
    counts: EventCounts
    remaining: float | None


def read_budget(
    telemetry: TelemetryStore, objective: Objective, at: datetime, period: Period | None = None
) -> BudgetReading:
    """Return the budget of an objective at an instant, in its own window or another."""
    period = period or objective.period
    window = period.window(at)
    span = _span(window, at)
    parts = tuple(_read_part(telemetry, objective, part, period, span) for part in objective.parts)
    reading = _judged(objective, period, window, parts)
    if reading.held_back_by == "no_data" and objective.no_data == "freeze":
        last = _last_minute(telemetry, objective, window)
        if last is not None:
            frozen = read_budget(telemetry, replace(objective, no_data="exclude"), last, period)
            return replace(frozen, frozen_at=last)
    return reading


def read_burn(
    telemetry: TelemetryStore, objectives: Sequence[Objective], at: datetime
) -> list[list[TierState]]:
    """Return the tiers of each objective as they stand at ``at``.

    Cost: one query for all that count events and are no composite; one more for each part of any
    other.
    """
    plans = [(objective, tiers_of(objective.window)) for objective in objectives]
    questions = [
        Question(objective.indicator, rolling(length, at))
        for objective, tiers in plans
        if _counts_events(objective)
        for tier in tiers
        for length in (tier.long, tier.short)
    ]
    answers = iter(count(telemetry, questions) if questions else ())
    states = []
    for objective, tiers in plans:
        if _counts_events(objective):
            pairs = [(next(answers), next(answers)) for _ in tiers]
            states.append(
                [
                    state_at(
                        tier,
                        burn_rate(long, objective.target),
                        burn_rate(short, objective.target),
                        long.valid,
                        objective.minimum_events,
                    )
                    for tier, (long, short) in zip(tiers, pairs, strict=True)
                ]
            )
        else:
            states.append(_read_slice_burn(telemetry, objective, tiers, at))
    return states


def read_timeline(
    telemetry: TelemetryStore, objective: Objective, at: datetime, period: Period | None = None
) -> list[TimelinePoint]:
    """Return the window so far in equal parts, oldest first, with the budget left after each.

    The budget is that of all units of the window so far, so that the line only falls; of a
    calendar's window, where the events of the whole were declared, it is theirs, and the line does
    not rise when the rest of them arrive either.
    """
    period = period or objective.period
    window = period.window(at)
    span = _span(window, at)
    minutes = [
        count_by_minute(telemetry, Question(part.indicator, span)) for part in objective.parts
    ]
    parts = tuple(
        _part_reading(objective, part, span, _origin(period, span), counted)
        for part, counted in zip(objective.parts, minutes, strict=True)
    )
    judged = _judged(objective, period, window, parts).held_back_by is None
    scale = _declared_share(objective, period, parts)
    events = sorted((one for counted in minutes for one in counted), key=lambda one: one.minute)
    step = max(MINUTE, span.length / TIMELINE_POINTS)
    points: list[TimelinePoint] = []
    since, position = span.since, 0
    while since < span.until:
        here = Window(since, min(since + step, span.until))
        start = position
        while position < len(events) and events[position].minute < here.until:
            position += 1
        end = None if here.until == span.until else here.until
        left = _remaining(objective, parts, end, scale) if judged else None
        points.append(TimelinePoint(here, total(events[start:position]), left))
        since = here.until
    return points


def observed_volumes(
    telemetry: TelemetryStore, objectives: Sequence[Objective], at: datetime
) -> list[int]:
    """Return how many valid events each objective had in its window so far; one or two queries."""
    questions = []
    for objective in objectives:
        span = _span(objective.period.window(at), at)
        questions += [Question(part.indicator, span) for part in objective.parts]
    answers = iter(count(telemetry, questions) if questions else ())
    return [sum(next(answers).valid for _ in one.parts) for one in objectives]


def _span(window: Window, at: datetime) -> Window:
    """Return the part of a window that is over at ``at``; no telemetry is older than the epoch."""
    return Window(max(EPOCH, window.since), max(EPOCH, min(at, window.until)))


def _read_part(
    telemetry: TelemetryStore, objective: Objective, part: Part, period: Period, span: Window
) -> PartReading:
    minutes = count_by_minute(telemetry, Question(part.indicator, span))
    return _part_reading(objective, part, span, _origin(period, span), minutes)


def _part_reading(
    objective: Objective, part: Part, span: Window, origin: datetime, minutes: Sequence[Slice]
) -> PartReading:
    shares = shares_of(minutes, part.budgeting, span, origin)
    if objective.no_data == "bad" and part.budgeting.method != "Occurrences":
        shares = with_unmeasured_bad(shares, part.budgeting, span, origin)
    return PartReading(
        part,
        total(minutes),
        tuple(shares),
        expected_slices(part.budgeting, span, origin),
        measure(shares, part.weight, span, part.delay),
    )


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
    spent = spent_at(measures, objective.combination, budget.allowed) if sli is not None else None
    return BudgetReading(budget, period.kind, parts, spent, held_back_by)


def _remaining(
    objective: Objective, parts: Sequence[PartReading], at: datetime | None, scale: Fraction
) -> float | None:
    bad = bad_ratio([one.measure for one in parts], objective.combination, at)
    return None if bad is None else float(1 - scale * bad / (1 - Fraction(objective.target)))


def _declared_share(objective: Objective, period: Period, parts: Sequence[PartReading]) -> Fraction:
    """Return the valid events so far as a share of the declared ones; 1 where it means nothing."""
    expected, valid = objective.expected_events, sum(one.events.valid for one in parts)
    if period != objective.period or not isinstance(period, CalendarPeriod):
        return Fraction(1)
    if not expected or valid >= expected or not _counts_events(objective):
        return Fraction(1)
    return Fraction(valid, expected)


def _last_minute(
    telemetry: TelemetryStore, objective: Objective, window: Window
) -> datetime | None:
    """Return the end of the last minute with valid events in the time before a window."""
    before = _span(rolling(window.length, window.since), window.since)
    ends = [
        minutes[-1].minute + MINUTE
        for part in objective.parts
        if (minutes := count_by_minute(telemetry, Question(part.indicator, before)))
    ]
    return max(ends, default=None)


def _counts_events(objective: Objective) -> bool:
    """Whether its burn rates are sums of events, that one query finds for many objectives."""
    return len(objective.parts) == 1 and objective.budgeting.method == "Occurrences"


def _read_slice_burn(
    telemetry: TelemetryStore, objective: Objective, tiers: Sequence[Tier], at: datetime
) -> list[TierState]:
    period = objective.period
    origin = _origin(period, period.window(at))
    longest = max(tier.long for tier in tiers)
    counted = [
        count_by_minute(telemetry, Question(part.indicator, _whole(part, longest, at, origin)))
        for part in objective.parts
    ]

    def burn(length: timedelta) -> tuple[Fraction | None, int]:
        readings = []
        for part, minutes in zip(objective.parts, counted, strict=True):
            span = _whole(part, length, at, origin)
            inside = [one for one in minutes if one.minute >= span.since]
            readings.append(_part_reading(objective, part, span, origin, inside))
        bad = bad_ratio([one.measure for one in readings], objective.combination)
        events = sum(one.events.valid for one in readings)
        return None if bad is None else bad / (1 - Fraction(objective.target)), events

    states = []
    for tier in tiers:
        (long, events), (short, _) = burn(tier.long), burn(tier.short)
        states.append(state_at(tier, long, short, events, objective.minimum_events))
    return states


def _whole(part: Part, length: timedelta, at: datetime, origin: datetime) -> Window:
    """Return the window that ends at ``at`` and begins with a slice: no slice is cut."""
    since = at - length
    if part.budgeting.method == "Occurrences":
        return Window(since, at)
    return Window(since - (since - origin) % part.budgeting.slice_length, at)


def _origin(period: Period, window: Window) -> datetime:
    """Return where slices begin: with a calendar's period, or at whole multiples of their length.

    A rolling window moves on every minute, its slices do not.
    """
    return window.since if isinstance(period, CalendarPeriod) else EPOCH
