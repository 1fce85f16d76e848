"""Where the events of objectives are counted.

Counting reads the one-minute rollup when that is exact: the window begins and ends on whole
minutes, every field of the indicator is a dimension of the rollup, and a latency limit is one of
its bounds. Otherwise it reads the events themselves. Both give the same counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from string import Template

from candor.kernel.sql import statement
from candor.kernel.telemetry_store import TelemetryStore
from slo.budget import EventCounts, Slice
from slo.conditions import (
    Parameters,
    Variables,
    filter_text,
    good_text,
    text_column,
    valid_text,
)
from slo.indicator import Indicator, Signal
from slo.window import Window, whole_minute

_TABLES: dict[Signal, str] = {
    "events": "events",
    "spans": "spans",
    "logs": "log_records",
    "checks": "checks FINAL",
}
_LONGEST_PAGE_VIEW = timedelta(days=1)
_DIMENSIONS = frozenset({"journey", "name", "step", "outcome", "channel", "service"})
LATENCY_BOUNDS_MS = frozenset(
    {
        *(0, 1, 2, 5, 10, 20, 25, 50, 75, 100, 150, 200, 250, 300, 400, 500, 600, 750, 800, 1000),
        *(1200, 1500, 2000, 2500, 3000, 4000, 5000, 7500, 10000, 15000, 20000, 30000, 45000),
        *(60000, 120000, 300000, 600000),
    }
)


@dataclass(frozen=True, slots=True)
class Question:
    """How many events of an indicator were valid and good in a window."""

    indicator: Indicator
    window: Window


@dataclass(slots=True)
class Plan:
    """One statement for many questions: arrays ``v0``, ``g0``, ... hold valid and good events.

    ``places`` says in which pair of arrays, and where in it, each question's answer stands.
    """

    indicators: list[Indicator]
    windows: list[Window]
    places: list[tuple[int, int]]
    parameters: Parameters
    text: str = ""

    @classmethod
    def of(cls, questions: Sequence[Question]) -> "Plan":
        """Return a plan without its text."""
        indicators = list(dict.fromkeys(question.indicator for question in questions))
        windows = list(dict.fromkeys(question.window for question in questions))
        places = [(indicators.index(one.indicator), windows.index(one.window)) for one in questions]
        return cls(indicators, windows, places, Parameters())


def count(telemetry: TelemetryStore, questions: Sequence[Question]) -> list[EventCounts]:
    """Return the answer to each question; one query for all that the rollup can answer.

    Cost: at most one query for the rollup and one for each signal, whatever the number of
    questions.
    """
    answers: dict[int, EventCounts] = {}
    groups: dict[tuple[bool, Signal], list[int]] = {}
    for number, question in enumerate(questions):
        kind = (rollup_is_exact(question), question.indicator.signal)
        groups.setdefault(kind, []).append(number)
    for (exact, _), group in groups.items():
        build = rollup_statement if exact else raw_statement
        plan = build([questions[number] for number in group])
        row = telemetry.query(plan.text, plan.parameters.values)[0]
        for number, (column, element) in zip(group, plan.places, strict=True):
            good, valid = row[f"g{column}"], row[f"v{column}"]
            answers[number] = EventCounts(_nth(good, element), _nth(valid, element))
    return [answers[number] for number in range(len(questions))]


def count_by_minute(telemetry: TelemetryStore, question: Question) -> list[Slice]:
    """Return the counts of each minute that holds valid events, in order."""
    rollup = rollup_is_exact(question)
    parameters = Parameters()
    valid, good = _measures(question.indicator, parameters, rollup=rollup)
    within = _within(question.window, parameters, rollup=rollup)
    if rollup:
        text = _filled("list_rollup_minutes", valid=valid, good=good, within=within)
    else:
        table = _table(question.indicator.signal, question.window, parameters)
        text = _filled("list_event_minutes", table=table, valid=valid, good=good, within=within)
    columns = telemetry.columns(text, parameters.values)
    if not columns:
        return []
    return [
        Slice(at, EventCounts(int(good), int(valid)))
        for at, valid, good in zip(*columns, strict=True)
    ]


def count_by_value(
    telemetry: TelemetryStore, indicator: Indicator, windows: Sequence[Window], field: str
) -> dict[str, EventCounts]:
    """Return the counts of windows together, by the value of a text field; absence is ``""``.

    The windows do not overlap.
    """
    rollup = field in _DIMENSIONS and all(
        rollup_is_exact(Question(indicator, one)) for one in windows
    )
    parameters = Parameters()
    valid, good = _measures(indicator, parameters, rollup=rollup)
    within = " OR ".join(f"({_within(one, parameters, rollup=rollup)})" for one in windows)
    parts = {
        "value": f"toString({text_column(field, parameters)})",
        "valid": valid,
        "good": good,
        "within": f"({within or 0})",
    }
    if rollup:
        text = _filled("count_rollup_values", **parts)
    else:
        hull = Window(min(one.since for one in windows), max(one.until for one in windows))
        table = _table(indicator.signal, hull, parameters)
        text = _filled("count_event_values", table=table, **parts)
    columns = telemetry.columns(text, parameters.values)
    if not columns:
        return {}
    return {
        str(value): EventCounts(int(good), int(valid))
        for value, valid, good in zip(*columns, strict=True)
    }


def rollup_is_exact(question: Question) -> bool:
    """Whether the one-minute rollup answers a question without an error."""
    window, indicator = question.window, question.indicator
    if indicator.signal != "events":
        return False
    if any(whole_minute(edge) != edge for edge in (window.since, window.until)):
        return False
    conditions = (*indicator.valid, *indicator.good)
    if any(one.field not in _DIMENSIONS for one in conditions):
        return False
    threshold = indicator.threshold
    return threshold is None or (
        threshold.value == "duration_ms"
        and threshold.operator == "lte"
        and threshold.limit in LATENCY_BOUNDS_MS
    )


def raw_statement(questions: Sequence[Question]) -> Plan:
    """Return a statement over the events of the one signal that the questions are about."""
    plan = Plan.of(questions)
    parameters = plan.parameters
    hull = _hull(questions)
    within = [_within(one, parameters, rollup=False, inside=hull) for one in plan.windows]
    columns: list[str] = []
    for number, indicator in enumerate(plan.indicators):
        valid = valid_text(indicator, parameters)
        good = good_text(indicator, parameters)
        counted = ", ".join(f"countIf(({valid}) AND {inside})" for inside in within)
        well = ", ".join(f"countIf(({valid}) AND {good} AND {inside})" for inside in within)
        columns += (f"[{counted}] AS v{number}", f"[{well}] AS g{number}")
    around = _within(hull, parameters, rollup=False)
    table = _table(questions[0].indicator.signal, hull, parameters)
    plan.text = _filled("count_events", table=table, columns=", ".join(columns), within=around)
    return plan


def rollup_statement(questions: Sequence[Question]) -> Plan:
    """Return a statement over the rollup.

    It first sums each window over the dimensions that an indicator names, then picks from the few
    sums that are left, with one pair of arrays for all indicators of one shape.
    """
    plan = Plan.of(questions)
    parameters = plan.parameters
    with_latency = any(indicator.threshold is not None for indicator in plan.indicators)
    hull = _hull(questions)
    events, durations = [], []
    for window in plan.windows:
        within = _within(window, parameters, rollup=True, inside=hull)
        events.append(f"sumIf(events, {within})")
        durations.append(f"sumMapIf(durations, {within})")
    sums = f"[{', '.join(events)}] AS counts"
    if with_latency:
        sums += f", [{', '.join(durations)}] AS latencies"
    shapes = _shapes(plan.indicators)
    columns = [
        f"{text} AS {kind}{number}"
        for number, shape in enumerate(shapes)
        for kind, text in zip("vg", _sums(shape, parameters), strict=True)
    ]
    places = {
        indicator: (number, place)
        for number, shape in enumerate(shapes)
        for place, indicator in enumerate(shape.indicators)
    }
    plan.places = [
        (places[indicator][0], places[indicator][1] * len(plan.windows) + window)
        for indicator, window in (
            (plan.indicators[column], element) for column, element in plan.places
        )
    ]
    plan.text = _filled(
        "count_rollup",
        columns=", ".join(columns),
        dimensions=", ".join(_used_dimensions(questions)),
        sums=sums,
        within=_within(hull, parameters, rollup=True),
    )
    return plan


@dataclass(slots=True)
class _Shape:
    """Indicators whose conditions differ in their values alone, and those conditions as text.

    ``valid`` and ``good`` are arrays with an element for each window, in terms of variables of
    these ``types``; ``values`` has one list for each variable.
    """

    valid: str
    good: str
    types: list[str]
    values: list[list[object]]
    indicators: list[Indicator]


def _shapes(indicators: Sequence[Indicator]) -> list[_Shape]:
    shapes: dict[tuple[str, ...], _Shape] = {}
    for indicator in indicators:
        variables = Variables()
        valid, good = _picks(indicator, variables)
        key = (valid, good, *variables.types)
        empty: list[list[object]] = [[] for _ in variables.types]
        shape = shapes.setdefault(key, _Shape(valid, good, variables.types, empty, []))
        shape.indicators.append(indicator)
        for column, value in zip(shape.values, variables.values.values(), strict=True):
            column.append(value)
    return list(shapes.values())


def _sums(shape: _Shape, parameters: Parameters) -> tuple[str, str]:
    """Return the sums of valid and of good events, an element for each indicator and window."""
    names = [f"x{number}" for number in range(len(shape.types))]
    arrays = [
        parameters.bind(values, f"Array({kind})")
        for values, kind in zip(shape.values, shape.types, strict=True)
    ]
    counted, well = (
        f"sumForEach(arrayFlatten(arrayMap(({', '.join(names)}) -> {text}, {', '.join(arrays)})))"
        if names
        else f"sumForEach({text})"
        for text in (shape.valid, shape.good)
    )
    return counted, well


def _picks(indicator: Indicator, variables: Variables) -> tuple[str, str]:
    """Return valid and good events of one row of sums, an array with an element for each window."""
    chosen = filter_text(indicator.valid, variables)
    if indicator.threshold is None:
        good = good_text(indicator, variables)
        return (
            f"arrayMap(one -> if({chosen}, one, 0), counts)",
            f"arrayMap(one -> if(({chosen}) AND {good}, one, 0), counts)",
        )
    under = _under("one", indicator.threshold.limit, variables)
    return (
        f"arrayMap(one -> if({chosen}, {_all('one')}, 0), latencies)",
        f"arrayMap(one -> if({chosen}, {under}, 0), latencies)",
    )


def _used_dimensions(questions: Sequence[Question]) -> list[str]:
    """Return the dimensions that the questions name; when none does, one is as good as another."""
    named = {
        condition.field
        for question in questions
        for condition in (*question.indicator.valid, *question.indicator.good)
    }
    return sorted(named & _DIMENSIONS) or ["outcome"]


def _measures(indicator: Indicator, parameters: Parameters, *, rollup: bool) -> tuple[str, str]:
    if not rollup:
        valid = valid_text(indicator, parameters)
        return f"countIf({valid})", f"countIf(({valid}) AND {good_text(indicator, parameters)})"
    chosen = filter_text(indicator.valid, parameters)
    if indicator.threshold is None:
        good = good_text(indicator, parameters)
        return f"sumIf(events, {chosen})", f"sumIf(events, ({chosen}) AND {good})"
    under = _under("durations", indicator.threshold.limit, parameters)
    return f"sumIf({_all('durations')}, {chosen})", f"sumIf({under}, {chosen})"


def _table(signal: Signal, window: Window, parameters: Parameters) -> str:
    """Return what the events of a signal are read from.

    A page view's vitals are reported as they grow; it counts once, with the latest value, at the
    time of its first report.
    """
    if signal != "vitals":
        return _TABLES[signal]
    kind = "DateTime64(3, 'UTC')"
    since = parameters.bind(window.since - _LONGEST_PAGE_VIEW, kind)
    until = parameters.bind(window.until + _LONGEST_PAGE_VIEW, kind)
    return f"({_filled('select_latest_vitals', since=since, until=until)})"


def _nth(sums: Sequence[int], element: int) -> int:
    """Return one of the engine's sums; over no row at all it answers with an empty array."""
    return int(sums[element]) if sums else 0


def _filled(name: str, **parts: str) -> str:
    """Return a named statement with its places filled; values are bound, never filled in."""
    return Template(statement("slo", name)).substitute(parts)


def _all(durations: str) -> str:
    return f"arraySum(mapValues({durations}))"


def _under(durations: str, limit: float, parameters: Parameters) -> str:
    bound = parameters.bind(limit, "Float64")
    return f"arraySum(mapValues(mapFilter((bound, n) -> bound <= {bound}, {durations})))"


def _within(
    window: Window, parameters: Parameters, *, rollup: bool, inside: Window | None = None
) -> str:
    """Return what keeps a row in a window, given that it is ``inside`` a wider one anyway."""
    column = "minute" if rollup else "time"
    kind = "DateTime('UTC')" if rollup else "DateTime64(3, 'UTC')"
    tests: list[str] = []
    if inside is None or window.since > inside.since:
        tests.append(f"{column} >= {parameters.bind(window.since, kind)}")
    if inside is None or window.until < inside.until:
        tests.append(f"{column} < {parameters.bind(window.until, kind)}")
    return " AND ".join(tests) or "1"


def _hull(questions: Sequence[Question]) -> Window:
    return Window(
        min(question.window.since for question in questions),
        max(question.window.until for question in questions),
    )
