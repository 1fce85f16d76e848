"""What the units of an objective come to, summed by the engine.

The engine groups minutes into slices, judges each, and answers with sums: what comes back does not
grow with the window. Minutes that lie in a gap are no minutes; a slice is judged by what is left.
Questions that differ in nothing but the values of dimensions are answered together.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction

from candor.kernel.telemetry_store import TelemetryStore
from slo.budget import EventCounts
from slo.budgeting import OCCURRENCES, WHOLE, Budgeting, Place
from slo.conditions import Parameters, asked_for_text, wanted_values
from slo.freshness import valid_slices_text
from slo.indicator import Indicator
from slo.store import Question, Slicing, filled, rollup_is_exact
from slo.window import EPOCH, MINUTE, Window, seconds_at

_SECOND = timedelta(seconds=1)
_BEFORE = -1
"""A second before any that telemetry bears."""
_SLICES_AT_ONCE = 1_000_000
"""How many slices the engine holds for one statement: some hundred megabytes."""


@dataclass(frozen=True, slots=True)
class UnitsQuestion:
    """What do the units of a place come to, in each stretch from one edge to the next?"""

    indicator: Indicator
    budgeting: Budgeting
    place: Place
    edges: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True)
class Units:
    """What some time adds: its events, and the units that begin in it, in good and valid parts.

    ``measured`` are the minutes or slices that hold valid events; ``over`` are those of them that
    end with the span or before.
    """

    events: EventCounts
    good: int
    valid: int
    measured: int
    over: int

    def __add__(self, other: "Units") -> "Units":
        events = EventCounts(
            self.events.good + other.events.good, self.events.valid + other.events.valid
        )
        return Units(
            events,
            self.good + other.good,
            self.valid + other.valid,
            self.measured + other.measured,
            self.over + other.over,
        )


_NOTHING = Units(EventCounts(0, 0), 0, 0, 0, 0)


def read_units(
    telemetry: TelemetryStore,
    indicator: Indicator,
    budgeting: Budgeting,
    place: Place,
    edges: Sequence[datetime] = (),
) -> list[Units]:
    """Return what the units of each stretch of a span come to: one more than ``edges``.

    A stretch has the units that begin in it, from one edge to just before the next; each edge is
    seconds later than the one before. Events of a slice that began before the span are in the first
    stretch, without a unit.

    Cost: one query, two for freshness, whatever the number of edges.
    """
    (units,) = read_units_together(
        telemetry, [UnitsQuestion(indicator, budgeting, place, tuple(edges))]
    )
    return units


def read_units_together(
    telemetry: TelemetryStore, questions: Sequence[UnitsQuestion]
) -> list[list[Units]]:
    """Return the answer to each question as ``read_units`` gives it.

    Cost: one query for many that are alike, which takes their slices into the engine's memory; one
    for each other, two for freshness.
    """
    groups: dict[Hashable, list[int]] = {}
    for number, one in enumerate(questions):
        groups.setdefault(_likeness(one) or number, []).append(number)
    answers: list[list[Units]] = [[]] * len(questions)
    for numbers in groups.values():
        for some in _batches(numbers, questions[numbers[0]]):
            found = _read_alike(telemetry, [questions[number] for number in some])
            for number, units in zip(some, found, strict=True):
                answers[number] = units
    return answers


def _likeness(question: UnitsQuestion) -> tuple[Hashable, ...] | None:
    """Return what two questions share that one statement can answer; none if none can.

    Each of their conditions on valid events asks for one value of a dimension, so that an event is
    valid for one of them at most.
    """
    indicator, place = question.indicator, question.place
    wanted = wanted_values(indicator.valid)
    if not wanted or len(wanted) != len(indicator.valid) or indicator.freshness is not None:
        return None
    if any(len(values) != 1 for values in wanted.values()):
        return None
    if not rollup_is_exact(Question(indicator, place.span)):
        return None
    judged = (indicator.good, indicator.inverted, indicator.threshold, question.budgeting)
    where = (place.span, place.origin, tuple(place.gaps), question.edges)
    return (tuple(sorted(wanted)), *judged, *where)


def _batches(numbers: Sequence[int], question: UnitsQuestion) -> Iterator[Sequence[int]]:
    slices = question.place.span.length // question.budgeting.slice_length + 1
    at_once = max(1, _SLICES_AT_ONCE // slices)
    for start in range(0, len(numbers), at_once):
        yield numbers[start : start + at_once]


def _read_alike(
    telemetry: TelemetryStore, questions: Sequence[UnitsQuestion]
) -> Iterator[list[Units]]:
    """Yield the answers to one question, or to several that are alike."""
    one = questions[0]
    counted = _Counted(telemetry, [each.indicator for each in questions], one.budgeting, one.place)
    starts = [_BEFORE, *(seconds_at(edge) for edge in one.edges)]
    text = filled(
        "sum_units",
        by=counted.by,
        edge=f"roundDown(start, {counted.bind_all(starts)})",
        good_unit=counted.good_unit,
        valid_unit=counted.valid_unit,
        begins=counted.begins,
        over=counted.over,
        slices=counted.slices,
    )
    found = {
        (*(row[field] for field in counted.fields), row["edge"]): Units(
            EventCounts(row["good_events"], row["valid_events"]),
            row["good_units"],
            row["valid_units"],
            row["measured"],
            row["over"],
        )
        for row in telemetry.query(text, counted.parameters.values)
    }
    for question in questions:
        wanted = wanted_values(question.indicator.valid)
        own = [value for field in counted.fields for value in wanted[field]]
        yield [found.get((*own, start), _NOTHING) for start in starts]


def read_heard(
    telemetry: TelemetryStore,
    indicator: Indicator,
    budgeting: Budgeting,
    place: Place,
    longest: timedelta,
) -> list[Window]:
    """Return the stretches of a span in which no silence is longer than ``longest``, in order.

    They begin and end with a measured minute or slice.
    """
    counted = _Counted(telemetry, [indicator], budgeting, place)
    apart = (budgeting.slice_length + longest) // _SECOND
    text = filled(
        "list_heard", slices=counted.slices, begins=counted.begins, apart=counted.bind(apart)
    )
    return [
        Window(_instant(row["since"]), _instant(row["latest"]) + budgeting.slice_length)
        for row in telemetry.query(text, counted.parameters.values)
    ]


def last_valid_minute(
    telemetry: TelemetryStore, indicator: Indicator, place: Place
) -> datetime | None:
    """Return the end of the last minute of a span with something valid; none without one."""
    counted = _Counted(telemetry, [indicator], OCCURRENCES, place)
    text = filled("find_last_minute", slices=counted.slices)
    (row,) = telemetry.query(text, counted.parameters.values)
    return None if row["last"] is None else _instant(row["last"]) + MINUTE


class _Counted:
    """The parts of a statement that counts the units of one place.

    Those of several indicators that are alike are told apart by the ``fields`` of which they want
    values.
    """

    def __init__(
        self,
        telemetry: TelemetryStore,
        indicators: Sequence[Indicator],
        budgeting: Budgeting,
        place: Place,
    ) -> None:
        self.parameters = Parameters()
        self.good_unit, self.valid_unit = "good_sum", "valid_sum"
        self.begins, self.over = "1", "0"
        start = "second"
        if budgeting.method != "Occurrences":
            length = self.bind(budgeting.slice_length // _SECOND)
            origin = self.bind(seconds_at(place.origin))
            start = f"second - positiveModulo(second - {origin}, {length})"
            since, until = seconds_at(place.span.since), seconds_at(place.span.until)
            self.begins = f"start >= {self.bind(since)} AND start < {self.bind(until)}"
            ended = (place.span.until - EPOCH) // _SECOND
            self.over = f"start + {length} <= {self.bind(ended)}"
            self.good_unit, self.valid_unit = self._slice_units(budgeting)
        indicator, outside = indicators[0], self._outside(place.gaps)
        self.fields: Sequence[str] = ()
        if len(indicators) > 1:
            self.fields = sorted(wanted_values(indicator.valid))
            among = asked_for_text([one.valid for one in indicators], self.parameters)
            indicator, outside = replace(indicator, valid=()), f"{outside} AND {among}"
        self.by = "".join(f"{field}, " for field in self.fields)
        question = Question(indicator, place.span)
        slicing = Slicing(start, outside, self.by)
        self.slices = valid_slices_text(telemetry, question, slicing, self.parameters)

    def bind(self, number: int) -> str:
        """Return the placeholder of a whole number."""
        return self.parameters.bind(number, "Int64")

    def bind_all(self, numbers: Sequence[int]) -> str:
        """Return the placeholder of several."""
        return self.parameters.bind(list(numbers), "Array(Int64)")

    def _outside(self, gaps: Sequence[Window]) -> str:
        """Return what keeps a minute that lies in no gap: the last gap to begin is over."""
        if not gaps:
            return "1"
        begins = self.bind_all([_BEFORE, *(seconds_at(gap.since) for gap in gaps)])
        ends = self.bind_all([_BEFORE, *(seconds_at(gap.until) for gap in gaps)])
        return f"second >= transform(roundDown(second, {begins}), {begins}, {ends}, toInt64(0))"

    def _slice_units(self, budgeting: Budgeting) -> tuple[str, str]:
        """Return the good and the valid parts of one measured slice."""
        good, valid = "toInt128(good_sum)", "toInt128(valid_sum)"
        if budgeting.method == "Timeslices":
            target = Fraction(budgeting.slice_target or 0)
            above, below = (self._bind_wide(one) for one in target.as_integer_ratio())
            return f"toUInt8({good} * {below} >= {above} * {valid})", "1"
        whole = self._bind_wide(WHOLE)
        parts = f"intDiv({good} * {whole}, {valid})"
        twice = f"(2 * ({good} * {whole} - {parts} * {valid}))"
        is_up = f"{twice} > {valid} OR ({twice} = {valid} AND {parts} % 2 = 1)"  # half to even
        return f"{parts} + toInt128({is_up})", whole

    def _bind_wide(self, number: int) -> str:
        return self.parameters.bind(number, "Int128")


def _instant(second: int) -> datetime:
    return EPOCH + second * _SECOND
