"""Counts of many indicators in many windows from the rollups, by few statements.

There is a rollup of minutes and one of hours. Between two edges of windows the hours that are whole
are read from the second, which has 60 times fewer rows, and the minutes around them from the first.

The engine adds up each window by the dimensions that the indicators name; the sums that are left
are matched here, each with the indicators that ask for one of its values and with no other. So the
cost grows with the indicators, not with their square, and not at all with the events that a row of
the rollup stands for.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, starmap
from string import Template

from candor.kernel.sql import statement
from candor.kernel.telemetry_store import TelemetryStore
from slo.budget import EventCounts
from slo.conditions import Parameters, asked_for_text, wanted_values
from slo.indicator import Condition, Filter, Indicator
from slo.window import Window, merged, seconds_at, whole_hours

DIMENSIONS = ("journey", "service", "name", "step", "channel", "outcome")
"""What the rollup keeps apart; what mostly tells indicators from one another comes first."""

LATENCY_BOUNDS_MS = frozenset(
    {
        *(0, 1, 2, 5, 10, 20, 25, 50, 75, 100, 150, 200, 250, 300, 400, 500, 600, 750, 800, 1000),
        *(1200, 1500, 2000, 2500, 3000, 4000, 5000, 7500, 10000, 15000, 20000, 30000, 45000),
        *(60000, 120000, 300000, 600000),
    }
)
_TEXT_OPERATORS = frozenset({"any", "ne", "prefix", "exists"})
_WINDOWS_AT_ONCE = 32
_MINUTE = "DateTime('UTC')"
_SECONDS = "Array(Int64)"
ALL_DURATIONS = "arraySum(mapValues(durations))"
"""How many of a row's events have a duration."""

Asked = tuple[Indicator, Window]


def is_exact(indicator: Indicator) -> bool:
    """Whether the rollup counts an indicator without an error, in windows of whole minutes."""
    if indicator.signal != "events":
        return False
    conditions = (*indicator.valid, *indicator.good)
    if any(
        one.field not in DIMENSIONS or one.operator not in _TEXT_OPERATORS for one in conditions
    ):
        return False
    threshold = indicator.threshold
    return threshold is None or (
        threshold.value == "duration_ms"
        and threshold.operator == "lte"
        and threshold.limit in LATENCY_BOUNDS_MS
    )


def count_rollup(telemetry: TelemetryStore, asked: Sequence[Asked]) -> list[EventCounts]:
    """Return the counts of each indicator in its window, where that is exact.

    Cost: one statement for every 32 different windows, and as many again for indicators with a
    threshold; each reads what the windows hold together, once.
    """
    answers = [EventCounts(0, 0)] * len(asked)
    groups: dict[bool, dict[Window, list[int]]] = {}
    for number, (indicator, window) in enumerate(asked):
        group = groups.setdefault(indicator.threshold is not None, {})
        group.setdefault(window, []).append(number)
    for group in groups.values():
        windows = sorted(group, key=lambda one: (one.since, one.until))
        for start in range(0, len(windows), _WINDOWS_AT_ONCE):
            some = windows[start : start + _WINDOWS_AT_ONCE]
            numbers = [group[window] for window in some]
            tallies = _tallies(telemetry, {asked[one][0] for here in numbers for one in here}, some)
            for place, here in enumerate(numbers):
                for number in here:
                    tally = tallies[asked[number][0]]
                    answers[number] = EventCounts(tally.good_sums[place], tally.valid_sums[place])
    return answers


Test = Callable[[str], bool]


@dataclass(slots=True)
class _Tally:
    """What one indicator wants of the values of a group, and the sums of those that match.

    ``good_measure`` is the place of the measure that counts its good events.
    """

    valid: list[tuple[int, Test]]
    good: list[tuple[int, Test]]
    inverted: bool
    good_measure: int
    valid_sums: list[int]
    good_sums: list[int]

    def add(self, values: Sequence[str], sums: Sequence[int], measures: int) -> None:
        """Add a group's sums, each window's measures in turn, if it matches."""
        if not all(test(values[place]) for place, test in self.valid):
            return
        for number, start in enumerate(range(0, len(sums), measures)):
            self.valid_sums[number] += sums[start]
        if all(test(values[place]) for place, test in self.good) is self.inverted:
            return
        for number, start in enumerate(range(self.good_measure, len(sums), measures)):
            self.good_sums[number] += sums[start]


def _tallies(
    telemetry: TelemetryStore, indicators: Collection[Indicator], windows: Sequence[Window]
) -> dict[Indicator, _Tally]:
    """Return the sums of indicators that all have a threshold, or all have none."""
    dimensions = _named_dimensions(indicators)
    limits = sorted({one.threshold.limit for one in indicators if one.threshold is not None})
    tallies = {one: _tally(one, dimensions, limits, len(windows)) for one in indicators}
    index = _Index(dimensions, tallies)
    parameters = Parameters()
    text = _statement(indicators, windows, dimensions, limits, parameters)
    *values, sums = telemetry.columns(text, parameters.values) or [()] * (len(dimensions) + 1)
    measures = 1 + len(limits)
    for group, group_sums in zip(zip(*values, strict=True), sums, strict=True):
        for tally in index.candidates(group):
            tally.add(group, group_sums, measures)
    return tallies


class _Index:
    """Finds the tallies that a group may match: by one value that each asks for, if it does."""

    def __init__(self, dimensions: Sequence[str], tallies: Mapping[Indicator, _Tally]) -> None:
        self._by_value: list[dict[str, list[_Tally]]] = [{} for _ in dimensions]
        self._others: list[_Tally] = []
        for indicator, tally in tallies.items():
            wanted = wanted_values(indicator.valid)
            first = next((place for place, one in enumerate(dimensions) if one in wanted), None)
            if first is None:
                self._others.append(tally)
                continue
            for value in wanted[dimensions[first]]:
                self._by_value[first].setdefault(value, []).append(tally)

    def candidates(self, group: Sequence[str]) -> Iterator[_Tally]:
        """Yield every tally that may match a group, each once."""
        yield from self._others
        for value, tallies in zip(group, self._by_value, strict=True):
            yield from tallies.get(value, ())


def _statement(
    indicators: Collection[Indicator],
    windows: Sequence[Window],
    dimensions: Sequence[str],
    limits: Sequence[float],
    parameters: Parameters,
) -> str:
    """Return what adds up every measure of every window, by the values of the dimensions."""
    measures = ["events"]
    if limits:
        measures = [ALL_DURATIONS, *(under_text(limit, parameters) for limit in limits)]
    hull = Window(min(one.since for one in windows), max(one.until for one in windows))
    tests = [_within(window, parameters, hull) for window in windows]
    sums = (f"sumIf({measure}, {test})" for test in tests for measure in measures)
    return Template(statement("slo", "count_rollup")).substitute(
        dimensions=", ".join(dimensions),
        sums=", ".join(sums),
        rows=rows_text(windows, parameters),
        asked_for=asked_for_text([one.valid for one in indicators], parameters),
    )


def rows_text(windows: Sequence[Window], parameters: Parameters) -> str:
    """Return a SELECT of what the rollups hold of windows that begin and end on whole minutes.

    Its columns are ``minute``, the dimensions, ``events`` and ``durations``. A row may stand for a
    whole hour, and bears its first minute: so each row lies in a window as a whole or not at all.
    """
    minutes, hours = _sources(windows)
    return Template(statement("slo", "select_rollup")).substitute(
        minutes=within_text("minute", minutes, parameters),
        hours=within_text("hour", hours, parameters),
    )


def _sources(windows: Sequence[Window]) -> tuple[list[Window], list[Window]]:
    """Return what of some windows is read by the minute, and what by the hour."""
    minutes: list[Window] = []
    hours: list[Window] = []
    for stretch in _stretches(windows):
        whole = whole_hours(stretch)
        if whole is None:
            minutes.append(stretch)
        else:
            hours.append(whole)
            minutes += (Window(stretch.since, whole.since), Window(whole.until, stretch.until))
    return merged(minutes), merged(hours)


def _stretches(windows: Sequence[Window]) -> Iterator[Window]:
    """Yield what lies between two edges of windows, if it lies in a window."""
    edges = sorted({edge for one in windows for edge in (one.since, one.until)})
    for one in merged(windows):
        own = edges[bisect_left(edges, one.since) : bisect_right(edges, one.until)]
        yield from starmap(Window, pairwise(own))


def within_text(column: str, windows: Sequence[Window], parameters: Parameters) -> str:
    """Return what keeps the rows of a rollup that lie in any of some windows.

    The windows are in order, and none meets another; the text is as long for a thousand as for one.
    It names the days, by which the rollups are ordered: from a minute alone the engine does not
    know what it can skip.
    """
    if not windows:
        return "0"
    days = sorted({day for one in windows for day in one.days()})
    begins = [seconds_at(one.since) for one in windows]
    edges = sorted({*begins, *(seconds_at(one.until) for one in windows)})
    second = f"toInt64(toUnixTimestamp({column}))"
    last_edge = f"roundDown({second}, {parameters.bind(edges, _SECONDS)})"
    tests = (
        f"toStartOfDay({column}) IN {parameters.bind(days, f'Array({_MINUTE})')}",
        f"{column} >= {parameters.bind(windows[0].since, _MINUTE)}",
        f"{column} < {parameters.bind(windows[-1].until, _MINUTE)}",
        f"{last_edge} IN {parameters.bind(begins, _SECONDS)}",
    )
    return " AND ".join(tests)


def _within(window: Window, parameters: Parameters, hull: Window) -> str:
    """Return what keeps a row in a window, given that it is in the hull of all anyway."""
    tests = []
    if window.since > hull.since:
        tests.append(f"minute >= {parameters.bind(window.since, _MINUTE)}")
    if window.until < hull.until:
        tests.append(f"minute < {parameters.bind(window.until, _MINUTE)}")
    return " AND ".join(tests) or "1"


def _tally(
    indicator: Indicator, dimensions: Sequence[str], limits: Sequence[float], windows: int
) -> _Tally:
    def tests(conditions: Filter) -> list[tuple[int, Test]]:
        return [(dimensions.index(one.field), _test(one)) for one in conditions]

    threshold = indicator.threshold
    return _Tally(
        valid=tests(indicator.valid),
        good=tests(indicator.good) if threshold is None else [],
        inverted=indicator.inverted and threshold is None,
        good_measure=0 if threshold is None else 1 + limits.index(threshold.limit),
        valid_sums=[0] * windows,
        good_sums=[0] * windows,
    )


def _test(condition: Condition) -> Test:
    """Return what the text of ``slo.conditions`` says of a dimension's value."""
    values = frozenset(str(value) for value in condition.values)
    if condition.operator == "any":
        return values.__contains__
    if condition.operator == "ne":
        return lambda value: value not in values
    if condition.operator == "prefix":
        return lambda value: value.startswith(str(condition.values[0]))
    return lambda value: bool(value) is condition.values[0]


def under_text(limit: float, parameters: Parameters) -> str:
    """Return how many of a row's durations keep a limit that is one of the rollup's bounds."""
    bound = parameters.bind(limit, "Float64")
    return f"arraySum(mapValues(mapFilter((bound, n) -> bound <= {bound}, durations)))"


def _named_dimensions(indicators: Collection[Indicator]) -> list[str]:
    """Return the dimensions that indicators name; when none does, one is as good as another."""
    named = {one.field for indicator in indicators for one in (*indicator.valid, *indicator.good)}
    return [one for one in DIMENSIONS if one in named] or ["outcome"]
