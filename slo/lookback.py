"""The windows that alerts listen to: all end now, and many objectives are counted at once.

What corrections leave out comes as ``gaps``, as for ``slo.evaluation``.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType

from candor.kernel.objective_settings import AlertSettings
from candor.kernel.telemetry_store import TelemetryStore
from slo.budget import EventCounts
from slo.budgeting import Place
from slo.burn_rate import TierState, state_of, tiers_of
from slo.correction import clipped, without
from slo.objective import Objective, Part
from slo.parts import (
    PartQuestion,
    count_together,
    judge,
    origin_of,
    place_of,
    questions_of,
    read_parts,
    sums_events,
)
from slo.period import RollingPeriod
from slo.restraint import restraint_of
from slo.window import Window, rolling

_Lookbacks = list[tuple[Sequence[timedelta], list[PartQuestion]]]
"""Lengths of windows, and what is asked of each part in all of them."""


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

    Cost: a few queries for all that sum events; that of ``read_parts`` for the others.
    """
    whole = {length: rolling(length, at) for length in {one for own in lengths for one in own}}
    asked = [
        (objective, without(whole[length], gaps.get(objective.name, ())))
        for objective, own in zip(objectives, lengths, strict=True)
        if sums_events(objective)
        for length in sorted(own)
    ]
    answers = iter(count_together(telemetry, asked))
    others = [
        _lookbacks(objective, own, at, gaps.get(objective.name, ()))
        for objective, own in zip(objectives, lengths, strict=True)
        if not sums_events(objective)
    ]
    judged = iter(_read_judged(telemetry, others))
    return [
        {length: next(answers) for length in sorted(own)}
        if sums_events(objective)
        else next(judged)
        for objective, own in zip(objectives, lengths, strict=True)
    ]


def _lookbacks(
    objective: Objective, lengths: Collection[timedelta], at: datetime, gaps: Sequence[Window]
) -> _Lookbacks:
    """Return the windows of an objective: the budget's own, which may cut a slice, and others."""
    period = objective.period
    own = {objective.window} & set(lengths) if isinstance(period, RollingPeriod) else set()
    place = place_of(period, at, gaps)
    asked: _Lookbacks = [([length], questions_of(objective, [place])) for length in own]
    others = sorted(set(lengths) - own)
    if others:
        origin = origin_of(period, period.window(at))
        questions = []
        for part in objective.parts:
            spans = [_whole(part, length, at, origin) for length in others]
            places = [Place(span, origin, clipped(gaps, span)) for span in spans]
            questions.append(PartQuestion(objective, part, places))
        asked.append((others, questions))
    return asked


def _read_judged(
    telemetry: TelemetryStore, asked: Sequence[_Lookbacks]
) -> list[dict[timedelta, EventCounts]]:
    """Return what the windows of each objective come to."""
    questions = [one for groups in asked for _, own in groups for one in own]
    answers = iter(read_parts(telemetry, questions))
    judged: list[dict[timedelta, EventCounts]] = []
    for groups in asked:
        counts: dict[timedelta, EventCounts] = {}
        for lengths, own in groups:
            rows = zip(*[next(answers) for _ in own], strict=True)
            for length, row in zip(lengths, rows, strict=True):
                counts[length] = judge(own[0].objective, row)
        judged.append(counts)
    return judged


def _whole(part: Part, length: timedelta, at: datetime, origin: datetime) -> Window:
    """Return the window that ends at ``at`` and begins with a slice: no slice is cut."""
    since = at - length
    if part.budgeting.method == "Occurrences":
        return Window(since, at)
    return Window(since - (since - origin) % part.budgeting.slice_length, at)
