"""Budgets, burn rates and timelines of objectives, counted at an instant.

Everything is counted from what is stored now, so late events, corrections of their times and
replays change the past as well. What corrections leave out comes as ``gaps``: whole minutes,
merged and in order, of all that ``reach`` says; no event of theirs counts, and none is missed.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from types import MappingProxyType

from candor.kernel.objective_settings import AlertSettings
from candor.kernel.telemetry_store import TelemetryStore
from slo.budget import ErrorBudget, EventCounts, JudgedCounts, Slice
from slo.budgeting import (
    EPOCH,
    Share,
    coverage,
    expected_slices,
    left_out,
    outside,
    shares_of,
    total,
    with_unmeasured_bad,
)
from slo.burn_rate import TierState, state_of, tiers_of
from slo.composite import Measure, bad_ratio, measure, spent_at
from slo.correction import clipped, without
from slo.freshness import read_minutes
from slo.objective import Objective, Part
from slo.period import CalendarPeriod, Period
from slo.restraint import restraint_of
from slo.store import Question, count
from slo.timeline import TimelinePoint, bad_ratio_within, parts_of
from slo.window import MINUTE, Window, rolling

_FROZEN_REACH = 3


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
    taken from because the one asked for holds nothing. ``corrected`` is how much of the window so
    far corrections leave out.
    """

    budget: ErrorBudget
    kind: str
    parts: tuple[PartReading, ...]
    exhausted_at: datetime | None
    held_back_by: str | None = None
    frozen_at: datetime | None = None
    corrected: timedelta = timedelta(0)

    @property
    def events(self) -> EventCounts:
        """The events of all parts."""
        return _sum([one.events for one in self.parts])

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
    period = period or objective.period
    window = period.window(at)
    place = _Place.of(_span(window, at), period, gaps)
    parts = tuple(_read_part(telemetry, objective, part, place) for part in objective.parts)
    reading = replace(_judged(objective, period, window, parts), corrected=left_out(place.gaps))
    if reading.held_back_by == "no_data" and objective.no_data == "freeze":
        last = _last_minute(telemetry, objective, window, gaps)
        if last is not None:
            unfrozen = replace(objective, no_data="exclude")
            frozen = read_budget(telemetry, unfrozen, last, period, gaps)
            return replace(frozen, frozen_at=last)
    return reading


def read_burn(
    telemetry: TelemetryStore,
    objectives: Sequence[Objective],
    at: datetime,
    gaps: Mapping[str, Sequence[Window]] = MappingProxyType({}),
    settings: AlertSettings | None = None,
) -> list[list[TierState]]:
    """Return the tiers of each objective as they stand at ``at``; ``gaps`` by their names.

    Cost: that of ``read_lookbacks``.
    """
    plans = [(objective, tiers_of(objective.window)) for objective in objectives]
    lengths = [
        {length for tier in tiers for length in (tier.long, tier.short)} for _, tiers in plans
    ]
    read = read_lookbacks(telemetry, objectives, at, lengths, gaps)
    return [
        [
            state_of(tier, objective.target, counts[tier.long], counts[tier.short], restraint)
            for tier in tiers
        ]
        for (objective, tiers), counts in zip(plans, read, strict=True)
        for restraint in (restraint_of(objective, settings or AlertSettings()),)
    ]


def read_lookbacks(
    telemetry: TelemetryStore,
    objectives: Sequence[Objective],
    at: datetime,
    lengths: Sequence[Collection[timedelta]],
    gaps: Mapping[str, Sequence[Window]] = MappingProxyType({}),
) -> list[dict[timedelta, EventCounts]]:
    """Return the counts of the windows of those ``lengths`` that end at ``at``, by objective.

    An objective that counts slices, or is a composite, has its events, judged by its own SLI; a
    window cuts no slice, but the budget's own, which holds the slices that begin in it.

    Cost: a few queries for all that count events and are no composite; one for each other part.
    """
    whole = {length: rolling(length, at) for length in {one for own in lengths for one in own}}
    wanted = [
        {
            length: without(whole[length], gaps.get(objective.name, ()))
            for length in sorted(own)
            if objective.counts_events
        }
        for objective, own in zip(objectives, lengths, strict=True)
    ]
    questions = [
        Question(objective.indicator, part)
        for objective, windows in zip(objectives, wanted, strict=True)
        for parts in windows.values()
        for part in parts
    ]
    answers = iter(count(telemetry, questions) if questions else ())
    return [
        {length: _sum([next(answers) for _ in parts]) for length, parts in windows.items()}
        if objective.counts_events
        else _read_judged(telemetry, objective, own, at, gaps.get(objective.name, ()))
        for objective, windows, own in zip(objectives, wanted, lengths, strict=True)
    ]


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
    """
    period = period or objective.period
    window = period.window(at)
    span = _span(window, at)
    place = _Place.of(span, period, gaps)
    minutes = [_minutes(telemetry, part, span, gaps) for part in objective.parts]
    parts = tuple(
        _part_reading(objective, part, place, counted)
        for part, counted in zip(objective.parts, minutes, strict=True)
    )
    judged = _judged(objective, period, window, parts).held_back_by is None
    scale = _declared_share(objective, period, parts)
    events = sorted((one for counted in minutes for one in counted), key=lambda one: one.minute)
    shares = [(one.part.weight, one.shares) for one in parts]
    points: list[TimelinePoint] = []
    position = 0
    for here in parts_of(span):
        start = position
        while position < len(events) and events[position].minute < here.until:
            position += 1
        end = None if here.until == span.until else here.until
        left = _remaining(objective, parts, end, scale) if judged else None
        bad = bad_ratio_within(shares, objective.combination, here, end) if judged else None
        burn = None if bad is None else float(bad / (1 - Fraction(objective.target)))
        points.append(TimelinePoint(here, total(events[start:position]), left, burn))
    return points


def observed_volumes(
    telemetry: TelemetryStore, objectives: Sequence[Objective], at: datetime
) -> list[int]:
    """Return how many valid events each objective had in its window so far; a few queries."""
    questions = []
    for objective in objectives:
        span = _span(objective.period.window(at), at)
        questions += [Question(part.indicator, span) for part in _counting(objective)]
    answers = iter(count(telemetry, questions) if questions else ())
    return [sum(next(answers).valid for _ in _counting(one)) for one in objectives]


@dataclass(frozen=True, slots=True)
class _Place:
    """A span, where its slices begin, and what corrections leave out of it."""

    span: Window
    origin: datetime
    gaps: Sequence[Window]

    @classmethod
    def of(cls, span: Window, period: Period, gaps: Sequence[Window]) -> "_Place":
        return cls(span, _origin(period, span), clipped(gaps, span))


def _span(window: Window, at: datetime) -> Window:
    """Return the part of a window that is over at ``at``; no telemetry is older than the epoch."""
    return Window(max(EPOCH, window.since), max(EPOCH, min(at, window.until)))


def _minutes(
    telemetry: TelemetryStore, part: Part, span: Window, gaps: Sequence[Window]
) -> list[Slice]:
    return outside(read_minutes(telemetry, Question(part.indicator, span)), gaps)


def _read_part(
    telemetry: TelemetryStore, objective: Objective, part: Part, place: "_Place"
) -> PartReading:
    minutes = _minutes(telemetry, part, place.span, place.gaps)
    return _part_reading(objective, part, place, minutes)


def _part_reading(
    objective: Objective, part: Part, place: "_Place", minutes: Sequence[Slice]
) -> PartReading:
    """Return the reading of a part from its minutes, none of which lies in a gap."""
    span, origin, gaps = place.span, place.origin, place.gaps
    shares = shares_of(minutes, part.budgeting, span, origin)
    if objective.no_data == "bad" and part.budgeting.method != "Occurrences":
        shares = with_unmeasured_bad(shares, part.budgeting, span, origin, gaps)
    return PartReading(
        part,
        total(minutes),
        tuple(shares),
        expected_slices(part.budgeting, span, origin, gaps),
        measure(shares, part.weight, span, part.delay, gaps),
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
    if not expected or valid >= expected or not objective.counts_events:
        return Fraction(1)
    return Fraction(valid, expected)


def _last_minute(
    telemetry: TelemetryStore, objective: Objective, window: Window, gaps: Sequence[Window]
) -> datetime | None:
    """Return the end of the last minute with valid events in the time before a window."""
    before = _span(rolling(window.length, window.since), window.since)
    ends = [
        minutes[-1].minute + MINUTE
        for part in objective.parts
        if (minutes := _minutes(telemetry, part, before, gaps))
    ]
    return max(ends, default=None)


def _counting(objective: Objective) -> list[Part]:
    """Return the parts that count events; the others count minutes."""
    return [part for part in objective.parts if part.indicator.freshness is None]


def _read_judged(
    telemetry: TelemetryStore,
    objective: Objective,
    lengths: Collection[timedelta],
    at: datetime,
    gaps: Sequence[Window],
) -> dict[timedelta, EventCounts]:
    period = objective.period
    origin = _origin(period, period.window(at))
    longest = max(lengths, default=timedelta(0))
    counted = [
        _minutes(telemetry, part, _whole(part, longest, at, origin), gaps)
        for part in objective.parts
    ]

    def judged(length: timedelta) -> EventCounts:
        readings = []
        for part, minutes in zip(objective.parts, counted, strict=True):
            is_own = length == objective.window and not isinstance(period, CalendarPeriod)
            span = rolling(length, at) if is_own else _whole(part, length, at, origin)
            inside = [one for one in minutes if one.minute >= span.since]
            place = _Place(span, origin, clipped(gaps, span))
            readings.append(_part_reading(objective, part, place, inside))
        bad = bad_ratio([one.measure for one in readings], objective.combination)
        events = _sum([one.events for one in readings])
        return JudgedCounts(events.good, events.valid, None if bad is None else 1 - bad)

    return {length: judged(length) for length in lengths}


def _sum(counts: Sequence[EventCounts]) -> EventCounts:
    return EventCounts(sum(one.good for one in counts), sum(one.valid for one in counts))


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
