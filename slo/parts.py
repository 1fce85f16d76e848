"""The parts of an objective in a window: their units, what could be measured, what they come to."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import accumulate

from candor.kernel.telemetry_store import TelemetryStore
from slo.budget import EventCounts
from slo.budgeting import Place, coverage, expected_slices, slices_over
from slo.composite import Delay, Measure, silent_share
from slo.objective import Objective, Part
from slo.units import Units, read_heard, read_units
from slo.window import Window

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


def read_part(
    telemetry: TelemetryStore, objective: Objective, part: Part, place: Place
) -> PartReading:
    """Return a part in one place.

    Cost: one query, one more for freshness, and one where delay counts.
    """
    (units,) = read_units(telemetry, part.indicator, part.budgeting, place)
    return _reading(objective, part, place, units, _heard(telemetry, part, place))


def read_part_in(
    telemetry: TelemetryStore, objective: Objective, part: Part, places: Sequence[Place]
) -> list[PartReading]:
    """Return a part in several places that end together, each of which begins with a slice.

    Cost: that of one place.
    """
    widest = min(places, key=lambda one: one.span.since)
    edges = sorted({one.span.since for one in places})
    stretches = read_units(telemetry, part.indicator, part.budgeting, widest, edges)[1:]
    from_edge = dict(zip(edges, _sums_from(stretches), strict=True))
    heard = _heard(telemetry, part, widest)
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
