"""Budgets and burn rates of objectives, counted at an instant.

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
from slo.budget import ErrorBudget, EventCounts, JudgedCounts
from slo.budgeting import Place, left_out
from slo.burn_rate import TierState, state_of, tiers_of
from slo.composite import Measure, bad_ratio, spent_at
from slo.correction import clipped, without
from slo.objective import Objective, Part
from slo.parts import PartReading, read_course, read_part, read_part_in
from slo.period import CalendarPeriod, Period, RollingPeriod
from slo.restraint import restraint_of
from slo.store import Question, count
from slo.units import last_valid_minute
from slo.window import EPOCH, Window, rolling

_FROZEN_REACH = 3


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
    reading, place = _read_verdict(telemetry, objective, at, period, gaps)
    spent = _spent_at(telemetry, objective, reading, place)
    return replace(reading, exhausted_at=spent, corrected=left_out(place.gaps))


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
    window = period.window(at)
    span = _span(window, at)
    place = Place(span, _origin(period, span), clipped(gaps, span))
    parts = tuple(read_part(telemetry, objective, part, place) for part in objective.parts)
    return _judged(objective, period, window, parts), place


def read_judged(
    telemetry: TelemetryStore,
    objectives: Sequence[Objective],
    at: datetime,
    gaps: Mapping[str, Sequence[Window]] = MappingProxyType({}),
) -> list[EventCounts]:
    """Return what the own window of each objective holds so far, with the SLI of its budget.

    Cost: a few queries for all that sum events; that of ``read_window`` for each other.
    """
    simple = [one for one in objectives if _sums_budget(one)]
    asked = [
        (one, without(_span(one.period.window(at), at), gaps.get(one.name, ()))) for one in simple
    ]
    counted = dict(
        zip((one.name for one in simple), _count_together(telemetry, asked), strict=True)
    )
    judged: list[EventCounts] = []
    for objective in objectives:
        if (counts := counted.get(objective.name)) is not None:
            sli = counts.sli if counts.valid >= objective.minimum_events else None
        else:
            left = gaps.get(objective.name, ())
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

    Cost: a few queries for all that sum events; one for each part of any other.
    """
    whole = {length: rolling(length, at) for length in {one for own in lengths for one in own}}
    asked = [
        (objective, without(whole[length], gaps.get(objective.name, ())))
        for objective, own in zip(objectives, lengths, strict=True)
        if _sums_events(objective)
        for length in sorted(own)
    ]
    answers = iter(_count_together(telemetry, asked))
    return [
        {length: next(answers) for length in sorted(own)}
        if _sums_events(objective)
        else _read_judged(telemetry, objective, own, at, gaps.get(objective.name, ()))
        for objective, own in zip(objectives, lengths, strict=True)
    ]


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


def _span(window: Window, at: datetime) -> Window:
    """Return the part of a window that is over at ``at``; no telemetry is older than the epoch."""
    return Window(max(EPOCH, window.since), max(EPOCH, min(at, window.until)))


def _read_verdict(
    telemetry: TelemetryStore,
    objective: Objective,
    at: datetime,
    period: Period | None,
    gaps: Sequence[Window],
) -> tuple[BudgetReading, Place]:
    """Return a window as ``read_window``, or an earlier one whose verdict holds without data."""
    reading, place = read_window(telemetry, objective, at, period, gaps)
    if reading.held_back_by == "no_data" and objective.no_data == "freeze":
        last = _last_minute(telemetry, objective, reading.budget.window, gaps)
        if last is not None:
            reading, place = read_window(telemetry, objective, last, period, gaps)
            reading = replace(reading, frozen_at=last)
    return reading, place


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
    before = _span(rolling(window.length, window.since), window.since)
    place = Place(before, gaps=clipped(gaps, before))
    ends = [last_valid_minute(telemetry, part.indicator, place) for part in objective.parts]
    return max((end for end in ends if end is not None), default=None)


def _counting(objective: Objective) -> list[Part]:
    """Return the parts that count events; the others count minutes."""
    return [part for part in objective.parts if part.indicator.freshness is None]


def _sums_events(objective: Objective) -> bool:
    """Whether all that it comes to are sums of events, found for many objectives together.

    Delay is of no matter to the alerts of an objective that is no composite.
    """
    return objective.counts_events or all(
        part.indicator.freshness is None
        and part.budgeting.method == "Occurrences"
        and not part.heeds_delay
        for part in objective.parts
    )


def _sums_budget(objective: Objective) -> bool:
    """Whether its budget is that of the events of its window: no silence, no older window."""
    heeds_delay = any(part.heeds_delay for part in objective.parts)
    return _sums_events(objective) and not heeds_delay and objective.no_data != "freeze"


def _count_together(
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
        _together(objective, [_sum([next(answers) for _ in windows]) for _ in objective.parts])
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
    bad, events = bad_ratio(measures, objective.combination), _sum(counts)
    return JudgedCounts(events.good, events.valid, None if bad is None else 1 - bad)


def _read_judged(
    telemetry: TelemetryStore,
    objective: Objective,
    lengths: Collection[timedelta],
    at: datetime,
    gaps: Sequence[Window],
) -> dict[timedelta, EventCounts]:
    period = objective.period
    origin = _origin(period, period.window(at))
    own = objective.window if isinstance(period, RollingPeriod) else None
    judged: dict[timedelta, EventCounts] = {}
    if own is not None and own in lengths:
        judged[own] = _judge(objective, read_window(telemetry, objective, at, gaps=gaps)[0].parts)
    others = sorted(set(lengths) - {own})
    if not others:
        return judged
    columns = []
    for part in objective.parts:
        spans = [_whole(part, length, at, origin) for length in others]
        places = [Place(span, origin, clipped(gaps, span)) for span in spans]
        columns.append(read_part_in(telemetry, objective, part, places))
    rows = zip(*columns, strict=True)
    return judged | {
        length: _judge(objective, row) for length, row in zip(others, rows, strict=True)
    }


def _judge(objective: Objective, parts: Sequence[PartReading]) -> EventCounts:
    bad = bad_ratio([one.measure for one in parts], objective.combination)
    events = _sum([one.events for one in parts])
    return JudgedCounts(events.good, events.valid, None if bad is None else 1 - bad)


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
