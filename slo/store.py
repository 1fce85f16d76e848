"""Where the events of objectives are counted.

Counting reads the rollups when that is exact: the window begins and ends on whole
minutes, every field of the indicator is a dimension of the rollup, and a latency limit is one of
its bounds. Otherwise it reads the events themselves. Both give the same counts.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from string import Template

from candor.kernel.sql import statement
from candor.kernel.telemetry_store import TelemetryStore
from slo.budget import EventCounts
from slo.conditions import (
    Parameters,
    asked_for_text,
    filter_text,
    good_text,
    text_column,
    valid_text,
    wanted_values,
)
from slo.indicator import Indicator, Signal
from slo.rollup import (
    ALL_DURATIONS,
    DIMENSIONS,
    count_rollup,
    is_exact,
    rows_text,
    under_text,
    within_text,
)
from slo.window import Window, whole_minute

_TABLES: dict[Signal, str] = {
    "events": "events",
    "spans": "spans",
    "logs": "log_records",
    "checks": "checks FINAL",
    "prometheus": "prometheus_minutes FINAL",
}
_WEIGHTED: frozenset[Signal] = frozenset({"metrics", "prometheus"})
"""The signals of which a row stands for as many events as its weight says."""

_LONGEST_PAGE_VIEW = timedelta(days=1)
_CELLS = 512
"""How many sums one statement over rows asks for: the engine limits the size of a statement."""


@dataclass(frozen=True, slots=True)
class Question:
    """How many events of an indicator were valid and good in a window."""

    indicator: Indicator
    window: Window


@dataclass(frozen=True, slots=True)
class Slicing:
    """When a slice starts and which minutes count, as texts over ``second``, where a minute begins.

    Both are in seconds since the epoch, as Int64. ``by`` are columns of the rollup that tell slices
    apart, each with a comma after it; of events themselves slices are never told apart.
    """

    start: str = "second"
    outside: str = "1"
    by: str = ""


def count(telemetry: TelemetryStore, questions: Sequence[Question]) -> list[EventCounts]:
    """Return the answer to each question, by few statements for all of them.

    Cost: that of ``count_rollup`` for what the rollup can answer; for the rest one statement for
    each signal, 512 different pairs of an indicator and a window, and set of fields of which values
    are asked for; it reads the rows that have one of these values.
    """
    answers: dict[int, EventCounts] = {}
    exact: list[int] = []
    signals: dict[Signal, list[int]] = {}
    indicators = {id(one.indicator): one.indicator for one in questions}  # they repeat
    windows = {id(one.window): one.window for one in questions}
    countable = {key for key, one in indicators.items() if is_exact(one)}
    whole = {key for key, one in windows.items() if _is_whole(one)}
    for number, one in enumerate(questions):
        fits = id(one.indicator) in countable and id(one.window) in whole
        kind = exact if fits else signals.setdefault(one.indicator.signal, [])
        kind.append(number)
    asked = [(questions[number].indicator, questions[number].window) for number in exact]
    answers |= zip(exact, count_rollup(telemetry, asked), strict=True)
    for group in signals.values():
        counted = count_rows(telemetry, [questions[number] for number in group])
        answers |= zip(group, counted, strict=True)
    return [answers[number] for number in range(len(questions))]


def count_rows(telemetry: TelemetryStore, questions: Sequence[Question]) -> list[EventCounts]:
    """Return the answers to questions about one signal from its events themselves."""
    answers: dict[Question, EventCounts] = {}
    at_once = max(1, _CELLS // len({one.window for one in questions}))
    for batch in _alike(dict.fromkeys(one.indicator for one in questions), at_once):
        some = {one: place for place, one in enumerate(batch)}
        asked = [one for one in questions if one.indicator in some]
        windows = {one: place for place, one in enumerate(dict.fromkeys(q.window for q in asked))}
        parameters = Parameters()
        text = _rows_statement(list(some), list(windows), parameters)
        (row,) = telemetry.query(text, parameters.values)
        for one in asked:
            column, element = some[one.indicator], windows[one.window]
            answers[one] = EventCounts(row[f"g{column}"][element], row[f"v{column}"][element])
    return [answers[one] for one in questions]


def slices_text(question: Question, slicing: Slicing, parameters: Parameters) -> str:
    """Return a SELECT of the slices that hold valid events, in no order.

    Its columns are those of ``by``, ``start``, ``valid_sum`` and ``good_sum``.
    """
    rollup = rollup_is_exact(question)
    valid, good = _measures(question.indicator, parameters, rollup=rollup)
    parts = {
        "by": slicing.by,
        "start": slicing.start,
        "outside": slicing.outside,
        "valid": valid,
        "good": good,
        "chosen": filter_text(question.indicator.valid, parameters),
    }
    if rollup:
        within = within_text("minute", [question.window], parameters)
        return filled("list_rollup_slices", within=within, **parts)
    table = _table(question.indicator.signal, question.window, parameters)
    within = _within(question.window, parameters)
    return filled("list_event_slices", table=table, within=within, **parts)


def count_by_value(
    telemetry: TelemetryStore, indicator: Indicator, windows: Sequence[Window], field: str
) -> dict[str, EventCounts]:
    """Return the counts of windows together, by the value of a text field; absence is ``""``.

    The windows do not overlap.
    """
    rollup = field in DIMENSIONS and all(
        rollup_is_exact(Question(indicator, one)) for one in windows
    )
    parameters = Parameters()
    valid, good = _measures(indicator, parameters, rollup=rollup)
    parts = {
        "value": f"toString({text_column(field, parameters)})",
        "valid": valid,
        "good": good,
        "chosen": filter_text(indicator.valid, parameters),
    }
    if rollup:
        text = filled("count_rollup_values", rows=rows_text(windows, parameters), **parts)
    else:
        hull = Window(min(one.since for one in windows), max(one.until for one in windows))
        table = _table(indicator.signal, hull, parameters)
        within = " OR ".join(f"({_within(one, parameters)})" for one in windows)
        text = filled("count_event_values", table=table, within=f"({within})", **parts)
    columns = telemetry.columns(text, parameters.values)
    if not columns:
        return {}
    return {
        str(value): EventCounts(int(good), int(valid))
        for value, valid, good in zip(*columns, strict=True)
    }


def rollup_is_exact(question: Question) -> bool:
    """Whether the one-minute rollup answers a question without an error."""
    return is_exact(question.indicator) and _is_whole(question.window)


def _is_whole(window: Window) -> bool:
    return all(whole_minute(edge) == edge for edge in (window.since, window.until))


def _alike(indicators: Iterable[Indicator], at_once: int) -> Iterator[Sequence[Indicator]]:
    """Yield batches of indicators that ask for values of the same fields."""
    groups: dict[frozenset[str], list[Indicator]] = {}
    for one in indicators:
        groups.setdefault(frozenset(wanted_values(one.valid)), []).append(one)
    for group in groups.values():
        for start in range(0, len(group), at_once):
            yield group[start : start + at_once]


def _rows_statement(
    indicators: Sequence[Indicator], windows: Sequence[Window], parameters: Parameters
) -> str:
    """Return a statement: arrays ``v0``, ``g0``, ... hold each indicator's counts by window."""
    hull = Window(min(one.since for one in windows), max(one.until for one in windows))
    within = [_within(one, parameters, hull) for one in windows]
    columns: list[str] = []
    for number, indicator in enumerate(indicators):
        valid = valid_text(indicator, parameters)
        good = good_text(indicator, parameters)
        counted = ", ".join(_sum(indicator, f"({valid}) AND {inside}") for inside in within)
        well = ", ".join(_sum(indicator, f"({valid}) AND {good} AND {inside}") for inside in within)
        columns += (f"[{counted}] AS v{number}", f"[{well}] AS g{number}")
    around = _within(hull, parameters)
    table = _table(indicators[0].signal, hull, parameters)
    asked_for = asked_for_text([one.valid for one in indicators], parameters)
    parts = {"table": table, "columns": ", ".join(columns)}
    return filled("count_events", **parts, within=around, asked_for=asked_for)


def _measures(indicator: Indicator, parameters: Parameters, *, rollup: bool) -> tuple[str, str]:
    if not rollup:
        valid = valid_text(indicator, parameters)
        good = f"({valid}) AND {good_text(indicator, parameters)}"
        return _sum(indicator, valid), _sum(indicator, good)
    chosen = filter_text(indicator.valid, parameters)
    if indicator.threshold is None:
        good = good_text(indicator, parameters)
        return f"sumIf(events, {chosen})", f"sumIf(events, ({chosen}) AND {good})"
    under = under_text(indicator.threshold.limit, parameters)
    return f"sumIf({ALL_DURATIONS}, {chosen})", f"sumIf({under}, {chosen})"


def _sum(indicator: Indicator, condition: str) -> str:
    """Return how many events the rows stand for that meet a condition."""
    if indicator.signal in _WEIGHTED:
        return f"toInt64(round(sumIf(weight, {condition})))"
    return f"countIf({condition})"


def _table(signal: Signal, window: Window, parameters: Parameters) -> str:
    """Return what the events of a signal are read from.

    A page view's vitals are reported as they grow; it counts once, with the latest value, at the
    time of its first report. Of counters the increments count.
    """
    kind = "DateTime64(3, 'UTC')"
    if signal == "metrics":
        since, until = (parameters.bind(one, kind) for one in (window.since, window.until))
        return f"({filled('select_metric_increments', since=since, until=until)})"
    if signal != "vitals":
        return _TABLES[signal]
    since = parameters.bind(window.since - _LONGEST_PAGE_VIEW, kind)
    until = parameters.bind(window.until + _LONGEST_PAGE_VIEW, kind)
    return f"({filled('select_latest_vitals', since=since, until=until)})"


def filled(name: str, **parts: str) -> str:
    """Return a named statement with its places filled; values are bound, never filled in."""
    return Template(statement("slo", name)).substitute(parts)


def _within(window: Window, parameters: Parameters, inside: Window | None = None) -> str:
    """Return what keeps an event in a window, given that it is ``inside`` a wider one anyway."""
    kind = "DateTime64(3, 'UTC')"
    tests: list[str] = []
    if inside is None or window.since > inside.since:
        tests.append(f"time >= {parameters.bind(window.since, kind)}")
    if inside is None or window.until < inside.until:
        tests.append(f"time < {parameters.bind(window.until, kind)}")
    return " AND ".join(tests) or "1"
