"""Where the events of objectives are counted.

Counting reads the one-minute rollup when that is exact: the window begins and ends on whole
minutes, every field of the indicator is a dimension of the rollup, and a latency limit is one of
its bounds. Otherwise it reads the events themselves. Both give the same counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from string import Template

from candor.kernel.sql import statement
from candor.kernel.telemetry_store import TelemetryStore
from slo.budget import EventCounts, Slice
from slo.conditions import Parameters, filter_text, good_text, valid_text
from slo.indicator import Indicator
from slo.window import Window, whole_minute

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


def count(telemetry: TelemetryStore, questions: Sequence[Question]) -> list[EventCounts]:
    """Return the answer to each question; one query for all that the rollup can answer.

    Cost: at most two queries, whatever the number of questions.
    """
    answers: dict[int, EventCounts] = {}
    for exact in (True, False):
        group = [n for n, question in enumerate(questions) if rollup_is_exact(question) is exact]
        if group:
            build = rollup_statement if exact else raw_statement
            text, parameters = build([questions[n] for n in group])
            row = telemetry.query(text, parameters.values)[0]
            for column, number in enumerate(group):
                answers[number] = EventCounts(int(row[f"g{column}"]), int(row[f"v{column}"]))
    return [answers[number] for number in range(len(questions))]


def count_by_minute(telemetry: TelemetryStore, question: Question) -> list[Slice]:
    """Return the counts of each minute that holds valid events, in order."""
    rollup = rollup_is_exact(question)
    parameters = Parameters()
    valid, good = _measures(question.indicator, parameters, rollup=rollup)
    name = "list_rollup_minutes" if rollup else "list_event_minutes"
    text = _filled(
        name,
        valid=valid,
        good=good,
        within=_within(question.window, parameters, rollup=rollup),
    )
    columns = telemetry.columns(text, parameters.values)
    if not columns:
        return []
    return [
        Slice(at, EventCounts(int(good), int(valid)))
        for at, valid, good in zip(*columns, strict=True)
    ]


def rollup_is_exact(question: Question) -> bool:
    """Whether the one-minute rollup answers a question without an error."""
    window, indicator = question.window, question.indicator
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


def raw_statement(questions: Sequence[Question]) -> tuple[str, Parameters]:
    """Return one statement over the events, with columns ``v`` and ``g`` for each question."""
    parameters = Parameters()
    columns: list[str] = []
    for number, question in enumerate(questions):
        valid = valid_text(question.indicator, parameters)
        good = good_text(question.indicator, parameters)
        within = _within(question.window, parameters, rollup=False)
        columns += (
            f"countIf(({valid}) AND {within}) AS v{number}",
            f"countIf(({valid}) AND {good} AND {within}) AS g{number}",
        )
    around = _within(_hull(questions), parameters, rollup=False)
    return _filled("count_events", columns=", ".join(columns), within=around), parameters


def rollup_statement(questions: Sequence[Question]) -> tuple[str, Parameters]:
    """Return one statement over the rollup, with columns ``v`` and ``g`` for each question.

    It first sums each window over the dimensions that a question names, then picks from the few
    sums that are left.
    """
    parameters = Parameters()
    windows = list(dict.fromkeys(question.window for question in questions))
    with_latency = {one.window for one in questions if one.indicator.threshold is not None}
    sums = []
    for number, window in enumerate(windows):
        within = _within(window, parameters, rollup=True)
        sums.append(f"sumIf(events, {within}) AS e{number}")
        if window in with_latency:
            sums.append(f"sumMapIf(durations, {within}) AS d{number}")
    columns: list[str] = []
    for number, question in enumerate(questions):
        valid, good = _picks(question.indicator, windows.index(question.window), parameters)
        columns += (f"{valid} AS v{number}", f"{good} AS g{number}")
    around = _within(_hull(questions), parameters, rollup=True)
    text = _filled(
        "count_rollup",
        columns=", ".join(columns),
        dimensions=", ".join(_used_dimensions(questions)),
        sums=", ".join(sums),
        within=around,
    )
    return text, parameters


def _used_dimensions(questions: Sequence[Question]) -> list[str]:
    """Return the dimensions that the questions name; when none does, one is as good as another."""
    named = {
        condition.field
        for question in questions
        for condition in (*question.indicator.valid, *question.indicator.good)
    }
    return sorted(named & _DIMENSIONS) or ["outcome"]


def _picks(indicator: Indicator, window: int, parameters: Parameters) -> tuple[str, str]:
    chosen = filter_text(indicator.valid, parameters)
    if indicator.threshold is None:
        good = good_text(indicator, parameters)
        return f"sumIf(e{window}, {chosen})", f"sumIf(e{window}, ({chosen}) AND {good})"
    under = _under(f"d{window}", indicator.threshold.limit, parameters)
    return f"sumIf({_all(f'd{window}')}, {chosen})", f"sumIf({under}, {chosen})"


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


def _filled(name: str, **parts: str) -> str:
    """Return a named statement with its places filled; values are bound, never filled in."""
    return Template(statement("slo", name)).substitute(parts)


def _all(durations: str) -> str:
    return f"arraySum(mapValues({durations}))"


def _under(durations: str, limit: float, parameters: Parameters) -> str:
    bound = parameters.bind(limit, "Float64")
    return f"arraySum(mapValues(mapFilter((bound, n) -> bound <= {bound}, {durations})))"


def _within(window: Window, parameters: Parameters, *, rollup: bool) -> str:
    column = "minute" if rollup else "time"
    kind = "DateTime('UTC')" if rollup else "DateTime64(3, 'UTC')"
    since, until = parameters.bind(window.since, kind), parameters.bind(window.until, kind)
    return f"{column} >= {since} AND {column} < {until}"


def _hull(questions: Sequence[Question]) -> Window:
    return Window(
        min(question.window.since for question in questions),
        max(question.window.until for question in questions),
    )
